package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set that kernels are generated for.
type isa struct {
	suffix string // of the names of kernels
	wide   bool   // 512-bit registers with mask registers, otherwise 256-bit
	// gemmMR is the most rows of a tile. Its accumulators, 2 vectors of
	// weights and 2 broadcast elements of A fill the 16 registers of AVX2;
	// AVX-512 has 32, but a row more would leave no general register for the
	// pointers.
	gemmMR int
}

// target is the instruction set of the file being generated; main sets it and
// the lengths of its registers.
var target isa

var isas = map[string]isa{
	"avx2":   {suffix: "AVX2", gemmMR: 6},
	"avx512": {suffix: "AVX512", wide: true, gemmMR: 8},
}

// Bytes and elements of one register of float32.
var vecBytes, vecLen int

// use sets the target.
func use(name string) error {
	t, ok := isas[name]
	if !ok {
		return fmt.Errorf("-isa=%s is unknown", name)
	}
	target, vecLen = t, 8
	if t.wide {
		vecLen = 16
	}
	vecBytes = 4 * vecLen
	return nil
}

// kernel returns the name of a kernel.
func kernel(name string) string { return "f32" + name + target.suffix }

// vec returns a new vector register.
func vec() reg.VecVirtual {
	if target.wide {
		return ZMM()
	}
	return YMM()
}

// vecs returns n new vector registers.
func vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = vec()
	}
	return v
}

// lanes is a mask of the first lanes of a vector: a vector of ones and zeros
// for AVX2, a mask register for AVX-512.
type lanes struct{ reg Op }

// laneMasks returns masks of the first n lanes of a run of vectors. n, at
// most the length of the vectors and they at most 2, is kept.
func laneMasks(n reg.GPVirtual, vectors int) []*lanes {
	masks := make([]*lanes, vectors)
	if target.wide {
		bits := GP64()
		MOVQ(I32(-1), bits)
		BZHIQ(n, bits, bits)
		for v := range masks {
			k := K()
			KMOVW(bits.As32(), k)
			masks[v] = &lanes{k}
			if v+1 < vectors {
				SHRQ(U8(vecLen), bits)
			}
		}
		return masks
	}
	p := GP64()
	back := GP64()
	LEAQ(maskTable().Offset(64), p)
	MOVQ(n, back)
	SHLQ(U8(2), back)
	SUBQ(back, p)
	for v := range masks {
		m := YMM()
		VMOVUPS(Mem{Base: p, Disp: vecBytes * v}, m)
		masks[v] = &lanes{m}
	}
	return masks
}

// load sets x to the lanes of m that the mask has and to zero elsewhere; a nil
// mask has all. Nothing else is read.
func load(m Mem, mask *lanes, x reg.VecVirtual) {
	switch {
	case mask == nil:
		VMOVUPS(m, x)
	case target.wide:
		VMOVUPS_Z(m, mask.reg, x)
	default:
		VMASKMOVPS(m, mask.reg, x)
	}
}

// storeTail writes the first n elements of each row of vectors to the row's
// pointer, for n below the length of a row, whose masks are given for AVX-512.
// The vectors and pointers are consumed, n is kept.
func storeTail(label string, rows [][]reg.VecVirtual, ptrs []reg.GPVirtual, n reg.GPVirtual, masks []*lanes) {
	if !target.wide {
		storeBits(label, rows, ptrs, n)
		return
	}
	for i, r := range rows {
		for v, x := range r {
			VMOVUPS(x, masks[v].reg, Mem{Base: ptrs[i], Disp: vecBytes * v})
		}
	}
}

// storeBits is storeTail for AVX2: one store for each bit of n. Its masked
// stores would do it in one instruction, but are microcoded on AMD.
func storeBits(label string, rows [][]reg.VecVirtual, ptrs []reg.GPVirtual, n reg.GPVirtual) {
	left := GP64()
	MOVQ(n, left)
	if len(rows[0]) == 2 {
		half := label + "8"
		TESTQ(U32(8), left)
		JZ(LabelRef(half))
		for i, r := range rows {
			VMOVUPS(r[0], Mem{Base: ptrs[i]})
			VMOVAPS(r[1], r[0])
			ADDQ(U8(vecBytes), ptrs[i])
		}
		Label(half)
	}
	TESTQ(U32(4), left)
	JZ(LabelRef(label + "4"))
	for i, r := range rows {
		VMOVUPS(r[0].AsX(), Mem{Base: ptrs[i]})
		VEXTRACTF128(U8(1), r[0], r[0].AsX())
		ADDQ(U8(16), ptrs[i])
	}
	Label(label + "4")
	TESTQ(U32(2), left)
	JZ(LabelRef(label + "2"))
	for i, r := range rows {
		VMOVLPS(r[0].AsX(), Mem{Base: ptrs[i]})
		VMOVHLPS(r[0].AsX(), r[0].AsX(), r[0].AsX())
		ADDQ(U8(8), ptrs[i])
	}
	Label(label + "2")
	TESTQ(U32(1), left)
	JZ(LabelRef(label + "1"))
	for i, r := range rows {
		VMOVSS(r[0].AsX(), Mem{Base: ptrs[i]})
	}
	Label(label + "1")
}

// Predicates of VCMPPS.
const (
	lessThan  = U8(0x11) // ordered, quiet
	unordered = U8(0x03)
)

// copyWhere sets dst to x in the lanes where a and b compare as the predicate
// says.
func copyWhere(predicate Op, b Op, a, x, dst reg.VecVirtual) {
	if target.wide {
		k := K()
		VCMPPS(predicate, b, a, k)
		VMOVAPS(x, k, dst)
		return
	}
	m := YMM()
	VCMPPS(predicate, b, a, m)
	VBLENDVPS(m, x, dst, dst)
}

// nanWhere sets the lanes of dst to NaN where x is, a lane of x otherwise
// unchanged in dst.
func nanWhere(x, dst reg.VecVirtual) {
	if target.wide {
		k := K()
		VCMPPS(unordered, x, x, k)
		VMOVAPS(x, k, dst)
		return
	}
	nan := YMM()
	VCMPPS(unordered, x, x, nan)
	VORPS(nan, dst, dst)
}

// keepLanes sets the lanes of x that the mask has not to those of other.
func keepLanes(mask *lanes, other, x reg.VecVirtual) {
	if target.wide {
		VBLENDMPS(x, other, mask.reg, x)
		return
	}
	VBLENDVPS(mask.reg, x, other, x)
}

// round rounds x to integers, ties to even.
func round(x reg.VecVirtual) {
	if target.wide {
		VRNDSCALEPS(U8(0), x, x)
		return
	}
	VROUNDPS(U8(0), x, x)
}
