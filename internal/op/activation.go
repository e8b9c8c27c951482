package op

import (
	"math"

	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// The formulas that do not fit a line of unaryRows.

func sign(x, _, _ float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // zero, or NaN
}

func sigmoid(x float64) float64 { return 1 / (1 + exp(-x)) }

func softplus(x float64) float64 { return max(x, 0) + log1p(exp(-math.Abs(x))) }

func gelu(x, _, _ float64) float64 { return .5 * x * (1 + erf(x/math.Sqrt2)) }

func geluTanh(x, _, _ float64) float64 {
	return .5 * x * (1 + tanh(math.Sqrt(2/math.Pi)*(x+float64(.044715*x*x*x))))
}

func leakyRelu(x, a, _ float64) float64 {
	if x < 0 {
		return a * x
	}
	return x
}

func thresholdedRelu(x, a, _ float64) float64 {
	if x > a {
		return x
	}
	return 0
}

func elu(x, a, _ float64) float64 {
	if x < 0 {
		return a * expm1(x)
	}
	return x
}

func celu(x, a, _ float64) float64 {
	if x < 0 {
		return a * expm1(x/a)
	}
	return x
}

func selu(x, a, b float64) float64 { return b * elu(x, a, 0) }

func hardSigmoid(x, a, b float64) float64 { return min(max(float64(a*x)+b, 0), 1) }

func shrink(x, a, b float64) float64 {
	switch {
	case x < -a:
		return x + b
	case x > a:
		return x - b
	}
	return 0
}

// composition is t = before(x), t = kernel(t), y = after(x, t) on slices of
// one length; y may be x.
type composition struct {
	kernel kernels.Unary
	before func(t, x []float32)
	after  func(y, x, t []float32)
}

// composed returns the float32 step of a function that one micro-kernel and a
// few operations before and after it compute, or nil. The absolute error is a
// few units in the last place of max(|x|, 1).
func (u *Unary) composed(env *Env, w walk) []Step {
	var c composition
	switch u.Kind {
	case Mish:
		c = composition{kernels.Exp, mishBefore, mishAfter}
	case GeluTanh:
		c = composition{kernels.Tanh, geluTanhBefore, geluTanhAfter}
	case Elu:
		c = eluComposition(1, u.Alpha, 1)
	case Celu:
		c = eluComposition(u.Alpha, u.Alpha, 1)
	case Selu:
		c = eluComposition(1, u.Alpha, u.Beta)
	default:
		return nil
	}
	if env.In[0].DType != tensor.Float32 {
		return nil
	}
	const block = 1024
	kernel, scratch := env.Kernels.F32Unary[c.kernel], env.Scratch(block*4)
	src, dst := whole[float32](env.In[0]), whole[float32](env.Out[0])
	return eachRowOf(w, "f32_unary", 4, func(worker int, off [4]int, from, to int) {
		buf := bytesF32(scratch.For(worker))
		for i := from; i < to; i += block {
			n := min(block, to-i)
			x, y, t := src[off[1]+i:][:n], dst[off[0]+i:][:n], buf[:n]
			c.before(t, x)
			kernel(t, t, 0, 0)
			c.after(y, x, t)
		}
	})
}

// mishBefore keeps the square of the exponential finite: from 20 on, mish(x)
// is x.
func mishBefore(t, x []float32) {
	for i, v := range x {
		t[i] = min(v, 20)
	}
}

// mishAfter uses tanh(log(1+e)) = e·(e+2) / (e·(e+2)+2).
func mishAfter(y, x, t []float32) {
	for i, v := range x {
		n := t[i] * (t[i] + 2)
		y[i] = v * (n / (n + 2))
	}
}

func geluTanhBefore(t, x []float32) {
	for i, v := range x {
		t[i] = 0.7978845608 * (v + .044715*v*v*v)
	}
}

func geluTanhAfter(y, x, t []float32) {
	for i, v := range x {
		y[i] = .5 * v * (1 + t[i])
	}
}

// eluComposition is g·(x > 0 ? x : a·(exp(x/d) - 1)).
func eluComposition(d, a, g float32) composition {
	before := func(t, x []float32) {
		for i, v := range x {
			t[i] = min(v, 0) / d // positive ones stay finite
		}
	}
	after := func(y, x, t []float32) {
		for i, v := range x {
			if v > 0 {
				y[i] = g * v
			} else {
				y[i] = g * a * (t[i] - 1)
			}
		}
	}
	return composition{kernels.Exp, before, after}
}
