package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	// dwGroup is the number of output pixels that are computed at once, so
	// that they share the loads of the weights.
	dwGroup = 4
	// dwScratch is the bytes of the stack that hold the addresses of the taps
	// of as many groups as fit, for all blocks of channels to use.
	dwScratch = 4096
	// A group's record starts with what sort of window it has and with the
	// address of its first output pixel.
	dwRecord = 16
)

// dw is the state of the depthwise kernel being generated.
type dw struct {
	args    args
	taps    reg.GPVirtual
	in      reg.GPVirtual // base of the offsets
	off     reg.GPVirtual // the next pixel's row of the offset table
	out     reg.GPVirtual // the next output pixel
	left    reg.GPVirtual // pixels
	state   Mem           // where off, out and left are kept meanwhile
	size    reg.GPVirtual // bytes of a record
	end     reg.GPVirtual // of the records
	rec     reg.GPVirtual
	c       reg.GPVirtual // byte offset of the block of channels
	scratch Mem
}

// slide is a square window that moves over an image: side taps in a row, step
// columns from pixel to pixel.
type slide struct{ side, step int }

// slides are the windows with code of their own. A record names one by its
// index plus one, and any other window by zero.
var slides = []slide{{3, 1}, {3, 2}, {5, 1}, {5, 2}}

// taps returns the number of taps.
func (s slide) taps() int { return s.side * s.side }

// columns returns the number of columns that the windows of a group cover.
func (s slide) columns() int { return (dwGroup-1)*s.step + s.side }

func (s slide) String() string { return fmt.Sprintf("%dx%dStep%d", s.side, s.side, s.step) }

// dwBlock is one block of channels.
type dwBlock struct {
	name    string
	vectors int
	mask    *lanes // of the channels that exist; nil where all do
}

// dwconv generates the depthwise kernel. Addresses of taps are computed for
// some groups of pixels; then come the blocks of channels, whose weights stay
// in the first-level cache while they go through the groups.
func dwconv() {
	d := &dw{args: textAttr(0, kernel("Dwconv"), "dwconvF32", "DwconvF32",
		kernel("Dwconv")+" computes a run of output pixels of a depthwise convolution:",
		"",
		"\tfor p := range a.Pixels { for c := range a.C {",
		"\t\tacc := W[0][c]",
		"\t\tfor t := range a.Taps {",
		"\t\t\tacc = fma(In(p,t)[c], W[1+t][c], acc)",
		"\t\t}",
		"\t\tOut[p][c] = min(max(acc, Min), Max)",
		"\t} }")}
	d.scratch, d.state = AllocLocal(dwScratch), AllocLocal(8*3)
	d.taps, d.in = d.args.load("Taps"), GP64()
	d.off, d.out, d.left = d.args.load("Offsets"), d.args.load("Out"), d.args.load("Pixels")
	d.size, d.end, d.rec, d.c = GP64(), GP64(), GP64(), GP64()
	CMPQ(d.left, U8(dwGroup))
	JLT(LabelRef("singles"))
	CMPQ(d.taps, U32((dwScratch-dwRecord)/(8*dwGroup)))
	JGT(LabelRef("singles"))
	MOVQ(d.taps, d.size)
	SHLQ(U8(5), d.size)
	ADDQ(U8(dwRecord), d.size)

	Label("strip")
	MOVQ(d.args.field("In"), d.in)
	d.records()
	for i, r := range []reg.GPVirtual{d.off, d.out, d.left} {
		MOVQ(r, d.state.Offset(8*i))
	}
	d.blocks("group", func(b dwBlock) {
		LEAQ(d.scratch, d.rec)
		Label(b.name + "Loop")
		d.group(b)
		Label(b.name + "Next")
		ADDQ(d.size, d.rec)
		CMPQ(d.rec, d.end)
		JLT(LabelRef(b.name + "Loop"))
	})
	for i, r := range []reg.GPVirtual{d.off, d.out, d.left} {
		MOVQ(d.state.Offset(8*i), r)
	}
	TESTQ(d.left, d.left)
	JNZ(LabelRef("strip"))
	VZEROUPPER()
	RET()

	Label("singles")
	MOVQ(d.args.field("In"), d.in)
	d.blocks("single", d.singles)
	VZEROUPPER()
	RET()
}

