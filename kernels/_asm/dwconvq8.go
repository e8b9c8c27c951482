package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dwChunk is how many pairs of taps are summed as int16: 16 products of 255 and
// 8 are less than 2^15.
const dwChunk = 8

// dwQ8 is the state of the depthwise kernel being generated. Two taps are
// interleaved byte by byte and multiplied with pairs of weights, whose 16's and
// units are summed apart, as int16, by VPMADDUBSW: half the shuffles of widening
// the taps, and as many products. Addresses of taps are computed for as many
// pixels as fit the scratch memory, for all blocks of channels to use.
type dwQ8 struct {
	args    args
	rec     reg.GPVirtual // the pixel's addresses
	c       reg.GPVirtual // first channel of the block
	w       reg.GPVirtual // weights of the block
	bias    reg.GPVirtual
	pairs   Mem
	size    Mem // bytes of the addresses of a pixel
	end     Mem // of the addresses
	first   Mem // the first output pixel of the addresses
	rest    Mem // channels from c on
	width   Mem // bytes from a bias to its scale
	state   Mem // the next pixel's offsets, output, and the number of pixels left
	scratch Mem
}

// dwconvQ8 generates the depthwise kernel.
func dwconvQ8() {
	name := q8Pairs.name("Dwconv")
	d := &dwQ8{args: textAttr(0, name, "dwconvQ8", "DwconvQ8",
		name+" computes a run of output pixels of a depthwise convolution, with weights",
		"in groups of 2:",
		"",
		"\tfor p := range a.Pixels { for c := range a.C {",
		"\t\tacc := bias[c]",
		"\t\tfor t := range a.Taps {",
		"\t\t\tacc += In(p,t)[c] · W[t][c]",
		"\t\t}",
		"\t\tOut[p][c] = round(clamp(acc·scale[c], Min, Max)) + Zero, or a float32",
		"\t} }")}
	d.scratch, d.state = AllocLocal(dwScratch+8), AllocLocal(8*3)
	d.rec, d.c, d.w, d.bias = GP64(), GP64(), GP64(), GP64()
	for _, m := range []*Mem{&d.pairs, &d.size, &d.end, &d.first, &d.rest, &d.width} {
		*m = AllocLocal(8)
	}
	for i, f := range []string{"Offsets", "Out", "Pixels"} {
		MOVQ(d.args.load(f), d.state.Offset(8*i))
	}
	pairs := d.args.load("Taps")
	INCQ(pairs)
	SHRQ(U8(1), pairs)
	MOVQ(pairs, d.pairs)
	SHLQ(U8(4), pairs)
	MOVQ(pairs, d.size)

	Label("strip")
	CMPQ(d.state.Offset(16), U8(0))
	JE(LabelRef("end"))
	first := GP64()
	MOVQ(d.state.Offset(8), first)
	MOVQ(first, d.first)
	d.records()
	d.blocks()
	CMPQ(d.size, U32(dwScratch))
	JLE(LabelRef("strip"))
	stride := d.args.load("OutStride")
	ADDQ(stride, d.state.Offset(8))
	MOVQ(d.args.field("Taps"), stride)
	SHLQ(U8(2), stride)
	ADDQ(stride, d.state)
	DECQ(d.state.Offset(16))
	JMP(LabelRef("strip"))
	Label("end")
	VZEROUPPER()
	RET()
}

// records fills the scratch memory with the addresses of the taps of the next
// pixels and moves the state past them. Where those of one pixel do not fit, it
// does nothing.
func (d *dwQ8) records() {
	LEAQ(d.scratch, d.rec)
	off, left, last, size := GP64(), GP64(), GP64(), GP64()
	MOVQ(d.state, off)
	MOVQ(d.state.Offset(16), left)
	MOVQ(d.size, size)
	LEAQ(d.scratch.Offset(dwScratch), last)
	SUBQ(size, last)
	CMPQ(d.args.field("Taps"), U8(9))
	JNE(LabelRef("record"))
	nine := d.fourAddresses(off, d.rec)
	Label("recordNine")
	nine(0)
	nine(4)
	MOVQ(d.address(Mem{Base: off, Disp: 32}), Mem{Base: d.rec, Disp: 64})
	ADDQ(U8(4*9), off)
	ADDQ(size, d.rec)
	DECQ(left)
	JZ(LabelRef("recordsEnd"))
	CMPQ(d.rec, last)
	JLE(LabelRef("recordNine"))
	JMP(LabelRef("recordsEnd"))

	Label("record")
	CMPQ(d.rec, last)
	JGT(LabelRef("recordsEnd"))
	to, taps := GP64(), d.args.load("Taps")
	MOVQ(d.rec, to)
	d.addresses("record", off, to, taps)
	ADDQ(size, d.rec)
	DECQ(left)
	JNZ(LabelRef("record"))
	Label("recordsEnd")
	done := GP64()
	MOVQ(d.state.Offset(16), done)
	SUBQ(left, done)
	IMULQ(d.args.field("OutStride"), done)
	ADDQ(done, d.state.Offset(8))
	MOVQ(off, d.state)
	MOVQ(left, d.state.Offset(16))
	MOVQ(d.rec, d.end)
}

