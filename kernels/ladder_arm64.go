//go:build !noasm

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/edgecam/edgecam/kernels/arm64"
	"github.com/edgecam/edgecam/kernels/ref"
)

// machine returns the rungs above ref that this CPU can run, each made from the
// one below: every arm64 CPU has NEON.
func machine(s Set) []*Set {
	neon(&s)
	rungs := []*Set{new(s)}
	if cpuid.CPU.Supports(cpuid.ASIMDDP) {
		dotprod(&s)
		rungs = append(rungs, new(s))
	}
	return rungs
}

// neon replaces what NEON does better.
func neon(s *Set) {
	s.Name = "neon"
	s.F32Gemm, s.F32Igemm = arm64.F32Gemm, arm64.F32Igemm
	s.F32MR, s.F32NR = arm64.F32MR, arm64.F32NR
	s.F32WinogradIn = [NumWinograd]func(*ref.WinogradInF32){Winograd2: arm64.F32WinogradIn2, Winograd4: arm64.F32WinogradIn4}
	s.F32WinogradOut = [NumWinograd]func(*ref.WinogradOutF32){Winograd2: arm64.F32WinogradOut2, Winograd4: arm64.F32WinogradOut4}
	s.F32Dwconv = arm64.F32Dwconv
	s.F32MaxPool, s.F32AvgPool = arm64.F32MaxPool, arm64.F32AvgPool
	s.F32Unary = [NumUnary]func(dst, src []float32, p, q float32){
		Clamp:       arm64.F32Clamp,
		LeakyRelu:   arm64.F32LeakyRelu,
		Sigmoid:     arm64.F32Sigmoid,
		SiLU:        arm64.F32SiLU,
		HardSigmoid: arm64.F32HardSigmoid,
		HardSwish:   arm64.F32HardSwish,
		Tanh:        arm64.F32Tanh,
		Exp:         arm64.F32Exp,
		Erf:         arm64.F32Erf,
		Gelu:        arm64.F32Gelu,
		Affine:      arm64.F32Affine,
	}
	s.F32Binary = [NumBinary]func(dst, a, b []float32){
		Add: arm64.F32Add, Sub: arm64.F32Sub, Mul: arm64.F32Mul, Div: arm64.F32Div,
		Min: arm64.F32Minimum, Max: arm64.F32Maximum, PRelu: arm64.F32PRelu,
	}
	s.F32BinaryScalar = [NumBinary]func(dst, a []float32, b float32){
		Add: arm64.F32AddScalar, Sub: arm64.F32SubScalar, Mul: arm64.F32MulScalar, Div: arm64.F32DivScalar,
		Min: arm64.F32MinimumScalar, Max: arm64.F32MaximumScalar, PRelu: arm64.F32PReluScalar,
	}
	s.F32Lerp = arm64.F32Lerp
	s.F32Norm, s.F32Zip, s.F32Even = arm64.F32Norm, arm64.F32Zip, arm64.F32Even
	s.F32Max = arm64.F32Max
	s.F32ExpSum = arm64.F32ExpSum
	s.F32Peak = arm64.F32Peak
	s.JPEGIDCT, s.JPEGIDCT4, s.JPEGIDCT2 = arm64.JPEGIDCT, arm64.JPEGIDCT4, arm64.JPEGIDCT2
	s.JPEGToRGB = arm64.JPEGToRGB
	s.JPEGUpsampleH2V1, s.JPEGUpsampleH2V2 = arm64.JPEGUpsampleH2V1, arm64.JPEGUpsampleH2V2
	s.U8YUYV, s.U8NV12 = arm64.U8YUYV, arm64.U8NV12
	s.U8Taps, s.U8Planes, s.U8Pixels = arm64.U8Taps, arm64.U8Planes, arm64.U8Pixels
	s.U8SpanX, s.U8SpanY = arm64.U8SpanX, arm64.U8SpanY
	s.Q8Gemm, s.Q8Igemm = arm64.Q8Gemm, arm64.Q8Igemm
	s.Q8GemmAny, s.Q8IgemmAny = arm64.Q8GemmAny, arm64.Q8IgemmAny
	s.Q8 = ref.TileQ8{MR: arm64.Q8MR, NR: arm64.Q8NR, KR: arm64.Q8KR, Flip: 128}
	s.Q8Dwconv = arm64.Q8Dwconv
	s.U8MaxPool, s.U8AvgPool = arm64.U8MaxPool, arm64.U8AvgPool
	s.U8Add, s.U8Mul, s.U8Table = arm64.U8Add, arm64.U8Mul, arm64.U8Table
	s.F32ToU8, s.U8ToF32 = arm64.F32ToU8, arm64.U8ToF32
}

// dotprod replaces what the dot products of 8-bit numbers do better.
func dotprod(s *Set) {
	s.Name = "dotprod"
	s.Q8Gemm, s.Q8Igemm = arm64.Q8GemmDot, arm64.Q8IgemmDot
	s.Q8GemmAny, s.Q8IgemmAny = arm64.Q8GemmDot, arm64.Q8IgemmDot
	s.Q8 = ref.TileQ8{MR: arm64.Q8MRDot, NR: arm64.Q8NRDot, KR: arm64.Q8KRDot, Flip: 128}
	s.Q8Dwconv, s.Q8DwconvGroup = arm64.Q8DwconvDot, arm64.Q8DwconvGroupDot
}
