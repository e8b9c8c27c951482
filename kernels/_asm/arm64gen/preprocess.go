package main

import "fmt"

// preprocessFile writes the kernels that turn rows of bytes into rows of a model's
// input. They work on whole vectors only: their callers do what is left over as a
// last vector that overlaps the one before.
func preprocessFile(f *file) {
	resizeTaps(f)
	mix(f, "Planes", "(d0, d1, d2 *float32, up, down *uint16, a, b int, norm *float32, n int)", 72)
	mix(f, "Pixels", "(dst *float32, up, down *uint16, a, b int, norm *float32, n int)", 56)
	limited(f, "YUYV")
	limited(f, "NV12")
	spanX(f)
	spanY(f)
}

// word loads a number into all lanes of a register through R16.
func (f *file) word(v int32, reg int) {
	f.op("MOVD $0x%08x, R16 // %d", uint32(v), v)
	f.op("VDUP R16, V%d.S4", reg)
}

func resizeTaps(f *file) {
	f.text("u8TapsNEON", "(dst *uint16, src *byte, order *[16]uint8, taps *uint64, n int)", 40,
		"u8TapsNEON is ref.U8Taps for n pixels, a multiple of 4 above 0.\n")
	f.op("MOVD dst+0(FP), R0")
	f.op("MOVD src+8(FP), R1")
	f.op("MOVD order+16(FP), R2")
	f.op("MOVD taps+24(FP), R3")
	f.op("MOVD n+32(FP), R4")
	f.rem("left bytes of the three channels in the lower half of V16, right ones in the upper one")
	f.op("VLD1 (R2), [V16.B16]")
	f.op("VUZP2 V16.H8, V16.H8, V17.H8")
	f.op("VUZP1 V16.H8, V16.H8, V16.H8")
	f.op("VZIP1 V17.D2, V16.D2, V16.D2")
	f.loop("taps")
	for i := range 4 {
		f.op("MOVW.P 4(R3), R%d", 5+i)
		f.op("FMOVS.P 4(R3), F%d", 8+i)
		f.op("FMOVD (R1)(R%d), F%d", 5+i, i)
	}
	for i := range 4 {
		f.op("VTBL V16.B16, [V%d.B16], V%d.B16", i, i)
	}
	for i := range 4 {
		f.op("VUMULL_S4_LANE(%d, 0, %d, %d)", 8+i, i, 4+i)
	}
	for i := range 4 {
		f.op("VUMLAL2_S4_LANE(%d, 1, %d, %d)", 8+i, i, 4+i)
	}
	for i := range 4 {
		f.op("VSHRN_H4(4, %d, %d)", 4+i, 4+i)
		f.op("FMOVD.P F%d, 8(R0)", 4+i)
	}
	f.op("SUBS $4, R4")
	f.op("BNE taps")
	f.op("RET")
}

// mix writes U8Planes and U8Pixels.
func mix(f *file, name, sig string, size int) {
	f.text("u8"+name+"NEON", sig, size, fmt.Sprintf("u8%sNEON is ref.U8%s for n pixels, a multiple of 8 above 0, where\nnorm is the first element of a ref.NormF32.\n", name, name))
	at := 0
	for i, p := range map[string][]string{"Planes": {"d0", "d1", "d2"}, "Pixels": {"dst"}}[name] {
		f.op("MOVD %s+%d(FP), R%d", p, at, i)
		at += 8
	}
	for i, p := range []string{"up", "down", "a", "b", "norm", "n"} {
		f.op("MOVD %s+%d(FP), R%d", p, at, 3+i)
		at += 8
	}
	f.op("VMOV R5, V13.H[0]")
	f.op("VMOV R6, V13.H[1]")
	f.rem("V16 to V27: Sub, Scale, Fine and Shift of the three channels")
	for list := range 4 {
		f.op("ADD $%d, R7, R16", 96*list)
		for c := range 3 {
			f.op("VLD1R.P 4(R16), [V%d.S4]", 16+3*list+c)
		}
	}
	f.loop("pixels")
	f.op("VLD4.P 64(R3), [V0.H8, V1.H8, V2.H8, V3.H8]")
	f.op("VLD4.P 64(R4), [V4.H8, V5.H8, V6.H8, V7.H8]")
	for c := range 3 {
		f.rem("channel %d: (up*a>>16 + down*b>>16 + 2) >> 2", c)
		for row := range 2 {
			from := c + 4*row
			f.op("VUMULL_S4_LANE(13, %d, %d, 10)", row, from)
			f.op("VUMULL2_S4_LANE(13, %d, %d, 11)", row, from)
			f.op("VUZP2 V11.H8, V10.H8, V%d.H8", from)
		}
		f.op("VADD V%d.H8, V%d.H8, V%d.H8", c+4, c, c)
		f.op("VURSHR_H8(2, %d, %d)", c, c)
	}
	for half := range 2 {
		for c := range 3 {
			if half == 0 {
				f.op("VUSHLL $0, V%d.H4, V%d.S4", c, 10+c)
			} else {
				f.op("VUSHLL2 $0, V%d.H8, V%d.S4", c, 10+c)
			}
		}
		for c := range 3 {
			f.op("VUCVTF_S4(%d, %d)", 10+c, 10+c)
		}
		for c := range 3 {
			f.op("VFSUB_S4(%d, %d, %d)", 16+c, 10+c, 10+c)
			f.op("VMOV V%d.B16, V%d.B16", 25+c, 28+c)
		}
		for c := range 3 {
			f.op("VFMLA V%d.S4, V%d.S4, V%d.S4", 22+c, 10+c, 28+c)
		}
		for c := range 3 {
			f.op("VFMLA V%d.S4, V%d.S4, V%d.S4", 19+c, 10+c, 28+c)
		}
		if name == "Pixels" {
			f.op("VST3.P [V28.S4, V29.S4, V30.S4], 48(R0)")
			continue
		}
		for c := range 3 {
			f.op("FMOVQ.P F%d, 16(R%d)", 28+c, c)
		}
	}
	f.op("SUBS $8, R8")
	f.op("BNE pixels")
	f.op("RET")
}

