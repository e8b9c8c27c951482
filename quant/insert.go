package quant

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// inserter writes a plan into a graph.
type inserter struct {
	p      *plan
	new    *graph.Graph
	values map[*graph.Value]*graph.Value // old to new
	coded  map[*graph.Value]*graph.Value // old to its 8-bit form
	params map[*activation][2]*graph.Value
	zeros  map[int]*graph.Value
	names  map[string]bool
	count  map[string]int // of names that were made, by their beginning
	group  *activation    // whose relatives are the only ones that are rounded, nil for all
	only   *layer         // the one layer that is quantized, nil for all
	weight bool           // of only: the weights
	input  bool           // of only: the input
}

// insert returns the graph of a plan with QuantizeLinear and DequantizeLinear
// nodes.
func (p *plan) insert() *graph.Graph {
	return (&inserter{p: p, weight: true, input: true}).build()
}

// activations returns the graph in which all activations are rounded and no
// weights.
func (p *plan) activations() *graph.Graph {
	return (&inserter{p: p, input: true}).build()
}

// alone returns the graph with one layer's weights or input quantized.
func (p *plan) alone(l *layer, weights, input bool) *graph.Graph {
	return (&inserter{p: p, only: l, weight: weights, input: input}).build()
}

// rounding returns the graph in which nothing but the relatives of an activation
// are rounded.
func (p *plan) rounding(a *activation) *graph.Graph {
	return (&inserter{p: p, group: a}).build()
}

func (t *inserter) build() *graph.Graph {
	g := t.p.g
	h := *g
	t.new = &h
	h.Nodes, h.Inits, h.Outputs = nil, nil, nil
	t.values, t.coded, t.params = map[*graph.Value]*graph.Value{}, map[*graph.Value]*graph.Value{}, map[*activation][2]*graph.Value{}
	t.zeros, t.names, t.count = map[int]*graph.Value{}, map[string]bool{}, map[string]int{}
	for _, v := range g.Inputs {
		t.names[v.Name], t.values[v] = true, v
	}
	for _, v := range g.Inits {
		t.names[v.Name], t.values[v] = true, v
	}
	for _, n := range g.Nodes {
		t.names[n.Name] = true
		for _, v := range n.Out {
			if v != nil {
				t.names[v.Name] = true
			}
		}
	}
	for _, v := range g.Inputs {
		t.code(v)
	}
	for _, n := range g.Nodes {
		t.node(n)
	}
	for _, v := range g.Outputs {
		t.new.Outputs = append(t.new.Outputs, t.values[v])
	}
	h.Inits = slices.Clone(h.Inits)
	seen := map[*graph.Value]bool{}
	for _, n := range h.Nodes {
		for _, v := range n.In {
			if v != nil && v.Const != nil && !seen[v] {
				seen[v] = true
				h.Inits = append(h.Inits, v)
			}
		}
	}
	return t.new
}

// fresh returns a short name that nothing has: names are a good part of the file
// of a small model.
func (t *inserter) fresh(base string) string {
	for {
		t.count[base]++
		if name := fmt.Sprint(base, t.count[base]); !t.names[name] {
			return name
		}
	}
}

func (t *inserter) constant(base string, x *tensor.Tensor) *graph.Value {
	return graph.NewConst(t.fresh(base), x)
}

// add appends a node with one output.
func (t *inserter) add(typ, out string, attrs graph.Attrs, in ...*graph.Value) *graph.Value {
	n := &graph.Node{Type: typ, Attrs: attrs, In: in}
	v := &graph.Value{Name: t.fresh(out), Node: n, Untyped: true}
	n.Out = []*graph.Value{v}
	t.new.Nodes = append(t.new.Nodes, n)
	return v
}

// rounds reports whether a value is rounded to 8 bits in this graph.
func (t *inserter) rounds(v *graph.Value) bool {
	if t.group != nil {
		return t.p.of[v] != nil && t.p.of[v].root() == t.group
	}
	if t.only != nil {
		return t.input && v == t.only.node.In[0] && t.p.of[v] != nil
	}
	return t.p.of[v] != nil
}

// code adds the 8-bit form of a value.
func (t *inserter) code(v *graph.Value) {
	if v == nil || !t.rounds(v) {
		return
	}
	s := t.scale(t.p.of[v])
	t.coded[v] = t.add("QuantizeLinear", "q", nil, t.values[v], s[0], s[1])
}

// scale returns the constants of an activation's scale and zero point.
func (t *inserter) scale(a *activation) [2]*graph.Value {
	a = a.root()
	s, ok := t.params[a]
	if !ok {
		if t.zeros[a.zero] == nil {
			t.zeros[a.zero] = t.constant("z", tensor.From(tensor.Uint8, []uint8{uint8(a.zero)}))
		}
		s = [2]*graph.Value{t.constant("s", tensor.From(tensor.Float32, []float32{a.scale})), t.zeros[a.zero]}
		t.params[a] = s
	}
	return s
}

// decoded returns the float form of a value for one user: each has its own
// node, so that runtimes can join it with that user.
func (t *inserter) decoded(v *graph.Value) *graph.Value {
	q := t.coded[v]
	if q == nil {
		return t.values[v]
	}
	s := t.scale(t.p.of[v])
	return t.add("DequantizeLinear", "d", nil, q, s[0], s[1])
}

func (t *inserter) node(n *graph.Node) {
	m := reading(n, t.decoded)
	if l := t.p.byNode[n]; l != nil && t.weight && l.float == "" && (t.only == nil || t.only == l) {
		t.layer(l, m)
	}
	for i, v := range n.Out {
		if v != nil {
			c := *v
			c.Node = m
			m.Out[i] = &c
			t.values[v] = &c
		}
	}
	t.new.Nodes = append(t.new.Nodes, m)
	for _, v := range n.Out {
		t.code(v)
	}
}

// layer gives a product its rounded weights and bias. They need no zero points:
// those that are left out are zero.
func (t *inserter) layer(l *layer, m *graph.Node) {
	axis := func(i int) graph.Attrs { return graph.Attrs{{Name: "axis", Kind: graph.AttrInt, Int: int64(i)}} }
	m.In[1] = t.add("DequantizeLinear", "d", axis(l.axis), t.constant("w", l.ints()), t.constant("s", tensor.From(tensor.Float32, l.scales, len(l.scales))))
	m.Attrs = slices.DeleteFunc(slices.Clone(m.Attrs), func(a graph.Attr) bool { return missing(a, l.weights.Shape) })
	if l.node.Type == "MatMul" || len(m.In) < 3 && !slices.ContainsFunc(l.bias, func(b float64) bool { return b != 0 }) {
		return
	}
	q, scale := l.intBias(t.p.of[l.node.In[0]].root().scale)
	setInput(m, 2, t.add("DequantizeLinear", "d", axis(0), t.constant("b", q), t.constant("s", scale)))
}

// missing reports an attribute of a convolution that says what it says where it is
// left out.
func missing(a graph.Attr, weights tensor.Shape) bool {
	all := func(x int64) bool { return !slices.ContainsFunc(a.Ints, func(y int64) bool { return x != y }) }
	switch a.Name {
	case "dilations", "strides":
		return all(1)
	case "pads":
		return all(0)
	case "group":
		return a.Int == 1
	case "kernel_shape":
		return slices.EqualFunc(a.Ints, weights[min(2, len(weights)):], func(x int64, y int) bool { return x == int64(y) })
	}
	return false
}
