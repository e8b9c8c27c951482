package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Update says what a scattered update does to the element it falls on.
type Update int

// The updates of ScatterElements and ScatterND.
const (
	UpdateSet Update = iota // the update replaces the element
	UpdateAdd
	UpdateMul
	UpdateMax
	UpdateMin
)

func updateAttr(n *graph.Node) (Update, error) {
	switch r := n.Attrs.String("reduction", "none"); r {
	case "none":
		return UpdateSet, nil
	case "add":
		return UpdateAdd, nil
	case "mul":
		return UpdateMul, nil
	case "max":
		return UpdateMax, nil
	case "min":
		return UpdateMin, nil
	default:
		return 0, fmt.Errorf("reduction %q: %w", r, ErrUnsupported)
	}
}

// apply combines n elements of src, from element s, into dst from element d.
func (r Update) apply(dst *tensor.Tensor, d int, src *tensor.Tensor, s, n int) {
	if r == UpdateSet {
		size := dst.DType.Size()
		copy(dst.Data[d*size:(d+n)*size], src.Data[s*size:(s+n)*size])
		return
	}
	for i := range n {
		if dst.DType.IsFloat() {
			dst.SetFloat(d+i, r.floats(dst.Float(d+i), src.Float(s+i)))
			continue
		}
		a, b := dst.Int(d+i), src.Int(s+i)
		if dst.DType == tensor.Uint64 && (r == UpdateMax || r == UpdateMin) {
			if (uint64(a) < uint64(b)) == (r == UpdateMax) {
				a = b
			}
			dst.SetInt(d+i, a)
			continue
		}
		dst.SetInt(d+i, r.ints(a, b))
	}
}

func (r Update) ints(a, b int64) int64 {
	switch r {
	case UpdateAdd:
		return a + b
	case UpdateMul:
		return a * b
	case UpdateMax:
		return max(a, b)
	case UpdateMin:
		return min(a, b)
	case UpdateSet:
	}
	return b
}

// floats computes in float64, whose one rounding to a narrower type is exact
// for all of these.
func (r Update) floats(a, b float64) float64 {
	switch r {
	case UpdateAdd:
		return a + b
	case UpdateMul:
		return a * b
	case UpdateMax:
		return math.Max(a, b)
	case UpdateMin:
		return math.Min(a, b)
	case UpdateSet:
	}
	return b
}

// ScatterElements writes single elements along Axis into a copy of data:
// out[i, indices[i, j, k], k] = updates[i, j, k] for axis 1 of three.
type ScatterElements struct {
	Axis   int // may be negative
	Update Update
}

func newScatterElements(n *graph.Node, _ int) (graph.Op, error) {
	r, err := updateAttr(n)
	return &ScatterElements{Axis: n.Attrs.Int("axis", 0), Update: r}, err
}

// Infer implements graph.Op.
func (s *ScatterElements) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := scatterArgs(in); err != nil {
		return nil, err
	}
	if err := elementIndices(in, s.Axis); err != nil {
		return nil, err
	}
	if !in[2].Type.Shape.Equal(in[1].Type.Shape) {
		return nil, fmt.Errorf("updates of shape %v for indices of %v: %w", in[2].Type.Shape, in[1].Type.Shape, ErrShape)
	}
	return typed(in[0].Type.DType, in[0].Type.Shape)
}

// scatterArgs checks data, indices and updates but for their shapes.
func scatterArgs(in []*graph.Value) error {
	if err := args(in, 3, 3); err != nil {
		return err
	}
	if in[0].Type.DType != in[2].Type.DType {
		return fmt.Errorf("updates of %v for data of %v: %w", in[2].Type.DType, in[0].Type.DType, ErrShape)
	}
	return indexInput(in)
}

// InPlace offers the data.
func (s *ScatterElements) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (s *ScatterElements) Eval(in, out []*tensor.Tensor) error {
	copyAll(out[0], in[0])
	w, err := newElementWalk(out[0], in[1], s.Axis)
	if err != nil {
		return err
	}
	for i := range in[1].Elems() {
		to, err := w.step()
		if err != nil {
			return err
		}
		s.Update.apply(out[0], to, in[2], i, 1)
	}
	return nil
}

// ScatterND writes slices into a copy of data: the last axis of indices holds
// coordinates of the leading axes of data.
type ScatterND struct{ Update Update }

func newScatterND(n *graph.Node, _ int) (graph.Op, error) {
	r, err := updateAttr(n)
	return &ScatterND{Update: r}, err
}

// Infer implements graph.Op.
func (s *ScatterND) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := scatterArgs(in); err != nil {
		return nil, err
	}
	data, idx := in[0].Type.Shape, in[1].Type.Shape
	last := len(idx) - 1
	if last < 0 || idx[last] > len(data) {
		return nil, fmt.Errorf("indices of shape %v for %v: %w", idx, data, ErrShape)
	}
	if want := append(idx[:last].Clone(), data[idx[last]:]...); !in[2].Type.Shape.Equal(want) {
		return nil, fmt.Errorf("updates of shape %v, want %v: %w", in[2].Type.Shape, want, ErrShape)
	}
	return typed(in[0].Type.DType, data)
}

// InPlace offers the data.
func (s *ScatterND) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (s *ScatterND) Eval(in, out []*tensor.Tensor) error {
	copyAll(out[0], in[0])
	t := newTuples(out[0], in[1], 0)
	n := t.run / out[0].DType.Size()
	for i := range t.n {
		to, err := t.at(i)
		if err != nil {
			return err
		}
		s.Update.apply(out[0], to*n, in[2], i*n, n)
	}
	return nil
}
