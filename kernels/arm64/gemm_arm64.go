//go:build !noasm

package arm64

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// The tile of F32Gemm and F32Igemm.
const (
	F32MR = 8
	F32NR = 8
)

// F32Gemm computes one tile of a matrix product; see ref.GemmF32.
func F32Gemm(a *ref.GemmF32) { tile(a, false) }

// F32Igemm computes one tile of an implicit GEMM; see ref.GemmF32.
func F32Igemm(a *ref.GemmF32) { tile(a, true) }

// tile computes the rows of a tile after tile of F32MR. The kernels write all
// F32NR columns, so a tile that has fewer goes through a copy on the stack.
func tile(a *ref.GemmF32, igemm bool) {
	// No rows or too many columns are a mistake of the caller.
	_, _ = [F32NR + 1]struct{}{}[a.N], unsafe.Slice((*byte)(a.C), a.M)[0]
	for left := a.M; ; a.Skip(F32MR, igemm) {
		a.M = min(left, F32MR)
		if a.N == F32NR {
			rows(a, igemm)
		} else {
			narrow(a, igemm)
		}
		if left -= F32MR; left <= 0 {
			return
		}
	}
}

// narrow computes a tile of fewer than F32NR columns.
func narrow(a *ref.GemmF32, igemm bool) {
	const stride = 4 * F32NR
	var c, res [F32MR * F32NR]float32
	t := *a
	t.C, t.CStride = unsafe.Pointer(&c), stride
	if a.Res != nil {
		t.Res, t.ResStride = unsafe.Pointer(&res), stride
		copyRows(t.Res, stride, a.Res, a.ResStride, a)
	}
	rows(&t, igemm)
	copyRows(a.C, a.CStride, t.C, stride, a)
}

// copyRows copies the M x N elements of a tile.
func copyRows(dst unsafe.Pointer, dstStride int, src unsafe.Pointer, srcStride int, a *ref.GemmF32) {
	for m := range a.M {
		d := unsafe.Slice((*float32)(unsafe.Add(dst, m*dstStride)), a.N)
		copy(d, unsafe.Slice((*float32)(unsafe.Add(src, m*srcStride)), a.N))
	}
}

// rows calls the kernel for the number of rows. Calls by name, unlike calls
// through a variable, leave the arguments on the stack.
func rows(a *ref.GemmF32, igemm bool) {
	if igemm {
		igemmRows(a)
		return
	}
	switch a.M {
	case 1:
		f32GemmNEON1x8(a)
	case 2:
		f32GemmNEON2x8(a)
	case 3:
		f32GemmNEON3x8(a)
	case 4:
		f32GemmNEON4x8(a)
	case 5:
		f32GemmNEON5x8(a)
	case 6:
		f32GemmNEON6x8(a)
	case 7:
		f32GemmNEON7x8(a)
	case 8:
		f32GemmNEON8x8(a)
	}
}

func igemmRows(a *ref.GemmF32) {
	switch a.M {
	case 1:
		f32IgemmNEON1x8(a)
	case 2:
		f32IgemmNEON2x8(a)
	case 3:
		f32IgemmNEON3x8(a)
	case 4:
		f32IgemmNEON4x8(a)
	case 5:
		f32IgemmNEON5x8(a)
	case 6:
		f32IgemmNEON6x8(a)
	case 7:
		f32IgemmNEON7x8(a)
	case 8:
		f32IgemmNEON8x8(a)
	}
}
