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
	for _, sum := range []bool{false, true} {
		norm(sum, false)
		norm(sum, true)
	}
	if !target.wide {
		zip()
		even()
	}
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

// norm generates the scale and shift of channels, behind a sum or not and with
// a PRelu or not.
func norm(sum, prelu bool) {
	name, params, sources := "Norm", "dst, a", []string{"a"}
	formula := []string{"v := a[i]"}
	if sum {
		name, params, sources = "Sum"+name, params+", r", append(sources, "r")
		formula[0] += " + r[i]"
	}
	params, sources = params+", scale, shift", append(sources, "scale", "shift")
	formula = append(formula, "v = v·scale[i] + shift[i]")
	if prelu {
		name, params, sources = name+"PRelu", params+", slope", append(sources, "slope")
		formula = append(formula, "v = v < 0 ? v·slope[i] : v")
	}
	TEXT(kernel(name), NOSPLIT, "func("+params+" []float32)")
	Pragma("noescape")
	doc := []string{kernel(name) + " computes, over the length of a, every product and sum rounded:", "", "\tfor i := range a {"}
	for _, line := range formula {
		doc = append(doc, "\t\t"+line)
	}
	Doc(append(doc, "\t\tdst[i] = v", "\t}")...)
	e := elementwise{dst: true, sources: sources, unroll: 2}
	e.f = func(_ int, x []reg.VecVirtual, _ *lanes) reg.VecVirtual {
		v := x[0]
		if x = x[1:]; sum {
			VADDPS(x[0], v, v)
			x = x[1:]
		}
		VMULPS(x[0], v, v)
		VADDPS(x[1], v, v)
		if prelu {
			v = whereNegative(v, x[2])
		}
		return v
	}
	e.generate()
	VZEROUPPER()
	RET()
}

// zip generates the interleaving of two runs.
func zip() {
	body := []string{"dst[r*dstRow+2*i], dst[r*dstRow+2*i+1] = a[r*srcRow+i], b[r*srcRow+i]"}
	pairs("Zip", "dst, a, b", body, func(src []reg.GPVirtual, dst, i reg.GPVirtual, _ bool) {
		x, y, lo, hi := YMM(), YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: src[0], Index: i, Scale: 4}, x)
		VMOVUPS(Mem{Base: src[1], Index: i, Scale: 4}, y)
		VUNPCKLPS(y, x, lo)
		VUNPCKHPS(y, x, hi)
		VPERM2F128(U8(0x20), hi, lo, x)
		VPERM2F128(U8(0x31), hi, lo, y)
		VMOVUPS(x, Mem{Base: dst, Index: i, Scale: 8})
		VMOVUPS(y, Mem{Base: dst, Index: i, Scale: 8, Disp: 32})
	}, "a", "b")
}

// even generates the gathering of every other element. The last eight of a row
// take theirs from one element earlier, so that nothing behind them is read.
func even() {
	pairs("Even", "dst, src", []string{"dst[r*dstRow+i] = src[r*srcRow+2*i]"}, func(src []reg.GPVirtual, dst, i reg.GPVirtual, last bool) {
		x, y := YMM(), YMM()
		back, pick := 0, U8(0x88)
		if last {
			back, pick = 4, U8(0xd8)
		}
		VMOVUPS(Mem{Base: src[0], Index: i, Scale: 8}, x)
		VMOVUPS(Mem{Base: src[0], Index: i, Scale: 8, Disp: 32 - back}, y)
		VSHUFPS(pick, y, x, x)
		VPERMPD(U8(0xd8), x, x)
		VMOVUPS(x, Mem{Base: dst, Index: i, Scale: 4})
	}, "src")
}

// pairs generates a kernel over rows of n elements, at least 8: eight does eight
// of them from i on.
func pairs(name, params string, body []string, eight func(src []reg.GPVirtual, dst, i reg.GPVirtual, last bool), sources ...string) {
	TEXT(kernel(name), NOSPLIT, "func("+params+" *float32, n, rows, dstRow, srcRow int)")
	Pragma("noescape")
	doc := []string{kernel(name) + " computes, for n of at least 8,", "", "\tfor r := range rows {", "\t\tfor i := range n {"}
	for _, line := range body {
		doc = append(doc, "\t\t\t"+line)
	}
	Doc(append(doc, "\t\t}", "\t}", "", "but for dstRow and srcRow in bytes. Where n is no multiple of 8, some of the last",
		"8 of a row are written twice.")...)
	get := func(param string) reg.GPVirtual {
		r := GP64()
		Load(Param(param), r)
		return r
	}
	dst, n, rows, dstRow, srcRow, i := get("dst"), get("n"), get("rows"), get("dstRow"), get("srcRow"), GP64()
	var src []reg.GPVirtual
	for _, s := range sources {
		src = append(src, get(s))
	}
	SUBQ(U8(8), n) // where the last eight start
	Label("row")
	XORQ(i, i)
	Label("eights")
	CMPQ(i, n)
	JGE(LabelRef("last"))
	eight(src, dst, i, false)
	ADDQ(U8(8), i)
	JMP(LabelRef("eights"))
	Label("last")
	MOVQ(n, i)
	eight(src, dst, i, true)
	ADDQ(dstRow, dst)
	for _, s := range src {
		ADDQ(srcRow, s)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
