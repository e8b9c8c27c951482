package ref

import "unsafe"

// apart keeps the arguments of two workers, which they write all the time, out
// of one another's cache lines.
type apart [128]byte

// GemmF32 holds the arguments of some rows of a float32 matrix product, one
// panel of columns wide:
//
//	C[m][n] = clamp(bias[n] + Σt Σk A(m,t)[k]·W[t·K+k][n] + Res[m][n], Min, Max)
//
// for m < M and n < N. It serves two slots. F32Gemm reads row m of A at
// A + m·AStride and ignores Offsets, Zero and Taps (one tap). F32Igemm, the
// implicit GEMM of a convolution, reads tap t of row m at
// A + Offsets[m·Taps+t], or at Zero where that offset is negative.
//
// Sums run over t, then k, in order, as one chain of fused multiply-adds that
// starts at the bias. Strides and offsets are in bytes. M is any positive
// number, best a multiple of MR of the rung's tile, and N at most its NR;
// nothing outside the M rows of N columns is written, nothing outside the named
// rows of A is read. The caller bounds M·K·Taps, so that a call stays short.
// The kernels may leave A, Offsets, C, Res and M changed.
type GemmF32 struct {
	A         unsafe.Pointer // element 0 of row 0
	Zero      unsafe.Pointer // at least K zeros
	Offsets   *int32         // M x Taps
	W         unsafe.Pointer // one packed panel: NR biases, then Taps·K rows of NR weights
	C         unsafe.Pointer
	Res       unsafe.Pointer // residual, added before the clamp; nil for none
	AStride   int
	CStride   int
	ResStride int
	M, N      int
	K, Taps   int
	Min, Max  float32
	_         apart
}

// Skip moves the arguments of F32Gemm, or those of F32Igemm, past the first
// rows, which must be fewer than M.
func (a *GemmF32) Skip(rows int, igemm bool) {
	a.M -= rows
	if igemm {
		a.Offsets = (*int32)(unsafe.Add(unsafe.Pointer(a.Offsets), rows*a.Taps*4))
	} else {
		a.A = unsafe.Add(a.A, rows*a.AStride)
	}
	a.C = unsafe.Add(a.C, rows*a.CStride)
	if a.Res != nil {
		a.Res = unsafe.Add(a.Res, rows*a.ResStride)
	}
}

// DwconvF32 holds the arguments of one run of output pixels of a depthwise
// convolution over channels-last data:
//
//	Out[p][c] = clamp(W[0][c] + Σt In(p,t)[c]·W[1+t][c], Min, Max)
//
// where In(p,t) starts at In + Offsets[p·Taps+t] bytes, or at Zero where that
// offset is negative. Row 0 of W is the bias. Rows of W are WStride bytes
// apart and padded with zeros to a multiple of 16 channels; no other row may
// be read beyond its C channels. Out and the input do not overlap: a kernel may
// compute a pixel twice.
type DwconvF32 struct {
	In        unsafe.Pointer
	Zero      unsafe.Pointer // at least C zeros
	Offsets   *int32         // Pixels x Taps
	W         unsafe.Pointer
	Out       unsafe.Pointer
	OutStride int // bytes between output pixels
	WStride   int // bytes between rows of W
	Pixels    int
	Taps      int
	C         int
	Min, Max  float32
	_         apart
}

// PoolF32 holds the arguments of one run of output pixels of a pooling over
// channels-last data. F32MaxPool takes the maximum over the taps whose offset
// is not negative (a pixel has at least one), NaN where there is one;
// F32AvgPool their sum times Scale[p].
type PoolF32 struct {
	In        unsafe.Pointer
	Offsets   *int32   // Pixels x Taps, bytes; negative: outside the image
	Scale     *float32 // Pixels; F32AvgPool only
	Out       unsafe.Pointer
	OutStride int
	Pixels    int
	Taps      int
	C         int
	_         apart
}
