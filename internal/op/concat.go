package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Concat joins its inputs along Axis, which may be negative.
type Concat struct{ Axis int }

func newConcat(n *graph.Node, opset int) (graph.Op, error) {
	if opset >= 4 && !n.Attrs.Has("axis") {
		return nil, fmt.Errorf("attribute axis is missing: %w", ErrShape)
	}
	return &Concat{Axis: n.Attrs.Int("axis", 1)}, nil
}

// Infer implements graph.Op.
func (c *Concat) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, max(1, len(in)), -1); err != nil {
		return nil, err
	}
	first := in[0].Type
	at, err := axis(c.Axis, len(first.Shape))
	if err != nil {
		return nil, err
	}
	out := first.Shape.Clone()
	for _, v := range in[1:] {
		t := v.Type
		fits := t.DType == first.DType && len(t.Shape) == len(out)
		for a := range out {
			fits = fits && (a == at || t.Shape[a] == out[a])
		}
		if !fits {
			return nil, fmt.Errorf("%v does not fit %v along axis %d: %w", t, first, at, ErrShape)
		}
		out[at] += t.Shape[at]
	}
	return typed(first.DType, out)
}

// Pitched allows both.
func (c *Concat) Pitched() (in, out bool) { return true, true }

// move returns the copy of an input to element first of the axis.
func (c *Concat) move(in, out *tensor.Tensor, first int) (m move, next int) {
	at, _ := axis(c.Axis, len(out.Shape))
	to, from := stridesOf(out), stridesOf(in)
	m.dstOff = first * to[at]
	for a, e := range in.Shape {
		m.add(e, to[a], from[a])
	}
	return m, first + in.Shape[at]
}

// Eval implements Evaluator.
func (c *Concat) Eval(in, out []*tensor.Tensor) error {
	at := 0
	var m move
	for _, x := range in {
		m, at = c.move(x, out[0], at)
		m.run(out[0], x)
	}
	return nil
}

// Prepare makes one step of all inputs but those that the planner placed
// inside the output.
func (c *Concat) Prepare(env *Env) ([]Step, error) {
	jobs, at := []moveJob{}, 0
	for _, x := range env.In {
		j := moveJob{dst: env.Out[0], src: x}
		j.move, at = c.move(x, env.Out[0], at)
		if x.Elems() > 0 && !sameStart(j.dst, x, j.dstOff) {
			jobs = append(jobs, j)
		}
	}
	if len(jobs) == 0 {
		return []Step{}, nil
	}
	return []Step{moveStep(jobs)}, nil
}

// Tile repeats its input along every axis: input 1 holds the repeats. Before
// opset 6 it repeats one axis, input 2, as often as input 1 says (OneAxis).
type Tile struct{ OneAxis bool }

func newTile(_ *graph.Node, opset int) (graph.Op, error) {
	return &Tile{OneAxis: opset < 6}, nil
}

// Infer implements graph.Op.
func (t *Tile) Infer(in []*graph.Value) ([]tensor.Type, error) {
	n := 2
	if t.OneAxis {
		n = 3
	}
	if err := args(in, n, n); err != nil {
		return nil, err
	}
	lists, err := contents(in, 1)
	if err != nil {
		return nil, err
	}
	out := in[0].Type.Shape.Clone()
	repeats := integers{t: lists[1]}
	if t.OneAxis {
		if repeats.len() != 1 || lists[2].Elems() != 1 {
			return nil, fmt.Errorf("tiles and axis are not single numbers: %w", ErrShape)
		}
		a, err := axis(int(lists[2].Int(0)), len(out))
		if err != nil {
			return nil, err
		}
		out[a] = satMul(out[a], max(repeats.at(0), 0))
		return typed(in[0].Type.DType, out)
	}
	if repeats.len() != len(out) {
		return nil, fmt.Errorf("%d repeats for %v: %w", repeats.len(), out, ErrShape)
	}
	for a := range out {
		if repeats.at(a) < 0 {
			return nil, fmt.Errorf("repeats %v: negative: %w", repeats.all(), ErrShape)
		}
		out[a] = satMul(out[a], repeats.at(a))
	}
	return typed(in[0].Type.DType, out)
}

// Pitched allows both.
func (t *Tile) Pitched() (in, out bool) { return true, true }

func (t *Tile) move(in, out *tensor.Tensor) move {
	var m move
	to, from := stridesOf(out), stridesOf(in)
	for a, e := range in.Shape {
		m.add(out.Shape[a]/max(e, 1), e*to[a], 0)
		m.add(e, to[a], from[a])
	}
	return m
}

// Eval implements Evaluator.
func (t *Tile) Eval(in, out []*tensor.Tensor) error {
	m := t.move(in[0], out[0])
	m.run(out[0], in[0])
	return nil
}

// Prepare cuts the copy into tiles.
func (t *Tile) Prepare(env *Env) ([]Step, error) {
	return moveSteps(env, t.move(env.In[0], env.Out[0])), nil
}

// Trilu keeps the triangle of each matrix (the last two axes) above diagonal
// k, or with Upper unset below it, diagonal included, and makes the rest
// zero. The optional input 1 is k, 0 being the main diagonal.
type Trilu struct{ Upper bool }

func newTrilu(n *graph.Node, _ int) (graph.Op, error) {
	return &Trilu{Upper: n.Attrs.Int("upper", 1) != 0}, nil
}

// Infer implements graph.Op.
func (t *Trilu) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 2); err != nil {
		return nil, err
	}
	if err := intInput(in, 1); err != nil {
		return nil, err
	}
	if k := opt(in, 1); k != nil && k.Type.Shape.Elems() != 1 {
		return nil, fmt.Errorf("k has shape %v: %w", k.Type.Shape, ErrShape)
	}
	if len(in[0].Type.Shape) < 2 {
		return nil, fmt.Errorf("%v is not a matrix: %w", in[0].Type.Shape, ErrShape)
	}
	return typed(in[0].Type.DType, in[0].Type.Shape)
}

// InPlace offers input 0.
func (t *Trilu) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (t *Trilu) Eval(in, out []*tensor.Tensor) error {
	copyAll(out[0], in[0])
	k := 0
	if v := opt(in, 1); v != nil {
		k = integers{t: v}.at(0)
	}
	y, size, rank := out[0].Bytes(), out[0].DType.Size(), len(out[0].Shape)
	rows, cols := out[0].Shape[rank-2], out[0].Shape[rank-1]
	k = min(max(k, -rows), cols)
	for i := 0; len(y) > 0; i++ {
		row := y[:cols*size]
		y = y[cols*size:]
		if first := i%rows + k; t.Upper {
			clear(row[:min(max(first, 0), cols)*size])
		} else {
			clear(row[min(max(first+1, 0), cols)*size:])
		}
	}
	return nil
}
