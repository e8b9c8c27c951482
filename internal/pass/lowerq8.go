package pass

import (
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// integerWeights are the weights of a product as the int8 kernels take them.
type integerWeights struct {
	w     *tensor.Tensor // int8, the zero points subtracted
	scale []float32      // one, or one for each output
}

// weightsQ8 returns the 8-bit weights that v is the real form of, whose outputs
// lie along axis; else why it has none.
func weightsQ8(v *graph.Value, axis int) (*integerWeights, string) {
	if v.Node == nil {
		return nil, "its weights are not quantized"
	}
	d, ok := v.Node.Op.(*op.DequantizeLinear)
	in := v.Node.In
	if !ok || in[0].Const == nil || in[0].Type.DType != tensor.Int8 && in[0].Type.DType != tensor.Uint8 || in[1].Const == nil || d.Block != 0 {
		return nil, "its weights are not quantized to 8 bits"
	}
	t, s := in[0].Const, in[1].Const
	at := d.Axis
	if at < 0 {
		at += len(t.Shape)
	}
	if s.Elems() != 1 && at != axis {
		return nil, "its weights have scales along another axis than its outputs"
	}
	var zeros *tensor.Tensor
	if z := optional(in, 2); z != nil {
		if zeros = z.Const; zeros == nil {
			return nil, "the zero points of its weights are computed"
		}
	}
	q := &integerWeights{w: t}
	for i := range s.Elems() {
		k := float32(s.Float(i))
		if !(math.Abs(float64(k)) <= mostScale) {
			return nil, "a scale of its weights is no number in reach"
		}
		q.scale = append(q.scale, k)
	}
	if t.DType == tensor.Int8 && (zeros == nil || !slices.ContainsFunc(zeros.Bytes(), func(z byte) bool { return z != 0 })) {
		return q, ""
	}
	q.w = tensor.New(tensor.Int8, t.Shape...)
	inner, outputs := t.Shape[axis+1:].Elems(), t.Shape[axis]
	for i := 0; i < t.Elems(); i += inner {
		zero := int64(0)
		if zeros != nil {
			zero = zeros.Int(i / inner % outputs % zeros.Elems())
		}
		for j, b := range t.Data[i : i+inner] {
			k := int64(int8(b))
			if t.DType == tensor.Uint8 {
				k = int64(b)
			}
			if k -= zero; k < -128 || k > 127 {
				return nil, "its weights, less their zero points, do not fit int8"
			}
			q.w.Data[i+j] = byte(int8(k))
		}
	}
	return q, ""
}

// at returns the scale of output o.
func (q *integerWeights) at(o int) float32 { return q.scale[o%len(q.scale)] }

// biasQ8 returns a bias in units of the sums, which have the given scales; nil
// where there is none.
func biasQ8(v *graph.Value, outputs int, scale func(o int) float64) (*tensor.Tensor, string) {
	if v == nil {
		return nil, ""
	}
	each := len(v.Type.Shape) > 0 && v.Type.Shape[len(v.Type.Shape)-1] == outputs && v.Type.Shape.Elems() == outputs
	out := tensor.New(tensor.Int32, outputs)
	if n := v.Node; n != nil {
		_, ok := n.Op.(*op.DequantizeLinear)
		if ok && n.In[0].Const != nil && n.In[0].Type.DType == tensor.Int32 && each && optional(n.In, 2) == nil {
			if s := n.In[1].Const; s != nil && sameScales(s, outputs, scale) {
				copy(out.Data, n.In[0].Const.Bytes())
				return out, ""
			}
		}
	}
	t := v.Const
	if t == nil {
		if t = folded(v); t == nil {
			return nil, "its bias is computed"
		}
	}
	if !each && t.Elems() != 1 {
		return nil, "its bias differs between rows"
	}
	for o := range outputs {
		b := math.RoundToEven(t.Float(o%t.Elems()) / scale(o))
		if math.IsNaN(b) || math.Abs(b) > math.MaxInt32 {
			return nil, "its bias does not fit the sums of int32"
		}
		out.SetInt(o, int64(b))
	}
	return out, ""
}

// fit makes sure that no sum of products with weights [O,...] and a bias leaves
// int32. Where a bias is so large, its channel is all but constant: weights and
// bias are halved, and the scale doubled, which moves the result by a small part
// of a step. It returns the weights, copied if they change, and false where there
// are too many products.
func (q *integerWeights) fit(weights, bias *tensor.Tensor) (*tensor.Tensor, bool) {
	outputs := weights.Shape[0]
	products := weights.Elems() / max(outputs, 1)
	if int64(products)*128*255 > math.MaxInt32/2 {
		return nil, false
	}
	if bias == nil || sumsFit(weights, nil, 0, bias) {
		return weights, true
	}
	weights = weights.Clone()
	for len(q.scale) < outputs {
		q.scale = append(q.scale, q.scale[0])
	}
	sums := magnitudes(weights, nil, 0)
	for o := range outputs {
		b := bias.Int(o)
		if max(b, -b)+255*sums[o] <= math.MaxInt32 {
			continue
		}
		bias.SetInt(o, int64(math.RoundToEven(float64(b)/2)))
		row := tensor.View[int8](weights)[o*products : (o+1)*products]
		for i, w := range row {
			row[i] = int8(math.RoundToEven(float64(w) / 2))
		}
		q.scale[o] *= 2
	}
	return weights, true
}

// sameScales reports whether a bias has the scales of the sums, but for
// rounding.
func sameScales(s *tensor.Tensor, outputs int, scale func(o int) float64) bool {
	for o := range outputs {
		if a, b := s.Float(o%s.Elems()), scale(o); !(math.Abs(a-b) <= 1e-6*math.Abs(b)) {
			return false
		}
	}
	return true
}

// folded computes a DequantizeLinear of constants; nil where v is none.
func folded(v *graph.Value) *tensor.Tensor {
	n := v.Node
	if n == nil {
		return nil
	}
	d, ok := n.Op.(*op.DequantizeLinear)
	if !ok || n.In[0].Const == nil || n.In[1].Const == nil || optional(n.In, 2) != nil && n.In[2].Const == nil {
		return nil
	}
	in := []*tensor.Tensor{n.In[0].Const, n.In[1].Const}
	if z := optional(n.In, 2); z != nil {
		in = append(in, z.Const)
	}
	t := tensor.New(v.Type.DType, v.Type.Shape...)
	if d.Eval(in, []*tensor.Tensor{t}) != nil {
		return nil
	}
	return t
}

// ending is what follows a value of float32 up to a QuantizeLinear.
type ending struct {
	act   op.Act
	q     quantization
	out   *graph.Value // the uint8 value; nil where there is none
	nodes []*graph.Node
}

// ending looks for an activation that is a clamp and a QuantizeLinear behind v,
// each the only user of the one before.
func (l *lowerer) ending(v *graph.Value) ending {
	e := ending{act: op.NoAct()}
	for acted := false; l.uses[v] == 1; {
		n := l.next[v]
		if dynamic(n) || l.done[n] {
			break
		}
		e.nodes = append(e.nodes, n)
		if o, ok := n.Op.(*op.QuantizeLinear); ok && n.Out[0].Type.DType == tensor.Uint8 {
			if e.q, ok = one(n.In, o.Block); ok {
				e.out = n.Out[0]
				return e
			}
			break
		}
		act, ok := activation(n, v, 0)
		if !ok || acted || act.HasUnary || act.Slope != nil {
			break
		}
		e.act, acted = act, true
		v = n.Out[0]
	}
	return ending{act: op.NoAct()}
}

// take marks the nodes of an ending as done.
func (l *lowerer) take(e *ending) {
	for _, n := range e.nodes {
		l.done[n] = true
	}
}

// limits returns the clamp of the rounded result: the activation's bounds in
// steps of the scale, inside what uint8 holds.
func (e *ending) limits() (lo, hi float32) {
	lo, hi = float32(-e.q.zero), float32(255-e.q.zero)
	a, b := e.act.Min/e.q.scale, e.act.Max/e.q.scale
	return min(max(lo, a), hi), max(min(hi, b), lo)
}

// table takes the table behind an ending into the node that makes its result.
func (l *lowerer) table(e *ending) *[256]uint8 {
	if e.out == nil || l.uses[e.out] != 1 {
		return nil
	}
	n := l.next[e.out]
	t, ok := n.Op.(*op.TableU8)
	if !ok || l.done[n] {
		return nil
	}
	e.nodes, e.out = append(e.nodes, n), n.Out[0]
	return t.Table
}

// convQ8 lowers a convolution of 8-bit numbers; why tells why not.
func (l *lowerer) convQ8(n *graph.Node, o *op.Conv) (ok bool, why string, err error) {
	x, q, ok := dequantizedFrom(n.In[0])
	if !ok {
		return false, "its input is not quantized to 8 bits", nil
	}
	s := n.In[0].Type.Shape
	if len(s) != 3 && len(s) != 4 {
		return false, "it has three spatial axes", nil
	}
	if o.Scale != nil {
		return false, "a normalisation was folded into its weights", nil
	}
	w, why := weightsQ8(n.In[1], 0)
	if w == nil {
		return false, why, nil
	}
	g, err := o.Geometry(s, w.w.Shape)
	if err != nil {
		return false, "", err
	}
	c := &op.ConvQ8{ConvNHWC: *convNHWC(&g, o)}
	outputs := w.w.Shape[0]
	b, why := biasQ8(optional(n.In, 2), outputs, func(o int) float64 { return float64(q.scale * w.at(o)) })
	if why != "" {
		return false, why, nil
	}
	weights, ok := w.fit(w.w, b)
	if !ok {
		return false, "its sums may leave int32", nil
	}
	image, ok := l.get(x).view, true
	if len(s) == 3 {
		image, ok = image.reshape([]int{s[0], s[1], 1, s[2]})
	}
	if !ok {
		return false, "its input lies in no order that a kernel reads", nil
	}
	src := l.get(x)
	if len(s) == 3 {
		src = &lowered{from: x, view: image}
	}
	order := nhwc
	if c.RowsFit(s[1]) && src.view.dense(identityPerm(4)) {
		c.Planar, order = true, identityPerm(4)
	}
	in, err := l.realize(src, order)
	if err != nil {
		return false, "", err
	}
	weights = weights.Reshaped(outputs, w.w.Shape[1], c.KH, c.KW)
	out, v, err := l.product(n, c, q, w, in, weights, b, n.Out[0])
	if err != nil {
		return false, "", err
	}
	l.image(out, v)
	return true, "", nil
}

// product adds a convolution of 8-bit numbers with what follows v taken in.
func (l *lowerer) product(n *graph.Node, c *op.ConvQ8, q quantization, w *integerWeights, in *graph.Value, weights, bias *tensor.Tensor, v *graph.Value) (out, made *graph.Value, err error) {
	c.ZeroA = q.zero
	end := l.ending(v)
	divide := float32(1)
	if end.out != nil {
		c.Table = l.table(&end)
		c.Min, c.Max = end.limits()
		c.Zero, divide, out = end.q.zero, end.q.scale, end.out
		l.take(&end)
	} else {
		c.Float = true
		c.Act, out = l.follow(v, weights.Shape[0])
	}
	for o := range weights.Shape[0] {
		c.Mult = append(c.Mult, float32(q.scale*w.at(o))/divide)
	}
	vs := []*graph.Value{in, graph.NewConst(n.In[1].Name, weights)}
	if bias != nil {
		vs = append(vs, graph.NewConst(l.name(n.Name, "bias"), bias))
	}
	made, err = l.add(c, n.Type, n.Name, out.Name, vs...)
	return out, made, err
}

// denseQ8 lowers a matrix product of 8-bit numbers with constant weights as a
// convolution of one pixel, over one image of a column of pixels.
func (l *lowerer) denseQ8(n *graph.Node) (ok bool, why string, err error) {
	x, q, ok := dequantizedFrom(n.In[0])
	if !ok {
		return false, "its input is not quantized to 8 bits", nil
	}
	shape := n.In[1].Type.Shape
	axis, bias := 1, optional(n.In, 2)
	if g, ok := n.Op.(*op.Gemm); ok {
		if g.TransA || g.Alpha != 1 || bias != nil && g.Beta != 1 {
			return false, "it transposes or scales its operands", nil
		}
		if g.TransB {
			axis = 0
		}
	} else {
		bias = nil
	}
	if len(shape) != 2 || len(n.In[0].Type.Shape) < 2 {
		return false, "its operands are stacks of matrices", nil
	}
	w, why := weightsQ8(n.In[1], axis)
	if w == nil {
		return false, why, nil
	}
	k, outputs := shape[1-axis], shape[axis]
	weights := w.w
	if axis == 1 {
		weights = tensor.New(tensor.Int8, outputs, k)
		for i := range k * outputs {
			weights.Data[i%outputs*k+i/outputs] = w.w.Data[i]
		}
	}
	b, why := biasQ8(bias, outputs, func(o int) float64 { return float64(q.scale * w.at(o)) })
	if why != "" {
		return false, why, nil
	}
	if weights, ok = w.fit(weights, b); !ok {
		return false, "its sums may leave int32", nil
	}
	in, err := l.plain(x)
	if err != nil {
		return false, "", err
	}
	rows := n.Out[0].Type.Shape.Elems() / outputs
	if in, err = l.add(&op.View{Shape: []int{1, rows, 1, k}}, "View", n.Name, l.name(n.Name, "view"), in); err != nil {
		return false, "", err
	}
	c := &op.ConvQ8{ConvNHWC: op.ConvNHWC{KH: 1, KW: 1, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, OutH: rows, OutW: 1, Group: 1, Act: op.NoAct()}}
	out, v, err := l.product(n, c, q, w, in, weights.Reshaped(outputs, k, 1, 1), b, n.Out[0])
	if err != nil {
		return false, "", err
	}
	view, _ := denseView(v).reshape(out.Type.Shape)
	l.set(out, view)
	return true, "", nil
}

// binaryQ8 lowers a sum or product of two 8-bit values with an 8-bit result.
func (l *lowerer) binaryQ8(n *graph.Node, o *op.Binary) (bool, error) {
	if o.Legacy || o.Kind != op.Add && o.Kind != op.Mul {
		return false, nil
	}
	a, qa, ok := dequantizedFrom(n.In[0])
	b, qb, okB := dequantizedFrom(n.In[1])
	if !ok || !okB {
		return false, nil
	}
	if !a.Type.Shape.Equal(n.Out[0].Type.Shape) {
		a, b, qa, qb = b, a, qb, qa
	}
	s, t := a.Type.Shape, b.Type.Shape
	if !s.Equal(n.Out[0].Type.Shape) || !s.Equal(t) && !(len(s) == 4 && len(t) == 4 && t[1] == s[1] && t[2] == 1 && t[3] == 1) {
		return false, nil
	}
	end := l.ending(n.Out[0])
	if end.out == nil {
		return false, nil
	}
	m := &op.BinaryU8{Mul: o.Kind == op.Mul, Table: l.table(&end)}
	m.ZeroA, m.ZeroB, m.Zero = qa.zero, qb.zero, end.q.zero
	m.A, m.B = qa.scale/end.q.scale, qb.scale/end.q.scale
	if m.Mul {
		m.A, m.B = float32(qa.scale*qb.scale)/end.q.scale, 0
	}
	m.Min, m.Max = end.limits()
	perm := l.order(a)
	if !s.Equal(t) {
		perm = nhwc
	}
	in := make([]*graph.Value, 2)
	for i, v := range []*graph.Value{a, b} {
		var err error
		if in[i], err = l.realize(l.get(v), perm); err != nil {
			return false, err
		}
	}
	l.take(&end)
	v, err := l.add(m, n.Type, n.Name, end.out.Name, in...)
	if err != nil {
		return false, err
	}
	l.made(end.out, v, perm)
	return true, nil
}

// poolQ8 lowers a pooling of 8-bit numbers.
func (l *lowerer) poolQ8(n *graph.Node) (bool, error) {
	x, end := n.In[0], ending{}
	var q quantization
	p := &op.PoolU8{Lo: 0, Hi: 255}
	if x.Type.DType != tensor.Uint8 {
		var ok bool
		if x, q, ok = dequantizedFrom(n.In[0]); !ok {
			return false, nil
		}
		if end = l.ending(n.Out[0]); end.out == nil {
			return false, nil
		}
		p.ZeroA, p.Zero, p.Ratio = q.zero, end.q.zero, q.scale/end.q.scale
		p.Lo, p.Hi = end.limits()
	}
	s := x.Type.Shape
	if len(s) != 4 || len(n.Out) > 1 && n.Out[1] != nil {
		return false, nil
	}
	largest := true
	switch o := n.Op.(type) {
	case *op.MaxPool:
		g, err := o.Geometry(s)
		if err != nil {
			return false, err
		}
		p.PoolNHWC = *poolNHWC(&g, true, false)
	case *op.AveragePool:
		g, err := o.Geometry(s)
		if err != nil {
			return false, err
		}
		largest = false
		p.PoolNHWC = *poolNHWC(&g, false, o.CountPad)
	case *op.GlobalPool:
		largest = false
		if o.Mode != "average" {
			return false, nil
		}
		p.PoolNHWC = op.PoolNHWC{KH: s[2], KW: s[3], StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, OutH: 1, OutW: 1}
	}
	if largest != (x.Type.DType == n.In[0].Type.DType) {
		return false, nil // a maximum is taken of the 8-bit numbers, a mean of the real ones
	}
	in, err := l.realize(l.get(x), nhwc)
	if err != nil {
		return false, err
	}
	out := n.Out[0]
	if end.out != nil {
		l.take(&end)
		out = end.out
	}
	v, err := l.add(p, n.Type, n.Name, out.Name, in)
	if err != nil {
		return false, err
	}
	l.image(out, v)
	return true, nil
}

// quantized lowers a node of 8-bit numbers. Where a product of a quantized model
// is none, why tells the reason.
func (l *lowerer) quantized(n *graph.Node) (ok bool, why string, err error) {
	switch o := n.Op.(type) {
	case *op.Conv:
		return l.convQ8(n, o)
	case *op.Gemm, *op.MatMul:
		return l.denseQ8(n)
	case *op.ConvTranspose:
		return false, "a transposed convolution has no 8-bit kernel", nil
	case *op.Binary:
		ok, err = l.binaryQ8(n, o)
	case *op.MaxPool, *op.AveragePool, *op.GlobalPool:
		ok, err = l.poolQ8(n)
	}
	return ok, "", err
}

// constantWeights returns n with those of its inputs that are real forms of
// constant integers as constants.
func (l *lowerer) constantWeights(n *graph.Node) *graph.Node {
	m := n
	for i, v := range n.In {
		if v == nil || l.late[v] == nil {
			continue
		}
		if t := folded(v); t != nil {
			if m == n {
				c := *n
				c.In = append([]*graph.Value(nil), n.In...)
				m = &c
			}
			m.In[i] = graph.NewConst(v.Name, t)
		}
	}
	return m
}
