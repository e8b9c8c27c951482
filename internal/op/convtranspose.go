package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ConvTranspose is the transposed convolution of ONNX: input element i
// contributes to output elements i·s + u·d - p.
//
//	y[n,o,a,b] = b[o] + Σ x[n, g·C+c, i, j]·w[g·C+c, o, u, v]
//	             over i·sh + u·dh - ph = a, j·sw + v·dw - pw = b
//
// Inputs: x [N,G·C,D...], w [G·C,O/G,k...], bias [O] or nil.
type ConvTranspose struct {
	Filter
	OutputPadding []int // nil: 0
	OutputShape   []int // spatial extents, perhaps with N and C in front; nil: computed
}

func newConvTranspose(n *graph.Node, _ int) (graph.Op, error) {
	f, err := newFilter(n)
	c := &ConvTranspose{f, intList(n, "output_padding"), intList(n, "output_shape")}
	for _, l := range [][]int{c.OutputPadding, c.OutputShape} {
		for _, v := range l {
			if err == nil && (v < 0 || v > maxWindow) {
				err = fmt.Errorf("attributes output_padding %v, output_shape %v: %w", c.OutputPadding, c.OutputShape, ErrUnsupported)
			}
		}
	}
	return c, err
}

// Geometry fits the transposed convolution to an input and weights, in ONNX's
// axes. In and Out are those of the operator: Out is the larger.
func (c *ConvTranspose) Geometry(x, w tensor.Shape) (Geometry, error) {
	if len(x) < 3 || len(x) != len(w) {
		return Geometry{}, fmt.Errorf("input %v with weights %v: ranks must be equal and at least 3: %w", x, w, ErrShape)
	}
	if w[0] != x[1] || x[1]%c.Group != 0 {
		return Geometry{}, fmt.Errorf("input %v with weights %v in %d groups: %w", x, w, c.Group, ErrShape)
	}
	if err := c.kernel(w[2:]); err != nil {
		return Geometry{}, err
	}
	g, err := c.base(x[2:], w[2:])
	if err != nil {
		return g, err
	}
	rank := len(x) - 2
	want := c.OutputShape
	if len(want) == rank+2 {
		want = want[2:]
	}
	if want != nil && len(want) != rank || c.OutputPadding != nil && len(c.OutputPadding) != rank {
		return g, fmt.Errorf("attributes output_padding %v, output_shape %v for %d spatial axes: %w", c.OutputPadding, c.OutputShape, rank, ErrShape)
	}
	for i := range rank {
		if err := c.place(&g, 3-rank+i, i, want); err != nil {
			return g, err
		}
	}
	return g, nil
}

// place sets the padding and output extent of axis a of g, spatial axis i.
func (c *ConvTranspose) place(g *Geometry, a, i int, want []int) error {
	full := int64(g.Stride[a])*int64(g.In[a]-1) + int64(at(c.OutputPadding, i, 0)) +
		int64(g.Kernel[a]-1)*int64(g.Dilation[a]) + 1
	begin, end := int64(g.Begin[a]), int64(g.End[a])
	out := full - begin - end
	same := c.AutoPad == "SAME_UPPER" || c.AutoPad == "SAME_LOWER"
	switch {
	case want != nil || same:
		out = int64(g.In[a]) * int64(g.Stride[a])
		if want != nil {
			out = int64(want[i])
		}
		total := max(0, full-out)
		begin, end = total-total/2, total/2
		if c.AutoPad == "SAME_UPPER" {
			begin, end = end, begin
		}
	case c.AutoPad == "VALID":
		begin, end, out = 0, 0, full
	}
	if g.In[a] < 1 || out < 1 || out > maxWindow {
		return fmt.Errorf("spatial axis %d: extent %d gives an output of %d: %w", i, g.In[a], out, ErrShape)
	}
	g.Begin[a], g.End[a], g.Out[a] = int(begin), int(end), int(out)
	return nil
}

// Infer implements graph.Op.
func (c *ConvTranspose) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := floatArgs(in, 2, 3); err != nil {
		return nil, err
	}
	x, w := in[0].Type.Shape, in[1].Type.Shape
	g, err := c.Geometry(x, w)
	if err != nil {
		return nil, err
	}
	if err := biasFits(opt(in, 2), w[1]*c.Group); err != nil {
		return nil, err
	}
	return []tensor.Type{{DType: in[0].Type.DType, Shape: g.outShape(len(x)-2, x[0], w[1]*c.Group)}}, nil
}

// Eval implements Evaluator.
func (c *ConvTranspose) Eval(in, out []*tensor.Tensor) error {
	return evalPlanes(c.loops(in), in, out)
}

// Prepare implements Preparer: output channels in parallel.
func (c *ConvTranspose) Prepare(env *Env) ([]Step, error) {
	return preparePlanes("convtranspose", c.loops(env.In), env)
}

func (c *ConvTranspose) loops(in []*tensor.Tensor) filter {
	x, w := in[0].Shape, in[1].Shape
	g, _ := c.Geometry(x, w)
	l := filter{Geometry: g, transposed: true, group: c.Group, cin: w[0] / c.Group, cout: w[1] * c.Group, taps: elems(g.Kernel)}
	l.wNext = w[1] * l.taps
	l.flat()
	return l
}
