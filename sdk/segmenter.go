package sdk

import (
	"context"
	"image"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/vision"
)

// Mask holds a small number for each pixel of a part of a picture: its class,
// or 1 for what belongs to an object.
type Mask = vision.Mask

// SegmenterConfig says how a model's input is fed and its output is read. The
// zero value works for a model with a card, or whose outputs can be
// recognised.
type SegmenterConfig struct {
	// Preset, Labels, Threads, NoSpin and MaxSessions are those of
	// DetectorConfig.
	Preset      string
	Labels      []string
	Threads     int
	NoSpin      bool
	MaxSessions int
}

// Segmenter tells the class of every pixel. It is safe for concurrent use.
type Segmenter struct{ *Feeder }

// NewSegmenter makes a segmenter of the model. The error wraps ErrPreset where
// the preset is unknown or does not fit the model.
func (m *Model) NewSegmenter(c SegmenterConfig) (*Segmenter, error) {
	l, err := m.feed(feeding{task: vision.Segment, preset: c.Preset, labels: c.Labels, threads: c.Threads, noSpin: c.NoSpin, maxSessions: c.MaxSessions,
		decode: func(n *lane) (classes int, err error) {
			if n.segmenter, err = vision.NewSegmenter(n.owner.chosen, n.owner.size[0], n.owner.size[1], n.outputs); err != nil {
				return 0, err
			}
			return n.segmenter.Classes(), nil
		}})
	if err != nil {
		return nil, err
	}
	return &Segmenter{l}, nil
}

// Segment returns the class of every pixel of a picture.
func (s *Segmenter) Segment(ctx context.Context, img image.Image) (*Mask, error) {
	m := &Mask{}
	err := s.picture(ctx, img, func(n *lane, f *camera.Frame, t vision.Transform) error {
		size := f.Size()
		return n.segmenter.Decode(m, n.outputs, t, size.X, size.Y)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// SegmentFrame is Segment of a frame, into the memory of dst.
func (s *Segmenter) SegmentFrame(ctx context.Context, dst *Mask, f *camera.Frame) error {
	return s.onFrame(ctx, f, func(n *lane, f *camera.Frame, t vision.Transform) error {
		size := f.Size()
		return n.segmenter.Decode(dst, n.outputs, t, size.X, size.Y)
	})
}

// Draw tints a picture in the colours of the classes; class 0, which most models
// have for the background, stays clear. Mask.Image gives the same colours.
func (s *Segmenter) Draw(img *image.RGBA, m *Mask) { vision.DrawMask(img, m) }
