package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// GridSample reads an image [N,C,H,W] or volume [N,C,D,H,W] at the normalised
// coordinates of a grid [N,...,2 or 3], whose last axis is (x, y) or
// (x, y, z); -1 and 1 are the borders of the image, or, with AlignCorners,
// the centres of its outermost elements.
type GridSample struct {
	Mode         string // nearest, linear or cubic
	Padding      string // zeros, border or reflection
	AlignCorners bool
}

func newGridSample(n *graph.Node, _ int) (graph.Op, error) {
	g := &GridSample{
		Mode:         n.Attrs.String("mode", "linear"),
		Padding:      n.Attrs.String("padding_mode", "zeros"),
		AlignCorners: n.Attrs.Int("align_corners", 0) != 0,
	}
	// Operator set 16 has two-dimensional names.
	switch g.Mode {
	case "bilinear":
		g.Mode = "linear"
	case "bicubic":
		g.Mode = "cubic"
	case "linear", "cubic", "nearest":
	default:
		return nil, fmt.Errorf("attribute mode: %q: %w", g.Mode, ErrUnsupported)
	}
	switch g.Padding {
	case "zeros", "border", "reflection":
		return g, nil
	}
	return nil, fmt.Errorf("attribute padding_mode: %q: %w", g.Padding, ErrUnsupported)
}

// Infer implements graph.Op.
func (g *GridSample) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	for _, v := range in {
		if err := floatType(v); err != nil {
			return nil, err
		}
	}
	x, grid := in[0].Type.Shape, in[1].Type.Shape
	rank := len(x) - 2
	if rank < 2 || rank > 3 || len(grid) != len(x) || grid[0] != x[0] || grid[rank+1] != rank {
		return nil, fmt.Errorf("input %v with grid %v: %w", x, grid, ErrShape)
	}
	y := append(x[:2].Clone(), grid[1:rank+1]...)
	if x[2:].Elems() == 0 && y.Elems() != 0 {
		return nil, fmt.Errorf("input %v is empty: %w", x, ErrShape)
	}
	return []tensor.Type{{DType: in[0].Type.DType, Shape: y}}, nil
}

// Eval implements Evaluator.
func (g *GridSample) Eval(in, out []*tensor.Tensor) error {
	g.points(in, out[0], 0, out[0].Shape[0]*out[0].Shape[2:].Elems())
	return nil
}

// Prepare implements Preparer: points in parallel.
func (g *GridSample) Prepare(env *Env) ([]Step, error) {
	if g.fast(env.In) {
		return g.steps(env), nil
	}
	in, y := env.In, env.Out[0]
	return split("gridsample", y.Shape[0]*y.Shape[2:].Elems(), 64*y.Shape[1], func(_, lo, hi int) {
		g.points(in, y, lo, hi)
	}), nil
}

// neighbours are the input positions along one axis that an interpolation
// reads, with their weights; a negative position counts as zero.
type neighbours struct {
	n int
	i [4]int
	w [4]float64
}

// points computes points lo to hi of all images, in every channel.
func (g *GridSample) points(in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	x, grid := in[0], in[1]
	rank, channels := len(x.Shape)-2, x.Shape[1]
	per := y.Shape[2:].Elems()
	size := x.Shape[2:].Elems()
	for p := lo; p < hi; p++ {
		axes := [3]neighbours{{n: 1, w: [4]float64{1}}}
		for a := range rank {
			c := float32(grid.Float(p*rank + rank - 1 - a))
			axes[3-rank+a] = g.neighbours(c, x.Shape[2+a])
		}
		for c := range channels {
			base := (p/per*channels + c) * size
			y.SetFloat((p/per*channels+c)*per+p%per, interpolate(x, base, rank, &axes))
		}
	}
}

// interpolate sums the elements of a channel that starts at base.
func interpolate(x *tensor.Tensor, base, rank int, axes *[3]neighbours) float64 {
	h, w := x.Shape[rank], x.Shape[rank+1]
	sum := 0.0
	d, v, u := &axes[0], &axes[1], &axes[2]
	for a := range d.n {
		for b := range v.n {
			weight := d.w[a] * v.w[b]
			for c := range u.n {
				if d.i[a] < 0 || v.i[b] < 0 || u.i[c] < 0 {
					continue
				}
				sum += weight * u.w[c] * x.Float(base+(d.i[a]*h+v.i[b])*w+u.i[c])
			}
		}
	}
	return sum
}

