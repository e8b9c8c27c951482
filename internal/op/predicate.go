package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// IsNaN tells which elements are not a number.
type IsNaN struct{}

// IsInf tells which elements are infinite, with a sign that is asked for.
type IsInf struct{ Negative, Positive bool }

// Not inverts Bool elements.
type Not struct{}

// BitwiseNot inverts the bits of integers.
type BitwiseNot struct{}

func newIsNaN(*graph.Node, int) (graph.Op, error)      { return &IsNaN{}, nil }
func newNot(*graph.Node, int) (graph.Op, error)        { return &Not{}, nil }
func newBitwiseNot(*graph.Node, int) (graph.Op, error) { return &BitwiseNot{}, nil }

func newIsInf(n *graph.Node, _ int) (graph.Op, error) {
	return &IsInf{n.Attrs.Int("detect_negative", 1) != 0, n.Attrs.Int("detect_positive", 1) != 0}, nil
}

// oneInput infers an output of the type's shape, with element type d, from
// one input that must satisfy ok.
func oneInput(in []*graph.Value, ok func(tensor.DType) bool, d tensor.DType) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	if !ok(t.DType) {
		return nil, fmt.Errorf("element type %v: %w", t.DType, ErrUnsupported)
	}
	if d == tensor.Invalid {
		d = t.DType
	}
	return typed(d, t.Shape)
}

// Infer implements graph.Op.
func (o *IsNaN) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return oneInput(in, tensor.DType.IsFloat, tensor.Bool)
}

// Infer implements graph.Op.
func (o *IsInf) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return oneInput(in, tensor.DType.IsFloat, tensor.Bool)
}

// Infer implements graph.Op.
func (o *Not) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return oneInput(in, func(d tensor.DType) bool { return d == tensor.Bool }, tensor.Bool)
}

// Infer implements graph.Op.
func (o *BitwiseNot) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return oneInput(in, tensor.DType.IsInt, tensor.Invalid)
}

// InPlace implements InPlacer.
func (o *Not) InPlace() []int { return []int{0} }

// InPlace implements InPlacer.
func (o *BitwiseNot) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (o *IsNaN) Eval(in, out []*tensor.Tensor) error {
	testFloats(in[0], out[0], func(v float64) bool { return v != v })
	return nil
}

// Eval implements Evaluator.
func (o *IsInf) Eval(in, out []*tensor.Tensor) error {
	testFloats(in[0], out[0], func(v float64) bool {
		return o.Positive && math.IsInf(v, 1) || o.Negative && math.IsInf(v, -1)
	})
	return nil
}

// testFloats sets y to f of the elements of x.
func testFloats(x, y *tensor.Tensor, f func(float64) bool) {
	var buf [chunk]float64
	for i, n := 0, x.Elems(); i < n; i += chunk {
		b := buf[:min(chunk, n-i)]
		loadFloats(x, i, b)
		for j, v := range b {
			y.Data[i+j] = byte(truth(f(v)))
		}
	}
}

// Eval implements Evaluator.
func (o *Not) Eval(in, out []*tensor.Tensor) error {
	y := out[0].Bytes()
	for i, v := range in[0].Bytes() {
		y[i] = byte(truth(v == 0))
	}
	return nil
}

// Eval implements Evaluator.
func (o *BitwiseNot) Eval(in, out []*tensor.Tensor) error {
	var buf [chunk]int64
	for i, n := 0, in[0].Elems(); i < n; i += chunk {
		b := buf[:min(chunk, n-i)]
		loadInts(in[0], i, b)
		for j := range b {
			b[j] = ^b[j]
		}
		storeInts(out[0], i, b)
	}
	return nil
}
