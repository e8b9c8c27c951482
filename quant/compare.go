package quant

import (
	"context"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Samples that comparisons run on at most: of whole settings, and of one layer or
// activation.
const (
	compareSamples = 32
	trialSamples   = 8
)

// difference of a graph from the float model.
type difference struct {
	agreed, judged int
	parts          [][]part // of each output
}

// part of an output: what is of one kind.
type part struct{ signal, noise float64 }

func newDifference(p *plan) *difference {
	return &difference{parts: make([][]part, len(p.g.Outputs))}
}

func (d *difference) sqnr() float64 {
	all := part{}
	for _, parts := range d.parts {
		for _, p := range parts {
			all.signal, all.noise = all.signal+p.signal, all.noise+p.noise
		}
	}
	return decibels(all.signal, all.noise)
}

// relative returns the noise over the signal as a mean over the parts of the
// outputs, so that small numbers, as scores are, count beside large ones, as
// those of boxes.
func (d *difference) relative() float64 {
	sum, n := 0.0, 0
	for _, parts := range d.parts {
		floor := 0.0
		for _, p := range parts {
			floor += 1e-3 * p.signal / float64(len(parts))
		}
		for _, p := range parts {
			sum += p.noise / max(p.signal+floor, 1e-30)
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// agree returns the share of samples with the same answer, -1 where there are
// none.
func (d *difference) agree() float64 {
	if d.judged == 0 {
		return -1
	}
	return float64(d.agreed) / float64(d.judged)
}

// trials are a few samples with what the float model makes of them, for many
// graphs that differ from it in little.
type trials struct {
	p       *plan
	r       *runner
	samples []Sample
	outputs [][]*tensor.Tensor // of each sample
}

// newTrials runs the float model.
func (p *plan) newTrials(ctx context.Context, r *runner) (*trials, error) {
	t := &trials{p: p, r: r}
	s, err := r.session(p.g, p.g.Outputs)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return t, r.run(ctx, s, "trials", trialSamples, func(_ int, sample Sample) error {
		c := Sample{Name: sample.Name, Inputs: map[string]*tensor.Tensor{}}
		for name, x := range sample.Inputs {
			c.Inputs[name] = x.Clone()
		}
		var outputs []*tensor.Tensor
		for _, v := range p.g.Outputs {
			outputs = append(outputs, s.Output(v.Name).Clone())
		}
		t.samples, t.outputs = append(t.samples, c), append(t.outputs, outputs)
		return nil
	})
}

// run returns how a graph differs.
func (t *trials) run(ctx context.Context, q *graph.Graph) (*difference, error) {
	d := newDifference(t.p)
	s, err := t.r.session(q, q.Outputs)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for i, sample := range t.samples {
		if err := feed(s, sample); err != nil {
			return nil, err
		}
		if err := s.Run(ctx); err != nil {
			return nil, err
		}
		for k, x := range t.outputs[i] {
			d.add(k, x, s.Output(t.p.g.Outputs[k].Name))
		}
	}
	return d, nil
}

// compare runs a graph beside the float model.
func (p *plan) compare(ctx context.Context, r *runner, q *graph.Graph, limit int, stage string) (*difference, error) {
	d := newDifference(p)
	a, err := r.session(p.g, p.g.Outputs)
	if err != nil {
		return d, err
	}
	defer a.Close()
	b, err := r.session(q, q.Outputs)
	if err != nil {
		return d, err
	}
	defer b.Close()
	err = r.run(ctx, a, stage, limit, func(_ int, s Sample) error {
		if err := feed(b, s); err != nil {
			return err
		}
		if err := b.Run(ctx); err != nil {
			return err
		}
		for i, v := range p.g.Outputs {
			d.add(i, a.Output(v.Name), b.Output(v.Name))
		}
		return nil
	})
	return d, err
}

// add counts output i of a sample.
func (d *difference) add(i int, x, y *tensor.Tensor) {
	if x.DType != tensor.Float32 || y.DType != tensor.Float32 || x.Elems() != y.Elems() {
		return
	}
	if i == 0 && classifies(x.Shape) {
		d.judged++
		if argmax(x.F32()) == argmax(y.F32()) {
			d.agreed++
		}
	}
	inner, parts := partsOf(x.Shape)
	if d.parts[i] == nil {
		d.parts[i] = make([]part, parts)
	}
	p, a, b := d.parts[i], x.F32(), y.F32()
	for k, v := range a {
		if math.IsInf(float64(v), 0) || v != v {
			continue // a logarithm of nothing, which is no signal
		}
		e := float64(v) - float64(b[k])
		if math.IsInf(e, 0) || e != e {
			e = float64(v)
		}
		at := &p[k/inner%parts]
		at.signal += float64(v) * float64(v)
		at.noise += e * e
	}
}

// partsOf tells what of an output is of one kind: the channels of a picture or
// of a list of boxes, which are its shorter axis, all of a list of scores.
func partsOf(s tensor.Shape) (inner, parts int) {
	if len(s) < 3 {
		return max(s.Elems(), 1), 1
	}
	if last := s[len(s)-1]; last < s[1] {
		return 1, last
	}
	return max(s[2:].Elems(), 1), s[1]
}

// classifies reports whether an output is one list of scores.
func classifies(s tensor.Shape) bool {
	return len(s) > 0 && s.Elems() > 1 && slices.Max(s) == s.Elems()
}

func argmax(x []float32) int {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}
