package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The exponential is 2^n·exp(r) with n = round(x/ln 2) and r = x - n·ln 2,
// ln 2 in two parts whose products with n are exact or fused. exp(r) is
// 1 + r + r²·P(r) with the polynomial of Cephes' expf, whose relative error
// is below 2e-8 for |r| <= ln 2 / 2.
const (
	log2e = 1.44269504088896341
	ln2Hi = 0.693359375
	ln2Lo = -2.12194440e-4
)

var expPoly = []float32{
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
	4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
}

// reduce splits x, which it consumes, into n, as a float, and r. x is limited
// to lo..hi first; a NaN survives in r.
func reduce(x reg.VecVirtual, lo, hi float32) (n, r reg.VecVirtual) {
	limit := vec()
	VMOVUPS(splat(lo), limit)
	VMAXPS(x, limit, x)
	VMOVUPS(splat(hi), limit)
	VMINPS(x, limit, x)
	n, r = vec(), x
	VMULPS(splat(log2e), x, n)
	round(n)
	VFNMADD231PS(splat(ln2Hi), n, r)
	VFNMADD231PS(splat(ln2Lo), n, r)
	return n, r
}

// expm1Poly returns r + r²·P(r), which is exp(r)-1, and consumes r.
func expm1Poly(r reg.VecVirtual) reg.VecVirtual {
	p, square := vec(), vec()
	VMULPS(r, r, square)
	VMOVUPS(splat(expPoly[0]), p)
	for _, c := range expPoly[1:] {
		VFMADD213PS(splat(c), r, p)
	}
	VFMADD213PS(r, square, p)
	return p
}

// pow2 returns 2^n as a float for a vector of integers from -126 to 127 and
// consumes n.
func pow2(n reg.VecVirtual) reg.VecVirtual {
	VPADDD(splatBits(127), n, n)
	VPSLLD(U8(23), n, n)
	return n
}

// expVec returns exp(x) and consumes x. Beyond the limits the result has long
// been infinite or zero. AVX2 applies 2^n in two halves, because n may be past
// both ends of the exponents, and results may be denormal.
func expVec(x reg.VecVirtual) reg.VecVirtual {
	n, r := reduce(x, -105, 89)
	p := expm1Poly(r)
	VADDPS(splat(1), p, p)
	if target.wide {
		VSCALEFPS(n, p, p)
		return p
	}
	half := vec()
	VCVTPS2DQ(n, n)
	VPSRAD(U8(1), n, half)
	VPSUBD(half, n, n)
	VMULPS(pow2(half), p, p)
	VMULPS(pow2(n), p, p)
	return p
}

// tanhVec returns tanh(x) and consumes x: m/(m+2) with m = exp(2x)-1 =
// 2^n·(exp(r)-1) + (2^n-1), which loses nothing where x is small. tanh rounds
// to ±1 before |x| reaches 10.
func tanhVec(x reg.VecVirtual) reg.VecVirtual {
	VADDPS(x, x, x)
	n, r := reduce(x, -20, 20)
	p := expm1Poly(r)
	VCVTPS2DQ(n, n)
	scale, m := pow2(n), vec()
	VSUBPS(splat(1), scale, m)
	VFMADD231PS(p, scale, m)
	d := vec()
	VADDPS(splat(2), m, d)
	VDIVPS(d, m, m)
	return m
}

// The error function is x·P(x²)/Q(x²), with the coefficients of Eigen's
// generic_fast_erf_float, the highest power first. The error is below 4e-7 of
// the value; where |x| reaches erfLimit the result rounds to ±1.
const erfLimit = 4

var (
	erfP = []float32{
		-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
		-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
	}
	erfQ = []float32{
		-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
		-1.42647390514189e-02,
	}
)

// erfVec returns erf(x) and consumes x.
func erfVec(x reg.VecVirtual) reg.VecVirtual {
	limit := vec()
	VMOVUPS(splat(-erfLimit), limit)
	VMAXPS(x, limit, x)
	VMOVUPS(splat(erfLimit), limit)
	VMINPS(x, limit, x)
	square := vec()
	VMULPS(x, x, square)
	p, q := horner(erfP, square), horner(erfQ, square)
	VMULPS(x, p, p)
	VDIVPS(q, p, p)
	return p
}

// horner returns the polynomial in x with these coefficients, the highest
// power first.
func horner(coefficients []float32, x reg.VecVirtual) reg.VecVirtual {
	p := vec()
	VMOVUPS(splat(coefficients[0]), p)
	for _, c := range coefficients[1:] {
		VFMADD213PS(splat(c), x, p)
	}
	return p
}
