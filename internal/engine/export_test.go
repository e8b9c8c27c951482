package engine

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
)

// SerialCost is the cost from which a step is shared.
const SerialCost = serialCost

// Pool is a pool of its own, for tests.
type Pool struct{ p pool }

// Frame runs steps as one Run does. It returns the first error.
func (p *Pool) Frame(threads int, noSpin bool, steps ...*op.Step) error {
	c := p.p.enter(threads, noSpin)
	defer c.leave()
	for _, s := range steps {
		if err := c.run(s); err != nil {
			return err
		}
	}
	return nil
}

// Place is where the planner puts a value, in bytes of the arena, and the
// positions of nodes between which the buffer around it is in use.
type Place struct {
	Value       *graph.Value
	Buffer      any
	Start, End  int
	First, Last int
	Size        int // of the buffer
}

// Plan returns the places of all values of a lowered graph and the size of
// the arena.
func Plan(g *graph.Graph, limit int) ([]Place, int, error) {
	p, err := plan(g, limit)
	if err != nil {
		return nil, 0, err
	}
	var out []Place
	for v, t := range p.bind(make([]byte, p.size)) {
		at := p.places[v]
		start := at.buf.offset + at.offset
		out = append(out, Place{v, at.buf, start, start + len(t.Data), at.buf.first, at.buf.last, at.buf.size})
	}
	return out, p.size, nil
}
