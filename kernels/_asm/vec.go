package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// consts caches the constant vectors of the file being generated.
var consts = map[string]Mem{}

// splat returns memory holding a vector of copies of a float32.
func splat(x float32) Mem { return splatBits(math.Float32bits(x)) }

// splatBits returns memory holding a vector of copies of a 32-bit pattern.
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

// clampVec limits x to lo..hi. The last source operand wins where one is NaN,
// so a NaN in x survives.
func clampVec(x, lo, hi reg.VecVirtual) {
	VMAXPS(x, lo, x)
	VMINPS(x, hi, x)
}

// maxVec sets acc to the larger of acc and x, NaN where either is. acc wins
// the comparison where one is NaN, which leaves a NaN in x to be merged.
func maxVec(acc, x reg.VecVirtual) {
	VMAXPS(acc, x, acc)
	nanWhere(x, acc)
}
