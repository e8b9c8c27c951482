package main

// peakFile writes the loop that measures how many multiply-adds a core can do:
// enough chains that none waits for its own last result, and no memory. A result
// takes up to seven cycles, and up to two start in each.
func peakFile(f *file) {
	const chains = 24
	f.text("f32PeakNEON", "(rounds int) float32", 12, `f32PeakNEON does a multiply-add in every lane of its accumulators and
returns the sum of their first lanes:

	for range rounds {
		acc[i] = fma(1, 1, acc[i])
	}
	return acc[0] + acc[1] + ...

rounds is at least 1.`)
	f.op("MOVD rounds+0(FP), R0")
	f.float(0x3f800000, 31, "1")
	for i := range chains {
		f.op("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
	}
	f.loop("loop")
	for i := range chains {
		f.op("VFMLA V31.S4, V31.S4, V%d.S4", i)
	}
	f.op("SUBS $1, R0, R0")
	f.op("BNE loop")
	for i := 1; i < chains; i++ {
		f.op("VFADD_S4(%d, 0, 0)", i)
	}
	f.op("FMOVS F0, ret+8(FP)")
	f.op("RET")
}
