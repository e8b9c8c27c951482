package op

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Filter is the window and grouping of a convolution.
type Filter struct {
	Window
	Group int
}

// Conv is a 1-D, 2-D or 3-D convolution of ONNX, in a number of groups of
// input and output channels:
//
//	y[n,o,i,j] = b[o] + Σ x[n, g·C+c, i·sh+u·dh-ph, j·sw+v·dw-pw]·w[o,c,u,v]
//
// Inputs: x [N,G·C,D...], w [O,C,k...], bias [O] or nil.
type Conv struct {
	Filter
	// Scale multiplies the weights of each output channel; nil: nothing. No file
	// holds it: it is a normalisation that was folded, without a copy of the
	// weights. Eval makes one.
	Scale []float64
}

func newFilter(n *graph.Node) (Filter, error) {
	w, err := newWindow(n)
	f := Filter{w, n.Attrs.Int("group", 1)}
	if err == nil && (f.Group < 1 || f.Group > maxWindow) {
		err = fmt.Errorf("attribute group: %d: %w", f.Group, ErrUnsupported)
	}
	return f, err
}

func newConv(n *graph.Node, _ int) (graph.Op, error) {
	f, err := newFilter(n)
	return &Conv{Filter: f}, err
}

// Geometry fits the convolution to an input and weights, in ONNX's axes.
func (f *Filter) Geometry(x, w tensor.Shape) (Geometry, error) {
	if len(x) < 3 || len(x) != len(w) {
		return Geometry{}, fmt.Errorf("input %v with weights %v: ranks must be equal and at least 3: %w", x, w, ErrShape)
	}
	if w[1]*f.Group != x[1] || w[0]%f.Group != 0 {
		return Geometry{}, fmt.Errorf("input %v with weights %v in %d groups: %w", x, w, f.Group, ErrShape)
	}
	if err := f.kernel(w[2:]); err != nil {
		return Geometry{}, err
	}
	return f.fit(x[2:], w[2:])
}

// kernel checks the attribute against the weights.
func (f *Filter) kernel(k []int) error {
	if f.Kernel != nil && !tensor.Shape(f.Kernel).Equal(k) {
		return fmt.Errorf("attribute kernel_shape: %v, weights have %v: %w", f.Kernel, tensor.Shape(k), ErrShape)
	}
	return nil
}

// Infer implements graph.Op.
func (c *Conv) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := floatArgs(in, 2, 3); err != nil {
		return nil, err
	}
	x, w := in[0].Type.Shape, in[1].Type.Shape
	g, err := c.Geometry(x, w)
	if err != nil {
		return nil, err
	}
	if err := biasFits(opt(in, 2), w[0]); err != nil {
		return nil, err
	}
	return []tensor.Type{{DType: in[0].Type.DType, Shape: g.outShape(len(x)-2, x[0], w[0])}}, nil
}

// floatArgs checks the number of inputs and that all have one floating-point
// type.
func floatArgs(in []*graph.Value, min, max int) error {
	if err := args(in, min, max); err != nil {
		return err
	}
	if err := floatType(in[0]); err != nil {
		return err
	}
	for _, v := range in[1:] {
		if v != nil && v.Type.DType != in[0].Type.DType {
			return fmt.Errorf("element type %v of %q, want %v: %w", v.Type.DType, v.Name, in[0].Type.DType, ErrUnsupported)
		}
	}
	return nil
}

// biasFits checks an optional bias of n elements.
func biasFits(b *graph.Value, n int) error {
	if b != nil && (len(b.Type.Shape) != 1 || b.Type.Shape[0] != n) {
		return fmt.Errorf("bias %v for %d output channels: %w", b.Type, n, ErrShape)
	}
	return nil
}

// Eval implements Evaluator.
func (c *Conv) Eval(in, out []*tensor.Tensor) error {
	return evalPlanes(c.loops(in), scaledWeights(in, c.Scale), out)
}

// Prepare implements Preparer: output channels in parallel.
func (c *Conv) Prepare(env *Env) ([]Step, error) {
	env.In = scaledWeights(env.In, c.Scale)
	return preparePlanes("conv", c.loops(env.In), env)
}

