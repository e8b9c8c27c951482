package op

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Variadic reduces one or more tensors that broadcast to one shape: Kind is
// Add, Min or Max; Mean divides the sum by their number. Of two tensors, Sum,
// Min and Max are a Binary.
type Variadic struct {
	Kind BinaryKind
	Mean bool
}

func newVariadic(k BinaryKind) Builder {
	return func(n *graph.Node, _ int) (graph.Op, error) {
		if len(n.In) == 2 {
			return &Binary{Kind: k}, nil
		}
		return &Variadic{Kind: k}, nil
	}
}

func newMean(*graph.Node, int) (graph.Op, error) { return &Variadic{Kind: Add, Mean: true}, nil }

// Infer implements graph.Op.
func (v *Variadic) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if len(in) == 0 {
		return nil, fmt.Errorf("has no input")
	}
	if err := args(in, len(in), -1); err != nil {
		return nil, err
	}
	out := tensor.Type{DType: in[0].Type.DType, Shape: in[0].Type.Shape.Clone()}
	if !out.DType.IsFloat() && !out.DType.IsInt() {
		return nil, fmt.Errorf("element type %v: %w", out.DType, ErrUnsupported)
	}
	for _, x := range in[1:] {
		if x.Type.DType != out.DType {
			return nil, fmt.Errorf("inputs of different types, %v and %v", out.DType, x.Type.DType)
		}
		s, err := broadcastShape(out.Shape, x.Type.Shape)
		if err != nil {
			return nil, err
		}
		out.Shape = s
	}
	return typed(out.DType, out.Shape)
}

// InPlace implements InPlacer.
func (v *Variadic) InPlace() []int { return []int{0} }

// Pitched implements Pitcher.
func (v *Variadic) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (v *Variadic) Eval(in, out []*tensor.Tensor) error {
	y, b := out[0], Binary{Kind: v.Kind}
	w := walkOver(y, in[0])
	for range w.rows {
		for i := 0; i < w.n; i += chunk {
			copyRow(y, in[0], w.off[0]+i, w.off[1]+i*w.in[1], min(chunk, w.n-i), w.in[1])
		}
		w.next()
	}
	for _, x := range in[1:] {
		w := b.walk(y, y, x)
		for range w.rows {
			b.row(y, y, x, w.off, w.in, 0, w.n)
			w.next()
		}
	}
	if !v.Mean {
		return nil
	}
	w = walkOver(y)
	var buf [chunk]float64
	for range w.rows {
		for i := 0; i < w.n; i += chunk {
			d := buf[:min(chunk, w.n-i)]
			loadFloats(y, w.off[0]+i, d)
			for j := range d {
				d[j] /= float64(len(in))
			}
			storeFloats(y, w.off[0]+i, d)
		}
		w.next()
	}
	return nil
}

// copyRow copies n elements of the same type; step is 0 to repeat one.
func copyRow(y, x *tensor.Tensor, yi, xi, n, step int) {
	size := x.DType.Size()
	dst, src := y.Data[yi*size:(yi+n)*size], x.Data[xi*size:(xi+1+(n-1)*step)*size]
	for len(dst) > 0 {
		dst = dst[copy(dst, src):]
	}
}

// Prepare implements Preparer.
func (v *Variadic) Prepare(env *Env) ([]Step, error) {
	y := env.Out[0]
	if y.DType != tensor.Float32 || len(env.In) < 2 {
		return nil, nil
	}
	in, links := env.In, []Link{}
	for i := range in[1:] {
		links = append(links, Link{Kind: v.Kind, Arg: i + 1})
	}
	if v.Mean {
		in = append(slices.Clone(in), tensor.From(tensor.Float32, []float32{float32(len(in))}))
		links = append(links, Link{Kind: Div, Arg: len(in) - 1})
	}
	return prepareChain(env, "f32_chain", y, links, in, nil), nil
}

// Where takes elements of its second input where the first is true, and of
// the third elsewhere.
type Where struct{}

func newWhere(*graph.Node, int) (graph.Op, error) { return &Where{}, nil }

// Infer implements graph.Op.
func (o *Where) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 3, 3); err != nil {
		return nil, err
	}
	c, x, y := in[0].Type, in[1].Type, in[2].Type
	if c.DType != tensor.Bool {
		return nil, fmt.Errorf("condition is %v, want bool", c.DType)
	}
	if x.DType != y.DType {
		return nil, fmt.Errorf("choice of different types, %v and %v", x.DType, y.DType)
	}
	s, err := broadcastShape(x.Shape, y.Shape)
	if err == nil {
		s, err = broadcastShape(s, c.Shape)
	}
	if err != nil {
		return nil, err
	}
	return typed(x.DType, s)
}

// InPlace implements InPlacer.
func (o *Where) InPlace() []int { return []int{1, 2} }

// Pitched implements Pitcher.
func (o *Where) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (o *Where) Eval(in, out []*tensor.Tensor) error {
	w := walkOver(out[0], in[0], in[1], in[2])
	for range w.rows {
		o.row(in, out[0], w.off, w.in, 0, w.n)
		w.next()
	}
	return nil
}

// Prepare implements Preparer.
func (o *Where) Prepare(env *Env) ([]Step, error) {
	w := walkOver(env.Out[0], env.In...)
	step := w.in
	return eachRow(w, "where", 1, func(off [4]int, from, to int) {
		o.row(env.In, env.Out[0], off, step, from, to)
	}), nil
}

// row chooses by the size of the elements: their meaning does not matter.
func (o *Where) row(in []*tensor.Tensor, out *tensor.Tensor, off, step [4]int, from, to int) {
	for k := range off {
		off[k] += from * step[k]
	}
	switch n := to - from; out.DType.Size() {
	case 1:
		choose(whole[uint8](out), in[0].Data, whole[uint8](in[1]), whole[uint8](in[2]), off, step, n)
	case 2:
		choose(whole[uint16](out), in[0].Data, whole[uint16](in[1]), whole[uint16](in[2]), off, step, n)
	case 4:
		choose(whole[uint32](out), in[0].Data, whole[uint32](in[1]), whole[uint32](in[2]), off, step, n)
	default:
		choose(whole[uint64](out), in[0].Data, whole[uint64](in[1]), whole[uint64](in[2]), off, step, n)
	}
}

func choose[T tensor.Element](out []T, c []byte, x, y []T, off, step [4]int, n int) {
	out = out[off[0] : off[0]+n]
	for i := range out {
		if c[off[1]+i*step[1]] != 0 {
			out[i] = x[off[2]+i*step[2]]
		} else {
			out[i] = y[off[3]+i*step[3]]
		}
	}
}
