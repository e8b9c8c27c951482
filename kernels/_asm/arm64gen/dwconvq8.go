package main

import "fmt"

// dwconvQ8 writes the depthwise convolution. Four pixels go together, 16
// channels at a time; where fewer pixels are left, the others repeat the last
// one. Rows of weights and of the input may be read to a multiple of 16.
//
//	R0 args   R1 bias of the channels   R2 ZeroA   R3 In of the channels
//	R4 offsets of the group   R5 channel   R6 width of the rows of W, in channels
//	R7 bytes of offsets of a pixel   R8 channels left   R9 pixels left   R10 W of
//	the tap   R11 taps left   R12-R15 offsets, then outputs, of each pixel   R16,
//	R17, R19, R20 inputs of each pixel   R21 OutStride   R22 Out of the group
//	R23 scales of the channels   R24 W of the channels   R25 scratch
//	V0, V1 limits   V2, V3 W   V4-V7 scales   V8-V13 inputs   V16-V31 sums
func dwconvQ8(f *file) {
	const px = 4
	sum := func(p, v int) int { return 16 + 4*p + v }
	f.text("q8DwconvNEON", "(a *ref.DwconvQ8, first, width int)", 24, `q8DwconvNEON is ref.Q8Dwconv for Pixels > 0 and C > 0, where In, ZeroA and Out
are those of channel first, and the rows of W are width wide.
`)
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
	f.op("ADD R25<<1, R24")
	f.op("ADD R25<<2, R1")
	f.op("ADD R6<<2, R1, R23")
	f.op("MOVD DwconvQ8_ZeroA(R0), R2")
	f.op("MOVD DwconvQ8_In(R0), R3")
	f.op("MOVD DwconvQ8_C(R0), R8")
	f.op("MOVD $0, R5")

	f.label("channels")
	f.rem("4 pixels x 16 channels start at the bias")
	for v := 0; v < 4; v += 2 {
		f.op("FLDPQ %d(R1), (F%d, F%d)", 16*v, sum(0, v), sum(0, v+1))
	}
	f.repeatPixels(4, 7)
	for p := 1; p < px; p++ {
		for v := range 4 {
			f.op("VMOV V%d.B16, V%d.B16", sum(0, v), sum(p, v))
		}
	}
	f.op("MOVD R24, R10")
	f.op("MOVD DwconvQ8_Taps(R0), R11")
	f.op("CBZ R11, store")
	f.loop("tap")
	for p := range px {
		f.op("MOVW.P 4(R%d), R%d", 12+p, inputRegs[p])
	}
	f.op("FLDPQ (R10), (F2, F3)")
	f.op("ADD R6<<1, R10")
	for p := range px {
		r := inputRegs[p]
		f.op("CMP $0, R%d", r)
		f.op("ADD R3, R%d, R%d", r, r)
		f.op("CSEL LT, R2, R%d, R%d", r, r)
	}
	for p := range px {
		x := 8 + 3*(p%2)
		f.op("FMOVQ (R%d), F%d", inputRegs[p], x)
		f.op("VUSHLL $0, V%d.B8, V%d.H8", x, x+1)
		f.op("VUSHLL2 $0, V%d.B16, V%d.H8", x, x+2)
		for v := range 4 {
			f.op("VSMLAL%s_S4(%d, %d, %d)", upperSuffix[v%2], 2+v/2, x+1+v/2, sum(p, v))
		}
	}
	f.op("SUBS $1, R11")
	f.op("BNE tap")

	f.label("store")
	limits(f, "DwconvQ8")
	for v := 0; v < 4; v += 2 {
		f.op("FLDPQ %d(R23), (F%d, F%d)", 16*v, q8Scales+v, q8Scales+v+1)
	}
	var all []int
	for p := range px {
		for v := range 4 {
			all = append(all, sum(p, v))
		}
	}
	f.scaleS4(all, func(i int) int { return q8Scales + i%4 })
	f.op("ADD R5, R22, R25")
	f.repeatPixels(25, 21)
	f.op("MOVD R8, R17")
	f.requantize("DwconvQ8", all)
	dwconvQ8Store(f, sum)
	f.rem("next channels")
	f.op("ADD $64, R1")
	f.op("ADD $64, R23")
	f.op("ADD $32, R24")
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
func dwconvQ8Store(f *file, sum func(p, v int) int) {
	row := func(p int) []int { return []int{sum(p, 0), sum(p, 1), sum(p, 2), sum(p, 3)} }
	for p := range 4 {
		f.narrowQ8(row(p))
	}
	f.op("CMP $16, R17")
	f.op("BLT part")
	for p := range 4 {
		f.op("FMOVQ F%d, (R%d)", sum(p, 0), 12+p)
	}
	f.op("B next")
	f.label("part")
	for p := range 4 {
		f.partBytes(fmt.Sprintf("pixel%d", p), sum(p, 0), 12+p, true)
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
		f.op("FSTPQ (F%d, F%d), (R%d)", sum(p, 0), sum(p, 1), 12+p)
		f.op("FSTPQ (F%d, F%d), 32(R%d)", sum(p, 2), sum(p, 3), 12+p)
	}
	f.op("B next")
	f.label("floatpart")
	for p := range 4 {
		f.partFloats(fmt.Sprintf("pixel%d", p), row(p), 12+p)
	}
	f.label("next")
}
