package quant

import (
	"context"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
)

// autoMethods are tried for the ranges. Which of them is best for a model is not
// to be known beforehand: outliers that matter to the outputs must not be cut
// off, others should.
var autoMethods = []Method{MeanMinMax, MSE, MinMax, Percentile}

// search chooses the method whose outputs are closest to the float model's, then
// what suits single activations better, then rounds and corrects layer by layer,
// which is undone where it does not help.
func (p *plan) search(ctx context.Context, r *runner, rep *Report) (*graph.Graph, error) {
	for _, l := range p.layers {
		l.before = slices.Clone(l.bias)
	}
	if err := p.chooseMethod(ctx, r); err != nil {
		return nil, err
	}
	if err := p.tune(ctx, r); err != nil {
		return nil, err
	}
	q := p.nearest()
	if r.config.NoBiasCorrection && r.config.RoundNearest {
		return q, p.measure(ctx, r, rep, q)
	}
	plain, err := p.compare(ctx, r, q, compareSamples, "comparison")
	if err != nil {
		return nil, err
	}
	p.corrected = true
	if q, err = p.apply(ctx, r); err != nil {
		return nil, err
	}
	d, err := p.compare(ctx, r, q, compareSamples, "comparison")
	if err != nil {
		return nil, err
	}
	if d.relative() > plain.relative() {
		p.corrected = false
		q = p.nearest()
	}
	return q, p.measure(ctx, r, rep, q)
}

// chooseMethod finds the one method that is best for all activations together,
// with the weights as they are: rounding those is made good later.
func (p *plan) chooseMethod(ctx context.Context, r *runner) error {
	p.method = r.config.Method
	least := math.Inf(1)
	for _, m := range autoMethods {
		if r.config.Method != Auto {
			break
		}
		p.choose(m)
		d, err := p.compare(ctx, r, p.activations(), compareSamples, "comparison")
		if err != nil {
			return err
		}
		if e := d.relative(); e < least {
			p.method, least = m, e
		}
	}
	p.choose(p.method)
	return nil
}

// nearest returns the graph with each weight rounded by itself.
func (p *plan) nearest() *graph.Graph {
	for _, l := range p.layers {
		l.bias = slices.Clone(l.before)
		if l.float == "" {
			l.roundWeights(p.of[l.node.In[0]].root().scale)
		}
	}
	return p.insert()
}

// apply quantizes as search has decided.
func (p *plan) apply(ctx context.Context, r *runner) (*graph.Graph, error) {
	q := p.nearest()
	if !p.corrected {
		return q, nil
	}
	if err := p.correct(ctx, r); err != nil {
		return nil, err
	}
	return p.insert(), nil
}

// measure fills in the figures of the whole model.
func (p *plan) measure(ctx context.Context, r *runner, rep *Report, q *graph.Graph) error {
	d, err := p.compare(ctx, r, q, 2*compareSamples, "measurement")
	if err != nil {
		return err
	}
	rep.SQNR, rep.Agree = d.sqnr(), d.agree()
	rep.Corrected = p.corrected
	rep.Drop = 0
	if rep.Agree >= 0 {
		rep.Drop = 100 * (1 - rep.Agree)
	}
	if eval := r.config.Eval; eval != nil {
		if rep.Before == 0 {
			if rep.Before, err = eval(ctx, p.g); err != nil {
				return err
			}
		}
		if rep.After, err = eval(ctx, q); err != nil {
			return err
		}
		rep.Drop = rep.Before - rep.After
	}
	return nil
}

// sensitivity measures the outputs with each layer alone quantized.
func (p *plan) sensitivity(ctx context.Context, r *runner) error {
	t, err := p.newTrials(ctx, r)
	if err != nil {
		return err
	}
	for i, l := range p.layers {
		if l.float != "" {
			continue
		}
		for _, run := range []struct {
			weights, input bool
			to             *float64
		}{{true, false, &l.report.WeightOnly}, {false, true, &l.report.ActivationOnly}, {true, true, &l.report.Both}} {
			d, err := t.run(ctx, p.alone(l, run.weights, run.input))
			if err != nil {
				return err
			}
			*run.to = d.sqnr()
		}
		r.config.Progress("sensitivity", i+1, len(p.layers))
	}
	return nil
}

// limitDrop keeps layers float, those first whose rounding alone disturbs the
// outputs most for the multiply-adds it saves, until the loss is allowed.
func (p *plan) limitDrop(ctx context.Context, r *runner, rep *Report, q *graph.Graph) (*graph.Graph, error) {
	order := slices.DeleteFunc(slices.Clone(p.layers), func(l *layer) bool { return l.float != "" })
	slices.SortStableFunc(order, func(a, b *layer) int {
		switch x, y := a.report.Both, b.report.Both; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	for step := 1; rep.Drop > r.config.MaxDrop && len(order) > 1; step = min(2*step, 8) {
		n := min(step, len(order)-1)
		for _, l := range order[:n] {
			l.float = "the loss would be larger than allowed"
		}
		order = order[n:]
		if err := p.again(ctx, r); err != nil {
			return nil, err
		}
		var err error
		if q, err = p.apply(ctx, r); err != nil {
			return nil, err
		}
		if err := p.measure(ctx, r, rep, q); err != nil {
			return nil, err
		}
	}
	if rep.Drop > r.config.MaxDrop {
		rep.Warnings = append(rep.Warnings, "the loss is larger than allowed, with all layers but the least sensitive kept float: calibrate on more samples like those it is measured on")
	}
	return q, nil
}

// again marks the graph anew, after layers became float, and chooses ranges.
func (p *plan) again(ctx context.Context, r *runner) error {
	old := p.of
	p.mark(r.config.QuantizeTail)
	for v, a := range p.of {
		if o := old[v]; o != nil && !a.moved {
			a.obs = o.obs
		}
	}
	if err := p.observe(ctx, r); err != nil { // values that had the scales of others
		return err
	}
	p.choose(p.method)
	return nil
}
