package pass

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// simplifier rebuilds a bound graph node by node. Rules look backwards, at
// the new graph, so that one pass in topological order sees the results of
// every earlier rule.
type simplifier struct {
	new    *graph.Graph
	values map[*graph.Value]*graph.Value // old to new
	uses   map[*graph.Value]int          // of new values, counted in the old graph
	count  map[*graph.Value]int          // of old values
	reals  map[realForm]*graph.Value     // the real forms of 8-bit values
	codes  map[realForm]*graph.Value     // the 8-bit forms of real values
	serial int
}

// Simplify rewrites a bound graph into an equivalent one with fewer and
// larger operators: normalisation, scales and biases folded into the weights
// of convolutions and matrix products, padding into windows, and activations
// recognised in the forms that exporters spell them.
func Simplify(g *graph.Graph) (*graph.Graph, error) {
	s := &simplifier{
		new:    &graph.Graph{Name: g.Name, Opsets: g.Opsets, Metadata: g.Metadata, Inputs: g.Inputs},
		values: map[*graph.Value]*graph.Value{}, uses: map[*graph.Value]int{}, reals: map[realForm]*graph.Value{}, codes: map[realForm]*graph.Value{},
	}
	count := map[*graph.Value]int{}
	s.count = count
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil {
				count[v]++
			}
		}
	}
	for _, v := range g.Outputs {
		count[v] += 2
	}
	for _, n := range g.Nodes {
		if err := s.node(n, count); err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Label(), err)
		}
	}
	for _, v := range g.Outputs {
		nv, err := s.output(v)
		if err != nil {
			return nil, err
		}
		s.new.Outputs = append(s.new.Outputs, nv)
	}
	s.new.Nodes = needed(s.new)
	return s.new, nil
}

// output keeps the name of an output whose value a rule replaced.
func (s *simplifier) output(v *graph.Value) (*graph.Value, error) {
	nv := s.get(v)
	if nv.Name == v.Name {
		return nv, nil
	}
	if nv.Const != nil {
		return graph.NewConst(v.Name, nv.Const), nil
	}
	outs, err := s.new.Add(&op.Identity{}, graph.Node{Name: v.Name, Type: "Identity", In: []*graph.Value{nv}}, v.Name)
	if err != nil {
		return nil, err
	}
	return outs[0], nil
}

func (s *simplifier) get(v *graph.Value) *graph.Value {
	if nv := s.values[v]; nv != nil {
		return nv
	}
	return v // inputs and constants are shared
}

// rule rewrites the use of an operator on new values. It returns the value
// that replaces the first output, or nil where it does not apply.
type rule func(s *simplifier, n *graph.Node) (*graph.Value, error)

// rules are tried in order; the first that applies wins.
var rules = []rule{dropIdentity, powForms, clipForms, leakyForms, preluForms, gates, hardForms, geluForms, batchNorm, groupNorm, foldScale, foldPad, focus, spatialMean, actThrough, unsigned, shareReal, moveQuantized, quantize}

func (s *simplifier) node(n *graph.Node, count map[*graph.Value]int) error {
	m := *n
	m.In = make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		if v != nil {
			m.In[i] = s.get(v)
		}
	}
	if !dynamic(n) {
		for _, r := range rules {
			v, err := r(s, &m)
			if err != nil {
				return err
			}
			if v != nil {
				s.values[n.Out[0]] = v
				s.uses[v] = max(count[n.Out[0]], s.uses[v])
				if len(n.Out) == 1 || n.Out[1] == nil {
					return nil
				}
			}
		}
	}
	names := make([]string, len(n.Out))
	for i, v := range n.Out {
		if v != nil {
			names[i] = v.Name
		}
	}
	outs, err := s.new.Add(n.Op, m, names...)
	if err != nil {
		return err
	}
	for i, v := range n.Out {
		if v != nil && s.values[v] == nil {
			outs[i].Bound, outs[i].Dynamic = v.Bound, v.Dynamic
			s.values[v] = outs[i]
			s.uses[outs[i]] = count[v]
		}
	}
	return nil
}

// add appends a node that takes the place of n.
func (s *simplifier) add(n *graph.Node, o graph.Op, typ string, in ...*graph.Value) (*graph.Value, error) {
	outs, err := s.new.Add(o, graph.Node{Name: n.Name, Type: typ, In: in}, n.Out[0].Name)
	if err != nil {
		return nil, err
	}
	return outs[0], nil
}

// constant makes a new constant.
func (s *simplifier) constant(from string, t *tensor.Tensor) *graph.Value {
	s.serial++
	return graph.NewConst(fmt.Sprintf("%s/folded.%d", from, s.serial), t)
}