// blocks emits code for blocks of 2 and 1 vectors of channels and for the
// channels that are left.
func (d *dw) blocks(prefix string, emit func(b dwBlock)) {
	XORQ(d.c, d.c)
	for _, vectors := range []int{2, 1} {
		b := dwBlock{name: fmt.Sprintf("%s%d", prefix, vectors), vectors: vectors}
		Label(b.name)
		rest := d.rest()
		CMPQ(rest, U8(vecLen*vectors))
		JLT(LabelRef(b.name + "End"))
		emit(b)
		ADDQ(U32(vecBytes*vectors), d.c)
		JMP(LabelRef(b.name))
		Label(b.name + "End")
	}
	rest := d.rest()
	TESTQ(rest, rest)
	JZ(LabelRef(prefix + "Done"))
	emit(dwBlock{prefix + "Rest", 1, laneMasks(rest, 1)[0]})
	Label(prefix + "Done")
}

// rest returns the number of channels from c on.
func (d *dw) rest() reg.GPVirtual {
	n, done := d.args.load("C"), GP64()
	MOVQ(d.c, done)
	SHRQ(U8(2), done)
	SUBQ(done, n)
	return n
}

// records fills the scratch memory with the records of the next groups. Where
// fewer pixels than a group are left, the last group begins among the pixels
// of the one before and computes them again.
func (d *dw) records() {
	LEAQ(d.scratch, d.rec)
	Label("record")
	back, bytes := GP64(), GP64()
	MOVQ(U32(dwGroup), back)
	SUBQ(d.left, back)
	JLE(LabelRef("recordWhole"))
	MOVQ(d.args.field("OutStride"), bytes)
	IMULQ(back, bytes)
	SUBQ(bytes, d.out)
	IMULQ(d.taps, back)
	SHLQ(U8(2), back)
	SUBQ(back, d.off)
	MOVQ(U32(dwGroup), d.left)
	Label("recordWhole")
	MOVQ(d.out, Mem{Base: d.rec, Disp: 8})
	d.overlapping()
	d.addresses()
	Label("recordNext")
	MOVQ(d.args.field("OutStride"), bytes)
	LEAQ(Mem{Base: d.out, Index: bytes, Scale: 4}, d.out)
	ADDQ(d.size, d.rec)
	SUBQ(U8(dwGroup), d.left)
	JZ(LabelRef("recordsEnd"))
	LEAQ(d.scratch.Offset(dwScratch), back)
	SUBQ(d.size, back)
	CMPQ(d.rec, back)
	JLE(LabelRef("record"))
	Label("recordsEnd")
	MOVQ(d.rec, d.end)
}

// tap returns a register with the address of a tap, less c, for the offset at
// m.
func (d *dw) tap(m Mem) reg.GPVirtual {
	p := GP64()
	MOVLQSX(m, p)
	TESTQ(p, p)
	LEAQ(Mem{Base: d.in, Index: p, Scale: 1}, p)
	CMOVQLT(d.args.field("Zero"), p)
	return p
}

// addresses fills the record of a group of any window: for each tap the
// address for each pixel. off moves past the group.
func (d *dw) addresses() {
	MOVQ(U32(0), Mem{Base: d.rec})
	to, far, t := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: d.rec, Disp: dwRecord}, to)
	LEAQ(Mem{Base: d.off, Index: d.taps, Scale: 8}, far)
	MOVQ(d.taps, t)
	TESTQ(t, t)
	JZ(LabelRef("recordNext"))
	Label("address")
	for p := range dwGroup {
		m := Mem{Base: []reg.GPVirtual{d.off, far}[p/2]}
		if p%2 == 1 {
			m.Index, m.Scale = d.taps, 4
		}
		MOVQ(d.tap(m), Mem{Base: to, Disp: 8 * p})
	}
	ADDQ(U8(4), d.off)
	ADDQ(U8(4), far)
	ADDQ(U8(8*dwGroup), to)
	DECQ(t)
	JNZ(LabelRef("address"))
	LEAQ(Mem{Base: far, Index: d.taps, Scale: 4}, d.off)
}

