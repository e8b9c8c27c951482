package pass

import (
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// spatial returns the view of an image with one or two spatial axes as
// [N,C,H,W], and whether it is float32 with such axes.
func (l *lowerer) spatial(v *graph.Value) (*lowered, bool) {
	s := v.Type.Shape
	if v.Type.DType != tensor.Float32 || len(s) != 3 && len(s) != 4 {
		return nil, false
	}
	x := l.get(v)
	if len(s) == 4 {
		return x, true
	}
	w, ok := x.view.reshape([]int{s[0], s[1], 1, s[2]})
	return &lowered{from: v, view: w}, ok
}

// image records the output of a channels-last operator, which lacks the
// height where the file's operator had one spatial axis.
func (l *lowerer) image(v, value *graph.Value) {
	if len(v.Type.Shape) == 4 {
		l.made(v, value, nhwc)
		return
	}
	s := v.Type.Shape
	w, _ := denseView(value).transpose([]int{0, 3, 1, 2}).reshape([]int{s[0], s[1], s[2]})
	l.set(v, w)
}

// convNHWC returns the machine form of a convolution of images.
func convNHWC(g *op.Geometry, o *op.Conv) *op.ConvNHWC {
	return &op.ConvNHWC{
		KH: g.Kernel[1], KW: g.Kernel[2], StrideH: g.Stride[1], StrideW: g.Stride[2], DilH: g.Dilation[1], DilW: g.Dilation[2],
		PadT: g.Begin[1], PadL: g.Begin[2], OutH: g.Out[1], OutW: g.Out[2], Group: o.Group, Act: op.NoAct(), Scale: o.Scale,
	}
}

// conv lowers a convolution with constant weights; those of volumes elsewhere.
func (l *lowerer) conv(n *graph.Node, o *op.Conv) (bool, error) {
	w, bias := n.In[1], optional(n.In, 2)
	x, ok := l.spatial(n.In[0])
	if !ok {
		return l.conv3d(n, o)
	}
	if w.Const == nil || bias != nil && bias.Const == nil {
		return false, nil
	}
	g, err := o.Geometry(n.In[0].Type.Shape, w.Type.Shape)
	if err != nil {
		return false, err
	}
	in := []*graph.Value{nil, l.usedTaps(w, &g), nil, nil}
	if bias != nil {
		in[2] = graph.NewConst(bias.Name, bias.Const)
	}
	c := convNHWC(&g, o)
	at, err := l.shuffledInput(n, c, x, in)
	if err != nil {
		return false, err
	}
	order := nhwc
	if c.RowsFit(n.In[0].Type.Shape[1]) && x.view.dense(identityPerm(4)) {
		// An image as it comes from a file: the operator reorders as it pads.
		c.Planar, order = true, identityPerm(4)
	}
	if in[0] == nil {
		if in[0], err = l.realize(x, order); err != nil {
			return false, err
		}
	}
	out, res := l.absorb(n, c, w.Type.Shape[0], at == nil)
	if res != nil {
		r, _ := l.spatial(res)
		if in[3], err = l.realize(r, nhwc); err != nil {
			return false, err
		}
	}
	if at != nil {
		c.Act.Slope = shuffledList(c.Act.Slope, at)
	}
	v, err := l.add(c, "Conv", n.Name, out.Name, in...)
	if err != nil {
		return false, err
	}
	if at != nil {
		l.reshuffled(out, v, x)
		return true, nil
	}
	l.image(out, v)
	return true, nil
}

// usedTaps returns the weights of a convolution as [O,C,kh,kw] without the
// outer rows and columns of the kernel that meet nothing but padding, as
// happens where a dilation is as large as the image. It fits g to them.
func (l *lowerer) usedTaps(w *graph.Value, g *op.Geometry) *graph.Value {
	s := w.Type.Shape
	t := w.Const.Reshaped(s[0], s[1], g.Kernel[1], g.Kernel[2])
	var from, to [3]int
	for a := 1; a < 3; a++ {
		from[a], to[a] = meeting(g, a)
	}
	if to[1]-from[1] == g.Kernel[1] && to[2]-from[2] == g.Kernel[2] {
		return graph.NewConst(w.Name, t)
	}
	rows, cols := to[1]-from[1], to[2]-from[2]
	cut := tensor.New(tensor.Float32, s[0], s[1], rows, cols)
	src, dst := t.F32(), cut.F32()
	for i := range s[0] * s[1] * rows {
		at := (i/rows*g.Kernel[1]+from[1]+i%rows)*g.Kernel[2] + from[2]
		copy(dst[i*cols:(i+1)*cols], src[at:])
	}
	for a := 1; a < 3; a++ {
		g.Kernel[a] = to[a] - from[a]
		g.Begin[a] -= from[a] * g.Dilation[a]
	}
	return graph.NewConst(l.name(w.Name, "taps"), cut)
}

// meeting returns the range of taps along axis a that meet an element of the
// input for some output; at least one.
func meeting(g *op.Geometry, a int) (from, to int) {
	meets := func(u int) bool {
		for i := range g.Out[a] {
			if x := i*g.Stride[a] + u*g.Dilation[a] - g.Begin[a]; x >= 0 && x < g.In[a] {
				return true
			}
		}
		return false
	}
	for to = g.Kernel[a]; to > 1 && !meets(to-1); {
		to--
	}
	for from < to-1 && !meets(from) {
		from++
	}
	return from, to
}

// absorb fuses what follows a convolution into it: an activation, the
// addition of a value that is already computed, if residuals is set, or both in
// either order. It returns the value that the fused node produces and the
// residual.
func (l *lowerer) absorb(n *graph.Node, c *op.ConvNHWC, channels int, residuals bool) (out, res *graph.Value) {
	out = n.Out[0]
	depthwise := c.Group > 1 && c.Group == channels && n.In[1].Type.Shape[1] == 1
	acted := false
	for l.uses[out] == 1 {
		next := l.next[out]
		if dynamic(next) || l.done[next] {
			break
		}
		if act, ok := activation(next, out, channels); ok && !acted && !c.ResLast {
			c.Act, acted = act, true
		} else if other := l.residual(next, out); other != nil && res == nil && residuals {
			// A kernel adds the residual in front of the clamp; behind an
			// activation, and to a depthwise convolution, it is added last.
			res, c.ResLast = other, acted || depthwise
		} else {
			break
		}
		l.done[next] = true
		out = next.Out[0]
	}
	return out, res
}

// follow takes the activation on v into the node that makes it, and returns
// it with the value that this node then produces.
func (l *lowerer) follow(v *graph.Value, channels int) (op.Act, *graph.Value) {
	if next := l.next[v]; l.uses[v] == 1 && !dynamic(next) && !l.done[next] {
		if act, ok := activation(next, v, channels); ok {
			l.done[next] = true
			return act, next.Out[0]
		}
	}
	return op.NoAct(), v
}

// residual returns the other operand of an addition to v, if it has the same
// shape and is computed by now.
func (l *lowerer) residual(n *graph.Node, v *graph.Value) *graph.Value {
	b, ok := n.Op.(*op.Binary)
	if !ok || b.Kind != op.Add || n.In[0] == n.In[1] {
		return nil
	}
	other := n.In[0]
	if other == v {
		other = n.In[1]
	}
	if other.Const != nil || l.values[other] == nil && l.late[other] == nil || !other.Type.Shape.Equal(v.Type.Shape) {
		return nil
	}
	return other
}

// activation returns the fused form of an elementwise operator on v.
func activation(n *graph.Node, v *graph.Value, channels int) (op.Act, bool) {
	switch o := n.Op.(type) {
	case *op.Unary:
		if o.Kind == op.Relu {
			return op.ClampAct(0, float32(math.Inf(1))), true
		}
		k, p, q, ok := o.Kernel()
		return op.UnaryAct(k, p, q), ok
	case *op.Clip:
		lo, hi, ok := clipLimits(o, n.In)
		return op.ClampAct(float32(min(lo, hi)), float32(hi)), ok
	case *op.Binary:
		slope := n.In[1].Const
		if o.Kind != op.PRelu || n.In[0] != v || slope == nil || v.Type.DType != tensor.Float32 {
			return op.Act{}, false
		}
		if s, ok := perChannel(slope, len(v.Type.Shape), channels, o.Legacy); ok {
			a := op.NoAct()
			a.Slope = s
			return a, true
		}
	}
	return op.Act{}, false
}

// clipLimits returns the constant limits of a Clip of float32.
func clipLimits(c *op.Clip, in []*graph.Value) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if c.Min != nil {
		lo = *c.Min
	}
	if c.Max != nil {
		hi = *c.Max
	}
	for i, p := range []*float64{&lo, &hi} {
		if v := optional(in, i+1); v != nil {
			if v.Const == nil {
				return 0, 0, false
			}
			*p = v.Const.Float(0)
		}
	}
	return lo, hi, in[0].Type.DType == tensor.Float32 && lo == lo && hi == hi
}

