package quant

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// minOpset is the first operator set with scales for each channel.
const minOpset = 13

// canonicalizer rebuilds a portable graph without what calibration would
// stumble over: constants computed, normalisations folded into products,
// nodes that do nothing left out, operators as set 13 spells them. The result
// is portable, and holds for the same sizes as the file.
type canonicalizer struct {
	old    *graph.Graph
	new    *graph.Graph
	opset  int
	types  map[string]tensor.Type    // of values, at the samples' sizes
	consts map[string]*tensor.Tensor // values that depend on no input and no size
	values map[*graph.Value]*graph.Value
	uses   map[*graph.Value]int // of old values
	names  map[string]bool
}

// canonical returns the canonical form of g. shapes are those of a sample.
func canonical(g *graph.Graph, shapes map[string][]int) (*graph.Graph, error) {
	for _, n := range g.Nodes {
		if strings.HasPrefix(n.Type, "QLinear") || strings.HasSuffix(n.Type, "QuantizeLinear") || strings.HasSuffix(n.Type, "Integer") || n.Type == "DequantizeLinear" || n.Type == "QGemm" {
			return nil, fmt.Errorf("node %s: %w: take the float model it was made from", n.Label(), ErrQuantized)
		}
	}
	if v := g.Opset(""); v < 7 {
		return nil, fmt.Errorf("operator set %d is too old to be quantized: convert the model to set %d or later", v, minOpset)
	}
	c := &canonicalizer{old: g, opset: g.Opset(""), consts: map[string]*tensor.Tensor{}, types: map[string]tensor.Type{},
		values: map[*graph.Value]*graph.Value{}, uses: map[*graph.Value]int{}, names: map[string]bool{}}
	if err := c.fold(shapes); err != nil {
		return nil, err
	}
	c.new = &graph.Graph{Name: g.Name, Doc: g.Doc, Metadata: slices.Clone(g.Metadata), Producer: g.Producer, ProducerVersion: g.ProducerVersion,
		Domain: g.Domain, ModelVersion: g.ModelVersion, ModelDoc: g.ModelDoc, Opsets: c.opsets()}
	for _, v := range g.Inputs {
		if v.Const == nil {
			nv := &graph.Value{Name: v.Name, Doc: v.Doc, Type: v.Type, Untyped: v.Untyped, Dims: v.Dims, Extra: v.Extra}
			c.values[v] = nv
			c.new.Inputs = append(c.new.Inputs, nv)
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			c.uses[v]++
		}
		for _, v := range n.Out {
			if v != nil {
				c.names[v.Name] = true
			}
		}
	}
	for _, v := range g.Outputs {
		c.uses[v] += 2
	}
	for _, n := range g.Nodes {
		if err := c.node(n); err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Label(), err)
		}
	}
	if err := c.outputs(); err != nil {
		return nil, err
	}
	c.new.Nodes = needed(c.new)
	return c.new, nil
}

// opsets returns those that are used, ai.onnx at minOpset at least.
func (c *canonicalizer) opsets() []graph.Opset {
	list := []graph.Opset{{Version: int64(max(c.opset, minOpset))}}
	for _, o := range c.old.Opsets {
		used := slices.ContainsFunc(c.old.Nodes, func(n *graph.Node) bool { return n.Domain == o.Domain })
		if o.Domain != "" && o.Domain != "ai.onnx" && used {
			list = append(list, o)
		}
	}
	return list
}

