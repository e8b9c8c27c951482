//go:build !noasm

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/edgecam/edgecam/kernels/amd64"
	"github.com/edgecam/edgecam/kernels/ref"
)

// machine returns the rungs above ref that this CPU can run, each made from
// one below.
func machine(s Set) []*Set {
	var rungs []*Set
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) {
		avx2(&s)
		rungs = append(rungs, new(s))
	}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.AVXVNNI) {
		v := s // AVX-512 does not imply AVX-VNNI, so avx512 is not made from this one
		avxvnni(&v)
		rungs = append(rungs, &v)
	}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		avx512(&s)
		rungs = append(rungs, new(s))
		if cpuid.CPU.Supports(cpuid.AVX512VNNI) {
			avx512vnni(&s)
			rungs = append(rungs, new(s))
		}
	}
	return rungs
}

// avx2 replaces what AVX2 and FMA3 do better.
func avx2(s *Set) {
	s.Name = "avx2"
	s.F32Gemm, s.F32Igemm = amd64.F32Gemm, amd64.F32Igemm
	s.F32MR, s.F32NR = amd64.F32MR, amd64.F32NR
	s.Q8Gemm, s.Q8Igemm, s.Q8GemmAny, s.Q8IgemmAny = amd64.Q8Gemm, amd64.Q8Igemm, amd64.Q8Gemm, amd64.Q8Igemm
	s.Q8 = amd64.Q8Tile
	s.Q8Dwconv, s.Q8DwconvGroup, s.U8ToI16 = amd64.Q8Dwconv, amd64.Q8DwconvGroup, amd64.U8ToI16
	s.F32WinogradIn = [NumWinograd]func(*ref.WinogradInF32){Winograd2: amd64.F32WinogradIn2, Winograd4: amd64.F32WinogradIn4}
	s.F32WinogradOut = [NumWinograd]func(*ref.WinogradOutF32){Winograd2: amd64.F32WinogradOut2, Winograd4: amd64.F32WinogradOut4}
	s.F32Dwconv = amd64.F32Dwconv
	s.F32MaxPool, s.F32AvgPool = amd64.F32MaxPool, amd64.F32AvgPool
	s.F32Unary = [NumUnary]func(dst, src []float32, p, q float32){
		Clamp:       amd64.F32Clamp,
		LeakyRelu:   amd64.F32LeakyRelu,
		Sigmoid:     amd64.F32Sigmoid,
		SiLU:        amd64.F32SiLU,
		HardSigmoid: amd64.F32HardSigmoid,
		HardSwish:   amd64.F32HardSwish,
		Tanh:        amd64.F32Tanh,
		Exp:         amd64.F32Exp,
		Erf:         amd64.F32Erf,
		Gelu:        amd64.F32Gelu,
		Affine:      amd64.F32Affine,
	}
	s.F32Binary = [NumBinary]func(dst, a, b []float32){
		Add: amd64.F32Add, Sub: amd64.F32Sub, Mul: amd64.F32Mul, Div: amd64.F32Div,
		Min: amd64.F32Minimum, Max: amd64.F32Maximum, PRelu: amd64.F32PRelu,
	}
	s.F32BinaryScalar = [NumBinary]func(dst, a []float32, b float32){
		Add: amd64.F32AddScalar, Sub: amd64.F32SubScalar, Mul: amd64.F32MulScalar, Div: amd64.F32DivScalar,
		Min: amd64.F32MinimumScalar, Max: amd64.F32MaximumScalar, PRelu: amd64.F32PReluScalar,
	}
	s.F32Norm, s.F32Zip, s.F32Even = amd64.F32Norm, amd64.F32Zip, amd64.F32Even
	s.F32Lerp, s.F32Max, s.F32ExpSum = amd64.F32Lerp, amd64.F32Max, amd64.F32ExpSum
	s.F32Peak = amd64.F32Peak
	s.JPEGIDCT, s.JPEGIDCT4, s.JPEGIDCT2 = amd64.JPEGIDCT, amd64.JPEGIDCT4, amd64.JPEGIDCT2
	s.JPEGToRGB = amd64.JPEGToRGB
	s.JPEGUpsampleH2V1, s.JPEGUpsampleH2V2 = amd64.JPEGUpsampleH2V1, amd64.JPEGUpsampleH2V2
	s.U8YUYV, s.U8NV12 = amd64.U8YUYV, amd64.U8NV12
	s.U8Taps, s.U8Planes, s.U8Pixels = amd64.U8Taps, amd64.U8Planes, amd64.U8Pixels
	s.U8SpanX, s.U8SpanY = amd64.U8SpanX, amd64.U8SpanY
	s.U8Add, s.U8Mul, s.U8Table = amd64.U8Add, amd64.U8Mul, amd64.U8Table
	s.F32ToU8, s.U8ToF32 = amd64.F32ToU8, amd64.U8ToF32
	s.U8MaxPool, s.U8AvgPool = amd64.U8MaxPool, amd64.U8AvgPool
}

