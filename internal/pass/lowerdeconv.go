package pass

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// panel is the number of output channels that the packed weights of a
// convolution are rounded up to on most rungs.
const panel = 16

// phase is the convolution, along one axis, that makes every stride-th
// element of a transposed convolution's output, from element r on:
//
//	y[q·s + r] = Σ x[q + v·dil - pad]·w[taps[v]] over v
//
// A tap below zero has weight zero.
type phase struct {
	taps     []int
	dil, pad int
}

// phases splits axis a of a transposed convolution. Input element i and tap u
// meet in output i·s + u·d - p, so that phase r has the taps u for which s
// divides r + p - u·d, and reads i = q + (r+p-u·d)/s. It reports false where a
// phase has no taps.
func phases(g *op.Geometry, a int) ([]phase, bool) {
	s, d := g.Stride[a], g.Dilation[a]
	ps := make([]phase, s)
	for r := range ps {
		last := 0
		for u := range g.Kernel[a] {
			at := r + g.Begin[a] - u*d
			if at%s != 0 {
				continue
			}
			if p := &ps[r]; len(p.taps) > 0 {
				p.dil = last - at/s
			}
			last = at / s
			ps[r].taps = append(ps[r].taps, u)
		}
		if len(ps[r].taps) == 0 {
			return nil, false
		}
		slices.Reverse(ps[r].taps) // later taps meet earlier elements
		ps[r].pad, ps[r].dil = -last, max(ps[r].dil, 1)
	}
	return ps, true
}

// joined widens phases to the taps of them all, so that one convolution
// computes them as so many times the channels. It reports false where taps
// are spread.
func joined(ps []phase) ([]phase, bool) {
	pad, end := ps[0].pad, 0
	for _, p := range ps {
		if p.dil != 1 {
			return nil, false
		}
		pad, end = max(pad, p.pad), max(end, len(p.taps)-p.pad)
	}
	end = max(end, 1-pad)
	out := make([]phase, len(ps))
	for r, p := range ps {
		taps := slices.Repeat([]int{-1}, pad+end)
		copy(taps[pad-p.pad:], p.taps)
		out[r] = phase{taps, 1, pad}
	}
	return out, true
}

// taps counts the taps of all phases of both axes.
func taps(rows, cols []phase) (n int) {
	for _, r := range rows {
		for _, c := range cols {
			n += len(r.taps) * len(c.taps)
		}
	}
	return n
}

