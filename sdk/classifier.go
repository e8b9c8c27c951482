package sdk

import (
	"context"
	"fmt"
	"image"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/vision"
)

// Category is one class that a classifier gives a picture, with its score.
type Category = vision.Category

// DefaultTop is how many classes a classifier gives where no number is set.
const DefaultTop = 5

// ClassifierConfig says how a model's input is fed and its output is read.
// The zero value works for a model with a card, or whose outputs can be
// recognised.
type ClassifierConfig struct {
	// Preset, Labels, Threads, NoSpin and MaxSessions are those of
	// DetectorConfig.
	Preset      string
	Labels      []string
	Threads     int
	NoSpin      bool
	MaxSessions int
	// Top is how many classes are given; 0 means DefaultTop.
	Top int
}

// Classifier tells what a picture shows. It is safe for concurrent use.
type Classifier struct {
	*Feeder
	top int
}

// NewClassifier makes a classifier of the model. The error wraps ErrPreset
// where the preset is unknown or does not fit the model.
func (m *Model) NewClassifier(c ClassifierConfig) (*Classifier, error) {
	if c.Top < 0 {
		return nil, fmt.Errorf("classifier: Top is %d", c.Top)
	}
	if c.Top == 0 {
		c.Top = DefaultTop
	}
	l, err := m.feed(feeding{task: vision.Classify, preset: c.Preset, labels: c.Labels, threads: c.Threads, noSpin: c.NoSpin, maxSessions: c.MaxSessions,
		decode: func(n *lane) (classes int, err error) {
			if n.classifier, err = vision.NewClassifier(n.owner.chosen, n.outputs); err != nil {
				return 0, err
			}
			return n.classifier.Classes(), nil
		}})
	if err != nil {
		return nil, err
	}
	return &Classifier{l, c.Top}, nil
}

// Classify returns the classes of highest score, best first.
func (c *Classifier) Classify(ctx context.Context, img image.Image) (top []Category, err error) {
	err = c.picture(ctx, img, func(n *lane, _ *camera.Frame, _ vision.Transform) error {
		top, err = n.classifier.Decode(nil, n.outputs, c.top)
		return err
	})
	return top, err
}

// ClassifyFrame is Classify of a frame, into the memory of dst, which it
// replaces.
func (c *Classifier) ClassifyFrame(ctx context.Context, dst []Category, f *camera.Frame) ([]Category, error) {
	err := c.onFrame(ctx, f, func(n *lane, _ *camera.Frame, _ vision.Transform) error {
		var err error
		dst, err = n.classifier.Decode(dst, n.outputs, c.top)
		return err
	})
	return dst, err
}
