package main

// jpegFile writes the kernels of JPEG decoding. They work on whole blocks or
// vectors only; their callers do the rest as a last vector that overlaps the one
// before.
func jpegFile(f *file) {
	idct8(f)
	idct4(f)
	idct2(f)
	upsample(f, false)
	upsample(f, true)
	toRGB(f)
}

// words loads eight 16-bit numbers, or fewer, into a register through R16.
func (f *file) words(reg int, v ...int) {
	for half := 0; 4*half < len(v); half++ {
		bits := uint64(0)
		for i, w := range v[4*half : min(len(v), 4*half+4)] {
			bits |= uint64(uint16(w)) << (16 * i)
		}
		f.op("MOVD $0x%016x, R16", bits)
		f.op("VMOV R16, V%d.D[%d]", reg, half)
	}
}

// lane is a constant: a 16-bit lane of V0 or V1.
type lane struct{ reg, i int }

// The lanes of the constants of ref.JPEGIDCT: sums and differences of them.
var (
	p0541       = lane{0, 0}
	p0541p0765  = lane{0, 1}
	p0541m1847  = lane{0, 2}
	p1175m1961  = lane{0, 3}
	p1175       = lane{0, 4}
	p1175m0390  = lane{0, 5}
	m0899       = lane{0, 6}
	p1501m0899  = lane{0, 7}
	p0298m0899  = lane{1, 0}
	m2562       = lane{1, 1}
	p3072m2562  = lane{1, 2}
	p2053m2562  = lane{1, 3}
	idctLanes   = [2][]int{{4433, 4433 + 6270, 4433 - 15137, 9633 - 16069, 9633, 9633 - 3196, -7373, 12299 - 7373}, {2446 - 7373, -20995, 25172 - 20995, 16819 - 20995}}
	idct2Lanes  = [2][]int{{-5906, 6967, -10426, 29692}, {0, 29692, 0, -10426, 0, 6967, 0, -5906}}
	idct4Lanes  = [2][]int{{15137, -6270, -1730, 11893, -17799, 8697, -4176, -4926}, {7373, 20995}}
	upperSuffix = [2]string{"", "2"}
)

// term is a register times a constant.
type term struct {
	reg int
	c   lane
}

// sum computes a sum of products of the lower or upper halves of registers.
func (f *file) sum(dst int, upper string, terms ...term) {
	for i, t := range terms {
		op := "VSMLAL"
		if i == 0 {
			op = "VSMULL"
		}
		f.op("%s%s_S4_LANE(%d, %d, %d, %d)", op, upper, t.c.reg, t.c.i, t.reg, dst)
	}
}

// zip interleaves the lanes of a and b.
func (f *file) zip(lanes string, a, b, low, high int) {
	f.op("VZIP1 V%d.%s, V%d.%s, V%d.%s", b, lanes, a, lanes, low, lanes)
	f.op("VZIP2 V%d.%s, V%d.%s, V%d.%s", b, lanes, a, lanes, high, lanes)
}

// idctStart loads the arguments, constants and the 128 that samples are raised by.
func (f *file) idctStart(name, truth string, lanes [2][]int) {
	f.text(name, "(dst *byte, stride int, coef *int16, blocks int)", 32, name+" is ref."+truth+" of blocks > 0 blocks.\n")
	f.op("MOVD dst+0(FP), R0")
	f.op("MOVD stride+8(FP), R1")
	f.op("MOVD coef+16(FP), R2")
	f.op("MOVD blocks+24(FP), R3")
	f.words(0, lanes[0]...)
	f.words(1, lanes[1]...)
	f.op("VMOVI $128, V31.B16")
}

// take loads a block to V16 to V23 and sets it to zero.
func (f *file) take() {
	for i := range 4 {
		f.op("FLDPQ %d(R2), (F%d, F%d)", 32*i, 16+2*i, 17+2*i)
	}
	f.op("VEOR V2.B16, V2.B16, V2.B16")
	for i := range 4 {
		f.op("FSTPQ (F2, F2), %d(R2)", 32*i)
	}
	f.op("ADD $128, R2")
}