// deconv lowers a one- or two-dimensional transposed convolution with constant
// weights to ordinary ones, one for each phase of the strides, or one for all
// of them where that is less work. Their outputs are channels of one value,
// whose elements then lie as the pixels of the result.
// (Shi et al., arXiv 1609.07009.)
func (l *lowerer) deconv(n *graph.Node, o *op.ConvTranspose) (bool, error) {
	w, bias := n.In[1], optional(n.In, 2)
	x, ok := l.spatial(n.In[0])
	if !ok || w.Const == nil || bias != nil && bias.Const == nil {
		return false, nil
	}
	g, err := o.Geometry(n.In[0].Type.Shape, w.Type.Shape)
	if err != nil {
		return false, err
	}
	rows, ok1 := phases(&g, 1)
	cols, ok2 := phases(&g, 2)
	if !ok1 || !ok2 {
		return false, nil
	}
	channels := w.Type.Shape[1] * o.Group
	d := deconv{l: l, n: n, o: o, g: &g, channels: channels, merged: 1}
	if r, ok1 := joined(rows); ok1 && o.Group == 1 {
		if c, ok2 := joined(cols); ok2 {
			all := len(rows) * len(cols)
			if len(r[0].taps)*len(c[0].taps)*roundUp(all*channels, panel) <= taps(rows, cols)*roundUp(channels, panel) {
				rows, cols, d.merged = r, c, all
			}
		}
	}
	if d.x, err = l.realize(x, nhwc); err != nil {
		return false, err
	}
	out, err := d.convs(rows, cols)
	if err != nil {
		return false, err
	}
	return true, l.pixels(d.out, out, &g, channels)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// deconv carries the lowering of one transposed convolution.
type deconv struct {
	l        *lowerer
	n        *graph.Node
	o        *op.ConvTranspose
	g        *op.Geometry
	x        *graph.Value // channels last
	channels int          // of the output
	merged   int          // phases in one convolution
	out      *graph.Value // the bound value that is produced, behind an activation
}

// convs adds the convolutions and returns their outputs side by side:
// [N, ceil(H/sh), ceil(W/sw), sh·sw·C].
func (d *deconv) convs(rows, cols []phase) (*graph.Value, error) {
	var act op.Act
	act, d.out = d.l.follow(d.n.Out[0], d.channels)
	if act.Slope != nil {
		act.Slope = slices.Repeat(act.Slope, d.merged)
	}
	var parts []*graph.Value
	for i := 0; i < len(rows)*len(cols); i += d.merged {
		r, c := rows[i/len(cols)], cols[i%len(cols)]
		conv := &op.ConvNHWC{
			KH: len(r.taps), KW: len(c.taps), StrideH: 1, StrideW: 1, DilH: r.dil, DilW: c.dil, PadT: r.pad, PadL: c.pad,
			OutH: roundUp(d.g.Out[1], len(rows)) / len(rows), OutW: roundUp(d.g.Out[2], len(cols)) / len(cols), Group: d.o.Group, Act: act,
		}
		name := d.l.name(d.n.Out[0].Name, "phase")
		v, err := d.l.add(conv, "ConvTranspose", d.n.Name, name, d.x, d.weights(rows, cols, i), d.bias())
		if err != nil {
			return nil, err
		}
		parts = append(parts, v)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return d.l.add(&op.Concat{Axis: 3}, "Concat", d.n.Name, d.l.name(d.n.Out[0].Name, "phases"), parts...)
}

// weights returns those of the convolution of phases from first on, from
// [G·C, O/G, kh, kw] to [O, C, kh, kw].
func (d *deconv) weights(rows, cols []phase, first int) *graph.Value {
	w := d.n.In[1]
	s := w.Type.Shape
	kw := s[len(s)-1]
	kernel := s[2:].Elems()
	groupOut, groupIn := s[1], s[0]/d.o.Group
	r0, c0 := rows[first/len(cols)], cols[first%len(cols)]
	t := tensor.New(tensor.Float32, d.merged*d.channels, groupIn, len(r0.taps), len(c0.taps))
	from, to := w.Const.F32(), t.F32()
	at := 0
	for i := first; i < first+d.merged; i++ {
		for o := range d.channels {
			for c := range groupIn {
				plane := from[((o/groupOut*groupIn+c)*groupOut+o%groupOut)*kernel:][:kernel]
				for _, u := range rows[i/len(cols)].taps {
					for _, v := range cols[i%len(cols)].taps {
						if u >= 0 && v >= 0 {
							to[at] = plane[u*kw+v]
						}
						at++
					}
				}
			}
		}
	}
	return graph.NewConst(d.l.name(w.Name, "phase"), t)
}

// bias repeats the bias for each phase of a merged convolution.
func (d *deconv) bias() *graph.Value {
	b := optional(d.n.In, 2)
	if b == nil {
		return nil
	}
	return graph.NewConst(b.Name, tensor.From(tensor.Float32, slices.Repeat(b.Const.F32(), d.merged), d.merged*d.channels))
}

// pixels records v as the elements of value, whose channels hold the phases of
// rows and columns.
func (l *lowerer) pixels(v, value *graph.Value, g *op.Geometry, channels int) error {
	s := value.Type.Shape
	sh, sw := g.Stride[1], g.Stride[2]
	row, col := s[2]*s[3], s[3]
	w := view{base: value, axes: [][]part{
		axisParts(part{s[0], s[1] * row}),
		axisParts(part{channels, 1}),
		axisParts(part{s[1], row}, part{sh, sw * channels}),
		axisParts(part{s[2], col}, part{sw, channels}),
	}}
	for a := 2; a < 4; a++ {
		cut, ok := w.slice(a, 0, 1, g.Out[a-1])
		if !ok {
			// The last pixels are surplus, and not whole steps of the stride.
			dense, err := l.realize(&lowered{from: v, view: w}, nhwc)
			if err != nil {
				return err
			}
			cut, _ = denseView(dense).transpose([]int{0, 3, 1, 2}).slice(a, 0, 1, g.Out[a-1])
		}
		w = cut
	}
	if len(v.Type.Shape) == 3 {
		w.axes = slices.Delete(w.axes, 2, 3)
	}
	l.set(v, w)
	return nil
}