// fold finds the values that are constants. Where the file leaves sizes open,
// these are constants at two sizes, with the same contents.
func (c *canonicalizer) fold(shapes map[string][]int) error {
	b, err := pass.Bind(c.old, pass.Options{Shapes: shapes})
	if err != nil {
		return err
	}
	for _, n := range b.Nodes {
		for _, v := range n.In {
			if v != nil && v.Const != nil {
				c.consts[v.Name] = v.Const
			}
		}
		for _, v := range n.Out {
			if v != nil {
				c.types[v.Name] = v.Type
			}
		}
	}
	for _, v := range b.Inputs {
		c.types[v.Name] = v.Type
	}
	for _, v := range b.Outputs {
		if v.Const != nil {
			c.consts[v.Name] = v.Const
		}
	}
	larger, open := map[string][]int{}, false
	for _, v := range c.old.Inputs {
		s := slices.Clone(shapes[v.Name])
		for i := range s {
			if v.Untyped || i < len(v.Type.Shape) && v.Type.Shape[i] < 0 {
				s[i], open = s[i]*2, true
			}
		}
		if s != nil {
			larger[v.Name] = s
		}
	}
	if !open {
		return nil
	}
	other, err := pass.Bind(c.old, pass.Options{Shapes: larger})
	if err != nil {
		return nil // the model runs at one size only, whatever it declares
	}
	same := map[string]bool{}
	for _, n := range other.Nodes {
		for _, v := range n.In {
			if v != nil && v.Const != nil {
				t := c.consts[v.Name]
				same[v.Name] = t != nil && t.DType == v.Const.DType && t.Shape.Equal(v.Const.Shape) && string(t.Bytes()) == string(v.Const.Bytes())
			}
		}
	}
	for name := range c.consts {
		if !same[name] {
			delete(c.consts, name)
		}
	}
	return nil
}

// get returns the new value for an old one: a constant is made when it is
// first asked for.
func (c *canonicalizer) get(v *graph.Value) *graph.Value {
	if v == nil || c.values[v] != nil {
		return c.values[v]
	}
	t := c.consts[v.Name]
	if t == nil {
		t = v.Const
	}
	if t == nil {
		return nil
	}
	nv := graph.NewConst(v.Name, t)
	c.values[v] = nv
	c.new.Inits = append(c.new.Inits, nv)
	return nv
}

// constant adds a constant with a name derived from base.
func (c *canonicalizer) constant(base string, t *tensor.Tensor) *graph.Value {
	v := graph.NewConst(c.fresh(base), t)
	c.new.Inits = append(c.new.Inits, v)
	return v
}

func (c *canonicalizer) fresh(base string) string {
	name := base
	for i := 1; c.names[name]; i++ {
		name = fmt.Sprintf("%s.%d", base, i)
	}
	c.names[name] = true
	return name
}

// add appends a node to the new graph.
func (c *canonicalizer) add(n graph.Node, outs ...string) []*graph.Value {
	node := &n
	node.Op = nil
	node.Out = nil
	for _, name := range outs {
		if name == "" {
			node.Out = append(node.Out, nil)
			continue
		}
		node.Out = append(node.Out, &graph.Value{Name: name, Node: node, Untyped: true})
	}
	c.new.Nodes = append(c.new.Nodes, node)
	return node.Out
}

func (c *canonicalizer) node(n *graph.Node) error {
	constant := true
	for _, v := range n.Out {
		constant = constant && (v == nil || c.consts[v.Name] != nil)
	}
	if constant || n.Type == "Constant" {
		if n.Type == "Constant" && !constant {
			return c.copyConstant(n)
		}
		return nil
	}
	in := make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		if v == nil {
			continue
		}
		if in[i] = c.get(v); in[i] == nil {
			return fmt.Errorf("input %q is not computed by any node", v.Name)
		}
	}
	if n.Domain == "" || n.Domain == "ai.onnx" {
		switch n.Type {
		case "Identity":
			c.values[n.Out[0]] = in[0]
			return nil
		case "Dropout":
			if len(n.Out) < 2 || n.Out[1] == nil || c.uses[n.Out[1]] == 0 {
				c.values[n.Out[0]] = in[0]
				return nil
			}
		}
		if v, err := c.affine(n, in); v != nil || err != nil {
			c.values[n.Out[0]] = v
			return err
		}
	}
	m := graph.Node{Name: n.Name, Domain: n.Domain, Type: n.Type, Doc: n.Doc, Attrs: slices.Clone(n.Attrs), In: in, Extra: n.Extra}
	if c.opset < minOpset && (n.Domain == "" || n.Domain == "ai.onnx") {
		if err := c.upgrade(n, &m); err != nil {
			return err
		}
	}
	names := make([]string, len(n.Out))
	for i, v := range n.Out {
		if v != nil {
			names[i] = v.Name
		}
	}
	for i, v := range c.add(m, names...) {
		if n.Out[i] != nil {
			c.values[n.Out[i]] = v
		}
	}
	return nil
}

