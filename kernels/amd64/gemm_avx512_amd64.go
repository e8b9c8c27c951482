//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// The tile of F32GemmAVX512 and F32IgemmAVX512.
const (
	F32MRAVX512 = 8
	F32NRAVX512 = 32
)

// Kernels by number of rows, less one; those called half serve tiles of at
// most half the columns.
var (
	f32GemmAVX512 = [F32MRAVX512]func(*gemmF32){
		f32Gemm1x32AVX512, f32Gemm2x32AVX512, f32Gemm3x32AVX512, f32Gemm4x32AVX512,
		f32Gemm5x32AVX512, f32Gemm6x32AVX512, f32Gemm7x32AVX512, f32Gemm8x32AVX512,
	}
	f32GemmHalfAVX512 = [F32MRAVX512]func(*gemmF32){
		f32Gemm1x16AVX512, f32Gemm2x16AVX512, f32Gemm3x16AVX512, f32Gemm4x16AVX512,
		f32Gemm5x16AVX512, f32Gemm6x16AVX512, f32Gemm7x16AVX512, f32Gemm8x16AVX512,
	}
	f32IgemmAVX512 = [F32MRAVX512]func(*gemmF32){
		f32Igemm1x32AVX512, f32Igemm2x32AVX512, f32Igemm3x32AVX512, f32Igemm4x32AVX512,
		f32Igemm5x32AVX512, f32Igemm6x32AVX512, f32Igemm7x32AVX512, f32Igemm8x32AVX512,
	}
	f32IgemmHalfAVX512 = [F32MRAVX512]func(*gemmF32){
		f32Igemm1x16AVX512, f32Igemm2x16AVX512, f32Igemm3x16AVX512, f32Igemm4x16AVX512,
		f32Igemm5x16AVX512, f32Igemm6x16AVX512, f32Igemm7x16AVX512, f32Igemm8x16AVX512,
	}
)

// F32GemmAVX512 computes rows of a matrix product. It panics where M is not
// positive or N not 1 to F32NRAVX512.
func F32GemmAVX512(a *ref.GemmF32) {
	tile(a, f32GemmAVX512[:], f32GemmHalfAVX512[:], F32NRAVX512, false)
}

// F32IgemmAVX512 computes rows of an implicit GEMM. It panics where M is not
// positive or N not 1 to F32NRAVX512.
func F32IgemmAVX512(a *ref.GemmF32) {
	tile(a, f32IgemmAVX512[:], f32IgemmHalfAVX512[:], F32NRAVX512, true)
}