// perChannel returns a constant that broadcasts along axis 1 of a tensor of
// some rank as one number per channel.
func perChannel(t *tensor.Tensor, rank, channels int, legacy bool) ([]float32, bool) {
	s := slices.Clone(t.Shape)
	if legacy && len(s) == 1 {
		for len(s) < rank-1 {
			s = append(s, 1)
		}
	}
	for len(s) < rank {
		s = append(tensor.Shape{1}, s...)
	}
	out := make([]float32, channels)
	for a, d := range s {
		if d != 1 && (a != 1 || d != channels) || len(s) > rank {
			return nil, false
		}
	}
	for c := range out {
		out[c] = float32(t.Float(c % t.Elems()))
	}
	return out, true
}

// optional returns input i, or nil.
func optional(in []*graph.Value, i int) *graph.Value {
	if i < len(in) {
		return in[i]
	}
	return nil
}

// pool lowers poolings; those of volumes elsewhere.
func (l *lowerer) pool(n *graph.Node) (bool, error) {
	x, ok := l.spatial(n.In[0])
	if !ok {
		return l.pool3d(n)
	}
	if len(n.Out) > 1 && n.Out[1] != nil {
		return false, nil
	}
	var o graph.Op
	s := n.In[0].Type.Shape
	switch p := n.Op.(type) {
	case *op.MaxPool:
		g, err := p.Geometry(s)
		if err != nil {
			return false, err
		}
		o = poolNHWC(&g, true, false)
	case *op.AveragePool:
		g, err := p.Geometry(s)
		if err != nil {
			return false, err
		}
		a := poolNHWC(&g, false, p.CountPad)
		a.Exact, o = dequantized(n.In[0]), a
	case *op.GlobalPool:
		if p.Mode == "lp" {
			return false, nil
		}
		o = &op.GlobalPoolNHWC{Max: p.Mode == "max"}
	}
	var v *graph.Value
	var at []int
	var err error
	if l.shuffleEnds(n.Out[0], false) {
		v, at, err = l.shuffled(x)
	}
	if v == nil && err == nil {
		v, err = l.realize(x, nhwc)
	}
	if err != nil {
		return false, err
	}
	if v, err = l.add(o, n.Type, n.Name, n.Out[0].Name, v); err != nil {
		return false, err
	}
	if at != nil {
		l.reshuffled(n.Out[0], v, x)
		return true, nil
	}
	l.image(n.Out[0], v)
	return true, nil
}

