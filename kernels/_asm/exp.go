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
	limit := YMM()
	VMOVUPS(splat(lo), limit)
	VMAXPS(x, limit, x)
	VMOVUPS(splat(hi), limit)
	VMINPS(x, limit, x)
	n, r = YMM(), x
	VMULPS(splat(log2e), x, n)
	VROUNDPS(U8(0), n, n)
	VFNMADD231PS(splat(ln2Hi), n, r)
	VFNMADD231PS(splat(ln2Lo), n, r)
	return n, r
}

// expm1Poly returns r + r²·P(r), which is exp(r)-1, and consumes r.
func expm1Poly(r reg.VecVirtual) reg.VecVirtual {
	p, square := YMM(), YMM()
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
// been infinite or zero. 2^n is applied in two halves, because n may be past
// both ends of the exponents, and results may be denormal.
func expVec(x reg.VecVirtual) reg.VecVirtual {
	n, r := reduce(x, -105, 89)
	p := expm1Poly(r)
	VADDPS(splat(1), p, p)
	half := YMM()
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
	scale, m := pow2(n), YMM()
	VSUBPS(splat(1), scale, m)
	VFMADD231PS(p, scale, m)
	d := YMM()
	VADDPS(splat(2), m, d)
	VDIVPS(d, m, m)
	return m
}