// fourAddresses returns a function that emits the storing of the addresses of
// taps i to i+3.
func (d *dwQ8) fourAddresses(off, to reg.GPVirtual) func(i int) {
	in, zero := YMM(), YMM()
	VPBROADCASTQ(d.args.field("In"), in)
	VPBROADCASTQ(d.args.field("ZeroA"), zero)
	return func(i int) {
		offsets, at := YMM(), YMM()
		VPMOVSXDQ(Mem{Base: off, Disp: 4 * i}, offsets)
		VPADDQ(in, offsets, at)
		VBLENDVPD(offsets, zero, at, at)
		VMOVDQU(at, Mem{Base: to, Disp: 8 * i})
	}
}

// address returns the address of the tap whose offset is at m.
func (d *dwQ8) address(m Mem) reg.GPVirtual {
	base, offset := d.args.load("In"), GP64()
	MOVLQSX(m, offset)
	ADDQ(offset, base)
	TESTQ(offset, offset)
	CMOVQLT(d.args.field("ZeroA"), base)
	return base
}

// addresses stores the addresses of taps, at least one; that of an odd last one
// twice, since its missing partner has no weight. off moves past the taps.
func (d *dwQ8) addresses(label string, off, to, taps reg.GPVirtual) {
	four := d.fourAddresses(off, to)
	JMP(LabelRef(label + "FourTest"))
	Label(label + "Four")
	four(0)
	ADDQ(U8(16), off)
	ADDQ(U8(32), to)
	Label(label + "FourTest")
	SUBQ(U8(4), taps)
	JGE(LabelRef(label + "Four"))
	ADDQ(U8(4), taps)
	JZ(LabelRef(label + "Addressed"))
	Label(label + "Address")
	p := d.address(Mem{Base: off})
	MOVQ(p, Mem{Base: to})
	ADDQ(U8(4), off)
	ADDQ(U8(8), to)
	DECQ(taps)
	JNZ(LabelRef(label + "Address"))
	MOVQ(p, Mem{Base: to})
	Label(label + "Addressed")
}

// blocks emits the loop over blocks of 32 channels, of which at most 15 may be
// missing, and a last one of 16.
func (d *dwQ8) blocks() {
	XORQ(d.c, d.c)
	MOVQ(d.args.field("W"), d.bias)
	width, size := d.args.load("C"), GP64()
	MOVQ(width, d.rest)
	ADDQ(U8(15), width)
	ANDQ(I8(-16), width)
	SHLQ(U8(2), width)
	MOVQ(width, d.width)
	LEAQ(Mem{Base: d.bias, Index: width, Scale: 2}, d.w)
	Label("block")
	CMPQ(d.rest, U8(16))
	JLE(LabelRef("half"))
	d.block(dwBlockQ8{"whole", 32})
	ADDQ(U8(32), d.c)
	ADDQ(U32(4*32), d.bias)
	MOVQ(d.size, size)
	LEAQ(Mem{Base: d.w, Index: size, Scale: 8}, d.w)
	SUBQ(U8(32), d.rest)
	JG(LabelRef("block"))
	JMP(LabelRef("blocksEnd"))
	Label("half")
	d.block(dwBlockQ8{"half", 16})
	Label("blocksEnd")
}

// dwBlockQ8 is one block of channels.
type dwBlockQ8 struct {
	name     string
	channels int
}

