package main

import (
	"fmt"
	"math"
)

// The transforms of Winograd's algorithms do four channels at a time: down the
// columns of a tile into working memory, column by column, then along the rows.
//
//	R0 args   R1 Work   R2 PlaneStride   R3 pixels of the tile
//	R4 transformed elements of the tile   R5 tiles left   R6 byte offset of the
//	channels   R7 bytes of channels   R8-R12, R14, R15 addresses being made
//	R13 walks the planes   R16 scratch   R17 planes of a row of products
//	R19, R20 strides   R21 Res
//	V0-V5 elements   V6-V11 scratch   V24, V25 limits   V26-V30 factors
const (
	winogradAddresses = 36 * 64 // where addresses follow the vectors in Work

	fac25, fac2, facHalf, facP, facQ = 26, 27, 28, 29, 30
)

func winogradFile(f *file) {
	for _, side := range []int{4, 2} {
		winogradIn(f, side)
		winogradOut(f, side)
	}
}

// factors loads the factors of the algorithm for 4x4 outputs, whose points are
// 0, ±√½, ±√2 and infinity.
func factors(f *file, side int) {
	if side != 4 {
		return
	}
	for _, c := range []struct {
		value float64
		reg   int
		name  string
	}{{2.5, fac25, "2.5"}, {2, fac2, "2"}, {.5, facHalf, "0.5"}, {math.Sqrt2 / 2, facP, "√½"}, {math.Sqrt2, facQ, "√2"}} {
		f.float(math.Float32bits(float32(c.value)), c.reg, c.name)
	}
}

// addresses stores base + pixel·stride, or the register none where the index of
// the pixel is negative, for n pixels of the tile behind the first.
func addresses(f *file, label string, first, n, base, stride, none int) {
	f.op("MOVD R3, R8")
	f.op("ADD $%d, R1, R14", winogradAddresses+8*first)
	f.op("MOVD $%d, R15", n)
	f.loop("%s", label)
	f.op("MOVW.P 4(R8), R11")
	f.op("MUL R%d, R11, R12", stride)
	f.op("ADD R%d, R12, R12", base)
	f.op("CMP $0, R11")
	f.op("CSEL LT, R%d, R12, R12", none)
	f.op("MOVD.P R12, 8(R14)")
	f.op("SUBS $1, R15")
	f.op("BNE %s", label)
}

// at sets R12 to address i plus the offset of the channels.
func at(f *file, i int) {
	f.op("MOVD %d(R1), R12", winogradAddresses+8*i)
	f.op("ADD R6, R12")
}

// slot is vector i of Work.
func slot(i int) string { return fmt.Sprintf("%d(R1)", 16*i) }

func winogradIn(f *file, side int) {
	n := side + 2
	name := fmt.Sprintf("f32WinogradIn%dNEON", side)
	f.text(name, "(a *ref.WinogradInF32)", 8, name+` computes, for C a multiple of 4,

	for t := range Tiles {
		for c := range C {
			V[t][c] = Bᵀ·d[t][c]·B
		}
	}`)
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD WinogradInF32_Work(R0), R1")
	f.op("MOVD WinogradInF32_PlaneStride(R0), R2")
	f.op("MOVD WinogradInF32_Pixels(R0), R3")
	f.op("MOVD WinogradInF32_Out(R0), R4")
	f.op("MOVD WinogradInF32_Tiles(R0), R5")
	f.op("MOVD WinogradInF32_C(R0), R7")
	f.op("LSL $2, R7, R7")
	f.op("MOVD WinogradInF32_In(R0), R9")
	f.op("MOVD WinogradInF32_Zero(R0), R10")
	f.op("MOVD WinogradInF32_InStride(R0), R19")
	f.op("MOVD WinogradInF32_OutStride(R0), R20")
	factors(f, side)
	f.label("tile")
	f.op("CBZ R5, end")
	addresses(f, "pixel", 0, n*n, 9, 19, 10)
	f.op("MOVD $0, R6")
	f.op("CMP R7, R6")
	f.op("BGE next")
	f.loop("block")
	for j := range n {
		f.rem("column %d", j)
		for i := range n {
			at(f, i*n+j)
			f.op("FMOVQ (R12), F%d", i)
		}
		y := inVectors(f, side)
		for i := range n {
			f.op("FMOVQ F%d, %s", y[i], slot(j*n+i))
		}
	}
	f.op("ADD R6, R4, R13")
	for i := range n {
		f.rem("row %d", i)
		for j := range n {
			f.op("FMOVQ %s, F%d", slot(j*n+i), j)
		}
		for _, v := range inVectors(f, side) {
			f.op("FMOVQ F%d, (R13)", v)
			f.op("ADD R2, R13")
		}
	}
	f.op("ADD $16, R6")
	f.op("CMP R7, R6")
	f.op("BLT block")
	f.label("next")
	f.op("ADD $%d, R3", 4*n*n)
	f.op("ADD R20, R4")
	f.op("SUB $1, R5")
	f.op("B tile")
	f.label("end")
	f.op("RET")
}

