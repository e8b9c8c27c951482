package quant

import (
	"context"
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// correctionSamples is how many samples the means are taken over at most.
const correctionSamples = 64

// segment is a part of the graph between rounded values.
type segment struct {
	layer   *layer // the first node, where that is one
	nodes   []*graph.Node
	in, out []*graph.Value
}

// segments cuts the graph up to the last layer into parts that compute from
// rounded values to rounded values, in an order in which they can run.
func (p *plan) segments() []*segment {
	var all []*segment
	at := map[*graph.Node]int{}
	for _, n := range p.g.Nodes {
		if !p.ahead[n] {
			continue
		}
		into := -1
		if p.byNode[n] == nil {
			into = p.joins(n, at)
		}
		if into < 0 {
			into = len(all)
			all = append(all, &segment{layer: p.byNode[n]})
		}
		at[n] = into
		all[into].nodes = append(all[into].nodes, n)
	}
	for i, s := range all {
		seen := map[*graph.Value]bool{}
		for _, n := range s.nodes {
			for _, v := range n.In {
				if v != nil && v.Const == nil && !seen[v] && (v.Node == nil || at[v.Node] != i) {
					seen[v] = true
					s.in = append(s.in, v)
				}
			}
			for _, v := range n.Out {
				if v == nil {
					continue
				}
				for _, u := range p.users[v] {
					if j, ok := at[u]; ok && (j != i || p.of[v] != nil) {
						s.out = append(s.out, v)
						break
					}
				}
			}
		}
	}
	return all
}

// joins returns the segment that a node can be added to, or -1: it makes one
// of the node's inputs, which is not rounded, and the others are known by then.
func (p *plan) joins(n *graph.Node, at map[*graph.Node]int) int {
	into := -1
	for _, v := range n.In {
		if v != nil && v.Const == nil && v.Node != nil && p.of[v] == nil {
			into = max(into, at[v.Node])
		}
	}
	for _, v := range n.In {
		if v != nil && v.Const == nil && v.Node != nil && (at[v.Node] > into || at[v.Node] == into && p.of[v] != nil) {
			return -1
		}
	}
	return into
}

// walk runs the rounded model segment by segment, each for all samples, so
// that a layer sees what the corrected layers before it make of them.
type walk struct {
	p     *plan
	r     *runner
	n     int
	parts []*segment
	last  map[*graph.Value]int // the segment that reads a value last
	data  map[*graph.Value][][]byte
}

// correct shifts the bias of each layer so that the means of its output
// channels, computed from what the rounded layers before it give, are those of
// the float model. It is what NNCF calls bias correction, without its
// approximation.
func (p *plan) correct(ctx context.Context, r *runner) error {
	w := &walk{p: p, r: r, parts: p.segments(), last: map[*graph.Value]int{}, data: map[*graph.Value][][]byte{}}
	for i, s := range w.parts {
		for _, v := range s.in {
			w.last[v] = i
		}
	}
	w.n = min(correctionSamples, r.count, max(r.config.Memory/max(w.peak(), 1), 8))
	means, err := p.floatMeans(ctx, r, w.n)
	if err != nil {
		return err
	}
	if err := w.load(); err != nil {
		return err
	}
	for i, s := range w.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.segment(ctx, s, means); err != nil {
			return err
		}
		for _, v := range s.in {
			if w.last[v] == i {
				delete(w.data, v)
			}
		}
		r.config.Progress("correction", i+1, len(w.parts))
	}
	return nil
}

// size of a value as it is kept.
func (w *walk) size(v *graph.Value) int {
	t := w.p.types[v.Name]
	if w.p.of[v] != nil {
		return t.Shape.Elems()
	}
	return t.Bytes()
}

