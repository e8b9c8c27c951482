package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Bytes and elements of one YMM register of float32.
const (
	vecBytes = 32
	vecLen   = 8
)

// Predicates of VCMPPS.
const (
	lessThan  = U8(0x11) // ordered, quiet
	unordered = U8(0x03)
)

// consts caches the constant vectors of the file being generated.
var consts = map[string]Mem{}

// splat returns memory holding eight copies of a float32.
func splat(x float32) Mem { return splatBits(math.Float32bits(x)) }

// splatBits returns memory holding eight copies of a 32-bit pattern.
func splatBits(bits uint32) Mem {
	name := fmt.Sprintf("splat%08x", bits)
	if m, ok := consts[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range vecLen {
		DATA(4*i, U32(bits))
	}
	consts[name] = m
	return m
}

// maskTable returns sixteen words of ones followed by sixteen of zeros: a mask
// of the first n lanes starts n words before the middle.
func maskTable() Mem {
	if m, ok := consts["laneMask"]; ok {
		return m
	}
	m := GLOBL("laneMask", RODATA|NOPTR)
	for i := range 32 {
		v := U32(0)
		if i < 16 {
			v = 0xffffffff
		}
		DATA(4*i, v)
	}
	consts["laneMask"] = m
	return m
}

// laneMasks returns masks of the first n lanes of a run of vectors. n, at
// most 8·vectors and vectors at most 2, is kept.
func laneMasks(n reg.GPVirtual, vectors int) []reg.VecVirtual {
	p := GP64()
	back := GP64()
	LEAQ(maskTable().Offset(64), p)
	MOVQ(n, back)
	SHLQ(U8(2), back)
	SUBQ(back, p)
	masks := make([]reg.VecVirtual, vectors)
	for v := range masks {
		masks[v] = YMM()
		VMOVUPS(Mem{Base: p, Disp: vecBytes * v}, masks[v])
	}
	return masks
}

// storeTail writes the first n elements of each row of vectors to the row's
// pointer, for n below 8·len(rows[0]). The vectors and pointers are consumed,
// n is kept. Masked stores would do it in one instruction, but are
// microcoded on AMD.
func storeTail(label string, rows [][]reg.VecVirtual, ptrs []reg.GPVirtual, n reg.GPVirtual) {
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

// clampVec limits x to lo..hi. The last source operand wins where one is NaN,
// so a NaN in x survives.
func clampVec(x, lo, hi reg.VecVirtual) {
	VMAXPS(x, lo, x)
	VMINPS(x, hi, x)
}

// vecs returns n new YMM registers.
func vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// maxVec sets acc to the larger of acc and x, NaN where either is. acc wins
// the comparison where one is NaN, which leaves a NaN in x to be merged.
func maxVec(acc, x reg.VecVirtual) {
	nan := YMM()
	VMAXPS(acc, x, acc)
	VCMPPS(unordered, x, x, nan)
	VORPS(nan, acc, acc)
}
