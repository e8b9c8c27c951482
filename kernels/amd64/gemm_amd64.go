//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// The assembly stubs name the argument structs by these aliases.
type (
	gemmF32   = ref.GemmF32
	dwconvF32 = ref.DwconvF32
	poolF32   = ref.PoolF32
)

// The tile of F32Gemm and F32Igemm.
const (
	F32MR = 6
	F32NR = 16
)

// Kernels by number of rows, less one; f32GemmHalf serves tiles of at most
// half the columns.
var (
	f32Gemm = [F32MR]func(*gemmF32){
		f32Gemm1x16AVX2, f32Gemm2x16AVX2, f32Gemm3x16AVX2,
		f32Gemm4x16AVX2, f32Gemm5x16AVX2, f32Gemm6x16AVX2,
	}
	f32GemmHalf = [F32MR]func(*gemmF32){
		f32Gemm1x8AVX2, f32Gemm2x8AVX2, f32Gemm3x8AVX2,
		f32Gemm4x8AVX2, f32Gemm5x8AVX2, f32Gemm6x8AVX2,
	}
	f32Igemm = [F32MR]func(*gemmF32){
		f32Igemm1x16AVX2, f32Igemm2x16AVX2, f32Igemm3x16AVX2,
		f32Igemm4x16AVX2, f32Igemm5x16AVX2, f32Igemm6x16AVX2,
	}
	f32IgemmHalf = [F32MR]func(*gemmF32){
		f32Igemm1x8AVX2, f32Igemm2x8AVX2, f32Igemm3x8AVX2,
		f32Igemm4x8AVX2, f32Igemm5x8AVX2, f32Igemm6x8AVX2,
	}
)

// F32Gemm computes rows of a matrix product. It panics where M is not
// positive or N not 1 to F32NR.
func F32Gemm(a *ref.GemmF32) { tile(a, f32Gemm[:], f32GemmHalf[:], F32NR, false) }

// F32Igemm computes rows of an implicit GEMM. It panics where M is not
// positive or N not 1 to F32NR.
func F32Igemm(a *ref.GemmF32) { tile(a, f32Igemm[:], f32IgemmHalf[:], F32NR, true) }

// tile runs the kernels that fit M and N, for panels of nr columns: the one of
// the most rows for as many tiles as there are, another for the rows left.
func tile(a *ref.GemmF32, full, half []func(*gemmF32), nr int, igemm bool) {
	if a.N > nr || a.N < 1 {
		panic("amd64: the tile has no columns or too many")
	}
	if a.N <= nr/2 {
		full = half
	}
	if mr := len(full); a.M > mr {
		full[mr-1](a)
		if a.M%mr == 0 {
			return
		}
		a.Skip(a.M-a.M%mr, igemm)
	}
	full[a.M-1](a)
}
