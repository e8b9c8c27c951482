package quant

import (
	"context"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Samples that comparisons run on at most: of whole settings, and of one
// layer.
const (
	compareSamples     = 32
	sensitivitySamples = 8
)

// methods lists those to try for the ranges. Which of them is best for a model is
// not to be known beforehand: outliers that matter to the outputs must not be
// cut off, others should.
func (c Config) methods() []Method {
	if c.Method == Auto {
		return []Method{MeanMinMax, MSE, MinMax}
	}
	return []Method{c.Method}
}

// search chooses the method whose outputs are closest to the float model's,
// then rounds and corrects layer by layer, which is undone where it does not
// help.
func (p *plan) search(ctx context.Context, r *runner, rep *Report) (*graph.Graph, error) {
	for _, l := range p.layers {
		l.before = slices.Clone(l.bias)
	}
	least := math.Inf(1)
	for _, m := range r.config.methods() {
		q := p.nearest(m)
		d, err := p.compare(ctx, r, q, compareSamples, "comparison")
		if err != nil {
			return nil, err
		}
		if e := d.relative(); e < least || p.method == "" {
			p.method, least = m, e
		}
	}
	p.corrected = !r.config.NoBiasCorrection || !r.config.RoundNearest
	q, err := p.apply(ctx, r)
	if err != nil {
		return nil, err
	}
	if p.corrected {
		d, err := p.compare(ctx, r, q, compareSamples, "comparison")
		if err != nil {
			return nil, err
		}
		if d.relative() > least {
			p.corrected = false
			q = p.nearest(p.method)
		}
	}
	return q, p.measure(ctx, r, rep, q)
}

// nearest returns the graph with ranges by a method and each weight rounded by
// itself.
func (p *plan) nearest(m Method) *graph.Graph {
	p.choose(m)
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
	q := p.nearest(p.method)
	if !p.corrected {
		return q, nil
	}
	if err := p.correct(ctx, r); err != nil {
		return nil, err
	}
	return p.insert(), nil
}

// difference of a graph from the float model.
type difference struct {
	signal, noise  float64
	agreed, judged int
	parts          [][]float64 // signal and noise by turns, of the parts of each output
}

func (d *difference) sqnr() float64 { return decibels(d.signal, d.noise) }

// relative returns the noise over the signal as a mean over the parts of the
// outputs, so that small numbers, as scores are, count beside large ones, as
// those of boxes.
func (d *difference) relative() float64 {
	sum, n := 0.0, 0
	for _, p := range d.parts {
		all := 0.0
		for i := 0; i < len(p); i += 2 {
			all += p[i]
		}
		floor := 1e-3 * all / float64(max(len(p)/2, 1))
		for i := 0; i < len(p); i += 2 {
			sum += p[i+1] / max(p[i]+floor, 1e-30)
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

// compare runs a graph beside the float model.
func (p *plan) compare(ctx context.Context, r *runner, q *graph.Graph, limit int, stage string) (*difference, error) {
	d := &difference{parts: make([][]float64, len(p.g.Outputs))}
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
			x, y := a.Output(v.Name), b.Output(v.Name)
			if x.DType != tensor.Float32 || y.DType != tensor.Float32 || x.Elems() != y.Elems() {
				continue
			}
			d.add(i, x, y)
			if i == 0 && classifies(x.Shape) {
				d.judged++
				if argmax(x.F32()) == argmax(y.F32()) {
					d.agreed++
				}
			}
		}
		return nil
	})
	return d, err
}

// add counts output i of a sample.
func (d *difference) add(i int, x, y *tensor.Tensor) {
	inner, parts := partsOf(x.Shape)
	if d.parts[i] == nil {
		d.parts[i] = make([]float64, 2*parts)
	}
	p, a, b := d.parts[i], x.F32(), y.F32()
	for k, v := range a {
		e := float64(v) - float64(b[k])
		s, n := float64(v)*float64(v), e*e
		at := k / inner % parts * 2
		p[at], p[at+1] = p[at]+s, p[at+1]+n
		d.signal, d.noise = d.signal+s, d.noise+n
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
	for i, l := range p.layers {
		if l.float != "" {
			continue
		}
		for _, run := range []struct {
			weights, input bool
			to             *float64
		}{{true, false, &l.report.WeightOnly}, {false, true, &l.report.ActivationOnly}, {true, true, &l.report.Both}} {
			d, err := p.compare(ctx, r, p.alone(l, run.weights, run.input), sensitivitySamples, "")
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
	for step := 1; rep.Drop > r.config.MaxDrop && len(order) > 0; step = min(2*step, 8) {
		for _, l := range order[:min(step, len(order))] {
			l.float = "the loss would be larger than allowed"
		}
		order = order[min(step, len(order)):]
		if len(order) == 0 {
			break
		}
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

// again marks the graph anew, after layers became float.
func (p *plan) again(ctx context.Context, r *runner) error {
	old := p.of
	p.mark(r.config.Skip, r.config.QuantizeTail)
	for v, a := range p.of {
		o := old[v]
		if a.moved {
			continue
		}
		if o == nil || o.obs == nil {
			return p.observe(ctx, r) // a value that had the scale of another
		}
		a.obs = o.obs
	}
	return nil
}

// fill completes the report.
func (p *plan) fill(rep *Report, g, q *graph.Graph, r *runner) {
	rep.Samples = r.count
	rep.Warnings = append(p.warn(r.count), rep.Warnings...)
	rep.SizeRatio = float64(constBytes(q)) / float64(max(constBytes(g), 1))
	var all, done int64
	for _, l := range p.layers {
		e := l.report
		e.Node, e.Op, e.MACs, e.Reason, e.KeptFloat = l.node.Name, l.node.Type, l.macs, l.float, l.float != ""
		if e.Node == "" {
			e.Node = l.node.Out[0].Name
		}
		all += l.macs
		if !e.KeptFloat {
			rep.Quantized++
			done += l.macs
			e.WeightSQNR, e.Guarded = l.weightSQNR(), l.guarded
			e.ActivationSQNR = p.noiseOf(l.node.In[0])
			e.OutputSQNR = p.outputNoise(l)
		}
		rep.Layers = append(rep.Layers, e)
	}
	rep.Coverage = float64(done) / float64(max(all, 1))
	for _, a := range p.acts {
		e := Activation{Value: a.value.Name, Method: a.method, Lo: a.lo, Hi: a.hi, Scale: float64(a.scale), Zero: a.zero}
		if s := a.root(); s != a {
			e.Source = s.value.Name
		}
		if a.obs != nil {
			e.Min, e.Max, e.ClipRate, e.Histogram = a.obs.min, a.obs.max, a.obs.clipped(a.lo, a.hi), a.obs.summary(64)
			e.SQNR = p.noiseOf(a.value)
		}
		rep.Activations = append(rep.Activations, e)
	}
}

// noiseOf returns the SQNR of the rounding of a value.
func (p *plan) noiseOf(v *graph.Value) float64 {
	a := p.of[v]
	for a != nil && a.obs == nil && v.Node != nil {
		v = v.Node.In[0] // moved
		a = p.of[v]
	}
	if a == nil || a.obs == nil {
		return 0
	}
	return decibels(a.obs.power(), a.obs.noise(a.lo, a.hi))
}

// outputNoise is noiseOf for what a layer makes, behind its limits.
func (p *plan) outputNoise(l *layer) float64 {
	v := l.node.Out[0]
	if p.of[v] == nil && len(p.users[v]) == 1 && classOf(p.users[v][0]) == bounds {
		v = p.users[v][0].Out[0]
	}
	return p.noiseOf(v)
}

// constBytes returns the size of all constants.
func constBytes(g *graph.Graph) int {
	sum := 0
	for _, v := range g.Inits {
		sum += v.Type.Bytes()
	}
	for _, n := range g.Nodes {
		if a := n.Attrs.Get("value"); n.Type == "Constant" && a != nil && a.Tensor != nil {
			sum += len(a.Tensor.Bytes())
		}
	}
	return sum
}
