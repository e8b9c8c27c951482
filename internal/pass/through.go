package pass

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// scaledThrough is scaled for an x that is joined or resized from products:
// both commute with a scale and a shift for each channel. It returns nil
// where no product takes them.
func (s *simplifier) scaledThrough(n *graph.Node, x *graph.Value, scale, shift []float64) (*graph.Value, error) {
	if s.uses[x] != 1 {
		return nil, nil
	}
	switch o := x.Node.Op.(type) {
	case *op.Resize:
		if !keepsChannels(x.Node, o) {
			return nil, nil
		}
		part, err := s.scaled(s.part(n, x.Node.In[0]), x.Node.In[0], scale, shift)
		if part == nil || err != nil {
			return nil, err
		}
		return s.resized(n, x.Node, part)
	case *op.Concat:
		parts, from, folded := slices.Clone(x.Node.In), 0, false
		if !joinsChannels(x.Node, o) {
			return nil, nil
		}
		for i, v := range x.Node.In {
			to := from + v.Type.Shape[1]
			part, err := s.scaled(s.part(n, v), v, scale[from:to], shift[from:to])
			if folded = folded || part != nil; part == nil && err == nil {
				part, err = s.affine(s.part(n, v), v, scale[from:to], shift[from:to])
			}
			if err != nil {
				return nil, err
			}
			parts[i], from = part, to
			s.uses[part] = 1
		}
		if !folded {
			return nil, nil
		}
		return s.add(n, o, "Concat", parts...)
	}
	return nil, nil
}

// part stands for the piece of a node that takes the place of v.
func (s *simplifier) part(n *graph.Node, v *graph.Value) *graph.Node {
	s.serial++
	name := fmt.Sprintf("%s/part.%d", n.Name, s.serial)
	return &graph.Node{Name: name, Out: []*graph.Value{{Name: name, Type: v.Type}}}
}

// resized returns v resized as the node r resizes.
func (s *simplifier) resized(n, r *graph.Node, v *graph.Value) (*graph.Value, error) {
	s.uses[v] = 1
	return s.add(n, r.Op, r.Type, append([]*graph.Value{v}, r.In[1:]...)...)
}

// keepsChannels reports a resize whose results are weighted means of one
// channel of one image.
func keepsChannels(n *graph.Node, o *op.Resize) bool {
	in, out := n.In[0].Type.Shape, n.Out[0].Type.Shape
	return o.Mode != "cubic" && o.Coord != "tf_crop_and_resize" && !o.Antialias &&
		len(in) > 2 && in[0] == out[0] && in[1] == out[1] && n.In[0].Const == nil
}

// joinsChannels reports a concatenation of channels.
func joinsChannels(n *graph.Node, o *op.Concat) bool {
	rank := len(n.Out[0].Type.Shape)
	return rank > 2 && (o.Axis == 1 || o.Axis == 1-rank)
}

// affine returns x·scale + shift, by channel.
func (s *simplifier) affine(n *graph.Node, x *graph.Value, scale, shift []float64) (*graph.Value, error) {
	shape := make([]int, len(x.Type.Shape)-1)
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = len(scale)
	k, d := tensor.New(tensor.Float32, shape...), tensor.New(tensor.Float32, shape...)
	for c := range scale {
		k.SetFloat(c, scale[c])
		d.SetFloat(c, shift[c])
	}
	outs, err := s.new.Add(&op.Binary{Kind: op.Mul}, graph.Node{Name: n.Name + "/scale", Type: "Mul",
		In: []*graph.Value{x, s.constant(n.Name, k)}}, n.Out[0].Name+"/scale")
	if err != nil {
		return nil, err
	}
	s.uses[outs[0]] = 1
	return s.add(n, &op.Binary{Kind: op.Add}, "Add", outs[0], s.constant(n.Name, d))
}

// actThrough moves an activation in front of a concatenation of channels where
// that lets a convolution apply it.
func actThrough(s *simplifier, n *graph.Node) (*graph.Value, error) {
	x := n.In[0]
	if x == nil || x.Node == nil || s.uses[x] != 1 || n.Out[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	o, ok := x.Node.Op.(*op.Concat)
	if !ok || !joinsChannels(x.Node, o) || !slices.ContainsFunc(x.Node.In, s.takesActivation) {
		return nil, nil
	}
	channels := x.Type.Shape[1]
	act, ok := activation(n, x, channels)
	if !ok {
		return nil, nil
	}
	parts, from := slices.Clone(x.Node.In), 0
	for i, v := range parts {
		to := from + v.Type.Shape[1]
		in := append([]*graph.Value{v}, n.In[1:]...)
		if act.Slope != nil {
			shape := append([]int{to - from}, make([]int, len(v.Type.Shape)-2)...)
			for a := range shape[1:] {
				shape[a+1] = 1
			}
			in[1] = s.constant(n.Name, tensor.From(tensor.Float32, act.Slope[from:to], shape...))
		}
		kind := n.Op
		if act.Slope != nil {
			kind = &op.Binary{Kind: op.PRelu} // whose slope is not that of an old operator set
		}
		y, err := s.add(s.part(n, v), kind, n.Type, in...)
		if err != nil {
			return nil, err
		}
		s.uses[y] = 1
		parts[i], from = y, to
	}
	return s.add(n, o, "Concat", parts...)
}

// takesActivation reports whether v is the result of a convolution that has
// no other use.
func (s *simplifier) takesActivation(v *graph.Value) bool {
	if v.Node == nil || s.uses[v] != 1 {
		return false
	}
	_, ok := v.Node.Op.(*op.Conv)
	return ok && v.Node.In[1].Const != nil
}
