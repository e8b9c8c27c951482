package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dwPixels is the number of output pixels that share the loads of the weights:
// their accumulators, three vectors of weights and what interleaving takes fill
// 16 registers.
const dwPixels = 2

// dwVNNI is the state of the depthwise kernel being generated. Four taps are
// interleaved byte by byte, which puts the channels of each half of a register
// in order, four by four; packing the results undoes it.
type dwVNNI struct {
	args    args
	c       reg.GPVirtual // first channel of the block
	size    Mem           // bytes of the addresses of a pixel
	stride  Mem           // bytes of a row of weights
	end     Mem           // of the addresses
	first   Mem           // the first output pixel of the addresses
	state   Mem           // the next pixel's offsets, output, and the number of pixels left
	floats  Mem           // a pixel's results, of which some are missing
	scratch Mem           // addresses of taps
}

// dwconvVNNI generates the depthwise kernel.
func dwconvVNNI() {
	encodeVEX()
	name := q8VNNI[target.wide].name("Dwconv")
	d := &dwVNNI{args: textAttr(0, name, "dwconvQ8", "DwconvQ8",
		name+" computes a run of output pixels of a depthwise convolution, with weights",
		"in groups of 4:",
		"",
		"\tfor p := range a.Pixels { for c := range a.C {",
		"\t\tacc := bias[c]",
		"\t\tfor t := range a.Taps {",
		"\t\t\tacc += In(p,t)[c] · W[t][c]",
		"\t\t}",
		"\t\tOut[p][c] = round(clamp(acc·scale[c], Min, Max)) + Zero, or a float32",
		"\t} }")}
	d.scratch, d.state, d.floats = AllocLocal(dwScratch), AllocLocal(8*3), AllocLocal(128)
	for _, m := range []*Mem{&d.size, &d.stride, &d.end, &d.first} {
		*m = AllocLocal(8)
	}
	d.c = GP64()
	for i, f := range []string{"Offsets", "Out", "Pixels"} {
		MOVQ(d.args.load(f), d.state.Offset(8*i))
	}
	size, stride := d.args.load("Taps"), d.args.load("C")
	ADDQ(U8(3), size)
	ANDQ(I8(-4), size)
	SHLQ(U8(3), size)
	MOVQ(size, d.size)
	ADDQ(U8(15), stride)
	ANDQ(I8(-16), stride)
	SHLQ(U8(2), stride)
	MOVQ(stride, d.stride)

	Label("strip")
	CMPQ(d.state.Offset(16), U8(dwPixels))
	JLT(LabelRef("singles"))
	CMPQ(d.size, U32(dwScratch/dwPixels))
	JGT(LabelRef("singles"))
	d.records()
	d.blocks("group", d.group)
	JMP(LabelRef("strip"))
	Label("singles")
	CMPQ(d.state.Offset(16), U8(0))
	JLE(LabelRef("end"))
	d.blocks("single", d.single)
	Label("end")
	VZEROUPPER()
	RET()
}

// records fills the scratch memory with the addresses of the taps of the next
// pixels and moves the state past them.
func (d *dwVNNI) records() {
	rec, off, left, out := GP64(), GP64(), GP64(), GP64()
	MOVQ(d.state, off)
	MOVQ(d.state.Offset(8), out)
	MOVQ(out, d.first)
	MOVQ(d.state.Offset(16), left)
	LEAQ(d.scratch, rec)
	Label("record")
	room := GP64()
	LEAQ(d.scratch.Offset(dwScratch), room)
	SUBQ(d.size, room)
	SUBQ(d.size, room)
	CMPQ(rec, room)
	JGT(LabelRef("recordsEnd"))
	CMPQ(left, U8(dwPixels))
	JLT(LabelRef("recordsEnd"))
	for i := range dwPixels {
		d.addresses(fmt.Sprintf("address%d", i), off, rec)
		ADDQ(d.args.field("OutStride"), out)
	}
	SUBQ(U8(dwPixels), left)
	JMP(LabelRef("record"))
	Label("recordsEnd")
	MOVQ(rec, d.end)
	MOVQ(off, d.state)
	MOVQ(out, d.state.Offset(8))
	MOVQ(left, d.state.Offset(16))
}

