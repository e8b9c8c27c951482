package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// windows generates the kernels that slide a window of taps over
// channels-last data. They differ in how a block of channels starts, what a
// tap does and how the block ends.
func windows() {
	dwconv()
	maxPool()
	avgPool()
}

// window is the state of one kernel being generated.
type window struct {
	args args
	in   reg.GPVirtual // base of the offsets
	off  reg.GPVirtual // the pixel's row of the offset table
	taps reg.GPVirtual
	out  reg.GPVirtual // the output pixel
	size reg.GPVirtual // bytes of channels
	c    reg.GPVirtual // byte offset of the block
}

// block is the state of one block of channels.
type block struct {
	acc  []reg.VecVirtual
	mask *lanes        // of the channels that exist; nil where all do
	tap  reg.GPVirtual // element 0 of the tap's channels, less the block's offset
}

// source returns vector v of the tap's channels as an operand that may be
// read whole. Masked vectors are loaded into a register.
func (w *window) source(b *block, v int) Op {
	m := Mem{Base: b.tap, Index: w.c, Scale: 1, Disp: vecBytes * v}
	if b.mask == nil {
		return m
	}
	x := vec()
	load(m, b.mask, x)
	return x
}

// steps are the parts in which the kernels differ.
type steps struct {
	start func(w *window, b *block)
	// outside deals with a tap whose offset, just tested, is negative: it
	// sets b.tap or jumps to the label.
	outside func(w *window, b *block, next string)
	tap     func(w *window, b *block)
	end     func(w *window, b *block)
	// begin and pixel move the kernel's own pointers to the first and to the
	// next pixel.
	begin, pixel func()
}

// generate emits the loops: blocks of 4 to 1 vectors and one of the channels
// that are left, pixels, taps. Blocks are outermost so that the weights of a
// block stay in the first-level cache.
func (w *window) generate(s steps) {
	w.in, w.taps = w.args.load("In"), w.args.load("Taps")
	w.size, w.c = w.args.load("C"), GP64()
	w.off, w.out = GP64(), GP64()
	SHLQ(U8(2), w.size)
	XORQ(w.c, w.c)
	for _, vectors := range []int{4, 3, 2, 1} {
		name := fmt.Sprintf("block%d", vectors)
		end := GP64()
		Label(name)
		LEAQ(Mem{Base: w.c, Disp: vecBytes * vectors}, end)
		CMPQ(end, w.size)
		JGT(LabelRef(name + "End"))
		b := &block{acc: vecs(vectors)}
		w.pixels(name, b, s, func() {
			for v, x := range b.acc {
				VMOVUPS(x, Mem{Base: w.out, Index: w.c, Scale: 1, Disp: vecBytes * v})
			}
		})
		ADDQ(U32(vecBytes*vectors), w.c)
		JMP(LabelRef(name))
		Label(name + "End")
	}
	left := GP64()
	MOVQ(w.size, left)
	SUBQ(w.c, left)
	JZ(LabelRef("done"))
	SHRQ(U8(2), left)
	masks := laneMasks(left, 1)
	b := &block{acc: vecs(1), mask: masks[0]}
	w.pixels("rest", b, s, func() {
		p := GP64()
		LEAQ(Mem{Base: w.out, Index: w.c, Scale: 1}, p)
		MOVQ(w.size, left)
		SUBQ(w.c, left)
		SHRQ(U8(2), left)
		storeTail("store", [][]reg.VecVirtual{b.acc}, []reg.GPVirtual{p}, left, masks)
	})
	Label("done")
	VZEROUPPER()
	RET()
}

// pixels emits the loop over the pixels of one block.
func (w *window) pixels(name string, b *block, s steps, store func()) {
	MOVQ(w.args.field("Offsets"), w.off)
	MOVQ(w.args.field("Out"), w.out)
	if s.begin != nil {
		s.begin()
	}
	left := w.args.load("Pixels")
	JMP(LabelRef(name + "PixelTest"))
	Label(name + "Pixel")
	w.block(name, b, s)
	store()
	LEAQ(Mem{Base: w.off, Index: w.taps, Scale: 4}, w.off)
	ADDQ(w.args.field("OutStride"), w.out)
	if s.pixel != nil {
		s.pixel()
	}
	DECQ(left)
	Label(name + "PixelTest")
	TESTQ(left, left)
	JNZ(LabelRef(name + "Pixel"))
}

// block emits the loop over the taps of one block.
func (w *window) block(name string, b *block, s steps) {
	s.start(w, b)
	t, rel := GP64(), GP64()
	b.tap = GP64()
	XORQ(t, t)
	JMP(LabelRef(name + "Test"))
	Label(name + "Tap")
	MOVLQSX(Mem{Base: w.off, Index: t, Scale: 4}, rel)
	LEAQ(Mem{Base: w.in, Index: rel, Scale: 1}, b.tap)
	TESTQ(rel, rel)
	s.outside(w, b, name+"Next")
	s.tap(w, b)
	Label(name + "Next")
	INCQ(t)
	Label(name + "Test")
	CMPQ(t, w.taps)
	JLT(LabelRef(name + "Tap"))
	s.end(w, b)
}

// skip leaves out taps outside the image.
func skip(_ *window, _ *block, next string) { JLT(LabelRef(next)) }

func maxPool() {
	w := &window{args: text(kernel("MaxPool"), "poolF32", "PoolF32",
		kernel("MaxPool")+" computes a run of output pixels of a maximum pooling:",
		"",
		"\tfor p := range a.Pixels { for c := range a.C {",
		"\t\tacc := -Inf",
		"\t\tfor t := range a.Taps { if Offsets[p*Taps+t] >= 0 {",
		"\t\t\tacc = max(In(p,t)[c], acc) // NaN where either is",
		"\t\t} }",
		"\t\tOut[p][c] = acc",
		"\t} }")}
	lowest := vec()
	VMOVUPS(splatBits(0xff800000), lowest)
	w.generate(steps{
		start: func(_ *window, b *block) {
			for _, x := range b.acc {
				VMOVAPS(lowest, x)
			}
		},
		outside: skip,
		tap: func(w *window, b *block) {
			for v, x := range b.acc {
				y := vec()
				if b.mask != nil {
					y = w.source(b, v).(reg.VecVirtual)
				} else {
					VMOVUPS(w.source(b, v), y)
				}
				maxVec(x, y)
			}
		},
		end: func(*window, *block) {},
	})
}

func avgPool() {
	w := &window{args: text(kernel("AvgPool"), "poolF32", "PoolF32",
		kernel("AvgPool")+" computes a run of output pixels of an average pooling:",
		"",
		"\tfor p := range a.Pixels { for c := range a.C {",
		"\t\tacc := float32(0)",
		"\t\tfor t := range a.Taps { if Offsets[p*Taps+t] >= 0 {",
		"\t\t\tacc += In(p,t)[c]",
		"\t\t} }",
		"\t\tOut[p][c] = acc * Scale[p]",
		"\t} }")}
	scale := GP64()
	w.generate(steps{
		start: func(_ *window, b *block) {
			for _, x := range b.acc {
				VXORPS(x, x, x)
			}
		},
		outside: skip,
		tap: func(w *window, b *block) {
			for v, x := range b.acc {
				VADDPS(w.source(b, v), x, x)
			}
		},
		end: func(_ *window, b *block) {
			y := vec()
			VBROADCASTSS(Mem{Base: scale}, y)
			for _, x := range b.acc {
				VMULPS(y, x, x)
			}
		},
		begin: func() { MOVQ(w.args.field("Scale"), scale) },
		pixel: func() { ADDQ(U8(4), scale) },
	})
}
