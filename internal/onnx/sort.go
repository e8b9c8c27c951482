package onnx

import "github.com/edgecam/edgecam/internal/graph"

// sortNodes puts producers before consumers. Nodes that are in order already
// keep it; otherwise a node moves behind the producers that it waits for.
func sortNodes(g *graph.Graph) error {
	index := make(map[*graph.Node]int, len(g.Nodes))
	for i, n := range g.Nodes {
		index[n] = i
	}
	const fresh, waiting, placed = 0, 1, 2
	state := make([]uint8, len(g.Nodes))
	order := make([]*graph.Node, 0, len(g.Nodes))
	// The walk is depth first without recursion: a file decides its depth.
	type frame struct{ node, next int }
	var stack []frame
	for root := range g.Nodes {
		if state[root] == fresh {
			stack = append(stack[:0], frame{node: root})
		}
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			n := g.Nodes[f.node]
			state[f.node] = waiting
			producer := -1
			for ; f.next < len(n.In) && producer < 0; f.next++ {
				if v := n.In[f.next]; v != nil && v.Node != nil && state[index[v.Node]] != placed {
					producer = index[v.Node]
				}
			}
			switch {
			case producer < 0:
				state[f.node] = placed
				order = append(order, n)
				stack = stack[:len(stack)-1]
			case state[producer] == waiting:
				return malformed("node %d %s: input %q depends on the node's own output: the graph has a cycle", f.node, n.Label(), n.In[f.next-1].Name)
			default:
				stack = append(stack, frame{node: producer})
			}
		}
	}
	g.Nodes = order
	return nil
}
