package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// winograds generates the transforms of Winograd's algorithms for tiles of 4x4
// and 2x2 outputs. The first pass goes down the columns of a tile, into
// working memory, the second along the rows.
func winograds() {
	for _, side := range []int{4, 2} {
		winogradIn(side)
		winogradOut(side)
	}
}

// winograd is the state of one kernel being generated.
type winograd struct {
	args   args
	side   int           // of the tile of outputs
	n      int           // of the tile of inputs
	work   reg.GPVirtual // vectors of the first pass, then addresses
	plane  reg.GPVirtual // PlaneStride
	c      reg.GPVirtual // byte offset of the block of channels
	size   reg.GPVirtual // bytes of channels
	factor map[float64]reg.VecVirtual
}

// The points of the algorithm for 4x4 outputs are 0, ±p, ±q and infinity.
const winogradP, winogradQ = math.Sqrt2 / 2, math.Sqrt2

// Working memory: 36 vectors of 64 bytes at most, and behind them addresses.
const winogradAddresses = 36 * 64

func newWinograd(a args, side int) *winograd {
	return &winograd{args: a, side: side, n: side + 2, factor: map[float64]reg.VecVirtual{}}
}

// constants loads the factors of the algorithm for 4x4 outputs.
func (w *winograd) constants(values ...float64) {
	if w.side != 4 {
		return
	}
	for _, v := range values {
		x := vec()
		VMOVUPS(splat(float32(v)), x)
		w.factor[v] = x
	}
}

// slot is vector i of the first pass.
func (w *winograd) slot(i int) Mem { return Mem{Base: w.work, Disp: vecBytes * i} }

// address is the place of address i.
func (w *winograd) address(i int) Mem { return Mem{Base: w.work, Disp: winogradAddresses + 8*i} }

// addresses stores base + pixels[i]·stride, or the field none where that index
// is negative, for n pixels. Flags and registers are its own.
func (w *winograd) addresses(label string, pixels reg.GPVirtual, first, n int, base, stride, none string) {
	i, p, from := GP64(), GP64(), GP64()
	MOVQ(w.args.field(base), from)
	XORQ(i, i)
	Label(label)
	MOVLQSX(Mem{Base: pixels, Index: i, Scale: 4}, p)
	TESTQ(p, p)
	JLT(LabelRef(label + "None"))
	IMULQ(w.args.field(stride), p)
	ADDQ(from, p)
	Label(label + "Store")
	MOVQ(p, Mem{Base: w.work, Index: i, Scale: 8, Disp: winogradAddresses + 8*first})
	INCQ(i)
	CMPQ(i, U8(n))
	JLT(LabelRef(label))
	JMP(LabelRef(label + "End"))
	Label(label + "None")
	MOVQ(w.args.field(none), p)
	JMP(LabelRef(label + "Store"))
	Label(label + "End")
}

// blocks emits the loop over blocks of channels and the block of those that
// are left, under a mask.
func (w *winograd) blocks(body func(mask func() *lanes)) {
	end := GP64()
	XORQ(w.c, w.c)
	JMP(LabelRef("blockTest"))
	Label("block")
	body(func() *lanes { return nil })
	ADDQ(U8(vecBytes), w.c)
	Label("blockTest")
	LEAQ(Mem{Base: w.c, Disp: vecBytes}, end)
	CMPQ(end, w.size)
	JLE(LabelRef("block"))
	CMPQ(w.c, w.size)
	JGE(LabelRef("tileEnd"))
	body(w.mask)
	Label("tileEnd")
}

// mask returns a mask of the channels that are left, in a new register.
func (w *winograd) mask() *lanes {
	left := GP64()
	MOVQ(w.size, left)
	SUBQ(w.c, left)
	SHRQ(U8(2), left)
	return laneMasks(left, 1)[0]
}

