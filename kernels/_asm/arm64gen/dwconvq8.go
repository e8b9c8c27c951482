package main

import "fmt"

// dwconvQ8 writes the depthwise convolution: one tap after the other or, where dot
// is set, four taps at a time with dot products. Four pixels go together, 16
// channels at a time; where fewer pixels are left, the others repeat the last
// one. Rows of weights and of the input may be read to a multiple of 16.
//
//	R0 args   R1 bias of the channels   R2 ZeroA   R3 In of the channels
//	R4 offsets of the group   R5 channel   R6 width of the rows of W, in channels
//	R7 bytes of offsets of a pixel   R8 channels left   R9 pixels left   R10 W of
//	the tap   R11 taps left   R12-R15 offsets, then outputs, of each pixel   R16,
//	R17, R19, R20 inputs of each pixel   R21 OutStride   R22 Out of the group
//	R23 scales of the channels   R24 W of the channels   R25 scratch
//	V16-V31 sums; in the epilogue V0, V1 limits   V4-V7 scales; see the taps
func dwconvQ8(f *file, dot bool) {
	const px = 4
	name, taps, shift := "q8DwconvNEON", dwconvQ8Taps, 1
	if dot {
		name, taps, shift = "q8DwconvDot", dwconvQ8Dot, 2
	}
	f.text(name, "(a *ref.DwconvQ8, first, width int)", 24, fmt.Sprintf(`%s is ref.Q8Dwconv for weights in groups of %d, for Pixels > 0 and
C > 0, where In, ZeroA and Out are those of channel first, and the rows of W are
width wide.
`, name, map[bool]int{false: 1, true: 4}[dot]))
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD width+16(FP), R6")
	f.op("MOVD DwconvQ8_Offsets(R0), R4")
	f.op("MOVD DwconvQ8_Taps(R0), R7")
	f.op("LSL $2, R7")
	f.op("MOVD DwconvQ8_Pixels(R0), R9")
	f.op("MOVD DwconvQ8_OutStride(R0), R21")
	f.op("MOVD DwconvQ8_Out(R0), R22")
	f.label("group")
	f.op("MOVD first+8(FP), R25")
	f.op("MOVD DwconvQ8_W(R0), R1")
	f.op("ADD R6<<3, R1, R24")
	f.op("ADD R25<<%d, R24", shift)
	f.op("ADD R25<<2, R1")
	f.op("ADD R6<<2, R1, R23")
	f.op("MOVD DwconvQ8_ZeroA(R0), R2")
	f.op("MOVD DwconvQ8_In(R0), R3")
	f.op("MOVD DwconvQ8_C(R0), R8")
	f.op("MOVD $0, R5")

	f.label("channels")
	f.rem("4 pixels x 16 channels start at the bias")
	for v := 0; v < 4; v += 2 {
		f.op("FLDPQ %d(R1), (F%d, F%d)", 16*v, sumQ8(0, v), sumQ8(0, v+1))
	}
	f.op("MOVD DwconvQ8_Taps(R0), R11")
	f.repeatPixels(4, 7)
	taps(f)
	f.label("store")
	limits(f, "DwconvQ8")
	for v := 0; v < 4; v += 2 {
		f.op("FLDPQ %d(R23), (F%d, F%d)", 16*v, q8Scales+v, q8Scales+v+1)
	}
	var all []int
	for p := range px {
		for v := range 4 {
			all = append(all, sumQ8(p, v))
		}
	}
	f.toFloat(all)
	f.scaleS4(all, func(i int) int { return q8Scales + i%4 })
	f.op("ADD R5, R22, R25")
	f.repeatPixels(25, 21)
	f.op("MOVD R8, R17")
	f.requantize("DwconvQ8", all)
	dwconvQ8Store(f)
	f.rem("next channels")
	f.op("ADD $64, R1")
	f.op("ADD $64, R23")
	f.op("ADD $%d, R24", 16<<shift)
	f.op("ADD $16, R2")
	f.op("ADD $16, R3")
	f.op("ADD $16, R5")
	f.op("SUBS $16, R8")
	f.op("BGT channels")
	f.rem("next pixels")
	f.op("ADD R7<<2, R4")
	f.op("ADD R21<<2, R22")
	f.op("SUBS $%d, R9", px)
	f.op("BGT group")
	f.op("RET")
}

