package quant

import (
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// wire is one channel on its way through operators that commute with scaling
// it: from the layers that make it to those that read it. All of them can be
// scaled against each other without changing the model.
type wire struct {
	to     *wire   // the same wire; nil at the one that others point to
	region *wire   // one of those that share a scale with it; nil at the one that others point to
	fixed  bool    // something reads or makes it that scaling would change
	wide   bool    // a layer sums it with others, so that scaling changes how finely its weights are rounded
	limit  float64 // a Clip cuts it off there, 0 for none
	peak   float64 // the largest magnitude that was seen
	factor float64 // it is divided by this
}

func (w *wire) root() *wire {
	for w.to != nil {
		w = w.to
	}
	return w
}

// place returns the wire that stands for those that share a scale.
func (w *wire) place() *wire {
	w = w.root()
	for w.region != nil {
		w = w.region.root()
	}
	return w
}

// tie makes two wires one.
func tie(a, b *wire) {
	if a, b = a.root(), b.root(); a == b {
		return
	}
	b.to = a
	a.fixed, a.wide = a.fixed || b.fixed, a.wide || b.wide
	if a.limit == 0 || b.limit != 0 && b.limit < a.limit {
		a.limit = b.limit
	}
}

// wiring holds the wires of values.
type wiring struct {
	p  *plan
	of map[*graph.Value][]*wire
}

// newWiring follows the channels of all values.
func newWiring(p *plan) *wiring {
	w := &wiring{p: p, of: map[*graph.Value][]*wire{}}
	for _, v := range p.g.Inputs {
		w.fix(v)
	}
	for _, n := range p.g.Nodes {
		if w.node(n) {
			continue
		}
		for _, v := range n.In {
			w.fix(v)
		}
		for _, v := range n.Out {
			w.fix(v)
		}
	}
	for _, v := range p.g.Outputs {
		w.fix(v)
	}
	for _, a := range p.acts {
		root := w.wires(a.root().value)
		if len(root) == 0 {
			w.fix(a.value) // made of a vector, which has no channels
			continue
		}
		for _, x := range w.wires(a.value) {
			if b, c := x.place(), root[0].place(); b != c {
				b.region = c
			}
		}
	}
	return w
}

// frame splits a shape into batch, channels and the elements of a channel: the
// last two axes are those of the picture.
func frame(s tensor.Shape) (batch, channels, inner int) {
	if len(s) < 2 {
		return s.Elems(), 0, 0
	}
	c := 1
	for i := 1; i < max(2, len(s)-2); i++ {
		c *= s[i]
	}
	return s[0], c, s.Elems() / max(s[0]*c, 1)
}

// wires returns those of a value, in the order of its channels.
func (w *wiring) wires(v *graph.Value) []*wire {
	if v == nil || v.Const != nil {
		return nil
	}
	l, ok := w.of[v]
	if !ok {
		_, c, _ := frame(w.p.types[v.Name].Shape)
		for range c {
			l = append(l, &wire{})
		}
		w.of[v] = l
	}
	return l
}

func (w *wiring) fix(v *graph.Value) {
	for _, x := range w.wires(v) {
		x.root().fixed = true
	}
}

// same ties the channels of two values, which must be as many.
func (w *wiring) same(a, b *graph.Value) bool {
	x, y := w.wires(a), w.wires(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		tie(x[i], y[i])
	}
	return true
}

// node follows the channels through a node, false where it does not commute
// with scaling them.
func (w *wiring) node(n *graph.Node) bool {
	if l := w.p.byNode[n]; l != nil {
		if l.float != "" || n.Type != "Gemm" && (n.Type != "Conv" || len(l.weights.Shape) != 4) {
			return false
		}
		for _, x := range w.wires(n.In[0]) {
			x.root().wide = x.root().wide || n.Type == "Gemm" || l.weights.Shape[1] > 1
		}
		return true
	}
	if n.Domain != "" && n.Domain != "ai.onnx" || len(n.In) == 0 || n.In[0] == nil || len(n.Out) == 0 {
		return false
	}
	x, y := n.In[0], n.Out[0]
	switch n.Type {
	case "Relu", "LeakyRelu", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Identity":
		return w.same(x, y)
	case "PRelu":
		return n.In[1] != nil && n.In[1].Const != nil && w.same(x, y)
	case "ReduceMean":
		s, t := w.p.types[x.Name].Shape, w.p.types[y.Name].Shape
		return len(s) == 4 && len(t) == 4 && s[0] == t[0] && s[1] == t[1] && w.same(x, y)
	case "MaxPool":
		return (len(n.Out) < 2 || n.Out[1] == nil) && w.same(x, y)
	case "Resize":
		s, t := w.p.types[x.Name].Shape, w.p.types[y.Name].Shape
		return len(s) == 4 && len(t) == 4 && s[1] == t[1] && w.same(x, y)
	case "Clip":
		return w.clip(n)
	case "Add", "Sub":
		return sameShape(w.p, n) && w.same(x, y) && w.same(n.In[1], y)
	case "Mul":
		// One of them scales the other.
		w.fix(n.In[1])
		return n.In[1] != nil && n.In[1].Const == nil && w.same(x, y)
	case "Concat":
		return w.concat(n)
	case "Split":
		return w.split(n)
	case "Reshape", "Flatten", "Transpose":
		return w.rearrange(n)
	}
	return false
}

// sameShape reports whether both inputs are computed and neither is repeated.
func sameShape(p *plan, n *graph.Node) bool {
	return len(n.In) == 2 && n.In[1] != nil && n.In[0].Const == nil && n.In[1].Const == nil && p.types[n.In[0].Name].Shape.Equal(p.types[n.In[1].Name].Shape)
}

// clip allows a limit above zero: of a channel that stays far below it the
// limit may come closer.
func (w *wiring) clip(n *graph.Node) bool {
	for _, i := range []int{1, 2} {
		if len(n.In) <= i || n.In[i] == nil || n.In[i].Const == nil {
			return false
		}
	}
	top := n.In[2].Const.Float(0)
	if n.In[1].Const.Float(0) != 0 || !(top > 0) || !w.same(n.In[0], n.Out[0]) {
		return false
	}
	for _, x := range w.wires(n.In[0]) {
		if x = x.root(); x.limit == 0 || top < x.limit {
			x.limit = top
		}
	}
	return true
}

// channelAxis reports whether a node works along the channels of pictures.
func (w *wiring) channelAxis(n *graph.Node, missing int) bool {
	rank := len(w.p.types[n.In[0].Name].Shape)
	axis := n.Attrs.Int("axis", missing)
	return rank == 4 && (axis == 1 || axis == 1-rank)
}

func (w *wiring) concat(n *graph.Node) bool {
	if !w.channelAxis(n, 0) {
		return false
	}
	out, at := w.wires(n.Out[0]), 0
	for _, v := range n.In {
		in := w.wires(v)
		if len(in) == 0 || at+len(in) > len(out) {
			return false
		}
		for i, x := range in {
			tie(x, out[at+i])
		}
		at += len(in)
	}
	return at == len(out)
}

func (w *wiring) split(n *graph.Node) bool {
	if !w.channelAxis(n, 0) {
		return false
	}
	in, at := w.wires(n.In[0]), 0
	for _, v := range n.Out {
		out := w.wires(v)
		if len(out) == 0 || at+len(out) > len(in) {
			return false
		}
		for i, x := range out {
			tie(x, in[at+i])
		}
		at += len(out)
	}
	return at == len(in)
}

// rearrange allows what splits the channels into groups, shuffles these, and
// joins them again; pictures stay as they are.
func (w *wiring) rearrange(n *graph.Node) bool {
	s, t := w.p.types[n.In[0].Name].Shape, w.p.types[n.Out[0].Name].Shape
	b, c, inner := frame(s)
	b2, c2, inner2 := frame(t)
	if b != b2 || c != c2 || inner != inner2 {
		return false
	}
	if n.Type != "Transpose" {
		return w.same(n.In[0], n.Out[0])
	}
	a := n.Attrs.Get("perm")
	rank := len(s)
	if a == nil || rank < 4 || a.Ints[0] != 0 || int(a.Ints[rank-1]) != rank-1 || int(a.Ints[rank-2]) != rank-2 {
		return false
	}
	// The strides of the output's channel axes in the input's channels.
	strides := s[1 : rank-2].Strides()
	in, out := w.wires(n.In[0]), w.wires(n.Out[0])
	for i, x := range out {
		at, rest := 0, i
		for axis := rank - 3; axis > 0; axis-- {
			at += rest % t[axis] * strides[a.Ints[axis]-1]
			rest /= t[axis]
		}
		tie(x, in[at])
	}
	return true
}

// factorOf returns what a channel of a value is divided by.
func (w *wiring) factorOf(v *graph.Value, c int) float64 {
	if x := w.wires(v); c < len(x) {
		if f := x[c].root().factor; f != 0 {
			return f
		}
	}
	return 1
}

// The bounds of scaling a channel.
const (
	// A channel that hardly ever speaks must not overflow when it does.
	leastFactor = 1. / 8
	// Where weights are rounded together with those of other channels, half of
	// the difference goes to the values and half to the weights.
	wideShare = 0.5
)

// choose finds the factors from the peaks.
func (w *wiring) choose() (scaled int) {
	tops := map[*wire]float64{}
	for _, a := range w.p.acts {
		for _, x := range w.wires(a.value) {
			tops[x.place()] = max(tops[x.place()], x.root().peak)
		}
	}
	for _, a := range w.p.acts {
		changed := false
		for _, x := range w.wires(a.value) {
			top := tops[x.place()]
			if x = x.root(); x.fixed || x.peak == 0 {
				continue
			}
			if x.limit != 0 {
				top = x.limit
			}
			x.factor = min(max(x.peak/top, leastFactor), 1)
			if x.wide {
				x.factor = math.Pow(x.factor, wideShare)
			}
			changed = changed || x.factor != 1
		}
		if changed {
			scaled++
		}
	}
	return scaled
}