// dropIdentity removes operators that change nothing.
func dropIdentity(s *simplifier, n *graph.Node) (*graph.Value, error) {
	switch o := n.Op.(type) {
	case *op.Dropout:
		if len(n.In) > 2 && n.In[2] != nil && (n.In[2].Const == nil || n.In[2].Const.Int(0) != 0) {
			return nil, nil
		}
		return n.In[0], nil
	case *op.Cast:
		if o.To == n.In[0].Type.DType {
			return n.In[0], nil
		}
	case *op.Identity:
		return n.In[0], nil
	}
	return nil, nil
}

// batchNorm turns an inference-time normalisation with constant statistics
// into a scale and a shift for each channel, which foldScale may fold further.
func batchNorm(s *simplifier, n *graph.Node) (*graph.Value, error) {
	b, ok := n.Op.(*op.BatchNorm)
	if !ok || b.Training || b.PerElement || n.In[0].Type.DType != tensor.Float32 || len(n.In[0].Type.Shape) < 2 {
		return nil, nil
	}
	for _, v := range n.In[1:] {
		if v == nil || v.Const == nil {
			return nil, nil
		}
	}
	gamma, beta, mean, variance := n.In[1].Const, n.In[2].Const, n.In[3].Const, n.In[4].Const
	channels := gamma.Elems()
	scale, shift := make([]float64, channels), make([]float64, channels)
	for c := range channels {
		scale[c] = gamma.Float(c) / sqrt(variance.Float(c)+float64(b.Epsilon))
		shift[c] = beta.Float(c) - mean.Float(c)*scale[c]
	}
	if v, err := s.scaled(n, n.In[0], scale, shift); v != nil || err != nil {
		return v, err
	}
	x := n.In[0]
	if x.Node != nil && s.uses[x] == 1 {
		// Before an enlargement there is less to do.
		r, ok := x.Node.Op.(*op.Resize)
		if small := x.Node.In[0]; ok && keepsChannels(x.Node, r) && small.Type.Shape.Elems() < x.Type.Shape.Elems() {
			v, err := s.affine(s.part(n, small), small, scale, shift)
			if err != nil {
				return nil, err
			}
			return s.resized(n, x.Node, v)
		}
	}
	return s.affine(n, x, scale, shift)
}

// foldScale folds the multiplication with, or addition of, a constant for
// each channel into the convolution or matrix product before it.
func foldScale(s *simplifier, n *graph.Node) (*graph.Value, error) {
	b, ok := n.Op.(*op.Binary)
	if !ok || b.Legacy || b.Kind > op.Div {
		return nil, nil
	}
	x, c := n.In[0], n.In[1]
	if c.Const == nil {
		x, c = c, x
	}
	if c.Const == nil || x.Const != nil || x.Node == nil || x.Type.DType != tensor.Float32 || c == n.In[0] && (b.Kind == op.Sub || b.Kind == op.Div) {
		return nil, nil
	}
	shape := x.Type.Shape
	if len(shape) < 2 || len(c.Type.Shape) > len(shape) {
		return nil, nil
	}
	k, ok := perChannel(c.Const, len(shape), shape[1], false)
	if !ok {
		return nil, nil
	}
	scale, shift := make([]float64, shape[1]), make([]float64, shape[1])
	for i, v := range k {
		scale[i] = 1
		switch b.Kind {
		case op.Add:
			shift[i] = float64(v)
		case op.Sub:
			shift[i] = -float64(v)
		case op.Mul:
			scale[i] = float64(v)
		case op.Div:
			scale[i] = 1 / float64(v)
		}
	}
	return s.scaled(n, x, scale, shift)
}

