package pass

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Expand writes the operators on 8-bit tensors (QLinearConv and its kin) of a
// bound graph as DequantizeLinear, the operator on real numbers, and
// QuantizeLinear, so that lowering knows one form of quantized models. What has
// computed scales or zero points stays, as does a graph without such operators.
func Expand(g *graph.Graph) (*graph.Graph, error) {
	e := &expander{new: &graph.Graph{Name: g.Name, Opsets: g.Opsets, Metadata: g.Metadata, Inputs: g.Inputs}, values: map[*graph.Value]*graph.Value{}}
	for _, n := range g.Nodes {
		if err := e.node(n); err != nil {
			return nil, err
		}
	}
	if !e.changed {
		return g, nil
	}
	for _, v := range g.Outputs {
		e.new.Outputs = append(e.new.Outputs, e.get(v))
	}
	return e.new, nil
}

// expander carries the state of Expand.
type expander struct {
	new     *graph.Graph
	values  map[*graph.Value]*graph.Value // old to new
	changed bool
	err     error
}

func (e *expander) get(v *graph.Value) *graph.Value {
	if nv := e.values[v]; nv != nil {
		return nv
	}
	return v
}

// add appends a node; errors are kept until the node is done.
func (e *expander) add(o graph.Op, n *graph.Node, typ, out string, in ...*graph.Value) *graph.Value {
	if e.err != nil {
		return nil
	}
	outs, err := e.new.Add(o, graph.Node{Name: n.Name, Type: typ, In: in}, out)
	if err != nil {
		e.err = err
		return nil
	}
	return outs[0]
}

// real returns the real form of input i of n, whose scale and zero point follow
// it, along an axis where there are several.
func (e *expander) real(n *graph.Node, i, axis int) *graph.Value {
	s, z := n.In[i+1], optional(n.In, i+2)
	count := s.Const.Elems()
	if z != nil {
		count = max(count, z.Const.Elems())
	}
	in := []*graph.Value{n.In[i], listed(s, count)}
	if z != nil {
		in = append(in, listed(z, count))
	}
	return e.add(&op.DequantizeLinear{Axis: axis}, n, "DequantizeLinear", n.In[i].Name+"/real", in...)
}

// listed returns a constant as a list of n elements, or as it is where n is 1.
func listed(v *graph.Value, n int) *graph.Value {
	t := v.Const
	switch {
	case n == 1:
		return v
	case t.Elems() == n:
		t = t.Reshaped(n)
	case t.Elems() == 1:
		t = tensor.New(t.DType, n)
		for i := range n {
			copy(t.Data[i*t.DType.Size():], v.Const.Bytes())
		}
	}
	return graph.NewConst(v.Name, t)
}

// bias returns the real form of an int32 bias, whose unit is the product of two
// scales.
func (e *expander) bias(n *graph.Node, i, x, w int) *graph.Value {
	b := optional(n.In, i)
	if b == nil || e.err != nil {
		return nil
	}
	a, k := n.In[x].Const, n.In[w].Const
	s := tensor.New(tensor.Float32, k.Elems())
	for j := range k.Elems() {
		s.F32()[j] = float32(a.Float(0)) * float32(k.Float(j))
	}
	if s.Elems() == 1 {
		s = s.Reshaped()
	}
	if s.Elems() > 1 {
		if d := b.Type.Shape; len(d) == 0 || d[len(d)-1] != s.Elems() || d.Elems() != s.Elems() {
			e.err = fmt.Errorf("node %s: bias %v of %d columns: %w", n.Label(), b.Type, s.Elems(), op.ErrShape)
			return nil
		}
		b = graph.NewConst(b.Name, b.Const.Reshaped(s.Elems()))
	}
	return e.add(&op.DequantizeLinear{}, n, "DequantizeLinear", b.Name+"/real", b, graph.NewConst(b.Name+"/scale", s))
}

// finish quantizes v with the scale at input i of n and the zero point behind it.
func (e *expander) finish(n *graph.Node, v *graph.Value, i int) {
	in := []*graph.Value{v, n.In[i]}
	if z := optional(n.In, i+1); z != nil {
		in = append(in, z)
	}
	e.values[n.Out[0]] = e.add(&op.QuantizeLinear{Axis: 1, To: n.Out[0].Type.DType}, n, "QuantizeLinear", n.Out[0].Name, in...)
	e.changed = true
}

// node expands or copies one node.
func (e *expander) node(old *graph.Node) error {
	n := *old
	n.In = make([]*graph.Value, len(old.In))
	for i, v := range old.In {
		if v != nil {
			n.In[i] = e.get(v)
		}
	}
	before := len(e.new.Nodes)
	ok := e.expand(&n)
	if e.err != nil { // some form that only the operator itself takes
		e.new.Nodes, e.err, ok = e.new.Nodes[:before], nil, false
	}
	if !ok {
		names := make([]string, len(old.Out))
		for i, v := range old.Out {
			if v != nil {
				names[i] = v.Name
			}
		}
		outs, err := e.new.Add(old.Op, n, names...)
		if err != nil {
			return err
		}
		for i, v := range old.Out {
			if v != nil {
				outs[i].Bound, outs[i].Dynamic = v.Bound, v.Dynamic
				e.values[v] = outs[i]
			}
		}
	}
	return nil
}

// fixed reports whether the scales and zero points at the given inputs are
// constant numbers, the scales sensible ones.
func fixed(n *graph.Node, at ...int) bool {
	for _, i := range at {
		for j := i; j < i+2; j++ {
			v := optional(n.In, j)
			if v != nil && (v.Const == nil || v.Const.Elems() != 1) || v == nil && j == i {
				return false
			}
			if j == i && !(v.Const.Float(0) >= leastScale && v.Const.Float(0) <= mostScale) {
				return false
			}
		}
	}
	return !dynamic(n)
}