// inVectors computes Bᵀ·x of V0 and up and returns the registers of the result.
func inVectors(f *file, side int) []int {
	if side == 2 {
		f.op("VFSUB_S4(2, 0, 6)")
		f.op("VFADD_S4(2, 1, 7)")
		f.op("VFSUB_S4(1, 2, 8)")
		f.op("VFSUB_S4(3, 1, 9)")
		return []int{6, 7, 8, 9}
	}
	f.op("VMOV V4.B16, V6.B16")
	f.op("VMOV V3.B16, V8.B16")
	f.op("VMOV V4.B16, V9.B16")
	f.op("VMOV V3.B16, V11.B16")
	f.op("VFMLS V%d.S4, V2.S4, V6.S4", fac2)
	f.op("VFMLS V%d.S4, V1.S4, V8.S4", fac2)
	f.op("VFMLS V%d.S4, V2.S4, V9.S4", facHalf)
	f.op("VFMLS V%d.S4, V1.S4, V11.S4", facHalf)
	f.op("VFMLS V%d.S4, V2.S4, V0.S4", fac25)
	f.op("VFADD_S4(1, 5, 5)")
	f.op("VMOV V6.B16, V7.B16")
	f.op("VMOV V9.B16, V10.B16")
	f.op("VFMLA V%d.S4, V8.S4, V6.S4", facP)
	f.op("VFMLS V%d.S4, V8.S4, V7.S4", facP)
	f.op("VFMLA V%d.S4, V11.S4, V9.S4", facQ)
	f.op("VFMLS V%d.S4, V11.S4, V10.S4", facQ)
	f.op("VFADD_S4(4, 0, 0)")
	f.op("VFMLS V%d.S4, V3.S4, V5.S4", fac25)
	return []int{0, 6, 7, 9, 10, 5}
}