// neighbours finds the positions for a normalised coordinate along an axis of
// n elements. It works in float32, as ONNX Runtime does.
func (g *GridSample) neighbours(c float32, n int) neighbours {
	x, lo, hi := ((c+1)*float32(n)-1)/2, float32(-0.5), float32(n)-0.5
	if g.AlignCorners {
		x, lo, hi = (c+1)/2*float32(n-1), 0, float32(n)-1
	}
	if g.Mode == "nearest" {
		x = float32(math.RoundToEven(float64(x)))
	}
	if !(x >= lo && x <= hi) {
		switch {
		case g.Padding == "border" && g.Mode != "cubic": // there each position is clamped, as in PyTorch
			x = max(0, min(x, float32(n-1)))
		case g.Padding == "reflection":
			x = float32(reflect(float64(x), float64(lo), float64(hi)))
		}
	}
	// Far away, or not a number: nothing is hit, and the conversion is safe.
	if !(math.Abs(float64(x)) < maxWindow) {
		x = -maxWindow
	}
	base := math.Floor(float64(x))
	f := float64(x) - base
	r := neighbours{n: 1, w: [4]float64{1}}
	first := int(base)
	switch g.Mode {
	case "linear":
		r.n, r.w = 2, [4]float64{1 - f, f}
	case "cubic":
		r.n, first = 4, first-1
		for k := range r.w {
			r.w[k] = keys(math.Abs(f-float64(k-1)), -0.75)
		}
	}
	for k := range r.n {
		i := first + k
		if i < 0 || i >= n {
			switch g.Padding {
			case "border":
				i = max(0, min(i, n-1))
			case "reflection":
				i = max(0, min(int(reflect(float64(i), float64(lo), float64(hi))), n-1))
			default:
				i = -1
			}
		}
		r.i[k] = i
	}
	return r
}

// reflect folds x back at lo and hi until it is between them.
func reflect(x, lo, hi float64) float64 {
	span := hi - lo
	if span <= 0 || math.IsInf(x, 0) {
		return lo
	}
	over, back := x-hi, hi
	if x < lo {
		over, back = lo-x, lo
	} else if !(x > hi) {
		return x
	}
	n := math.Floor(over / span)
	r := over - n*span
	if math.Mod(n, 2) != 0 {
		// An odd number of folds ends at the other border.
		back = lo + hi - back
	}
	if back == lo {
		return lo + r
	}
	return hi - r
}

// RoiAlign averages, or takes the maximum of, bilinear samples in the cells of
// a grid laid over each region of an image.
//
// Inputs: x [N,C,H,W], regions [R,4] as x0, y0, x1, y1, image of each region
// [R]. Output [R,C,Height,Width]. As in ONNX Runtime and ONNX's reference, the
// maximum is over the four weighted neighbours of each sample, not over their
// sums.
type RoiAlign struct {
	Max           bool
	HalfPixel     bool // shift regions by half an element; false: and make them at least 1x1
	Height, Width int
	Samples       int // along each side of a cell; 0: as many as elements
	Scale         float64
}

// maxSamples bounds the samples along a side of a cell that a huge region
// asks for.
const maxSamples = 1 << 10

func newRoiAlign(n *graph.Node, opset int) (graph.Op, error) {
	mode := n.Attrs.String("mode", "avg")
	coord := n.Attrs.String("coordinate_transformation_mode", "half_pixel")
	if opset < 16 {
		coord = "output_half_pixel"
	}
	r := &RoiAlign{
		Max:       mode == "max",
		HalfPixel: coord == "half_pixel",
		Height:    n.Attrs.Int("output_height", 1),
		Width:     n.Attrs.Int("output_width", 1),
		Samples:   n.Attrs.Int("sampling_ratio", 0),
		Scale:     float64(n.Attrs.Float("spatial_scale", 1)),
	}
	if mode != "avg" && mode != "max" || coord != "half_pixel" && coord != "output_half_pixel" {
		return nil, fmt.Errorf("attributes mode %q, coordinate_transformation_mode %q: %w", mode, coord, ErrUnsupported)
	}
	if r.Height < 1 || r.Width < 1 || r.Height > maxWindow || r.Width > maxWindow || r.Samples < 0 || r.Samples > maxSamples {
		return nil, fmt.Errorf("attributes output_height %d, output_width %d, sampling_ratio %d: %w", r.Height, r.Width, r.Samples, ErrUnsupported)
	}
	return r, nil
}