func winogradIn(side int) {
	n := side + 2
	a := text(kernel(fmt.Sprintf("WinogradIn%d", side)), "winogradInF32", "WinogradInF32",
		fmt.Sprintf("%s transforms tiles of %dx%d pixels:", kernel(fmt.Sprintf("WinogradIn%d", side)), n, n),
		"",
		"\tfor t := range a.Tiles { for c := range a.C {",
		"\t\tV[t][c] = Bᵀ·d[t][c]·B",
		"\t} }")
	w := newWinograd(a, side)
	w.work, w.plane = a.load("Work"), a.load("PlaneStride")
	w.size, w.c = a.load("C"), GP64()
	SHLQ(U8(2), w.size)
	w.constants(2.5, 2, .5, winogradP, winogradQ)
	pixels, out, left := a.load("Pixels"), a.load("Out"), a.load("Tiles")
	JMP(LabelRef("tileTest"))
	Label("tile")
	w.addresses("pixel", pixels, 0, n*n, "In", "InStride", "Zero")
	w.blocks(func(mask func() *lanes) {
		p := GP64()
		for j := range n {
			m := mask()
			x := vecs(n)
			for i := range n {
				MOVQ(w.address(i*n+j), p)
				load(Mem{Base: p, Index: w.c, Scale: 1}, m, x[i])
			}
			w.in(x, func(i int, v reg.VecVirtual) { VMOVAPS(v, w.slot(i*n+j)) })
		}
		to := GP64()
		LEAQ(Mem{Base: out, Index: w.c, Scale: 1}, to)
		for i := range n {
			x := vecs(n)
			for j := range n {
				VMOVAPS(w.slot(i*n+j), x[j])
			}
			w.in(x, func(j int, v reg.VecVirtual) {
				VMOVUPS(v, Mem{Base: to})
				if i*n+j+1 < n*n {
					ADDQ(w.plane, to)
				}
			})
		}
	})
	ADDQ(U32(4*n*n), pixels)
	ADDQ(a.field("OutStride"), out)
	DECQ(left)
	Label("tileTest")
	TESTQ(left, left)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// in hands the elements of Bᵀ·x to emit, in order. x is consumed.
func (w *winograd) in(x []reg.VecVirtual, emit func(i int, v reg.VecVirtual)) {
	if w.side == 2 {
		t := vecs(2)
		VSUBPS(x[2], x[0], x[0])
		emit(0, x[0])
		VADDPS(x[1], x[2], t[0])
		emit(1, t[0])
		VSUBPS(x[1], x[2], t[1])
		emit(2, t[1])
		VSUBPS(x[3], x[1], x[1])
		emit(3, x[1])
		return
	}
	VFNMADD231PS(w.factor[2.5], x[2], x[0])
	VADDPS(x[4], x[0], x[0])
	emit(0, x[0])
	// x[5] - 2.5·x[3] + x[1] comes last, in x[5].
	VADDPS(x[1], x[5], x[5])
	VFNMADD231PS(w.factor[2.5], x[3], x[5])
	w.pair(x, 2, winogradP, func(k int, v reg.VecVirtual) { emit(1+k, v) })
	w.pair(x, .5, winogradQ, func(k int, v reg.VecVirtual) { emit(3+k, v) })
	emit(5, x[5])
}

// pair hands (x4 - f·x2) ± g·(x3 - f·x1) to emit.
func (w *winograd) pair(x []reg.VecVirtual, f, g float64, emit func(k int, v reg.VecVirtual)) {
	even, odd, sum := vec(), vec(), vec()
	VMOVAPS(x[4], even)
	VFNMADD231PS(w.factor[f], x[2], even)
	VMOVAPS(x[3], odd)
	VFNMADD231PS(w.factor[f], x[1], odd)
	VMOVAPS(even, sum)
	VFMADD231PS(w.factor[g], odd, sum)
	emit(0, sum)
	VFNMADD231PS(w.factor[g], odd, even)
	emit(1, even)
}

func winogradOut(side int) {
	n := side + 2
	name := kernel(fmt.Sprintf("WinogradOut%d", side))
	a := text(name, "winogradOutF32", "WinogradOutF32",
		fmt.Sprintf("%s transforms tiles of %dx%d products:", name, n, n),
		"",
		"\tfor t := range a.Tiles { for c := range a.C {",
		"\t\tY[t][c] = min(max(Aᵀ·m[t][c]·A + Res[t][c], Min), Max)",
		"\t} }")
	w := newWinograd(a, side)
	w.work, w.plane = a.load("Work"), a.load("PlaneStride")
	w.size, w.c = a.load("C"), GP64()
	SHLQ(U8(2), w.size)
	w.constants(2, .5, winogradP, winogradQ)
	pixels, in, left := a.load("Pixels"), a.load("In"), a.load("Tiles")
	rowStride := GP64() // between products in a column
	IMUL3Q(U8(n), w.plane, rowStride)
	JMP(LabelRef("tileTest"))
	Label("tile")
	w.addresses("pixel", pixels, 0, side*side, "Out", "OutStride", "Spare")
	CMPQ(a.field("Res"), U8(0))
	JEQ(LabelRef("blocks"))
	w.addresses("residual", pixels, side*side, side*side, "Res", "ResStride", "Spare")
	Label("blocks")
	body := 0
	w.blocks(func(mask func() *lanes) {
		body++
		from, p := GP64(), GP64()
		for j := range n {
			LEAQ(Mem{Base: in, Index: w.c, Scale: 1}, from)
			for range j {
				ADDQ(w.plane, from)
			}
			x := vecs(n)
			for i := range n {
				VMOVUPS(Mem{Base: from}, x[i])
				if i+1 < n {
					ADDQ(rowStride, from)
				}
			}
			for i, v := range w.out(x) {
				VMOVAPS(v, w.slot(i*n+j))
			}
		}
		for i := range side {
			x := vecs(n)
			for j := range n {
				VMOVAPS(w.slot(i*n+j), x[j])
			}
			w.store(fmt.Sprintf("row%d_%d", body, i), i, w.out(x), p, mask)
		}
	})
	ADDQ(U32(4*side*side), pixels)
	ADDQ(a.field("InStride"), in)
	DECQ(left)
	Label("tileTest")
	TESTQ(left, left)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// store adds the residual, clamps and writes row i of a tile of outputs.
func (w *winograd) store(label string, i int, y []reg.VecVirtual, p reg.GPVirtual, mask func() *lanes) {
	CMPQ(w.args.field("Res"), U8(0))
	JEQ(LabelRef(label))
	m := mask()
	for j, v := range y {
		MOVQ(w.address((w.side+i)*w.side+j), p)
		r := Mem{Base: p, Index: w.c, Scale: 1}
		if m == nil {
			VADDPS(r, v, v)
			continue
		}
		x := vec()
		load(r, m, x)
		VADDPS(x, v, v)
	}
	Label(label)
	lo, hi := vec(), vec()
	VBROADCASTSS(w.args.field("Min"), lo)
	VBROADCASTSS(w.args.field("Max"), hi)
	for _, v := range y {
		clampVec(v, lo, hi)
	}
	m = mask()
	for j, v := range y {
		MOVQ(w.address(i*w.side+j), p)
		to := Mem{Base: p, Index: w.c, Scale: 1}
		switch {
		case m == nil:
			VMOVUPS(v, to)
		case target.wide:
			VMOVUPS(v, m.reg, to)
		default:
			VMASKMOVPS(v, m.reg, to)
		}
	}
}

// out returns the elements of Aᵀ·x. x is consumed.
func (w *winograd) out(x []reg.VecVirtual) []reg.VecVirtual {
	if w.side == 2 {
		VADDPS(x[1], x[0], x[0])
		VADDPS(x[2], x[0], x[0])
		VSUBPS(x[2], x[1], x[1])
		VSUBPS(x[3], x[1], x[1])
		return []reg.VecVirtual{x[0], x[1]}
	}
	ps, qs := vec(), vec()
	VADDPS(x[2], x[1], ps)
	VSUBPS(x[2], x[1], x[1]) // pd
	VADDPS(x[4], x[3], qs)
	VSUBPS(x[4], x[3], x[3]) // qd
	VADDPS(ps, x[0], x[0])
	VADDPS(qs, x[0], x[0])
	VMULPS(w.factor[winogradP], x[1], x[1])
	VMULPS(w.factor[winogradQ], x[3], x[3])
	VFMADD231PS(w.factor[.5], x[1], x[5])
	VFMADD231PS(w.factor[2], x[3], x[5])
	VADDPS(x[3], x[1], x[1])
	VMULPS(w.factor[.5], ps, ps)
	VFMADD231PS(w.factor[2], qs, ps)
	return []reg.VecVirtual{x[0], x[1], ps, x[5]}
}
