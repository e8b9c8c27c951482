//go:build !noasm

package amd64

// F32ClampAVX512 sets dst[i] = min(max(src[i], p), q); a NaN stays NaN.
func F32ClampAVX512(dst, src []float32, p, q float32) { unary(f32ClampAVX512, dst, src, p, q) }

// F32LeakyReluAVX512 sets dst[i] = p·src[i] where src[i] < 0, otherwise src[i].
func F32LeakyReluAVX512(dst, src []float32, p, q float32) { unary(f32LeakyReluAVX512, dst, src, p, q) }

// F32SigmoidAVX512 sets dst[i] = 1/(1+exp(-src[i])).
func F32SigmoidAVX512(dst, src []float32, p, q float32) { unary(f32SigmoidAVX512, dst, src, p, q) }

// F32SiLUAVX512 sets dst[i] = x·sigmoid(p·x) for x = src[i].
func F32SiLUAVX512(dst, src []float32, p, q float32) { unary(f32SiLUAVX512, dst, src, p, q) }

// F32HardSigmoidAVX512 sets dst[i] = min(max(p·src[i]+q, 0), 1).
func F32HardSigmoidAVX512(dst, src []float32, p, q float32) {
	unary(f32HardSigmoidAVX512, dst, src, p, q)
}

// F32HardSwishAVX512 sets dst[i] = x·min(max(p·x+q, 0), 1) for x = src[i].
func F32HardSwishAVX512(dst, src []float32, p, q float32) { unary(f32HardSwishAVX512, dst, src, p, q) }

// F32TanhAVX512 sets dst[i] = tanh(src[i]).
func F32TanhAVX512(dst, src []float32, p, q float32) { unary(f32TanhAVX512, dst, src, p, q) }

// F32ExpAVX512 sets dst[i] = exp(src[i]).
func F32ExpAVX512(dst, src []float32, p, q float32) { unary(f32ExpAVX512, dst, src, p, q) }

// F32ErfAVX512 sets dst[i] = erf(src[i]).
func F32ErfAVX512(dst, src []float32, p, q float32) { unary(f32ErfAVX512, dst, src, p, q) }

// F32GeluAVX512 sets dst[i] = x·(1+erf(x/√2))/2 for x = src[i].
func F32GeluAVX512(dst, src []float32, p, q float32) { unary(f32GeluAVX512, dst, src, p, q) }

// F32AffineAVX512 sets dst[i] = p·src[i]+q, the product rounded.
func F32AffineAVX512(dst, src []float32, p, q float32) { unary(f32AffineAVX512, dst, src, p, q) }

// F32AddAVX512 sets dst[i] = a[i] + b[i].
func F32AddAVX512(dst, a, b []float32) { binary(f32AddAVX512, dst, a, b) }

// F32AddScalarAVX512 sets dst[i] = a[i] + b.
func F32AddScalarAVX512(dst, a []float32, b float32) {
	scalar(f32AddScalarAVX512, dst, a, b)
}

// F32SubAVX512 sets dst[i] = a[i] - b[i].
func F32SubAVX512(dst, a, b []float32) { binary(f32SubAVX512, dst, a, b) }

// F32SubScalarAVX512 sets dst[i] = a[i] - b.
func F32SubScalarAVX512(dst, a []float32, b float32) {
	scalar(f32SubScalarAVX512, dst, a, b)
}

// F32MulAVX512 sets dst[i] = a[i] · b[i].
func F32MulAVX512(dst, a, b []float32) { binary(f32MulAVX512, dst, a, b) }

// F32MulScalarAVX512 sets dst[i] = a[i] · b.
func F32MulScalarAVX512(dst, a []float32, b float32) {
	scalar(f32MulScalarAVX512, dst, a, b)
}

// F32DivAVX512 sets dst[i] = a[i] / b[i].
func F32DivAVX512(dst, a, b []float32) { binary(f32DivAVX512, dst, a, b) }

