package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// elementwiseU8 generates the elementwise functions and conversions of uint8.
func elementwiseU8() {
	addU8()
	mulU8()
	tableU8()
	toU8()
	fromU8()
}

// run is a parameter that points to elements of some bytes.
type run struct {
	name string
	size int
}

// piece is a result that is stored: bytes of a register.
type piece struct {
	x     reg.VecVirtual
	bytes int
}

func (p piece) store(m Mem) {
	switch p.bytes {
	case 8:
		VMOVQ(p.x.AsX(), m)
	case 16:
		VMOVDQU(p.x.AsX(), m)
	default:
		VMOVDQU(p.x, m)
	}
}

// runs emits the loops of an elementwise function of n elements, at least the
// last of counts, which are the elements that f computes at a time, most
// first, and the return. f reads source i at at(i). Where n is no multiple of the
// last of counts, so many last elements are computed first and stored last, so
// that nothing behind the runs is touched and dst may be a source.
func runs(dst run, sources []run, counts []int, f func(count int, at func(i int) Mem) []piece) {
	n, least := param("n"), counts[len(counts)-1]
	out := param(dst.name)
	var ptrs []reg.GPVirtual
	for _, s := range sources {
		ptrs = append(ptrs, param(s.name))
	}
	end := GP64()
	TESTQ(U32(least-1), n)
	JZ(LabelRef("whole"))
	LEAQ(Mem{Base: out, Index: n, Scale: uint8(dst.size), Disp: -least * dst.size}, end)
	last := f(least, func(i int) Mem {
		return Mem{Base: ptrs[i], Index: n, Scale: uint8(sources[i].size), Disp: -least * sources[i].size}
	})
	Label("whole")
	for _, count := range counts {
		name := fmt.Sprintf("elements%d", count)
		Label(name)
		CMPQ(n, U8(count))
		JLT(LabelRef(name + "End"))
		store(f(count, func(i int) Mem { return Mem{Base: ptrs[i]} }), out)
		for i, p := range ptrs {
			ADDQ(I32(count*sources[i].size), p)
		}
		ADDQ(I32(count*dst.size), out)
		SUBQ(I32(count), n)
		JMP(LabelRef(name))
		Label(name + "End")
	}
	TESTQ(n, n)
	JZ(LabelRef("done"))
	store(last, end)
	Label("done")
	VZEROUPPER()
	RET()
}

// store writes pieces one behind the other.
func store(pieces []piece, to reg.GPVirtual) {
	disp := 0
	for _, p := range pieces {
		p.store(Mem{Base: to, Disp: disp})
		disp += p.bytes
	}
}

// rounding is the end of what computes bytes: limits, rounding, zero point.
type rounding struct {
	max, zero, low, order reg.VecVirtual
}

// newRounding makes one for the given upper limit, floats, and zero point, dwords.
func newRounding(max, zero reg.VecVirtual) *rounding {
	r := &rounding{max: max, zero: YMM(), order: YMM()}
	VPACKSSDW(zero, zero, r.zero)
	VMOVDQU(lookup8("laneOrder", [32]byte{0: 0, 4: 4, 8: 1, 12: 5, 16: 2, 20: 6, 24: 3, 28: 7}), r.order)
	return r
}

// limit sets the lower limit, a vector of floats; without it, it is 0 behind the
// zero point.
func (r *rounding) limit(min reg.VecVirtual) {
	VCVTPS2DQ(min, min)
	r.low = r.narrow([]reg.VecVirtual{min, min, min, min})
}

// round makes integers of floats in place. What is far below the limit, or a
// NaN, becomes a large negative number; what is above is limited before.
func (r *rounding) round(x reg.VecVirtual) {
	VMINPS(x, r.max, x)
	VCVTPS2DQ(x, x)
}

// narrow adds the zero point to 1, 2 or 4 vectors of integers, which it
// overwrites, and returns their bytes in order.
func (r *rounding) narrow(x []reg.VecVirtual) reg.VecVirtual {
	y := YMM()
	VPACKSSDW(x[min(1, len(x)-1)], x[0], y)
	VPADDSW(r.zero, y, y)
	z := y
	if len(x) == 4 {
		z = YMM()
		VPACKSSDW(x[3], x[2], z)
		VPADDSW(r.zero, z, z)
	}
	VPACKUSWB(z, y, y)
	VPERMD(y, r.order, y)
	if r.low != nil {
		VPMAXUB(r.low, y, y)
	}
	return y
}

// eights returns an f for runs that computes 8 elements at a time to integers.
func (r *rounding) eights(sources []run, eight func(at func(i int) Mem) reg.VecVirtual) func(int, func(i int) Mem) []piece {
	return func(count int, at func(i int) Mem) []piece {
		var x []reg.VecVirtual
		for v := range count / 8 {
			y := eight(func(i int) Mem { return at(i).Offset(8 * v * sources[i].size) })
			r.round(y)
			x = append(x, y)
		}
		return []piece{{r.narrow(x), count}}
	}
}

