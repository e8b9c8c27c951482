package quant

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// plan says which layers of a canonical graph get 8-bit weights and which
// values are rounded to 8 bits while the model runs. It follows from the
// graph's structure alone.
type plan struct {
	g       *graph.Graph
	types   map[string]tensor.Type // at the samples' sizes
	layers  []*layer
	byNode  map[*graph.Node]*layer
	kept    map[*graph.Node]bool // no layer, and stays float
	users   map[*graph.Value][]*graph.Node
	output  map[*graph.Value]bool
	behind  map[*graph.Node]bool // a layer stands before the node, or it is one
	ahead   map[*graph.Node]bool // a layer stands behind the node, or it is one
	integer map[*graph.Node]bool // computes on 8-bit numbers
	inner   map[*graph.Value]bool
	through map[*graph.Value][]*graph.Node // the function of one number that all readers of a value make, in order
	acts    []*activation                  // in the order of the graph
	of      map[*graph.Value]*activation

	method    Method          // that chose the ranges of most activations
	tuned     map[string]span // by value, ranges that suit single activations better
	corrected bool            // weights and biases were fitted layer by layer
}

// layer is a product and what becomes of its weights.
type layer struct {
	*product
	float   string // why it stays float; "" where it does not
	macs    int64
	weights *tensor.Tensor // float, with what equalization and correction did
	bias    []float64      // float, of each output channel
	before  []float64      // bias before correction
	scales  []float32      // of the weights
	codes   *tensor.Tensor // the rounded weights, nil where each is the nearest
	guarded int
	report  Layer
}

// activation is a value that is rounded to 8 bits.
type activation struct {
	value  *graph.Value
	parent *activation // of the same scale; nil at the one that others point to
	moved  bool        // made by moving elements of another activation
	fixed  bool        // the function that makes it has a known range
	obs    *observer
	method Method
	lo, hi float64
	scale  float32
	zero   int
}

// take sets the range.
func (a *activation) take(s span) {
	a.lo, a.hi, a.method = s.lo, s.hi, s.method
	a.scale, a.zero = parameters(a.lo, a.hi)
}

// root returns the activation that decides the scale.
func (a *activation) root() *activation {
	for a.parent != nil {
		a = a.parent
	}
	return a
}

// join gives two activations one scale.
func join(a, b *activation) {
	if a, b = a.root(), b.root(); a != b {
		b.parent = a
	}
}

// class says how an operator may be computed on 8-bit numbers.
type class int

const (
	other    class = iota
	moves          // takes elements as they are: output and input have one scale
	computes       // has a scale of its own
	bounds         // is absorbed by the rounding of what stands before it
)

// classes of operators. Those of products are found by newProduct.
var classes = map[string]class{
	"MaxPool": moves, "Reshape": moves, "Flatten": moves, "Transpose": moves, "Squeeze": moves, "Unsqueeze": moves, "Slice": moves,
	"Split": moves, "Gather": moves, "DepthToSpace": moves, "SpaceToDepth": moves, "Expand": moves, "Tile": moves, "Identity": moves,
	"Add": computes, "Sub": computes, "Mul": computes, "Concat": computes, "AveragePool": computes, "GlobalAveragePool": computes,
	"ReduceMean": computes, "Sigmoid": computes, "HardSigmoid": computes, "HardSwish": computes, "LeakyRelu": computes, "Tanh": computes,
	"Elu": computes, "Selu": computes, "Celu": computes, "Gelu": computes, "Mish": computes, "Swish": computes, "Softplus": computes,
	"Softmax": computes, "PRelu": computes, "Sum": computes,
	"Relu": bounds, "Clip": bounds,
}

// classOf looks at what the table cannot say.
func classOf(n *graph.Node) class {
	if n.Domain != "" && n.Domain != "ai.onnx" || len(n.In) == 0 || n.In[0] == nil {
		return other
	}
	switch n.Type {
	case "Resize":
		if n.Attrs.String("mode", "nearest") == "nearest" {
			return moves
		}
		return computes
	case "Pad":
		if len(n.In) > 2 && n.In[2] != nil && (n.In[2].Const == nil || n.In[2].Const.Float(0) != 0) {
			return other
		}
		return moves
	case "MaxPool":
		if len(n.Out) > 1 && n.Out[1] != nil {
			return other
		}
	case "Clip":
		for _, v := range n.In[1:] {
			if v != nil && v.Const == nil {
				return other
			}
		}
	case "Add", "Sub", "Mul", "Sum", "Concat":
		// With a constant it is arithmetic on one value, which is cheap in
		// float and seldom fits the constant's scale.
		for _, v := range n.In {
			if v == nil || v.Const != nil {
				return other
			}
		}
	}
	return classes[n.Type]
}

