//go:build !noasm

package arm64

// callLen is the number of elements one call does. The slowest function, tanh,
// takes about 14 cycles for each.
const callLen = 6 << 10

// F32Clamp sets dst[i] = min(max(src[i], p), q); see ref.F32Clamp.
func F32Clamp(dst, src []float32, p, q float32) { unary(f32ClampNEON, dst, src, p, q) }

// F32LeakyRelu sets dst[i] = p·src[i] where src[i] < 0, otherwise src[i]; see ref.F32LeakyRelu.
func F32LeakyRelu(dst, src []float32, p, q float32) { unary(f32LeakyReluNEON, dst, src, p, q) }

// F32Sigmoid sets dst[i] = 1/(1+exp(-src[i])); see ref.F32Sigmoid.
func F32Sigmoid(dst, src []float32, p, q float32) { unary(f32SigmoidNEON, dst, src, p, q) }

// F32SiLU sets dst[i] = x·sigmoid(p·x) for x = src[i]; see ref.F32SiLU.
func F32SiLU(dst, src []float32, p, q float32) { unary(f32SiLUNEON, dst, src, p, q) }

// F32HardSigmoid sets dst[i] = min(max(p·src[i]+q, 0), 1); see ref.F32HardSigmoid.
func F32HardSigmoid(dst, src []float32, p, q float32) { unary(f32HardSigmoidNEON, dst, src, p, q) }

// F32HardSwish sets dst[i] = x·min(max(p·x+q, 0), 1) for x = src[i]; see ref.F32HardSwish.
func F32HardSwish(dst, src []float32, p, q float32) { unary(f32HardSwishNEON, dst, src, p, q) }

// F32Tanh sets dst[i] = tanh(src[i]); see ref.F32Tanh.
func F32Tanh(dst, src []float32, p, q float32) { unary(f32TanhNEON, dst, src, p, q) }

// F32Exp sets dst[i] = exp(src[i]); see ref.F32Exp.
func F32Exp(dst, src []float32, p, q float32) { unary(f32ExpNEON, dst, src, p, q) }

// F32Erf sets dst[i] = erf(src[i]); see ref.F32Erf.
func F32Erf(dst, src []float32, p, q float32) { unary(f32ErfNEON, dst, src, p, q) }

// F32Gelu sets dst[i] = x·(1+erf(x/√2))/2 for x = src[i]; see ref.F32Gelu.
func F32Gelu(dst, src []float32, p, q float32) { unary(f32GeluNEON, dst, src, p, q) }

// F32Affine sets dst[i] = p·src[i]+q, the product rounded; see ref.F32Affine.
func F32Affine(dst, src []float32, p, q float32) { unary(f32AffineNEON, dst, src, p, q) }

// unary calls f on parts of the slices.
func unary(f func(dst, src *float32, p, q float32, n int), dst, src []float32, p, q float32) {
	dst = dst[:len(src)]
	for len(src) > 0 {
		n := min(len(src), callLen)
		f(&dst[0], &src[0], p, q, n)
		dst, src = dst[n:], src[n:]
	}
}

// F32ExpSum sets dst[i] = exp(src[i]-shift) and returns the sum; see
// ref.F32ExpSum.
func F32ExpSum(dst, src []float32, shift float32) float32 {
	dst = dst[:len(src)]
	var sum float64
	for len(src) > 0 {
		n := min(len(src), callLen)
		sum += float64(f32ExpSumNEON(&dst[0], &src[0], shift, n))
		dst, src = dst[n:], src[n:]
	}
	return float32(sum)
}
