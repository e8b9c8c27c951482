package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Slice takes elements Starts, Starts+Steps, ... before Ends along each of
// Axes (all axes where there are none), as NumPy does. Before opset 10 the
// lists are attributes; later they are inputs 1 to 4, and the fields are nil.
type Slice struct {
	Starts, Ends, Axes []int
}

func newSlice(n *graph.Node, opset int) (graph.Op, error) {
	if opset >= 10 {
		return &Slice{}, nil
	}
	s := &Slice{Starts: n.Attrs.Ints("starts"), Ends: n.Attrs.Ints("ends"), Axes: n.Attrs.Ints("axes")}
	if s.Starts == nil || s.Ends == nil {
		return nil, fmt.Errorf("attributes starts and ends are missing: %w", ErrShape)
	}
	return s, nil
}

// span is a slice normalised to every axis of its input.
type span struct {
	start, step, n [tensor.MaxRank]int
}

// span resolves the slice of a shape; in holds the contents of inputs 1 and
// up.
func (s *Slice) span(shape tensor.Shape, in []*tensor.Tensor) (sp span, err error) {
	starts, ends := integers{s.Starts, opt(in, 1)}, integers{s.Ends, opt(in, 2)}
	axes, steps := integers{s.Axes, opt(in, 3)}, integers{nil, opt(in, 4)}
	n := starts.len()
	if ends.len() != n || axes.len() != n && axes.len() != 0 || steps.len() != n && steps.len() != 0 || n > len(shape) {
		return sp, fmt.Errorf("%d starts, %d ends, %d axes and %d steps for %v: %w",
			n, ends.len(), axes.len(), steps.len(), shape, ErrShape)
	}
	for a, d := range shape {
		sp.step[a], sp.n[a] = 1, d
	}
	var seen [tensor.MaxRank]bool
	for i := range n {
		a, step := i, 1
		if axes.len() > 0 {
			if a, err = axis(axes.at(i), len(shape)); err != nil {
				return sp, err
			}
		}
		if steps.len() > 0 {
			step = steps.at(i)
		}
		if step == 0 || seen[a] {
			return sp, fmt.Errorf("axis %d is named twice or has step 0: %w", a, ErrShape)
		}
		seen[a] = true
		sp.start[a], sp.step[a], sp.n[a] = sliceAxis(shape[a], starts.at(i), ends.at(i), step)
	}
	return sp, nil
}

// sliceAxis resolves start, end and step on an axis of extent d to a first
// element, a step and a count.
func sliceAxis(d, start, end, step int) (int, int, int) {
	if d == 0 {
		return 0, step, 0
	}
	// A step beyond the axis picks one element; holding it there keeps sums
	// in range.
	step = min(max(step, -d-1), d+1)
	lo, hi := 0, d
	if step < 0 {
		lo, hi = -1, d-1
	}
	clamp := func(i int) int {
		if i < 0 {
			i += d
		}
		return min(max(i, lo), hi)
	}
	// Only the end of a backward slice may lie before the first element.
	start = max(clamp(start), 0)
	if end == math.MaxInt || end == math.MaxInt32 {
		// ONNX Runtime reads these as "to the end", also backward.
		end = -d - 1
		if step > 0 {
			end = d
		}
	}
	end = clamp(end)
	n := 0
	switch {
	case step > 0 && end > start:
		n = (end - start + step - 1) / step
	case step < 0 && end < start:
		n = (start - end - step - 1) / -step
	}
	if n == 0 {
		start = 0
	}
	return start, step, n
}

// Resolve returns the first element and the step of the slice on every axis
// of input 0, and the extents of the result.
func (s *Slice) Resolve(in []*graph.Value) (starts, steps []int, shape tensor.Shape, err error) {
	most := 5
	if s.Starts != nil {
		most = 1
	}
	if err := args(in, 1, most); err != nil {
		return nil, nil, nil, err
	}
	if s.Starts == nil && (opt(in, 1) == nil || opt(in, 2) == nil) {
		return nil, nil, nil, fmt.Errorf("starts and ends are missing: %w", ErrShape)
	}
	for i := 1; i < len(in); i++ {
		if err := intInput(in, i); err != nil {
			return nil, nil, nil, err
		}
	}
	lists, err := contents(in, 1)
	if err != nil {
		return nil, nil, nil, err
	}
	from := in[0].Type.Shape
	sp, err := s.span(from, lists)
	if err != nil {
		return nil, nil, nil, err
	}
	rank := len(from)
	return append([]int{}, sp.start[:rank]...), append([]int{}, sp.step[:rank]...), append(tensor.Shape{}, sp.n[:rank]...), nil
}

// Infer implements graph.Op.
func (s *Slice) Infer(in []*graph.Value) ([]tensor.Type, error) {
	_, _, shape, err := s.Resolve(in)
	if err != nil {
		return nil, err
	}
	return typed(in[0].Type.DType, shape)
}

// Pitched allows both.
func (s *Slice) Pitched() (in, out bool) { return true, true }