// limited writes U8YUYV and U8NV12: BT.601 of limited range.
func limited(f *file, name string) {
	what := fmt.Sprintf("u8%sNEON is ref.U8%s for n groups, a multiple of 8 above 0.\n", name, name)
	if name == "YUYV" {
		f.text("u8YUYVNEON", "(dst, src *byte, n int)", 24, what)
		f.op("MOVD dst+0(FP), R0")
		f.op("MOVD src+8(FP), R1")
		f.op("MOVD n+16(FP), R3")
	} else {
		f.text("u8NV12NEON", "(dst, luma, chroma *byte, n int)", 32, what)
		f.op("MOVD dst+0(FP), R0")
		f.op("MOVD luma+8(FP), R1")
		f.op("MOVD chroma+16(FP), R2")
		f.op("MOVD n+24(FP), R3")
	}
	const half = 1 << 19
	f.word(half-128*1673527, 16)
	f.word(half+128*(409993+852492), 17)
	f.word(half-128*2116026, 18)
	f.word(1673527, 19)
	f.word(-409993, 20)
	f.word(-852492, 21)
	f.word(2116026, 22)
	f.word(1220542, 23)
	f.op("VMOVI $16, V24.B8")
	f.op("VEOR V31.B16, V31.B16, V31.B16")
	f.loop("groups")
	f.rem("V0 and V2 luma, V1 Cb, V3 Cr")
	if name == "YUYV" {
		f.op("VLD4.P 32(R1), [V0.B8, V1.B8, V2.B8, V3.B8]")
	} else {
		f.op("VLD2.P 16(R1), [V4.B8, V5.B8]")
		f.op("VLD2.P 16(R2), [V6.B8, V7.B8]")
		for to, from := range []int{4, 6, 5, 7} {
			f.op("VMOV V%d.B8, V%d.B8", from, to)
		}
	}
	for _, y := range []int{0, 2} {
		f.op("VUQSUB_B8(24, %d, %d)", y, y)
	}
	for i := range 4 {
		f.op("VUSHLL $0, V%d.B8, V%d.H8", i, i)
	}
	// The sums of four groups: V4 to V6 for the first pixels, V7, V8, V25 for
	// the second ones; of the other four V9 to V11 and V12, V26, V27.
	sums := [2][2][3]int{{{4, 5, 6}, {7, 8, 25}}, {{9, 10, 11}, {12, 26, 27}}}
	for part := range 2 {
		widen := func(from, to int) {
			if part == 0 {
				f.op("VUSHLL $0, V%d.H4, V%d.S4", from, to)
			} else {
				f.op("VUSHLL2 $0, V%d.H8, V%d.S4", from, to)
			}
		}
		widen(1, 13)
		widen(3, 14)
		first, second := sums[part][0], sums[part][1]
		for c := range 3 {
			f.op("VMOV V%d.B16, V%d.B16", 16+c, first[c])
		}
		f.op("VMLA_S4(19, 14, %d)", first[0])
		f.op("VMLA_S4(20, 13, %d)", first[1])
		f.op("VMLA_S4(21, 14, %d)", first[1])
		f.op("VMLA_S4(22, 13, %d)", first[2])
		widen(0, 13)
		widen(2, 14)
		f.op("VMUL_S4(23, 13, 13)")
		f.op("VMUL_S4(23, 14, 14)")
		for c := range 3 {
			f.op("VADD V14.S4, V%d.S4, V%d.S4", first[c], second[c])
			f.op("VADD V13.S4, V%d.S4, V%d.S4", first[c], first[c])
		}
		for c := range 3 {
			f.op("VSSHR_S4(20, %d, %d)", first[c], first[c])
			f.op("VSSHR_S4(20, %d, %d)", second[c], second[c])
		}
	}
	f.rem("narrowed to bytes, and first and second pixels side by side")
	for c := range 3 {
		f.op("VUZP1 V%d.H8, V%d.H8, V13.H8", sums[1][0][c], sums[0][0][c])
		f.op("VUZP1 V%d.H8, V%d.H8, V14.H8", sums[1][1][c], sums[0][1][c])
		f.op("VSQXTUN_B8(13, 13)")
		f.op("VSQXTUN_B8(14, 14)")
		f.op("VZIP1 V14.B16, V13.B16, V%d.B16", 28+c)
	}
	f.op("VST4.P [V28.B16, V29.B16, V30.B16, V31.B16], 64(R0)")
	f.op("SUBS $8, R3")
	f.op("BNE groups")
	f.op("RET")
}