// scaledWeights returns the inputs of a convolution with the weights of each
// output channel multiplied. Those of a scaled one are float32.
func scaledWeights(in []*tensor.Tensor, scale []float64) []*tensor.Tensor {
	if scale == nil {
		return in
	}
	w := in[1].Clone()
	all := w.F32()
	per := len(all) / max(len(scale), 1)
	for o, k := range scale {
		for i, v := range all[o*per:][:per] {
			all[o*per+i] = float32(float64(v) * k)
		}
	}
	in = slices.Clone(in)
	in[1] = w
	return in
}

func (c *Conv) loops(in []*tensor.Tensor) filter {
	return c.filter(in[0].Shape, in[1].Shape)
}

// filter returns the loops for shapes of x and w that Infer has checked.
func (f *Filter) filter(x, w tensor.Shape) filter {
	g, _ := f.Geometry(x, w)
	l := filter{Geometry: g, group: f.Group, cin: w[1], cout: w[0], taps: elems(g.Kernel)}
	l.wNext = l.taps
	l.flat()
	return l
}

// evalPlanes computes every plane of a floating-point convolution.
func evalPlanes(l filter, in, out []*tensor.Tensor) error {
	l.floats(in, out, 0, in[0].Shape[0]*l.cout)
	return nil
}

// preparePlanes returns the step of a floating-point convolution.
func preparePlanes(name string, l filter, env *Env) ([]Step, error) {
	in, out := env.In, env.Out
	return split(name, in[0].Shape[0]*l.cout, elems(l.Out)*l.cin*l.taps, func(_, lo, hi int) { l.floats(in, out, lo, hi) }), nil
}

// filter is a convolution, or transposed convolution, with its extents: the
// loops that every element type shares.
type filter struct {
	Geometry
	transposed      bool
	group           int
	cin, cout, taps int // input channels of one group, output channels of all
	wNext           int // distance between the weights of input channels
}

// weights returns the offset of the weights of output channel o.
func (l *filter) weights(o int) int {
	per := l.cout / l.group
	if l.transposed {
		return o/per*l.cin*l.wNext + o%per*l.taps
	}
	return o * l.cin * l.taps
}

// floats computes planes lo to hi of [N·O] planes of a floating-point
// convolution.
func (l *filter) floats(in, out []*tensor.Tensor, lo, hi int) {
	switch in[0].DType {
	case tensor.Float32:
		filterFloats[float32](l, in, out, lo, hi)
	case tensor.Float64:
		filterFloats[float64](l, in, out, lo, hi)
	default:
		filterFloats[uint16](l, in, out, lo, hi)
	}
}

func filterFloats[T tensor.Element](l *filter, in, out []*tensor.Tensor, lo, hi int) {
	d := in[0].DType
	x, w, y := tensor.View[T](in[0]), tensor.View[T](in[1]), tensor.View[T](out[0])
	n := elems(l.Out)
	var acc [chunk]float64
	for p := lo; p < hi; p++ {
		bias := 0.0
		if b := opt(in, 2); b != nil {
			bias = b.Float(p % l.cout)
		}
		plane := y[p*n : p*n+n]
		xp, wp := operands(l, x, w, p)
		for row := 0; row < l.Out[0]*l.Out[1]; row++ {
			for j0 := 0; j0 < l.Out[2]; j0 += chunk {
				part := acc[:min(chunk, l.Out[2]-j0)]
				for j := range part {
					part[j] = bias
				}
				accumulate(l, part, xp, wp, row, j0, 0, 0, d)
				for j, v := range part {
					plane[row*l.Out[2]+j0+j] = rounded[T](v, d)
				}
			}
		}
	}
}

// operands returns the input channels and the weights of plane p.
func operands[X, W tensor.Element](l *filter, x []X, w []W, p int) ([]X, []W) {
	image, o := p/l.cout, p%l.cout
	size := l.cin * elems(l.In)
	g := o / (l.cout / l.group)
	return x[(image*l.group+g)*size:][:size], w[l.weights(o):]
}