// addresses stores the addresses of a pixel's taps, and the last one again up to
// a whole group, and moves off and to past them.
func (d *dwVNNI) addresses(label string, off, to reg.GPVirtual) {
	in, p, t, last := d.args.load("In"), GP64(), d.args.load("Taps"), GP64()
	MOVQ(to, last)
	ADDQ(d.size, last)
	TESTQ(t, t)
	JZ(LabelRef(label + "End"))
	Label(label)
	MOVLQSX(Mem{Base: off}, p)
	TESTQ(p, p)
	LEAQ(Mem{Base: in, Index: p, Scale: 1}, p)
	CMOVQLT(d.args.field("ZeroA"), p)
	MOVQ(p, Mem{Base: to})
	ADDQ(U8(4), off)
	ADDQ(U8(8), to)
	DECQ(t)
	JNZ(LabelRef(label))
	JMP(LabelRef(label + "Test"))
	Label(label + "Fill")
	MOVQ(p, Mem{Base: to})
	ADDQ(U8(8), to)
	Label(label + "Test")
	CMPQ(to, last)
	JLT(LabelRef(label + "Fill"))
	Label(label + "End")
}

// dwVNNIBlock is one block of channels: 32, of which at most 15 may be missing,
// or 16.
type dwVNNIBlock struct {
	name     string
	channels int
	// Values of the block being generated.
	rest reg.GPVirtual // channels from c on
	w    reg.GPVirtual // weights of the group of taps
}

// vec returns a new register for a byte of every channel.
func (b *dwVNNIBlock) vec() reg.VecVirtual {
	if b.channels == 32 {
		return YMM()
	}
	return XMM()
}

// quads sets x to group i of four 32-bit values in each half of a block that
// starts at m.
func (b *dwVNNIBlock) quads(m Mem, i int, x reg.VecVirtual) {
	if b.channels == 32 {
		VBROADCASTI128(m.Offset(16*i), x)
		VINSERTI128(U8(1), m.Offset(64+16*i), x, x)
		return
	}
	VMOVDQU(m.Offset(16*i), x)
}

// blocks emits the loops over the blocks of channels.
func (d *dwVNNI) blocks(prefix string, emit func(b *dwVNNIBlock)) {
	XORQ(d.c, d.c)
	Label(prefix + "Blocks")
	rest := d.rest()
	CMPQ(rest, U8(16))
	JLE(LabelRef(prefix + "Last"))
	emit(&dwVNNIBlock{name: prefix + "32", channels: 32})
	ADDQ(U8(32), d.c)
	JMP(LabelRef(prefix + "Blocks"))
	Label(prefix + "Last")
	CMPQ(rest, U8(0))
	JLE(LabelRef(prefix + "Done"))
	emit(&dwVNNIBlock{name: prefix + "16", channels: 16})
	Label(prefix + "Done")
}

// rest returns the number of channels from c on.
func (d *dwVNNI) rest() reg.GPVirtual {
	n := d.args.load("C")
	SUBQ(d.c, n)
	return n
}

// start returns accumulators that hold the biases, and sets the pointer to the
// weights.
func (d *dwVNNI) start(b *dwVNNIBlock, pixels int) [][4]reg.VecVirtual {
	b.w = d.args.load("W")
	LEAQ(Mem{Base: b.w, Index: d.c, Scale: 4}, b.w)
	acc := make([][4]reg.VecVirtual, pixels)
	for p := range acc {
		for i := range acc[p] {
			acc[p][i] = b.vec()
			if p == 0 {
				b.quads(Mem{Base: b.w}, i, acc[p][i])
			} else {
				VMOVDQA(acc[0][i], acc[p][i])
			}
		}
	}
	ADDQ(d.stride, b.w)
	ADDQ(d.stride, b.w)
	return acc
}

