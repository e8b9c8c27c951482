package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// unaries generates dst[i] = f(src[i]).
func unaries() {
	unary("Clamp", "min(max(x, p), q), NaN where x is", "pq", func(x, p, q reg.VecVirtual) reg.VecVirtual {
		clampVec(x, p, q)
		return x
	})
	unary("LeakyRelu", "x < 0 ? p·x : x", "p", func(x, p, _ reg.VecVirtual) reg.VecVirtual {
		return whereNegative(x, p)
	})
	unary("Sigmoid", "1/(1+exp(-x))", "", func(x, _, _ reg.VecVirtual) reg.VecVirtual {
		return sigmoidVec(x)
	})
	unary("SiLU", "x/(1+exp(-p·x))", "p", func(x, p, _ reg.VecVirtual) reg.VecVirtual {
		y := vec()
		VMULPS(x, p, y)
		y = sigmoidVec(y)
		VMULPS(x, y, y)
		return y
	})
	unary("HardSigmoid", "min(max(p·x+q, 0), 1)", "pq", hardSigmoidVec)
	unary("HardSwish", "x·min(max(p·x+q, 0), 1)", "pq", func(x, p, q reg.VecVirtual) reg.VecVirtual {
		y := vec()
		VMOVAPS(x, y)
		y = hardSigmoidVec(y, p, q)
		VMULPS(x, y, y)
		return y
	})
	unary("Tanh", "tanh(x)", "", func(x, _, _ reg.VecVirtual) reg.VecVirtual {
		return tanhVec(x)
	})
	unary("Exp", "exp(x)", "", func(x, _, _ reg.VecVirtual) reg.VecVirtual {
		return expVec(x)
	})
	unary("Erf", "erf(x)", "", func(x, _, _ reg.VecVirtual) reg.VecVirtual {
		return erfVec(x)
	})
	unary("Gelu", "x·(1+erf(x/√2))/2", "", func(x, _, _ reg.VecVirtual) reg.VecVirtual {
		y := vec()
		VMULPS(splat(math.Sqrt2/2), x, y)
		VMULPS(splat(.5), x, x)
		y = erfVec(y)
		VFMADD213PS(x, x, y)
		return y
	})
	unary("Affine", "p·x+q, the product rounded", "pq", func(x, p, q reg.VecVirtual) reg.VecVirtual {
		VMULPS(p, x, x)
		VADDPS(q, x, x)
		return x
	})
}

// unary generates one kernel. params names the parameters that f uses.
func unary(name, formula, params string, f func(x, p, q reg.VecVirtual) reg.VecVirtual) {
	TEXT(kernel(name), NOSPLIT, "func(dst, src []float32, p, q float32)")
	Pragma("noescape")
	Doc(kernel(name)+" computes, over the length of src:",
		"",
		"\tfor i, x := range src {",
		"\t\tdst[i] = "+formula,
		"\t}")
	var p, q reg.VecVirtual
	if len(params) > 0 {
		p = broadcast("p")
	}
	if len(params) > 1 {
		q = broadcast("q")
	}
	e := elementwise{dst: true, sources: []string{"src"}, unroll: 4}
	e.f = func(_ int, x []reg.VecVirtual, _ *lanes) reg.VecVirtual { return f(x[0], p, q) }
	switch name {
	case "Sigmoid", "SiLU", "Tanh", "Exp", "Erf", "Gelu":
		// Long enough for the CPU to overlap turns of the loop by itself.
		e.unroll = 1
	}
	e.generate()
	VZEROUPPER()
	RET()
}

// hardSigmoidVec returns min(max(p·x+q, 0), 1) and consumes x.
func hardSigmoidVec(x, p, q reg.VecVirtual) reg.VecVirtual {
	VMULPS(p, x, x)
	VADDPS(q, x, x)
	zero := vec()
	VXORPS(zero, zero, zero)
	VMAXPS(x, zero, x)
	one := vec()
	VMOVUPS(splat(1), one)
	VMINPS(x, one, x)
	return x
}

// whereNegative returns x < 0 ? x·slope : x and consumes x.
func whereNegative(x, slope reg.VecVirtual) reg.VecVirtual {
	y, zero := vec(), vec()
	VXORPS(zero, zero, zero)
	VMULPS(slope, x, y)
	copyWhere(lessThan, zero, x, y, x)
	return x
}

// sigmoidVec returns 1/(1+exp(-x)) and consumes x. Where exp overflows the
// result is 0.
func sigmoidVec(x reg.VecVirtual) reg.VecVirtual {
	VXORPS(splatBits(1<<31), x, x)
	e := expVec(x)
	one := vec()
	VMOVUPS(splat(1), one)
	VADDPS(one, e, e)
	VDIVPS(e, one, e)
	return e
}
