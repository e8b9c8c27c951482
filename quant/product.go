package quant

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// product is a convolution or matrix product with constant weights: how its
// weights belong to output channels.
type product struct {
	node     *graph.Node
	channels int // of the output
	// axis of the weights that their scales belong to, and how many scales
	// there are: fewer than channels in a transposed convolution of groups.
	axis, groups int
	plain        bool            // y = x·w + b, with no factors
	channel      func(i int) int // output channel of element i of the weights
	scale        func(i int) int // scale of element i of the weights
	input        func(i int) int // input channel of element i of the weights; nil for ConvTranspose
}

// newProduct describes a node, false for one that is no product with constant
// float32 weights.
func newProduct(n *graph.Node) (*product, bool) {
	if n.Domain != "" && n.Domain != "ai.onnx" || len(n.In) < 2 || n.In[1] == nil || n.In[1].Const == nil || n.In[0] == nil || n.In[0].Const != nil {
		return nil, false
	}
	w := n.In[1].Const
	if w.DType != tensor.Float32 || w.Elems() == 0 {
		return nil, false
	}
	if len(n.In) > 2 && n.In[2] != nil && n.In[2].Const == nil {
		return nil, false
	}
	p := &product{node: n, plain: true}
	inner := 1
	switch s := w.Shape; n.Type {
	case "Conv":
		if len(s) < 3 {
			return nil, false
		}
		p.axis, p.channels, inner = 0, s[0], s[1:].Elems()
		per, taps, each := s[1], s[2:].Elems(), max(s[0]/max(n.Attrs.Int("group", 1), 1), 1)
		p.input = func(i int) int { return i/inner/each*per + i/taps%per }
	case "ConvTranspose":
		if len(s) < 3 {
			return nil, false
		}
		group := n.Attrs.Int("group", 1)
		taps, each, inputs := s[2:].Elems(), s[1], s[0]/max(group, 1)
		p.axis, p.channels, p.groups = 1, s[1]*group, s[1]
		p.channel = func(i int) int { return i/(taps*each)/inputs*each + i/taps%each }
		p.scale = func(i int) int { return i / taps % each }
		return p, inputs > 0
	case "Gemm":
		p.plain = n.Attrs.Float("alpha", 1) == 1 && n.Attrs.Float("beta", 1) == 1 && n.Attrs.Int("transA", 0) == 0
		if b := bias(n); len(s) != 2 || b != nil && b.Elems() != 1 && (b.Elems() != b.Shape[len(b.Shape)-1] || b.Elems() != s[1-n.Attrs.Int("transB", 0)]) {
			return nil, false
		}
		if n.Attrs.Int("transB", 0) != 0 {
			p.axis, p.channels, inner = 0, s[0], s[1]
			p.input = func(i int) int { return i % s[1] }
		} else {
			p.axis, p.channels = 1, s[1]
			p.input = func(i int) int { return i / s[1] }
		}
	case "MatMul":
		if len(s) != 2 {
			return nil, false
		}
		p.axis, p.channels = 1, s[1]
		p.input = func(i int) int { return i / s[1] }
	default:
		return nil, false
	}
	channels := p.channels
	p.groups = channels
	p.channel = func(i int) int { return i / inner % channels }
	p.scale = p.channel
	return p, true
}

// bias returns the constant bias of a product, nil for none.
func bias(n *graph.Node) *tensor.Tensor {
	if len(n.In) > 2 && n.In[2] != nil {
		return n.In[2].Const
	}
	return nil
}
