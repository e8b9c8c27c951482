package main

import "fmt"

// Depthwise convolution and pooling walk pixels in groups; a group does 16
// channels at a time, then 8, 4 and 1.
//
//	R0 args   R1 W of the channels   R2 Zero   R3 In of the channels
//	R4 offsets of the group   R5 Out of the channels   R6 WStride or Scale
//	R7 Taps   R8 channels left   R9 pixels left   R10 W of the tap
//	R11 taps left   R12-R15 offsets of each pixel   R16, R17, R19, R20
//	inputs of each pixel   R21 OutStride   R22 Out of the group   R23 Out of
//	the pixel
//	V0, V1 limits   V2-V5 W   V6-V13 inputs   V16-V31 sums
var inputRegs = [4]int{16, 17, 19, 20}

func windowFile(f *file) {
	dwconv(f)
	pool(f, "f32MaxPoolNEON", maxPoolDoc)
	pool(f, "f32AvgPoolNEON", avgPoolDoc)
}

// span is a number of channels that a kernel does at once: vecs registers of
// four, or one channel where vecs is 0.
type span struct{ vecs int }

var spans = []span{{4}, {2}, {1}, {0}}

// regs is the number of registers that hold the span.
func (s span) regs() int { return max(s.vecs, 1) }

// bytes is the length of the span in memory.
func (s span) bytes() int { return max(16*s.vecs, 4) }

// load loads the span at register r into V(v) and up.
func (s span) load(f *file, r, v int) {
	switch s.vecs {
	case 0:
		f.op("FMOVS (R%d), F%d", r, v)
	case 1:
		f.op("FMOVQ (R%d), F%d", r, v)
	}
	for i := 0; i+1 < s.vecs; i += 2 {
		f.op("FLDPQ %d(R%d), (F%d, F%d)", 16*i, r, v+i, v+i+1)
	}
}

// store stores the span in V(v) and up at register r.
func (s span) store(f *file, v, r int) {
	switch s.vecs {
	case 0:
		f.op("FMOVS F%d, (R%d)", v, r)
	case 1:
		f.op("FMOVQ F%d, (R%d)", v, r)
	}
	for i := 0; i+1 < s.vecs; i += 2 {
		f.op("FSTPQ (F%d, F%d), %d(R%d)", v+i, v+i+1, 16*i, r)
	}
}

const dwconvDoc = `f32DwconvNEON computes

	for p := range Pixels {
		for c := range C {
			s := W[0][c]
			for t := range Taps {
				x := In[Offsets[p*Taps+t]:] // Zero where the offset is negative
				s = fma(x[c], W[1+t][c], s)
			}
			Out[p][c] = clamp(s, Min, Max)
		}
	}`

func dwconv(f *file) {
	f.text("f32DwconvNEON", "(a *ref.DwconvF32)", 8, dwconvDoc)
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD DwconvF32_Zero(R0), R2")
	f.op("MOVD DwconvF32_Offsets(R0), R4")
	f.op("MOVD DwconvF32_WStride(R0), R6")
	f.op("MOVD DwconvF32_Taps(R0), R7")
	f.op("MOVD DwconvF32_Pixels(R0), R9")
	f.op("MOVD DwconvF32_OutStride(R0), R21")
	f.op("MOVD DwconvF32_Out(R0), R22")
	limits(f, "DwconvF32")
	for _, px := range []int{4, 1} {
		f.label("group%d", px)
		f.op("CMP $%d, R9", px)
		f.op("BLT end%d", px)
		f.op("MOVD DwconvF32_W(R0), R1")
		f.op("MOVD DwconvF32_In(R0), R3")
		f.op("MOVD R22, R5")
		f.op("MOVD DwconvF32_C(R0), R8")
		for _, s := range spans {
			dwconvSpan(f, px, s)
		}
		f.rem("next %d pixels", px)
		f.op("ADD R7<<%d, R4", map[int]int{1: 2, 4: 4}[px])
		f.op("ADD R21<<%d, R22", map[int]int{1: 0, 4: 2}[px])
		f.op("SUB $%d, R9", px)
		f.op("B group%d", px)
		f.label("end%d", px)
	}
	f.op("RET")
}

