package pass

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// shuffled returns a value of shape [N,H,W,C] that holds the channels of x, an
// image [N,C,H,W], in another order, as behind a channel shuffle: channel c of
// x is channel at[c] of the value. It returns nil where x is no such view, or
// has its channels in order.
func (l *lowerer) shuffled(x *lowered) (v *graph.Value, at []int, err error) {
	w := x.view
	if len(w.axes) != 4 || len(w.axes[1]) < 2 || w.offset != 0 || w.base.Const != nil || w.base.Type.DType != tensor.Float32 {
		return nil, nil, nil
	}
	at = []int{0}
	for _, p := range w.axes[1] {
		var next []int
		for _, o := range at {
			for i := range p.size {
				next = append(next, o+i*p.stride)
			}
		}
		at = next
	}
	sorted := slices.Sorted(slices.Values(at))
	if !slices.Equal(sorted, identityPerm(len(at))) {
		return nil, nil, nil
	}
	w.axes = slices.Clone(w.axes)
	w.axes[1] = axisParts(part{len(at), 1})
	if !w.dense(nhwc) {
		return nil, nil, nil
	}
	v, err = l.realize(&lowered{from: x.from, view: w}, nhwc)
	return v, at, err
}

// reshuffled records that channel c of v, an image, is channel at[c] of value;
// x is the view of an image whose channels lie in the same order.
func (l *lowerer) reshuffled(v, value *graph.Value, x *lowered) {
	w := denseView(value).transpose([]int{0, 3, 1, 2})
	w.axes[1] = x.view.axes[1]
	l.set(v, w)
}

// shuffledWeights returns weights whose axis has its elements in the order of
// the memory: element c goes to at[c].
func (l *lowerer) shuffledWeights(w *graph.Value, axis int, at []int) *graph.Value {
	if w == nil {
		return nil
	}
	s := w.Type.Shape
	t := tensor.New(tensor.Float32, s...)
	inner, n := s[axis+1:].Elems(), s[axis]
	for o := range s[:axis].Elems() {
		for c, m := range at {
			from, to := (o*n+c)*inner, (o*n+m)*inner
			copy(t.F32()[to:to+inner], w.Const.F32()[from:from+inner])
		}
	}
	return graph.NewConst(l.name(w.Name, "shuffled"), t)
}

// shuffledInput lets a convolution read an input whose channels lie in another
// order as it lies, with its weights in that order. It sets the inputs, and
// returns the order of the outputs where they then lie in that order, too:
// those of a depthwise convolution, if another takes them so in the end.
func (l *lowerer) shuffledInput(n *graph.Node, c *op.ConvNHWC, x *lowered, in []*graph.Value) (outputs []int, err error) {
	if len(n.In[0].Type.Shape) != 4 {
		return nil, nil
	}
	channels := n.In[0].Type.Shape[1]
	depthwise := c.Group == channels && in[1].Type.Shape[0] == channels && channels > 1
	if c.Group != 1 && !(depthwise && l.shuffleEnds(n.Out[0], true)) {
		return nil, nil
	}
	v, at, err := l.shuffled(x)
	if v == nil || err != nil {
		return nil, err
	}
	in[0] = v
	if c.Group == 1 {
		in[1] = l.shuffledWeights(in[1], 1, at)
		return nil, nil
	}
	in[1], in[2] = l.shuffledWeights(in[1], 0, at), l.shuffledWeights(in[2], 0, at)
	c.Scale = shuffledList(c.Scale, at)
	return at, nil
}

// shuffleEnds reports whether a value with its channels in another order comes
// to a convolution that takes any order, and on the way only through
// operators that keep it. conv is set for the result of a convolution, which
// may take an activation along.
func (l *lowerer) shuffleEnds(v *graph.Value, conv bool) bool {
	for l.uses[v] == 1 && len(v.Type.Shape) == 4 {
		n := l.next[v]
		if dynamic(n) || n.In[0] != v {
			return false
		}
		channels := v.Type.Shape[1]
		switch o := n.Op.(type) {
		case *op.Conv:
			if n.In[1].Const == nil || len(n.In) > 2 && n.In[2] != nil && n.In[2].Const == nil {
				return false
			}
			if o.Group == 1 {
				return true
			}
			if o.Group != channels || n.Out[0].Type.Shape[1] != channels {
				return false
			}
			conv = true
		case *op.MaxPool, *op.AveragePool:
			if len(n.Out) > 1 {
				return false
			}
			conv = false
		default:
			if _, ok := activation(n, v, channels); !ok || !conv {
				return false
			}
			conv = false
		}
		v = n.Out[0]
	}
	return false
}

// shuffledList returns numbers by channel in the order of the memory; nil
// stays nil.
func shuffledList[T any](list []T, at []int) []T {
	if list == nil {
		return nil
	}
	s := make([]T, len(at))
	for c, m := range at {
		s[m] = list[c]
	}
	return s
}
