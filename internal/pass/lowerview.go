package pass

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// asView lowers an operator that only rearranges elements: its output becomes
// another view of the same memory. It reports false for other operators.
func (l *lowerer) asView(n *graph.Node) (bool, error) {
	ok, err := l.viewed(n)
	if !ok || err != nil || !slices.ContainsFunc(n.Out, l.scattered) {
		return ok, err
	}
	// A view of a view of a view: no copy could make it dense.
	p, err := l.plain(n.In[0])
	if err != nil {
		return false, err
	}
	l.get(n.In[0]).view = denseView(p)
	return l.viewed(n)
}

// scattered reports whether the view of a value has more parts than a tensor
// has axes.
func (l *lowerer) scattered(v *graph.Value) bool {
	if v == nil {
		return false
	}
	parts := 0
	for _, ps := range l.get(v).view.axes {
		parts += len(ps)
	}
	return parts > tensor.MaxRank
}

func (l *lowerer) viewed(n *graph.Node) (bool, error) {
	switch o := n.Op.(type) {
	case *op.Identity:
		l.set(n.Out[0], l.get(n.In[0]).view)
		l.values[n.Out[0]].made = l.values[n.In[0]].made
		return true, nil
	case *op.Reshape, *op.Flatten, *op.Squeeze, *op.Unsqueeze:
		return true, l.reshaped(n.In[0], n.Out[0])
	case *op.Transpose:
		perm, err := o.Resolve(len(n.In[0].Type.Shape))
		if err != nil {
			return true, err
		}
		l.set(n.Out[0], l.get(n.In[0]).view.transpose(perm))
		return true, nil
	case *op.Slice:
		starts, steps, shape, err := o.Resolve(n.In)
		if err != nil {
			return true, err
		}
		return l.sliced(n.In[0], n.Out[0], starts, steps, shape)
	case *op.Split:
		return l.split(n, o)
	case *op.Gather:
		return l.gather(n, o)
	case *op.DepthToSpace:
		s := n.In[0].Type.Shape
		b := o.Block
		if o.CRD {
			return true, l.rearranged(n, []int{s[0], s[1] / (b * b), b, b, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3})
		}
		return true, l.rearranged(n, []int{s[0], b, b, s[1] / (b * b), s[2], s[3]}, []int{0, 3, 4, 1, 5, 2})
	case *op.SpaceToDepth:
		s, b := n.In[0].Type.Shape, o.Block
		perm := []int{0, 3, 5, 1, 2, 4}
		if o.CRD {
			perm = []int{0, 1, 3, 5, 2, 4}
		}
		return true, l.rearranged(n, []int{s[0], s[1], s[2] / b, b, s[3] / b, b}, perm)
	}
	return false, nil
}

// reshaped views a value under another shape; where its factors cannot be cut
// so, it is first put in ONNX's order.
func (l *lowerer) reshaped(in, out *graph.Value) error {
	if w, ok := l.get(in).view.reshape(out.Type.Shape); ok {
		l.set(out, w)
		return nil
	}
	p, err := l.plain(in)
	if err != nil {
		return err
	}
	w, ok := denseView(p).reshape(out.Type.Shape)
	if !ok {
		v, err := l.add(&op.View{Shape: out.Type.Shape}, "View", out.Name, l.name(out.Name, "view"), p)
		if err != nil {
			return err
		}
		w = denseView(v)
	}
	l.set(out, w)
	return nil
}

// rearranged views a value under a finer shape, permutes that, and takes the
// output's shape.
func (l *lowerer) rearranged(n *graph.Node, fine, perm []int) error {
	x := l.get(n.In[0])
	w, ok := x.view.reshape(fine)
	if !ok {
		p, err := l.plain(n.In[0])
		if err != nil {
			return err
		}
		w, _ = denseView(p).reshape(fine)
	}
	// Joining axes of a view always works: they just have more parts.
	w, _ = w.transpose(perm).reshape(n.Out[0].Type.Shape)
	l.set(n.Out[0], w)
	return nil
}

// sliced views part of a value. Where no view can, it reports false.
func (l *lowerer) sliced(in, out *graph.Value, starts, steps []int, shape tensor.Shape) (bool, error) {
	w := l.get(in).view
	for a := range shape {
		var ok bool
		if w, ok = w.slice(a, starts[a], steps[a], shape[a]); !ok {
			return false, nil
		}
	}
	l.set(out, w)
	return true, nil
}

func (l *lowerer) split(n *graph.Node, o *op.Split) (bool, error) {
	axis, sizes, err := o.Resolve(n.In)
	if err != nil {
		return true, err
	}
	x := l.get(n.In[0]).view
	start := 0
	views := make([]view, len(n.Out))
	for i := range n.Out {
		var ok bool
		if views[i], ok = x.slice(axis, start, 1, sizes[i]); !ok {
			return false, nil
		}
		start += sizes[i]
	}
	for i, v := range n.Out {
		if v != nil {
			l.set(v, views[i])
		}
	}
	return true, nil
}

// gather views elements of an axis at constant indices in arithmetic
// progression: the channel split of exporters that have no Split.
func (l *lowerer) gather(n *graph.Node, o *op.Gather) (bool, error) {
	idx := n.In[1].Const
	if idx == nil {
		return false, nil
	}
	shape := n.In[0].Type.Shape
	axis := o.Axis
	if axis < 0 {
		axis += len(shape)
	}
	at := idx.Ints()
	for i := range at {
		if at[i] < 0 {
			at[i] += shape[axis]
		}
	}
	step := 1
	if len(at) > 1 {
		step = at[1] - at[0]
	}
	for i, v := range at {
		if v != at[0]+i*step || v < 0 || v >= shape[axis] {
			return false, nil
		}
	}
	w, ok := l.get(n.In[0]).view.slice(axis, at[0], step, len(at))
	if !ok || step == 0 {
		return false, nil
	}
	// The axis takes the shape of the indices.
	axes := slices.Clone(w.axes[:axis])
	for i, d := range idx.Shape {
		switch {
		case i == len(idx.Shape)-1:
			axes = append(axes, w.axes[axis])
		case d != 1:
			return false, nil
		default:
			axes = append(axes, nil)
		}
	}
	w.axes = append(axes, w.axes[axis+1:]...)
	l.set(n.Out[0], w)
	return true, nil
}
