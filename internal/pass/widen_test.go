package pass_test

import (
	"context"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// halfNet is a net of type d, which has the same weights as float16 and as
// float32.
func halfNet(d tensor.DType) *graph.Graph {
	b := optest.NewNet(13)
	weights := func(shape ...int) *graph.Value {
		half := tensor.New(tensor.Float16, shape...)
		for i := range half.Elems() {
			half.SetFloat(i, float64((i*7919)%201-100)/100)
		}
		t := tensor.New(d, shape...)
		for i := range t.Elems() {
			t.SetFloat(i, half.Float(i))
		}
		return b.Const(t)
	}
	same := graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1)}
	x := b.Input("x", d, 1, 3, 8, 8)
	y := b.Node("Relu", nil, b.Node("Conv", same, x, weights(6, 3, 3, 3), weights(6)))
	z := b.Node("Add", nil, b.Node("Conv", same, y, weights(6, 6, 3, 3)), y)
	// Through the type and back, as converters leave islands behind.
	z = b.Node("Cast", graph.Attrs{optest.AttrInt("to", 1)}, z)
	z = b.Node("Sigmoid", nil, z)
	to := int64(1)
	if d == tensor.Float16 {
		to = 10
	}
	z = b.Node("Cast", graph.Attrs{optest.AttrInt("to", to)}, z)
	top := b.Nodes("TopK", 2, nil, b.Node("Reshape", nil, z, b.Ints(6, 64)), b.Ints(5))
	product := b.Node("MatMul", nil, top[0], weights(5, 4))
	// One output is used further on, another is the input itself.
	return b.Output(product, y, top[1], b.Node("Transpose", nil, product), b.Node("Identity", nil, x))
}

// TestWiden compares a net in float16 with the same one in float32.
func TestWiden(t *testing.T) {
	outputs := map[tensor.DType][]*tensor.Tensor{}
	for _, d := range []tensor.DType{tensor.Float32, tensor.Float16} {
		g, err := pass.Compile(halfNet(d), pass.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			if _, ok := n.Op.(*op.Cast); !ok && len(n.In) > 1 && n.In[0].Type.DType == tensor.Float16 {
				t.Errorf("%T computes on float16", n.Op)
			}
		}
		s, err := engine.New(g, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Input("x").Elems() {
			s.Input("x").SetFloat(i, float64(i%17-8)/16)
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i, p := range s.Outputs() {
			if i != 2 && p.Type.DType != d {
				t.Errorf("output %d is %v, want %v", i, p.Type.DType, d)
			}
			outputs[d] = append(outputs[d], s.Output(p.Name))
		}
	}
	for i, want := range outputs[tensor.Float32] {
		got := outputs[tensor.Float16][i]
		rounded := tensor.New(got.DType, want.Shape...)
		for j := range want.Elems() {
			rounded.SetFloat(j, want.Float(j))
			if got.Float(j) != rounded.Float(j) {
				t.Fatalf("output %d, element %d is %v, want %v", i, j, got.Float(j), rounded.Float(j))
			}
		}
	}
}

// Graphs without products keep their types: rounding is part of what they
// compute.
func TestWidenLeavesOthers(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float16, 3, 4)
	bound, err := pass.Bind(b.Output(b.Node("Mul", nil, b.Node("Add", nil, x, x), x)), pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if pass.Widen(bound) != bound {
		t.Error("a sum was widened")
	}
}