// broadcastD returns a vector of copies of 32 bits in memory.
func broadcastD(m Mem) reg.VecVirtual {
	x := YMM()
	VPBROADCASTD(m, x)
	return x
}

// binaryU8 starts a kernel of two sources and returns the fields of its last
// parameter and the rounding that they tell.
func binaryU8(name string) (args, *rounding) {
	declare("binaryU8", "BinaryU8")
	byteKernel(name, "func(dst, a, b *uint8, n int, p *binaryU8)", "is ref.U8"+name+" for n elements, at least 8.")
	p := fields(param("p"), "BinaryU8")
	r := newRounding(broadcastD(p.field("Max")), broadcastD(p.field("Zero")))
	r.limit(broadcastD(p.field("Min")))
	return p, r
}

var twoSources = []run{{"a", 1}, {"b", 1}}

func addU8() {
	p, r := binaryU8("Add")
	var zero, scale [2]reg.VecVirtual
	for i, c := range []string{"A", "B"} {
		zero[i], scale[i] = broadcastD(p.field("Zero"+c)), broadcastD(p.field(c))
	}
	runs(run{"dst", 1}, twoSources, []int{32, 8}, r.eights(twoSources, func(at func(i int) Mem) reg.VecVirtual {
		x := ymms(2)
		for i := range x {
			VPMOVZXBD(at(i), x[i])
			VPSUBD(zero[i], x[i], x[i])
			VCVTDQ2PS(x[i], x[i])
			VMULPS(scale[i], x[i], x[i])
		}
		VADDPS(x[1], x[0], x[0])
		return x[0]
	}))
}

func mulU8() {
	p, r := binaryU8("Mul")
	var zero [2]reg.VecVirtual
	for i, c := range []string{"A", "B"} {
		zero[i] = broadcastD(p.field("Zero" + c))
	}
	scale := broadcastD(p.field("A"))
	runs(run{"dst", 1}, twoSources, []int{32, 8}, r.eights(twoSources, func(at func(i int) Mem) reg.VecVirtual {
		// The differences are in the low words, the high words are 0.
		x := ymms(2)
		for i := range x {
			VPMOVZXBD(at(i), x[i])
			VPSUBW(zero[i], x[i], x[i])
		}
		VPMADDWD(x[1], x[0], x[0])
		VCVTDQ2PS(x[0], x[0])
		VMULPS(scale, x[0], x[0])
		return x[0]
	}))
}

func toU8() {
	byteKernel("FromF32", "func(dst *uint8, src *float32, n int, scale, top float32, zero int32)",
		"is ref.F32ToU8 for n elements, at least 8, where top is 255 - zero.")
	scale, top := broadcast("scale"), broadcast("top")
	zero := YMM()
	VMOVD(param("zero").As32(), zero.AsX())
	VPBROADCASTD(zero.AsX(), zero)
	r := newRounding(top, zero)
	sources := []run{{"src", 4}}
	runs(run{"dst", 1}, sources, []int{32, 8}, r.eights(sources, func(at func(i int) Mem) reg.VecVirtual {
		x := YMM()
		VMOVUPS(at(0), x)
		VDIVPS(scale, x, x)
		return x
	}))
}

func fromU8() {
	byteKernel("ToF32", "func(dst *float32, src *uint8, n int, scale float32, zero int32)",
		"is ref.U8ToF32 for n elements, at least 8.")
	scale, zero := broadcast("scale"), YMM()
	VMOVD(param("zero").As32(), zero.AsX())
	VPBROADCASTD(zero.AsX(), zero)
	runs(run{"dst", 4}, []run{{"src", 1}}, []int{32, 8}, func(count int, at func(i int) Mem) []piece {
		var out []piece
		for v := range count / 8 {
			x := YMM()
			VPMOVZXBD(at(0).Offset(8*v), x)
			VPSUBD(zero, x, x)
			VCVTDQ2PS(x, x)
			VMULPS(scale, x, x)
			out = append(out, piece{x, 32})
		}
		return out
	})
}

// tableU8 picks by the low four bits of an index from each of the 16 rows of 16
// that the table is, then by each of the high bits between two of what is left.
func tableU8() {
	byteKernel("Table", "func(dst, src *uint8, n int, table *[256]uint8)", "is ref.U8Table for n elements, at least 16.")
	table := param("table")
	low := filled(0x0f0f0f0f)
	runs(run{"dst", 1}, []run{{"src", 1}}, []int{32, 16}, func(count int, at func(i int) Mem) []piece {
		l := lookup{wide: count == 32, table: table, index: YMM(), bit: [4]reg.VecVirtual(ymms(4))}
		x := l.of(l.bit[3])
		VMOVDQU(at(0), x)
		VPAND(l.of(low), x, l.of(l.index))
		for i := range 3 {
			VPSLLW(U8(3-i), x, l.of(l.bit[i]))
		}
		return []piece{{l.pick(0, 3), count}}
	})
}