// newPlan reads the structure. skip names nodes, or types, that stay float.
func newPlan(g *graph.Graph, types map[string]tensor.Type, skip []string, tail bool) *plan {
	p := &plan{g: g, types: types, kept: map[*graph.Node]bool{}, byNode: map[*graph.Node]*layer{}, users: map[*graph.Value][]*graph.Node{}, output: map[*graph.Value]bool{}}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil && v.Const == nil {
				p.users[v] = append(p.users[v], n)
			}
		}
	}
	for _, v := range g.Outputs {
		p.output[v] = true
	}
	for _, n := range g.Nodes {
		m, ok := newProduct(n)
		if !ok {
			p.kept[n] = slices.Contains(skip, n.Name) || slices.Contains(skip, n.Type)
			continue
		}
		l := &layer{product: m, weights: n.In[1].Const}
		l.bias = make([]float64, m.channels)
		if b := bias(n); b != nil {
			for i := range l.bias {
				l.bias[i] = b.Float(i % b.Elems())
			}
		}
		l.macs = p.countMACs(l)
		switch {
		case !m.plain:
			l.float = "a matrix product with factors"
		case slices.Contains(skip, n.Name) || slices.Contains(skip, n.Type) || slices.Contains(skip, n.Out[0].Name):
			l.float = "asked for"
		case p.decodes(l):
			l.float = "it decodes a distribution of distances"
		case p.float(n.In[0]):
		default:
			l.float = "its input is not float32"
		}
		p.layers = append(p.layers, l)
		p.byNode[n] = l
	}
	p.mark(tail)
	return p
}

// float reports whether a value is a float32 that changes with the input.
func (p *plan) float(v *graph.Value) bool {
	return v != nil && v.Const == nil && p.types[v.Name].DType == tensor.Float32
}

// countMACs returns the multiply-adds of a layer.
func (p *plan) countMACs(l *layer) int64 {
	w := l.node.In[1].Const.Elems()
	t := p.types[l.node.Out[0].Name].Shape
	if l.node.Type == "ConvTranspose" {
		t = p.types[l.node.In[0].Name].Shape
		return int64(t.Elems()) * int64(w/max(l.node.In[1].Const.Shape[0], 1))
	}
	return int64(t.Elems()) * int64(w/max(l.channels, 1))
}

// decodes reports a convolution to one channel behind a softmax: the mean of a
// distribution, with which detectors say distances.
func (p *plan) decodes(l *layer) bool {
	v := l.node.In[0]
	for v.Node != nil && classOf(v.Node) == moves {
		v = v.Node.In[0]
	}
	return l.channels == 1 && v.Node != nil && v.Node.Type == "Softmax"
}

// active reports whether a node is a layer with 8-bit weights.
func (p *plan) active(n *graph.Node) bool {
	l := p.byNode[n]
	return l != nil && l.float == ""
}

// mark finds the nodes that compute on 8-bit numbers and the values between
// them. What has no layer behind it is the tail of the model: it stays float,
// as does what has none before it.
func (p *plan) mark(tail bool) {
	p.behind, p.ahead, p.integer = map[*graph.Node]bool{}, map[*graph.Node]bool{}, map[*graph.Node]bool{}
	p.inner, p.through, p.of, p.acts = map[*graph.Value]bool{}, map[*graph.Value][]*graph.Node{}, map[*graph.Value]*activation{}, nil
	for _, n := range p.g.Nodes {
		b := p.active(n)
		for _, v := range n.In {
			b = b || v != nil && v.Node != nil && p.behind[v.Node]
		}
		p.behind[n] = b
	}
	for _, n := range slices.Backward(p.g.Nodes) {
		a := p.active(n) || tail
		for _, v := range n.Out {
			for _, u := range p.users[v] {
				a = a || p.ahead[u] && v != nil
			}
		}
		p.ahead[n] = a
	}
	p.between(tail)
	for _, n := range p.g.Nodes {
		if p.integer[n] {
			p.markInner(n)
		}
	}
	for _, n := range p.g.Nodes {
		if !p.integer[n] {
			continue
		}
		for i, v := range n.In {
			if (i == 0 || classOf(n) == computes && n.Type != "Resize" && n.Type != "PRelu" && p.byNode[n] == nil) && p.float(v) && !p.inner[v] {
				p.round(v)
			}
		}
		if classOf(n) == moves {
			for _, v := range n.Out {
				if p.float(v) {
					p.round(v)
				}
			}
		}
	}
	p.order()
}