// weighs reports whether the weights of n at input w, with outputs along axis,
// their scales and zero points, and the bias at input bias, where there is one,
// are constants with which no sum leaves int32: the operators on 8-bit tensors let
// sums wrap around.
func weighs(n *graph.Node, axis, w, bias int) bool {
	for _, i := range []int{w, w + 1, w + 2, bias} {
		if v := optional(n.In, i); v != nil && v.Const == nil {
			return false
		}
	}
	for i := range n.In[w+1].Const.Elems() {
		if !(math.Abs(n.In[w+1].Const.Float(i)) <= mostScale) {
			return false
		}
	}
	var b, z *tensor.Tensor
	if v := optional(n.In, bias); v != nil {
		b = v.Const
	}
	if v := optional(n.In, w+2); v != nil {
		z = v.Const
	}
	return sumsFit(n.In[w].Const, z, axis, b)
}

// sumsFit reports whether no sum of products of 8-bit numbers with weights, whose
// outputs lie along axis, and a bias leaves int32. Zeros are those of the weights,
// or nil.
func sumsFit(w, zeros *tensor.Tensor, axis int, bias *tensor.Tensor) bool {
	outputs := w.Shape[axis]
	coarse := int64(w.Elems()/max(outputs, 1)) * 255 * 255
	var sums []int64
	for o := range outputs {
		b := int64(0)
		if bias != nil {
			b = bias.Int(o % bias.Elems())
		}
		if b = max(b, -b); b+coarse <= math.MaxInt32 {
			continue
		}
		if sums == nil {
			sums = magnitudes(w, zeros, axis)
		}
		if b+255*sums[o] > math.MaxInt32 {
			return false
		}
	}
	return true
}

// magnitudes returns the sum of the magnitudes of the weights of each output.
func magnitudes(w, zeros *tensor.Tensor, axis int) []int64 {
	outputs, inner := w.Shape[axis], w.Shape[axis+1:].Elems()
	sums := make([]int64, outputs)
	for i := range w.Elems() {
		k, o := w.Int(i), i/inner%outputs
		if zeros != nil {
			k -= zeros.Int(o % zeros.Elems())
		}
		sums[o] += max(k, -k)
	}
	return sums
}

// expand writes a node in its longer form, if it has one.
func (e *expander) expand(n *graph.Node) bool {
	name := n.Out[0].Name + "/real"
	switch o := n.Op.(type) {
	case *op.QLinearConv:
		if !fixed(n, 1, 6) || !weighs(n, 0, 3, 8) {
			return false
		}
		in := []*graph.Value{e.real(n, 0, 1), e.real(n, 3, 0), e.bias(n, 8, 1, 4)}
		e.finish(n, e.add(&op.Conv{Filter: o.Filter}, n, "Conv", name, in...), 6)
	case *op.QLinearMatMul:
		if !fixed(n, 1, 6) || !weighs(n, len(n.In[3].Type.Shape)-1, 3, 8) {
			return false
		}
		e.finish(n, e.add(&op.MatMul{}, n, "MatMul", name, e.real(n, 0, 1), e.real(n, 3, len(n.In[3].Type.Shape)-1)), 6)
	case *op.QGemm:
		axis := 1
		if o.TransB {
			axis = 0
		}
		if !fixed(n, 1, 7) || !weighs(n, axis, 3, 6) || o.Alpha != 1 {
			return false
		}
		g := &op.Gemm{Alpha: 1, Beta: 1, TransA: o.TransA, TransB: o.TransB}
		in := []*graph.Value{e.real(n, 0, 1), e.real(n, 3, axis)}
		if b := e.bias(n, 6, 1, 4); b != nil {
			in = append(in, b)
		}
		e.finish(n, e.add(g, n, "Gemm", name, in...), 7)
	case *op.QLinearBinary:
		if !fixed(n, 1, 4, 6) {
			return false
		}
		b, typ := &op.Binary{Kind: op.Add}, "Add"
		if o.Mul {
			b, typ = &op.Binary{Kind: op.Mul}, "Mul"
		}
		e.finish(n, e.add(b, n, typ, name, e.real(n, 0, 1), e.real(n, 3, 1)), 6)
	case *op.QLinearUnary:
		if !fixed(n, 1, 3) {
			return false
		}
		u, typ := &op.Unary{Kind: op.LeakyRelu, Alpha: o.Alpha}, "LeakyRelu"
		if o.Sigmoid {
			u, typ = &op.Unary{Kind: op.Sigmoid}, "Sigmoid"
		}
		e.finish(n, e.add(u, n, typ, name, e.real(n, 0, 1)), 3)
	case *op.QLinearConcat:
		at := []int{0}
		for i := 3; i < len(n.In); i += 3 {
			at = append(at, i)
		}
		if !fixed(n, at...) {
			return false
		}
		var in []*graph.Value
		for i := 2; i < len(n.In); i += 3 {
			in = append(in, e.real(n, i, 1))
		}
		e.finish(n, e.add(&op.Concat{Axis: o.Axis}, n, "Concat", name, in...), 0)
	case *op.QLinearAveragePool:
		if !fixed(n, 1, 3) || o.ChannelsLast {
			return false
		}
		var pool graph.Op = &o.AveragePool
		if o.Global {
			pool = &op.GlobalPool{Mode: "average"}
		}
		e.finish(n, e.add(pool, n, "AveragePool", name, e.real(n, 0, 1)), 3)
	default:
		return false
	}
	return true
}
