package sdk

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"time"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/internal/vision"
)

// ReaderConfig says how a model's input is fed and its outputs are read. The
// zero value works for a model with a card, or whose outputs can be recognised.
type ReaderConfig struct {
	// Preset, MinScore, IoU, Threads, NoSpin and MaxSessions are those of
	// DetectorConfig.
	Preset      string
	MinScore    float64
	IoU         float64
	Threads     int
	NoSpin      bool
	MaxSessions int
}

// Reader reads what a model tells of a picture, whatever its task. It is safe
// for concurrent use.
type Reader struct {
	*Feeder
	boxes *Detector // its thresholds, for models that detect
	raw   bool      // no decoder fits
}

// Reading is what a model tells of one picture. One of the fields is set, by
// the model's task.
type Reading struct {
	Top        []Category  // of a classifier: the five best, best first; not nil, and empty where no score is a number
	Detections []Detection // of a detector, best first; not nil, also where nothing was found
	Mask       *Mask       // of a segmenter
	Outputs    [][]float32 // of a model whose outputs no decoder fits: the outputs as they are
}

// NewReader makes a reader of the model. The preset, which the model's card or
// the shapes of its outputs name where c does not, says how pictures are fed;
// where its decoder does not fit the outputs, they are given as they are. The
// error wraps ErrPreset where it is not known how the model is fed.
func (m *Model) NewReader(c ReaderConfig) (*Reader, error) {
	d := DetectorConfig{MinScore: c.MinScore, IoU: c.IoU}
	if err := d.complete(); err != nil {
		return nil, err
	}
	r := &Reader{}
	l, err := m.feed(feeding{anyTask: true, preset: c.Preset, threads: c.Threads, noSpin: c.NoSpin, maxSessions: c.MaxSessions, decode: r.decode})
	if err != nil {
		return nil, err
	}
	r.Feeder, r.boxes = l, &Detector{Feeder: l, config: d}
	return r, nil
}

// decode makes the decoder of a lane.
func (r *Reader) decode(n *lane) (classes int, err error) {
	l := n.owner
	switch l.chosen.Task {
	case vision.Detect:
		if n.detector, err = vision.NewDecoder(l.chosen, l.size[0], l.size[1], n.outputs); err == nil {
			return n.detector.Classes(), nil
		}
	case vision.Classify:
		if n.classifier, err = vision.NewClassifier(l.chosen, n.outputs); err == nil {
			return n.classifier.Classes(), nil
		}
	case vision.Segment:
		if n.segmenter, err = vision.NewSegmenter(l.chosen, l.size[0], l.size[1], n.outputs); err == nil {
			return n.segmenter.Classes(), nil
		}
	}
	n.detector, n.classifier, n.segmenter = nil, nil, nil
	if !errors.Is(err, ErrPreset) {
		return 0, err
	}
	r.raw = true
	return 0, nil
}

// Task returns what the model is read for: detect, classify or segment, or
// outputs where no decoder fits.
func (r *Reader) Task() string {
	if r.raw {
		return "outputs"
	}
	return r.chosen.Task.String()
}

// Size returns the width and height of the model's input.
func (r *Reader) Size() (width, height int) { return r.size[0], r.size[1] }

// ReadFrame returns what the model tells of a frame. Boxes and masks are in
// pixels of the frame's picture.
func (r *Reader) ReadFrame(ctx context.Context, f *camera.Frame) (*Reading, error) {
	res := &Reading{}
	err := r.onFrame(ctx, f, func(n *lane, f *camera.Frame, t vision.Transform) error { return r.read(n, res, f, t) })
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Input returns a frame as the model is fed it: a tensor that ReadInput takes. It
// is dst where that has the size, and otherwise, or where dst is nil, a new one.
func (r *Reader) Input(ctx context.Context, dst *Tensor, f *camera.Frame) (*Tensor, error) {
	if f == nil {
		return nil, errors.New("there is no frame")
	}
	n, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer r.put(n)
	if dst == nil || dst.DType != Float32 || dst.Elems() != len(n.input) {
		dst = tensor.New(Float32, n.session.Inputs()[0].Type.Shape...)
	}
	if _, err := n.pre.Preprocess(dst.F32(), f); err != nil {
		return nil, err
	}
	return dst, nil
}

// ReadInput returns what the model tells of an input as Input gives it. Boxes
// and masks are in pixels of the input.
func (r *Reader) ReadInput(ctx context.Context, x *Tensor) (*Reading, error) {
	n, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer r.put(n)
	if x == nil || x.DType != Float32 || x.Elems() != len(n.input) {
		return nil, fmt.Errorf("reading an input: a tensor of %d float32 is needed: %w", len(n.input), ErrInput)
	}
	start := time.Now()
	copy(n.input, x.F32())
	res := &Reading{}
	frame := camera.Frame{Width: r.size[0], Height: r.size[1]}
	err = n.run(ctx, start, &frame, vision.Transform{ScaleX: 1, ScaleY: 1}, func(n *lane, f *camera.Frame, t vision.Transform) error {
		return r.read(n, res, f, t)
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// read turns a lane's outputs into a reading.
func (r *Reader) read(n *lane, res *Reading, f *camera.Frame, t vision.Transform) (err error) {
	size := f.Size()
	switch {
	case n.detector != nil:
		res.Detections, err = r.boxes.read(n, []Detection{}, f, t)
	case n.classifier != nil:
		res.Top, err = n.classifier.Decode([]Category{}, n.outputs, DefaultTop)
	case n.segmenter != nil:
		res.Mask = &Mask{}
		err = n.segmenter.Decode(res.Mask, n.outputs, t, size.X, size.Y)
	default:
		for _, o := range n.outputs {
			if o.Data != nil {
				res.Outputs = append(res.Outputs, slices.Clone(o.Data))
			}
		}
		if len(res.Outputs) == 0 {
			err = errors.New("the model has no float32 output to read")
		}
	}
	return err
}

// Draw draws a reading on its picture: boxes with their labels, or the colours
// of the classes of a mask. Of a classifier and of raw outputs there is nothing
// to draw.
func (r *Reader) Draw(img *image.RGBA, x *Reading) {
	if x.Mask != nil {
		vision.DrawMask(img, x.Mask)
	}
	vision.Draw(img, x.Detections, r.labels)
}

// Shapes returns the sizes of the model's inputs as the reader feeds them, for
// SessionConfig.Shapes.
func (r *Reader) Shapes() map[string][]int { return r.session.Shapes }
