package main

import "fmt"

// The register plan of the matrix kernels.
//
//	R0 args    R1 W         R2 K          R3 taps left  R4 offsets of the tap
//	R5 A       R6 Zero      R7 4·Taps     R8-R15 rows   R16 k left, scratch
//	R17 scratch
//	V0-V7 four k of each row   V8-V15 four k of W   V16-V31 the tile
const (
	gemmMR = 8
	rowReg = 8
	wReg   = 8
	accReg = 16
)

func gemmFile(f *file) {
	for _, igemm := range []bool{false, true} {
		for m := 1; m <= gemmMR; m++ {
			gemm(f, m, igemm)
		}
	}
}

// gemm writes the kernel of M = m rows and 8 columns.
func gemm(f *file, m int, igemm bool) {
	if igemm {
		f.text(fmt.Sprintf("f32IgemmNEON%dx8", m), "(a *ref.GemmF32)", 8, fmt.Sprintf(igemmDoc, m, m))
	} else {
		f.text(fmt.Sprintf("f32GemmNEON%dx8", m), "(a *ref.GemmF32)", 8, fmt.Sprintf(gemmDoc, m, m))
	}
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD GemmF32_W(R0), R1")
	f.op("MOVD GemmF32_K(R0), R2")

	f.rem("every row starts at the bias")
	f.op("FLDPQ (R1), (F%d, F%d)", accReg, accReg+1)
	f.op("ADD $32, R1")
	for i := 1; i < m; i++ {
		f.op("VMOV V%d.B16, V%d.B16", accReg, acc(i, 0))
		f.op("VMOV V%d.B16, V%d.B16", accReg+1, acc(i, 1))
	}
	if igemm {
		taps(f, m)
	} else {
		rows(f, m)
	}
	products(f, m)
	if igemm {
		f.op("SUBS $1, R3")
		f.op("BNE tap")
		f.label("store")
	}
	epilogue(f, m)
	f.op("RET")
}

const gemmDoc = `f32GemmNEON%dx8 computes

	for m := range %d {
		for n := range 8 {
			s := W[n]
			for k := range K {
				s = fma(A[m][k], W[8+8*k+n], s)
			}
			C[m][n] = clamp(s+Res[m][n], Min, Max)
		}
	}`

const igemmDoc = `f32IgemmNEON%dx8 computes

	for m := range %d {
		for n := range 8 {
			s := W[n]
			for t := range Taps {
				x := A[Offsets[m*Taps+t]:] // Zero where the offset is negative
				for k := range K {
					s = fma(x[k], W[8+8*(t*K+k)+n], s)
				}
			}
			C[m][n] = clamp(s+Res[m][n], Min, Max)
		}
	}`

// acc is the register of columns 4h to 4h+3 of row i of the tile.
func acc(i, h int) int { return accReg + 2*i + h }

// rows points R8 and up at the rows of a plain matrix.
func rows(f *file, m int) {
	f.rem("R8, R9, ... = rows of A")
	f.op("MOVD GemmF32_A(R0), R%d", rowReg)
	if m > 1 {
		f.op("MOVD GemmF32_AStride(R0), R17")
	}
	for i := 1; i < m; i++ {
		f.op("ADD R17, R%d, R%d", rowReg+i-1, rowReg+i)
	}
}

// taps begins the loop over taps and points R8 and up at the rows of one.
func taps(f *file, m int) {
	f.op("MOVD GemmF32_Taps(R0), R3")
	f.op("MOVD GemmF32_Offsets(R0), R4")
	f.op("MOVD GemmF32_A(R0), R5")
	f.op("MOVD GemmF32_Zero(R0), R6")
	f.op("LSL $2, R3, R7")
	f.op("CBZ R3, store")
	f.label("tap")
	f.rem("R8, R9, ... = A + offset, or Zero where the offset is negative")
	f.op("MOVD R4, R17")
	f.op("ADD $4, R4")
	for i := range m {
		f.op("MOVW (R17), R16")
		if i < m-1 {
			f.op("ADD R7, R17")
		}
		f.op("ADD R5, R16, R%d", rowReg+i)
		f.op("CMP $0, R16")
		f.op("CSEL LT, R6, R%d, R%d", rowReg+i, rowReg+i)
	}
}

// products adds the K products of the rows at R8 and up, four k at a time,
// then two, then one.
func products(f *file, m int) {
	f.op("SUBS $4, R2, R16")
	f.op("BLT pair")
	f.loop("quad")
	f.rem("four k of every row and of W")
	for i := range m {
		f.op("FMOVQ.P 16(R%d), F%d", rowReg+i, i)
	}
	weights(f, 4)
	for k := range 4 {
		step(f, m, k)
	}
	f.op("SUBS $4, R16")
	f.op("BGE quad")

	f.label("pair")
	f.op("TBZ $1, R16, single")
	for i := range m {
		f.op("FMOVD.P 8(R%d), F%d", rowReg+i, i)
	}
	weights(f, 2)
	for k := range 2 {
		step(f, m, k)
	}

	f.label("single")
	f.op("TBZ $0, R16, summed")
	for i := range m {
		f.op("FMOVS (R%d), F%d", rowReg+i, i)
	}
	weights(f, 1)
	step(f, m, 0)
	f.label("summed")
}

// weights loads n rows of W.
func weights(f *file, n int) {
	for k := range n {
		f.op("FLDPQ %d(R1), (F%d, F%d)", 32*k, wReg+2*k, wReg+2*k+1)
	}
	f.op("ADD $%d, R1", 32*n)
}

// step adds the products of one k.
func step(f *file, m, k int) {
	f.rem("C[m][n] += A[m][k+%d]·W[k+%d][n]", k, k)
	for i := range m {
		for h := range 2 {
			f.op("VFMLA_S4_LANE(%d, %d, %d, %d)", i, k, wReg+2*k+h, acc(i, h))
		}
	}
}

// epilogue adds the residual, clamps and stores.
func epilogue(f *file, m int) {
	f.op("MOVD GemmF32_Res(R0), R10")
	f.op("CBZ R10, clamp")
	f.rem("add the residual")
	f.op("MOVD GemmF32_ResStride(R0), R11")
	for i := range m {
		f.op("FLDPQ (R10), (F%d, F%d)", 2*i, 2*i+1)
		if i < m-1 {
			f.op("ADD R11, R10")
		}
	}
	for i := range m {
		for h := range 2 {
			f.op("VFADD_S4(%d, %d, %d)", 2*i+h, acc(i, h), acc(i, h))
		}
	}
	f.label("clamp")
	f.op("MOVD GemmF32_C(R0), R8")
	f.op("MOVD GemmF32_CStride(R0), R9")
	limits(f, "GemmF32")
	for i := range m {
		for h := range 2 {
			f.op("VFMAX_S4(0, %d, %d)", acc(i, h), acc(i, h))
			f.op("VFMIN_S4(1, %d, %d)", acc(i, h), acc(i, h))
		}
		f.op("FSTPQ (F%d, F%d), (R8)", acc(i, 0), acc(i, 1))
		if i < m-1 {
			f.op("ADD R9, R8")
		}
	}
}

// limits loads Min into V0 and Max into V1.
func limits(f *file, args string) {
	f.rem("V0 = Min, V1 = Max")
	f.op("ADD $%s_Min, R0, R16", args)
	f.op("VLD1R (R16), [V0.S4]")
	f.op("ADD $%s_Max, R0, R16", args)
	f.op("VLD1R (R16), [V1.S4]")
}
