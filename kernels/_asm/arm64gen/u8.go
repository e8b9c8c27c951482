package main

import "fmt"

// u8File writes the elementwise functions, conversions and poolings of uint8.
// The first two kinds do 16 elements at a time; their callers do the rest.
func u8File(f *file) {
	binaryU8(f, false)
	binaryU8(f, true)
	tableU8(f)
	toU8(f)
	fromU8(f)
	poolU8(f, false)
	poolU8(f, true)
}

var fourRegs = []int{16, 17, 18, 19}

// wide makes float32 of the 16 bytes of V(x) less a zero point, in V(to) and up:
// x behind the exponent of 2^23 is 2^23+x, from which V(zero) is taken. It
// changes V(x) and V(x+1).
func (f *file) wide(x, zero, to int) {
	f.op("VUSHLL2 $0, V%d.B16, V%d.H8", x, x+1)
	f.op("VUSHLL $0, V%d.B8, V%d.H8", x, x)
	f.zip("H8", x, 13, to, to+1)
	f.zip("H8", x+1, 13, to+2, to+3)
	for i := range 4 {
		f.op("VFSUB_S4(%d, %d, %d)", zero, to+i, to+i)
	}
}

// wider loads the upper half of 2^23 into V13, for wide, and 2^23 plus the zero
// point in R16 into V(zero).
func (f *file) wider(zero int) {
	f.op("MOVD $0x4b000000, R17 // 2^23")
	f.op("ADDW R16, R17, R16")
	f.op("VDUP R16, V%d.S4", zero)
	f.op("LSR $16, R17")
	f.op("VDUP R17, V13.H8")
}

// narrow makes 16 bytes of the scaled V16-V19 and stores them at R5.
func (f *file) narrow() {
	f.roundS4(fourRegs)
	f.narrowQ8(fourRegs)
	f.op("FMOVQ.P F16, 16(R5)")
}

// again ends a loop over R3 elements.
func (f *file) again() {
	f.op("SUBS $16, R3")
	f.op("BGT loop")
	f.op("RET")
}

// binaryU8 writes the sum or the product.
//
//	V0, V1 limits   V2 Zero   V3, V4 A and B   V5, V6 ZeroA and ZeroB, in
//	the sum 2^23 more   V12, V13 constants
func binaryU8(f *file, mul bool) {
	name, truth := "u8AddNEON", "U8Add"
	if mul {
		name, truth = "u8MulNEON", "U8Mul"
	}
	f.text(name, "(dst, a, b *uint8, p *ref.BinaryU8, n int)", 40, name+" is ref."+truth+" of n > 0 elements, a multiple of 16.\n")
	f.op("MOVD dst+0(FP), R5")
	f.op("MOVD a+8(FP), R1")
	f.op("MOVD b+16(FP), R2")
	f.op("MOVD p+24(FP), R0")
	f.op("MOVD n+32(FP), R3")
	limits(f, "BinaryU8")
	f.field("BinaryU8", "Zero", "V2.B16")
	f.field("BinaryU8", "A", "V3.S4")
	f.field("BinaryU8", "B", "V4.S4")
	f.rounder()
	for i, zero := range []string{"ZeroA", "ZeroB"} {
		if mul {
			f.field("BinaryU8", zero, fmt.Sprintf("V%d.B16", 5+i))
		} else {
			f.op("MOVW BinaryU8_%s(R0), R16", zero)
			f.wider(5 + i)
		}
	}
	f.loop("loop")
	f.op("FMOVQ.P 16(R1), F8")
	f.op("FMOVQ.P 16(R2), F10")
	if mul {
		for i := range 2 {
			f.op("VUSUBL2_H8(%d, %d, %d)", 5+i, 8+2*i, 9+2*i)
			f.op("VUSUBL_H8(%d, %d, %d)", 5+i, 8+2*i, 8+2*i)
		}
		for i, r := range fourRegs {
			f.op("VSMULL%s_S4(%d, %d, %d)", upperSuffix[i%2], 10+i/2, 8+i/2, r)
		}
		f.toFloat(fourRegs)
		f.scaleS4(fourRegs, func(int) int { return 3 })
	} else {
		f.wide(8, 5, 16)
		f.wide(10, 6, 20)
		f.scaleS4([]int{16, 17, 18, 19, 20, 21, 22, 23}, func(i int) int { return 3 + i/4 })
		for _, r := range fourRegs {
			f.op("VFADD_S4(%d, %d, %d)", r+4, r, r)
		}
	}
	f.clampS4(fourRegs)
	f.narrow()
	f.again()
}

