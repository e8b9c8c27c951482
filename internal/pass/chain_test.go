package pass_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// TestChains joins elementwise operators that only the next one uses.
func TestChains(t *testing.T) {
	run(t, []rewrite{
		{name: "norm and PRelu in channels-last order", want: "move Pool Mul>Add>PRelu move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
			return b.Node("PRelu", nil, norm(b, y, 8), b.Weights(8, 1, 1))
		}},
		{name: "sum of two images behind a pooling", want: "move Pool Pool Add>Mul>Add>Relu move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
			z := b.Node("AveragePool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
			return b.Node("Relu", nil, norm(b, b.Node("Add", nil, y, z), 8))
		}},
		{name: "boxes from centres", shape: []int{1, 31, 4}, want: "SliceLast Mul>Mul>Add SliceLast Mul>Exp>Mul Concat", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			parts := b.Nodes("Split", 2, graph.Attrs{optest.AttrInt("axis", 2)}, x)
			at, size := b.Weights(1, 31, 2), b.Weights(1, 31, 2)
			xy := b.Node("Add", nil, b.Node("Mul", nil, b.Node("Mul", nil, parts[0], b.Scalar(.1)), size), at)
			wh := b.Node("Mul", nil, b.Node("Exp", nil, b.Node("Mul", nil, parts[1], b.Scalar(.2))), size)
			return b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 2)}, xy, wh)
		}},
		{name: "operands first", want: "Sub>Div>Sub>Exp", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Div", nil, b.Scalar(3), b.Node("Sub", nil, b.Scalar(1), x))
			return b.Node("Exp", nil, b.Node("Sub", nil, b.Weights(1, 8, 1, 5), y))
		}},
		{name: "start is an operand again", want: "Sigmoid>Add>Mul>Relu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Add", nil, b.Node("Sigmoid", nil, x), b.Scalar(1))
			return b.Node("Relu", nil, b.Node("Mul", nil, y, x))
		}},
		{name: "used twice", want: "Sigmoid Relu>Add>Exp", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Sigmoid", nil, x)
			return b.Node("Exp", nil, b.Node("Add", nil, b.Node("Relu", nil, y), y))
		}},
		{name: "other operand comes later", want: "Exp Sigmoid>Add>Tanh", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Exp", nil, x)
			return b.Node("Tanh", nil, b.Node("Add", nil, y, b.Node("Sigmoid", nil, x)))
		}},
		{name: "result is larger", shape: []int{5}, want: "Exp Mul Add", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Mul", nil, b.Node("Exp", nil, x), b.Weights(3, 5))
			return b.Node("Add", nil, y, b.Weights(2, 3, 5))
		}},
		{name: "no kernel", want: "Exp>Neg Sin Floor", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Neg", nil, b.Node("Exp", nil, x))
			return b.Node("Floor", nil, b.Node("Sin", nil, y))
		}},
	})
}

// A value in the middle of a chain that the graph gives out is computed.
func TestChainEndsAtOutput(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 2, 9)
	y := b.Node("Add", nil, b.Node("Exp", nil, x), b.Scalar(1))
	g := optest.Agree(t, b.Output(y, b.Node("Neg", nil, b.Node("Relu", nil, y))), pass.Options{})
	if got := describe(g); got != "Exp>Add Relu>Neg" {
		t.Errorf("lowered to %q", got)
	}
}

// Longer chains are cut.
func TestLongChain(t *testing.T) {
	b := optest.NewNet(13)
	y := b.Input("x", tensor.Float32, 300, 3)
	for range 20 {
		y = b.Node("Tanh", nil, b.Node("Add", nil, y, b.Weights(3)))
	}
	g := optest.Agree(t, b.Output(y), pass.Options{})
	most := 0
	for _, n := range g.Nodes {
		if c, ok := n.Op.(*op.Chain); ok {
			most = max(most, len(c.Links))
		}
	}
	if len(g.Nodes) > 5 || most > 13 {
		t.Errorf("%d nodes, the longest chain has %d links", len(g.Nodes), most)
	}
}

// TestSoftmaxOrder normalises short axes in the order of the output.
func TestSoftmaxOrder(t *testing.T) {
	run(t, []rewrite{
		{name: "as the output lies", want: "move Pool move Softmax", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
			return b.Node("Softmax", graph.Attrs{optest.AttrInt("axis", 1)}, y)
		}},
		{name: "transposed there and back", want: "move Pool move Softmax", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
			y = b.Node("Softmax", graph.Attrs{optest.AttrInt("axis", 3)}, b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 3, 2, 1)}, y))
			return b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 3, 2, 1)}, y)
		}},
		{name: "long", shape: []int{1, 40, 6, 5}, want: "move Pool Softmax move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
			return b.Node("Softmax", graph.Attrs{optest.AttrInt("axis", 1)}, y)
		}},
	})
}