// hit is the part of an output row that one kernel position contributes to:
// elements o, o+oStep... take elements i, i+iStep... of an input row.
type hit struct{ o, oStep, i, iStep, n int }

// hits returns the hit of kernel position k on columns j0 to j0+n of a row,
// with o counted from j0.
func (l *filter) hits(k, j0, n int) hit {
	s, d, in := l.Stride[2], l.Dilation[2], l.In[2]
	if l.transposed {
		// Output o takes input (o+Begin-k·d)/s where that is whole.
		t := j0 + l.Begin[2] - k*d
		i := max(0, (t+s-1)/s)
		if t < 0 {
			i = 0
		}
		h := hit{o: i*s - t, oStep: s, i: i, iStep: 1}
		if h.o < n {
			h.n = min((n-h.o+s-1)/s, in-i)
		}
		return h
	}
	t := j0*s - l.Begin[2] + k*d
	h := hit{oStep: 1, i: t, iStep: s}
	if t < 0 {
		h.o = (-t + s - 1) / s
		h.i += h.o * s
	}
	if h.i < in {
		h.n = min(n-h.o, (in-h.i+s-1)/s)
	}
	return h
}

// line returns the input line that kernel position k contributes to output
// line o of axis a, or false for none.
func (l *filter) line(a, o, k int) (int, bool) {
	i := o*l.Stride[a] - l.Begin[a] + k*l.Dilation[a]
	if l.transposed {
		t := o + l.Begin[a] - k*l.Dilation[a]
		if t%l.Stride[a] != 0 {
			return 0, false
		}
		i = t / l.Stride[a]
	}
	return i, i >= 0 && i < l.In[a]
}

// accumulate adds Σ (x-xz)·(w-wz) to acc, columns j0... of an output row, over
// all input channels and kernel positions. x starts at the group's channels,
// w at the output channel's weights; d tells how to read halves.
func accumulate[X, W tensor.Element, A int32 | float64](l *filter, acc []A, x []X, w []W, row, j0 int, xz, wz A, d tensor.DType) {
	od, oh := row/l.Out[1], row%l.Out[1]
	half := d == tensor.Float16 || d == tensor.BFloat16
	for c := range l.cin {
		xc, wc := x[c*elems(l.In):], w[c*l.wNext:]
		for kd := range l.Kernel[0] {
			id, ok := l.line(0, od, kd)
			if !ok {
				continue
			}
			for kh := range l.Kernel[1] {
				ih, ok := l.line(1, oh, kh)
				if !ok {
					continue
				}
				xr := xc[(id*l.In[1]+ih)*l.In[2]:][:l.In[2]]
				wr := wc[(kd*l.Kernel[1]+kh)*l.Kernel[2]:][:l.Kernel[2]]
				for kw, wv := range wr {
					h := l.hits(kw, j0, len(acc))
					if half {
						axpyHalf(acc, xr, h, A(load(wv, d)), d)
					} else {
						axpy(acc, xr, h, A(wv)-wz, xz)
					}
				}
			}
		}
	}
}

// axpy adds w·(x-xz) to the elements of a hit.
func axpy[X tensor.Element, A int32 | float64](acc []A, x []X, h hit, w, xz A) {
	if h.n <= 0 {
		return
	}
	if h.iStep == 1 && h.oStep == 1 {
		acc, x := acc[h.o:h.o+h.n], x[h.i:h.i+h.n]
		for j, v := range x {
			acc[j] += w * (A(v) - xz)
		}
		return
	}
	o, i := h.o, h.i
	for range h.n {
		acc[o] += w * (A(x[i]) - xz)
		o += h.oStep
		i += h.iStep
	}
}

// axpyHalf is axpy on Float16 and BFloat16 elements.
func axpyHalf[X tensor.Element, A int32 | float64](acc []A, x []X, h hit, w A, d tensor.DType) {
	for j := range h.n {
		acc[h.o+j*h.oStep] += w * A(load(x[h.i+j*h.iStep], d))
	}
}
