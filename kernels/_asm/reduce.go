package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// reductions generates the kernels that return one number.
func reductions() {
	maxOf()
	expSum()
}

func maxOf() {
	TEXT(kernel("Max"), NOSPLIT, "func(a []float32) float32")
	Pragma("noescape")
	Doc(kernel("Max")+" returns the largest element, NaN where there is one:",
		"",
		"\tm := -Inf",
		"\tfor _, x := range a {",
		"\t\tm = max(m, x)",
		"\t}",
		"\treturn m")
	const unroll = 4
	acc := vecs(unroll)
	lowest := vec()
	VMOVUPS(splatBits(0xff800000), lowest)
	for _, x := range acc {
		VMOVAPS(lowest, x)
	}
	e := elementwise{sources: []string{"a"}, unroll: unroll}
	e.f = func(slot int, x []reg.VecVirtual, mask *lanes) reg.VecVirtual {
		if mask != nil {
			keepLanes(mask, lowest, x[0])
		}
		maxVec(acc[slot], x[0])
		return nil
	}
	e.generate()
	maxVec(acc[0], acc[1])
	maxVec(acc[2], acc[3])
	maxVec(acc[0], acc[2])
	fold(acc[0], maxVec)
}

func expSum() {
	TEXT(kernel("ExpSum"), NOSPLIT, "func(dst, src []float32, shift float32) float32")
	Pragma("noescape")
	Doc(kernel("ExpSum")+" computes, over the length of src and in one partial sum for each lane:",
		"",
		"\tfor i, x := range src {",
		"\t\tdst[i] = exp(x - shift)",
		"\t\tsum += dst[i]",
		"\t}",
		"\treturn sum")
	shift, sum := broadcast("shift"), vec()
	VXORPS(sum, sum, sum)
	e := elementwise{dst: true, sources: []string{"src"}, unroll: 1}
	e.f = func(_ int, x []reg.VecVirtual, mask *lanes) reg.VecVirtual {
		VSUBPS(shift, x[0], x[0])
		y := expVec(x[0])
		if mask != nil {
			zero := vec()
			VXORPS(zero, zero, zero)
			keepLanes(mask, zero, y)
		}
		VADDPS(y, sum, sum)
		return y
	}
	e.generate()
	fold(sum, func(acc, x reg.VecVirtual) { VADDPS(x, acc, acc) })
}

// fold reduces the lanes of x with f and returns the result.
func fold(x reg.VecVirtual, f func(acc, x reg.VecVirtual)) {
	y := vec()
	if target.wide {
		VSHUFF32X4(U8(0x4e), x, x, y)
		f(x, y)
		VSHUFF32X4(U8(0xb1), x, x, y)
		f(x, y)
	} else {
		VPERM2F128(U8(1), x, x, y)
		f(x, y)
	}
	VPERMILPS(U8(0x4e), x, y)
	f(x, y)
	VPERMILPS(U8(0xb1), x, y)
	f(x, y)
	Store(x.AsX(), ReturnIndex(0))
	VZEROUPPER()
	RET()
}
