package pass

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// reduce lowers a reduction along constant axes, in the order of axes that its
// input has.
func (l *lowerer) reduce(n *graph.Node, o *op.Reduce) (bool, error) {
	var list *tensor.Tensor
	if v := optional(n.In, 1); v != nil {
		if list = v.Const; list == nil {
			return false, nil
		}
	}
	perm := l.order(n.In[0])
	over, err := o.Over(list, len(perm))
	if err != nil {
		return false, err
	}
	r := &op.Reduce{Kind: o.Kind, KeepDims: true, Noop: true, Axes: []int{}}
	for at, a := range perm {
		if over[a] {
			r.Axes = append(r.Axes, at)
		}
	}
	return l.reduced(n, r, perm, func(a int) bool { return over[a] && !o.KeepDims })
}

// argReduce lowers the search for an extreme likewise.
func (l *lowerer) argReduce(n *graph.Node, o *op.ArgReduce) (bool, error) {
	perm := l.order(n.In[0])
	axis := o.Axis
	if axis < 0 {
		axis += len(perm)
	}
	r := *o
	r.Axis, r.KeepDims = where(perm, axis), true
	return l.reduced(n, &r, perm, func(a int) bool { return a == axis && !o.KeepDims })
}

// reduced adds an operator that keeps reduced axes, and drops some of them
// from its output.
func (l *lowerer) reduced(n *graph.Node, o graph.Op, perm []int, drop func(axis int) bool) (bool, error) {
	if slices.Equal(perm, identityPerm(len(perm))) {
		return false, nil
	}
	x, err := l.realize(l.get(n.In[0]), perm)
	if err != nil {
		return false, err
	}
	v, err := l.add(o, n.Type, n.Name, n.Out[0].Name, x)
	if err != nil {
		return false, err
	}
	inverse := make([]int, len(perm))
	for i, a := range perm {
		inverse[a] = i
	}
	w := denseView(v).transpose(inverse)
	kept := w.axes[:0:0]
	for a, parts := range w.axes {
		if !drop(a) {
			kept = append(kept, parts)
		}
	}
	w.axes = kept
	l.set(n.Out[0], w)
	return true, nil
}
