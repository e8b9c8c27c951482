//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// The argument structs by the names that the stubs use.
type (
	poolQ8   = ref.PoolQ8
	binaryU8 = ref.BinaryU8
)

// tableLen is how many elements u8TableAVX2 takes at least.
const tableLen = 16

// U8Add adds two slices; see ref.U8Add. It panics where dst or b is shorter
// than a.
func U8Add(dst, a, b []uint8, p *ref.BinaryU8) {
	dst, b = dst[:len(a)], b[:len(a)]
	for len(a) >= vecLen {
		n := min(len(a), callLen)
		u8AddAVX2(&dst[0], &a[0], &b[0], n, p)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
	ref.U8Add(dst, a, b, p)
}

// U8Mul multiplies two slices; see ref.U8Mul. It panics where dst or b is shorter
// than a.
func U8Mul(dst, a, b []uint8, p *ref.BinaryU8) {
	dst, b = dst[:len(a)], b[:len(a)]
	for len(a) >= vecLen {
		n := min(len(a), callLen)
		u8MulAVX2(&dst[0], &a[0], &b[0], n, p)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
	ref.U8Mul(dst, a, b, p)
}

// U8Table looks up every element; see ref.U8Table. It panics where dst is
// shorter than src.
func U8Table(dst, src []uint8, table *[256]uint8) {
	dst = dst[:len(src)]
	for len(src) >= tableLen {
		n := min(len(src), callLen)
		u8TableAVX2(&dst[0], &src[0], n, table)
		dst, src = dst[n:], src[n:]
	}
	ref.U8Table(dst, src, table)
}

// F32ToU8 quantizes; see ref.F32ToU8. It panics where dst is shorter than src.
func F32ToU8(dst []uint8, src []float32, scale float32, zero int32) {
	dst = dst[:len(src)]
	top := float32(255 - zero)
	for len(src) >= vecLen {
		n := min(len(src), callLen)
		u8FromF32AVX2(&dst[0], &src[0], n, scale, top, zero)
		dst, src = dst[n:], src[n:]
	}
	ref.F32ToU8(dst, src, scale, zero)
}

// U8ToF32 dequantizes; see ref.U8ToF32. It panics where dst is shorter than
// src.
func U8ToF32(dst []float32, src []uint8, scale float32, zero int32) {
	dst = dst[:len(src)]
	for len(src) >= vecLen {
		n := min(len(src), callLen)
		u8ToF32AVX2(&dst[0], &src[0], n, scale, zero)
		dst, src = dst[n:], src[n:]
	}
	ref.U8ToF32(dst, src, scale, zero)
}

// U8MaxPool computes a run of output pixels of a maximum pooling of bytes.
func U8MaxPool(a *ref.PoolQ8) { u8MaxPoolAVX2(a) }

// U8AvgPool computes a run of output pixels of an average pooling of bytes.
func U8AvgPool(a *ref.PoolQ8) { u8AvgPoolAVX2(a) }