// lookup is a vector of indices: the low four bits, and vectors with bits 4 to
// 7 as the signs of bytes.
type lookup struct {
	wide  bool
	table reg.GPVirtual
	index reg.VecVirtual
	bit   [4]reg.VecVirtual
}

// of returns as much of a register as the vector takes.
func (l *lookup) of(x reg.VecVirtual) Op {
	if l.wide {
		return x
	}
	return x.AsX()
}

// pick returns what the rows of the table from one on hold that differ in bits
// up to the given one.
func (l *lookup) pick(row, bit int) reg.VecVirtual {
	if bit < 0 {
		y := YMM()
		VBROADCASTI128(Mem{Base: l.table, Disp: 16 * row}, y)
		VPSHUFB(l.of(l.index), l.of(y), l.of(y))
		return y
	}
	y := l.pick(row, bit-1)
	z := l.pick(row+1<<bit, bit-1)
	VPBLENDVB(l.of(l.bit[bit]), l.of(z), l.of(y), l.of(y))
	return y
}

// poolsU8 generates the poolings of uint8.
func poolsU8() {
	maxPoolU8()
	avgPoolU8()
}

// poolU8 is the state of a pooling being generated.
type poolU8 struct {
	args
	in, off, taps, out, size, c reg.GPVirtual
	tap, rel                    reg.GPVirtual
}

// generate emits the loops: blocks of channels, outermost, and pixels. block
// returns the bytes of a pixel in pieces. What is left behind the last of the
// widths, in falling order down to 32, is a block of 32 or 16 that overlaps the one
// before, or, where there is none, one of which a part is stored: it reads up to
// 15 bytes behind the channels.
func (w *poolU8) generate(widths []int, begin, pixel func(), block func(name string, channels int) []piece) {
	w.in, w.taps, w.size = w.load("In"), w.load("Taps"), w.load("C")
	w.off, w.out, w.c, w.tap, w.rel = GP64(), GP64(), GP64(), GP64(), GP64()
	pixels := func(name string, channels int, put func([]piece)) {
		MOVQ(w.field("Offsets"), w.off)
		MOVQ(w.field("Out"), w.out)
		ADDQ(w.c, w.out)
		begin()
		left := w.load("Pixels")
		JMP(LabelRef(name + "PixelTest"))
		Label(name + "Pixel")
		put(block(name, channels))
		LEAQ(Mem{Base: w.off, Index: w.taps, Scale: 4}, w.off)
		ADDQ(w.field("OutStride"), w.out)
		pixel()
		DECQ(left)
		Label(name + "PixelTest")
		TESTQ(left, left)
		JNZ(LabelRef(name + "Pixel"))
	}
	whole := func(name string, channels int) {
		pixels(name, channels, func(p []piece) { store(p, w.out) })
	}
	XORQ(w.c, w.c)
	end := GP64()
	for _, n := range widths {
		name := fmt.Sprintf("block%d", n)
		Label(name)
		LEAQ(Mem{Base: w.c, Disp: n}, end)
		CMPQ(end, w.size)
		JGT(LabelRef(name + "End"))
		whole(name, n)
		ADDQ(U32(n), w.c)
		JMP(LabelRef(name))
		Label(name + "End")
	}
	CMPQ(w.c, w.size)
	JGE(LabelRef("done"))
	LEAQ(Mem{Base: w.c, Disp: 16}, end)
	CMPQ(end, w.size)
	JGE(LabelRef("upTo16"))
	CMPQ(w.size, U8(32))
	JLT(LabelRef("few32"))
	LEAQ(Mem{Base: w.size, Disp: -32}, w.c)
	JMP(LabelRef("block32"))
	Label("few32")
	pixels("few32", 32, func(p []piece) { w.storeFew("few32", p[0]) })
	JMP(LabelRef("done"))
	Label("upTo16")
	CMPQ(w.size, U8(16))
	JLT(LabelRef("few16"))
	LEAQ(Mem{Base: w.size, Disp: -16}, w.c)
	whole("last16", 16)
	JMP(LabelRef("done"))
	Label("few16")
	pixels("few16", 16, func(p []piece) { w.storeFew("few16", p[0]) })
	Label("done")
	VZEROUPPER()
	RET()
}