// tableU8 looks every byte up in the quarter of the table that has it.
func tableU8(f *file) {
	f.text("u8TableNEON", "(dst, src *uint8, table *[256]uint8, n int)", 32, "u8TableNEON is ref.U8Table of n > 0 elements, a multiple of 16.\n")
	f.op("MOVD dst+0(FP), R5")
	f.op("MOVD src+8(FP), R1")
	f.op("MOVD table+16(FP), R2")
	f.op("MOVD n+24(FP), R3")
	for i := range 8 {
		f.op("FLDPQ %d(R2), (F%d, F%d)", 32*i, 16+2*i, 17+2*i)
	}
	f.op("VMOVI $64, V4.B16")
	f.loop("loop")
	f.op("FMOVQ.P 16(R1), F0")
	for q := range 4 {
		op, t := "VTBX", 16+4*q
		if q == 0 {
			op = "VTBL"
		}
		f.op("%s V0.B16, [V%d.B16, V%d.B16, V%d.B16, V%d.B16], V1.B16", op, t, t+1, t+2, t+3)
		if q < 3 {
			f.op("VSUB V4.B16, V0.B16, V0.B16")
		}
	}
	f.op("FMOVQ.P F1, 16(R5)")
	f.again()
}

func toU8(f *file) {
	f.text("f32ToU8NEON", "(dst *uint8, src *float32, scale, lo, hi float32, zero int32, n int)", 40, `f32ToU8NEON is ref.F32ToU8 of n > 0 elements, a multiple of 16, for lo = -zero
and hi = 255-zero.
`)
	f.op("MOVD dst+0(FP), R5")
	f.op("MOVD src+8(FP), R1")
	for i, p := range []string{"lo+20", "hi+24", "zero+28", "scale+16"} {
		f.op("MOVWU %s(FP), R16", p)
		f.op("VDUP R16, V%d.%s", i, []string{"S4", "S4", "B16", "S4"}[i])
	}
	f.rounder()
	f.op("MOVD n+32(FP), R3")
	f.loop("loop")
	f.op("FLDPQ.P 32(R1), (F16, F17)")
	f.op("FLDPQ.P 32(R1), (F18, F19)")
	for _, r := range fourRegs {
		f.op("VFDIV_S4(3, %d, %d)", r, r)
	}
	for _, r := range fourRegs {
		f.op("VFMAXNM_S4(0, %d, %d)", r, r)
	}
	for _, r := range fourRegs {
		f.op("VFMIN_S4(1, %d, %d)", r, r)
	}
	f.narrow()
	f.again()
}

func fromU8(f *file) {
	f.text("u8ToF32NEON", "(dst *float32, src *uint8, scale float32, zero int32, n int)", 32, "u8ToF32NEON is ref.U8ToF32 of n > 0 elements, a multiple of 16, for zero from 0\nto 255.\n")
	f.op("MOVD dst+0(FP), R5")
	f.op("MOVD src+8(FP), R1")
	f.op("MOVWU scale+16(FP), R16")
	f.op("VDUP R16, V3.S4")
	f.op("MOVWU zero+20(FP), R16")
	f.wider(5)
	f.op("MOVD n+24(FP), R3")
	f.loop("loop")
	f.op("FMOVQ.P 16(R1), F8")
	f.wide(8, 5, 16)
	f.scaleS4(fourRegs, func(int) int { return 3 })
	f.op("FSTPQ.P (F16, F17), 32(R5)")
	f.op("FSTPQ.P (F18, F19), 32(R5)")
	f.again()
}

// poolU8 writes one of the poolings, which do one pixel at a time, 64 channels
// at a time and then 16.
//
//	R0 args   R3 In of the channels   R4 offsets of the pixel   R5 Out of the
//	channels   R6 Scale   R7 Taps   R8 channels left   R9 pixels left
//	R10 taps left   R11 taps of a round   R12 offset   R13 taps that count
//	R16, R17 scratch   R21 OutStride   R22 Out of the pixel
//	V0-V3 inputs   V4-V11 sums of 16 bits   V16-V31 sums of 32 bits, or maxima
func poolU8(f *file, avg bool) {
	name, truth := "u8MaxPoolNEON", "U8MaxPool"
	if avg {
		name, truth = "u8AvgPoolNEON", "U8AvgPool"
	}
	f.text(name, "(a *ref.PoolQ8)", 8, name+" is ref."+truth+" for Pixels > 0 and C > 0.\n")
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD PoolQ8_Offsets(R0), R4")
	f.op("MOVD PoolQ8_Taps(R0), R7")
	f.op("MOVD PoolQ8_Pixels(R0), R9")
	f.op("MOVD PoolQ8_OutStride(R0), R21")
	f.op("MOVD PoolQ8_Out(R0), R22")
	if avg {
		f.op("MOVD PoolQ8_Scale(R0), R6")
	}
	f.label("pixel")
	f.op("MOVD PoolQ8_In(R0), R3")
	f.op("MOVD PoolQ8_C(R0), R8")
	f.op("MOVD R22, R5")
	for _, vecs := range []int{4, 1} {
		n := 16 * vecs
		f.label("span%d", n)
		if vecs > 1 {
			f.op("CMP $%d, R8", n)
			f.op("BLT skip%d", n)
		}
		if avg {
			avgTapsU8(f, vecs)
			avgResultU8(f, vecs)
		} else {
			maxTapsU8(f, vecs)
		}
		step := 4
		if !avg {
			step = 1
		}
		if vecs == 1 {
			f.op("CMP $16, R8")
			f.op("BLT part")
		}
		for v := range vecs {
			f.op("FMOVQ.P F%d, 16(R5)", 16+step*v)
		}
		f.op("ADD $%d, R3", n)
		f.op("SUBS $%d, R8", n)
		f.op("BGT span%d", n)
		f.op("B next")
		f.label("skip%d", n)
	}
	f.label("part")
	f.op("MOVD R8, R17")
	f.partBytes("part", 16, 5, true)
	f.label("next")
	f.op("ADD R7<<2, R4")
	f.op("ADD R21, R22")
	if avg {
		f.op("ADD $4, R6")
	}
	f.op("SUBS $1, R9")
	f.op("BGT pixel")
	f.op("RET")
}

