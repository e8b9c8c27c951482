package optest

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Net builds a portable graph node by node, as a file would hold it: nothing
// is checked and only inputs and constants have types.
type Net struct {
	Graph  *graph.Graph
	serial int
}

// NewNet starts a graph of one version of ai.onnx's operators.
func NewNet(opset int) *Net {
	return &Net{Graph: &graph.Graph{Opsets: []graph.Opset{{Version: int64(opset)}}}}
}

func (b *Net) fresh() string { b.serial++; return fmt.Sprintf("v%d", b.serial) }

// Input declares an input. An extent below zero is one that the file leaves
// open.
func (b *Net) Input(name string, d tensor.DType, shape ...int) *graph.Value {
	v := &graph.Value{Name: name, Type: tensor.Of(d, shape...)}
	b.Graph.Inputs = append(b.Graph.Inputs, v)
	return v
}

// Symbols declares a float32 input by the names and numbers of its extents.
func (b *Net) Symbols(name string, dims ...any) *graph.Value {
	v := b.Input(name, tensor.Float32)
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			v.Type.Shape, v.Dims = append(v.Type.Shape, d), append(v.Dims, "")
		case string:
			v.Type.Shape, v.Dims = append(v.Type.Shape, -1), append(v.Dims, d)
		}
	}
	return v
}

// Const adds an initializer.
func (b *Net) Const(t *tensor.Tensor) *graph.Value {
	v := graph.NewConst(b.fresh(), t)
	b.Graph.Inits = append(b.Graph.Inits, v)
	return v
}

// Weights adds a float32 initializer with numbers between -1 and 1 that are
// the same in every test run.
func (b *Net) Weights(shape ...int) *graph.Value {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.F32() {
		t.F32()[i] = float32((i*7919+b.serial*104729)%201-100) / 100
	}
	return b.Const(t)
}

// Positive adds a float32 initializer with numbers between 0.5 and 2.
func (b *Net) Positive(shape ...int) *graph.Value {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.F32() {
		t.F32()[i] = 0.5 + float32(i%7)/4
	}
	return b.Const(t)
}

// Scalar adds a float32 initializer of rank 0.
func (b *Net) Scalar(v float32) *graph.Value {
	return b.Const(tensor.From(tensor.Float32, []float32{v}))
}

// Floats adds a float32 initializer of rank 1.
func (b *Net) Floats(v ...float32) *graph.Value {
	return b.Const(tensor.From(tensor.Float32, v, len(v)))
}

// Ints adds an int64 initializer of rank 1.
func (b *Net) Ints(v ...int64) *graph.Value {
	return b.Const(tensor.From(tensor.Int64, v, len(v)))
}

// Int adds an int64 initializer of rank 0.
func (b *Net) Int(v int64) *graph.Value {
	return b.Const(tensor.From(tensor.Int64, []int64{v}))
}

// Node appends a node with one output and returns that.
func (b *Net) Node(op string, attrs graph.Attrs, in ...*graph.Value) *graph.Value {
	return b.Nodes(op, 1, attrs, in...)[0]
}

// Nodes appends a node with n outputs and returns them.
func (b *Net) Nodes(op string, n int, attrs graph.Attrs, in ...*graph.Value) []*graph.Value {
	node := &graph.Node{Type: op, Attrs: attrs, In: in}
	for range n {
		node.Out = append(node.Out, &graph.Value{Name: b.fresh(), Node: node})
	}
	node.Name = "n_" + node.Out[0].Name
	b.Graph.Nodes = append(b.Graph.Nodes, node)
	return node.Out
}

// Output makes values outputs of the graph.
func (b *Net) Output(vs ...*graph.Value) *graph.Graph {
	b.Graph.Outputs = append(b.Graph.Outputs, vs...)
	return b.Graph
}

// AttrInts is a list attribute.
func AttrInts(name string, v ...int64) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInts, Ints: v}
}

// AttrInt is an integer attribute.
func AttrInt(name string, v int64) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInt, Int: v}
}

// AttrFloat is a float attribute.
func AttrFloat(name string, v float32) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrFloat, Float: v}
}

// AttrString is a string attribute.
func AttrString(name, v string) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrString, String: v}
}

// Types lists the operator types of a graph's nodes in order.
func Types(g *graph.Graph) []string {
	var ts []string
	for _, n := range g.Nodes {
		ts = append(ts, fmt.Sprintf("%T", n.Op)[len("*op."):])
	}
	return ts
}