// taps adds the products of a group of four taps, whose addresses at returns,
// and moves to the next row of weights.
func (d *dwVNNI) taps(b *dwVNNIBlock, acc [][4]reg.VecVirtual, at func(pixel, tap int) reg.GPVirtual) {
	var w [3]reg.VecVirtual
	for i := range w {
		w[i] = b.vec()
		b.quads(Mem{Base: b.w}, i, w[i])
	}
	for p, sums := range acc {
		pair := func(tap int) (low, high reg.VecVirtual) {
			x, y, low := b.vec(), b.vec(), b.vec()
			VMOVDQU(Mem{Base: at(p, tap), Index: d.c, Scale: 1}, x)
			VMOVDQU(Mem{Base: at(p, tap+1), Index: d.c, Scale: 1}, y)
			VPUNPCKLBW(y, x, low)
			VPUNPCKHBW(y, x, x)
			return low, x
		}
		low, high := pair(0)
		low2, high2 := pair(2)
		x := b.vec()
		VPUNPCKLWD(low2, low, x)
		dot4(w[0], x, sums[0])
		VPUNPCKHWD(low2, low, low)
		dot4(w[1], low, sums[1])
		x = b.vec()
		VPUNPCKLWD(high2, high, x)
		dot4(w[2], x, sums[2])
		VPUNPCKHWD(high2, high, high)
		x = b.vec()
		b.quads(Mem{Base: b.w}, 3, x)
		dot4(x, high, sums[3])
	}
	ADDQ(d.stride, b.w)
}

// group emits the loop over the groups of pixels whose addresses are known.
func (d *dwVNNI) group(b *dwVNNIBlock) {
	rec, second, out, t := GP64(), GP64(), GP64(), GP64()
	LEAQ(d.scratch, rec)
	MOVQ(d.first, out)
	Label(b.name + "Pixels")
	acc := d.start(b, dwPixels)
	MOVQ(d.size, t)
	MOVQ(rec, second)
	ADDQ(t, second)
	JMP(LabelRef(b.name + "TapTest"))
	Label(b.name + "Tap")
	d.taps(b, acc, func(pixel, tap int) reg.GPVirtual {
		p := GP64()
		MOVQ(Mem{Base: []reg.GPVirtual{rec, second}[pixel], Disp: 8 * tap}, p)
		return p
	})
	ADDQ(U8(32), rec)
	ADDQ(U8(32), second)
	SUBQ(U8(32), t)
	Label(b.name + "TapTest")
	TESTQ(t, t)
	JNZ(LabelRef(b.name + "Tap"))
	MOVQ(second, rec)
	d.finish(b, acc, out)
	CMPQ(rec, d.end)
	JLT(LabelRef(b.name + "Pixels"))
}

// single emits the loop over the pixels that are left, which looks the addresses
// up.
func (d *dwVNNI) single(b *dwVNNIBlock) {
	off, out, left, t := GP64(), GP64(), GP64(), GP64()
	MOVQ(d.state, off)
	MOVQ(d.state.Offset(8), out)
	MOVQ(d.state.Offset(16), left)
	Label(b.name + "Pixels")
	acc := d.start(b, 1)
	XORQ(t, t)
	JMP(LabelRef(b.name + "TapTest"))
	Label(b.name + "Tap")
	d.taps(b, acc, func(_, tap int) reg.GPVirtual {
		last, p := d.args.load("Taps"), GP64()
		DECQ(last)
		LEAQ(Mem{Base: t, Disp: tap}, p)
		CMPQ(p, last)
		CMOVQGT(last, p)
		MOVLQSX(Mem{Base: off, Index: p, Scale: 4}, p)
		TESTQ(p, p)
		MOVQ(d.args.field("In"), last)
		LEAQ(Mem{Base: last, Index: p, Scale: 1}, p)
		CMOVQLT(d.args.field("ZeroA"), p)
		return p
	})
	ADDQ(U8(4), t)
	Label(b.name + "TapTest")
	CMPQ(t, d.args.field("Taps"))
	JLT(LabelRef(b.name + "Tap"))
	MOVQ(d.args.field("Taps"), t)
	LEAQ(Mem{Base: off, Index: t, Scale: 4}, off)
	d.finish(b, acc, out)
	DECQ(left)
	JNZ(LabelRef(b.name + "Pixels"))
}

