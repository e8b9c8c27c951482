package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// jpegs generates the kernels of JPEG decoding, for AVX2.
func jpegs() {
	inverse("jpegIDCTAVX2", "JPEGIDCT", 8, (*registers).full)
	inverse("jpegIDCT4AVX2", "JPEGIDCT4", 4, (*registers).half)
	inverse("jpegIDCT2AVX2", "JPEGIDCT2", 2, (*registers).quarter)
	upsample("H2V1", false)
	upsample("H2V2", true)
	toRGB()
}

// pattern returns 32 bytes of memory holding a 64-bit pattern four times.
func pattern(bits uint64) Mem {
	name := fmt.Sprintf("pattern%016x", bits)
	if m, ok := consts[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 4 {
		DATA(8*i, U64(bits))
	}
	consts[name] = m
	return m
}

// words returns memory of sixteen copies of a 16-bit number.
func words(v int16) Mem { return pattern(uint64(uint16(v)) * 0x0001000100010001) }

// wordPair returns memory of eight copies of two 16-bit numbers.
func wordPair(a, b int) Mem {
	return pattern((uint64(uint16(a)) | uint64(uint16(b))<<16) * 0x0000000100000001)
}

// dwords returns memory of eight copies of a 32-bit number.
func dwords(v uint32) Mem { return pattern(uint64(v) * 0x0000000100000001) }

// upsample generates the doubling of a row, mixed with another one where mix is
// set. The samples beside those that are doubled are read too.
func upsample(name string, mix bool) {
	sig, sources := "func(dst, src *byte, blocks int)", []string{"src"}
	if mix {
		sig, sources = "func(dst, near, far *byte, blocks int)", []string{"near", "far"}
	}
	full := "jpegUpsample" + name + "AVX2"
	TEXT(full, NOSPLIT, sig)
	Pragma("noescape")
	Doc(full + " doubles 16 samples of each of blocks > 0. It reads one before and one after them.")
	dst, n := GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("blocks"), n)
	p := make([]reg.GPVirtual, len(sources))
	for i, s := range sources {
		p[i] = GP64()
		Load(Param(s), p[i])
	}
	three := YMM()
	VMOVDQU(words(3), three)
	Label("loop")
	at := func(off int) reg.VecVirtual {
		v := YMM()
		VPMOVZXBW(Mem{Base: p[0], Disp: off}, v)
		if mix {
			w := YMM()
			VPMOVZXBW(Mem{Base: p[1], Disp: off}, w)
			VPMULLW(three, v, v)
			VPADDW(w, v, v)
		}
		return v
	}
	mid, left, right := at(0), at(-1), at(1)
	VPMULLW(three, mid, mid)
	VPADDW(mid, left, left)
	VPADDW(mid, right, right)
	a, b, shift := int16(1), int16(2), U8(2)
	if mix {
		a, b, shift = 8, 7, 4
	}
	VPADDW(words(a), left, left)
	VPADDW(words(b), right, right)
	VPSRLW(shift, left, left)
	VPSRLW(shift, right, right)
	VPSLLW(U8(8), right, right)
	VPOR(left, right, right)
	VMOVDQU(right, Mem{Base: dst})
	ADDQ(U8(32), dst)
	for _, q := range p {
		ADDQ(U8(16), q)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func toRGB() {
	TEXT("jpegToRGBAVX2", NOSPLIT, "func(dst, y, cb, cr *byte, blocks int)")
	Pragma("noescape")
	Doc("jpegToRGBAVX2 is ref.JPEGToRGB of 32 pixels for each of blocks > 0. Products with numbers",
		"above 1 are taken apart, as 1.402 x = x + 0.402 x, so that 16 bits hold them.")
	dst, luma, cb, cr, n := GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("y"), luma)
	Load(Param("cb"), cb)
	Load(Param("cr"), cr)
	Load(Param("blocks"), n)
	Label("loop")
	zero := YMM()
	VPXOR(zero, zero, zero)
	wide := func(p reg.GPVirtual, signed bool) [2]reg.VecVirtual {
		v, h := YMM(), [2]reg.VecVirtual{YMM(), YMM()}
		VMOVDQU(Mem{Base: p}, v)
		VPUNPCKLBW(zero, v, h[0])
		VPUNPCKHBW(zero, v, h[1])
		for _, w := range h {
			if signed {
				VPSUBW(words(128), w, w)
			}
		}
		return h
	}
	y, b, r := wide(luma, false), wide(cb, true), wide(cr, true)
	var rgb [3][2]reg.VecVirtual
	for i := range 2 {
		// (x * f + 0.5) >> 16 of 2x and half of it.
		scaled := func(x reg.VecVirtual, f int16) reg.VecVirtual {
			v := YMM()
			VPADDW(x, x, v)
			VPMULHW(words(f), v, v)
			VPADDW(words(1), v, v)
			VPSRAW(U8(1), v, v)
			return v
		}
		red := scaled(r[i], 26345) // 1.402 - 1
		VPADDW(r[i], red, red)
		VPADDW(y[i], red, red)
		blue := scaled(b[i], -14942) // 1.772 - 2
		VPADDW(b[i], blue, blue)
		VPADDW(b[i], blue, blue)
		VPADDW(y[i], blue, blue)
		lo, hi := YMM(), YMM()
		VPUNPCKLWD(r[i], b[i], lo)
		VPUNPCKHWD(r[i], b[i], hi)
		for _, v := range []reg.VecVirtual{lo, hi} {
			VPMADDWD(wordPair(-22554, 18734), v, v) // -0.34414, 1 - 0.71414
			VPADDD(dwords(1<<15), v, v)
			VPSRAD(U8(16), v, v)
		}
		VPACKSSDW(hi, lo, lo)
		VPSUBW(r[i], lo, lo)
		VPADDW(y[i], lo, lo)
		rgb[0][i], rgb[1][i], rgb[2][i] = red, lo, blue
	}
	for c := range rgb {
		VPACKUSWB(rgb[c][1], rgb[c][0], rgb[c][0])
	}
	for k := range 3 {
		out := YMM()
		for c := range rgb {
			v := out
			if c > 0 {
				v = YMM()
			}
			VPSHUFB(interleave(k, c), rgb[c][0], v)
			if c > 0 {
				VPOR(v, out, out)
			}
		}
		VMOVDQU(out.AsX(), Mem{Base: dst, Disp: 16 * k})
		VEXTRACTI128(U8(1), out, Mem{Base: dst, Disp: 48 + 16*k})
	}
	ADDQ(U8(96), dst)
	for _, p := range []reg.GPVirtual{luma, cb, cr} {
		ADDQ(U8(32), p)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// interleave returns the shuffle that brings channel c of sixteen pixels to its
// places in the 16 bytes k of packed pixels.
func interleave(k, c int) Mem {
	name := fmt.Sprintf("interleave%d%d", k, c)
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 32 {
		at := 16*k + i%16
		v := U8(0x80)
		if at%3 == c {
			v = U8(at / 3)
		}
		DATA(i, v)
	}
	return m
}