// vec returns a register for the block's channels of one tap.
func (b dwBlockQ8) vec() reg.VecVirtual {
	if b.channels == 32 {
		return YMM()
	}
	return XMM()
}

// view returns the part of a register that the block uses.
func (b dwBlockQ8) view(x reg.VecVirtual) Op {
	if b.channels == 32 {
		return x
	}
	return x.AsX()
}

// at returns vector i of some memory.
func (b dwBlockQ8) at(base reg.GPVirtual, i int) Mem { return Mem{Base: base, Disp: b.channels * i} }

// vecs returns four registers.
func (b dwBlockQ8) vecs() [4]reg.VecVirtual {
	return [4]reg.VecVirtual{b.vec(), b.vec(), b.vec(), b.vec()}
}

// block emits the loops over the pixels of the records.
func (d *dwQ8) block(b dwBlockQ8) {
	out := GP64()
	LEAQ(d.scratch, d.rec)
	MOVQ(d.first, out)
	CMPQ(d.args.field("Taps"), U8(9))
	JNE(LabelRef(b.name + "Any"))

	hi, toBytes := YMM(), newBytes(d.args)
	VBROADCASTSS(d.args.field("Max"), hi)
	Label(b.name + "Nine")
	sums := d.combine(b, d.nine(b))
	for i := range sums {
		VPADDD(b.at(d.bias, i), sums[i], sums[i])
	}
	d.store(b, b.name+"Nine", sums, hi, toBytes, out)
	ADDQ(d.args.field("OutStride"), out)
	ADDQ(d.size, d.rec)
	CMPQ(d.rec, d.end)
	JLT(LabelRef(b.name + "Nine"))
	JMP(LabelRef(b.name + "End"))

	Label(b.name + "Any")
	sums = b.vecs()
	for i := range sums {
		VMOVDQU(b.at(d.bias, i), sums[i])
	}
	d.chunks(b, sums)
	// In registers, these would leave too few to the sums.
	hi = YMM()
	VBROADCASTSS(d.args.field("Max"), hi)
	d.store(b, b.name+"Any", sums, hi, newBytes(d.args), out)
	ADDQ(d.args.field("OutStride"), out)
	ADDQ(d.size, d.rec)
	CMPQ(d.rec, d.end)
	JLT(LabelRef(b.name + "Any"))
	Label(b.name + "End")
}

// tap returns the block's channels of a tap.
func (d *dwQ8) tap(b dwBlockQ8, from reg.GPVirtual, i int) reg.VecVirtual {
	x, p := b.vec(), GP64()
	MOVQ(Mem{Base: from, Disp: 8 * i}, p)
	VMOVDQU(Mem{Base: p, Index: d.c, Scale: 1}, x)
	return x
}

// add adds the products of the pair of taps x and y with weights i to acc, or
// sets them. The 16's come first, then the units.
func (d *dwQ8) add(b dwBlockQ8, acc [4]reg.VecVirtual, x, y reg.VecVirtual, w reg.GPVirtual, i int, set bool) {
	lo, hi := b.vec(), b.vec()
	VPUNPCKLBW(y, x, lo)
	VPUNPCKHBW(y, x, hi)
	var products [4]reg.VecVirtual
	for j := range products {
		products[j] = acc[j]
		if !set {
			products[j] = b.vec()
		}
		VPMADDUBSW(b.at(w, 4*i+j), []reg.VecVirtual{lo, hi}[j%2], products[j])
	}
	if !set {
		for j, p := range products {
			VPADDW(p, acc[j], acc[j])
		}
	}
}

// nine returns the sums of products of nine taps.
func (d *dwQ8) nine(b dwBlockQ8) [4]reg.VecVirtual {
	acc := b.vecs()
	for i := range 4 {
		d.add(b, acc, d.tap(b, d.rec, 2*i), d.tap(b, d.rec, 2*i+1), d.w, i, i == 0)
	}
	last := d.tap(b, d.rec, 8)
	d.add(b, acc, last, last, d.w, 4, false)
	return acc
}

// combine returns the int32 sums of 16's and units.
func (d *dwQ8) combine(b dwBlockQ8, acc [4]reg.VecVirtual) [4]reg.VecVirtual {
	sums := b.vecs()
	for i := range 2 {
		tens, units := acc[i], acc[2+i]
		VPUNPCKLWD(tens, units, sums[2*i])
		VPUNPCKHWD(tens, units, sums[2*i+1])
	}
	for _, s := range sums {
		VPMADDWD(splatBits(1|16<<16), s, s)
	}
	return sums
}