// peak returns the most bytes that one sample takes on the way.
func (w *walk) peak() int {
	live, most := 0, 0
	for _, v := range w.p.g.Inputs {
		live += w.size(v)
	}
	for i, s := range w.parts {
		for _, v := range s.out {
			live += w.size(v)
		}
		most = max(most, live)
		for _, v := range s.in {
			if w.last[v] == i {
				live -= w.size(v)
			}
		}
	}
	return most
}

// load keeps the inputs of the first samples.
func (w *walk) load() error {
	i := 0
	for sample, err := range w.r.samples {
		if err != nil {
			return err
		}
		if i++; i > w.n {
			break
		}
		for _, v := range w.p.g.Inputs {
			if _, used := w.last[v]; used {
				w.data[v] = append(w.data[v], w.keep(v, sample.Inputs[v.Name]))
			}
		}
	}
	return nil
}

// keep returns the contents of a value in as few bytes as they need.
func (w *walk) keep(v *graph.Value, t *tensor.Tensor) []byte {
	a := w.p.of[v]
	if a == nil {
		return append([]byte{}, t.Bytes()...)
	}
	out := make([]byte, t.Elems())
	scale, zero := a.scale, float64(a.zero)
	for i, x := range t.F32() {
		out[i] = uint8(min(max(math.RoundToEven(float64(x/scale))+zero, 0), 255))
	}
	return out
}

// give writes the contents of a value into a session's input.
func (w *walk) give(v *graph.Value, kept []byte, t *tensor.Tensor) {
	a := w.p.of[v]
	if a == nil {
		copy(t.Bytes(), kept)
		return
	}
	var table [256]float32
	for i := range table {
		table[i] = float32(i-a.zero) * a.scale
	}
	x := t.F32()
	for i, q := range kept {
		x[i] = table[q]
	}
}

// segment corrects the layer of a segment and runs it.
func (w *walk) segment(ctx context.Context, s *segment, means map[*layer][]float64) error {
	if l := s.layer; l != nil && l.float == "" {
		l.roundWeights(w.p.of[l.node.In[0]].root().scale)
		if err := w.shift(ctx, l, means[l]); err != nil {
			return err
		}
	}
	if len(s.out) == 0 {
		return nil
	}
	return w.each(ctx, s.nodes, s.in, s.out, func(e *engine.Session) {
		for _, v := range s.out {
			w.data[v] = append(w.data[v], w.keep(v, e.Output(v.Name)))
		}
	})
}

// shift adds the difference of the means to the bias of a layer.
func (w *walk) shift(ctx context.Context, l *layer, want []float64) error {
	if l.node.Type == "MatMul" {
		return nil // it has no bias
	}
	got := make([]float64, 2*l.channels)
	y := l.node.Out[0]
	lo, hi := w.p.reach(l)
	err := w.each(ctx, []*graph.Node{l.node}, l.node.In[:1], []*graph.Value{y}, func(e *engine.Session) {
		addMeans(got, e.Output(y.Name), l, lo, hi)
	})
	if err != nil {
		return err
	}
	for c := range l.bias {
		if share := got[l.channels+c]; share > 0.05*float64(w.n) {
			l.bias[c] += (want[c] - got[c]) / share
		}
	}
	l.moved = true
	return nil
}

// reach returns the range in which differences of a layer's output matter:
// what is rounded behind it is cut off there. Means of uncut values would
// follow a few outliers.
func (p *plan) reach(l *layer) (lo, hi float32) {
	lo, hi = float32(math.Inf(-1)), float32(math.Inf(1))
	v := l.node.Out[0]
	if p.of[v] == nil && len(p.users[v]) == 1 && classOf(p.users[v][0]) == bounds {
		v = p.users[v][0].Out[0]
		if a := p.of[v]; a != nil {
			return float32(a.lo), float32(a.hi)
		}
	}
	if a := p.of[v]; a != nil {
		return float32(a.lo), float32(a.hi)
	}
	return lo, hi
}

