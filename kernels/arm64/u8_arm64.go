//go:build !noasm

package arm64

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// u8Vector is how many elements the elementwise kernels of uint8 do at a time;
// package ref does what is left.
const u8Vector = 16

// U8Add adds tensors of uint8; see ref.U8Add.
func U8Add(dst, a, b []uint8, p *ref.BinaryU8) {
	whole := len(a) &^ (u8Vector - 1)
	dst, b = dst[:len(a)], b[:len(a)]
	for i := 0; i < whole; i += callLen {
		u8AddNEON(&dst[i], &a[i], &b[i], p, min(whole-i, callLen))
	}
	ref.U8Add(dst[whole:], a[whole:], b[whole:], p)
}

// U8Mul multiplies tensors of uint8; see ref.U8Mul.
func U8Mul(dst, a, b []uint8, p *ref.BinaryU8) {
	whole := len(a) &^ (u8Vector - 1)
	dst, b = dst[:len(a)], b[:len(a)]
	for i := 0; i < whole; i += callLen {
		u8MulNEON(&dst[i], &a[i], &b[i], p, min(whole-i, callLen))
	}
	ref.U8Mul(dst[whole:], a[whole:], b[whole:], p)
}

// U8Table sets dst[i] = table[src[i]]; see ref.U8Table.
func U8Table(dst, src []uint8, table *[256]uint8) {
	whole := len(src) &^ (u8Vector - 1)
	dst = dst[:len(src)]
	for i := 0; i < whole; i += callLen {
		u8TableNEON(&dst[i], &src[i], table, min(whole-i, callLen))
	}
	ref.U8Table(dst[whole:], src[whole:], table)
}

// F32ToU8 quantizes to uint8; see ref.F32ToU8.
func F32ToU8(dst []uint8, src []float32, scale float32, zero int32) {
	whole := len(src) &^ (u8Vector - 1)
	dst = dst[:len(src)]
	for i := 0; i < whole; i += callLen {
		f32ToU8NEON(&dst[i], &src[i], scale, float32(-zero), float32(255-zero), zero, min(whole-i, callLen))
	}
	ref.F32ToU8(dst[whole:], src[whole:], scale, zero)
}

// U8ToF32 sets dst[i] = (src[i]-zero)·scale; see ref.U8ToF32.
func U8ToF32(dst []float32, src []uint8, scale float32, zero int32) {
	whole := len(src) &^ (u8Vector - 1)
	dst = dst[:len(src)]
	for i := 0; i < whole; i += callLen {
		u8ToF32NEON(&dst[i], &src[i], scale, zero, min(whole-i, callLen))
	}
	ref.U8ToF32(dst[whole:], src[whole:], scale, zero)
}

// U8MaxPool computes a run of output pixels of a maximum pooling; see
// ref.PoolQ8.
func U8MaxPool(a *ref.PoolQ8) { poolU8(a, false) }

// U8AvgPool computes a run of output pixels of an average pooling; see
// ref.PoolQ8.
func U8AvgPool(a *ref.PoolQ8) { poolU8(a, true) }

func poolU8(a *ref.PoolQ8, avg bool) {
	pixels, channels := cut(a.Pixels, a.Taps, a.C)
	for p := 0; p < a.Pixels; p += pixels {
		for c := 0; c < a.C; c += channels {
			t := *a
			t.In = unsafe.Add(a.In, c)
			t.Out = unsafe.Add(a.Out, p*a.OutStride+c)
			t.Offsets = offsets(a.Offsets, p*a.Taps)
			t.Pixels = min(pixels, a.Pixels-p)
			t.C = min(channels, a.C-c)
			if avg {
				t.Scale = (*float32)(unsafe.Add(unsafe.Pointer(a.Scale), 4*p))
				u8AvgPoolNEON(&t)
			} else {
				u8MaxPoolNEON(&t)
			}
		}
	}
}
