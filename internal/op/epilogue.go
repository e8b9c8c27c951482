package op

import (
	"math"

	"github.com/edgecam/edgecam/kernels"
)

// Act is an activation fused behind a convolution or matrix product: a clamp,
// which the micro-kernels apply themselves, or any other unary function,
// which runs over each strip of output while it is in the cache.
type Act struct {
	Min, Max float32       // the clamp; ±Inf where there is none
	Unary    kernels.Unary // another function, applied instead, where HasUnary is set
	P, Q     float32       // its parameters
	HasUnary bool
	Slope    []float32 // PRelu with a slope per channel, instead
}

// NoAct is the activation that changes nothing.
func NoAct() Act { return Act{Min: float32(math.Inf(-1)), Max: float32(math.Inf(1))} }

// ClampAct is the activation of Relu (0, +Inf), Relu6 (0, 6) and Clip.
func ClampAct(lo, hi float32) Act { return Act{Min: lo, Max: hi} }

// UnaryAct is the activation of one row of the table of unary kernels.
func UnaryAct(u kernels.Unary, p, q float32) Act {
	a := NoAct()
	a.Unary, a.P, a.Q, a.HasUnary = u, p, q, true
	return a
}

// None reports whether the activation changes nothing.
func (a *Act) None() bool {
	return !a.HasUnary && a.Slope == nil && math.IsInf(float64(a.Min), -1) && math.IsInf(float64(a.Max), 1)
}

// strip applies what the micro-kernel did not: a unary function or a PRelu to
// rows of n channels, pitch elements apart, and then the residual.
func (a *Act) strip(k *kernels.Set, y []float32, rows, n, pitch int, res []float32, resPitch int) {
	if !a.HasUnary && a.Slope == nil && res == nil {
		return
	}
	if pitch == n && a.HasUnary {
		k.F32Unary[a.Unary](y[:rows*n], y[:rows*n], a.P, a.Q)
	}
	for r := range rows {
		row := y[r*pitch : r*pitch+n]
		if pitch != n && a.HasUnary {
			k.F32Unary[a.Unary](row, row, a.P, a.Q)
		}
		if a.Slope != nil {
			k.F32Binary[kernels.PRelu](row, row, a.Slope)
		}
		if res != nil {
			k.F32Binary[kernels.Add](row, row, res[r*resPitch:r*resPitch+n])
		}
	}
}

// eval is the activation's definition, for channel o.
func (a *Act) eval(x float64, o int) float64 {
	switch {
	case a.Slope != nil:
		if x < 0 {
			return x * float64(a.Slope[o])
		}
		return x
	case a.HasUnary:
		y := []float32{float32(x)}
		kernels.Ref().F32Unary[a.Unary](y, y, a.P, a.Q)
		return float64(y[0])
	}
	return min(max(x, float64(a.Min)), float64(a.Max))
}