// F32DivScalarAVX512 sets dst[i] = a[i] / b.
func F32DivScalarAVX512(dst, a []float32, b float32) {
	scalar(f32DivScalarAVX512, dst, a, b)
}

// F32MinimumAVX512 sets dst[i] = min(a[i], b[i]), NaN where either is.
func F32MinimumAVX512(dst, a, b []float32) { binary(f32MinimumAVX512, dst, a, b) }

// F32MinimumScalarAVX512 sets dst[i] = min(a[i], b), NaN where either is.
func F32MinimumScalarAVX512(dst, a []float32, b float32) {
	scalar(f32MinimumScalarAVX512, dst, a, b)
}

// F32MaximumAVX512 sets dst[i] = max(a[i], b[i]), NaN where either is.
func F32MaximumAVX512(dst, a, b []float32) { binary(f32MaximumAVX512, dst, a, b) }

// F32MaximumScalarAVX512 sets dst[i] = max(a[i], b), NaN where either is.
func F32MaximumScalarAVX512(dst, a []float32, b float32) {
	scalar(f32MaximumScalarAVX512, dst, a, b)
}

// F32PReluAVX512 sets dst[i] = a[i]·b[i] where a[i] < 0, otherwise a[i].
func F32PReluAVX512(dst, a, b []float32) { binary(f32PReluAVX512, dst, a, b) }

// F32PReluScalarAVX512 sets dst[i] = a[i]·b where a[i] < 0, otherwise a[i].
func F32PReluScalarAVX512(dst, a []float32, b float32) {
	scalar(f32PReluScalarAVX512, dst, a, b)
}

// F32LerpAVX512 sets dst[i] = a[i] + (b[i]-a[i])·t. It panics where dst or b is
// shorter than a.
func F32LerpAVX512(dst, a, b []float32, t float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for len(a) > callLen {
		f32LerpAVX512(dst[:callLen], a[:callLen], b[:callLen], t)
		dst, a, b = dst[callLen:], a[callLen:], b[callLen:]
	}
	f32LerpAVX512(dst, a, b, t)
}

// F32MaxAVX512 returns the largest element of a slice that is not empty, NaN where
// there is one.
func F32MaxAVX512(a []float32) float32 {
	m := a[0]
	for len(a) > callLen {
		m = max(m, f32MaxAVX512(a[:callLen]))
		a = a[callLen:]
	}
	return max(m, f32MaxAVX512(a))
}

// F32ExpSumAVX512 sets dst[i] = exp(src[i]-shift) and returns the sum. It panics
// where dst is shorter than src.
func F32ExpSumAVX512(dst, src []float32, shift float32) float32 {
	dst = dst[:len(src)]
	var sum float32
	for len(src) > callLen {
		sum += f32ExpSumAVX512(dst[:callLen], src[:callLen], shift)
		dst, src = dst[callLen:], src[callLen:]
	}
	return sum + f32ExpSumAVX512(dst, src, shift)
}

// F32NormAVX512 sets dst[i] = (a[i]+r[i])·scale[i] + shift[i], times slope[i]
// where that is negative; r and slope are nil where they have no part. It
// panics where another slice is shorter than a.
func F32NormAVX512(dst, a, r, scale, shift, slope []float32) {
	if len(a) > callLen {
		const n = callLen
		F32NormAVX512(dst[:n], a[:n], part(r, 0, n), scale[:n], shift[:n], part(slope, 0, n))
		F32NormAVX512(dst[n:], a[n:], part(r, n, len(r)), scale[n:], shift[n:], part(slope, n, len(slope)))
		return
	}
	n := len(a)
	dst, scale, shift = dst[:n], scale[:n], shift[:n]
	switch {
	case r == nil && slope == nil:
		f32NormAVX512(dst, a, scale, shift)
	case r == nil:
		f32NormPReluAVX512(dst, a, scale, shift, slope[:n])
	case slope == nil:
		f32SumNormAVX512(dst, a, r[:n], scale, shift)
	default:
		f32SumNormPReluAVX512(dst, a, r[:n], scale, shift, slope[:n])
	}
}
