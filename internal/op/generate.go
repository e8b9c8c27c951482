package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Constant yields Value.
type Constant struct{ Value *tensor.Tensor }

func newConstant(n *graph.Node, _ int) (graph.Op, error) {
	for _, a := range n.Attrs {
		switch {
		case a.Name == "value" && a.Tensor != nil:
			return &Constant{a.Tensor}, nil
		case a.Name == "value_float" && a.Kind == graph.AttrFloat:
			return &Constant{tensor.From(tensor.Float32, []float32{a.Float})}, nil
		case a.Name == "value_int" && a.Kind == graph.AttrInt:
			return &Constant{tensor.From(tensor.Int64, []int64{a.Int})}, nil
		case a.Name == "value_floats" && a.Kind == graph.AttrFloats:
			return &Constant{tensor.From(tensor.Float32, a.Floats, len(a.Floats))}, nil
		case a.Name == "value_ints" && a.Kind == graph.AttrInts:
			return &Constant{tensor.From(tensor.Int64, a.Ints, len(a.Ints))}, nil
		case a.Name == "sparse_value", a.Name == "value_string", a.Name == "value_strings":
			return nil, fmt.Errorf("attribute %s: %w", a.Name, ErrUnsupported)
		}
	}
	return nil, fmt.Errorf("attribute value is missing: %w", ErrShape)
}

// Infer implements graph.Op.
func (c *Constant) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 0, 0); err != nil {
		return nil, err
	}
	return typed(c.Value.DType, c.Value.Shape)
}

// Eval implements Evaluator.
func (c *Constant) Eval(_, out []*tensor.Tensor) error {
	copyAll(out[0], c.Value)
	return nil
}

// repeatAll sets every element of dst to element i of src.
func repeatAll(dst, src *tensor.Tensor, i int) {
	m := move{srcOff: i}
	m.add(dst.Elems(), 1, 0)
	m.run(dst, src)
}

// ConstantOfShape yields a tensor of the shape in input 0 that repeats the
// one element of Value.
type ConstantOfShape struct{ Value *tensor.Tensor }

func newConstantOfShape(n *graph.Node, _ int) (graph.Op, error) {
	c := &ConstantOfShape{tensor.New(tensor.Float32)}
	if a := n.Attrs.Get("value"); a != nil && a.Tensor != nil {
		c.Value = a.Tensor
	}
	if c.Value.Elems() != 1 {
		return nil, fmt.Errorf("value has %d elements, want 1: %w", c.Value.Elems(), ErrShape)
	}
	return c, nil
}

// Infer implements graph.Op.
func (c *ConstantOfShape) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	if err := intInput(in, 0); err != nil {
		return nil, err
	}
	t, err := known(in, 0)
	if err != nil {
		return nil, err
	}
	return typed(c.Value.DType, integers{t: t}.all())
}

// Eval implements Evaluator.
func (c *ConstantOfShape) Eval(_, out []*tensor.Tensor) error {
	repeatAll(out[0], c.Value, 0)
	return nil
}

// Range yields start, start + delta, ... before limit: its inputs 0, 2 and 1.
type Range struct{}

func newRange(*graph.Node, int) (graph.Op, error) { return &Range{}, nil }

// Infer implements graph.Op.
func (*Range) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 3, 3); err != nil {
		return nil, err
	}
	d := in[0].Type.DType
	for _, v := range in {
		if v.Type.DType != d || v.Type.Shape.Elems() != 1 || !d.IsFloat() && !d.IsInt() {
			return nil, fmt.Errorf("%q is %v, want one number of the type of the start: %w", v.Name, v.Type, ErrShape)
		}
	}
	c, err := contents(in, 0)
	if err != nil {
		return nil, err
	}
	n, err := rangeLen(c[0], c[1], c[2])
	if err != nil {
		return nil, err
	}
	return typed(d, tensor.Shape{n})
}