// Infer implements graph.Op.
func (r *RoiAlign) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 3, 3); err != nil {
		return nil, err
	}
	if err := floatArgs(in[:2], 2, 2); err != nil {
		return nil, err
	}
	if !in[2].Type.DType.IsInt() {
		return nil, fmt.Errorf("input 2 must hold integers: %w", ErrUnsupported)
	}
	x, rois, image := in[0].Type.Shape, in[1].Type.Shape, in[2].Type.Shape
	if len(x) != 4 || len(rois) != 2 || rois[1] != 4 || len(image) != 1 || image[0] != rois[0] || x[2]*x[3] == 0 {
		return nil, fmt.Errorf("input %v with regions %v of images %v: %w", x, rois, image, ErrShape)
	}
	return []tensor.Type{tensor.Of(in[0].Type.DType, rois[0], x[1], r.Height, r.Width)}, nil
}

// Eval implements Evaluator.
func (r *RoiAlign) Eval(in, out []*tensor.Tensor) error {
	for i := range in[2].Elems() {
		if b := in[2].Int(i); b < 0 || b >= int64(in[0].Shape[0]) {
			return fmt.Errorf("region %d is in image %d of %d", i, b, in[0].Shape[0])
		}
	}
	y := out[0]
	for cell := range y.Shape[0] * r.Height * r.Width {
		r.cell(in, y, cell)
	}
	return nil
}

// cell computes one cell of one region in every channel.
func (r *RoiAlign) cell(in []*tensor.Tensor, y *tensor.Tensor, cell int) {
	x, rois := in[0], in[1]
	roi, ph, pw := cell/(r.Height*r.Width), cell/r.Width%r.Height, cell%r.Width
	channels, size := x.Shape[1], x.Shape[2]*x.Shape[3]
	v := r.side(rois.Float(roi*4+1), rois.Float(roi*4+3), r.Height, ph)
	u := r.side(rois.Float(roi*4), rois.Float(roi*4+2), r.Width, pw)
	for c := range channels {
		base := (int(in[2].Int(roi))*channels + c) * size
		acc, first := 0.0, true
		for i := range v.n {
			a := v.sample(i, x.Shape[2])
			for j := range u.n {
				b := u.sample(j, x.Shape[3])
				for k := range 4 {
					p, q := k>>1, k&1
					s := a.w[p] * b.w[q] * x.Float(base+a.i[p]*x.Shape[3]+b.i[q])
					if !r.Max {
						acc += s
					} else if first || s > acc {
						acc = s
					}
					first = false
				}
			}
		}
		if !r.Max {
			acc /= float64(max(1, v.n*u.n))
		}
		y.SetFloat(((roi*channels+c)*r.Height+ph)*r.Width+pw, acc)
	}
}

// side holds the samples along one side of a cell.
type side struct {
	start, step float64
	n           int
}

// side places cell p of n between the ends of a region. It works in float32,
// as ONNX Runtime does, since the number of samples depends on the rounding.
func (r *RoiAlign) side(x0, x1 float64, n, p int) side {
	from, to := float32(x0)*float32(r.Scale), float32(x1)*float32(r.Scale)
	length := to - from
	if r.HalfPixel {
		from -= 0.5
	} else {
		length = max(length, 1)
	}
	bin := length / float32(n)
	samples := r.Samples
	if samples == 0 {
		samples = int(max(0, min(math.Ceil(float64(bin)), maxSamples)))
	}
	return side{float64(from + float32(p)*bin), float64(bin) / float64(samples), samples}
}

// sample returns the two neighbours of sample i along an axis of n elements.
func (s *side) sample(i, n int) neighbours {
	at := s.start + (float64(i)+0.5)*s.step
	if !(at >= -1 && at <= float64(n)) {
		return neighbours{}
	}
	at = max(at, 0)
	lo := int(at)
	if lo >= n-1 {
		return neighbours{i: [4]int{n - 1, n - 1}, w: [4]float64{1, 0}}
	}
	f := at - float64(lo)
	return neighbours{i: [4]int{lo, lo + 1}, w: [4]float64{1 - f, f}}
}