// chunks adds the products of all pairs of the pixel to sums. Where the addresses
// did not fit, it computes those of one chunk after the other.
func (d *dwQ8) chunks(b dwBlockQ8, sums [4]reg.VecVirtual) {
	from, w, left, n := GP64(), GP64(), GP64(), GP64()
	MOVQ(d.rec, from)
	MOVQ(d.w, w)
	MOVQ(d.pairs, left)
	Label(b.name + "Chunk")
	CMPQ(d.size, U32(dwScratch))
	JLE(LabelRef(b.name + "ChunkReady"))
	d.large(b, from, left)
	Label(b.name + "ChunkReady")
	MOVQ(U32(dwChunk), n)
	CMPQ(left, n)
	CMOVQLT(left, n)
	SUBQ(n, left)
	acc := b.vecs()
	for _, a := range acc {
		VPXOR(a, a, a)
	}
	Label(b.name + "Pair")
	d.add(b, acc, d.tap(b, from, 0), d.tap(b, from, 1), w, 0, false)
	ADDQ(U8(16), from)
	ADDQ(U32(4*b.channels), w)
	DECQ(n)
	JNZ(LabelRef(b.name + "Pair"))
	for i, s := range d.combine(b, acc) {
		VPADDD(s, sums[i], sums[i])
	}
	TESTQ(left, left)
	JNZ(LabelRef(b.name + "Chunk"))
}

// large sets from to the addresses of the next chunk of the taps of a pixel.
func (d *dwQ8) large(b dwBlockQ8, from, left reg.GPVirtual) {
	off, taps, to := GP64(), GP64(), GP64()
	// The taps before the chunk.
	MOVQ(d.pairs, to)
	SUBQ(left, to)
	ADDQ(to, to)
	MOVQ(d.state, off)
	LEAQ(Mem{Base: off, Index: to, Scale: 4}, off)
	MOVQ(d.args.field("Taps"), taps)
	SUBQ(to, taps)
	MOVQ(U32(2*dwChunk), to)
	CMPQ(taps, to)
	CMOVQGT(to, taps)
	LEAQ(d.scratch, from)
	MOVQ(from, to)
	d.addresses(b.name, off, to, taps)
}

// store turns sums into results and stores them at out + c.
func (d *dwQ8) store(b dwBlockQ8, label string, sums [4]reg.VecVirtual, hi reg.VecVirtual, toBytes bytes, out reg.GPVirtual) {
	scale := GP64()
	MOVQ(d.width, scale)
	ADDQ(d.bias, scale)
	for i, s := range sums {
		VCVTDQ2PS(s, s)
		VMULPS(b.at(scale, i), s, s)
		VMINPS(s, b.view(hi), s)
	}
	CMPL(d.args.field("Float"), U8(0))
	JNE(LabelRef(label + "Float"))
	if b.channels == 16 {
		toBytes.zero, toBytes.least = toBytes.zero.(reg.VecVirtual).AsX(), toBytes.least.(reg.VecVirtual).AsX()
	}
	toBytes.pack(sums[0], sums[1], sums[2], sums[3])
	p, n := GP64(), GP64()
	LEAQ(Mem{Base: out, Index: d.c, Scale: 1}, p)
	CMPQ(d.rest, U8(b.channels))
	JLT(LabelRef(label + "Partial"))
	VMOVDQU(sums[0], Mem{Base: p})
	JMP(LabelRef(label + "Stored"))
	Label(label + "Partial")
	MOVQ(d.rest, n)
	if b.channels == 32 {
		VMOVDQU(sums[0].AsX(), Mem{Base: p})
		VEXTRACTI128(U8(1), sums[0], sums[0].AsX())
		ADDQ(U8(16), p)
		SUBQ(U8(16), n)
	}
	storeByteBits(label+"Bytes", sums[:1], []reg.GPVirtual{p}, n, 16)
	JMP(LabelRef(label + "Stored"))
	d.storeFloats(b, label, sums, out)
	Label(label + "Stored")
}

