package main

import (
	"fmt"
	"math"
)

// The register plan of the 8-bit matrix kernels. A kernel does tile after tile
// of rows; where fewer rows are left, the others repeat the last one, so that
// they read and write the same.
//
//	R0 args   R1 W   R2 K   R3 taps left   R5 A   R6 ZeroA   R8-R11 rows of A,
//	then of C   R12-R15 offsets of the rows   R16, R17 scratch   R19 rows left
//	R20 C   R21 CStride   R22 A or Offsets of the tile   R23 bytes between rows
//	of that
//
// The rungs have tiles of their own; see gemmQ8NEON and gemmQ8Dot.
type gemmQ8 struct {
	rows, regs int // of four columns each
	panel      int // columns of a panel
	begin      func(f *file, g gemmQ8)
	products   func(f *file, g gemmQ8)
	sums       func(f *file, g gemmQ8)          // makes int32 sums in V(acc)
	acc        func(g gemmQ8, row, reg int) int // the register of four sums
}

const q8Scales = 4 // V4-V7 hold scales in the epilogue

func q8File(f *file) {
	for _, igemm := range []bool{false, true} {
		for _, g := range []struct {
			name string
			gemmQ8
		}{
			{"NEON2x8", gemmQ8NEON(false)}, {"AnyNEON2x8", gemmQ8NEON(true)},
			{"Dot4x8", gemmQ8Dot(2)}, {"Dot4x16", gemmQ8Dot(4)},
		} {
			name := "q8Gemm" + g.name
			if igemm {
				name = "q8Igemm" + g.name
			}
			g.emit(f, name, igemm)
		}
	}
	dwconvQ8(f, false)
	dwconvQ8(f, true)
}

func (g gemmQ8) emit(f *file, name string, igemm bool) {
	truth := "Q8Gemm"
	if igemm {
		truth = "Q8Igemm"
	}
	f.text(name, "(a *ref.GemmQ8)", 8, fmt.Sprintf("%s is ref.%s for M > 0 and panels of %d columns, of which N <= %d count.\n", name, truth, g.panel, 4*g.regs))
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD GemmQ8_M(R0), R19")
	f.op("MOVD GemmQ8_C(R0), R20")
	f.op("MOVD GemmQ8_CStride(R0), R21")
	f.op("MOVD GemmQ8_K(R0), R2")
	if igemm {
		f.op("MOVD GemmQ8_A(R0), R5")
		f.op("MOVD GemmQ8_ZeroA(R0), R6")
		f.op("MOVD GemmQ8_Offsets(R0), R22")
		f.op("MOVD GemmQ8_Taps(R0), R23")
		f.op("LSL $2, R23")
	} else {
		f.op("MOVD GemmQ8_A(R0), R22")
		f.op("MOVD GemmQ8_AStride(R0), R23")
	}
	f.label("tile")
	f.op("MOVD GemmQ8_W(R0), R1")
	g.begin(f, g)
	if igemm {
		g.repeat(f, 22, 23, 12)
		f.op("MOVD GemmQ8_Taps(R0), R3")
		f.op("CBZ R3, store")
		f.label("tap")
		f.rem("R8, R9, ... = A + offset, or ZeroA where the offset is negative")
		for i := range g.rows {
			f.op("MOVW.P 4(R%d), R16", 12+i)
			f.op("ADD R5, R16, R%d", rowReg+i)
			f.op("CMP $0, R16")
			f.op("CSEL LT, R6, R%d, R%d", rowReg+i, rowReg+i)
		}
	} else {
		g.repeat(f, 22, 23, rowReg)
	}
	g.products(f, g)
	if igemm {
		f.op("SUBS $1, R3")
		f.op("BNE tap")
		f.label("store")
	}
	g.epilogue(f)
	f.rem("next rows")
	shift := map[int]int{2: 1, 4: 2}[g.rows]
	f.op("ADD R23<<%d, R22", shift)
	f.op("ADD R21<<%d, R20", shift)
	f.op("SUBS $%d, R19", g.rows)
	f.op("BGT tile")
	f.op("RET")
}

// repeat points R(to) and up at rows, the last of which is repeated.
func (g gemmQ8) repeat(f *file, base, stride, to int) {
	f.op("MOVD R%d, R%d", base, to)
	for i := 1; i < g.rows; i++ {
		f.op("CMP $%d, R19", i)
		f.op("ADD R%d, R%d, R%d", stride, to+i-1, to+i)
		f.op("CSEL GT, R%d, R%d, R%d", to+i, to+i-1, to+i)
	}
}