// rangeLen returns ceil((limit - start) / delta), at least 0.
func rangeLen(start, limit, delta *tensor.Tensor) (int, error) {
	n := 0.0
	if start.DType.IsFloat() {
		diff := limit.Float(0) - start.Float(0)
		if start.DType != tensor.Float64 {
			diff = float64(float32(diff))
		}
		n = math.Ceil(diff / delta.Float(0))
	} else if from, to, by := start.Int(0), limit.Int(0), delta.Int(0); by == 0 {
		n = math.NaN()
	} else {
		// The difference of two int64 fits a uint64.
		if by < 0 {
			from, to, by = to, from, -by
		}
		if to > from {
			n = float64((uint64(to)-uint64(from)-1)/uint64(by)) + 1
		}
	}
	if !(n <= sizeLimit) {
		return 0, fmt.Errorf("from %g to %g by %g are too many elements: %w", start.Float(0), limit.Float(0), delta.Float(0), ErrShape)
	}
	return int(max(n, 0)), nil
}

// Eval implements Evaluator.
func (*Range) Eval(in, out []*tensor.Tensor) error {
	y := out[0]
	if !y.DType.IsFloat() {
		v, by := in[0].Int(0), in[2].Int(0)
		for i := range y.Elems() {
			y.SetInt(i, v)
			v += by
		}
		return nil
	}
	start, by := in[0].Float(0), in[2].Float(0)
	for i := range y.Elems() {
		y.SetFloat(i, start+float64(i)*by)
	}
	return nil
}

// EyeLike yields a matrix of the shape of its input with ones on diagonal K
// and zeros elsewhere. DType is Invalid for that of the input.
type EyeLike struct {
	DType tensor.DType
	K     int
}

func newEyeLike(n *graph.Node, _ int) (graph.Op, error) {
	e := &EyeLike{K: n.Attrs.Int("k", 0)}
	if !n.Attrs.Has("dtype") {
		return e, nil
	}
	var err error
	e.DType, err = onnxType(n.Attrs.Int("dtype", 0))
	return e, err
}

// Infer implements graph.Op.
func (e *EyeLike) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	if len(t.Shape) != 2 {
		return nil, fmt.Errorf("%v is not a matrix: %w", t, ErrShape)
	}
	if e.DType != tensor.Invalid {
		t.DType = e.DType
	}
	return typed(t.DType, t.Shape)
}

// Eval needs the shape of its input and not the contents.
func (e *EyeLike) Eval(_, out []*tensor.Tensor) error {
	y := out[0]
	clear(y.Bytes())
	cols := y.Shape[1]
	for r := range y.Shape[0] {
		// In this order nothing overflows.
		if c := e.K; c < cols && c >= -r && c+r < cols {
			y.SetInt(r*cols+r+c, 1)
		}
	}
	return nil
}

// OneHot inserts an axis at Axis of the output, as long as input 1 says, that
// is values[1] at the position of each index and values[0] elsewhere. Negative
// indices count from the end; those out of range set nothing.
type OneHot struct{ Axis int } // may be negative

func newOneHot(n *graph.Node, _ int) (graph.Op, error) {
	return &OneHot{Axis: n.Attrs.Int("axis", -1)}, nil
}

// Infer implements graph.Op.
func (o *OneHot) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 3, 3); err != nil {
		return nil, err
	}
	if in[1].Type.Shape.Elems() != 1 || in[2].Type.Shape.Elems() != 2 {
		return nil, fmt.Errorf("depth is %v and values are %v, want 1 and 2 elements: %w", in[1].Type, in[2].Type, ErrShape)
	}
	t, err := known(in, 1)
	if err != nil {
		return nil, err
	}
	s := in[0].Type.Shape
	at, err := axis(o.Axis, len(s)+1)
	if err != nil {
		return nil, err
	}
	out := append(s[:at:at].Clone(), integers{t: t}.at(0))
	return typed(in[2].Type.DType, append(out, s[at:]...))
}

// Eval implements Evaluator.
func (o *OneHot) Eval(in, out []*tensor.Tensor) error {
	idx, values, y := in[0], in[2], out[0]
	at, err := axis(o.Axis, len(y.Shape))
	if err != nil {
		return err
	}
	repeatAll(y, values, 0)
	depth, inner, size := y.Shape[at], y.Shape[at+1:].Elems(), y.DType.Size()
	for i := range idx.Elems() {
		v, err := index(idx, i, depth)
		if err != nil {
			continue // all off, as the operator has it
		}
		put(y.Data, (i/inner*depth+v)*inner+i%inner, values.Data, 1, size)
	}
	return nil
}