func (s *Slice) move(in []*tensor.Tensor, out *tensor.Tensor) (m move, err error) {
	sp, err := s.span(in[0].Shape, in)
	if err != nil {
		return m, err
	}
	to, from := stridesOf(out), stridesOf(in[0])
	for a, e := range out.Shape {
		m.add(e, to[a], from[a]*sp.step[a])
		m.srcOff += from[a] * sp.start[a]
	}
	return m, nil
}

// Eval implements Evaluator.
func (s *Slice) Eval(in, out []*tensor.Tensor) error {
	m, err := s.move(in, out[0])
	if err == nil {
		m.run(out[0], in[0])
	}
	return err
}

// Prepare cuts the copy into tiles, where the lists are final.
func (s *Slice) Prepare(env *Env) ([]Step, error) {
	if !settled(env) {
		return nil, nil
	}
	m, err := s.move(env.In, env.Out[0])
	return moveSteps(env, m), err
}

// Split cuts its input along Axis. The sizes are the attribute Sizes (before
// opset 13), or else input 1, or else Parts equal pieces, of which the last
// may be smaller.
type Split struct {
	Axis  int // may be negative
	Sizes []int
	Parts int // the number of outputs
}

func newSplit(n *graph.Node, _ int) (graph.Op, error) {
	s := &Split{Axis: n.Attrs.Int("axis", 0), Sizes: n.Attrs.Ints("split"), Parts: len(n.Out)}
	if want := n.Attrs.Int("num_outputs", s.Parts); want != s.Parts {
		return nil, fmt.Errorf("num_outputs is %d, the node has %d: %w", want, s.Parts, ErrShape)
	}
	return s, nil
}

// Resolve returns the axis and the size of every piece along it.
func (s *Split) Resolve(in []*graph.Value) (at int, sizes []int, err error) {
	if err := args(in, 1, 2); err != nil {
		return 0, nil, err
	}
	if err := intInput(in, 1); err != nil {
		return 0, nil, err
	}
	lists, err := contents(in, 1)
	if err != nil {
		return 0, nil, err
	}
	shape := in[0].Type.Shape
	if at, err = axis(s.Axis, len(shape)); err != nil {
		return 0, nil, err
	}
	list := integers{s.Sizes, opt(lists, 1)}
	if list.len() == 0 {
		if s.Parts == 0 {
			return 0, nil, fmt.Errorf("no outputs: %w", ErrShape)
		}
		each, left := (shape[at]+s.Parts-1)/s.Parts, shape[at]
		for range s.Parts {
			sizes = append(sizes, min(each, left))
			left -= sizes[len(sizes)-1]
		}
		return at, sizes, nil
	}
	sum := 0
	sizes = list.all()
	for _, n := range sizes {
		if n < 0 || n > shape[at]-sum {
			return 0, nil, fmt.Errorf("sizes %v do not add up to %d, axis %d of %v: %w", sizes, shape[at], at, shape, ErrShape)
		}
		sum += n
	}
	if sum != shape[at] || len(sizes) != s.Parts {
		return 0, nil, fmt.Errorf("sizes %v do not cut axis %d of %v into %d: %w", sizes, at, shape, s.Parts, ErrShape)
	}
	return at, sizes, nil
}

// Infer implements graph.Op.
func (s *Split) Infer(in []*graph.Value) ([]tensor.Type, error) {
	at, sizes, err := s.Resolve(in)
	if err != nil {
		return nil, err
	}
	var types []tensor.Type
	for _, n := range sizes {
		shape := in[0].Type.Shape.Clone()
		shape[at] = n
		types = append(types, tensor.Type{DType: in[0].Type.DType, Shape: shape})
	}
	return types, nil
}

// Pitched allows both.
func (s *Split) Pitched() (in, out bool) { return true, true }

// move returns the copy of the piece that starts at element first of the
// axis.
func (s *Split) move(in, out *tensor.Tensor, at, first int) move {
	to, from := stridesOf(out), stridesOf(in)
	m := move{srcOff: first * from[at]}
	for a, e := range out.Shape {
		m.add(e, to[a], from[a])
	}
	return m
}

// starts reads the place of each piece off the shapes; an output that is not
// wanted takes its size from the lists.
func (s *Split) starts(in, out []*tensor.Tensor, visit func(i, at, first int)) error {
	at, err := axis(s.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	list := integers{s.Sizes, opt(in, 1)}
	each, first := (in[0].Shape[at]+s.Parts-1)/s.Parts, 0
	for i, o := range out {
		n := each
		if list.len() > 0 {
			n = list.at(i)
		}
		if o != nil {
			n = o.Shape[at]
			visit(i, at, first)
		}
		first += n
	}
	return nil
}

// Eval implements Evaluator.
func (s *Split) Eval(in, out []*tensor.Tensor) error {
	return s.starts(in, out, func(i, at, first int) {
		m := s.move(in[0], out[i], at, first)
		m.run(out[i], in[0])
	})
}

// Prepare makes one step of all pieces.
func (s *Split) Prepare(env *Env) ([]Step, error) {
	if !settled(env) {
		return nil, nil
	}
	var jobs []moveJob
	err := s.starts(env.In, env.Out, func(i, at, first int) {
		jobs = append(jobs, moveJob{move: s.move(env.In[0], env.Out[i], at, first), dst: env.Out[i], src: env.In[0]})
	})
	return []Step{moveStep(jobs)}, err
}
