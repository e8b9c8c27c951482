package op

import "math"

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

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func gelu(x, _, _ float64) float64 { return .5 * x * (1 + math.Erf(x/math.Sqrt2)) }

func geluTanh(x, _, _ float64) float64 {
	return .5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+.044715*x*x*x)))
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
		return a * math.Expm1(x)
	}
	return x
}

func celu(x, a, _ float64) float64 {
	if x < 0 {
		return a * math.Expm1(x/a)
	}
	return x
}

func selu(x, a, b float64) float64 { return b * elu(x, a, 0) }

func hardSigmoid(x, a, b float64) float64 { return min(max(a*x+b, 0), 1) }

func shrink(x, a, b float64) float64 {
	switch {
	case x < -a:
		return x + b
	case x > a:
		return x - b
	}
	return 0
}
