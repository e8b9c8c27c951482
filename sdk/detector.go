package sdk

import (
	"context"
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/vision"
)

// Detection is one object that a model saw, with its box in pixels of the
// picture.
type Detection = vision.Detection

// Box is a rectangle in pixels, from its upper left corner to its lower right.
type Box = vision.Box

// Point is a position in pixels.
type Point = vision.Point

// ErrPreset is returned when there is no preset of a name, or none fits a
// model's outputs; the error lists them.
var ErrPreset = vision.ErrPreset

// Presets returns the names of the presets of detectors.
func Presets() []string { return presets(vision.Detect) }

// ClassifierPresets returns the names of the presets of classifiers.
func ClassifierPresets() []string { return presets(vision.Classify) }

// SegmenterPresets returns the names of the presets of segmenters.
func SegmenterPresets() []string { return presets(vision.Segment) }

func presets(task vision.Task) []string {
	return slices.DeleteFunc(vision.PresetNames(), func(name string) bool {
		p, err := vision.FindPreset(name)
		return err != nil || p.Task != task
	})
}

// The thresholds that stand for zero in DetectorConfig.
const (
	DefaultMinScore = 0.4
	DefaultIoU      = 0.5
)

// DetectorConfig says how a model's input is fed and its outputs are read.
// The zero value works for a model whose outputs can be recognised.
type DetectorConfig struct {
	// Preset names the family of the model, one of Presets; "" takes it from
	// the model's card, or recognises it from the shapes of its outputs, where
	// that is unambiguous. A preset named here stands in for the card.
	Preset string
	// Labels names the classes; nil means those of the model's card, or those
	// that the preset knows.
	Labels []string
	// Classes keeps only detections with these labels; nil keeps all.
	Classes []string
	// MinScore is the score that a detection must exceed; 0 means
	// DefaultMinScore, a negative number keeps everything.
	MinScore float64
	// IoU is the overlap above which the weaker of two boxes of one class is
	// dropped; 0 means DefaultIoU.
	IoU float64
	// Threads is the number of workers of each inference; see SessionConfig.
	Threads int
	// NoSpin is that of SessionConfig.
	NoSpin bool
	// MaxSessions bounds how many calls compute at the same time, each with
	// a session of its own; others wait. 0 means GOMAXPROCS.
	MaxSessions int
}

// Detector finds objects in pictures. It is safe for concurrent use.
type Detector struct {
	*Feeder
	config DetectorConfig
	keep   []bool // by class; nil keeps all
}

// NewDetector makes a detector of the model. The error wraps ErrPreset where
// the preset is unknown or does not fit the model. Symbolic sizes of the
// input are those of the model's card, or 320.
func (m *Model) NewDetector(c DetectorConfig) (*Detector, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	l, err := m.feed(feeding{task: vision.Detect, preset: c.Preset, labels: c.Labels, threads: c.Threads, noSpin: c.NoSpin, maxSessions: c.MaxSessions,
		decode: func(n *lane) (classes int, err error) {
			if n.detector, err = vision.NewDecoder(n.owner.chosen, n.owner.size[0], n.owner.size[1], n.outputs); err != nil {
				return 0, err
			}
			return n.detector.Classes(), nil
		}})
	if err != nil {
		return nil, err
	}
	d := &Detector{Feeder: l, config: c}
	if len(c.Classes) == 0 {
		return d, nil
	}
	d.keep = make([]bool, len(l.labels))
	for _, name := range c.Classes {
		i := slices.Index(l.labels, name)
		if i < 0 {
			return nil, fmt.Errorf("%s: there is no class %q; classes are %s: %w", m.path, name, strings.Join(l.labels, ", "), ErrPreset)
		}
		d.keep[i] = true
	}
	return d, nil
}

// complete puts the defaults for zero thresholds.
func (c *DetectorConfig) complete() error {
	if c.MinScore == 0 {
		c.MinScore = DefaultMinScore
	}
	if c.IoU == 0 {
		c.IoU = DefaultIoU
	}
	if c.MinScore > 1 || c.IoU < 0 || c.IoU > 1 {
		return fmt.Errorf("detector: MinScore %v or IoU %v is not between 0 and 1", c.MinScore, c.IoU)
	}
	return nil
}

// Detect finds the objects in a picture, best first.
func (d *Detector) Detect(ctx context.Context, img image.Image) (dets []Detection, err error) {
	err = d.picture(ctx, img, func(n *lane, f *camera.Frame, t vision.Transform) error {
		dets, err = d.read(n, nil, f, t)
		return err
	})
	return dets, err
}

// DetectFrame finds the objects in a frame, best first. Boxes are in pixels
// of the frame's picture: f.Size() tells how many it has.
func (d *Detector) DetectFrame(ctx context.Context, f *camera.Frame) ([]Detection, error) {
	return d.AppendFrame(ctx, nil, f)
}

// AppendFrame is DetectFrame into the memory of dst, which it replaces: a
// caller that gives the last result back allocates nothing in the long run,
// unless detections carry landmarks or masks.
func (d *Detector) AppendFrame(ctx context.Context, dst []Detection, f *camera.Frame) ([]Detection, error) {
	err := d.onFrame(ctx, f, func(n *lane, f *camera.Frame, t vision.Transform) error {
		var err error
		dst, err = d.read(n, dst[:0], f, t)
		return err
	})
	return dst, err
}

// read turns a lane's outputs into detections behind those of dst.
func (d *Detector) read(n *lane, dst []Detection, f *camera.Frame, t vision.Transform) ([]Detection, error) {
	var err error
	if n.dets, err = n.detector.Decode(n.dets, n.outputs, t, float32(d.config.MinScore)); err != nil {
		return dst, err
	}
	found := n.dets
	if !d.chosen.Unique {
		found = vision.NMS(found, float32(d.config.IoU))
	}
	size := f.Size()
	if err := n.detector.Masks(found, n.outputs, t, size.X, size.Y); err != nil {
		return dst, err
	}
	for _, x := range found {
		if d.keep != nil && !d.keep[x.Class] {
			continue
		}
		x.Landmarks = slices.Clone(x.Landmarks) // the decoder uses its memory again
		if x.Mask != nil {
			x.Mask = &vision.Mask{Rect: x.Mask.Rect, Pix: slices.Clone(x.Mask.Pix)}
		}
		dst = append(dst, x)
	}
	return dst, nil
}

// Draw marks detections on a picture: a box in the colour of the class, and
// its label with the score.
func (d *Detector) Draw(img *image.RGBA, dets []Detection) { vision.Draw(img, dets, d.labels) }
