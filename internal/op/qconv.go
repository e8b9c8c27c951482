package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// QLinearConv is a convolution of 8-bit tensors. With a = Σ (x-xz)·(w-wz) + b
// in int32,
//
//	y = clamp(round(float32(a)·m) + yz), m = xs·ws/ys in float32
//
// rounded half to even. Weights have one scale, or one for each output
// channel.
//
// Inputs: x, xs, xz, w, ws, wz, ys, yz, b (int32, in units of xs·ws, or nil).
type QLinearConv struct{ Filter }

// ConvInteger is the convolution Σ (x-xz)·(w-wz) of 8-bit tensors in int32.
//
// Inputs: x, w, xz, wz (one, or one for each output channel); the zero points
// may be nil.
type ConvInteger struct{ Filter }

func newQLinearConv(n *graph.Node, _ int) (graph.Op, error) {
	f, err := newFilter(n)
	return &QLinearConv{f}, err
}

func newConvInteger(n *graph.Node, _ int) (graph.Op, error) {
	f, err := newFilter(n)
	return &ConvInteger{f}, err
}

// intShape returns the output's shape for inputs x and w.
func (f *Filter) intShape(in []*graph.Value, x, w int) (tensor.Shape, error) {
	for _, i := range []int{x, w} {
		if err := check8(in, i); err != nil {
			return nil, err
		}
	}
	xs, ws := in[x].Type.Shape, in[w].Type.Shape
	g, err := f.Geometry(xs, ws)
	if err != nil {
		return nil, err
	}
	return g.outShape(len(xs)-2, xs[0], ws[0]), nil
}

// Infer implements graph.Op.
func (q *QLinearConv) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 9); err != nil {
		return nil, err
	}
	if opt(in, 3) == nil {
		return nil, fmt.Errorf("input 3, the weights, is missing: %w", ErrShape)
	}
	y, err := q.intShape(in, 0, 3)
	if err != nil {
		return nil, err
	}
	d := zeroType(in, 7, in[0].Type.DType)
	for _, err := range []error{
		checkQuant(in, 1, 2, in[0].Type.DType), checkQuant(in, 4, 5, in[3].Type.DType, y[1]), checkQuant(in, 6, 7, d),
		biasFits(opt(in, 8), y[1]),
	} {
		if err != nil {
			return nil, err
		}
	}
	if b := opt(in, 8); !is8(d) || b != nil && b.Type.DType != tensor.Int32 {
		return nil, fmt.Errorf("result %v with bias: %w", d, ErrUnsupported)
	}
	return []tensor.Type{{DType: d, Shape: y}}, nil
}

// Infer implements graph.Op.
func (c *ConvInteger) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 4); err != nil {
		return nil, err
	}
	y, err := c.intShape(in, 0, 1)
	if err != nil {
		return nil, err
	}
	if err := checkZero(in, 2, in[0].Type.DType); err != nil {
		return nil, err
	}
	return []tensor.Type{{DType: tensor.Int32, Shape: y}}, checkZero(in, 3, in[1].Type.DType, y[1])
}

// Eval implements Evaluator.
func (q *QLinearConv) Eval(in, out []*tensor.Tensor) error {
	l := q.filter(in[0].Shape, in[3].Shape)
	q.planes(&l, in, out[0], 0, in[0].Shape[0]*l.cout)
	return nil
}

// Prepare implements Preparer: output channels in parallel.
func (q *QLinearConv) Prepare(env *Env) ([]Step, error) {
	in, y := env.In, env.Out[0]
	l := q.filter(in[0].Shape, in[3].Shape)
	return split("qlinearconv", in[0].Shape[0]*l.cout, elems(l.Out)*l.cin*l.taps, func(_, lo, hi int) {
		q.planes(&l, in, y, lo, hi)
	}), nil
}

// planes computes planes lo to hi of the [N·O] planes of the output.
func (q *QLinearConv) planes(l *filter, in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	qy := quant8Of(in, 6, 7, y.DType)
	xs, ys := float32(in[1].Float(0)), y.Data
	n := elems(l.Out)
	var acc [chunk]int32
	for p := lo; p < hi; p++ {
		o := p % l.cout
		m := float32(xs*scaleEntry(in[4], o)) / qy.scale
		bias := int32(0)
		if b := opt(in, 8); b != nil {
			bias = int32(b.Int(o))
		}
		for j := 0; j < n; {
			part := l.part(acc[:], j, bias)
			filterInts(l, part, in[0], in[3], p, j, entry(opt(in, 2), 0), entry(opt(in, 5), o))
			dst := ys[p*n+j:][:len(part)]
			for i, a := range part {
				dst[i] = qy.settle(float32(a) * m)
			}
			j += len(part)
		}
	}
}

// Eval implements Evaluator.
func (c *ConvInteger) Eval(in, out []*tensor.Tensor) error {
	l := c.filter(in[0].Shape, in[1].Shape)
	c.planes(&l, in, out[0], 0, in[0].Shape[0]*l.cout)
	return nil
}

// Prepare implements Preparer: output channels in parallel.
func (c *ConvInteger) Prepare(env *Env) ([]Step, error) {
	in, y := env.In, env.Out[0]
	l := c.filter(in[0].Shape, in[1].Shape)
	return split("convinteger", in[0].Shape[0]*l.cout, elems(l.Out)*l.cin*l.taps, func(_, lo, hi int) {
		c.planes(&l, in, y, lo, hi)
	}), nil
}

func (c *ConvInteger) planes(l *filter, in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	ys, n := tensor.View[int32](y), elems(l.Out)
	for p := lo; p < hi; p++ {
		for j := 0; j < n; {
			part := l.part(ys[p*n+j:(p+1)*n], j, 0)
			filterInts(l, part, in[0], in[1], p, j, entry(opt(in, 2), 0), entry(opt(in, 3), p%l.cout))
			j += len(part)
		}
	}
}

// part returns the part of acc that holds elements j... of one row of a plane,
// set to bias.
func (l *filter) part(acc []int32, j int, bias int32) []int32 {
	acc = acc[:min(len(acc), l.Out[2]-j%l.Out[2])]
	for i := range acc {
		acc[i] = bias
	}
	return acc
}

// filterInts adds the products of elements j... of plane p to acc.
func filterInts(l *filter, acc []int32, x, w *tensor.Tensor, p, j int, xz, wz int32) {
	switch {
	case x.DType == tensor.Uint8 && w.DType == tensor.Int8:
		addInts[uint8, int8](l, acc, x, w, p, j, xz, wz)
	case x.DType == tensor.Uint8:
		addInts[uint8, uint8](l, acc, x, w, p, j, xz, wz)
	case w.DType == tensor.Int8:
		addInts[int8, int8](l, acc, x, w, p, j, xz, wz)
	default:
		addInts[int8, uint8](l, acc, x, w, p, j, xz, wz)
	}
}

func addInts[X, W tensor.Element](l *filter, acc []int32, x, w *tensor.Tensor, p, j int, xz, wz int32) {
	xp, wp := operands(l, tensor.View[X](x), tensor.View[W](w), p)
	accumulate(l, acc, xp, wp, j/l.Out[2], j%l.Out[2], xz, wz, x.DType)
}
