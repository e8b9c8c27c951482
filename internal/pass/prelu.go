package pass

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// preluForms recognises PRelu, k·x below zero and x above it, spelled as
// max(x, 0) + k·min(x, 0) or with Where. k is a constant for each channel or
// for all.
func preluForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	if n.In[0] == nil || n.Out[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	switch o := n.Op.(type) {
	case *op.Where:
		if x, below := whereSign(n); x != nil {
			return s.prelu(n, x, below, 1, func(v *graph.Value) (float64, bool) { return 1, v == x })
		}
	case *op.Binary:
		if o.Legacy || o.Kind != op.Add && o.Kind != op.Sub {
			return nil, nil
		}
		if v, err := s.preluSum(n, n.In[0], n.In[1], o.Kind); v != nil || err != nil || o.Kind == op.Sub {
			return v, err
		}
		return s.preluSum(n, n.In[1], n.In[0], o.Kind)
	}
	return nil, nil
}

// preluSum looks at the sum or difference of max(x, 0) and a multiple of
// min(x, 0).
func (s *simplifier) preluSum(n *graph.Node, above, below *graph.Value, kind op.BinaryKind) (*graph.Value, error) {
	x, lo, hi, ok := limits(above)
	if !ok || lo != 0 || finite(hi) {
		return nil, nil
	}
	sign := 1.0
	if kind == op.Sub {
		sign = -1
	}
	return s.prelu(n, x, below, sign, func(v *graph.Value) (float64, bool) { return negativePart(v, x) })
}

// prelu peels factors off the value that counts below zero, until part says
// how much of min(x, 0) is left, and adds the PRelu with their product.
func (s *simplifier) prelu(n *graph.Node, x, below *graph.Value, factor float64, part func(*graph.Value) (float64, bool)) (*graph.Value, error) {
	if !x.Type.Shape.Equal(n.Out[0].Type.Shape) {
		return nil, nil
	}
	var k *tensor.Tensor
	for {
		if f, ok := part(below); ok {
			factor *= f
			break
		}
		if y, f, c, ok := affineStep(below); ok && c == 0 {
			below, factor = y, factor*f
			continue
		}
		a, b := binary(below, op.Mul)
		if a == nil || k != nil {
			return nil, nil
		}
		if a.Const == nil {
			a, b = b, a
		}
		if a.Const == nil || !b.Type.Shape.Equal(below.Type.Shape) {
			return nil, nil
		}
		k, below = a.Const, b
	}
	if k == nil {
		if !finite32(factor) {
			return nil, nil
		}
		return s.add(n, &op.Unary{Kind: op.LeakyRelu, Alpha: float32(factor)}, "LeakyRelu", x)
	}
	slope := tensor.New(tensor.Float32, k.Shape...)
	for i := range slope.F32() {
		v := factor * k.Float(i)
		if !finite32(v) {
			return nil, nil
		}
		slope.SetFloat(i, v)
	}
	return s.add(n, &op.Binary{Kind: op.PRelu}, "PRelu", x, s.constant(n.Name, slope))
}

// negativePart returns f where v is f·min(x, 0): a clip, max(p·x, 0) with a
// negative p, or x - |x|.
func negativePart(v, x *graph.Value) (f float64, ok bool) {
	if y, lo, hi, ok := limits(v); ok {
		z, p, q := affine(y, x)
		switch {
		case z != x || q != 0:
		case lo == 0 && !finite(hi) && p < 0, hi == 0 && !finite(lo) && p > 0:
			return p, true
		}
	}
	if a, b := binary(v, op.Sub); a == x && a != nil {
		u, y := unary(b)
		return 2, u != nil && u.Kind == op.Abs && y == x
	}
	return 0, false
}

// whereSign returns x, and the value chosen where it is below zero, of a
// Where that compares x with zero and chooses x above it.
func whereSign(n *graph.Node) (x, below *graph.Value) {
	if len(n.In) != 3 || n.In[0].Node == nil {
		return nil, nil
	}
	o, ok := n.In[0].Node.Op.(*op.Binary)
	if !ok || o.Legacy {
		return nil, nil
	}
	above, below := n.In[1], n.In[2]
	switch o.Kind {
	case op.Greater, op.GreaterOrEqual:
	case op.Less, op.LessOrEqual:
		above, below = below, above
	default:
		return nil, nil
	}
	x, zero := n.In[0].Node.In[0], n.In[0].Node.In[1]
	if x.Const != nil {
		x, zero = zero, x
		above, below = below, above
	}
	if z, ok := scalar(zero); !ok || z != 0 || above != x {
		return nil, nil
	}
	return x, below
}