func idct8(f *file) {
	f.idctStart("jpegIDCTNEON", "JPEGIDCT", idctLanes)
	f.loop("block")
	f.take()
	f.rem("all but the first coefficient")
	f.op("VORR V17.B16, V18.B16, V2.B16")
	f.op("VORR V19.B16, V20.B16, V3.B16")
	f.op("VORR V21.B16, V22.B16, V4.B16")
	f.op("VORR V16.B16, V23.B16, V5.B16")
	f.op("VMOV V17.H[0], V5.H[0]")
	f.op("VORR V2.B16, V3.B16, V2.B16")
	f.op("VORR V4.B16, V5.B16, V4.B16")
	f.op("VORR V2.B16, V4.B16, V2.B16")
	f.op("VMOV V2.D[0], R5")
	f.op("VMOV V2.D[1], R6")
	f.op("MOVD R0, R4")
	f.op("ORR R5, R6, R5")
	f.op("VMOV V23.H[0], R6")
	f.op("ORR R5, R6, R5")
	f.op("CBNZ R5, full")
	f.rem("a block of one colour")
	f.op("VDUP V16.H[0], V2.H8")
	f.op("VSQRSHRN_B8(3, 2, 2)")
	f.op("VEOR V31.B16, V2.B16, V2.B16")
	for range 7 {
		f.op("FMOVD F2, (R4)")
		f.op("ADD R1, R4")
	}
	f.op("FMOVD F2, (R4)")
	f.op("B next")
	f.label("full")
	f.idctPass(1)
	f.rem("rows to columns")
	for round := range 3 {
		from, to := 8, 16
		if round == 1 {
			from, to = 16, 8
		}
		for i := range 4 {
			f.zip("H8", from+i, from+i+4, to+2*i, to+2*i+1)
		}
	}
	f.idctPass(2)
	f.rem("columns i and i+4 as bytes, and back to rows")
	for i := range 4 {
		f.op("VSQRSHRN_B8(2, %d, %d)", 8+i, 16+i)
	}
	for i := range 4 {
		f.op("VSQRSHRN2_B16(2, %d, %d)", 12+i, 16+i)
	}
	for i := range 4 {
		f.op("VEOR V31.B16, V%d.B16, V%d.B16", 16+i, 16+i)
	}
	f.zip("B16", 16, 18, 20, 21)
	f.zip("B16", 17, 19, 22, 23)
	f.zip("B16", 20, 22, 24, 25)
	f.zip("B16", 21, 23, 26, 27)
	f.zip("S4", 24, 26, 2, 3)
	f.zip("S4", 25, 27, 4, 5)
	for row := range 8 {
		f.op("VST1 V%d.D[%d], (R4)", 2+row/2, row%2)
		if row < 7 {
			f.op("ADD R1, R4")
		}
	}
	f.label("next")
	f.op("ADD $8, R0")
	f.op("SUBS $1, R3")
	f.op("BNE block")
	f.op("RET")
}

// idctPass transforms the lanes of V16 to V23 to V8 to V15: rounded at the end of
// the first pass; with 16 bits dropped, to be rounded, at that of the second.
func (f *file) idctPass(pass int) {
	f.rem("pass %d", pass)
	f.op("VADD V19.H8, V23.H8, V24.H8")
	f.op("VADD V17.H8, V21.H8, V25.H8")
	f.op("VADD V20.H8, V16.H8, V26.H8")
	f.op("VSUB V20.H8, V16.H8, V27.H8")
	for _, up := range upperSuffix {
		f.op("VSSHLL%s_S4(13, 26, 2)", up)
		f.op("VSSHLL%s_S4(13, 27, 3)", up)
		f.sum(4, up, term{18, p0541p0765}, term{22, p0541})
		f.sum(5, up, term{18, p0541}, term{22, p0541m1847})
		f.op("VADD V4.S4, V2.S4, V6.S4")
		f.op("VSUB V4.S4, V2.S4, V4.S4")
		f.op("VADD V5.S4, V3.S4, V7.S4")
		f.op("VSUB V5.S4, V3.S4, V5.S4")
		f.sum(2, up, term{24, p1175m1961}, term{25, p1175})
		f.sum(3, up, term{24, p1175}, term{25, p1175m0390})
		for _, o := range []struct {
			out, even, z int
			terms        []term
		}{
			{0, 6, 3, []term{{23, m0899}, {17, p1501m0899}}},
			{3, 4, 2, []term{{23, p0298m0899}, {17, m0899}}},
			{1, 7, 2, []term{{21, m2562}, {19, p3072m2562}}},
			{2, 5, 3, []term{{21, p2053m2562}, {19, m2562}}},
		} {
			f.sum(28, up, o.terms...)
			f.op("VADD V%d.S4, V28.S4, V28.S4", o.z)
			f.butterfly(pass, up, 11, o.even, 28, 8+o.out, 15-o.out)
		}
	}
}

// butterfly writes the narrowed sum and difference of two registers.
func (f *file) butterfly(pass int, up string, shift, even, odd, sum, diff int) {
	size := map[string]string{"": "_H4", "2": "2_H8"}[up]
	if pass == 2 {
		f.op("VADDHN%s(%d, %d, %d)", size, odd, even, sum)
		f.op("VSUBHN%s(%d, %d, %d)", size, odd, even, diff)
		return
	}
	f.op("VADD V%d.S4, V%d.S4, V29.S4", odd, even)
	f.op("VSUB V%d.S4, V%d.S4, V30.S4", odd, even)
	f.op("VSQRSHRN%s(%d, 29, %d)", size, shift, sum)
	f.op("VSQRSHRN%s(%d, 30, %d)", size, shift, diff)
}