// storeFloats stores results as float32.
func (d *dwQ8) storeFloats(b dwBlockQ8, label string, sums [4]reg.VecVirtual, out reg.GPVirtual) {
	Label(label + "Float")
	lo, p, n := YMM(), GP64(), GP64()
	VBROADCASTSS(d.args.field("Min"), lo)
	for _, s := range sums {
		VMAXPS(s, b.view(lo), s)
	}
	LEAQ(Mem{Base: out, Index: d.c, Scale: 4}, p)
	MOVQ(d.rest, n)
	if b.channels == 16 {
		d.storeQuads(label, sums, p, n)
		return
	}
	var inOrder [4]reg.VecVirtual
	for i := range 2 {
		inOrder[i], inOrder[2+i] = YMM(), YMM()
		VPERM2F128(U8(0x20), sums[2*i+1], sums[2*i], inOrder[i])
		VPERM2F128(U8(0x31), sums[2*i+1], sums[2*i], inOrder[2+i])
	}
	for i := range 2 {
		VMOVUPS(inOrder[i], Mem{Base: p, Disp: 32 * i})
	}
	ADDQ(U8(64), p)
	SUBQ(U8(16), n)
	CMPQ(n, U8(16))
	JLT(LabelRef(label + "PartialFloat"))
	for i, x := range inOrder[2:] {
		VMOVUPS(x, Mem{Base: p, Disp: 32 * i})
	}
	JMP(LabelRef(label + "Stored"))
	Label(label + "PartialFloat")
	storeBits(label+"Floats", [][]reg.VecVirtual{inOrder[2:]}, []reg.GPVirtual{p}, n)
}

// storeQuads stores the first n, at most 16, of four registers of 4 floats each.
func (d *dwQ8) storeQuads(label string, quads [4]reg.VecVirtual, p, n reg.GPVirtual) {
	CMPQ(n, U8(16))
	JLT(LabelRef(label + "PartialFloat"))
	for i, x := range quads {
		VMOVUPS(x, Mem{Base: p, Disp: 16 * i})
	}
	JMP(LabelRef(label + "Stored"))
	Label(label + "PartialFloat")
	TESTQ(U32(8), n)
	JZ(LabelRef(label + "Quads"))
	for i := range 2 {
		VMOVUPS(quads[i], Mem{Base: p, Disp: 16 * i})
		VMOVAPS(quads[2+i], quads[i])
	}
	ADDQ(U8(32), p)
	Label(label + "Quads")
	TESTQ(U32(4), n)
	JZ(LabelRef(label + "Quad"))
	VMOVUPS(quads[0], Mem{Base: p})
	VMOVAPS(quads[1], quads[0])
	ADDQ(U8(16), p)
	Label(label + "Quad")
	storePair(label+"Floats", quads[0], p, n)
}

// storePair stores the first n%4 floats of x.
func storePair(label string, x reg.VecVirtual, p, n reg.GPVirtual) {
	TESTQ(U32(2), n)
	JZ(LabelRef(label + "2"))
	VMOVLPS(x, Mem{Base: p})
	VMOVHLPS(x, x, x)
	ADDQ(U8(8), p)
	Label(label + "2")
	TESTQ(U32(1), n)
	JZ(LabelRef(label + "1"))
	VMOVSS(x, Mem{Base: p})
	Label(label + "1")
}

// u8ToI16 generates the conversion that makes A of q8Pairs.
func u8ToI16() {
	name := "u8ToI16" + q8Pairs.suffix
	TEXT(name, NOSPLIT, "func(dst *int16, src *uint8, n int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s converts n elements, n at least 16.", name))
	dst, src, n := GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("n"), n)
	SUBQ(U8(16), n)
	i := GP64()
	XORQ(i, i)
	JMP(LabelRef("test"))
	Label("loop")
	widen := func(i reg.GPVirtual) {
		x := YMM()
		VPMOVZXBW(Mem{Base: src, Index: i, Scale: 1}, x)
		VMOVDQU(x, Mem{Base: dst, Index: i, Scale: 2})
	}
	widen(i)
	ADDQ(U8(16), i)
	Label("test")
	CMPQ(i, n)
	JLT(LabelRef("loop"))
	// The last vector may overlap the one before.
	widen(n)
	VZEROUPPER()
	RET()
}

// windowsQ8 generates the depthwise kernel and the conversion to int16.
func windowsQ8() {
	dwconvQ8()
	u8ToI16()
}
