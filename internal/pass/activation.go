package pass

import (
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

func sqrt(x float64) float64 { return math.Sqrt(x) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// scalar returns the number that a constant of one element holds.
func scalar(v *graph.Value) (float64, bool) {
	if v == nil || v.Const == nil || v.Const.Elems() != 1 {
		return 0, false
	}
	return v.Const.Float(0), true
}

// unary returns the function that makes v from one operand.
func unary(v *graph.Value) (*op.Unary, *graph.Value) {
	if v.Node == nil {
		return nil, nil
	}
	if u, ok := v.Node.Op.(*op.Unary); ok {
		return u, v.Node.In[0]
	}
	return nil, nil
}

// binary returns the operands of v if it is made by the given function.
func binary(v *graph.Value, kind op.BinaryKind) (a, b *graph.Value) {
	if v.Node == nil {
		return nil, nil
	}
	if o, ok := v.Node.Op.(*op.Binary); ok && o.Kind == kind && !o.Legacy {
		return v.Node.In[0], v.Node.In[1]
	}
	return nil, nil
}

// affine writes v as p·x + q by following sums and products with scalars.
func affine(v *graph.Value) (x *graph.Value, p, q float64) {
	p = 1
	for v.Node != nil {
		o, ok := v.Node.Op.(*op.Binary)
		if u, isUnary := v.Node.Op.(*op.Unary); isUnary && u.Kind == op.Neg {
			p, v = -p, v.Node.In[0]
			continue
		}
		if !ok || o.Legacy {
			break
		}
		a, b := v.Node.In[0], v.Node.In[1]
		k, ok := scalar(b)
		swapped := false
		if !ok {
			if k, ok = scalar(a); !ok {
				break
			}
			a, swapped = b, true
		}
		if !a.Type.Shape.Equal(v.Type.Shape) {
			break
		}
		switch {
		case o.Kind == op.Add:
			q += p * k
		case o.Kind == op.Sub && swapped: // k - a
			q, p = q+p*k, -p
		case o.Kind == op.Sub:
			q -= p * k
		case o.Kind == op.Mul:
			p *= k
		case o.Kind == op.Div && !swapped:
			p /= k
		default:
			return v, p, q
		}
		v = a
	}
	return v, p, q
}

// limits returns the operand and limits of a clip, in any of its forms.
func limits(v *graph.Value) (x *graph.Value, lo, hi float64, ok bool) {
	if v.Node == nil || v.Type.DType != tensor.Float32 {
		return nil, 0, 0, false
	}
	switch o := v.Node.Op.(type) {
	case *op.Clip:
		lo, hi, ok = clipLimits(o, v.Node.In)
		return v.Node.In[0], lo, hi, ok
	case *op.Unary:
		if o.Kind == op.Relu {
			return v.Node.In[0], 0, math.Inf(1), true
		}
	}
	return nil, 0, 0, false
}

// clipForms joins a clip with the clip before it, and recognises Max and Min
// with a scalar as one.
func clipForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	if n.In[0] == nil || n.In[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	x, lo, hi := n.In[0], math.Inf(-1), math.Inf(1)
	switch o := n.Op.(type) {
	case *op.Clip:
		var ok bool
		if lo, hi, ok = clipLimits(o, n.In); !ok {
			return nil, nil
		}
	case *op.Binary:
		k, ok := scalar(n.In[1])
		if !ok {
			k, ok = scalar(n.In[0])
			x = n.In[1]
		}
		if !ok || o.Legacy || math.IsNaN(k) || !x.Type.Shape.Equal(n.Out[0].Type.Shape) {
			return nil, nil
		}
		switch o.Kind {
		case op.Max:
			lo = k
		case op.Min:
			hi = k
		default:
			return nil, nil
		}
	default:
		return nil, nil
	}
	if y, a, b, ok := limits(x); ok && s.uses[x] == 1 && a <= b && lo <= hi && lo <= b && a <= hi {
		x, lo, hi = y, max(lo, a), min(hi, b)
	} else if _, isClip := n.Op.(*op.Clip); isClip {
		return nil, nil
	}
	return s.add(n, &op.Clip{Min: &lo, Max: &hi}, "Clip", x)
}

// leakyForms recognises max(x, a·x) with 0 <= a <= 1.
func leakyForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	b, ok := n.Op.(*op.Binary)
	if !ok || b.Kind != op.Max || b.Legacy || n.In[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	for i := range 2 {
		x, y := n.In[i], n.In[1-i]
		if z, p, q := affine(y); z == x && q == 0 && p >= 0 && p <= 1 && x != y {
			return s.add(n, &op.Unary{Kind: op.LeakyRelu, Alpha: float32(p)}, "LeakyRelu", x)
		}
	}
	return nil, nil
}

// preluForms recognises relu(x) + k·relu(-x), with k a constant for each
// channel or for all: a PRelu with slope -k.
func preluForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	b, ok := n.Op.(*op.Binary)
	if !ok || b.Legacy || b.Kind != op.Add && b.Kind != op.Sub || n.In[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	for i := range 2 {
		if i == 1 && b.Kind == op.Sub {
			break
		}
		u, x := unary(n.In[i])
		if u == nil || u.Kind != op.Relu {
			continue
		}
		sign := -1.0
		if b.Kind == op.Sub {
			sign = 1
		}
		k, other := factor(n.In[1-i])
		if v, w := unary(other); v != nil && v.Kind == op.Neg {
			sign, other = -sign, w
		}
		m, y := unary(other)
		if m == nil || m.Kind != op.Relu {
			continue
		}
		if z, p, q := affine(y); z != x || p != -1 || q != 0 {
			continue
		}
		slope := tensor.From(tensor.Float32, []float32{1}, 1)
		if k != nil {
			if k.Type.DType != tensor.Float32 {
				continue
			}
			slope = k.Const.Clone()
		}
		for i := range slope.F32() {
			slope.F32()[i] *= float32(sign)
		}
		return s.add(n, &op.Binary{Kind: op.PRelu}, "PRelu", x, s.constant(n.Name, slope))
	}
	return nil, nil
}

// factor splits a product with a constant.
func factor(v *graph.Value) (k, rest *graph.Value) {
	a, b := binary(v, op.Mul)
	switch {
	case a == nil:
		return nil, v
	case a.Const != nil:
		return a, b
	case b.Const != nil:
		return b, a
	}
	return nil, v
}

// gates recognises x·f(x): Swish (SiLU), HardSwish and Mish.
func gates(s *simplifier, n *graph.Node) (*graph.Value, error) {
	b, ok := n.Op.(*op.Binary)
	if !ok || b.Kind != op.Mul || b.Legacy {
		return nil, nil
	}
	for i := range 2 {
		x := n.In[i]
		u, y := unary(n.In[1-i])
		if u == nil {
			continue
		}
		switch u.Kind {
		case op.Sigmoid:
			if z, p, q := affine(y); z == x && q == 0 {
				return s.add(n, &op.Unary{Kind: op.Swish, Alpha: float32(p)}, "Swish", x)
			}
		case op.HardSigmoid:
			if y == x {
				return s.add(n, &op.Unary{Kind: op.HardSwish, Alpha: u.Alpha, Beta: u.Beta}, "HardSwish", x)
			}
		case op.Tanh:
			if v, z := unary(y); v != nil && v.Kind == op.Softplus && z == x {
				return s.add(n, &op.Unary{Kind: op.Mish}, "Mish", x)
			}
		}
	}
	return nil, nil
}

// product splits v into a scalar and up to two other factors.
func product(v *graph.Value) (k float64, a, b *graph.Value) {
	x, p, q := affine(v)
	if q != 0 {
		return 1, v, nil
	}
	if f, g := binary(x, op.Mul); f != nil {
		fx, fp, fq := affine(f)
		gx, gp, gq := affine(g)
		if fq == 0 {
			p, f = p*fp, fx
		}
		if gq == 0 {
			p, g = p*gp, gx
		}
		return p, f, g
	}
	return p, x, nil
}

// hardForms recognises HardSigmoid and HardSwish spelled with a clip:
// k·clip(p·x+q, 0, h) is a HardSigmoid where k·h = 1, and times x a HardSwish.
func hardForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	o, ok := n.Op.(*op.Binary)
	if !ok || o.Legacy || o.Kind != op.Mul && o.Kind != op.Div || n.In[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	// The node as a value of its own, so that product sees it.
	self := &graph.Value{Type: n.Out[0].Type, Node: n}
	k, a, b := product(self)
	for range 2 {
		x, lo, hi, ok := limits(a)
		if ok && lo == 0 && near(k*hi, 1) {
			z, p, q := affine(x)
			alpha, beta := float32(k*p), float32(k*q)
			switch {
			case b == nil:
				return s.add(n, &op.Unary{Kind: op.HardSigmoid, Alpha: alpha, Beta: beta}, "HardSigmoid", z)
			case b == z:
				return s.add(n, &op.Unary{Kind: op.HardSwish, Alpha: alpha, Beta: beta}, "HardSwish", z)
			}
		}
		if b == nil {
			break
		}
		a, b = b, a
	}
	return nil, nil
}

// near compares scalars that went through float32 reciprocals.
func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
