package op

import "math"

// The functions below give the same bits on every CPU. Those of package math do
// not: some are assembly on one and Go on another, where the compiler fuses a
// product and a sum if the CPU can. Here no product is a term of a sum unless it
// was converted, which rounds it. The tables of quantized models are made with
// them, so a model gives on one CPU what it gives on another. Errors are a few
// units in the last place.

// ln2High and ln2Low are log(2); products of the first and an exponent are exact.
const (
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
)

// series returns exp(x) - 1 for |x| up to 1/2, by Taylor's series.
func series(x float64) float64 {
	s := 1.
	for i := 16.; i > 1; i-- {
		s = s*x/i + 1
	}
	return float64(x * s)
}

// exp is the exponential.
func exp(x float64) float64 {
	switch {
	case math.IsNaN(x) || x > 710:
		return x * math.Inf(1)
	case x < -746:
		return 0
	}
	k := math.RoundToEven(x / math.Ln2)
	r := x - float64(k*ln2High) - float64(k*ln2Low)
	return math.Ldexp(series(r)+1, int(k))
}

// expm1 is exp(x) - 1, exact near zero.
func expm1(x float64) float64 {
	if math.Abs(x) < .5 {
		return series(x)
	}
	return exp(x) - 1
}

// log is the natural logarithm.
func log(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) {
		return math.Log(x) // exact everywhere
	}
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	high, low := float64(float64(e)*ln2High), float64(float64(e)*ln2Low)
	return high + (low + log1pSmall(m-1))
}

// log1p is log(1 + x), exact near zero.
func log1p(x float64) float64 {
	if x > -.25 && x < .4 {
		return log1pSmall(x)
	}
	return log(1 + x)
}

// log1pSmall returns log(1+x) for x from -0.3 to 0.42: with s = x/(2+x) it is
// 2·(s + s³/3 + s⁵/5 + …).
func log1pSmall(x float64) float64 {
	s := x / (2 + x)
	square, sum := s*s, 0.
	for i := 23.; i > 0; i -= 2 {
		sum = float64(sum*square) + 1/i
	}
	return float64(2 * s * sum)
}

// tanh is the hyperbolic tangent.
func tanh(x float64) float64 {
	if math.Abs(x) > 20 {
		return math.Copysign(1, x)
	}
	t := expm1(2 * x)
	return t / (t + 2)
}

// erf is the error function: up to 2 by the series
// 2/√π·exp(-x²)·Σ 2ⁿ·x²ⁿ⁺¹/(1·3·5…(2n+1)), beyond by the continued fraction
// exp(-x²)/√π / (x + ½/(x + 1/(x + 1½/(x + …)))) of 1 - erf.
func erf(x float64) float64 {
	a := math.Abs(x)
	if a > 6 {
		return math.Copysign(1, x)
	}
	square := float64(a * a)
	if a > 2 {
		rest := a
		for i := 60.; i > 0; i-- {
			rest = a + i/2/rest
		}
		return math.Copysign(1-exp(-square)/math.SqrtPi/rest, x)
	}
	term, sum := x, x
	for i := 3.; math.Abs(term) > math.Abs(sum)*1e-17; i += 2 {
		term = term * 2 * square / i
		sum += term
	}
	return float64(2 / math.SqrtPi * sum * exp(-square))
}
