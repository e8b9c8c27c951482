package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// preprocessing generates the kernels that turn rows of bytes into rows of a
// model's input. They work on whole vectors only: the callers in package
// amd64 do what is left over as a last vector that overlaps the one before.
func preprocessing() {
	taps()
	planes()
	pixels()
	yuyv()
	nv12()
	spanX()
	spanY()
}

// byteKernel starts a kernel of bytes.
func byteKernel(name, signature string, doc ...string) {
	name = "u8" + name + target.suffix
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(append([]string{name + " " + doc[0]}, doc[1:]...)...)
}

// param loads a parameter into a new register.
func param(name string) reg.GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// stride is the bytes by which a turn of a loop moves a pointer.
type stride struct {
	p     reg.GPVirtual
	bytes int
}

// each emits a loop over n, a multiple of step above 0, and the return.
func each(n reg.GPVirtual, step int, strides []stride, body func()) {
	Label("loop")
	body()
	for _, s := range strides {
		ADDQ(U8(s.bytes), s.p)
	}
	SUBQ(U8(step), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// lookup8 returns memory of 32 bytes.
func lookup8(name string, bytes [32]byte) Mem {
	if m, ok := consts[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i, b := range bytes {
		DATA(i, U8(b))
	}
	consts[name] = m
	return m
}

// filled returns a register with a vector of copies of a 32-bit pattern.
func filled(bits uint32) reg.VecVirtual {
	x := YMM()
	VMOVDQU(splatBits(bits), x)
	return x
}

func ymms(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

func taps() {
	byteKernel("Taps", "func(dst *uint16, src *byte, order *[16]uint8, taps *uint64, n int)",
		"is ref.U8Taps for n pixels, a multiple of 4 above 0.")
	dst, src, tap, n := param("dst"), param("src"), param("taps"), param("n")
	o := param("order")
	order := YMM()
	VBROADCASTI128(Mem{Base: o}, order)
	each(n, 4, []stride{{tap, 32}, {dst, 32}}, func() {
		t := YMM()
		VMOVDQU(Mem{Base: tap}, t)
		var sums [2]reg.VecVirtual
		for i := range sums {
			// Pixels i and i+2, so that packing puts all four in order.
			x, other, weights := YMM(), XMM(), YMM()
			at, next := GP64(), GP64()
			MOVLQSX(Mem{Base: tap, Disp: 8 * i}, at)
			VMOVQ(Mem{Base: src, Index: at, Scale: 1}, x.AsX())
			MOVLQSX(Mem{Base: tap, Disp: 8*i + 16}, next)
			VMOVQ(Mem{Base: src, Index: next, Scale: 1}, other)
			VINSERTI128(U8(1), other, x, x)
			VPSHUFB(order, x, x)
			VPSHUFD(U8(0x55+0xaa*i), t, weights)
			VPMADDWD(weights, x, x)
			VPSRLD(U8(4), x, x)
			sums[i] = x
		}
		VPACKUSDW(sums[1], sums[0], sums[0])
		VMOVDQU(sums[0], Mem{Base: dst})
	})
}

// mixed returns 8 pixels of 4 bytes each, weighed from two rows.
func mixed(up, down reg.GPVirtual, a, b, two reg.VecVirtual) reg.VecVirtual {
	var half [2]reg.VecVirtual
	for i := range half {
		u, v := YMM(), YMM()
		VPMULHUW(Mem{Base: up, Disp: 32 * i}, a, u)
		VPMULHUW(Mem{Base: down, Disp: 32 * i}, b, v)
		VPADDW(v, u, u)
		VPADDW(two, u, u)
		VPSRLW(U8(2), u, u)
		half[i] = u
	}
	VPACKUSWB(half[1], half[0], half[0])
	VPERMQ(U8(0xd8), half[0], half[0])
	return half[0]
}

// wordsOf loads a parameter into all words of a register.
func wordsOf(name string) reg.VecVirtual {
	x := YMM()
	VMOVD(param(name).As32(), x.AsX())
	VPBROADCASTW(x.AsX(), x)
	return x
}

// normalise does x = fma(x-sub, scale, fma(x-sub, fine, shift)) to whole numbers.
func normalise(x reg.VecVirtual, sub, scale, fine, shift Op) {
	VCVTDQ2PS(x, x)
	VSUBPS(sub, x, x)
	y := YMM()
	VMOVUPS(shift, y)
	VFMADD231PS(fine, x, y)
	VFMADD132PS(scale, y, x)
}

// The places of the lists in ref.NormF32.
const (
	subAt, scaleAt, fineAt, shiftAt = 0, 96, 192, 288
)

func planes() {
	byteKernel("Planes", "func(d0, d1, d2 *float32, up, down *uint16, a, b int, norm *float32, n int)",
		"is ref.U8Planes for n pixels, a multiple of 8 above 0, where norm",
		"is the first element of a ref.NormF32.")
	d := []reg.GPVirtual{param("d0"), param("d1"), param("d2")}
	up, down, norm, n := param("up"), param("down"), param("norm"), param("n")
	a, b := wordsOf("a"), wordsOf("b")
	two, mask := filled(0x00020002), filled(0xff)
	var sub, scale [3]reg.VecVirtual
	for c := range sub {
		sub[c], scale[c] = YMM(), YMM()
		VBROADCASTSS(Mem{Base: norm, Disp: subAt + 4*c}, sub[c])
		VBROADCASTSS(Mem{Base: norm, Disp: scaleAt + 4*c}, scale[c])
	}
	each(n, 8, []stride{{up, 64}, {down, 64}, {d[0], 32}, {d[1], 32}, {d[2], 32}}, func() {
		px := mixed(up, down, a, b, two)
		for c := range d {
			x, fine, y := YMM(), YMM(), YMM()
			switch c {
			case 0:
				VPAND(mask, px, x)
			case 1:
				VPSRLD(U8(8), px, x)
				VPAND(mask, x, x)
			default:
				VPSRLD(U8(16), px, x)
			}
			VCVTDQ2PS(x, x)
			VSUBPS(sub[c], x, x)
			VBROADCASTSS(Mem{Base: norm, Disp: fineAt + 4*c}, fine)
			VBROADCASTSS(Mem{Base: norm, Disp: shiftAt + 4*c}, y)
			VFMADD231PS(fine, x, y)
			VFMADD132PS(scale[c], y, x)
			VMOVUPS(x, Mem{Base: d[c]})
		}
	})
}

func pixels() {
	byteKernel("Pixels", "func(dst *float32, up, down *uint16, a, b int, norm *float32, n int)",
		"is ref.U8Pixels for n pixels, a multiple of 8 above 0, where norm",
		"is the first element of a ref.NormF32.")
	dst, up, down, norm, n := param("dst"), param("up"), param("down"), param("norm"), param("n")
	a, b := wordsOf("a"), wordsOf("b")
	two, three := filled(0x00020002), YMM()
	VMOVDQU(lookup8("pixelsThree", [32]byte{
		0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80,
		0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80,
	}), three)
	each(n, 8, []stride{{up, 64}, {down, 64}, {dst, 96}}, func() {
		px := mixed(up, down, a, b, two)
		VPSHUFB(three, px, px)
		upper, t, u := XMM(), XMM(), XMM()
		VEXTRACTI128(U8(1), px, upper)
		VPSRLDQ(U8(8), px.AsX(), t)
		VPSLLDQ(U8(4), upper, u)
		VPOR(t, u, t)
		VPSRLDQ(U8(4), upper, upper)
		for i, part := range []reg.Register{px.AsX(), t, upper} {
			x := YMM()
			VPMOVZXBD(part, x)
			at := func(list int) Mem { return Mem{Base: norm, Disp: list + 32*i} }
			normalise(x, at(subAt), at(scaleAt), at(fineAt), at(shiftAt))
			VMOVUPS(x, Mem{Base: dst, Disp: 32 * i})
		}
	})
}

// packed makes pixels of 4 bytes of eight reds, greens and blues of 32 bits,
// which it limits to bytes. It consumes them.
func packed(r, g, b, zero, order reg.VecVirtual) reg.VecVirtual {
	VPACKUSDW(g, r, r)
	VPACKUSDW(zero, b, b)
	VPACKUSWB(b, r, r)
	VPSHUFB(order, r, r)
	return r
}

// channelOrder is what packed needs: the bytes of a lane are four of red, four
// of green and four of blue.
func channelOrder() reg.VecVirtual {
	var t [32]byte
	for i := range t {
		t[i] = byte(i%16/4 + i%4*4)
	}
	x := YMM()
	VMOVDQU(lookup8("channelOrder", t), x)
	return x
}

// limitedRange writes 16 pixels of the groups whose two lumas and chromas, 8 of
// each, are in registers of 32 bits. It consumes them.
func limitedRange(dst reg.GPVirtual, y [2]reg.VecVirtual, u, v, zero, order reg.VecVirtual) {
	red, green, blue := YMM(), YMM(), YMM()
	VPMULLD(splatBits(1673527), v, red)
	VPMULLD(bits32(-852492), v, v)
	VPMULLD(bits32(-409993), u, green)
	VPMULLD(splatBits(2116026), u, blue)
	VPADDD(v, green, green)
	const half = 1 << 19
	VPADDD(bits32(half-128*1673527), red, red)
	VPADDD(bits32(half+128*(409993+852492)), green, green)
	VPADDD(bits32(half-128*2116026), blue, blue)
	var px [2]reg.VecVirtual
	for i, l := range y {
		VPMULLD(splatBits(1220542), l, l)
		sum := ymms(3)
		for c, x := range []reg.VecVirtual{red, green, blue} {
			VPADDD(x, l, sum[c])
			VPSRAD(U8(20), sum[c], sum[c])
		}
		px[i] = packed(sum[0], sum[1], sum[2], zero, order)
	}
	low, high, out := YMM(), YMM(), YMM()
	VPUNPCKLDQ(px[1], px[0], low)
	VPUNPCKHDQ(px[1], px[0], high)
	VPERM2I128(U8(0x20), high, low, out)
	VMOVDQU(out, Mem{Base: dst})
	VPERM2I128(U8(0x31), high, low, low)
	VMOVDQU(low, Mem{Base: dst, Disp: 32})
}

func bits32(v int32) Mem { return splatBits(uint32(v)) }

func zeroed() reg.VecVirtual {
	z := YMM()
	VPXOR(z, z, z)
	return z
}

func yuyv() {
	byteKernel("YUYV", "func(dst, src *byte, n int)", "is ref.U8YUYV for n groups, a multiple of 8 above 0.")
	dst, src, n := param("dst"), param("src"), param("n")
	mask, black, zero, order := filled(0xff), filled(0x00100010), zeroed(), channelOrder()
	each(n, 8, []stride{{src, 32}, {dst, 64}}, func() {
		s, u, v := YMM(), YMM(), YMM()
		y := [2]reg.VecVirtual{YMM(), YMM()}
		VMOVDQU(Mem{Base: src}, s)
		VPSRLD(U8(24), s, v)
		VPSRLD(U8(8), s, u)
		VPAND(mask, u, u)
		VPSUBUSB(black, s, s)
		VPAND(mask, s, y[0])
		VPSRLD(U8(16), s, y[1])
		VPAND(mask, y[1], y[1])
		limitedRange(dst, y, u, v, zero, order)
	})
}

func nv12() {
	byteKernel("NV12", "func(dst, luma, chroma *byte, n int)", "is ref.U8NV12 for n groups, a multiple of 8 above 0.")
	dst, luma, chroma, n := param("dst"), param("luma"), param("chroma"), param("n")
	mask, black, zero, order := filled(0xff), filled(0x00001010), zeroed(), channelOrder()
	each(n, 8, []stride{{luma, 16}, {chroma, 16}, {dst, 64}}, func() {
		u, v := YMM(), YMM()
		y := [2]reg.VecVirtual{YMM(), YMM()}
		VPMOVZXWD(Mem{Base: luma}, y[1])
		VPMOVZXWD(Mem{Base: chroma}, v)
		VPAND(mask, v, u)
		VPSRLD(U8(8), v, v)
		VPSUBUSB(black, y[1], y[1])
		VPAND(mask, y[1], y[0])
		VPSRLD(U8(8), y[1], y[1])
		limitedRange(dst, y, u, v, zero, order)
	})
}

func spanX() {
	byteKernel("SpanX", "func(dst, src *byte, order *[16]uint8, step int, spans, weights *int32, n int)",
		"is ref.U8SpanX for n > 0 pixels, where order picks the bytes of the three channels",
		"from those of a pixel.")
	dst, src, step, span, all, n := param("dst"), param("src"), param("step"), param("spans"), param("weights"), param("n")
	order, half := XMM(), XMM()
	o := param("order")
	VMOVDQU(Mem{Base: o}, order)
	VMOVDQU(splatBits(1<<21), half)
	Label("pixel")
	at, left, weight := GP64(), GP64(), GP64()
	MOVLQSX(Mem{Base: span}, at)
	ADDQ(src, at)
	MOVLQSX(Mem{Base: span, Disp: 4}, left)
	MOVLQSX(Mem{Base: span, Disp: 8}, weight)
	LEAQ(Mem{Base: all, Index: weight, Scale: 4}, weight)
	sum := XMM()
	VMOVDQA(half, sum)
	Label("source")
	x, w := XMM(), XMM()
	VPMOVZXBD(Mem{Base: at}, x)
	VPBROADCASTD(Mem{Base: weight}, w)
	VPMULLD(w, x, x)
	VPADDD(x, sum, sum)
	ADDQ(step, at)
	ADDQ(U8(4), weight)
	DECQ(left)
	JNZ(LabelRef("source"))
	VPSRLD(U8(22), sum, sum)
	VPACKUSDW(sum, sum, sum)
	VPACKUSWB(sum, sum, sum)
	VPSHUFB(order, sum, sum)
	VMOVD(sum, Mem{Base: dst})
	ADDQ(U8(4), dst)
	ADDQ(U8(12), span)
	DECQ(n)
	JNZ(LabelRef("pixel"))
	VZEROUPPER()
	RET()
}

func spanY() {
	byteKernel("SpanY", "func(dst *uint16, rows *byte, at, weights *int32, count, n int)",
		"is ref.U8SpanY for n bytes, a multiple of 32 above 0, and count > 0 rows.")
	dst, rows, places, all, count, n := param("dst"), param("rows"), param("at"), param("weights"), param("count"), param("n")
	each(n, 32, []stride{{rows, 32}, {dst, 64}}, func() {
		sums := ymms(4)
		for _, s := range sums {
			VMOVDQU(splatBits(1<<21), s)
		}
		k := GP64()
		XORQ(k, k)
		Label("row")
		at, w := GP64(), YMM()
		MOVLQSX(Mem{Base: places, Index: k, Scale: 4}, at)
		ADDQ(rows, at)
		VPBROADCASTD(Mem{Base: all, Index: k, Scale: 4}, w)
		for i, s := range sums {
			x := YMM()
			VPMOVZXBD(Mem{Base: at, Disp: 8 * i}, x)
			VPMULLD(w, x, x)
			VPADDD(x, s, s)
		}
		INCQ(k)
		CMPQ(k, count)
		JLT(LabelRef("row"))
		for _, s := range sums {
			VPSRLD(U8(22), s, s)
		}
		for i := 0; i < 4; i += 2 {
			VPACKUSDW(sums[i+1], sums[i], sums[i])
			VPERMQ(U8(0xd8), sums[i], sums[i])
			VPSLLW(U8(7), sums[i], sums[i])
			VMOVDQU(sums[i], Mem{Base: dst, Disp: 16 * i})
		}
	})
}