// copyConstant takes over a constant that nobody needed when sizes were bound.
func (c *canonicalizer) copyConstant(n *graph.Node) error {
	o, err := op.Resolve(n, c.opset)
	if err != nil {
		return err
	}
	scratch := &graph.Graph{}
	outs, err := scratch.Add(o, graph.Node{Type: n.Type}, n.Out[0].Name)
	if err != nil {
		return err
	}
	e, ok := o.(op.Evaluator)
	if !ok {
		return op.ErrUnsupported
	}
	t := tensor.New(outs[0].Type.DType, outs[0].Type.Shape...)
	if err := e.Eval(nil, []*tensor.Tensor{t}); err != nil {
		return err
	}
	c.consts[n.Out[0].Name] = t
	return nil
}

// outputs keeps the names of outputs, also of those that are inputs, constants
// or other outputs now.
func (c *canonicalizer) outputs() error {
	for _, v := range c.old.Outputs {
		nv := c.get(v)
		if nv == nil {
			return fmt.Errorf("output %q is not computed by any node", v.Name)
		}
		if nv.Name != v.Name || nv.Node == nil || slices.Contains(c.new.Outputs, nv) {
			if nv.Const != nil && nv.Name == v.Name {
				nv.Name = c.fresh(v.Name + "/value")
			}
			nv = c.add(graph.Node{Name: c.fresh(v.Name + "/output"), Type: "Identity", In: []*graph.Value{nv}}, v.Name)[0]
		}
		nv.Type, nv.Untyped, nv.Dims, nv.Doc, nv.Extra = v.Type, v.Untyped, v.Dims, v.Doc, v.Extra
		c.new.Outputs = append(c.new.Outputs, nv)
	}
	return nil
}

// affine folds a normalisation, or a sum or product with a constant for each
// channel, into the product before it. It returns the value that takes the
// place of the node's, nil where it does not apply.
func (c *canonicalizer) affine(n *graph.Node, in []*graph.Value) (*graph.Value, error) {
	x, scale, shift, ok := c.affineOf(n, in)
	if !ok || x.Node == nil {
		return nil, nil
	}
	p := x.Node
	// Only n may read x, under any of the names that it has in the old graph; each
	// but the first came of one node that read another.
	readers := 1
	for old, v := range c.values {
		if v == x && old != nil {
			readers += c.uses[old] - 1
		}
	}
	if readers != 1 || len(p.In) < 2 || p.In[1] == nil || p.In[1].Const == nil || p.In[1].Const.DType != tensor.Float32 || len(p.In) > 2 && p.In[2] != nil && p.In[2].Const == nil {
		return nil, nil
	}
	m, ok := newProduct(p)
	if !ok || !m.plain {
		return nil, nil
	}
	if p.Type == "MatMul" {
		if len(c.types[p.In[0].Name].Shape) != 2 {
			return nil, nil
		}
		p.Type, p.Attrs = "Gemm", nil
	}
	channels := m.channels
	if len(scale) == 1 {
		scale, shift = slices.Repeat(scale, channels), slices.Repeat(shift, channels)
	}
	if len(scale) != channels {
		return nil, nil
	}
	for i := range scale {
		if math.IsNaN(scale[i]+shift[i]) || math.IsInf(scale[i], 0) || math.IsInf(shift[i], 0) {
			return nil, fmt.Errorf("channel %d is scaled by %v and shifted by %v: %w", i, scale[i], shift[i], ErrNaN)
		}
	}
	w := p.In[1].Const.Clone()
	for i, v := range w.F32() {
		w.F32()[i] = float32(float64(v) * scale[m.channel(i)])
	}
	b := tensor.New(tensor.Float32, channels)
	for i := range b.F32() {
		old := 0.0
		if len(p.In) > 2 && p.In[2] != nil {
			old = p.In[2].Const.Float(i % p.In[2].Const.Elems())
		}
		b.F32()[i] = float32(old*scale[i] + shift[i])
	}
	p.In = []*graph.Value{p.In[0], c.constant(p.In[1].Name+"/folded", w), c.constant(n.Out[0].Name+"/bias", b)}
	x.Name = n.Out[0].Name
	return x, nil
}

