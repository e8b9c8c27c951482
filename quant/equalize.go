package quant

import (
	"context"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// equalize scales channels so that each uses more of the range of the 8 bits
// that it shares with others. It is cross-layer equalization (Nagel et al.,
// "Data-free quantization", 2019) by what the samples reach, along channels
// through sums, shuffles and concatenations. The model stays the same, but for
// channels below a Clip: their limit comes as close as the values that were
// seen. It returns how many activations it changed.
func (p *plan) equalize(ctx context.Context, r *runner) (int, error) {
	w := newWiring(p)
	var values []*graph.Value
	for _, a := range p.acts {
		if slices.ContainsFunc(w.wires(a.value), func(x *wire) bool { return !x.root().fixed }) {
			values = append(values, a.value)
		}
	}
	if len(values) == 0 {
		return 0, nil
	}
	bad := false
	err := r.observe(ctx, p.g, p.types, values, "channels", 0, func(_ int, _ Sample, v *graph.Value, x *tensor.Tensor) error {
		wires := w.wires(v)
		_, _, inner := frame(x.Shape)
		for i, data := 0, x.F32(); i+inner <= len(data) && inner > 0; i += inner {
			q := wires[i/inner%len(wires)].root()
			m := magnitude(data[i : i+inner])
			bad = bad || math.IsNaN(m) || math.IsInf(m, 0)
			q.peak = max(q.peak, m)
		}
		return nil
	})
	if err != nil || bad { // where values are not finite is for the ranges to say
		return 0, err
	}
	scaled := w.choose()
	for _, l := range p.layers {
		if l.float == "" && (l.node.Type == "Conv" || l.node.Type == "Gemm") {
			p.rescale(l, w)
		}
	}
	return scaled, nil
}

// magnitude returns the largest absolute value.
func magnitude(x []float32) float64 {
	lo, hi := float32(0), float32(0)
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	return float64(max(-lo, hi))
}

// rescale gives a layer the weights and the bias that fit scaled channels.
func (p *plan) rescale(l *layer, w *wiring) {
	in, out := l.node.In[0], l.node.Out[0]
	weights := l.weights.Clone()
	for i, x := range weights.F32() {
		weights.F32()[i] = float32(float64(x) / w.factorOf(out, l.channel(i)) * w.factorOf(in, l.input(i)))
	}
	bias := tensor.New(tensor.Float32, l.channels)
	for c := range l.bias {
		l.bias[c] /= w.factorOf(out, c)
		bias.F32()[c] = float32(l.bias[c])
	}
	l.weights = weights
	l.node.In = []*graph.Value{in, p.constant(l.node.In[1].Name+"/equalized", weights), p.constant(out.Name+"/bias/equalized", bias)}
}

// constant adds one to the plan's graph.
func (p *plan) constant(name string, t *tensor.Tensor) *graph.Value {
	v := graph.NewConst(name, t)
	for slices.ContainsFunc(p.g.Inits, func(u *graph.Value) bool { return u.Name == v.Name }) {
		v.Name += "."
	}
	p.g.Inits = append(p.g.Inits, v)
	return v
}