// inputU8 loads the span of the next tap, or goes to outside.
func inputU8(f *file, vecs int) {
	f.op("MOVW.P 4(R12), R16")
	f.op("TBNZ $63, R16, outside%d", vecs)
	f.op("ADD R3, R16")
	if vecs == 1 {
		f.op("FMOVQ (R16), F0")
		return
	}
	for v := 0; v < vecs; v += 2 {
		f.op("FLDPQ %d(R16), (F%d, F%d)", 16*v, v, v+1)
	}
}

func maxTapsU8(f *file, vecs int) {
	for v := range vecs {
		f.op("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", 16+v)
	}
	f.op("MOVD R4, R12")
	f.op("MOVD R7, R10")
	f.loop("tap%d", vecs)
	inputU8(f, vecs)
	for v := range vecs {
		f.op("VUMAX V%d.B16, V%d.B16, V%d.B16", v, 16+v, 16+v)
	}
	f.label("outside%d", vecs)
	f.op("SUBS $1, R10")
	f.op("BGT tap%d", vecs)
}

// avgTapsU8 sums the taps of a span: up to 256 of them in 16 bits, then in 32.
func avgTapsU8(f *file, vecs int) {
	for v := range 4 * vecs {
		f.op("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", 16+v)
	}
	f.op("MOVD R4, R12")
	f.op("MOVD R7, R10")
	f.op("MOVD $0, R13")
	f.op("MOVD $256, R17")
	f.label("round%d", vecs)
	f.op("CMP R17, R10")
	f.op("CSEL LT, R10, R17, R11")
	f.op("SUB R11, R10")
	for v := range 2 * vecs {
		f.op("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", 4+v)
	}
	f.loop("tap%d", vecs)
	inputU8(f, vecs)
	f.op("ADD $1, R13")
	for v := range vecs {
		f.op("VUADDW V%d.B8, V%d.H8, V%d.H8", v, 4+2*v, 4+2*v)
		f.op("VUADDW2 V%d.B16, V%d.H8, V%d.H8", v, 5+2*v, 5+2*v)
	}
	f.label("outside%d", vecs)
	f.op("SUBS $1, R11")
	f.op("BGT tap%d", vecs)
	for v := range 2 * vecs {
		f.op("VUADDW V%d.H4, V%d.S4, V%d.S4", 4+v, 16+2*v, 16+2*v)
		f.op("VUADDW2 V%d.H8, V%d.S4, V%d.S4", 4+v, 17+2*v, 17+2*v)
	}
	f.op("CBNZ R10, round%d", vecs)
}

// avgResultU8 makes bytes of the sums, 16 in each of V16, V20, V24 and V28.
func avgResultU8(f *file, vecs int) {
	limits(f, "PoolQ8")
	f.field("PoolQ8", "Zero", "V2.B16")
	f.op("VLD1R (R6), [V3.S4]")
	f.op("MOVW PoolQ8_ZeroA(R0), R16")
	f.op("MUL R13, R16")
	f.op("VDUP R16, V4.S4")
	var all []int
	for v := range 4 * vecs {
		all = append(all, 16+v)
		f.op("VSUB V4.S4, V%d.S4, V%d.S4", 16+v, 16+v)
	}
	f.toFloat(all)
	f.scaleS4(all, func(int) int { return 3 })
	f.clampS4(all)
	f.rounder()
	f.roundS4(all)
	for v := 0; v < len(all); v += 4 {
		f.narrowQ8(all[v : v+4])
	}
}