func spanX(f *file) {
	f.text("u8SpanXNEON", "(dst, src *byte, order *[16]uint8, step int, spans, weights *int32, n int)", 56,
		"u8SpanXNEON is ref.U8SpanX for n > 0 pixels, where order picks the bytes of the\nthree channels from those of a pixel.\n")
	for i, p := range []string{"dst", "src", "order", "step", "spans", "weights", "n"} {
		f.op("MOVD %s+%d(FP), R%d", p, 8*i, i)
	}
	f.op("VLD1 (R2), [V16.B16]")
	f.word(1<<21, 17)
	f.op("VEOR V18.B16, V18.B16, V18.B16")
	f.loop("pixel")
	f.op("MOVW.P 4(R4), R8")
	f.op("MOVW.P 4(R4), R9")
	f.op("MOVW.P 4(R4), R10")
	f.op("ADD R1, R8")
	f.op("ADD R10<<2, R5, R10")
	f.op("VMOV V17.B16, V0.B16")
	f.loop("source")
	f.op("FMOVS (R8), F1")
	f.op("VLD1R.P 4(R10), [V2.S4]")
	f.op("ADD R3, R8")
	f.op("VUSHLL $0, V1.B8, V1.H8")
	f.op("VUSHLL $0, V1.H4, V1.S4")
	f.op("VMLA_S4(2, 1, 0)")
	f.op("SUBS $1, R9")
	f.op("BNE source")
	f.op("VUSHR $22, V0.S4, V0.S4")
	f.op("VUZP1 V18.H8, V0.H8, V0.H8")
	f.op("VUZP1 V18.B16, V0.B16, V0.B16")
	f.op("VTBL V16.B16, [V0.B16], V0.B16")
	f.op("FMOVS.P F0, 4(R0)")
	f.op("SUBS $1, R6")
	f.op("BNE pixel")
	f.op("RET")
}

func spanY(f *file) {
	f.text("u8SpanYNEON", "(dst *uint16, rows *byte, at, weights *int32, count, n int)", 48,
		"u8SpanYNEON is ref.U8SpanY for n bytes, a multiple of 16 above 0, and count > 0\nrows.\n")
	for i, p := range []string{"dst", "rows", "at", "weights", "count", "n"} {
		f.op("MOVD %s+%d(FP), R%d", p, 8*i, i)
	}
	f.word(1<<21, 17)
	f.loop("bytes")
	f.op("MOVD R2, R6")
	f.op("MOVD R3, R7")
	f.op("MOVD R4, R8")
	for i := range 4 {
		f.op("VMOV V17.B16, V%d.B16", i)
	}
	f.loop("row")
	f.op("MOVW.P 4(R6), R9")
	f.op("VLD1R.P 4(R7), [V4.S4]")
	f.op("ADD R1, R9")
	f.op("FMOVQ (R9), F5")
	f.op("VUSHLL $0, V5.B8, V6.H8")
	f.op("VUSHLL2 $0, V5.B16, V7.H8")
	f.op("VUSHLL $0, V6.H4, V8.S4")
	f.op("VUSHLL2 $0, V6.H8, V9.S4")
	f.op("VUSHLL $0, V7.H4, V10.S4")
	f.op("VUSHLL2 $0, V7.H8, V11.S4")
	for i := range 4 {
		f.op("VMLA_S4(4, %d, %d)", 8+i, i)
	}
	f.op("SUBS $1, R8")
	f.op("BNE row")
	for i := range 4 {
		f.op("VUSHR $22, V%d.S4, V%d.S4", i, i)
	}
	for i := 0; i < 4; i += 2 {
		f.op("VUZP1 V%d.H8, V%d.H8, V%d.H8", i+1, i, i)
		f.op("VSHL $7, V%d.H8, V%d.H8", i, i)
		f.op("FMOVQ.P F%d, 16(R0)", i)
	}
	f.op("ADD $16, R1")
	f.op("SUBS $16, R5")
	f.op("BNE bytes")
	f.op("RET")
}
