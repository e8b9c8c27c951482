package quant

import (
	"context"
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Apply returns the quantized form of a portable float graph, a plain ONNX
// graph of operator set 13 or later that keeps the names of inputs and
// outputs, their declared types and the metadata, and a report. The graph g is
// left as it was.
//
// Errors wrap ErrNoSamples, ErrQuantized, ErrNothing, ErrNaN, the errors of
// samples, or those of package pass.
func Apply(ctx context.Context, g *graph.Graph, samples Samples, c Config) (*graph.Graph, *Report, error) {
	c, err := c.check()
	if err != nil {
		return nil, nil, err
	}
	r, err := newRunner(samples, c)
	if err != nil {
		return nil, nil, err
	}
	plain, err := canonical(g, r.shapes)
	if err != nil {
		return nil, nil, err
	}
	if err := checkFinite(plain); err != nil {
		return nil, nil, err
	}
	types, err := typesOf(plain, r.shapes)
	if err != nil {
		return nil, nil, err
	}
	p := newPlan(plain, types, c.Skip, c.QuantizeTail)
	if p.nothing() {
		return nil, nil, fmt.Errorf("%w: no convolution or matrix product with constant float32 weights", ErrNothing)
	}
	rep := &Report{}
	if !c.NoEqualize {
		if rep.Equalized, err = p.equalize(ctx, r); err != nil {
			return nil, nil, err
		}
	}
	if err := p.observe(ctx, r); err != nil {
		return nil, nil, err
	}
	q, err := p.search(ctx, r, rep)
	if err != nil {
		return nil, nil, err
	}
	if c.Sensitivity || c.MaxDrop > 0 {
		if err := p.sensitivity(ctx, r); err != nil {
			return nil, nil, err
		}
	}
	if c.MaxDrop > 0 {
		if q, err = p.limitDrop(ctx, r, rep, q); err != nil {
			return nil, nil, err
		}
	}
	p.fill(rep, g, q, r)
	return q, rep, nil
}

// nothing reports whether no layer is quantized.
func (p *plan) nothing() bool {
	for _, l := range p.layers {
		if l.float == "" {
			return false
		}
	}
	return true
}

// typesOf returns the types of all values at given input shapes.
func typesOf(g *graph.Graph, shapes map[string][]int) (map[string]tensor.Type, error) {
	b, err := pass.Bind(g, pass.Options{Shapes: shapes})
	if err != nil {
		return nil, err
	}
	types := map[string]tensor.Type{}
	for _, v := range b.Inputs {
		types[v.Name] = v.Type
	}
	for _, n := range b.Nodes {
		for _, v := range n.Out {
			if v != nil {
				types[v.Name] = v.Type
			}
		}
	}
	return types, nil
}
