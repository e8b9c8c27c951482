package pass

import (
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// maxLinks bounds a chain, whose operands share the first cache.
const maxLinks = 12

// chainer collects elementwise operators that follow each other.
type chainer struct {
	links []op.Link
	in    []*graph.Value // bound values; the first is what the chain starts with
	last  *graph.Node
	nodes []*graph.Node
}

// chain lowers two or more elementwise operators of float32, each the only
// user of the one before, to one that passes over memory once.
func (l *lowerer) chain(n *graph.Node) (bool, error) {
	c := &chainer{}
	if !c.start(n) || !c.add(n, c.in[0]) {
		return false, nil
	}
	for v := n.Out[0]; l.uses[v] == 1 && len(c.links) < maxLinks; v = c.last.Out[0] {
		next := l.next[v]
		if dynamic(next) || l.done[next] || !l.ready(next, v) || !c.add(next, v) {
			break
		}
	}
	if len(c.nodes) < 2 {
		return false, nil
	}
	perm := l.order(leading(c.in))
	in := make([]*graph.Value, len(c.in))
	for i, v := range c.in {
		var err error
		if in[i], err = l.operand(v, perm, nil); err != nil {
			return false, err
		}
	}
	for _, m := range c.nodes[1:] {
		l.done[m] = true
	}
	v, err := l.add(&op.Chain{Links: c.links}, "Chain", c.last.Name, c.last.Out[0].Name, in...)
	if err != nil {
		return false, err
	}
	l.made(c.last.Out[0], v, perm)
	return true, nil
}

// ready reports whether all inputs of a node but v are computed by now.
func (l *lowerer) ready(n *graph.Node, v *graph.Value) bool {
	return !slices.ContainsFunc(n.In, func(x *graph.Value) bool {
		return x != nil && x != v && x.Const == nil && l.values[x] == nil && l.late[x] == nil
	})
}

// start chooses the operand that the chain starts with: one of the shape of
// the result.
func (c *chainer) start(n *graph.Node) bool {
	out := n.Out[0]
	if len(n.Out) > 1 || out.Type.DType != tensor.Float32 {
		return false
	}
	for _, v := range n.In[:min(2, len(n.In))] {
		if v != nil && v.Const == nil && v.Type.Shape.Equal(out.Type.Shape) {
			c.in = []*graph.Value{v}
			return true
		}
	}
	return false
}

// add appends the links of a node that continues from v, if it has any.
func (c *chainer) add(n *graph.Node, v *graph.Value) bool {
	if len(n.Out) > 1 || n.Out[0].Type.DType != tensor.Float32 || !n.Out[0].Type.Shape.Equal(v.Type.Shape) {
		return false
	}
	switch o := n.Op.(type) {
	case *op.Unary:
		if _, _, _, ok := o.Kernel(); !ok {
			return false
		}
		c.links = append(c.links, op.Link{Unary: o})
	case *op.Clip:
		lo, hi, ok := clipLimits(o, n.In)
		if !ok || n.In[0] != v {
			return false
		}
		c.limit(n, op.Max, lo, math.Inf(-1))
		c.limit(n, op.Min, hi, math.Inf(1))
	case *op.Binary:
		if _, ok := o.Kind.Kernel(); !ok || o.Legacy || n.In[0] == n.In[1] {
			return false
		}
		link := op.Link{Kind: o.Kind, Swap: n.In[0] != v}
		other := n.In[1]
		if link.Swap {
			other = n.In[0]
		}
		if link.Swap && o.Kind == op.PRelu || other.Type.DType != tensor.Float32 {
			return false
		}
		link.Arg = c.operand(other)
		c.links = append(c.links, link)
	default:
		return false
	}
	c.last, c.nodes = n, append(c.nodes, n)
	return true
}

// limit appends one limit of a clip, unless it is none.
func (c *chainer) limit(n *graph.Node, kind op.BinaryKind, x, none float64) {
	if x == none {
		return
	}
	k := graph.NewConst(n.Name+"/limit", tensor.From(tensor.Float32, []float32{float32(x)}))
	c.links = append(c.links, op.Link{Kind: kind, Arg: c.operand(k)})
}

// operand returns the number of an input of the chain.
func (c *chainer) operand(v *graph.Value) int {
	if i := slices.Index(c.in, v); i >= 0 {
		return i
	}
	c.in = append(c.in, v)
	return len(c.in) - 1
}