// sumQ8 is the register of channels 4v to 4v+3 of pixel p.
func sumQ8(p, v int) int { return 16 + 4*p + v }

// copyPixels copies the sums of the first pixel to the others.
func (f *file) copyPixels() {
	for p := 1; p < 4; p++ {
		for v := range 4 {
			f.op("VMOV V%d.B16, V%d.B16", sumQ8(0, v), sumQ8(p, v))
		}
	}
}

// inputs makes addresses of the offsets in some registers.
func (f *file) inputs(regs [4]int) {
	for _, r := range regs {
		f.op("CMP $0, R%d", r)
		f.op("ADD R3, R%d, R%d", r, r)
		f.op("CSEL LT, R2, R%d, R%d", r, r)
	}
}

// dwconvQ8Taps adds the taps one by one, in products of 16 bits.
//
//	V2, V3 W   V8-V13 inputs
func dwconvQ8Taps(f *file) {
	f.copyPixels()
	f.op("MOVD R24, R10")
	f.op("CBZ R11, store")
	f.loop("tap")
	for p, r := range inputRegs {
		f.op("MOVW.P 4(R%d), R%d", 12+p, r)
	}
	f.op("FLDPQ (R10), (F2, F3)")
	f.op("ADD R6<<1, R10")
	f.inputs(inputRegs)
	for p, r := range inputRegs {
		x := 8 + 3*(p%2)
		f.op("FMOVQ (R%d), F%d", r, x)
		f.op("VUSHLL $0, V%d.B8, V%d.H8", x, x+1)
		f.op("VUSHLL2 $0, V%d.B16, V%d.H8", x, x+2)
		for v := range 4 {
			f.op("VSMLAL%s_S4(%d, %d, %d)", upperSuffix[v%2], 2+v/2, x+1+v/2, sumQ8(p, v))
		}
	}
	f.op("SUBS $1, R11")
	f.op("BNE tap")
}

// dwconvQ8Dot adds four taps at a time, the last of which may be missing: their
// weights are 0. Inputs become int8 when 128 is taken from them, for which the
// sums start 128 times the weights higher.
//
//	V0-V3, V8-V11 inputs   V4-V7 W   V12 0x80
func dwconvQ8Dot(f *file) {
	weights := func() {
		f.op("FLDPQ (R10), (F4, F5)")
		f.op("FLDPQ 32(R10), (F6, F7)")
		f.op("ADD R6<<2, R10")
	}
	f.op("VMOVI $128, V12.B16")
	for v := range 4 {
		f.op("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", 8+v)
	}
	f.op("MOVD R24, R10")
	f.op("MOVD R11, R16")
	f.op("CBZ R11, bias")
	f.loop("weights")
	weights()
	for v := range 4 {
		f.op("VSDOT_S4(12, %d, %d)", 4+v, 8+v)
	}
	f.op("SUBS $4, R16")
	f.op("BGT weights")
	f.label("bias")
	for v := range 4 {
		f.op("VSUB V%d.S4, V%d.S4, V%d.S4", 8+v, sumQ8(0, v), sumQ8(0, v))
	}
	f.copyPixels()
	f.op("MOVD R24, R10")
	f.op("SUBS $4, R11")
	f.op("BLT last")
	f.loop("four")
	weights()
	for p := range 4 {
		f.op("LDPSW.P 8(R%d), (R16, R17)", 12+p)
		f.op("LDPSW.P 8(R%d), (R19, R20)", 12+p)
		f.dotTaps(p)
	}
	f.op("SUBS $4, R11")
	f.op("BGE four")
	f.label("last")
	f.op("ADDS $4, R11")
	f.op("BEQ store")
	weights()
	f.op("SUBS $1, R11, R25")
	f.op("BEQ one")
	f.rem("two or three taps; the last of them is repeated")
	f.op("LSL $2, R25")
	for p := range 4 {
		f.op("MOVW (R%d), R16", 12+p)
		f.op("MOVW 4(R%d), R17", 12+p)
		f.op("MOVW (R%d)(R25), R19", 12+p)
		f.op("MOVD R19, R20")
		f.dotTaps(p)
	}
	f.op("B store")
	f.label("one")
	for p, r := range inputRegs {
		f.op("MOVW (R%d), R%d", 12+p, r)
	}
	f.inputs(inputRegs)
	for p, r := range inputRegs {
		f.op("FMOVQ (R%d), F0", r)
		f.op("VEOR V12.B16, V0.B16, V0.B16")
		f.zip("B16", 0, 0, 8, 9)
		f.dotInputs(p, 8, 8, 9, 9)
	}
}

