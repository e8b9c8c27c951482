package vision

import (
	"fmt"
	"image"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// Layout is the order of a tensor's axes.
type Layout uint8

// The layouts of an input of one frame.
const (
	NCHW Layout = iota // a plane for each channel
	NHWC               // the channels of a pixel together
)

// Preprocessor turns pictures of any size and format into the input of a model in
// one pass: converted to three channels as camera.Frame.ToRGBA does, resized,
// letterboxed or cropped, and normalised, a row at a time and by the kernels of
// the CPU. The result is bit for bit that of the steps one after the other, with
// normalised values rounded once from float64 for the presets of the table, and
// for other means and deviations to within one unit in the last place. It is used
// by one goroutine at a time.
type Preprocessor struct {
	preset        Preset
	width, height int
	layout        Layout
	kernels       *kernels.Set
	norm          *ref.NormF32 // in the input's order of channels
	resize        resizer
	shrink        shrinker
	frame         camera.Frame // a copy of an image that cannot be read as it lies
}

// NewPreprocessor returns a Preprocessor for a model's input of width x height
// pixels. It fails where the environment variable EDGECAM_KERNELS names no rung.
func NewPreprocessor(p Preset, width, height int, layout Layout) (*Preprocessor, error) {
	if width < 1 || height < 1 || width > 1<<15 || height > 1<<15 {
		return nil, fmt.Errorf("vision: preset %s: input of %dx%d pixels: want 1 to 32768 a side", p.Name, width, height)
	}
	if p.Place == CropCentre && (p.Crop < 1 || p.Resize < p.Crop) {
		return nil, fmt.Errorf("vision: preset %s: a crop of %d pixels from %d", p.Name, p.Crop, p.Resize)
	}
	set, err := kernels.Select()
	if err != nil {
		return nil, fmt.Errorf("vision: preprocessing: %w", err)
	}
	pre := &Preprocessor{preset: p, width: width, height: height, layout: layout, kernels: set, norm: ref.NewNormF32(p.Mean, p.Std)}
	pre.resize.src.kernels, pre.shrink.src.kernels = set, set
	return pre, nil
}

// mostSide keeps the places of pixels in a row, and of weights, within 32 bits.
const mostSide = 1 << 27

// Len returns the number of elements of the input.
func (p *Preprocessor) Len() int { return 3 * p.width * p.height }

// Preprocess writes the whole input for f to dst, which has Len elements, and
// says where in it the frame lies. It allocates nothing unless the size or the
// format of the frames changes.
func (p *Preprocessor) Preprocess(dst []float32, f *camera.Frame) (Transform, error) {
	if err := f.Check(); err != nil {
		return Transform{}, fmt.Errorf("vision: preprocessing: %w", err)
	}
	return p.run(dst, viewFrame(f))
}

// PreprocessImage is Preprocess for an image, with the pixels that
// camera.Frame.SetImage gives. RGBA, NRGBA, Gray and, in 4:4:4, 4:2:2 and 4:2:0,
// YCbCr are read where they lie; others are copied first.
func (p *Preprocessor) PreprocessImage(dst []float32, img image.Image) (Transform, error) {
	if v, ok := viewImage(img); ok {
		return p.run(dst, v)
	}
	p.frame.SetImage(img)
	return p.Preprocess(dst, &p.frame)
}

func (p *Preprocessor) run(dst []float32, v view) (Transform, error) {
	if len(dst) != p.Len() {
		return Transform{}, fmt.Errorf("vision: preprocessing: input of %d elements, want 3x%dx%d", len(dst), p.height, p.width)
	}
	for _, side := range []int{v.width, v.height, v.full.X, v.full.Y} {
		if side < 1 || side > mostSide {
			return Transform{}, fmt.Errorf("vision: preprocessing: picture of %dx%d pixels, %dx%d in its source: want 1 to %d a side", v.width, v.height, v.full.X, v.full.Y, mostSide)
		}
	}
	if p.preset.Place == CropCentre {
		return p.crop(dst, v), nil
	}
	w, h, t := p.preset.fit(p.width, p.height, v.full)
	left, top := int(t.OffsetX), int(t.OffsetY)
	p.resize.start(v, w, h, p.preset.BGR)
	for y := range p.height {
		if y < top || y >= top+h {
			p.border(dst, 0, p.width, y)
			continue
		}
		p.border(dst, 0, left, y)
		up, down, a, b := p.resize.row(y - top)
		p.put(dst, up, down, a, b, left, y)
		p.border(dst, left+w, p.width, y)
	}
	return t, nil
}

// crop fills the input from the middle of v.
func (p *Preprocessor) crop(dst []float32, v view) Transform {
	w, h, t := p.preset.fit(p.width, p.height, v.full)
	left, top := int(-t.OffsetX), int(-t.OffsetY)
	p.shrink.start(v, w, h, left, top, p.width, p.height, p.preset.BGR)
	for y := range p.height {
		row := p.shrink.row(y)
		p.put(dst, row, row, coefOne, 0, 0, y)
	}
	return t
}

// place returns where channel c of the pixel (x, y) is, and the distance of the
// next pixel.
func (p *Preprocessor) place(c, x, y int) (at, step int) {
	if p.layout == NHWC {
		return 3*(y*p.width+x) + c, 3
	}
	return (c*p.height+y)*p.width + x, 1
}

// put writes pixels from (x, y) on: the mean of two rows with the weights a and b.
func (p *Preprocessor) put(dst []float32, up, down []uint16, a, b, x, y int) {
	n := len(up) / 4
	i, _ := p.place(0, x, y)
	if p.layout == NHWC {
		p.kernels.U8Pixels(dst[i:][:3*n], up, down, a, b, p.norm)
		return
	}
	j, _ := p.place(1, x, y)
	k, _ := p.place(2, x, y)
	p.kernels.U8Planes(dst[i:][:n], dst[j:][:n], dst[k:][:n], up, down, a, b, p.norm)
}

// border pads the pixels [x0, x1) of row y.
func (p *Preprocessor) border(dst []float32, x0, x1, y int) {
	if x0 == x1 {
		return
	}
	for c := range p.norm.Value {
		v := p.norm.Value[c][p.preset.Pad]
		at, step := p.place(c, x0, y)
		for range x1 - x0 {
			dst[at] = v
			at += step
		}
	}
}
