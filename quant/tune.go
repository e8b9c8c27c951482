package quant

import (
	"context"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
)

// The bounds of what is done for single activations.
const (
	tuneShare    = 0.01  // of the noise of all that an activation makes, to try other ranges for it
	protectShare = 0.02  // and to keep what reads it float
	tuneGain     = 0.95  // of its noise that may be left with another range
	goodNoise    = 0.005 // of the outputs, relative (23 dB): with less, nothing is kept float
)

// span is a range and the method that found it.
type span struct {
	lo, hi float64
	method Method
}

// tuner looks at how much the rounding of each activation alone disturbs the
// outputs, which its own noise does not tell: some values are scores, and some
// are put into functions that care for small parts of their range only.
type tuner struct {
	p     *plan
	t     *trials
	noise map[string]float64 // relative, by the value of an activation that decides a scale
	total float64            // of those that do now
}

// tune chooses other ranges for activations whose rounding disturbs the outputs
// much, and keeps float what reads those that still do, for a small share of the
// multiply-adds.
func (p *plan) tune(ctx context.Context, r *runner) error {
	trials, err := p.newTrials(ctx, r)
	if err != nil {
		return err
	}
	t := &tuner{p: p, t: trials, noise: map[string]float64{}}
	if err := t.measure(ctx); err != nil {
		return err
	}
	if r.config.Method == Auto {
		if err := t.ranges(ctx); err != nil {
			return err
		}
	}
	return t.protect(ctx, r)
}

// measure takes the noise of all activations that decide a scale and are not
// known yet.
func (t *tuner) measure(ctx context.Context) error {
	t.total = 0
	for i, a := range t.p.acts {
		if a.root() != a {
			continue
		}
		n, ok := t.noise[a.value.Name]
		if !ok {
			var err error
			if n, err = t.alone(ctx, a); err != nil {
				return err
			}
		}
		t.noise[a.value.Name] = n
		t.total += n
		t.t.r.config.Progress("activations", i+1, len(t.p.acts))
	}
	return nil
}

// alone returns the noise of the outputs where nothing else is rounded.
func (t *tuner) alone(ctx context.Context, a *activation) (float64, error) {
	d, err := t.t.run(ctx, t.p.rounding(a))
	if err != nil {
		return 0, err
	}
	return d.relative(), nil
}

// ranges tries the methods on each activation by itself.
func (t *tuner) ranges(ctx context.Context) error {
	t.p.tuned = map[string]span{}
	for i, a := range t.p.acts {
		noise := t.noise[a.value.Name]
		if a.root() != a || noise < tuneShare*t.total || a.fixed {
			continue
		}
		best := span{a.lo, a.hi, a.method}
		tried := []span{best}
		for _, m := range autoMethods {
			s := t.p.reach(a, m)
			if near(tried, s) {
				continue
			}
			tried = append(tried, s)
			a.take(s)
			n, err := t.alone(ctx, a)
			if err != nil {
				return err
			}
			if n < tuneGain*noise {
				best = s
				t.total += n - noise
				noise = n
			}
		}
		t.noise[a.value.Name] = noise
		a.take(best)
		if best != tried[0] {
			t.p.tuned[a.value.Name] = best
		}
		t.t.r.config.Progress("ranges of activations", i+1, len(t.p.acts))
	}
	t.p.choose(t.p.method)
	return nil
}

// near reports whether a range has been tried, but for a small part of it.
func near(tried []span, s span) bool {
	for _, o := range tried {
		if w := (o.hi - o.lo) / 32; math.Abs(o.lo-s.lo) < w && math.Abs(o.hi-s.hi) < w {
			return true
		}
	}
	return false
}

// protect keeps float what reads the activations that disturb the outputs most,
// until little disturbs them.
func (t *tuner) protect(ctx context.Context, r *runner) error {
	budget := r.config.MaxFloat
	tried := map[string]bool{}
	for {
		var worst *activation
		for _, a := range t.p.acts {
			n := t.noise[a.value.Name]
			if a.root() == a && !tried[a.value.Name] && n >= protectShare*t.total && (worst == nil || n > t.noise[worst.value.Name]) {
				worst = a
			}
		}
		if worst == nil || t.total < goodNoise {
			return nil
		}
		tried[worst.value.Name] = true
		cost := t.p.keep(worst, budget)
		if cost < 0 {
			continue
		}
		budget -= cost
		if err := t.p.again(ctx, r); err != nil {
			return err
		}
		if err := t.measure(ctx); err != nil {
			return err
		}
	}
}

// keep lets all that reads an activation and its relatives stay float, where
// that costs no more than allowed. It returns what it costs, -1 where that is too
// much.
func (p *plan) keep(root *activation, allowed float64) float64 {
	var nodes []*graph.Node
	for _, a := range p.acts {
		if a.root() == root {
			nodes = append(nodes, p.users[a.value]...)
		}
	}
	cost := 0.0
	for _, n := range nodes {
		if p.active(n) {
			cost += p.cost(p.byNode[n])
		}
	}
	if cost > allowed {
		return -1
	}
	for _, n := range nodes {
		switch l := p.byNode[n]; {
		case !p.integer[n]:
		case l != nil:
			l.float = "rounding its input would disturb the outputs"
		default:
			p.kept[n] = true
		}
	}
	return cost
}

// cost of a layer that stays float: its share of the multiply-adds, or of the
// file if that is more, in which a float weight is four times as large.
func (p *plan) cost(l *layer) float64 {
	var macs, weights int64
	for _, o := range p.layers {
		macs, weights = macs+o.macs, weights+int64(o.weights.Elems())
	}
	return max(float64(l.macs)/float64(max(macs, 1)), 4*float64(l.weights.Elems())/float64(max(weights, 1)))
}
