package pass

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
)

// Kept is a convolution or matrix product of a lowered graph that computes in
// float32.
type Kept struct {
	Node, Type string
	MACs       int64
	Why        string // "" where the model is not quantized
}

// Coverage returns the multiply-adds of a lowered graph that are of 8-bit
// integers, all of them, and the nodes that do the others.
func Coverage(g *graph.Graph) (integer, all int64, kept []Kept) {
	for _, n := range g.Nodes {
		c, ok := n.Op.(op.Counter)
		if !ok || len(n.Out) == 0 || n.Out[0] == nil {
			continue
		}
		macs := c.MACs(n.In, n.Out)
		all += macs
		if _, ok := n.Op.(op.Quantized); ok {
			integer += macs
			continue
		}
		kept = append(kept, Kept{Node: n.Name, Type: n.Type, MACs: macs, Why: n.Note})
	}
	return integer, all, kept
}
