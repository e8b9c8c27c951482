package pass

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// groupNorm recognises the normalisation of groups of channels as exporters
// spell it without an operator of its own: an InstanceNormalization with the
// groups as channels between two reshapes.
func groupNorm(s *simplifier, n *graph.Node) (*graph.Value, error) {
	if !reshapes(n) || n.In[0].Node == nil || s.uses[n.In[0]] != 1 {
		return nil, nil
	}
	norm := n.In[0].Node
	o, ok := norm.Op.(*op.InstanceNorm)
	if !ok || o.Groups != 0 || norm.In[1].Const == nil || norm.In[2].Const == nil || norm.In[0].Node == nil || !reshapes(norm.In[0].Node) {
		return nil, nil
	}
	x, grouped := norm.In[0].Node.In[0], norm.In[0].Type.Shape
	shape := x.Type.Shape
	if !shape.Equal(n.Out[0].Type.Shape) || len(shape) < 2 || shape[0] != grouped[0] || grouped[1] == 0 || shape[1]%grouped[1] != 0 {
		return nil, nil
	}
	each := func(v *graph.Value) *graph.Value { return perChannelOf(v, shape[1], s.constant) }
	return s.add(n, &op.InstanceNorm{Epsilon: o.Epsilon, Groups: grouped[1]}, "GroupNormalization", x, each(norm.In[1]), each(norm.In[2]))
}

// reshapes reports whether a node only gives its input another shape.
func reshapes(n *graph.Node) bool {
	switch n.Op.(type) {
	case *op.Reshape, *op.Flatten, *op.Squeeze, *op.Unsqueeze:
		return true
	}
	return false
}

// perChannelOf repeats the elements of a constant, one for each group, for
// each of so many channels.
func perChannelOf(v *graph.Value, channels int, constant func(from string, t *tensor.Tensor) *graph.Value) *graph.Value {
	t := tensor.New(v.Type.DType, channels)
	for c := range channels {
		t.SetFloat(c, v.Const.Float(c*v.Const.Elems()/channels))
	}
	return constant(v.Name, t)
}

// groupNorm lowers instance and group normalisation of images.
func (l *lowerer) groupNorm(n *graph.Node, o *op.InstanceNorm) (bool, error) {
	x, ok := l.spatial(n.In[0])
	if !ok || slices.ContainsFunc(n.In[1:], func(v *graph.Value) bool { return v.Type.DType != tensor.Float32 || o.PerGroup && v.Const == nil }) {
		return false, nil
	}
	channels := n.In[0].Type.Shape[1]
	in := make([]*graph.Value, 3)
	var err error
	if in[0], err = l.realize(x, nhwc); err != nil {
		return false, err
	}
	for i := 1; i < 3; i++ {
		if in[i], err = l.plain(n.In[i]); err != nil {
			return false, err
		}
		if o.PerGroup {
			in[i] = perChannelOf(in[i], channels, graph.NewConst)
		}
	}
	g := &op.GroupNormNHWC{Epsilon: o.Epsilon, Groups: o.Groups}
	if g.Groups == 0 {
		g.Groups = channels
	}
	var out *graph.Value
	g.Act, out = l.follow(n.Out[0], channels)
	v, err := l.add(g, n.Type, n.Name, out.Name, in...)
	if err != nil {
		return false, err
	}
	l.image(out, v)
	return true, nil
}
