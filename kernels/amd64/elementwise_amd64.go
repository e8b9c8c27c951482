//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// callLen is the most elements that one call of an elementwise kernel works
// on. The scheduler cannot interrupt assembly, and a garbage collection waits
// for it, so one call should stay below 50 µs.
const callLen = 1 << 14

// vecLen is how many elements a register holds.
const vecLen = 8

// unary applies a kernel to slices of one length. It panics where dst is
// shorter than src.
func unary(kernel func(dst, src []float32, p, q float32), dst, src []float32, p, q float32) {
	dst = dst[:len(src)]
	for len(src) > callLen {
		kernel(dst[:callLen], src[:callLen], p, q)
		dst, src = dst[callLen:], src[callLen:]
	}
	kernel(dst, src, p, q)
}

// binary applies a kernel to slices of one length. It panics where dst or b
// is shorter than a.
func binary(kernel func(dst, a, b []float32), dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for len(a) > callLen {
		kernel(dst[:callLen], a[:callLen], b[:callLen])
		dst, a, b = dst[callLen:], a[callLen:], b[callLen:]
	}
	kernel(dst, a, b)
}

// scalar applies a kernel to a slice and a number. It panics where dst is
// shorter than a.
func scalar(kernel func(dst, a []float32, b float32), dst, a []float32, b float32) {
	dst = dst[:len(a)]
	for len(a) > callLen {
		kernel(dst[:callLen], a[:callLen], b)
		dst, a = dst[callLen:], a[callLen:]
	}
	kernel(dst, a, b)
}

// F32Clamp sets dst[i] = min(max(src[i], p), q); a NaN stays NaN.
func F32Clamp(dst, src []float32, p, q float32) { unary(f32ClampAVX2, dst, src, p, q) }

// F32LeakyRelu sets dst[i] = p·src[i] where src[i] < 0, otherwise src[i].
func F32LeakyRelu(dst, src []float32, p, q float32) { unary(f32LeakyReluAVX2, dst, src, p, q) }

// F32Sigmoid sets dst[i] = 1/(1+exp(-src[i])).
func F32Sigmoid(dst, src []float32, p, q float32) { unary(f32SigmoidAVX2, dst, src, p, q) }

// F32SiLU sets dst[i] = x·sigmoid(p·x) for x = src[i].
func F32SiLU(dst, src []float32, p, q float32) { unary(f32SiLUAVX2, dst, src, p, q) }

// F32HardSigmoid sets dst[i] = min(max(p·src[i]+q, 0), 1).
func F32HardSigmoid(dst, src []float32, p, q float32) { unary(f32HardSigmoidAVX2, dst, src, p, q) }

// F32HardSwish sets dst[i] = x·min(max(p·x+q, 0), 1) for x = src[i].
func F32HardSwish(dst, src []float32, p, q float32) { unary(f32HardSwishAVX2, dst, src, p, q) }

// F32Tanh sets dst[i] = tanh(src[i]).
func F32Tanh(dst, src []float32, p, q float32) { unary(f32TanhAVX2, dst, src, p, q) }

// F32Exp sets dst[i] = exp(src[i]).
func F32Exp(dst, src []float32, p, q float32) { unary(f32ExpAVX2, dst, src, p, q) }

// F32Erf sets dst[i] = erf(src[i]).
func F32Erf(dst, src []float32, p, q float32) { unary(f32ErfAVX2, dst, src, p, q) }

// F32Gelu sets dst[i] = x·(1+erf(x/√2))/2 for x = src[i].
func F32Gelu(dst, src []float32, p, q float32) { unary(f32GeluAVX2, dst, src, p, q) }

// F32Affine sets dst[i] = p·src[i]+q, the product rounded.
func F32Affine(dst, src []float32, p, q float32) { unary(f32AffineAVX2, dst, src, p, q) }

// F32Add sets dst[i] = a[i] + b[i].
func F32Add(dst, a, b []float32) { binary(f32AddAVX2, dst, a, b) }

// F32AddScalar sets dst[i] = a[i] + b.
func F32AddScalar(dst, a []float32, b float32) {
	scalar(f32AddScalarAVX2, dst, a, b)
}

// F32Sub sets dst[i] = a[i] - b[i].
func F32Sub(dst, a, b []float32) { binary(f32SubAVX2, dst, a, b) }

// F32SubScalar sets dst[i] = a[i] - b.
func F32SubScalar(dst, a []float32, b float32) {
	scalar(f32SubScalarAVX2, dst, a, b)
}

// F32Mul sets dst[i] = a[i] · b[i].
func F32Mul(dst, a, b []float32) { binary(f32MulAVX2, dst, a, b) }

// F32MulScalar sets dst[i] = a[i] · b.
func F32MulScalar(dst, a []float32, b float32) {
	scalar(f32MulScalarAVX2, dst, a, b)
}

// F32Div sets dst[i] = a[i] / b[i].
func F32Div(dst, a, b []float32) { binary(f32DivAVX2, dst, a, b) }

// F32DivScalar sets dst[i] = a[i] / b.
func F32DivScalar(dst, a []float32, b float32) {
	scalar(f32DivScalarAVX2, dst, a, b)
}

// F32Minimum sets dst[i] = min(a[i], b[i]), NaN where either is.
func F32Minimum(dst, a, b []float32) { binary(f32MinimumAVX2, dst, a, b) }

// F32MinimumScalar sets dst[i] = min(a[i], b), NaN where either is.
func F32MinimumScalar(dst, a []float32, b float32) {
	scalar(f32MinimumScalarAVX2, dst, a, b)
}

