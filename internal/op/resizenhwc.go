package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// ResizeNHWC is the machine form of a two-dimensional resize over
// channels-last data by linear interpolation or nearest neighbour. Output row
// i is x[Y0[i]] + (x[Y1[i]]-x[Y0[i]])·TY[i], columns likewise; Linear is
// unset where every weight is zero. Exact asks for the roundings of ONNX
// Runtime, which decide ties where the result is quantized: the sum of the
// four neighbours times the products of their weights, row by row. Elements
// may also be 8-bit integers, whose results are always exact in this sense,
// and then lose their fraction.
type ResizeNHWC struct {
	Linear bool
	Exact  bool
	Y0, Y1 []int
	TY     []float32
	X0, X1 []int
	TX     []float32
}

// Infer implements graph.Op.
func (r *ResizeNHWC) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Type
	if len(x.Shape) != 4 || x.DType != tensor.Float32 && !bytesWide(x.DType) {
		return nil, fmt.Errorf("ResizeNHWC of %v: %w", x, ErrShape)
	}
	for i, y := range r.Y0 {
		if y < 0 || y >= x.Shape[1] || r.Y1[i] < 0 || r.Y1[i] >= x.Shape[1] {
			return nil, fmt.Errorf("row %d of %d: %w", y, x.Shape[1], ErrShape)
		}
	}
	for i, c := range r.X0 {
		if c < 0 || c >= x.Shape[2] || r.X1[i] < 0 || r.X1[i] >= x.Shape[2] {
			return nil, fmt.Errorf("column %d of %d: %w", c, x.Shape[2], ErrShape)
		}
	}
	return []tensor.Type{tensor.Of(x.DType, x.Shape[0], len(r.Y0), len(r.X0), x.Shape[3])}, nil
}

// Pitched implements Pitcher.
func (r *ResizeNHWC) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (r *ResizeNHWC) Eval(in, out []*tensor.Tensor) error {
	n, h, w, ch := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], in[0].Shape[3]
	k := 0
	at := func(b, i, j, c int) float64 { return in[0].Float(((b*h+i)*w+j)*ch + c) }
	for b := range n {
		for i := range r.Y0 {
			for j := range r.X0 {
				ty, tx := float64(r.TY[i]), float64(r.TX[j])
				for c := range ch {
					top := at(b, r.Y0[i], r.X0[j], c)*(1-tx) + at(b, r.Y0[i], r.X1[j], c)*tx
					low := at(b, r.Y1[i], r.X0[j], c)*(1-tx) + at(b, r.Y1[i], r.X1[j], c)*tx
					if ty == 0 {
						low = top
					}
					v := top*(1-ty) + low*ty
					if bytesWide(in[0].DType) {
						v = math.Trunc(float64(float32(v)))
					}
					out[0].SetFloat(k, v)
					k++
				}
			}
		}
	}
	return nil
}

// Prepare implements Preparer: a tile is one output row, or of a linear
// interpolation several.
func (r *ResizeNHWC) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	h, w, c := x.Shape[1], x.Shape[2], x.Shape[3]
	oh, ow := len(r.Y0), len(r.X0)
	in, out := pitch(x), pitch(y)
	if !r.Linear {
		size := x.DType.Size()
		run := func(_, tile int) {
			b, i := tile/oh, tile%oh
			for j := range ow {
				copy(y.Data[((b*oh+i)*ow+j)*out*size:][:c*size], x.Data[((b*h+r.Y0[i])*w+r.X0[j])*in*size:])
			}
		}
		return []Step{{Kernel: "nearest", Tiles: x.Shape[0] * oh, Cost: x.Shape[0] * oh * ow * c / 4, Run: run}}, nil
	}
	switch {
	case x.DType == tensor.Uint8:
		return resizeExact(r, x, y, x.Data, y.Data), nil
	case x.DType == tensor.Int8:
		return resizeExact(r, x, y, whole[int8](x), whole[int8](y)), nil
	case r.Exact:
		return resizeExact(r, x, y, whole[float32](x), whole[float32](y)), nil
	}
	return []Step{r.linear(env)}, nil
}

// resizeRows is how many output rows of a linear interpolation make a tile.
const resizeRows = 8

// linear returns the step of a linear interpolation. Input rows are first
// interpolated along themselves, each once for all output rows of a tile that
// need it, and then between each other, which runs over whole rows.
func (r *ResizeNHWC) linear(env *Env) Step {
	x, y, k := env.In[0], env.Out[0], env.Kernels
	c, oh, ow := x.Shape[3], len(r.Y0), len(r.X0)
	out := pitch(y)
	scratch := env.Scratch(3 * ow * c * 4)
	var narrow []narrowTap
	if c < narrowChannels {
		narrow = r.narrowTaps(pitch(x), c)
	}
	tiles := (oh + resizeRows - 1) / resizeRows
	run := func(worker, tile int) {
		b := tile / tiles
		rows := wideRows{r: r, k: k, x: x, narrow: narrow, image: b, y: [2]int{-1, -1}}
		buf := bytesF32(scratch.For(worker))
		rows.row[0], rows.row[1] = buf[:ow*c], buf[ow*c:2*ow*c]
		from := tile % tiles * resizeRows
		for i := from; i < min(from+resizeRows, oh); i++ {
			top := rows.get(r.Y0[i], r.Y1[i])
			low := rows.get(r.Y1[i], r.Y0[i])
			at := (b*oh + i) * ow * out
			if out == c {
				k.F32Lerp(floats(y, at, ow*c), top, low, r.TY[i])
				continue
			}
			row := buf[2*ow*c : 3*ow*c]
			k.F32Lerp(row, top, low, r.TY[i])
			for j := range ow {
				copy(floats(y, at+j*out, c), row[j*c:])
			}
		}
	}
	return Step{Kernel: k.Name + " bilinear", Tiles: x.Shape[0] * tiles, Cost: x.Shape[0] * oh * ow * c, Run: run}
}