// overlapping fills the record of a group of square windows that move by one
// or two columns from pixel to pixel: for each row the address of each column,
// which is read once for all windows that have it. So it is where the offsets
// of overlapping taps are the same.
func (d *dw) overlapping() {
	for i, s := range slides {
		name := "record" + s.String()
		Label(name)
		next := "recordAny"
		if i+1 < len(slides) {
			next = "record" + slides[i+1].String()
		}
		CMPQ(d.taps, U8(s.taps()))
		JNE(LabelRef(next))
		// A look at the middle row is enough to leave most others out.
		first, middle := GP32(), s.side*(s.side/2)
		MOVL(Mem{Base: d.off, Disp: 4 * (s.taps() + middle)}, first)
		CMPL(first, Mem{Base: d.off, Disp: 4 * (middle + s.step)})
		JNE(LabelRef(next))
		d.check(s)
		JNE(LabelRef(next))
		MOVQ(U32(i+1), Mem{Base: d.rec})
		to, rows := GP64(), GP64()
		LEAQ(Mem{Base: d.rec, Disp: dwRecord}, to)
		MOVQ(U32(s.side), rows)
		Label(name + "Row")
		for j := range s.columns() {
			p := min(j/s.step, dwGroup-1)
			MOVQ(d.tap(Mem{Base: d.off, Disp: 4 * (s.taps()*p + j - s.step*p)}), Mem{Base: to, Disp: 8 * j})
		}
		ADDQ(U8(4*s.side), d.off)
		ADDQ(U8(8*s.columns()), to)
		DECQ(rows)
		JNZ(LabelRef(name + "Row"))
		ADDQ(U32(4*s.taps()*(dwGroup-1)), d.off)
		JMP(LabelRef("recordNext"))
	}
	Label("recordAny")
}

// check sets the flags to equal where column x+step of the window of each
// pixel of a group but the last has the offset of column x of the next pixel.
func (d *dw) check(s slide) {
	var all reg.VecVirtual
	n := s.taps() * (dwGroup - 1)
	for from := 0; from < n; from += 8 {
		i := min(from, n-8)
		x := YMM()
		VMOVDQU(Mem{Base: d.off, Disp: 4 * (i + s.taps())}, x)
		VPCMPEQD(Mem{Base: d.off, Disp: 4 * (i + s.step)}, x, x)
		VPOR(s.lastColumns().Offset(4*(i%s.side)), x, x)
		if from == 0 {
			all = x
		} else {
			VPAND(x, all, all)
		}
	}
	bits := GP32()
	VMOVMSKPS(all, bits)
	CMPL(bits, U32(0xff))
}

// lastColumns returns memory holding ones for the taps that are in the last
// columns, as many as step, and zeros for the others.
func (s slide) lastColumns() Mem {
	name := "lastColumns" + s.String()
	if m, ok := consts[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 + s.side - 1 {
		v := U32(0)
		if i%s.side+s.step >= s.side {
			v = 0xffffffff
		}
		DATA(4*i, v)
	}
	consts[name] = m
	return m
}

// bias returns accumulators of some pixels that hold row 0 of the weights, and
// a register with its address.
func (d *dw) bias(b dwBlock, pixels int) ([][]reg.VecVirtual, reg.GPVirtual) {
	row := d.args.load("W")
	ADDQ(d.c, row)
	acc := make([][]reg.VecVirtual, pixels)
	for p := range acc {
		acc[p] = vecs(b.vectors)
		for v, x := range acc[p] {
			if p == 0 {
				VMOVUPS(Mem{Base: row, Disp: vecBytes * v}, x)
			} else {
				VMOVAPS(acc[0][v], x)
			}
		}
	}
	return acc, row
}

// weights moves row to the next row and returns its vectors.
func (d *dw) weights(b dwBlock, row reg.GPVirtual) []reg.VecVirtual {
	ADDQ(d.args.field("WStride"), row)
	w := vecs(b.vectors)
	for v, x := range w {
		VMOVUPS(Mem{Base: row, Disp: vecBytes * v}, x)
	}
	return w
}

// multiply adds the products of a tap and its weights.
func (d *dw) multiply(b dwBlock, tap reg.GPVirtual, w, acc []reg.VecVirtual) {
	for v, x := range acc {
		m := Mem{Base: tap, Index: d.c, Scale: 1, Disp: vecBytes * v}
		if b.mask == nil {
			VFMADD231PS(m, w[v], x)
			continue
		}
		y := vec()
		load(m, b.mask, y)
		VFMADD231PS(y, w[v], x)
	}
}

// store clamps and stores pixels from out on, which is less c.
func (d *dw) store(b dwBlock, label string, acc [][]reg.VecVirtual, out reg.GPVirtual) {
	lo, hi := vec(), vec()
	VBROADCASTSS(d.args.field("Min"), lo)
	VBROADCASTSS(d.args.field("Max"), hi)
	ptrs := make([]reg.GPVirtual, len(acc))
	for p, a := range acc {
		ptrs[p] = GP64()
		if p == 0 {
			LEAQ(Mem{Base: out, Index: d.c, Scale: 1}, ptrs[0])
		} else {
			MOVQ(ptrs[p-1], ptrs[p])
			ADDQ(d.args.field("OutStride"), ptrs[p])
		}
		for _, x := range a {
			clampVec(x, lo, hi)
		}
	}
	if b.mask != nil {
		storeTail(label, acc, ptrs, d.rest(), []*lanes{b.mask})
		return
	}
	for p, a := range acc {
		for v, x := range a {
			VMOVUPS(x, Mem{Base: ptrs[p], Disp: vecBytes * v})
		}
	}
}

// group emits the code for the group of one record and one block.
func (d *dw) group(b dwBlock) {
	from, out, kind := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: d.rec, Disp: dwRecord}, from)
	MOVQ(Mem{Base: d.rec, Disp: 8}, out)
	MOVQ(Mem{Base: d.rec}, kind)
	for i, s := range slides {
		CMPQ(kind, U8(i+1))
		JEQ(LabelRef(b.name + s.String()))
	}
	acc, row := d.bias(b, dwGroup)
	t := GP64()
	MOVQ(d.taps, t)
	JMP(LabelRef(b.name + "TapTest"))
	Label(b.name + "Tap")
	w := d.weights(b, row)
	for p, a := range acc {
		tap := GP64()
		MOVQ(Mem{Base: from, Disp: 8 * p}, tap)
		d.multiply(b, tap, w, a)
	}
	ADDQ(U8(8*dwGroup), from)
	DECQ(t)
	Label(b.name + "TapTest")
	TESTQ(t, t)
	JNZ(LabelRef(b.name + "Tap"))
	d.store(b, b.name+"Store", acc, out)
	for _, s := range slides {
		JMP(LabelRef(b.name + "Next"))
		Label(b.name + s.String())
		acc, row := d.bias(b, dwGroup)
		d.rows(b, s, acc, row, from)
		d.store(b, b.name+s.String()+"Store", acc, out)
	}
}