func idct4(f *file) {
	f.idctStart("jpegIDCT4NEON", "JPEGIDCT4", idct4Lanes)
	f.rem("columns to rows of 4x4 bytes")
	f.op("MOVD $0x0d0905010c080400, R16")
	f.op("VMOV R16, V27.D[0]")
	f.op("MOVD $0x0f0b07030e0a0602, R16")
	f.op("VMOV R16, V27.D[1]")
	f.loop("block")
	f.take()
	lanes := func(i int) lane { return lane{i / 8, i % 8} }
	line := func(up string, first, x2, x6 int, odd string, x7, x5, x3, x1 int) {
		f.op("VSSHLL%s_S4(14, %d, 2)", up, first)
		f.sum(3, up, term{x2, lanes(0)}, term{x6, lanes(1)})
		f.sum(4, odd, term{x7, lanes(2)}, term{x5, lanes(3)}, term{x3, lanes(4)}, term{x1, lanes(5)})
		f.sum(5, odd, term{x7, lanes(6)}, term{x5, lanes(7)}, term{x3, lanes(8)}, term{x1, lanes(9)})
		f.op("VADD V3.S4, V2.S4, V6.S4")
		f.op("VSUB V3.S4, V2.S4, V7.S4")
	}
	for _, up := range upperSuffix {
		line(up, 16, 18, 22, up, 23, 21, 19, 17)
		f.butterfly(1, up, 12, 6, 5, 8, 11)
		f.butterfly(1, up, 12, 7, 4, 9, 10)
	}
	f.rem("rows to columns, two in a register")
	f.zip("H8", 8, 10, 12, 13)
	f.zip("H8", 9, 11, 14, 15)
	f.zip("H8", 12, 14, 16, 17)
	f.zip("H8", 13, 15, 18, 19)
	line("", 16, 17, 19, "2", 19, 18, 17, 16)
	f.op("VADDHN_H4(5, 6, 8)")
	f.op("VADDHN2_H8(4, 7, 8)")
	f.op("VSUBHN_H4(4, 7, 9)")
	f.op("VSUBHN2_H8(5, 6, 9)")
	f.op("VSQRSHRN_B8(3, 8, 10)")
	f.op("VSQRSHRN2_B16(3, 9, 10)")
	f.op("VEOR V31.B16, V10.B16, V10.B16")
	f.op("VTBL V27.B16, [V10.B16], V10.B16")
	f.op("MOVD R0, R4")
	for row := range 4 {
		f.op("VST1 V10.S[%d], (R4)", row)
		if row < 3 {
			f.op("ADD R1, R4")
		}
	}
	f.op("ADD $4, R0")
	f.op("SUBS $1, R3")
	f.op("BNE block")
	f.op("RET")
}

func idct2(f *file) {
	f.idctStart("jpegIDCT2NEON", "JPEGIDCT2", idct2Lanes)
	f.loop("block")
	f.take()
	for _, up := range upperSuffix {
		f.op("VSSHLL%s_S4(15, 16, 2)", up)
		f.sum(3, up, term{23, lane{0, 0}}, term{21, lane{0, 1}}, term{19, lane{0, 2}}, term{17, lane{0, 3}})
		f.butterfly(1, up, 13, 2, 3, 8, 9)
	}
	f.rem("the first column and the sum of the others, of both rows")
	for row := range 2 {
		f.op("VSMULL_S4(1, %d, %d)", 8+row, 4+row)
		f.op("VSMLAL2_S4(1, %d, %d)", 8+row, 4+row)
	}
	f.op("VADDP V5.S4, V4.S4, V4.S4")
	f.op("VADDP V4.S4, V4.S4, V4.S4")
	f.op("VZIP1 V9.H8, V8.H8, V8.H8")
	f.op("VSSHLL_S4(15, 8, 2)")
	f.op("VADDHN_H4(4, 2, 5)")
	f.op("VSUBHN_H4(4, 2, 6)")
	f.op("VZIP1 V6.H8, V5.H8, V5.H8")
	f.op("VSQRSHRN_B8(4, 5, 5)")
	f.op("VEOR V31.B16, V5.B16, V5.B16")
	f.op("ADD R0, R1, R4")
	f.op("VST1 V5.H[0], (R0)")
	f.op("VST1 V5.H[1], (R4)")
	f.op("ADD $2, R0")
	f.op("SUBS $1, R3")
	f.op("BNE block")
	f.op("RET")
}