// F32Maximum sets dst[i] = max(a[i], b[i]), NaN where either is.
func F32Maximum(dst, a, b []float32) { binary(f32MaximumAVX2, dst, a, b) }

// F32MaximumScalar sets dst[i] = max(a[i], b), NaN where either is.
func F32MaximumScalar(dst, a []float32, b float32) {
	scalar(f32MaximumScalarAVX2, dst, a, b)
}

// F32PRelu sets dst[i] = a[i]·b[i] where a[i] < 0, otherwise a[i].
func F32PRelu(dst, a, b []float32) { binary(f32PReluAVX2, dst, a, b) }

// F32PReluScalar sets dst[i] = a[i]·b where a[i] < 0, otherwise a[i].
func F32PReluScalar(dst, a []float32, b float32) {
	scalar(f32PReluScalarAVX2, dst, a, b)
}

// F32Lerp sets dst[i] = a[i] + (b[i]-a[i])·t. It panics where dst or b is
// shorter than a.
func F32Lerp(dst, a, b []float32, t float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for len(a) > callLen {
		f32LerpAVX2(dst[:callLen], a[:callLen], b[:callLen], t)
		dst, a, b = dst[callLen:], a[callLen:], b[callLen:]
	}
	f32LerpAVX2(dst, a, b, t)
}

// F32Max returns the largest element of a slice that is not empty, NaN where
// there is one.
func F32Max(a []float32) float32 {
	m := a[0]
	for len(a) > callLen {
		m = max(m, f32MaxAVX2(a[:callLen]))
		a = a[callLen:]
	}
	return max(m, f32MaxAVX2(a))
}

// F32ExpSum sets dst[i] = exp(src[i]-shift) and returns the sum. It panics
// where dst is shorter than src.
func F32ExpSum(dst, src []float32, shift float32) float32 {
	dst = dst[:len(src)]
	var sum float32
	for len(src) > callLen {
		sum += f32ExpSumAVX2(dst[:callLen], src[:callLen], shift)
		dst, src = dst[callLen:], src[callLen:]
	}
	return sum + f32ExpSumAVX2(dst, src, shift)
}

// F32Norm sets dst[i] = (a[i]+r[i])·scale[i] + shift[i], times slope[i] where
// that is negative; r and slope are nil where they have no part. It panics
// where another slice is shorter than a.
func F32Norm(dst, a, r, scale, shift, slope []float32) {
	if len(a) > callLen {
		const n = callLen
		F32Norm(dst[:n], a[:n], part(r, 0, n), scale[:n], shift[:n], part(slope, 0, n))
		F32Norm(dst[n:], a[n:], part(r, n, len(r)), scale[n:], shift[n:], part(slope, n, len(slope)))
		return
	}
	n := len(a)
	dst, scale, shift = dst[:n], scale[:n], shift[:n]
	switch {
	case r == nil && slope == nil:
		f32NormAVX2(dst, a, scale, shift)
	case r == nil:
		f32NormPReluAVX2(dst, a, scale, shift, slope[:n])
	case slope == nil:
		f32SumNormAVX2(dst, a, r[:n], scale, shift)
	default:
		f32SumNormPReluAVX2(dst, a, r[:n], scale, shift, slope[:n])
	}
}

// part returns a piece of a slice that may be nil.
func part(s []float32, from, to int) []float32 {
	if s == nil {
		return nil
	}
	return s[from:to]
}

// F32Zip interleaves runs of n elements, the second gap behind the first:
//
//	dst[r·dstRow+2·i] = src[r·srcRow+i], dst[r·dstRow+2·i+1] = src[r·srcRow+gap+i]
//
// for each of the rows. It panics where a slice is too short.
func F32Zip(dst, src []float32, n, rows, dstRow, srcRow, gap int) {
	if n < vecLen {
		ref.F32Zip(dst, src, n, rows, dstRow, srcRow, gap)
		return
	}
	for ; n > 2*callLen; n -= callLen {
		F32Zip(dst, src, callLen, rows, dstRow, srcRow, gap)
		dst, src = dst[2*callLen:], src[callLen:]
	}
	per := max(1, callLen/n)
	for r := 0; r < rows; r += per {
		m := min(per, rows-r)
		d, s := dst[r*dstRow:][:(m-1)*dstRow+2*n], src[r*srcRow:][:(m-1)*srcRow+gap+n]
		f32ZipAVX2(&d[0], &s[0], &s[gap], n, m, dstRow*4, srcRow*4)
	}
}

// F32Even sets dst[r·dstRow+i] = src[r·srcRow+2·i] for each of the rows of n
// elements. It panics where a slice is too short; nothing behind the last
// element is read.
func F32Even(dst, src []float32, n, rows, dstRow, srcRow int) {
	if n < vecLen {
		ref.F32Even(dst, src, n, rows, dstRow, srcRow)
		return
	}
	for ; n > 2*callLen; n -= callLen {
		F32Even(dst, src, callLen, rows, dstRow, srcRow)
		dst, src = dst[callLen:], src[2*callLen:]
	}
	per := max(1, callLen/n)
	for r := 0; r < rows; r += per {
		m := min(per, rows-r)
		d, s := dst[r*dstRow:][:(m-1)*dstRow+n], src[r*srcRow:][:(m-1)*srcRow+2*n-1]
		f32EvenAVX2(&d[0], &s[0], n, m, dstRow*4, srcRow*4)
	}
}