// dotTaps adds the taps of a pixel whose offsets are in inputRegs.
func (f *file) dotTaps(p int) {
	f.inputs(inputRegs)
	for i, r := range inputRegs {
		f.op("FMOVQ (R%d), F%d", r, i)
	}
	for i := range 4 {
		f.op("VEOR V12.B16, V%d.B16, V%d.B16", i, i)
	}
	f.op("VZIP1 V1.B16, V0.B16, V8.B16")
	f.op("VZIP1 V3.B16, V2.B16, V9.B16")
	f.op("VZIP2 V1.B16, V0.B16, V10.B16")
	f.op("VZIP2 V3.B16, V2.B16, V11.B16")
	f.dotInputs(p, 8, 9, 10, 11)
}

// dotInputs adds the products of four taps of a pixel: a and b hold channels 0
// to 7 of the first two and the last two, c and d channels 8 to 15.
func (f *file) dotInputs(p, a, b, c, d int) {
	f.zip("H8", a, b, 0, 1)
	f.zip("H8", c, d, 2, 3)
	for v := range 4 {
		f.op("VSDOT_S4(%d, %d, %d)", v, 4+v, sumQ8(p, v))
	}
}

// repeatPixels points R12-R15 at four pixels, the last of which is repeated.
func (f *file) repeatPixels(base, stride int) {
	f.op("MOVD R%d, R12", base)
	for p := 1; p < 4; p++ {
		f.op("CMP $%d, R9", p)
		f.op("ADD R%d, R%d, R%d", stride, 11+p, 12+p)
		f.op("CSEL GT, R%d, R%d, R%d", 12+p, 11+p, 12+p)
	}
}

// dwconvQ8Store stores the channels of the four pixels at R12-R15.
func dwconvQ8Store(f *file) {
	row := func(p int) []int { return []int{sumQ8(p, 0), sumQ8(p, 1), sumQ8(p, 2), sumQ8(p, 3)} }
	for p := range 4 {
		f.narrowQ8(row(p))
	}
	f.op("CMP $16, R17")
	f.op("BLT part")
	for p := range 4 {
		f.op("FMOVQ F%d, (R%d)", sumQ8(p, 0), 12+p)
	}
	f.op("B next")
	f.label("part")
	for p := range 4 {
		f.partBytes(fmt.Sprintf("pixel%d", p), sumQ8(p, 0), 12+p, true)
	}
	f.op("B next")
	f.label("float")
	f.rem("four bytes for a channel")
	for p := range 4 {
		f.op("ADD R5<<1, R%d", 12+p)
		f.op("ADD R5, R%d", 12+p)
	}
	f.op("CMP $16, R17")
	f.op("BLT floatpart")
	for p := range 4 {
		f.op("FSTPQ (F%d, F%d), (R%d)", sumQ8(p, 0), sumQ8(p, 1), 12+p)
		f.op("FSTPQ (F%d, F%d), 32(R%d)", sumQ8(p, 2), sumQ8(p, 3), 12+p)
	}
	f.op("B next")
	f.label("floatpart")
	for p := range 4 {
		f.partFloats(fmt.Sprintf("pixel%d", p), row(p), 12+p)
	}
	f.label("next")
}
