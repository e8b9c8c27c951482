//go:build !noasm

package arm64_test

import (
	"math"
	"testing"

	"github.com/edgecam/edgecam/kernels/arm64"
)

// TestTranscendental sweeps all float32 bit patterns in steps, in float64
// against package math: at most 1e-6 of the value or 1e-7 off.
func TestTranscendental(t *testing.T) {
	step := uint32(9973)
	if testing.Short() {
		step = 99991
	}
	var src []float32
	for b := uint32(0); b < math.MaxUint32-step; b += step {
		src = append(src, math.Float32frombits(b))
	}
	// The values between -105 and 90 matter most; and the edges.
	for x := float32(-105); x < 90; x += float32(step) * 1e-7 {
		src = append(src, x)
	}
	inf := float32(math.Inf(1))
	src = append(src, 0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()),
		88.72283, 88.72284, -87.33654, -103.97208, -103.97209, 0.625, -0.625, math.MaxFloat32, -math.MaxFloat32)

	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	cases := []struct {
		name string
		got  func(dst, src []float32, p, q float32)
		want func(float64) float64
	}{
		{"Exp", arm64.F32Exp, math.Exp},
		{"Sigmoid", arm64.F32Sigmoid, sigmoid},
		{"Tanh", arm64.F32Tanh, math.Tanh},
		{"Erf", arm64.F32Erf, math.Erf},
		{"SiLU", arm64.F32SiLU, func(x float64) float64 { return x * sigmoid(x) }},
	}
	dst := make([]float32, len(src))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.got(dst, src, 1, 0)
			worst, at := 0.0, float32(0)
			for i, x := range src {
				want := float32(c.want(float64(x)))
				e := difference(dst[i], want)
				if e > worst {
					worst, at = e, x
				}
				if e > 1 {
					t.Fatalf("f(%v) is %v, want %v", x, dst[i], want)
				}
			}
			t.Logf("largest error is %.2f of the bound, at %v", worst, at)
		})
	}
}

// difference returns the distance of two values as a share of the bound; 0
// for two NaN and equal infinities.
func difference(got, want float32) float64 {
	g, w := float64(got), float64(want)
	if got == want || math.IsNaN(g) && math.IsNaN(w) {
		return 0
	}
	if math.IsNaN(g) || math.IsNaN(w) || math.IsInf(g, 0) || math.IsInf(w, 0) {
		return math.Inf(1)
	}
	return math.Abs(g-w) / max(1e-6*math.Abs(w), 1e-7)
}