// dwconvSpan does as many spans of channels as there are, for px pixels.
func dwconvSpan(f *file, px int, s span) {
	const w, in, sum = 2, 6, 16
	name := fmt.Sprintf("%dx%d", px, s.bytes()/4)
	f.label("span%s", name)
	f.op("CMP $%d, R8", s.bytes()/4)
	f.op("BLT skip%s", name)

	f.rem("%d pixels x %d channels start at the bias", px, s.bytes()/4)
	s.load(f, 1, sum)
	f.op("ADD R6, R1, R10")
	for p := range px {
		if p == 0 {
			f.op("MOVD R4, R12")
			continue
		}
		f.op("ADD R7<<2, R%d, R%d", 11+p, 12+p)
		for v := range s.regs() {
			f.op("VMOV V%d.B16, V%d.B16", sum+v, sum+p*s.regs()+v)
		}
	}
	f.op("MOVD R7, R11")
	f.op("CBZ R11, clamp%s", name)

	f.loop("tap%s", name)
	s.load(f, 10, w)
	f.op("ADD R6, R10")
	for p := range px {
		f.op("MOVW.P 4(R%d), R%d", 12+p, inputRegs[p])
	}
	for p := range px {
		r := inputRegs[p]
		f.op("CMP $0, R%d", r)
		f.op("ADD R3, R%d, R%d", r, r)
		f.op("CSEL LT, R2, R%d, R%d", r, r)
	}
	for p := range px {
		x := in + p%2*4
		s.load(f, inputRegs[p], x)
		for v := range s.regs() {
			f.op("VFMLA V%d.S4, V%d.S4, V%d.S4", w+v, x+v, sum+p*s.regs()+v)
		}
	}
	f.op("SUBS $1, R11")
	f.op("BNE tap%s", name)

	f.label("clamp%s", name)
	f.op("MOVD R5, R23")
	for p := range px {
		first := sum + p*s.regs()
		for v := range s.regs() {
			f.op("VFMAX_S4(0, %d, %d)", first+v, first+v)
			f.op("VFMIN_S4(1, %d, %d)", first+v, first+v)
		}
		s.store(f, first, 23)
		if p < px-1 {
			f.op("ADD R21, R23")
		}
	}
	f.rem("next channels")
	f.op("ADD $%d, R1", s.bytes())
	f.op("ADD $%d, R3", s.bytes())
	f.op("ADD $%d, R5", s.bytes())
	f.op("SUB $%d, R8", s.bytes()/4)
	f.op("B span%s", name)
	f.label("skip%s", name)
}

const (
	maxPoolDoc = `f32MaxPoolNEON computes

	for p := range Pixels {
		for c := range C {
			s := -Inf
			for t := range Taps {
				if o := Offsets[p*Taps+t]; o >= 0 {
					s = max(s, In[o:][c])
				}
			}
			Out[p][c] = s
		}
	}`

	avgPoolDoc = `f32AvgPoolNEON computes

	for p := range Pixels {
		for c := range C {
			s := 0
			for t := range Taps {
				if o := Offsets[p*Taps+t]; o >= 0 {
					s += In[o:][c]
				}
			}
			Out[p][c] = s * Scale[p]
		}
	}`
)

// pool writes one of the poolings, which do one pixel at a time.
func pool(f *file, name, doc string) {
	avg := name == "f32AvgPoolNEON"
	f.text(name, "(a *ref.PoolF32)", 8, doc)
	f.op("MOVD a+0(FP), R0")
	f.op("MOVD PoolF32_Offsets(R0), R4")
	f.op("MOVD PoolF32_Taps(R0), R7")
	f.op("MOVD PoolF32_Pixels(R0), R9")
	f.op("MOVD PoolF32_OutStride(R0), R21")
	f.op("MOVD PoolF32_Out(R0), R22")
	if avg {
		f.op("MOVD PoolF32_Scale(R0), R6")
		f.op("VEOR V0.B16, V0.B16, V0.B16")
	} else {
		f.float(0xff800000, 0, "-Inf")
	}
	f.label("pixel")
	f.op("CBZ R9, end")
	f.op("MOVD PoolF32_In(R0), R3")
	f.op("MOVD R22, R5")
	f.op("MOVD PoolF32_C(R0), R8")
	if avg {
		f.op("VLD1R.P 4(R6), [V1.S4]")
	}
	for _, s := range spans {
		poolSpan(f, avg, s)
	}
	f.rem("next pixel")
	f.op("ADD R7<<2, R4")
	f.op("ADD R21, R22")
	f.op("SUB $1, R9")
	f.op("B pixel")
	f.label("end")
	f.op("RET")
}

// poolSpan does as many spans of channels as there are.
func poolSpan(f *file, avg bool, s span) {
	const in, sum = 6, 16
	n := s.bytes() / 4
	combine := "VFMAX_S4"
	if avg {
		combine = "VFADD_S4"
	}
	f.label("span%d", n)
	f.op("CMP $%d, R8", n)
	f.op("BLT skip%d", n)

	f.rem("%d channels", n)
	for v := range s.regs() {
		f.op("VMOV V0.B16, V%d.B16", sum+v)
	}
	f.op("MOVD R4, R12")
	f.op("MOVD R7, R11")
	f.op("CBZ R11, store%d", n)
	f.loop("tap%d", n)
	f.op("MOVW.P 4(R12), R16")
	f.op("TBNZ $63, R16, outside%d", n)
	f.op("ADD R3, R16")
	s.load(f, 16, in)
	for v := range s.regs() {
		f.op("%s(%d, %d, %d)", combine, in+v, sum+v, sum+v)
	}
	f.label("outside%d", n)
	f.op("SUBS $1, R11")
	f.op("BNE tap%d", n)

	f.label("store%d", n)
	if avg {
		for v := range s.regs() {
			f.op("VFMUL_S4(1, %d, %d)", sum+v, sum+v)
		}
	}
	s.store(f, sum, 5)
	f.op("ADD $%d, R3", s.bytes())
	f.op("ADD $%d, R5", s.bytes())
	f.op("SUB $%d, R8", n)
	f.op("B span%d", n)
	f.label("skip%d", n)
}