// avx512 replaces what AVX-512 with F, BW, DQ and VL does better.
func avx512(s *Set) {
	s.Name = "avx512"
	s.F32Gemm, s.F32Igemm = amd64.F32GemmAVX512, amd64.F32IgemmAVX512
	s.F32MR, s.F32NR = amd64.F32MRAVX512, amd64.F32NRAVX512
	s.F32WinogradIn = [NumWinograd]func(*ref.WinogradInF32){Winograd2: amd64.F32WinogradIn2AVX512, Winograd4: amd64.F32WinogradIn4AVX512}
	s.F32WinogradOut = [NumWinograd]func(*ref.WinogradOutF32){Winograd2: amd64.F32WinogradOut2AVX512, Winograd4: amd64.F32WinogradOut4AVX512}
	s.F32Dwconv = amd64.F32DwconvAVX512
	s.F32MaxPool, s.F32AvgPool = amd64.F32MaxPoolAVX512, amd64.F32AvgPoolAVX512
	s.F32Unary = [NumUnary]func(dst, src []float32, p, q float32){
		Clamp:       amd64.F32ClampAVX512,
		LeakyRelu:   amd64.F32LeakyReluAVX512,
		Sigmoid:     amd64.F32SigmoidAVX512,
		SiLU:        amd64.F32SiLUAVX512,
		HardSigmoid: amd64.F32HardSigmoidAVX512,
		HardSwish:   amd64.F32HardSwishAVX512,
		Tanh:        amd64.F32TanhAVX512,
		Exp:         amd64.F32ExpAVX512,
		Erf:         amd64.F32ErfAVX512,
		Gelu:        amd64.F32GeluAVX512,
		Affine:      amd64.F32AffineAVX512,
	}
	s.F32Binary = [NumBinary]func(dst, a, b []float32){
		Add: amd64.F32AddAVX512, Sub: amd64.F32SubAVX512, Mul: amd64.F32MulAVX512, Div: amd64.F32DivAVX512,
		Min: amd64.F32MinimumAVX512, Max: amd64.F32MaximumAVX512, PRelu: amd64.F32PReluAVX512,
	}
	s.F32BinaryScalar = [NumBinary]func(dst, a []float32, b float32){
		Add: amd64.F32AddScalarAVX512, Sub: amd64.F32SubScalarAVX512, Mul: amd64.F32MulScalarAVX512, Div: amd64.F32DivScalarAVX512,
		Min: amd64.F32MinimumScalarAVX512, Max: amd64.F32MaximumScalarAVX512, PRelu: amd64.F32PReluScalarAVX512,
	}
	s.F32Norm = amd64.F32NormAVX512
	s.F32Lerp, s.F32Max, s.F32ExpSum = amd64.F32LerpAVX512, amd64.F32MaxAVX512, amd64.F32ExpSumAVX512
	s.F32Peak = amd64.F32PeakAVX512
}

// avxvnni replaces what the VEX encoding of VPDPBUSD does better.
func avxvnni(s *Set) {
	s.Name = "avxvnni"
	s.Q8Gemm, s.Q8Igemm = amd64.Q8GemmAVXVNNI, amd64.Q8IgemmAVXVNNI
	s.Q8GemmAny, s.Q8IgemmAny = amd64.Q8GemmAVXVNNI, amd64.Q8IgemmAVXVNNI
	s.Q8 = amd64.Q8TileAVXVNNI
	s.Q8Dwconv, s.Q8DwconvGroup = amd64.Q8DwconvAVXVNNI, 4
}

// avx512vnni replaces what VPDPBUSD of AVX-512 does better.
func avx512vnni(s *Set) {
	s.Name = "avx512vnni"
	s.Q8Gemm, s.Q8Igemm = amd64.Q8GemmAVX512VNNI, amd64.Q8IgemmAVX512VNNI
	s.Q8GemmAny, s.Q8IgemmAny = amd64.Q8GemmAVX512VNNI, amd64.Q8IgemmAVX512VNNI
	s.Q8 = amd64.Q8TileAVX512VNNI
	s.Q8Dwconv, s.Q8DwconvGroup = amd64.Q8DwconvAVX512VNNI, 4
}