// epilogue makes C of the sums.
func (g gemmQ8) epilogue(f *file) {
	g.sums(f, g)
	f.rem("rows of C, and what is left of N")
	g.repeat(f, 20, 21, rowReg)
	f.op("MOVD GemmQ8_N(R0), R17")
	limits(f, "GemmQ8")
	var all []int
	for i := range g.rows {
		all = append(all, g.row(i)...)
	}
	f.toFloat(all)
	f.scaleS4(all, func(i int) int { return q8Scales + i%g.regs })
	f.requantize("GemmQ8", all)
	for i := range g.rows {
		f.narrowQ8(g.row(i))
	}
	f.op("CMP $%d, R17", 4*g.regs)
	f.op("BNE part")
	for i := range g.rows {
		a := g.acc(g, i, 0)
		if g.regs == 4 {
			f.op("FMOVQ F%d, (R%d)", a, rowReg+i)
		} else {
			f.op("FMOVD F%d, (R%d)", a, rowReg+i)
		}
	}
	f.op("B next")
	f.label("part")
	for i := range g.rows {
		f.partBytes(fmt.Sprintf("row%d", i), g.acc(g, i, 0), rowReg+i, g.regs == 4)
	}
	f.op("B next")
	f.label("float")
	f.op("CMP $%d, R17", 4*g.regs)
	f.op("BNE floatpart")
	for i := range g.rows {
		for v := 0; v < g.regs; v += 2 {
			f.op("FSTPQ (F%d, F%d), %d(R%d)", g.acc(g, i, v), g.acc(g, i, v+1), 16*v, rowReg+i)
		}
	}
	f.op("B next")
	f.label("floatpart")
	for i := range g.rows {
		f.partFloats(fmt.Sprintf("row%d", i), g.row(i), rowReg+i)
	}
	f.label("next")
}

// row lists the registers of the sums of a row.
func (g gemmQ8) row(i int) []int {
	var regs []int
	for v := range g.regs {
		regs = append(regs, g.acc(g, i, v))
	}
	return regs
}

// toFloat makes float32 of the int32 lanes of registers.
func (f *file) toFloat(regs []int) {
	for _, r := range regs {
		f.op("VSCVTF_S4(%d, %d)", r, r)
	}
}

// scaleS4 multiplies registers with the factors in V(by(i)).
func (f *file) scaleS4(regs []int, by func(i int) int) {
	for i, r := range regs {
		f.op("VFMUL_S4(%d, %d, %d)", by(i), r, r)
	}
}

// clampS4 limits registers to V0 and V1.
func (f *file) clampS4(regs []int) {
	for _, r := range regs {
		f.op("VFMAX_S4(0, %d, %d)", r, r)
	}
	for _, r := range regs {
		f.op("VFMIN_S4(1, %d, %d)", r, r)
	}
}

// rounder loads the constant of roundS4 into V12: units of the sum are 1.
func (f *file) rounder() { f.float(math.Float32bits(3<<22), 12, "3·2^22") }

// roundS4 rounds numbers that are small to integers, half to even, the lowest
// byte of which become the lowest byte of the lanes; conversions are slower.
func (f *file) roundS4(regs []int) {
	for _, r := range regs {
		f.op("VFADD_S4(12, %d, %d)", r, r)
	}
}

// requantize limits scaled sums and, unless Float asks for them, in which case
// it goes to float, rounds them. V2 becomes Zero, V12 changes.
func (f *file) requantize(args string, regs []int) {
	f.clampS4(regs)
	f.op("MOVWU %s_Float(R0), R16", args)
	f.op("CBNZ R16, float")
	f.field(args, "Zero", "V2.B16")
	f.rounder()
	f.roundS4(regs)
}

// field fills the lanes of a register with a field of the arguments at R0.
func (f *file) field(args, name, lanes string) {
	f.op("ADD $%s_%s, R0, R16", args, name)
	f.op("VLD1R (R16), [%s]", lanes)
}

// narrowQ8 takes the lowest bytes of the lanes of two or four registers to the
// first and adds the bytes of V2.
func (f *file) narrowQ8(r []int) {
	for v := 0; v < len(r); v += 2 {
		f.op("VUZP1 V%d.H8, V%d.H8, V%d.H8", r[v+1], r[v], r[v])
	}
	f.op("VUZP1 V%d.B16, V%d.B16, V%d.B16", r[len(r)-2], r[0], r[0])
	f.op("VADD V2.B16, V%d.B16, V%d.B16", r[0], r[0])
}