// between finds the nodes that are no layers and compute on 8-bit numbers: those
// on a way from a layer with 8-bit weights to another, with no node on it that
// stays float as a whole.
func (p *plan) between(tail bool) {
	open := func(n *graph.Node) bool { return p.byNode[n] == nil && !p.kept[n] }
	before, after := map[*graph.Node]bool{}, map[*graph.Node]bool{}
	for _, n := range p.g.Nodes {
		if before[n] = p.active(n); before[n] || !open(n) {
			continue
		}
		for _, v := range n.In {
			before[n] = before[n] || v != nil && v.Node != nil && before[v.Node]
		}
	}
	for _, n := range slices.Backward(p.g.Nodes) {
		if after[n] = p.active(n); after[n] || !open(n) {
			continue
		}
		after[n] = tail
		for _, v := range n.Out {
			after[n] = after[n] || v != nil && slices.ContainsFunc(p.users[v], func(u *graph.Node) bool { return after[u] })
		}
	}
	for _, n := range p.g.Nodes {
		p.integer[n] = p.active(n) || open(n) && classOf(n) != other && before[n] && after[n] && p.float(n.In[0])
	}
}

// markInner finds inputs of n that need no rounding of their own: the one
// that a limit is applied to, and those inside a function of one value, such
// as x·sigmoid(x).
func (p *plan) markInner(n *graph.Node) {
	single := func(v *graph.Value) bool { return len(p.users[v]) == 1 && !p.output[v] && v.Node != nil }
	switch x := n.In[0]; {
	case classOf(n) == bounds:
		if single(x) && p.integer[x.Node] && classOf(x.Node) != moves && classOf(x.Node) != bounds {
			p.inner[x] = true
		}
	case n.Type == "Mul":
		for i, gate := range n.In {
			x := n.In[1-i]
			var path []*graph.Value
			for v := gate; v != x; v = v.Node.In[0] {
				if v == nil || v.Const != nil || !single(v) || !elementwise(v.Node) {
					path = nil
					break
				}
				path = append(path, v)
			}
			for _, v := range path {
				p.inner[v] = true
			}
			if len(path) > 0 && len(p.users[x]) == 2 {
				nodes := []*graph.Node{n}
				for _, v := range path {
					nodes = append([]*graph.Node{v.Node}, nodes...)
				}
				p.through[x] = nodes
			}
		}
	case elementwise(n) && len(p.users[x]) == 1:
		p.through[x] = []*graph.Node{n}
	}
}

// elementwise reports a function of one value with numbers.
func elementwise(n *graph.Node) bool {
	switch n.Type {
	case "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Relu", "Clip", "Softplus", "Elu", "Selu", "Celu", "Gelu", "Mish", "Swish":
		return true
	case "Add", "Mul", "Div", "Sub":
		return len(n.In) == 2 && n.In[0] != nil && n.In[0].Const == nil && n.In[1] != nil && n.In[1].Const != nil && n.In[1].Const.Elems() == 1
	}
	return false
}

// round adds a value to those that are rounded.
func (p *plan) round(v *graph.Value) {
	if p.of[v] != nil {
		return
	}
	a := &activation{value: v}
	p.of[v] = a
	if n := v.Node; n != nil {
		switch n.Type {
		case "Sigmoid", "HardSigmoid", "Softmax":
			a.fixed = true
		}
	}
}

// order lists the activations as the graph makes them, and lets those share a
// scale whose elements are the same.
func (p *plan) order() {
	add := func(v *graph.Value) {
		if a := p.of[v]; v != nil && a != nil {
			p.acts = append(p.acts, a)
		}
	}
	for _, v := range p.g.Inputs {
		add(v)
	}
	for _, n := range p.g.Nodes {
		for _, v := range n.Out {
			add(v)
			if a := p.of[v]; v != nil && a != nil && p.integer[n] && classOf(n) == moves {
				a.moved = true
				join(p.of[n.In[0]], a)
			}
		}
	}
}
