package quant

import (
	"context"
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// observe gathers the distributions of all activations that have a scale of
// their own.
func (p *plan) observe(ctx context.Context, r *runner) error {
	var values []*graph.Value
	for _, a := range p.acts {
		if !a.moved {
			a.obs = newObserver()
			values = append(values, a.value)
		}
	}
	err := r.observe(ctx, p.g, p.types, values, "ranges", 0, func(_ int, s Sample, v *graph.Value, x *tensor.Tensor) error {
		o := p.of[v].obs
		if o.spread(x.F32()); o.bad {
			at := "the input"
			if v.Node != nil {
				at = "node " + v.Node.Label()
			}
			return fmt.Errorf("%s, value %q, with sample %q: %w: look at the sample and the model in float", at, v.Name, s.Name, ErrNaN)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.observe(ctx, p.g, p.types, values, "histograms", 0, func(_ int, _ Sample, v *graph.Value, x *tensor.Tensor) error {
		p.of[v].obs.fill(x.F32())
		return nil
	})
}

// choose fixes ranges, scales and zero points by a method.
func (p *plan) choose(m Method) {
	for _, a := range p.acts {
		switch {
		case a.moved:
		case a.fixed:
			a.lo, a.hi, a.method = 0, 255./256, "fixed"
		default:
			a.lo, a.hi, a.method = a.obs.limits(m)
		}
	}
	p.unify()
	for _, a := range p.acts {
		if r := a.root(); r != a && !a.moved {
			r.lo, r.hi = min(r.lo, a.lo), max(r.hi, a.hi)
		}
	}
	for _, a := range p.acts {
		r := a.root()
		r.scale, r.zero = parameters(r.lo, r.hi)
	}
	for _, a := range p.acts {
		r := a.root()
		a.lo, a.hi, a.scale, a.zero = r.lo, r.hi, r.scale, r.zero
		if a != r {
			a.method = "shared"
		}
	}
}

// unify lets the parts of a concatenation have its scale, where nobody else
// reads them and they do not lose by it.
func (p *plan) unify() {
	for _, n := range p.g.Nodes {
		if n.Type != "Concat" || !p.integer[n] {
			continue
		}
		whole := p.of[n.Out[0]]
		if whole == nil || whole.moved {
			continue
		}
		for _, v := range n.In {
			part := p.of[v]
			if part == nil || len(p.users[v]) != 1 || p.output[v] || part.root() == whole.root() {
				continue
			}
			a, b := part.root(), whole.root()
			if part.moved && 2*(a.hi-a.lo) < b.hi-b.lo {
				continue // its relatives would be rounded more coarsely
			}
			join(a, b)
		}
	}
}

// warn lists what makes the calibration doubtful.
func (p *plan) warn(samples int) []string {
	var out []string
	if samples < 32 {
		out = append(out, fmt.Sprintf("only %d calibration samples: ranges are uncertain, take 100 to 300 of the scenes the camera will see", samples))
	}
	constant := func(v *graph.Value) bool {
		a := p.of[v]
		return a != nil && a.obs != nil && a.obs.min == a.obs.max
	}
	if slices.ContainsFunc(p.g.Inputs, constant) {
		out = append(out, "all samples are one constant: these are no pictures")
	}
	for _, a := range p.acts {
		if a.obs != nil && a.obs.min == a.obs.max && a.value.Node != nil {
			out = append(out, fmt.Sprintf("value %q was %v in every sample", a.value.Name, a.obs.min))
		}
	}
	return out
}
