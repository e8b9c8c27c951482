package op

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// same gives operators that keep the dense elements of input 0 as they are
// their evaluation: nothing where output and input share memory.
type same struct{}

// InPlace offers input 0.
func (same) InPlace() []int { return []int{0} }

// Eval copies input 0.
func (same) Eval(in, out []*tensor.Tensor) error {
	copyAll(out[0], in[0])
	return nil
}

// Prepare copies in tiles, where there is anything to copy.
func (same) Prepare(env *Env) ([]Step, error) {
	if unsafe.SliceData(env.Out[0].Data) == unsafe.SliceData(env.In[0].Data) {
		return nil, nil
	}
	m := move{}
	m.add(env.Out[0].Elems(), 1, 1)
	return moveSteps(env, m), nil
}

// copyAll copies dense elements unless both tensors share memory.
func copyAll(dst, src *tensor.Tensor) {
	if unsafe.SliceData(dst.Data) != unsafe.SliceData(src.Data) {
		copy(dst.Bytes(), src.Bytes())
	}
}

// Reshape gives the elements another shape. The wanted extents are the
// attribute Shape (opset 1) or else input 1: -1 stands for what is left, 0
// for the input's extent on the same axis unless AllowZero is set.
type Reshape struct {
	same
	Shape     []int
	AllowZero bool
}

func newReshape(n *graph.Node, opset int) (graph.Op, error) {
	r := &Reshape{AllowZero: n.Attrs.Int("allowzero", 0) != 0}
	if opset < 5 {
		if r.Shape = n.Attrs.Ints("shape"); r.Shape == nil {
			return nil, fmt.Errorf("attribute shape is missing: %w", ErrShape)
		}
	}
	return r, nil
}

// Infer implements graph.Op.
func (r *Reshape) Infer(in []*graph.Value) ([]tensor.Type, error) {
	want := r.Shape
	if want == nil {
		if err := args(in, 2, 2); err != nil {
			return nil, err
		}
		if err := intInput(in, 1); err != nil {
			return nil, err
		}
		t, err := known(in, 1)
		if err != nil {
			return nil, err
		}
		want = integers{t: t}.all()
	} else if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	shape, err := r.Target(in[0].Type.Shape, want)
	if err != nil {
		return nil, err
	}
	return typed(in[0].Type.DType, shape)
}

// Target returns the extents that a tensor of shape from takes when want is
// asked for.
func (r *Reshape) Target(from tensor.Shape, want []int) (tensor.Shape, error) {
	shape, unknown := make(tensor.Shape, len(want)), -1
	// Extents that are carried over cancel, so a -1 has an answer even where
	// one of them is 0.
	have, ask := 1, 1
	for a, d := range want {
		shape[a] = d
		switch {
		case d == 0 && !r.AllowZero && a >= len(from):
			return nil, fmt.Errorf("shape %v keeps axis %d, which an input of %v does not have: %w", want, a, from, ErrShape)
		case d == 0 && !r.AllowZero:
			shape[a] = from[a]
			continue
		case d == -1 && unknown >= 0:
			return nil, fmt.Errorf("shape %v has more than one -1: %w", want, ErrShape)
		case d == -1:
			unknown = a
			continue
		case d < 0:
			return nil, fmt.Errorf("negative extent in shape %v: %w", want, ErrShape)
		}
		ask = satMul(ask, d)
	}
	for a, d := range from {
		if r.AllowZero || a >= len(want) || want[a] != 0 {
			have *= d
		}
	}
	if unknown >= 0 {
		if ask == 0 || have%ask != 0 {
			return nil, fmt.Errorf("%v cannot take shape %v: nothing fits for -1: %w", from, want, ErrShape)
		}
		shape[unknown] = have / ask
	} else if ask != have && (from.Elems() != 0 || !slices.Contains(shape, 0)) {
		return nil, fmt.Errorf("%v has %d elements, shape %v another number: %w", from, from.Elems(), want, ErrShape)
	}
	return shape, nil
}

// Flatten makes a matrix: the axes before Axis are its rows.
type Flatten struct {
	same
	Axis int // may be negative, or the rank
}

func newFlatten(n *graph.Node, _ int) (graph.Op, error) {
	return &Flatten{Axis: n.Attrs.Int("axis", 1)}, nil
}

// Infer implements graph.Op.
func (f *Flatten) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	s, a := in[0].Type.Shape, f.Axis
	if a != len(s) {
		var err error
		if a, err = axis(a, len(s)); err != nil {
			return nil, err
		}
	}
	return typed(in[0].Type.DType, tensor.Shape{s[:a].Elems(), s[a:].Elems()})
}

// Squeeze removes axes of extent 1: those of Axes (before opset 13) or input
// 1, or all of them where neither is given.
type Squeeze struct {
	same
	Axes []int
}

func newSqueeze(n *graph.Node, _ int) (graph.Op, error) {
	return &Squeeze{Axes: n.Attrs.Ints("axes")}, nil
}

// Infer implements graph.Op.
func (s *Squeeze) Infer(in []*graph.Value) ([]tensor.Type, error) {
	axes, err := axesOf(s.Axes, in)
	if err != nil {
		return nil, err
	}
	shape := in[0].Type.Shape
	drop, err := axesSet(axes, len(shape))
	if err != nil {
		return nil, err
	}
	out := tensor.Shape{}
	for a, d := range shape {
		if drop[a] && d != 1 {
			return nil, fmt.Errorf("axis %d of %v is not 1: %w", a, shape, ErrShape)
		}
		if !drop[a] && (axes.len() > 0 || d != 1) {
			out = append(out, d)
		}
	}
	return typed(in[0].Type.DType, out)
}