// partBytes stores the first R17 bytes of a register, below 8, or below 16 where
// wide is set, at register at. It changes both.
func (f *file) partBytes(name string, v, at int, wide bool) {
	step := func(bit, size int, store string, args ...any) {
		f.op("TBZ $%d, R17, %sbelow%d", bit, name, size)
		f.op(store, args...)
		if size > 1 {
			f.op("VEXT $%d, V%d.B16, V%d.B16, V%d.B16", size, v, v, v)
		}
		f.label("%sbelow%d", name, size)
	}
	if wide {
		step(3, 8, "FMOVD.P F%d, 8(R%d)", v, at)
	}
	step(2, 4, "FMOVS.P F%d, 4(R%d)", v, at)
	step(1, 2, "VST1.P V%d.H[0], 2(R%d)", v, at)
	step(0, 1, "VST1 V%d.B[0], (R%d)", v, at)
}

// partFloats stores the first R17 lanes of two or four registers, fewer than
// all, at register at. It changes them.
func (f *file) partFloats(name string, v []int, at int) {
	if len(v) == 4 {
		f.op("TBZ $3, R17, %sfour", name)
		f.op("FSTPQ.P (F%d, F%d), 32(R%d)", v[0], v[1], at)
		f.op("VMOV V%d.B16, V%d.B16", v[2], v[0])
		f.op("VMOV V%d.B16, V%d.B16", v[3], v[1])
		f.label("%sfour", name)
	}
	f.op("TBZ $2, R17, %stwo", name)
	f.op("FMOVQ.P F%d, 16(R%d)", v[0], at)
	f.op("VMOV V%d.B16, V%d.B16", v[1], v[0])
	f.label("%stwo", name)
	f.op("TBZ $1, R17, %sone", name)
	f.op("FMOVD.P F%d, 8(R%d)", v[0], at)
	f.op("VEXT $8, V%d.B16, V%d.B16, V%d.B16", v[0], v[0], v[0])
	f.label("%sone", name)
	f.op("TBZ $0, R17, %send", name)
	f.op("FMOVS F%d, (R%d)", v[0], at)
	f.label("%send", name)
}

// gemmQ8NEON is the tile of 2 rows and 8 columns for any arm64 CPU. W holds 8
// steps of K of each column together, so that products of 16 bits become sums
// without a shuffle: four of each element of C, in V16-V31. Two products fit 16
// bits, unless both are of weights of -128, which single allows.
//
//	V0, V1 16 k of a row   V2, V3 of the other   V4-V7 W   V8-V11 products
//	V12, V13 bias   V14, V15 0x80
func gemmQ8NEON(single bool) gemmQ8 {
	sum := func(i, j int) int { return 16 + 8*i + j }
	return gemmQ8{
		rows: 2, regs: 2, panel: 8,
		acc: func(_ gemmQ8, i, v int) int { return 8 + 2*i + v },
		begin: func(f *file, _ gemmQ8) {
			f.op("ADD $64, R1")
			f.op("VMOVI $128, V15.B16")
			for i := range 2 {
				for j := range 8 {
					f.op("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", sum(i, j))
				}
			}
		},
		products: func(f *file, _ gemmQ8) {
			f.op("SUBS $8, R2, R16")
			f.op("BLE half")
			f.loop("sixteen")
			f.rem("16 k of both rows")
			f.op("FLDPD.P 16(R8), (F0, F1)")
			f.op("FLDPD.P 16(R9), (F2, F3)")
			f.op("FLDPD (R1), (F4, F5)")
			f.op("FLDPD 64(R1), (F6, F7)")
			for v := range 4 {
				f.op("VEOR V15.B8, V%d.B8, V%d.B8", v, v)
			}
			for j := 0; j < 8; j += 2 {
				pairQ8(f, j, single, sum)
			}
			f.op("ADD $128, R1")
			f.op("SUBS $16, R16")
			f.op("BGT sixteen")
			f.label("half")
			f.op("ADDS $8, R16")
			f.op("BLE summed")
			f.rem("the last 8 k")
			f.op("FMOVD (R8), F0")
			f.op("FMOVD (R9), F2")
			f.op("VEOR V15.B8, V0.B8, V0.B8")
			f.op("VEOR V15.B8, V2.B8, V2.B8")
			for j := 0; j < 8; j += 2 {
				f.op("FLDPD %d(R1), (F4, F5)", 8*j)
				for t := range 4 {
					f.op("VSMULL_H8(%d, %d, %d)", 4+t%2, t/2*2, 8+t)
				}
				for t := range 4 {
					f.op("VSADALP_S4(%d, %d)", 8+t, sum(t/2, j+t%2))
				}
			}
			f.op("ADD $64, R1")
			f.label("summed")
		},
		sums: func(f *file, _ gemmQ8) {
			f.rem("add the four sums of each element, and the bias")
			f.op("MOVD GemmQ8_W(R0), R16")
			f.op("FLDPQ (R16), (F12, F13)")
			f.op("FLDPQ 32(R16), (F%d, F%d)", q8Scales, q8Scales+1)
			for i := range 2 {
				for j := 0; j < 8; j += 2 {
					f.op("VADDP V%d.S4, V%d.S4, V%d.S4", sum(i, j+1), sum(i, j), sum(i, j))
				}
			}
			for i := range 2 {
				for v := range 2 {
					f.op("VADDP V%d.S4, V%d.S4, V%d.S4", sum(i, 4*v+2), sum(i, 4*v), 8+2*i+v)
				}
			}
			for i := range 2 {
				for v := range 2 {
					f.op("VADD V%d.S4, V%d.S4, V%d.S4", 12+v, 8+2*i+v, 8+2*i+v)
				}
			}
		},
	}
}