// upsample writes the doubling of a row, mixed with another one where mix is set.
func upsample(f *file, mix bool) {
	name, sig, size := "jpegUpsampleH2V1NEON", "(dst, src *byte, blocks int)", 24
	if mix {
		name, sig, size = "jpegUpsampleH2V2NEON", "(dst, near, far *byte, blocks int)", 32
	}
	f.text(name, sig, size, name+" doubles 8 samples of each of blocks > 0. It reads one before and\none after them.\n")
	f.op("MOVD dst+0(FP), R0")
	if mix {
		f.op("MOVD near+8(FP), R1")
		f.op("MOVD far+16(FP), R2")
		f.op("MOVD blocks+24(FP), R3")
	} else {
		f.op("MOVD src+8(FP), R1")
		f.op("MOVD blocks+16(FP), R3")
	}
	f.op("VMOVI $3, V31.B16")
	f.words(30, 3, 3, 3, 3, 3, 3, 3, 3)
	f.words(29, 7, 7, 7, 7, 7, 7, 7, 7)
	f.words(28, 1, 1, 1, 1, 1, 1, 1, 1)
	f.loop("loop")
	for i, off := range []int{0, -1, 1} {
		f.op("FMOVD %d(R1), F%d", off, i)
		if mix {
			f.op("FMOVD %d(R2), F%d", off, 16+i)
		}
	}
	f.op("ADD $8, R1")
	if mix {
		f.op("ADD $8, R2")
		for i := range 3 {
			f.op("VUMULL_H8(31, %d, %d)", i, 3+i)
			f.op("VUADDW V%d.B8, V%d.H8, V%d.H8", 16+i, 3+i, 3+i)
		}
		f.op("VMLA_H8(30, 3, 4)")
		f.op("VMLA_H8(30, 3, 5)")
		f.op("VADD V29.H8, V5.H8, V5.H8")
		f.op("VRSHRN_B8(4, 4, 6)")
		f.op("VSHRN_B8(4, 5, 7)")
	} else {
		f.op("VUMULL_H8(31, 0, 3)")
		f.op("VUADDW V1.B8, V3.H8, V4.H8")
		f.op("VUADDW V2.B8, V3.H8, V5.H8")
		f.op("VADD V28.H8, V4.H8, V4.H8")
		f.op("VSHRN_B8(2, 4, 6)")
		f.op("VRSHRN_B8(2, 5, 7)")
	}
	f.op("VST2.P [V6.B8, V7.B8], 16(R0)")
	f.op("SUBS $1, R3")
	f.op("BNE loop")
	f.op("RET")
}

func toRGB(f *file) {
	f.text("jpegToRGBNEON", "(dst, y, cb, cr *byte, blocks int)", 40, `jpegToRGBNEON is ref.JPEGToRGB of 8 pixels for each of blocks > 0. Factors
above 1 are taken apart, as 1.402 x = x + 0.402 x, so that 16 bits hold them.
`)
	f.op("MOVD dst+0(FP), R0")
	for i, p := range []string{"y", "cb", "cr", "blocks"} {
		f.op("MOVD %s+%d(FP), R%d", p, 8+8*i, 1+i)
	}
	f.words(15, 26345, -14942, -22554, 18734) // 1.402 - 1, 1.772 - 2, -0.34414, 1 - 0.71414
	f.words(14, 128, 128, 128, 128, 128, 128, 128, 128)
	f.loop("loop")
	for i := range 3 {
		f.op("FMOVD.P 8(R%d), F%d", 1+i, i)
		f.op("VUSHLL $0, V%d.B8, V%d.H8", i, i)
	}
	f.op("VSUB V14.H8, V1.H8, V1.H8")
	f.op("VSUB V14.H8, V2.H8, V2.H8")
	scaled := func(dst int, terms ...term) {
		for h, up := range upperSuffix {
			f.sum(3+h, up, terms...)
		}
		f.op("VRSHRN_H4(16, 3, %d)", dst)
		f.op("VRSHRN2_H8(16, 4, %d)", dst)
	}
	scaled(20, term{2, lane{15, 0}})
	scaled(21, term{1, lane{15, 2}}, term{2, lane{15, 3}})
	scaled(22, term{1, lane{15, 1}})
	f.op("VADD V2.H8, V20.H8, V20.H8")
	f.op("VSUB V2.H8, V21.H8, V21.H8")
	f.op("VADD V1.H8, V22.H8, V22.H8")
	f.op("VADD V1.H8, V22.H8, V22.H8")
	for c := range 3 {
		f.op("VADD V0.H8, V%d.H8, V%d.H8", 20+c, 20+c)
		f.op("VSQXTUN_B8(%d, %d)", 20+c, 20+c)
	}
	f.op("VST3.P [V20.B8, V21.B8, V22.B8], 24(R0)")
	f.op("SUBS $1, R4")
	f.op("BNE loop")
	f.op("RET")
}