// rows emits the loop over the rows of a group of windows that overlap: each
// column of the input is multiplied with the weights of every pixel whose
// window has it.
func (d *dw) rows(b dwBlock, s slide, acc [][]reg.VecVirtual, row, from reg.GPVirtual) {
	left, label := GP64(), b.name+s.String()+"Row"
	MOVQ(U32(s.side), left)
	Label(label)
	// Vectors whose weights, with the accumulators, fit the registers.
	pass := b.vectors
	if !target.wide && (dwGroup+s.side)*pass > 14 {
		pass = 1
	}
	for v0 := 0; v0 < b.vectors; v0 += pass {
		w := make([][]reg.VecVirtual, s.side)
		at := GP64()
		MOVQ(row, at)
		for i := range w {
			ADDQ(d.args.field("WStride"), at)
			w[i] = vecs(pass)
			for v, x := range w[i] {
				VMOVUPS(Mem{Base: at, Disp: vecBytes * (v0 + v)}, x)
			}
		}
		if v0+pass == b.vectors {
			MOVQ(at, row)
		}
		for j := range s.columns() {
			tap := GP64()
			MOVQ(Mem{Base: from, Disp: 8 * j}, tap)
			for v := range pass {
				x := vec()
				load(Mem{Base: tap, Index: d.c, Scale: 1, Disp: vecBytes * (v0 + v)}, b.mask, x)
				for p, a := range acc {
					if i := j - s.step*p; i >= 0 && i < s.side {
						VFMADD231PS(x, w[i][v], a[v0+v])
					}
				}
			}
		}
	}
	ADDQ(U8(8*s.columns()), from)
	DECQ(left)
	JNZ(LabelRef(label))
}

// singles emits the loop over the pixels, one at a time, of runs shorter than
// a group and of windows too large for a record.
func (d *dw) singles(b dwBlock) {
	off, out, left := d.args.load("Offsets"), d.args.load("Out"), d.args.load("Pixels")
	JMP(LabelRef(b.name + "Test"))
	Label(b.name + "Pixel")
	acc, row := d.bias(b, 1)
	t := GP64()
	MOVQ(d.taps, t)
	JMP(LabelRef(b.name + "TapTest"))
	Label(b.name + "Tap")
	w := d.weights(b, row)
	d.multiply(b, d.tap(Mem{Base: off}), w, acc[0])
	ADDQ(U8(4), off)
	DECQ(t)
	Label(b.name + "TapTest")
	TESTQ(t, t)
	JNZ(LabelRef(b.name + "Tap"))
	d.store(b, b.name+"Store", acc, out)
	ADDQ(d.args.field("OutStride"), out)
	DECQ(left)
	Label(b.name + "Test")
	TESTQ(left, left)
	JNZ(LabelRef(b.name + "Pixel"))
}
