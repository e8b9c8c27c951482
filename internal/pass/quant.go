package pass

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
)

// quantAxis returns q for an input whose axes are in the order perm, or nil
// where it quantizes in blocks.
func quantAxis(q *op.QuantizeLinear, perm []int, in []*graph.Value) graph.Op {
	axis, ok := quantizedAxis(q.Axis, q.Block, perm, in)
	if !ok {
		return nil
	}
	c := *q
	c.Axis = axis
	return &c
}

// dequantAxis is quantAxis for DequantizeLinear.
func dequantAxis(q *op.DequantizeLinear, perm []int, in []*graph.Value) graph.Op {
	axis, ok := quantizedAxis(q.Axis, q.Block, perm, in)
	if !ok {
		return nil
	}
	c := *q
	c.Axis = axis
	return &c
}

func quantizedAxis(axis, block int, perm []int, in []*graph.Value) (int, bool) {
	if len(in[1].Type.Shape) > 1 || block != 0 {
		return 0, false
	}
	if in[1].Type.Shape.Elems() == 1 {
		return axis, true
	}
	if axis < 0 {
		axis += len(perm)
	}
	return where(perm, axis), true
}

// dequantized reports whether a value comes straight from a DequantizeLinear.
func dequantized(v *graph.Value) bool {
	if v.Node == nil {
		return false
	}
	_, ok := v.Node.Op.(*op.DequantizeLinear)
	return ok
}