// storeFew stores the first bytes of a piece, as many as there are channels.
func (w *poolU8) storeFew(name string, p piece) {
	x, to := p.x.AsX(), GP64()
	MOVQ(w.out, to)
	if p.bytes == 32 { // there are more than 16
		VMOVDQU(x, Mem{Base: to})
		VEXTRACTI128(U8(1), p.x, x)
		ADDQ(U8(16), to)
	}
	for n := 8; n > 0; n /= 2 {
		next := fmt.Sprintf("%sStore%d", name, n)
		TESTQ(U32(n), w.size)
		JZ(LabelRef(next))
		switch m := (Mem{Base: to}); n {
		case 8:
			VMOVQ(x, m)
		case 4:
			VMOVD(x, m)
		case 2:
			VPEXTRW(U8(0), x, m)
		default:
			VPEXTRB(U8(0), x, m)
		}
		if n > 1 {
			VPSRLDQ(U8(n), x, x)
			ADDQ(U8(n), to)
		}
		Label(next)
	}
}

// eachTap emits a loop over the taps from t up to end; body finds the block's
// channels at w.tap.
func (w *poolU8) eachTap(name string, t, end reg.GPVirtual, body func()) {
	JMP(LabelRef(name + "Test"))
	Label(name + "Tap")
	MOVLQSX(Mem{Base: w.off, Index: t, Scale: 4}, w.rel)
	INCQ(t)
	TESTQ(w.rel, w.rel)
	JLT(LabelRef(name + "Test"))
	LEAQ(Mem{Base: w.in, Index: w.rel, Scale: 1}, w.tap)
	body()
	Label(name + "Test")
	CMPQ(t, end)
	JLT(LabelRef(name + "Tap"))
}

func (w *poolU8) source(disp int) Mem { return Mem{Base: w.tap, Index: w.c, Scale: 1, Disp: disp} }

func maxPoolU8() {
	w := &poolU8{args: text("u8MaxPool"+target.suffix, "poolQ8", "PoolQ8", "u8MaxPool"+target.suffix+" is ref.U8MaxPool.")}
	none := func() {}
	w.generate([]int{128, 64, 32}, none, none, func(name string, channels int) []piece {
		var acc []piece
		for range max(1, channels/32) {
			acc = append(acc, piece{zeroed(), min(channels, 32)})
		}
		t := GP64()
		XORQ(t, t)
		w.eachTap(name, t, w.taps, func() {
			for v, p := range acc {
				if p.bytes == 16 {
					VPMAXUB(w.source(0), p.x.AsX(), p.x.AsX())
				} else {
					VPMAXUB(w.source(32*v), p.x, p.x)
				}
			}
		})
		return acc
	})
}

func avgPoolU8() {
	w := &poolU8{args: text("u8AvgPool"+target.suffix, "poolQ8", "PoolQ8", "u8AvgPool"+target.suffix+" is ref.U8AvgPool.",
		"Up to 256 taps are added up in 16 bits.")}
	r := newRounding(broadcastD(w.field("Max")), broadcastD(w.field("Zero")))
	r.limit(broadcastD(w.field("Min")))
	scale := GP64()
	begin := func() { MOVQ(w.field("Scale"), scale) }
	w.generate([]int{32}, begin, func() { ADDQ(U8(4), scale) }, func(name string, channels int) []piece {
		narrow, wide := ymms(channels/16), ymms(channels/8)
		for _, x := range wide {
			VPXOR(x, x, x)
		}
		t, end, n := GP64(), GP64(), GP64()
		XORQ(t, t)
		XORQ(n, n)
		Label(name + "Sums")
		for _, x := range narrow {
			VPXOR(x, x, x)
		}
		LEAQ(Mem{Base: t, Disp: 256}, end)
		CMPQ(end, w.taps)
		CMOVQGT(w.taps, end)
		w.eachTap(name, t, end, func() {
			INCQ(n)
			for v, sum := range narrow {
				x := YMM()
				VPMOVZXBW(w.source(16*v), x)
				VPADDW(x, sum, sum)
			}
		})
		for v, sum := range narrow {
			x := YMM()
			VPMOVZXWD(sum.AsX(), x)
			VPADDD(x, wide[2*v], wide[2*v])
			VEXTRACTI128(U8(1), sum, x.AsX())
			VPMOVZXWD(x.AsX(), x)
			VPADDD(x, wide[2*v+1], wide[2*v+1])
		}
		CMPQ(t, w.taps)
		JLT(LabelRef(name + "Sums"))
		IMULL(w.field("ZeroA"), n.As32())
		zeros, factor := YMM(), YMM()
		VMOVD(n.As32(), zeros.AsX())
		VPBROADCASTD(zeros.AsX(), zeros)
		VBROADCASTSS(Mem{Base: scale}, factor)
		for _, x := range wide {
			VPSUBD(zeros, x, x)
			VCVTDQ2PS(x, x)
			VMULPS(factor, x, x)
			r.round(x)
		}
		return []piece{{r.narrow(wide), channels}}
	})
}