// wideRows holds the last two input rows of an image that were interpolated
// to the width of the output.
type wideRows struct {
	r      *ResizeNHWC
	k      *kernels.Set
	x      *tensor.Tensor
	narrow []narrowTap
	image  int
	y      [2]int // which rows; -1: none
	row    [2][]float32
}

// narrowChannels is the number of channels below which single elements are
// interpolated along a row, not vectors of channels.
const narrowChannels = 8

// narrowTap says where the neighbours of one element of an output row are in
// an input row, and the weight of the second.
type narrowTap struct {
	a, b int32
	t    float32
}

func (r *ResizeNHWC) narrowTaps(pitch, channels int) []narrowTap {
	var taps []narrowTap
	for j, i0 := range r.X0 {
		for c := range channels {
			taps = append(taps, narrowTap{int32(i0*pitch + c), int32(r.X1[j]*pitch + c), r.TX[j]})
		}
	}
	return taps
}

// get returns input row y at the width of the output. The row other is kept.
func (w *wideRows) get(y, other int) []float32 {
	slot := 0
	switch {
	case w.y[0] == y:
		return w.row[0]
	case w.y[1] == y:
		return w.row[1]
	case w.y[0] == other:
		slot = 1
	}
	w.y[slot] = y
	dst := w.row[slot]
	h, wd, c := w.x.Shape[1], w.x.Shape[2], w.x.Shape[3]
	in := pitch(w.x)
	src := floats(w.x, (w.image*h+y)*wd*in, (wd-1)*in+c)
	if w.narrow != nil {
		for i, p := range w.narrow {
			a := src[p.a]
			dst[i] = a + float32((src[p.b]-a)*p.t)
		}
		return dst
	}
	for j, i0 := range w.r.X0 {
		w.k.F32Lerp(dst[j*c:(j+1)*c], src[i0*in:][:c], src[w.r.X1[j]*in:][:c], w.r.TX[j])
	}
	return dst
}

// resizeExact returns the step of an exact interpolation; a tile is an output
// row.
func resizeExact[T float32 | uint8 | int8](r *ResizeNHWC, x, y *tensor.Tensor, src, dst []T) []Step {
	h, w, c := x.Shape[1], x.Shape[2], x.Shape[3]
	oh, ow := len(r.Y0), len(r.X0)
	in, out := pitch(x), pitch(y)
	run := func(_, tile int) {
		b, i := tile/oh, tile%oh
		top, low := src[((b*h+r.Y0[i])*w)*in:], src[((b*h+r.Y1[i])*w)*in:]
		y0, y1 := halves(r.Y0[i], r.Y1[i], r.TY[i])
		for j := range ow {
			x0, x1 := halves(r.X0[j], r.X1[j], r.TX[j])
			p, q := r.X0[j]*in, r.X1[j]*in
			four(dst[(tile*ow+j)*out:][:c], [4]float32{y0 * x0, y0 * x1, y1 * x0, y1 * x1}, top[p:], top[q:], low[p:], low[q:])
		}
	}
	return []Step{{Kernel: "bilinear", Tiles: x.Shape[0] * oh, Cost: y.Elems() * 4, Run: run}}
}

// bytesWide reports the 8-bit integers.
func bytesWide(d tensor.DType) bool { return d == tensor.Uint8 || d == tensor.Int8 }

// halves returns the weights of two neighbours; one that is both counts half
// twice.
func halves(i0, i1 int, t float32) (w0, w1 float32) {
	if i0 == i1 {
		return .5, .5
	}
	return 1 - t, t
}

// four sets dst to the weighted sum of four slices, every product and sum
// rounded.
func four[T float32 | uint8 | int8](dst []T, w [4]float32, a, b, c, d []T) {
	a, b, c, d = a[:len(dst)], b[:len(dst)], c[:len(dst)], d[:len(dst)]
	for i := range dst {
		s := float32(w[0]*float32(a[i])) + float32(w[1]*float32(b[i]))
		s += float32(w[2] * float32(c[i]))
		dst[i] = T(s + float32(w[3]*float32(d[i])))
	}
}

// NHWC returns the machine form of a Resize of [N,C,H,W] to constant extents,
// and false where it has none: more than two neighbours, other axes resized,
// or another element type.
func (r *Resize) NHWC(in []*graph.Value) (*ResizeNHWC, bool) {
	x := in[0].Type
	if len(x.Shape) != 4 || x.DType != tensor.Float32 && !bytesWide(x.DType) {
		return nil, false
	}
	for _, v := range in[1:] {
		if v != nil && v.Const == nil {
			return nil, false
		}
	}
	t, ok := r.Neighbours(in)
	if !ok || !t[0].same() || !t[1].same() {
		return nil, false
	}
	z := &ResizeNHWC{Y0: t[2].I0, Y1: t[2].I1, TY: t[2].T, X0: t[3].I0, X1: t[3].I1, TX: t[3].T}
	z.Linear = slices.ContainsFunc(slices.Concat(z.TY, z.TX), func(w float32) bool { return w != 0 })
	return z, true
}

// same reports whether the axis stays as it is.
func (n *Neighbours) same() bool {
	for o, i := range n.I0 {
		if i != o || n.T[o] != 0 {
			return false
		}
	}
	return n.In == len(n.I0)
}
