package ref

import "math"

// F32Clamp sets dst[i] = min(max(src[i], p), q); a NaN stays NaN.
func F32Clamp(dst, src []float32, p, q float32) {
	for i, x := range src {
		dst[i] = clamp(x, p, q)
	}
}

// F32LeakyRelu sets dst[i] = p·src[i] where src[i] < 0, otherwise src[i].
func F32LeakyRelu(dst, src []float32, p, _ float32) {
	for i, x := range src {
		if x < 0 {
			x *= p
		}
		dst[i] = x
	}
}

// F32Sigmoid sets dst[i] = 1/(1+exp(-src[i])).
func F32Sigmoid(dst, src []float32, _, _ float32) {
	for i, x := range src {
		dst[i] = float32(sigmoid(float64(x)))
	}
}

// F32SiLU sets dst[i] = x·sigmoid(p·x) for x = src[i].
func F32SiLU(dst, src []float32, p, _ float32) {
	for i, x := range src {
		dst[i] = float32(float64(x) * sigmoid(float64(p*x)))
	}
}

// F32HardSigmoid sets dst[i] = min(max(p·src[i]+q, 0), 1).
func F32HardSigmoid(dst, src []float32, p, q float32) {
	for i, x := range src {
		dst[i] = clamp(float32(p*x)+q, 0, 1)
	}
}

// F32HardSwish sets dst[i] = x·min(max(p·x+q, 0), 1) for x = src[i].
func F32HardSwish(dst, src []float32, p, q float32) {
	for i, x := range src {
		dst[i] = x * clamp(float32(p*x)+q, 0, 1)
	}
}

// F32Tanh sets dst[i] = tanh(src[i]).
func F32Tanh(dst, src []float32, _, _ float32) {
	for i, x := range src {
		dst[i] = float32(math.Tanh(float64(x)))
	}
}

// F32Exp sets dst[i] = exp(src[i]).
func F32Exp(dst, src []float32, _, _ float32) {
	for i, x := range src {
		dst[i] = float32(math.Exp(float64(x)))
	}
}

// F32Erf sets dst[i] = erf(src[i]).
func F32Erf(dst, src []float32, _, _ float32) {
	for i, x := range src {
		dst[i] = float32(math.Erf(float64(x)))
	}
}

// F32Gelu sets dst[i] = x·(1+erf(x/√2))/2 for x = src[i].
func F32Gelu(dst, src []float32, _, _ float32) {
	for i, x := range src {
		dst[i] = float32(.5 * float64(x) * (1 + math.Erf(float64(x)/math.Sqrt2)))
	}
}

// F32Affine sets dst[i] = p·src[i]+q, the product rounded.
func F32Affine(dst, src []float32, p, q float32) {
	for i, x := range src {
		dst[i] = float32(p*x) + q
	}
}

// F32ExpSum sets dst[i] = exp(src[i]-shift) and returns the sum.
func F32ExpSum(dst, src []float32, shift float32) float32 {
	var sum float64
	for i, x := range src {
		e := math.Exp(float64(x - shift))
		dst[i] = float32(e)
		sum += e
	}
	return float32(sum)
}

// F32Max returns the largest element of a slice that is not empty, NaN where
// there is one.
func F32Max(a []float32) float32 {
	m := a[0]
	for _, x := range a {
		if x > m || x != x {
			m = x
		}
	}
	return m
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
