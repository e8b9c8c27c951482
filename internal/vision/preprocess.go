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

// Preprocessor turns frames of any size and format into the input of a model in
// one pass: converted to three channels as camera.Frame.ToRGBA does, resized,
// letterboxed or cropped, and normalised. The result is bit for bit that of the
// steps one after the other. It is used by one goroutine at a time.
type Preprocessor struct {
	preset        Preset
	width, height int
	layout        Layout
	pad           [3]float32
	value         [3][256]float32 // input value of each byte, by channel
	resize        Resizer
	shrink        shrinker
}

// NewPreprocessor returns a Preprocessor for a model's input of width x height
// pixels.
func NewPreprocessor(p Preset, width, height int, layout Layout) (*Preprocessor, error) {
	if width < 1 || height < 1 || width > 1<<15 || height > 1<<15 {
		return nil, fmt.Errorf("vision: preset %s: input of %dx%d pixels: want 1 to 32768 a side", p.Name, width, height)
	}
	if p.Place == CropCentre && (p.Crop < 1 || p.Resize < p.Crop) {
		return nil, fmt.Errorf("vision: preset %s: a crop of %d pixels from %d", p.Name, p.Crop, p.Resize)
	}
	pre := &Preprocessor{preset: p, width: width, height: height, layout: layout}
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
	if p.preset.Place == CropCentre {
		return p.crop(dst, f), nil
	}
	w, h := p.width, p.height
	t := Transform{ScaleX: float64(w) / float64(f.Width), ScaleY: float64(h) / float64(f.Height)}
	left, top := 0, 0
	if p.preset.Place != Stretch {
		r := min(t.ScaleX, t.ScaleY)
		t.ScaleX, t.ScaleY = r, r
		w = min(p.width, max(1, int(math.RoundToEven(float64(f.Width)*r))))
		h = min(p.height, max(1, int(math.RoundToEven(float64(f.Height)*r))))
		if p.preset.Place == LetterboxCentre {
			left, top = (p.width-w)/2, (p.height-h)/2
			t.OffsetX, t.OffsetY = float64(left), float64(top)
		}
	}
	p.resize.Start(f, w, h)
	for y := range p.height {
		if y < top || y >= top+h {
			p.border(dst, 0, p.width, y)
			continue
		}
		p.border(dst, 0, left, y)
		p.put(dst, p.resize.row(y-top), f, left, y)
		p.border(dst, left+w, p.width, y)
	}
	return t, nil
}

// crop fills the input from the middle of f: the side that limits becomes
// Resize pixels for Crop of the input, the other one in proportion, rounded down,
// and so are the offsets.
func (p *Preprocessor) crop(dst []float32, f *camera.Frame) Transform {
	w, h := p.width*p.preset.Resize/p.preset.Crop, p.height*p.preset.Resize/p.preset.Crop
	frameW, frameH := int64(f.Width), int64(f.Height)
	const most = 1 << 30 // of a frame that is a line
	if frameW*int64(p.height) < frameH*int64(p.width) {
		h = max(p.height, int(min(int64(w)*frameH/frameW, most)))
	} else {
		w = max(p.width, int(min(int64(h)*frameW/frameH, most)))
	}
	left, top := (w-p.width)/2, (h-p.height)/2
	p.shrink.start(f, w, h, left, top, p.width, p.height)
	for y := range p.height {
		p.put(dst, p.shrink.row(y), f, 0, y)
	}
	return Transform{
		ScaleX: float64(w) / float64(f.Width), ScaleY: float64(h) / float64(f.Height),
		OffsetX: -float64(left), OffsetY: -float64(top),
	}
}

// place returns where channel c of the pixel (x, y) is, and the distance of the
// next pixel.
func (p *Preprocessor) place(c, x, y int) (at, step int) {
	if p.layout == NHWC {
		return 3*(y*p.width+x) + c, 3
	}
	return (c*p.height+y)*p.width + x, 1
}

// put writes pixels of f from (x, y) on.
func (p *Preprocessor) put(dst []float32, px []uint64, f *camera.Frame, x, y int) {
	first, last := 0, 2 // channels of the input that the first and last of a pixel are
	if p.preset.BGR != (f.Format == camera.BGR24) {
		first, last = 2, 0
	}
	i, step := p.place(first, x, y)
	j, _ := p.place(1, x, y)
	k, _ := p.place(last, x, y)
	a, b, c := &p.value[first], &p.value[1], &p.value[last]
	if step == 1 {
		d0 := dst[i:][:len(px)]
		d1, d2 := dst[j:][:len(px)], dst[k:][:len(px)]
		for n, v := range px {
			d0[n], d1[n], d2[n] = a[byte(v)], b[byte(v>>lane)], c[byte(v>>(2*lane))]
		}
		return
	}
	for _, v := range px {
		dst[i], dst[j], dst[k] = a[byte(v)], b[byte(v>>lane)], c[byte(v>>(2*lane))]
		i, j, k = i+step, j+step, k+step
	}
}

// border pads the pixels [x0, x1) of row y.
func (p *Preprocessor) border(dst []float32, x0, x1, y int) {
	for c, v := range p.pad {
		at, step := p.place(c, x0, y)
		for range x1 - x0 {
			dst[at] = v
			at += step
		}
	}
}