// scaled returns x·scale + shift, by channel, as the product that makes x with
// other weights. It returns nil where x is not such a product, has other
// users, or would no longer be finite.
func (s *simplifier) scaled(n *graph.Node, x *graph.Value, scale, shift []float64) (*graph.Value, error) {
	p := x.Node
	if p == nil || s.uses[x] != 1 {
		return nil, nil
	}
	for i := range scale {
		if !finite(scale[i]) || !finite(shift[i]) {
			return nil, nil
		}
	}
	switch p.Op.(type) {
	case *op.Resize, *op.Concat:
		return s.scaledThrough(n, x, scale, shift)
	}
	if len(p.In) < 2 || p.In[1].Const == nil || len(p.In) > 2 && p.In[2] != nil && p.In[2].Const == nil {
		return nil, nil
	}
	w, bias := p.In[1].Const, optional(p.In, 2)
	scales := slices.ContainsFunc(scale, func(k float64) bool { return k != 1 })
	product := p.Op
	var channel func(i int) int // of element i of the weights
	switch o := p.Op.(type) {
	case *op.Conv:
		if scales {
			c := *o
			c.Scale = times(o.Scale, scale)
			product = &c
		}
	case *op.InstanceNorm:
		if o.PerGroup {
			return nil, nil
		}
		channel = func(i int) int { return i }
	case *op.ConvTranspose:
		taps := w.Shape[2:].Elems()
		groupOut, groupIn := w.Shape[1], w.Shape[0]/o.Group
		channel = func(i int) int { return i/(taps*groupOut)/groupIn*groupOut + i/taps%groupOut }
	case *op.Gemm:
		if o.Alpha != 1 || o.Beta != 1 || o.TransA {
			return nil, nil
		}
		cols := w.Shape[1]
		channel = func(i int) int { return i % cols }
		if o.TransB {
			channel = func(i int) int { return i / cols }
		}
	default:
		return nil, nil
	}
	b := tensor.New(tensor.Float32, len(scale))
	for c := range scale {
		old := 0.0
		if bias != nil {
			// A matrix product may have a bias for each row.
			if e, s := bias.Const.Elems(), bias.Const.Shape; e != 1 && (e != len(scale) || s[len(s)-1] != e) {
				return nil, nil
			}
			old = bias.Const.Float(c % bias.Const.Elems())
		}
		b.SetFloat(c, old*scale[c]+shift[c])
	}
	weights := p.In[1]
	if scales && channel != nil {
		nw := tensor.New(w.DType, w.Shape...)
		from, to := w.F32(), nw.F32()
		for i := range to {
			to[i] = float32(float64(from[i]) * scale[channel(i)])
		}
		weights = s.constant(weights.Name, nw)
	}
	return s.add(&graph.Node{Name: p.Name, Out: n.Out}, product, p.Type, p.In[0], weights, s.constant(n.Name, b))
}

// times returns the products of two lists; nil stands for ones.
func times(a, b []float64) []float64 {
	c := slices.Clone(b)
	for i, v := range a {
		c[i] *= v
	}
	return c
}

// foldPad moves a padding with zeros into the window of the convolution or
// average pooling behind it.
func foldPad(s *simplifier, n *graph.Node) (*graph.Value, error) {
	x := n.In[0]
	if x == nil || x.Node == nil {
		return nil, nil
	}
	p, ok := x.Node.Op.(*op.Pad)
	if !ok || p.Mode != op.PadConstant || p.Value != nil && p.Value.Float(0) != 0 {
		return nil, nil
	}
	if v := optional(x.Node.In, 2); v != nil && (v.Const == nil || v.Const.Float(0) != 0) {
		return nil, nil
	}
	pads, err := p.Pads(x.Node.In)
	if err != nil {
		return nil, err
	}
	rank := len(x.Type.Shape)
	if rank < 3 || pads[0] != 0 || pads[1] != 0 || pads[rank] != 0 || pads[rank+1] != 0 || slices.Min(pads) < 0 {
		return nil, nil
	}
	extra := append(slices.Clone(pads[2:rank]), pads[rank+2:]...)
	in := append([]*graph.Value{x.Node.In[0]}, n.In[1:]...)
	switch o := n.Op.(type) {
	case *op.Conv:
		if o.AutoPad != "NOTSET" {
			return nil, nil
		}
		c := *o
		c.Pads = addPads(o.Pads, extra)
		return s.add(n, &c, n.Type, in...)
	case *op.AveragePool:
		if o.AutoPad != "NOTSET" || o.Ceil || !o.CountPad && slices.Max(append(slices.Clone(o.Pads), 0)) > 0 {
			return nil, nil
		}
		c := *o
		c.Pads, c.CountPad = addPads(o.Pads, extra), true
		return s.add(n, &c, n.Type, in...)
	}
	return nil, nil
}

func addPads(a, b []int) []int {
	sum := slices.Clone(b)
	for i := range a {
		sum[i] += a[i]
	}
	return sum
}

// spatialMean turns a mean over all spatial axes into a global pooling.
func spatialMean(s *simplifier, n *graph.Node) (*graph.Value, error) {
	r, ok := n.Op.(*op.Reduce)
	if !ok || r.Kind != op.ReduceMean || n.In[0].Type.DType != tensor.Float32 || len(n.In[0].Type.Shape) != 4 {
		return nil, nil
	}
	var axes *tensor.Tensor
	if v := optional(n.In, 1); v != nil {
		if axes = v.Const; axes == nil {
			return nil, nil
		}
	}
	over, err := r.Over(axes, 4)
	if err != nil || over != [tensor.MaxRank]bool{2: true, 3: true} {
		return nil, err
	}
	pool := &op.GlobalPool{Mode: "average"}
	if r.KeepDims {
		return s.add(n, pool, "GlobalAveragePool", n.In[0])
	}
	outs, err := s.new.Add(pool, graph.Node{Name: n.Name + "/pool", Type: "GlobalAveragePool", In: n.In[:1]}, n.Out[0].Name+"/pool")
	if err != nil {
		return nil, err
	}
	return s.add(n, &op.Flatten{Axis: 1}, "Flatten", outs[0])
}
