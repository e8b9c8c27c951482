package quant

import (
	"context"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// smallest is the least factor of a channel: one that hardly ever speaks must
// not overflow when it does.
const smallest = 1. / 256

// pair is a convolution and the depthwise one that reads its limited output:
// channels can be scaled between them at no cost, since both have a scale of
// the weights for each.
type pair struct {
	first, second *graph.Node
	middle        *graph.Value
	limit         float64 // of the middle, +Inf for none
}

// pairs finds them. The limit is a Relu, or a Clip from zero.
func (p *plan) pairs() []pair {
	var out []pair
	for _, n := range p.g.Nodes {
		l := p.byNode[n]
		if l == nil || n.Type != "Conv" || l.float != "" || n.Attrs.Int("group", 1) != l.channels || l.weights.Shape[1] != 1 {
			continue
		}
		act := n.In[0].Node
		if act == nil || len(p.users[n.In[0]]) != 1 || p.output[n.In[0]] || act.Type != "Relu" && act.Type != "Clip" {
			continue
		}
		limit := math.Inf(1)
		if act.Type == "Clip" {
			if len(act.In) > 2 && act.In[2] != nil && act.In[2].Const != nil {
				limit = act.In[2].Const.Float(0)
			}
			if len(act.In) < 2 || act.In[1] == nil || act.In[1].Const == nil || act.In[1].Const.Float(0) != 0 || limit <= 0 {
				continue
			}
		}
		x := act.In[0]
		if k := p.byNode[x.Node]; x.Node == nil || k == nil || k.float != "" || x.Node.Type != "Conv" || k.channels != l.channels || len(p.users[x]) != 1 || p.output[x] {
			continue
		}
		out = append(out, pair{x.Node, n, n.In[0], limit})
	}
	return out
}

// equalize scales the channels between convolutions and depthwise ones so that
// each uses the whole range of 8 bits. Behind a Relu the model stays the same.
// Behind a Clip it stays the same on the samples: a channel is cut off at the
// largest value that it had. It returns how many pairs it changed.
func (p *plan) equalize(ctx context.Context, r *runner) (int, error) {
	pairs := p.pairs()
	if len(pairs) == 0 {
		return 0, nil
	}
	peaks := map[*graph.Value][]float64{}
	var values []*graph.Value
	for _, q := range pairs {
		values = append(values, q.middle)
		peaks[q.middle] = make([]float64, p.byNode[q.first].channels)
	}
	err := r.observe(ctx, p.g, p.types, values, "channels", 0, func(_ int, _ Sample, v *graph.Value, x *tensor.Tensor) error {
		m := peaks[v]
		inner := x.Shape[2:].Elems()
		data := x.F32()
		for i := 0; i+inner <= len(data) && inner > 0; i += inner {
			most := float32(0)
			for _, y := range data[i : i+inner] {
				most = max(most, y)
			}
			c := i / inner % len(m)
			m[c] = max(m[c], float64(most))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, q := range pairs {
		p.balance(q, peaks[q.middle])
	}
	return len(pairs), nil
}

// balance divides the channels of the middle by what they reach.
func (p *plan) balance(q pair, peaks []float64) {
	top := q.limit
	if math.IsInf(top, 1) {
		top = 0
		for _, m := range peaks {
			top = max(top, m)
		}
	}
	if top == 0 {
		return
	}
	a, b := p.byNode[q.first], p.byNode[q.second]
	w, v := a.weights.Clone(), b.weights.Clone()
	for i, x := range w.F32() {
		w.F32()[i] = float32(float64(x) / factor(peaks[a.channel(i)], top))
	}
	for i, x := range v.F32() {
		v.F32()[i] = float32(float64(x) * factor(peaks[b.channel(i)], top))
	}
	bias := tensor.New(tensor.Float32, a.channels)
	for c := range a.bias {
		a.bias[c] /= factor(peaks[c], top)
		bias.F32()[c] = float32(a.bias[c])
	}
	p.replace(a, w, bias)
	p.replace(b, v, nil)
}

// factor of a channel that reaches m, where top is allowed.
func factor(m, top float64) float64 { return min(max(m/top, smallest), 1) }

// replace gives a layer other weights, and another bias where that is not nil.
func (p *plan) replace(l *layer, w, b *tensor.Tensor) {
	constant := func(name string, t *tensor.Tensor) *graph.Value {
		v := graph.NewConst(name+"/equalized", t)
		for slices.ContainsFunc(p.g.Inits, func(u *graph.Value) bool { return u.Name == v.Name }) {
			v.Name += "."
		}
		p.g.Inits = append(p.g.Inits, v)
		return v
	}
	l.weights = w
	in := []*graph.Value{l.node.In[0], constant(l.node.In[1].Name, w)}
	switch {
	case b != nil:
		in = append(in, constant(l.node.Out[0].Name+"/bias", b))
	case len(l.node.In) > 2:
		in = append(in, l.node.In[2])
	}
	l.node.In = in
}