// finish turns sums into results, stores them and moves out to the next pixel.
func (d *dwVNNI) finish(b *dwVNNIBlock, acc [][4]reg.VecVirtual, out reg.GPVirtual) {
	b.rest = d.rest()
	scale, lo, hi := d.args.load("W"), b.vec(), b.vec()
	LEAQ(Mem{Base: scale, Index: d.c, Scale: 4}, scale)
	ADDQ(d.stride, scale)
	VBROADCASTSS(d.args.field("Min"), lo)
	VBROADCASTSS(d.args.field("Max"), hi)
	for i := range 4 {
		s := b.vec()
		b.quads(Mem{Base: scale}, i, s)
		for _, sums := range acc {
			x := sums[i]
			VCVTDQ2PS(x, x)
			VMULPS(s, x, x)
			clampVec(x, lo, hi)
		}
	}
	CMPL(d.args.field("Float"), U8(0))
	JNE(LabelRef(b.name + "Float"))
	zero := b.vec()
	VPBROADCASTW(d.args.field("Zero"), zero)
	for p, x := range acc {
		for _, v := range x {
			VCVTPS2DQ(v, v)
		}
		for i := 0; i < 4; i += 2 {
			VPACKSSDW(x[i+1], x[i], x[i])
			VPADDW(zero, x[i], x[i])
		}
		VPACKUSWB(x[2], x[0], x[0])
		d.storeBytes(b, fmt.Sprintf("%sBytes%d", b.name, p), x[0], out)
		ADDQ(d.args.field("OutStride"), out)
	}
	JMP(LabelRef(b.name + "Stored"))
	Label(b.name + "Float")
	for p, x := range acc {
		d.storeFloats(b, fmt.Sprintf("%sFloats%d", b.name, p), x, out)
		ADDQ(d.args.field("OutStride"), out)
	}
	Label(b.name + "Stored")
}

// storeBytes stores a pixel's bytes, which are those of x.
func (d *dwVNNI) storeBytes(b *dwVNNIBlock, label string, x reg.VecVirtual, out reg.GPVirtual) {
	to, n := GP64(), GP64()
	LEAQ(Mem{Base: out, Index: d.c, Scale: 1}, to)
	CMPQ(b.rest, U8(b.channels))
	JLT(LabelRef(label + "Part"))
	VMOVDQU(x, Mem{Base: to})
	JMP(LabelRef(label + "Done"))
	Label(label + "Part")
	MOVQ(b.rest, n)
	if b.channels == 32 {
		VMOVDQU(x.AsX(), Mem{Base: to})
		VEXTRACTI128(U8(1), x, x.AsX())
		ADDQ(U8(16), to)
		SUBQ(U8(16), n)
	}
	storeByteBits(label, []reg.VecVirtual{x}, []reg.GPVirtual{to}, n, 16)
	Label(label + "Done")
}

// storeFloats stores a pixel's float32 numbers.
func (d *dwVNNI) storeFloats(b *dwVNNIBlock, label string, x [4]reg.VecVirtual, out reg.GPVirtual) {
	store := func(to Mem) {
		for i, v := range x {
			VMOVUPS(v.AsX(), to.Offset(16*i))
			if b.channels == 32 {
				VEXTRACTI128(U8(1), v, to.Offset(64+16*i))
			}
		}
	}
	to, from, n, word := GP64(), GP64(), GP64(), GP32()
	LEAQ(Mem{Base: out, Index: d.c, Scale: 4}, to)
	CMPQ(b.rest, U8(b.channels))
	JLT(LabelRef(label + "Part"))
	store(Mem{Base: to})
	JMP(LabelRef(label + "Done"))
	Label(label + "Part")
	store(d.floats)
	MOVQ(b.rest, n)
	LEAQ(d.floats, from)
	Label(label + "Word")
	MOVL(Mem{Base: from}, word)
	MOVL(word, Mem{Base: to})
	ADDQ(U8(4), from)
	ADDQ(U8(4), to)
	DECQ(n)
	JNZ(LabelRef(label + "Word"))
	Label(label + "Done")
}