// pairQ8 adds 16 products of two columns for both rows. A register is loaded for
// the next columns as soon as it is free.
func pairQ8(f *file, j int, single bool, sum func(i, j int) int) {
	next := func(at, v int) {
		if j < 6 {
			f.op("FLDPD %d(R1), (F%d, F%d)", at+8*j+16, v, v+1)
		}
	}
	add := func() {
		for t := range 4 {
			f.op("VSADALP_S4(%d, %d)", 8+t, sum(t/2, j+t%2))
		}
	}
	for t := range 4 {
		f.op("VSMULL_H8(%d, %d, %d)", 4+t%2, t/2*2, 8+t)
	}
	next(0, 4)
	op := "VSMLAL_H8"
	if single {
		op = "VSMULL_H8"
		add()
	}
	for t := range 4 {
		f.op("%s(%d, %d, %d)", op, 6+t%2, t/2*2+1, 8+t)
	}
	next(64, 6)
	add()
}

// gemmQ8Dot is the tile of 4 rows and 16 columns, or 8 of them, for CPUs that
// have dot products. W holds 4 steps of K of each column together.
//
//	V0-V3 16 k of each row   V4-V11 W   V12 0x80   V16-V31 the tile
func gemmQ8Dot(regs int) gemmQ8 {
	const rows = 4
	acc := func(i, v int) int { return 16 + regs*i + v }
	load := func(f *file, from, to int) {
		for v := 0; v < regs; v += 2 {
			f.op("FLDPQ %d(R1), (F%d, F%d)", from+16*v, to+v, to+v+1)
		}
	}
	step := func(f *file, k, w int) {
		for v := range regs {
			for i := range rows {
				f.op("VSDOT_S4_LANE(%d, %d, %d, %d)", i, k, w+v, acc(i, v))
			}
		}
	}
	sixteen := func(f *file, load string) {
		f.rem("16 k of every row")
		for i := range rows {
			f.op(load, rowReg+i, i)
		}
		for i := range rows {
			f.op("VEOR V12.B16, V%d.B16, V%d.B16", i, i)
		}
	}
	return gemmQ8{
		rows: rows, regs: regs, panel: 16,
		acc: func(_ gemmQ8, i, v int) int { return acc(i, v) },
		begin: func(f *file, _ gemmQ8) {
			f.op("VMOVI $128, V12.B16")
			load(f, 0, acc(0, 0))
			f.op("ADD $128, R1")
			for i := 1; i < rows; i++ {
				for v := range regs {
					f.op("VMOV V%d.B16, V%d.B16", acc(0, v), acc(i, v))
				}
			}
		},
		products: func(f *file, _ gemmQ8) {
			f.op("SUBS $12, R2, R16")
			f.op("BLE tail")
			f.loop("sixteen")
			sixteen(f, "FMOVQ.P 16(R%d), F%d")
			for k := range 4 {
				load(f, 64*k, 4+k%2*4)
				step(f, k, 4+k%2*4)
			}
			f.op("ADD $256, R1")
			f.op("SUBS $16, R16")
			f.op("BGT sixteen")
			f.label("tail")
			f.op("ADDS $12, R16")
			f.op("BLE summed")
			sixteen(f, "FMOVQ (R%d), F%d")
			for k := range 3 {
				load(f, 0, 4)
				f.op("ADD $64, R1")
				step(f, k, 4)
				if k < 2 {
					f.op("SUBS $4, R16")
					f.op("BLE summed")
				}
			}
			f.label("summed")
		},
		sums: func(f *file, _ gemmQ8) {
			f.op("MOVD GemmQ8_W(R0), R16")
			for v := 0; v < regs; v += 2 {
				f.op("FLDPQ %d(R16), (F%d, F%d)", 64+16*v, q8Scales+v, q8Scales+v+1)
			}
		},
	}
}
