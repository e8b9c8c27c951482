package quant

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// correctionSamples is how many samples the means are taken over at most.
const correctionSamples = 64

// segment is a layer, or what stands before the first one, with the nodes that
// can run behind it.
type segment struct {
	layer   *layer // the first node, where that is one
	nodes   []*graph.Node
	in, out []*graph.Value
}

// segments cuts the graph up to the last layer into parts, in an order in which
// they can run.
func (p *plan) segments() []*segment {
	var all []*segment
	at := map[*graph.Node]int{}
	for _, n := range p.g.Nodes {
		if !p.ahead[n] {
			continue
		}
		into := -1
		if p.byNode[n] == nil {
			for _, v := range n.In {
				if v != nil && v.Const == nil && v.Node != nil {
					into = max(into, at[v.Node])
				}
			}
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
				if v != nil && slices.ContainsFunc(p.users[v], func(u *graph.Node) bool { j, ok := at[u]; return ok && j != i }) {
					s.out = append(s.out, v)
				}
			}
		}
	}
	return all
}

// walk runs the model with rounded weights segment by segment, each for all
// samples, so that a layer sees what the rounded and corrected layers before it
// make of them. Values are not rounded on the way: what ranges cut off would
// shift means that are none of the weights' doing.
type walk struct {
	p     *plan
	r     *runner
	n     int // samples
	parts []*segment
	last  map[*graph.Value]int // the segment that reads a value last
	data  map[*graph.Value][]kept
}

// correct rounds the weights of each layer and shifts its bias so that the means
// of its output channels are those of the float model. The shift is what NNCF
// calls bias correction, without its approximation.
func (p *plan) correct(ctx context.Context, r *runner) error {
	w := &walk{p: p, r: r, parts: p.segments(), last: map[*graph.Value]int{}, data: map[*graph.Value][]kept{}}
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

// peak returns the most bytes that one sample takes on the way.
func (w *walk) peak() int {
	live, most := 0, 0
	size := func(v *graph.Value) int { return keptBytes(w.p.types[v.Name]) }
	for _, v := range w.p.g.Inputs {
		live += size(v)
	}
	for i, s := range w.parts {
		for _, v := range s.out {
			live += size(v)
		}
		most = max(most, live)
		for _, v := range s.in {
			if w.last[v] == i {
				live -= size(v)
			}
		}
	}
	return most
}

// load keeps the inputs of the samples.
func (w *walk) load() error {
	at, n := 0, 0
	for sample, err := range w.r.samples {
		if err != nil {
			return err
		}
		at++
		if n == w.n || w.n < w.r.count && at*w.n/w.r.count == (at-1)*w.n/w.r.count {
			continue
		}
		n++
		for _, v := range w.p.g.Inputs {
			if _, used := w.last[v]; used {
				w.data[v] = append(w.data[v], keep(sample.Inputs[v.Name]))
			}
		}
	}
	return nil
}

// kept is a value of one sample: float32 as bfloat16, which is precise enough for
// means and products over many places, other types as they are.
type kept []byte

func keptBytes(t tensor.Type) int {
	if t.DType == tensor.Float32 {
		return 2 * t.Shape.Elems()
	}
	return t.Bytes()
}

func keep(t *tensor.Tensor) kept {
	k := make(kept, keptBytes(t.Type()))
	if t.DType != tensor.Float32 {
		copy(k, t.Bytes())
		return k
	}
	for i, v := range t.F32() {
		binary.NativeEndian.PutUint16(k[2*i:], tensor.BF16From32(v))
	}
	return k
}

// restore writes the value into a tensor of its type.
func (k kept) restore(t *tensor.Tensor) {
	if t.DType != tensor.Float32 {
		copy(t.Bytes(), k)
		return
	}
	x := t.F32()
	for i := range x {
		x[i] = math.Float32frombits(uint32(binary.NativeEndian.Uint16(k[2*i:])) << 16)
	}
}

// segment rounds and corrects the layer of a segment and runs it.
func (w *walk) segment(ctx context.Context, s *segment, means map[*layer][]float64) error {
	if l := s.layer; l != nil && l.float == "" {
		l.roundWeights(w.p.of[l.node.In[0]].root().scale)
		if !w.r.config.RoundNearest {
			if err := w.learn(ctx, l); err != nil {
				return err
			}
		}
		if err := w.shift(ctx, l, means[l]); err != nil {
			return err
		}
	}
	if len(s.out) == 0 {
		return nil
	}
	return w.each(ctx, s.nodes, s.in, s.out, func(e *engine.Session) {
		for _, v := range s.out {
			w.data[v] = append(w.data[v], keep(e.Output(v.Name)))
		}
	})
}

// shift adds the difference of the means to the bias of a layer.
func (w *walk) shift(ctx context.Context, l *layer, want []float64) error {
	if l.node.Type == "MatMul" || w.r.config.NoBiasCorrection {
		return nil // a MatMul has no bias
	}
	got := make([]float64, l.channels)
	y := l.node.Out[0]
	err := w.each(ctx, []*graph.Node{l.node}, l.node.In[:1], []*graph.Value{y}, func(e *engine.Session) {
		addMeans(got, e.Output(y.Name), l)
	})
	if err != nil {
		return err
	}
	for c := range l.bias {
		l.bias[c] += (want[c] - got[c]) / float64(w.n)
	}
	return nil
}

// addMeans adds the mean of each channel.
func addMeans(sum []float64, t *tensor.Tensor, l *layer) {
	x := t.F32()
	inner := 1
	if l.node.Type != "Gemm" && l.node.Type != "MatMul" {
		inner = t.Shape[2:].Elems()
	}
	per := 1 / float64(max(len(x)/len(sum), 1))
	for i := 0; i+inner <= len(x) && inner > 0; i += inner {
		sum[i/inner%len(sum)] += total(x[i:i+inner]) * per
	}
}

// total returns the sum, of 64 at a time in float32.
func total(x []float32) float64 {
	sum := 0.0
	for ; len(x) >= 64; x = x[64:] {
		var a, b, c, d float32
		for i := 0; i < 64; i += 4 {
			a, b, c, d = a+x[i], b+x[i+1], c+x[i+2], d+x[i+3]
		}
		sum += float64((a + b) + (c + d))
	}
	for _, v := range x {
		sum += float64(v)
	}
	return sum
}

// each runs nodes on all samples.
func (w *walk) each(ctx context.Context, nodes []*graph.Node, in, out []*graph.Value, done func(*engine.Session)) error {
	g := w.p.extract(nodes, in, out, w.p.types)
	e, err := w.r.session(g, g.Outputs)
	if err != nil {
		return err
	}
	defer e.Close()
	for i := range w.n {
		for _, v := range in {
			w.data[v][i].restore(e.Input(v.Name))
		}
		if err := e.Run(ctx); err != nil {
			return fmt.Errorf("correcting: %w", err)
		}
		done(e)
	}
	return nil
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
			means[l] = make([]float64, l.channels)
			values = append(values, l.node.Out[0])
		}
	}
	err := r.observe(ctx, p.g, p.types, values, "means", n, func(_ int, _ Sample, v *graph.Value, x *tensor.Tensor) error {
		l := p.byNode[v.Node]
		addMeans(means[l], x, l)
		return nil
	})
	return means, err
}
