package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// peaks generates the loop that measures how many multiply-adds a core can do:
// enough chains that none waits for its own last result, and no memory. A result
// takes four or five cycles, and two start in each.
func peaks() {
	chains := 12
	if target.wide {
		chains = 24
	}
	TEXT(kernel("Peak"), NOSPLIT, "func(rounds int) float32")
	Doc(kernel("Peak")+" does a multiply-add in every lane of its accumulators and returns the sum of their first lanes:",
		"",
		"\tfor range rounds {",
		"\t\tacc[i] = fma(1, 1, acc[i])",
		"\t}",
		"\treturn acc[0] + acc[1] + ...",
		"",
		"rounds is at least 1.")
	rounds := Load(Param("rounds"), GP64())
	one, acc := vec(), vecs(chains)
	VMOVUPS(splat(1), one)
	for _, x := range acc {
		VXORPS(x.AsX(), x.AsX(), x.AsX())
	}
	Label("loop")
	for _, x := range acc {
		VFMADD231PS(one, one, x)
	}
	DECQ(rounds)
	JNZ(LabelRef("loop"))
	for _, x := range acc[1:] {
		VADDPS(x.AsX(), acc[0].AsX(), acc[0].AsX())
	}
	Store(acc[0].AsX(), ReturnIndex(0))
	VZEROUPPER()
	RET()
}
