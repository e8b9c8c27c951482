package pass

import (
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

func sqrt(x float64) float64 { return math.Sqrt(x) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// finite32 reports whether x is finite as a float32.
func finite32(x float64) bool { return math.Abs(x) <= math.MaxFloat32 }

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

// affine writes v as p·x + q by following sums and products with scalars, back
// to stop if that is on the way.
func affine(v, stop *graph.Value) (x *graph.Value, p, q float64) {
	p = 1
	for v != stop {
		a, k, c, ok := affineStep(v)
		if !ok || !finite32(p*k) || !finite32(q+p*c) {
			break
		}
		v, p, q = a, p*k, q+p*c
	}
	return v, p, q
}

// affineStep writes v as k·x + c where one node does that.
func affineStep(v *graph.Value) (x *graph.Value, k, c float64, ok bool) {
	if u, x := unary(v); u != nil && u.Kind == op.Neg {
		return x, -1, 0, true
	}
	if v.Node == nil {
		return nil, 0, 0, false
	}
	o, ok := v.Node.Op.(*op.Binary)
	if !ok || o.Legacy || o.Kind > op.Div {
		return nil, 0, 0, false
	}
	x, y := v.Node.In[0], v.Node.In[1]
	swapped := false
	s, ok := scalar(y)
	if !ok {
		s, ok = scalar(x)
		x, swapped = y, true
	}
	if !ok || !x.Type.Shape.Equal(v.Type.Shape) {
		return nil, 0, 0, false
	}
	switch {
	case o.Kind == op.Add:
		return x, 1, s, true
	case o.Kind == op.Sub && swapped:
		return x, -1, s, true
	case o.Kind == op.Sub:
		return x, 1, -s, true
	case o.Kind == op.Mul:
		return x, s, 0, true
	case !swapped:
		return x, 1 / s, 0, true
	}
	return nil, 0, 0, false
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
// with a scalar as one. A clip of p·x + q to 0 and 1 becomes a HardSigmoid.
func clipForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	if n.In[0] == nil || n.In[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	x, lo, hi := n.In[0], math.Inf(-1), math.Inf(1)
	changed := false
	switch o := n.Op.(type) {
	case *op.Clip:
		var ok bool
		if lo, hi, ok = clipLimits(o, n.In); !ok {
			return nil, nil
		}
	case *op.Unary:
		if o.Kind != op.Relu {
			return nil, nil
		}
		lo = 0
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
		changed = true
	default:
		return nil, nil
	}
	if y, a, b, ok := limits(x); ok && s.uses[x] == 1 && a <= b && lo <= hi && lo <= b && a <= hi {
		x, lo, hi, changed = y, max(lo, a), min(hi, b), true
	}
	if lo == 0 && hi == 1 {
		if z, p, q := affine(x, nil); z != x {
			return s.add(n, &op.Unary{Kind: op.HardSigmoid, Alpha: float32(p), Beta: float32(q)}, "HardSigmoid", z)
		}
	}
	if !changed {
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
		if z, p, q := affine(y, x); z == x && q == 0 && p >= 0 && p <= 1 && x != y {
			return s.add(n, &op.Unary{Kind: op.LeakyRelu, Alpha: float32(p)}, "LeakyRelu", x)
		}
	}
	return nil, nil
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
			if z, p, q := affine(y, x); z == x && q == 0 {
				return s.add(n, &op.Unary{Kind: op.Swish, Alpha: float32(p)}, "Swish", x)
			}
		case op.HardSigmoid:
			if y == x {
				return s.add(n, &op.Unary{Kind: op.HardSwish, Alpha: u.Alpha, Beta: u.Beta}, "HardSwish", x)
			}
		case op.Tanh:
			if isSoftplus(y, x) {
				return s.add(n, &op.Unary{Kind: op.Mish}, "Mish", x)
			}
		}
	}
	return nil, nil
}

// isSoftplus reports whether v is log(1 + exp(x)), in one node or in three.
func isSoftplus(v, x *graph.Value) bool {
	u, y := unary(v)
	switch {
	case u == nil:
		return false
	case u.Kind == op.Softplus:
		return y == x
	case u.Kind != op.Log:
		return false
	}
	e, p, q := affine(y, nil)
	u, z := unary(e)
	return u != nil && u.Kind == op.Exp && z == x && p == 1 && q == 1
}

// product splits v into a scalar and up to two other factors.
func product(v *graph.Value) (k float64, a, b *graph.Value) {
	x, p, q := affine(v, nil)
	if q != 0 {
		return 1, v, nil
	}
	if f, g := binary(x, op.Mul); f != nil {
		fx, fp, fq := affine(f, nil)
		gx, gp, gq := affine(g, nil)
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
			z, p, q := affine(x, nil)
			alpha, beta := float32(k*p), float32(k*q)
			switch b {
			case nil:
				return s.add(n, &op.Unary{Kind: op.HardSigmoid, Alpha: alpha, Beta: beta}, "HardSigmoid", z)
			case z:
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

// geluForms recognises Gelu: k·x·(p·f(y)+p) with k·p = 1/2, where f(y) is
// erf(x/√2) or tanh(√(2/π)·(x + 0.044715·x³)).
func geluForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	o, ok := n.Op.(*op.Binary)
	if !ok || o.Legacy || o.Kind != op.Mul && o.Kind != op.Div || n.In[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	k, a, b := product(&graph.Value{Type: n.Out[0].Type, Node: n})
	for range 2 {
		if b == nil {
			return nil, nil
		}
		e, p, q := affine(b, nil)
		if u, y := unary(e); u != nil && p == q && near(k*p, .5) && e.Type.Shape.Equal(n.Out[0].Type.Shape) {
			x, p, q := affine(y, a)
			switch {
			case u.Kind == op.Erf && x == a && q == 0 && near(p, math.Sqrt2/2):
				return s.add(n, &op.Unary{Kind: op.Gelu}, "Gelu", a)
			case u.Kind == op.Tanh && q == 0 && near(p, math.Sqrt(2/math.Pi)) && withCube(x, a):
				return s.add(n, &op.Unary{Kind: op.GeluTanh}, "Gelu", a)
			}
		}
		a, b = b, a
	}
	return nil, nil
}

// withCube reports whether v is x + 0.044715·x³.
func withCube(v, x *graph.Value) bool {
	a, b := binary(v, op.Add)
	if a != x {
		a, b = b, a
	}
	if a != x || b == nil {
		return false
	}
	cube, p, q := affine(b, nil)
	if q != 0 || !near(p, .044715) {
		return false
	}
	if base, e := binary(cube, op.Pow); base == x {
		three, ok := scalar(e)
		return ok && three == 3
	}
	f, g := binary(cube, op.Mul)
	return f == x && isSquare(g, x) || g == x && isSquare(f, x)
}

// isSquare reports whether v is x·x.
func isSquare(v, x *graph.Value) bool {
	if v == nil {
		return false
	}
	a, b := binary(v, op.Mul)
	return a == x && b == x
}

// powForms turns powers with a constant exponent that has an operator of its
// own into that.
func powForms(s *simplifier, n *graph.Node) (*graph.Value, error) {
	o, ok := n.Op.(*op.Binary)
	if !ok || o.Legacy || o.Kind != op.Pow || !n.In[0].Type.DType.IsFloat() {
		return nil, nil
	}
	x := n.In[0]
	e, ok := scalar(n.In[1])
	if !ok || !x.Type.Shape.Equal(n.Out[0].Type.Shape) {
		return nil, nil
	}
	switch e {
	case 1:
		return x, nil
	case 2:
		return s.add(n, &op.Binary{Kind: op.Mul}, "Mul", x, x)
	}
	return nil, nil
}

// near compares scalars that went through float32 reciprocals.
func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