func poolNHWC(g *op.Geometry, largest, includePad bool) *op.PoolNHWC {
	return &op.PoolNHWC{
		Max: largest, KH: g.Kernel[1], KW: g.Kernel[2], StrideH: g.Stride[1], StrideW: g.Stride[2], DilH: g.Dilation[1], DilW: g.Dilation[2],
		PadT: g.Begin[1], PadL: g.Begin[2], PadB: g.End[1], PadR: g.End[2], OutH: g.Out[1], OutW: g.Out[2], IncludePad: includePad,
	}
}

// resize lowers a resize of rows and columns.
func (l *lowerer) resize(n *graph.Node, o *op.Resize) (bool, error) {
	z, ok := o.NHWC(n.In)
	if !ok {
		return false, nil
	}
	z.Exact = dequantized(n.In[0])
	x, err := l.realize(l.get(n.In[0]), nhwc)
	if err != nil {
		return false, err
	}
	return true, l.mapped(n, z, nhwc, []*graph.Value{x})
}

// pad pads in the order of axes that its input has.
func (l *lowerer) pad(n *graph.Node, o *op.Pad) error {
	perm := l.order(n.In[0])
	if slices.Equal(perm, identityPerm(len(perm))) {
		return l.keep(n)
	}
	pads, err := o.Pads(n.In)
	if err != nil {
		return err
	}
	x, err := l.realize(l.get(n.In[0]), perm)
	if err != nil {
		return err
	}
	rank := len(perm)
	moved := append(permute(pads[:rank], perm), permute(pads[rank:], perm)...)
	at := tensor.New(tensor.Int64, 2*rank)
	for i, p := range moved {
		at.SetInt(i, int64(p))
	}
	in := []*graph.Value{x, graph.NewConst(l.name(n.Name, "pads"), at)}
	value, err := l.plain(optional(n.In, 2))
	if err != nil {
		return err
	}
	if value == nil && o.Value != nil && o.Value.Float(0) != 0 {
		value = graph.NewConst(l.name(n.Name, "value"), o.Value)
	}
	if value != nil {
		in = append(in, value)
	}
	return l.mapped(n, &op.Pad{Mode: o.Mode}, perm, in)
}
