package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// binaries generates dst[i] = f(a[i], b[i]) and dst[i] = f(a[i], b), and the
// interpolation.
func binaries() {
	for _, op := range []struct {
		name, formula string
		f             func(a, b reg.VecVirtual) reg.VecVirtual
	}{
		{"Add", "a[i] + b", func(a, b reg.VecVirtual) reg.VecVirtual { VADDPS(b, a, a); return a }},
		{"Sub", "a[i] - b", func(a, b reg.VecVirtual) reg.VecVirtual { VSUBPS(b, a, a); return a }},
		{"Mul", "a[i] * b", func(a, b reg.VecVirtual) reg.VecVirtual { VMULPS(b, a, a); return a }},
		{"Div", "a[i] / b", func(a, b reg.VecVirtual) reg.VecVirtual { VDIVPS(b, a, a); return a }},
		{"Minimum", "min(a[i], b), NaN where either is", func(a, b reg.VecVirtual) reg.VecVirtual { return either(VMINPS, a, b) }},
		{"Maximum", "max(a[i], b), NaN where either is", func(a, b reg.VecVirtual) reg.VecVirtual { return either(VMAXPS, a, b) }},
		{"PRelu", "a[i] < 0 ? a[i]·b : a[i]", whereNegative},
	} {
		binary(op.name, op.formula, op.f)
		binaryScalar(op.name, op.formula, op.f)
	}
	lerp()
}

func binary(name, formula string, f func(a, b reg.VecVirtual) reg.VecVirtual) {
	TEXT(kernel(name), NOSPLIT, "func(dst, a, b []float32)")
	Pragma("noescape")
	Doc(kernel(name)+" computes, over the length of a and with b[i] for b:",
		"",
		"\tfor i := range a {",
		"\t\tdst[i] = "+formula,
		"\t}")
	e := elementwise{dst: true, sources: []string{"a", "b"}, unroll: 4}
	e.f = func(_ int, x []reg.VecVirtual, _ *lanes) reg.VecVirtual { return f(x[0], x[1]) }
	e.generate()
	VZEROUPPER()
	RET()
}

func binaryScalar(name, formula string, f func(a, b reg.VecVirtual) reg.VecVirtual) {
	TEXT(kernel(name+"Scalar"), NOSPLIT, "func(dst, a []float32, b float32)")
	Pragma("noescape")
	Doc(kernel(name+"Scalar")+" computes, over the length of a:",
		"",
		"\tfor i := range a {",
		"\t\tdst[i] = "+formula,
		"\t}")
	b := broadcast("b")
	e := elementwise{dst: true, sources: []string{"a"}, unroll: 4}
	e.f = func(_ int, x []reg.VecVirtual, _ *lanes) reg.VecVirtual { return f(x[0], b) }
	e.generate()
	VZEROUPPER()
	RET()
}

// either returns VMINPS or VMAXPS of a and b, NaN where either is. The instruction returns b where one is NaN, which leaves a NaN
// in a to be merged.
func either(op func(...Op), a, b reg.VecVirtual) reg.VecVirtual {
	y := vec()
	op(b, a, y)
	nanWhere(a, y)
	return y
}

func lerp() {
	TEXT(kernel("Lerp"), NOSPLIT, "func(dst, a, b []float32, t float32)")
	Pragma("noescape")
	Doc(kernel("Lerp")+" computes, over the length of a:",
		"",
		"\tfor i := range a {",
		"\t\tdst[i] = fma(b[i]-a[i], t, a[i])",
		"\t}")
	t := broadcast("t")
	e := elementwise{dst: true, sources: []string{"a", "b"}, unroll: 4}
	e.f = func(_ int, x []reg.VecVirtual, _ *lanes) reg.VecVirtual {
		VSUBPS(x[0], x[1], x[1])
		VFMADD231PS(t, x[1], x[0])
		return x[0]
	}
	e.generate()
	VZEROUPPER()
	RET()
}
