package vision

import (
	"fmt"
	"image"
	"math"
)

// Segmenter turns the output of one model into a mask of classes. It is used by
// one goroutine at a time.
type Segmenter struct {
	preset        Preset
	width, height int // of the model's input
	maskW, maskH  int // of its output
	classes       int // 0 where the model gives classes, not scores
	last          bool
	use           int
	net           []uint8   // classes of the output
	best          []float32 // their scores
	cols          []int     // of the output, for those of a frame
}

// NewSegmenter returns the decoder of preset p for a model whose input has width
// x height pixels and whose outputs have the names and shapes of outs; their data
// is not read. The output is scores [1, classes, H, W] or [1, H, W, classes], the
// highest of which is the class, or the classes themselves as whole numbers in
// [1, H, W] or with one more axis of extent 1. H and W are those of the input or
// an equal part of both. Where the outputs do not fit, the error wraps ErrPreset.
func NewSegmenter(p Preset, width, height int, outs []Output) (*Segmenter, error) {
	if p.Task != Segment {
		return nil, wrongTask(p, Segment)
	}
	s := &Segmenter{preset: p, width: width, height: height, use: -1}
	for i := range outs {
		if s.fit(outs[i].Shape) {
			s.use = i
			break
		}
	}
	if s.use < 0 {
		return nil, fmt.Errorf("vision: %w: preset %s wants an output [1, 2 to 256 classes, H, W], [1, H, W, classes] or [1, H, W] in proportion to an input of %dx%d; the model has %s",
			ErrPreset, p.Name, width, height, describe(outs))
	}
	s.net = make([]uint8, s.maskW*s.maskH)
	if s.classes > 0 && !s.last {
		s.best = make([]float32, s.maskW*s.maskH)
	}
	return s, nil
}

// fit tries one output.
func (s *Segmenter) fit(shape []int) bool {
	if elems(shape) < 0 || len(shape) < 3 || len(shape) > 4 || shape[0] != 1 {
		return false
	}
	if len(shape) == 3 {
		return s.scale(shape[2], shape[1])
	}
	switch c := shape[1]; {
	case !s.scale(shape[3], shape[2]):
	case c == 1:
		return true
	case c <= 256:
		s.classes = c
		return true
	}
	switch c := shape[3]; {
	case !s.scale(shape[2], shape[1]):
	case c == 1:
		return true
	case c <= 256:
		s.classes, s.last = c, true
		return true
	}
	return false
}

// scale reports whether an output of w x h is the input or an equal part of it.
func (s *Segmenter) scale(w, h int) bool {
	s.maskW, s.maskH = w, h
	return w <= s.width && h <= s.height && s.width%w == 0 && s.height%h == 0 && s.width/w == s.height/h
}

// Classes returns the number of classes that the model tells apart, or 0 where
// its output does not tell.
func (s *Segmenter) Classes() int { return s.classes }

// Decode makes dst the classes of the pixels of a frame of width x height that t
// belongs to, each that of the nearest element of the output. With the zero
// Transform and the size of the input it gives the output itself. It allocates
// nothing once dst has held a frame of the size. An output class above 255 is an
// error.
func (s *Segmenter) Decode(dst *Mask, outs []Output, t Transform, width, height int) error {
	if t == (Transform{}) {
		t = Transform{ScaleX: 1, ScaleY: 1}
	}
	if width < 1 || height < 1 || int64(width)*int64(height) > math.MaxInt32 {
		return fmt.Errorf("vision: preset %s: mask of %dx%d pixels", s.preset.Name, width, height)
	}
	if err := s.read(outs); err != nil {
		return err
	}
	dst.reset(image.Rect(0, 0, width, height))
	if cap(s.cols) < width {
		s.cols = make([]int, width)
	}
	cols := s.cols[:width]
	for x := range cols {
		cols[x] = nearest(t.inputX(x), s.width, s.maskW)
	}
	above := -1
	for y := range height {
		row := dst.Pix[y*width:][:width]
		at := nearest(t.inputY(y), s.height, s.maskH)
		if at == above {
			copy(row, dst.Pix[(y-1)*width:])
			continue
		}
		above = at
		src := s.net[at*s.maskW:][:s.maskW]
		for x, c := range cols {
			row[x] = src[c]
		}
	}
	return nil
}

// nearest returns the element of n on a side of size input pixels that v is in.
func nearest(v float64, size, n int) int {
	return int(min(max(math.Floor(float64(v*float64(n))/float64(size)), 0), float64(n-1)))
}

// read brings the classes of the output to net.
func (s *Segmenter) read(outs []Output) error {
	n := s.maskW * s.maskH * max(s.classes, 1)
	if s.use >= len(outs) {
		return fmt.Errorf("vision: preset %s: %w: there is no output %d", s.preset.Name, errOutputs, s.use)
	}
	o := &outs[s.use]
	ok := true
	switch {
	case len(o.Data) == n && s.classes > 0:
		s.highest(o.Data)
	case s.classes > 0:
		return fmt.Errorf("vision: preset %s: %w: output %d should have %d elements", s.preset.Name, errOutputs, s.use, n)
	case len(o.Data) == n:
		ok = whole(s.net, o.Data)
	case len(o.I64) == n:
		ok = whole(s.net, o.I64)
	case len(o.I32) == n:
		ok = whole(s.net, o.I32)
	case len(o.U8) == n:
		copy(s.net, o.U8)
	default:
		return fmt.Errorf("vision: preset %s: %w: output %d should have %d elements", s.preset.Name, errOutputs, s.use, n)
	}
	if !ok {
		return fmt.Errorf("vision: preset %s: output %q has values that are no classes from 0 to 255", s.preset.Name, o.Name)
	}
	return nil
}

// highest takes the class of highest score, the first of equal ones.
func (s *Segmenter) highest(data []float32) {
	if s.last {
		for i := range s.net {
			at, _ := highest(data[i*s.classes:][:s.classes])
			s.net[i] = uint8(at)
		}
		return
	}
	clear(s.net)
	best, net := s.best, s.net[:len(s.best)]
	copy(best, data)
	for c := 1; c < s.classes; c++ {
		for i, v := range data[c*len(best):][:len(best)] {
			if v > best[i] {
				best[i], net[i] = v, uint8(c)
			}
		}
	}
}

// whole converts classes. It reports false where one is not a byte.
func whole[T float32 | int64 | int32](dst []uint8, src []T) bool {
	for i, v := range src {
		if !(v >= 0 && v <= 255) {
			return false
		}
		dst[i] = uint8(v)
	}
	return true
}
