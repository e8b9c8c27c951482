package quant

import (
	"context"
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// observe gathers the distributions of the activations that have a scale of
// their own and are not known yet.
func (p *plan) observe(ctx context.Context, r *runner) error {
	var values []*graph.Value
	for _, a := range p.acts {
		if !a.moved && a.obs == nil {
			a.obs = newObserver()
			values = append(values, a.value)
		}
	}
	if len(values) == 0 {
		return nil
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
	for _, v := range values {
		if err := p.curve(ctx, r, v); err != nil {
			return err
		}
	}
	return r.observe(ctx, p.g, p.types, values, "histograms", 0, func(_ int, _ Sample, v *graph.Value, x *tensor.Tensor) error {
		p.of[v].obs.fill(x.F32())
		return nil
	})
}

// curve computes the function that a value is put into, in the middle of each
// bin.
func (p *plan) curve(ctx context.Context, r *runner, v *graph.Value) error {
	nodes, o := p.through[v], p.of[v].obs
	if nodes == nil || !(o.max > o.min) {
		return nil
	}
	out := nodes[len(nodes)-1].Out[:1]
	g := p.extract(nodes, []*graph.Value{v}, out, map[string]tensor.Type{v.Name: tensor.Of(tensor.Float32, 1, bins)})
	s, err := r.session(g, g.Outputs)
	if err != nil {
		return err
	}
	defer s.Close()
	for i, x := 0, s.Input(v.Name).F32(); i < bins; i++ {
		x[i] = float32(o.min + (float64(i)+0.5)*o.width())
	}
	if err := s.Run(ctx); err != nil {
		return err
	}
	o.curve = slices.Clone(s.Output(out[0].Name).F32())
	return nil
}

// fixedTop is the end of a range of numbers below one: steps of a 256th.
const fixedTop = 255. / 256

// own returns the range that a method finds for an activation by itself.
func (a *activation) own(m Method) span {
	if a.fixed {
		return span{0, fixedTop, "fixed"}
	}
	lo, hi := a.obs.limits(m)
	return span{lo, hi, m}
}

// choose fixes ranges, scales and zero points by a method.
func (p *plan) choose(m Method) {
	for _, a := range p.acts {
		if !a.moved {
			a.take(a.own(m))
		}
	}
	p.unify()
	for _, a := range p.acts {
		if r := a.root(); r != a && !a.moved {
			r.lo, r.hi = min(r.lo, a.lo), max(r.hi, a.hi)
		}
	}
	for _, a := range p.acts {
		if s, ok := p.tuned[a.value.Name]; ok {
			a.take(s)
		} else if a.root() == a {
			a.scale, a.zero = parameters(a.lo, a.hi)
		}
	}
	for _, a := range p.acts {
		if r := a.root(); a != r {
			a.lo, a.hi, a.scale, a.zero, a.method = r.lo, r.hi, r.scale, r.zero, "shared"
		}
	}
}

// reach returns the range that a method finds for all that share a scale.
func (p *plan) reach(root *activation, m Method) span {
	s := span{method: m}
	for _, a := range p.acts {
		if a.root() == root && !a.moved {
			o := a.own(m)
			s.lo, s.hi = min(s.lo, o.lo), max(s.hi, o.hi)
		}
	}
	return s
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
