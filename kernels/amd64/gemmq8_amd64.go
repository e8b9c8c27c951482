//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

type gemmQ8 = ref.GemmQ8

// Q8Tile is the tile of Q8Gemm and Q8Igemm.
var Q8Tile = ref.TileQ8{MR: 6, NR: 16, KR: 2, Wide: true}

// Kernels by number of rows, less one; q8GemmHalf serves tiles of at most half
// the columns.
var (
	q8Gemm = [...]func(*gemmQ8){
		q8Gemm1x16AVX2, q8Gemm2x16AVX2, q8Gemm3x16AVX2,
		q8Gemm4x16AVX2, q8Gemm5x16AVX2, q8Gemm6x16AVX2,
	}
	q8GemmHalf = [...]func(*gemmQ8){
		q8Gemm1x8AVX2, q8Gemm2x8AVX2, q8Gemm3x8AVX2,
		q8Gemm4x8AVX2, q8Gemm5x8AVX2, q8Gemm6x8AVX2,
	}
	q8Igemm = [...]func(*gemmQ8){
		q8Igemm1x16AVX2, q8Igemm2x16AVX2, q8Igemm3x16AVX2,
		q8Igemm4x16AVX2, q8Igemm5x16AVX2, q8Igemm6x16AVX2,
	}
	q8IgemmHalf = [...]func(*gemmQ8){
		q8Igemm1x8AVX2, q8Igemm2x8AVX2, q8Igemm3x8AVX2,
		q8Igemm4x8AVX2, q8Igemm5x8AVX2, q8Igemm6x8AVX2,
	}
)

// Q8Gemm computes rows of a product of 8-bit matrices, with any weights. It
// panics where M is not positive or N not 1 to NR of Q8Tile.
func Q8Gemm(a *ref.GemmQ8) { tileQ8(a, q8Gemm[:], q8GemmHalf[:], 16, false) }

// Q8Igemm computes rows of an implicit GEMM of 8-bit numbers, with any weights.
// It panics where M is not positive or N not 1 to NR of Q8Tile.
func Q8Igemm(a *ref.GemmQ8) { tileQ8(a, q8Igemm[:], q8IgemmHalf[:], 16, true) }

// tileQ8 runs the kernels that fit M and N, as tile does.
func tileQ8(a *ref.GemmQ8, full, half []func(*gemmQ8), nr int, igemm bool) {
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