func winogradOut(f *file, side int) {
	n := side + 2
	name := fmt.Sprintf("f32WinogradOut%dNEON", side)
	f.text(name, "(a *ref.WinogradOutF32)", 8, name+` computes, for C a multiple of 4,

	for t := range Tiles {
		for c := range C {
			Y[t][c] = clamp(Aᵀ·m[t][c]·A+Res[t][c], Min, Max)
		}
	}`)
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD WinogradOutF32_Work(R0), R1")
	f.op("MOVD WinogradOutF32_PlaneStride(R0), R2")
	f.op("MOVD WinogradOutF32_Pixels(R0), R3")
	f.op("MOVD WinogradOutF32_In(R0), R4")
	f.op("MOVD WinogradOutF32_Tiles(R0), R5")
	f.op("MOVD WinogradOutF32_C(R0), R7")
	f.op("LSL $2, R7, R7")
	f.op("MOVD WinogradOutF32_Spare(R0), R10")
	f.op("MOVD WinogradOutF32_OutStride(R0), R19")
	f.op("MOVD WinogradOutF32_ResStride(R0), R20")
	f.op("MOVD WinogradOutF32_Res(R0), R21")
	f.op("MOVD $%d, R16", n)
	f.op("MUL R16, R2, R17")
	for i, limit := range []string{"Min", "Max"} {
		f.op("ADD $WinogradOutF32_%s, R0, R16", limit)
		f.op("VLD1R (R16), [V%d.S4]", 24+i)
	}
	factors(f, side)
	f.label("tile")
	f.op("CBZ R5, end")
	f.op("MOVD WinogradOutF32_Out(R0), R9")
	addresses(f, "pixel", 0, side*side, 9, 19, 10)
	f.op("CBZ R21, blocks")
	addresses(f, "residual", side*side, side*side, 21, 20, 10)
	f.label("blocks")
	f.op("MOVD $0, R6")
	f.op("CMP R7, R6")
	f.op("BGE next")
	f.loop("block")
	f.op("ADD R6, R4, R16")
	for j := range n {
		f.rem("column %d", j)
		f.op("MOVD R16, R13")
		f.op("ADD R2, R16")
		for i := range n {
			f.op("FMOVQ (R13), F%d", i)
			if i+1 < n {
				f.op("ADD R17, R13")
			}
		}
		for i, v := range outVectors(f, side) {
			f.op("FMOVQ F%d, %s", v, slot(j*n+i))
		}
	}
	for i := range side {
		f.rem("row %d", i)
		for j := range n {
			f.op("FMOVQ %s, F%d", slot(j*n+i), j)
		}
		y := outVectors(f, side)
		f.op("CBZ R21, clamp%d", i)
		for j, v := range y {
			at(f, (side+i)*side+j)
			f.op("FMOVQ (R12), F8")
			f.op("VFADD_S4(8, %d, %d)", v, v)
		}
		f.label("clamp%d", i)
		for j, v := range y {
			f.op("VFMAX_S4(24, %d, %d)", v, v)
			f.op("VFMIN_S4(25, %d, %d)", v, v)
			at(f, i*side+j)
			f.op("FMOVQ F%d, (R12)", v)
		}
	}
	f.op("ADD $16, R6")
	f.op("CMP R7, R6")
	f.op("BLT block")
	f.label("next")
	f.op("ADD $%d, R3", 4*side*side)
	f.op("MOVD WinogradOutF32_InStride(R0), R16")
	f.op("ADD R16, R4")
	f.op("SUB $1, R5")
	f.op("B tile")
	f.label("end")
	f.op("RET")
}

// outVectors computes Aᵀ·x of V0 and up and returns the registers of the result.
func outVectors(f *file, side int) []int {
	if side == 2 {
		f.op("VFADD_S4(1, 0, 0)")
		f.op("VFSUB_S4(2, 1, 1)")
		f.op("VFADD_S4(2, 0, 0)")
		f.op("VFSUB_S4(3, 1, 1)")
		return []int{0, 1}
	}
	f.op("VFADD_S4(2, 1, 6)")
	f.op("VFSUB_S4(2, 1, 1)")
	f.op("VFADD_S4(4, 3, 7)")
	f.op("VFSUB_S4(4, 3, 3)")
	f.op("VFADD_S4(6, 0, 0)")
	f.op("VFMUL_S4(%d, 1, 1)", facP)
	f.op("VFMUL_S4(%d, 3, 3)", facQ)
	f.op("VFMUL_S4(%d, 6, 6)", facHalf)
	f.op("VFADD_S4(7, 0, 0)")
	f.op("VFMLA V%d.S4, V1.S4, V5.S4", facHalf)
	f.op("VFMLA V%d.S4, V7.S4, V6.S4", fac2)
	f.op("VFADD_S4(3, 1, 1)")
	f.op("VFMLA V%d.S4, V3.S4, V5.S4", fac2)
	return []int{0, 1, 6, 5}
}