// addMeans adds the mean of each channel, of values cut off at lo and hi.
func addMeans(sum []float64, t *tensor.Tensor, l *layer, lo, hi float32) {
	x := t.F32()
	inner := 1
	if l.node.Type != "Gemm" && l.node.Type != "MatMul" {
		inner = t.Shape[2:].Elems()
	}
	per := 1 / float64(max(len(x)/l.channels, 1))
	for i := 0; i+inner <= len(x); i += inner {
		s, in := 0.0, 0
		for _, v := range x[i : i+inner] {
			s += float64(min(max(v, lo), hi))
			if v > lo && v < hi {
				in++
			}
		}
		sum[i/inner%l.channels] += s * per
		sum[l.channels+i/inner%l.channels] += float64(in) * per
	}
}

// each runs nodes on all samples.
func (w *walk) each(ctx context.Context, nodes []*graph.Node, in, out []*graph.Value, done func(*engine.Session)) error {
	g := w.extract(nodes, in, out)
	e, err := w.r.session(g, g.Outputs)
	if err != nil {
		return err
	}
	defer e.Close()
	for i := range w.n {
		for _, v := range in {
			w.give(v, w.data[v][i], e.Input(v.Name))
		}
		if err := e.Run(ctx); err != nil {
			return fmt.Errorf("correcting: %w", err)
		}
		done(e)
	}
	return nil
}

// extract returns some nodes as a graph of their own, with rounded weights.
func (w *walk) extract(nodes []*graph.Node, in, out []*graph.Value) *graph.Graph {
	g := &graph.Graph{Opsets: w.p.g.Opsets}
	values := map[*graph.Value]*graph.Value{}
	for _, v := range in {
		values[v] = &graph.Value{Name: v.Name, Type: w.p.types[v.Name]}
		g.Inputs = append(g.Inputs, values[v])
	}
	for _, n := range nodes {
		m := *n
		m.In, m.Out = make([]*graph.Value, len(n.In)), make([]*graph.Value, len(n.Out))
		for i, v := range n.In {
			switch {
			case v == nil:
			case v.Const != nil:
				m.In[i] = v
			default:
				m.In[i] = values[v]
			}
		}
		if l := w.p.byNode[n]; l != nil && l.float == "" {
			m.In = l.simulated(m.In)
		}
		for i, v := range n.Out {
			if v != nil {
				m.Out[i] = &graph.Value{Name: v.Name, Node: &m}
				values[v] = m.Out[i]
			}
		}
		g.Nodes = append(g.Nodes, &m)
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil && v.Const != nil {
				g.Inits = append(g.Inits, v)
			}
		}
	}
	for _, v := range out {
		g.Outputs = append(g.Outputs, values[v])
	}
	return g
}

// simulated returns the inputs of a layer with its rounded weights and the
// bias, in float.
func (l *layer) simulated(in []*graph.Value) []*graph.Value {
	out := []*graph.Value{in[0], graph.NewConst(l.node.Out[0].Name+"/weights", l.rounded())}
	if l.node.Type == "MatMul" {
		return out
	}
	b := tensor.New(tensor.Float32, l.channels)
	for i, v := range l.bias {
		b.F32()[i] = float32(v)
	}
	return append(out, graph.NewConst(l.node.Out[0].Name+"/bias", b))
}

// floatMeans returns the sums over n samples of the means of each layer's
// output channels in the float model.
func (p *plan) floatMeans(ctx context.Context, r *runner, n int) (map[*layer][]float64, error) {
	means := map[*layer][]float64{}
	var values []*graph.Value
	for _, l := range p.layers {
		if l.float == "" {
			means[l] = make([]float64, 2*l.channels)
			values = append(values, l.node.Out[0])
		}
	}
	err := r.observe(ctx, p.g, p.types, values, "means", n, func(_ int, _ Sample, v *graph.Value, x *tensor.Tensor) error {
		l := p.byNode[v.Node]
		lo, hi := p.reach(l)
		addMeans(means[l], x, l, lo, hi)
		return nil
	})
	return means, err
}
