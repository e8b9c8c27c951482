package engine

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// dynamicNode reports whether extents around a node are known only while it
// runs.
func dynamicNode(n *graph.Node) bool {
	varies := func(v *graph.Value) bool { return v != nil && v.Dynamic }
	return slices.ContainsFunc(n.In, varies) || slices.ContainsFunc(n.Out, varies)
}

// dynamicStep infers the actual extents before it evaluates. Memory is
// planned for upper bounds; the few small allocations of inference are the
// price of data-dependent shapes.
type dynamicStep struct {
	node    *graph.Node
	in, out []*tensor.Tensor
	values  []*graph.Value
}

func newDynamicStep(n *graph.Node, in, out []*tensor.Tensor) step {
	d := &dynamicStep{node: n, in: in, out: out, values: make([]*graph.Value, len(in))}
	for i, v := range n.In {
		if v != nil {
			d.values[i] = &graph.Value{Name: v.Name}
		}
	}
	return step{Step: op.Step{Kernel: "reference", Tiles: 1}, node: n, dynamic: d}
}

func (d *dynamicStep) run() error {
	for i, t := range d.in {
		if t != nil {
			d.values[i].Type, d.values[i].Const = t.Type(), t
		}
	}
	types, err := d.node.Op.Infer(d.values)
	if err != nil {
		return err
	}
	for i, t := range d.out {
		if t == nil {
			continue
		}
		if types[i].Bytes() > len(t.Data) {
			return fmt.Errorf("output %q needs %v, planned were %d bytes: %w", d.node.Out[i].Name, types[i], len(t.Data), op.ErrShape)
		}
		t.Shape = append(t.Shape[:0], types[i].Shape...)
	}
	return d.node.Op.(op.Evaluator).Eval(d.in, d.out)
}