// axesOf returns the axes of an attribute or else of the optional input 1.
func axesOf(attr []int, in []*graph.Value) (integers, error) {
	if err := args(in, 1, 2); err != nil {
		return integers{}, err
	}
	if opt(in, 1) == nil {
		return integers{attr: attr}, nil
	}
	if err := intInput(in, 1); err != nil {
		return integers{}, err
	}
	t, err := known(in, 1)
	return integers{t: t}, err
}

// Unsqueeze inserts axes of extent 1 at Axes (before opset 13) or input 1,
// which count in the output.
type Unsqueeze struct {
	same
	Axes []int
}

func newUnsqueeze(n *graph.Node, opset int) (graph.Op, error) {
	u := &Unsqueeze{Axes: n.Attrs.Ints("axes")}
	if opset < 13 && u.Axes == nil {
		return nil, fmt.Errorf("attribute axes is missing: %w", ErrShape)
	}
	return u, nil
}

// Infer implements graph.Op.
func (u *Unsqueeze) Infer(in []*graph.Value) ([]tensor.Type, error) {
	axes, err := axesOf(u.Axes, in)
	if err != nil {
		return nil, err
	}
	if u.Axes == nil && opt(in, 1) == nil {
		return nil, fmt.Errorf("the axes are missing: %w", ErrShape)
	}
	shape := in[0].Type.Shape
	rank := len(shape) + axes.len()
	if rank > tensor.MaxRank {
		return nil, fmt.Errorf("rank %d is more than %d: %w", rank, tensor.MaxRank, ErrUnsupported)
	}
	add, err := axesSet(axes, rank)
	if err != nil {
		return nil, err
	}
	out, next := make(tensor.Shape, rank), 0
	for a := range out {
		if add[a] {
			out[a] = 1
			continue
		}
		out[a] = shape[next]
		next++
	}
	return typed(in[0].Type.DType, out)
}

// Shape returns the extents of axes Start to End of its input as int64.
// Negative numbers count from the end; both are held within the rank.
type Shape struct {
	Start, End int
}

func newShape(n *graph.Node, _ int) (graph.Op, error) {
	return &Shape{Start: n.Attrs.Int("start", 0), End: n.Attrs.Int("end", tensor.MaxRank)}, nil
}

// Of returns the extents that the operator picks of a shape.
func (s *Shape) Of(shape tensor.Shape) tensor.Shape {
	clamp := func(a int) int {
		if a < 0 {
			a += len(shape)
		}
		return min(max(a, 0), len(shape))
	}
	lo, hi := clamp(s.Start), clamp(s.End)
	return shape[lo:max(lo, hi)]
}

// Infer implements graph.Op.
func (s *Shape) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	return typed(tensor.Int64, tensor.Shape{len(s.Of(in[0].Type.Shape))})
}

// Eval needs the shape of its input and not the contents.
func (s *Shape) Eval(in, out []*tensor.Tensor) error {
	y := out[0].I64()
	for i, d := range s.Of(in[0].Shape) {
		y[i] = int64(d)
	}
	return nil
}

// Size returns the number of elements of its input as an int64 scalar.
type Size struct{}

func newSize(*graph.Node, int) (graph.Op, error) { return &Size{}, nil }

// Infer implements graph.Op.
func (*Size) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	return typed(tensor.Int64, tensor.Shape{})
}

// Eval needs the shape of its input and not the contents.
func (*Size) Eval(in, out []*tensor.Tensor) error {
	out[0].I64()[0] = int64(in[0].Elems())
	return nil
}

// Expand repeats axes of extent 1 until the shape is that of input 0 and the
// list in input 1, broadcast together.
type Expand struct{}

func newExpand(*graph.Node, int) (graph.Op, error) { return &Expand{}, nil }

// Infer implements graph.Op.
func (*Expand) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	if err := intInput(in, 1); err != nil {
		return nil, err
	}
	t, err := known(in, 1)
	if err != nil {
		return nil, err
	}
	from, want := in[0].Type.Shape, integers{t: t}.all()
	out := make(tensor.Shape, max(len(from), len(want)))
	for i := range out {
		out[i] = 1
	}
	copy(out[len(out)-len(from):], from)
	for i, d := range want {
		switch o := &out[len(out)-len(want)+i]; {
		case *o == 1:
			*o = d
		case d != 1 && d != *o:
			return nil, fmt.Errorf("%v cannot be expanded to %v: %w", from, want, ErrShape)
		}
	}
	return typed(in[0].Type.DType, out)
}

func (*Expand) move(in, out *tensor.Tensor) move {
	m, to, from := move{}, stridesOf(out), stridesOf(in)
	for a, e := range out.Shape {
		stride, b := 0, a-(len(out.Shape)-len(in.Shape))
		if b >= 0 && in.Shape[b] != 1 {
			stride = from[b]
		}
		m.add(e, to[a], stride)
	}
	return m
}

// Pitched allows both.
func (*Expand) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (e *Expand) Eval(in, out []*tensor.Tensor) error {
	m := e.move(in[0], out[0])
	m.run(out[0], in[0])
	return nil
}

// Prepare cuts the copy into tiles.
func (e *Expand) Prepare(env *Env) ([]Step, error) {
	return moveSteps(env, e.move(env.In[0], env.Out[0])), nil
}
