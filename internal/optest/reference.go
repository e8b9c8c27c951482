package optest

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Reference evaluates a bound graph node by node with every operator's Eval,
// and returns all values by name. Inputs are given by name.
func Reference(g *graph.Graph, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	values := map[*graph.Value]*tensor.Tensor{}
	named := map[string]*tensor.Tensor{}
	for _, v := range g.Inputs {
		t := inputs[v.Name]
		if t == nil || !t.Shape.Equal(v.Type.Shape) || t.DType != v.Type.DType {
			return nil, fmt.Errorf("input %q wants %v", v.Name, v.Type)
		}
		values[v] = t
	}
	lookup := func(v *graph.Value) *tensor.Tensor {
		if v == nil {
			return nil
		}
		if t := values[v]; t != nil {
			return t
		}
		return v.Const
	}
	for _, n := range g.Nodes {
		e, ok := n.Op.(op.Evaluator)
		if !ok {
			return nil, fmt.Errorf("node %s has no Eval", n.Label())
		}
		in, out := make([]*tensor.Tensor, len(n.In)), make([]*tensor.Tensor, len(n.Out))
		actual := make([]*graph.Value, len(n.In))
		for i, v := range n.In {
			if in[i] = lookup(v); in[i] != nil {
				actual[i] = graph.NewConst(v.Name, in[i])
			}
		}
		types, err := n.Op.Infer(actual)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Label(), err)
		}
		for i, v := range n.Out {
			if v != nil {
				out[i] = tensor.New(types[i].DType, types[i].Shape...)
				values[v], named[v.Name] = out[i], out[i]
			}
		}
		if err := e.Eval(in, out); err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Label(), err)
		}
	}
	for _, v := range g.Outputs {
		named[v.Name] = lookup(v)
	}
	return named, nil
}
