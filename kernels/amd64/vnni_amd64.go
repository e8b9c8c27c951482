//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// The tiles of the kernels with VPDPBUSD.
var (
	Q8TileAVXVNNI    = ref.TileQ8{MR: 6, NR: 16, KR: 4}
	Q8TileAVX512VNNI = ref.TileQ8{MR: 7, NR: 32, KR: 4}
)

// Kernels by number of rows, less one; those called half serve tiles of at
// most half the columns.
var (
	q8GemmAVXVNNI = [...]func(*gemmQ8){
		q8Gemm1x16AVXVNNI, q8Gemm2x16AVXVNNI, q8Gemm3x16AVXVNNI,
		q8Gemm4x16AVXVNNI, q8Gemm5x16AVXVNNI, q8Gemm6x16AVXVNNI,
	}
	q8GemmHalfAVXVNNI = [...]func(*gemmQ8){
		q8Gemm1x8AVXVNNI, q8Gemm2x8AVXVNNI, q8Gemm3x8AVXVNNI,
		q8Gemm4x8AVXVNNI, q8Gemm5x8AVXVNNI, q8Gemm6x8AVXVNNI,
	}
	q8IgemmAVXVNNI = [...]func(*gemmQ8){
		q8Igemm1x16AVXVNNI, q8Igemm2x16AVXVNNI, q8Igemm3x16AVXVNNI,
		q8Igemm4x16AVXVNNI, q8Igemm5x16AVXVNNI, q8Igemm6x16AVXVNNI,
	}
	q8IgemmHalfAVXVNNI = [...]func(*gemmQ8){
		q8Igemm1x8AVXVNNI, q8Igemm2x8AVXVNNI, q8Igemm3x8AVXVNNI,
		q8Igemm4x8AVXVNNI, q8Igemm5x8AVXVNNI, q8Igemm6x8AVXVNNI,
	}
	q8GemmAVX512VNNI = [...]func(*gemmQ8){
		q8Gemm1x32AVX512VNNI, q8Gemm2x32AVX512VNNI, q8Gemm3x32AVX512VNNI, q8Gemm4x32AVX512VNNI,
		q8Gemm5x32AVX512VNNI, q8Gemm6x32AVX512VNNI, q8Gemm7x32AVX512VNNI,
	}
	q8GemmHalfAVX512VNNI = [...]func(*gemmQ8){
		q8Gemm1x16AVX512VNNI, q8Gemm2x16AVX512VNNI, q8Gemm3x16AVX512VNNI, q8Gemm4x16AVX512VNNI,
		q8Gemm5x16AVX512VNNI, q8Gemm6x16AVX512VNNI, q8Gemm7x16AVX512VNNI,
	}
	q8IgemmAVX512VNNI = [...]func(*gemmQ8){
		q8Igemm1x32AVX512VNNI, q8Igemm2x32AVX512VNNI, q8Igemm3x32AVX512VNNI, q8Igemm4x32AVX512VNNI,
		q8Igemm5x32AVX512VNNI, q8Igemm6x32AVX512VNNI, q8Igemm7x32AVX512VNNI,
	}
	q8IgemmHalfAVX512VNNI = [...]func(*gemmQ8){
		q8Igemm1x16AVX512VNNI, q8Igemm2x16AVX512VNNI, q8Igemm3x16AVX512VNNI, q8Igemm4x16AVX512VNNI,
		q8Igemm5x16AVX512VNNI, q8Igemm6x16AVX512VNNI, q8Igemm7x16AVX512VNNI,
	}
)

// Q8GemmAVXVNNI computes rows of a product of 8-bit matrices, with any
// weights. It panics where M is not positive or N not 1 to NR of Q8TileAVXVNNI.
func Q8GemmAVXVNNI(a *ref.GemmQ8) {
	tileQ8(a, q8GemmAVXVNNI[:], q8GemmHalfAVXVNNI[:], 16, false)
}

// Q8IgemmAVXVNNI computes rows of an implicit GEMM of 8-bit numbers, with any
// weights. It panics where M is not positive or N not 1 to NR of
// Q8TileAVXVNNI.
func Q8IgemmAVXVNNI(a *ref.GemmQ8) {
	tileQ8(a, q8IgemmAVXVNNI[:], q8IgemmHalfAVXVNNI[:], 16, true)
}

// Q8GemmAVX512VNNI computes rows of a product of 8-bit matrices, with any
// weights. It panics where M is not positive or N not 1 to NR of Q8TileAVX512VNNI.
func Q8GemmAVX512VNNI(a *ref.GemmQ8) {
	tileQ8(a, q8GemmAVX512VNNI[:], q8GemmHalfAVX512VNNI[:], 32, false)
}

// Q8IgemmAVX512VNNI computes rows of an implicit GEMM of 8-bit numbers, with any
// weights. It panics where M is not positive or N not 1 to NR of
// Q8TileAVX512VNNI.
func Q8IgemmAVX512VNNI(a *ref.GemmQ8) {
	tileQ8(a, q8IgemmAVX512VNNI[:], q8IgemmHalfAVX512VNNI[:], 32, true)
}

// Q8DwconvAVXVNNI computes a run of output pixels of a depthwise convolution,
// with weights in groups of 4.
func Q8DwconvAVXVNNI(a *ref.DwconvQ8) { q8DwconvAVXVNNI(a) }

// Q8DwconvAVX512VNNI computes a run of output pixels of a depthwise convolution,
// with weights in groups of 4.
func Q8DwconvAVX512VNNI(a *ref.DwconvQ8) { q8DwconvAVX512VNNI(a) }
