package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// View is the machine form of Reshape and its kin: the same dense elements
// under another shape. The planner gives it no memory of its own.
type View struct{ Shape []int }

// Infer implements graph.Op.
func (v *View) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	t := tensor.Of(in[0].Type.DType, v.Shape...)
	if t.Shape.Elems() != in[0].Type.Shape.Elems() {
		return nil, fmt.Errorf("view of %v as %v: %w", in[0].Type, t.Shape, ErrShape)
	}
	return []tensor.Type{t}, nil
}

// Eval implements Evaluator.
func (v *View) Eval(in, out []*tensor.Tensor) error {
	copy(out[0].Bytes(), in[0].Bytes())
	return nil
}

// Prepare implements Preparer: nothing is left to do where the planner placed
// the output over the input.
func (v *View) Prepare(env *Env) ([]Step, error) {
	if sameStart(env.In[0], env.Out[0], 0) {
		return []Step{}, nil
	}
	return nil, nil
}

// sameStart reports whether y starts at element i of x, or is empty.
func sameStart(x, y *tensor.Tensor, i int) bool {
	return y.Elems() == 0 || &x.Data[i*x.DType.Size()] == &y.Data[0]
}

// SliceLast is the machine form of a contiguous slice of the last axis, which
// is a channel split: elements Start to Start+Len of every row. Where its
// consumers accept a pitch the planner makes it a view of its input.
type SliceLast struct{ Start, Len int }

// Infer implements graph.Op.
func (s *SliceLast) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	last := len(t.Shape) - 1
	if last < 0 || s.Start < 0 || s.Len < 0 || s.Start+s.Len > t.Shape[last] {
		return nil, fmt.Errorf("elements %d to %d of the last axis of %v: %w", s.Start, s.Start+s.Len, t, ErrShape)
	}
	out := tensor.Type{DType: t.DType, Shape: t.Shape.Clone()}
	out.Shape[last] = s.Len
	return []tensor.Type{out}, nil
}

// Pitched implements Pitcher.
func (s *SliceLast) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (s *SliceLast) Eval(in, out []*tensor.Tensor) error {
	size := in[0].DType.Size()
	from, to := pitch(in[0])*size, pitch(out[0])*size
	rows := 1
	for _, d := range in[0].Shape[:len(in[0].Shape)-1] {
		rows *= d
	}
	n := s.Len * size
	for r := range rows {
		copy(out[0].Data[r*to:r*to+n], in[0].Data[r*from+s.Start*size:])
	}
	return nil
}

// Prepare implements Preparer: nothing is left to do for a view.
func (s *SliceLast) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	if sameStart(x, y, s.Start) {
		return []Step{}, nil
	}
	run := func(_, _ int) { _ = s.Eval(env.In, env.Out) }
	return []Step{{Kernel: "copy", Tiles: 1, Cost: y.Elems() / 4, Run: run}}, nil
}
