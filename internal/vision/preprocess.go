package vision

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/camera"
)

// Layout is the order of a tensor's axes.
type Layout uint8

// The layouts of an input of one frame.
const (
	NCHW Layout = iota // a plane for each channel
	NHWC               // the channels of a pixel together
)

// Preprocessor turns frames of any size into the input of a model: resized,
// letterboxed and normalised. It is used by one goroutine at a time.
type Preprocessor struct {
	width, height int
	layout        Layout
	place         Placement
	pad           [3]float32
	value         [3][256]float32 // input value of each byte, by channel
	bgr           bool
	resize        Resizer
	line          []byte
}

// NewPreprocessor returns a Preprocessor for a model's input of width x height
// pixels.
func NewPreprocessor(p Preset, width, height int, layout Layout) (*Preprocessor, error) {
	if width < 1 || height < 1 || width > 1<<15 || height > 1<<15 {
		return nil, fmt.Errorf("vision: preset %s: input of %dx%d pixels: want 1 to 32768 a side", p.Name, width, height)
	}
	pre := &Preprocessor{width: width, height: height, layout: layout, place: p.Place, bgr: p.BGR, line: make([]byte, 3*width)}
	for c := range pre.value {
		for v := range pre.value[c] {
			pre.value[c][v] = float32((float64(v) - p.Mean[c]) / p.Std[c])
		}
		pre.pad[c] = pre.value[c][p.Pad]
	}
	return pre, nil
}

// Len returns the number of elements of the input.
func (p *Preprocessor) Len() int { return 3 * p.width * p.height }

// Preprocess writes the whole input for f to dst, which has Len elements, and
// says where in it the frame lies. It allocates nothing unless the size of the
// frames changes.
func (p *Preprocessor) Preprocess(dst []float32, f *camera.Frame) (Transform, error) {
	if err := f.Check(); err != nil {
		return Transform{}, fmt.Errorf("vision: preprocessing: %w", err)
	}
	if len(dst) != p.Len() {
		return Transform{}, fmt.Errorf("vision: preprocessing: input of %d elements, want 3x%dx%d", len(dst), p.height, p.width)
	}
	w, h := p.width, p.height
	t := Transform{ScaleX: float64(w) / float64(f.Width), ScaleY: float64(h) / float64(f.Height)}
	left, top := 0, 0
	if p.place != Stretch {
		r := min(t.ScaleX, t.ScaleY)
		t.ScaleX, t.ScaleY = r, r
		w = min(p.width, max(1, int(math.RoundToEven(float64(f.Width)*r))))
		h = min(p.height, max(1, int(math.RoundToEven(float64(f.Height)*r))))
		if p.place == LetterboxCentre {
			left, top = (p.width-w)/2, (p.height-h)/2
			t.OffsetX, t.OffsetY = float64(left), float64(top)
		}
	}
	p.resize.Fit(f.Width, f.Height, w, h)
	p.resize.Restart()
	if p.layout == NHWC {
		p.fillNHWC(dst, f, left, top, w, h)
	} else {
		p.fillNCHW(dst, f, left, top, w, h)
	}
	return t, nil
}

// order returns the places of the input's first and last channel in a pixel of f.
func (p *Preprocessor) order(f *camera.Frame) (first, last int) {
	if p.bgr != (f.Format == camera.BGR24) {
		return 2, 0
	}
	return 0, 2
}

func (p *Preprocessor) fillNCHW(dst []float32, f *camera.Frame, left, top, w, h int) {
	plane := p.width * p.height
	channel := [3]int{1: 1} // of each byte of a pixel
	channel[0], channel[2] = p.order(f)
	value := [3]*[256]float32{&p.value[channel[0]], &p.value[1], &p.value[channel[2]]}
	for c := range 3 {
		d := dst[c*plane:][:plane]
		fill(d[:top*p.width], p.pad[c])
		fill(d[(top+h)*p.width:], p.pad[c])
	}
	for y := range h {
		p.resize.Row(p.line, f.Pix, f.Stride, y)
		var part [3][]float32
		for i, c := range channel {
			d := dst[c*plane+(top+y)*p.width:][:p.width]
			fill(d[:left], p.pad[c])
			fill(d[left+w:], p.pad[c])
			part[i] = d[left : left+w]
		}
		d0 := part[0]
		d1, d2, src := part[1][:len(d0)], part[2][:len(d0)], p.line[:3*w]
		for x := range d0 {
			if len(src) < 3 {
				break
			}
			d0[x], d1[x], d2[x] = value[0][src[0]], value[1][src[1]], value[2][src[2]]
			src = src[3:]
		}
	}
}

func (p *Preprocessor) fillNHWC(dst []float32, f *camera.Frame, left, top, w, h int) {
	row := 3 * p.width
	first, last := p.order(f)
	p.fillPixels(dst[:top*row])
	p.fillPixels(dst[(top+h)*row:])
	for y := range h {
		p.resize.Row(p.line, f.Pix, f.Stride, y)
		d := dst[(top+y)*row:][:row]
		p.fillPixels(d[:3*left])
		p.fillPixels(d[3*(left+w):])
		d = d[3*left : 3*(left+w)]
		src := p.line[:3*w]
		for len(d) >= 3 && len(src) >= 3 {
			d[0], d[1], d[2] = p.value[0][src[first]], p.value[1][src[1]], p.value[2][src[last]]
			d, src = d[3:], src[3:]
		}
	}
}

func (p *Preprocessor) fillPixels(d []float32) {
	for len(d) >= 3 {
		d[0], d[1], d[2] = p.pad[0], p.pad[1], p.pad[2]
		d = d[3:]
	}
}

func fill(d []float32, v float32) {
	for i := range d {
		d[i] = v
	}
}