// affineOf returns a node as x·scale + shift by channel; lists of one element
// hold for all channels.
func (c *canonicalizer) affineOf(n *graph.Node, in []*graph.Value) (x *graph.Value, scale, shift []float64, ok bool) {
	switch n.Type {
	case "BatchNormalization":
		if n.Attrs.Int("training_mode", 0) != 0 || n.Attrs.Int("spatial", 1) == 0 || len(in) < 5 {
			return nil, nil, nil, false
		}
		for _, v := range in[1:5] {
			if v == nil || v.Const == nil {
				return nil, nil, nil, false
			}
		}
		eps := float64(n.Attrs.Float("epsilon", 1e-5))
		for i := range in[1].Const.Elems() {
			k := in[1].Const.Float(i) / math.Sqrt(in[4].Const.Float(i)+eps)
			scale, shift = append(scale, k), append(shift, in[2].Const.Float(i)-in[3].Const.Float(i)*k)
		}
		return in[0], scale, shift, true
	case "Mul", "Div", "Add", "Sub":
	default:
		return nil, nil, nil, false
	}
	x, k := in[0], in[1]
	if x.Const != nil && n.Type != "Sub" && n.Type != "Div" {
		x, k = k, x
	}
	if x.Const != nil || k.Const == nil || k.Const.DType != tensor.Float32 || x.Node == nil {
		return nil, nil, nil, false
	}
	rank, axis := len(c.types[x.Name].Shape), 1
	if x.Node.Type == "Gemm" || x.Node.Type == "MatMul" {
		axis = rank - 1
	}
	// The constant varies along the channels only.
	s := k.Const.Shape
	if len(s) > rank {
		return nil, nil, nil, false
	}
	for i, d := range s {
		if d != 1 && rank-len(s)+i != axis {
			return nil, nil, nil, false
		}
	}
	for i := range k.Const.Elems() {
		v := k.Const.Float(i)
		switch n.Type {
		case "Mul":
			scale, shift = append(scale, v), append(shift, 0)
		case "Div":
			scale, shift = append(scale, 1/v), append(shift, 0)
		case "Add":
			scale, shift = append(scale, 1), append(shift, v)
		case "Sub":
			scale, shift = append(scale, 1), append(shift, -v)
		}
	}
	return x, scale, shift, true
}

// needed lists the nodes that outputs depend on, in order, and drops the
// constants that none of them reads.
func needed(g *graph.Graph) []*graph.Node {
	want, used := map[*graph.Node]bool{}, map[*graph.Value]bool{}
	for _, v := range g.Outputs {
		want[v.Node], used[v] = true, true
	}
	var nodes []*graph.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !want[n] {
			continue
		}
		nodes = append(nodes, n)
		for _, v := range n.In {
			if v != nil {
				want[v.Node], used[v] = true, true
			}
		}
	}
	slices.Reverse(nodes)
	g.Inits = slices.DeleteFunc(g.Inits, func(v *graph.Value) bool { return !used[v] })
	return nodes
}

// checkFinite reports a weight that is no number.
func checkFinite(g *graph.Graph) error {
	for _, v := range g.Inits {
		if v.Const.DType != tensor.Float32 {
			continue
		}
		for i, x := range v.Const.F32() {
			if x != x || math.IsInf(float64(x), 0) && v.Const.Elems() > 1 {
				return fmt.Errorf("weights %q, element %d: %v: %w", v.Name, i, x, ErrNaN)
			}
		}
	}
	return nil
}

// errOld says that a node of an old operator set is not understood.
var errOld = errors.New("cannot be expressed in operator set 13: export the model with that or a later one")
