package quant

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// reading returns a copy of a node with other values in place of those that
// change with the input, and with its outputs to be set.
func reading(n *graph.Node, other func(*graph.Value) *graph.Value) *graph.Node {
	m := *n
	m.In, m.Out = make([]*graph.Value, len(n.In)), make([]*graph.Value, len(n.Out))
	for i, v := range n.In {
		switch {
		case v == nil:
		case v.Const != nil:
			m.In[i] = v
		default:
			m.In[i] = other(v)
		}
	}
	return &m
}

// extract returns some nodes as a graph of their own, with rounded weights, for
// inputs of the given types.
func (p *plan) extract(nodes []*graph.Node, in, out []*graph.Value, types map[string]tensor.Type) *graph.Graph {
	g := &graph.Graph{Opsets: p.g.Opsets}
	values := map[*graph.Value]*graph.Value{}
	for _, v := range in {
		values[v] = &graph.Value{Name: v.Name, Type: types[v.Name]}
		g.Inputs = append(g.Inputs, values[v])
	}
	for _, n := range nodes {
		m := reading(n, func(v *graph.Value) *graph.Value { return values[v] })
		if l := p.byNode[n]; l != nil && l.float == "" {
			m.In = l.simulated(m.In)
		}
		for i, v := range n.Out {
			if v != nil {
				m.Out[i] = &graph.Value{Name: v.Name, Node: m}
				values[v] = m.Out[i]
			}
		}
		g.Nodes = append(g.Nodes, m)
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil && v.Const != nil {
				g.Inits = append(g.Inits, v)
			}
		}
	}
	for _, v := range out {
		g.Outputs = append(g.Outputs, values[v])
	}
	return g
}
