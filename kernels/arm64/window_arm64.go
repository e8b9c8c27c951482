//go:build !noasm

package arm64

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// callWork is about how many products or comparisons of a window a slow core
// does in 50 µs.
const callWork = 128 << 10

// cut returns how many pixels and channels of a window of taps one call does:
// whole pixels where at least four fit, otherwise a part of the channels.
func cut(pixels, taps, c int) (int, int) {
	perChannel := max(taps, 1)
	if p := callWork / (perChannel * max(c, 1)); p >= 4 {
		return min(p&^3, pixels), c
	}
	return min(4, pixels), min(max(callWork/(4*perChannel)&^15, 16), c)
}

// F32Dwconv computes a run of output pixels of a depthwise convolution; see
// ref.DwconvF32.
func F32Dwconv(a *ref.DwconvF32) {
	pixels, channels := cut(a.Pixels, a.Taps, a.C)
	if pixels >= a.Pixels && channels >= a.C {
		f32DwconvNEON(a)
		return
	}
	for p := 0; p < a.Pixels; p += pixels {
		for c := 0; c < a.C; c += channels {
			t := *a
			t.In = unsafe.Add(a.In, 4*c)
			t.W = unsafe.Add(a.W, 4*c)
			t.Out = unsafe.Add(a.Out, p*a.OutStride+4*c)
			t.Offsets = offsets(a.Offsets, p*a.Taps)
			t.Pixels = min(pixels, a.Pixels-p)
			t.C = min(channels, a.C-c)
			f32DwconvNEON(&t)
		}
	}
}

// F32MaxPool computes a run of output pixels of a maximum pooling; see
// ref.PoolF32.
func F32MaxPool(a *ref.PoolF32) { pool(a, false) }

// F32AvgPool computes a run of output pixels of an average pooling; see
// ref.PoolF32.
func F32AvgPool(a *ref.PoolF32) { pool(a, true) }

func pool(a *ref.PoolF32, avg bool) {
	pixels, channels := cut(a.Pixels, a.Taps, a.C)
	for p := 0; p < a.Pixels; p += pixels {
		for c := 0; c < a.C; c += channels {
			t := *a
			t.In = unsafe.Add(a.In, 4*c)
			t.Out = unsafe.Add(a.Out, p*a.OutStride+4*c)
			t.Offsets = offsets(a.Offsets, p*a.Taps)
			t.Pixels = min(pixels, a.Pixels-p)
			t.C = min(channels, a.C-c)
			if avg {
				t.Scale = (*float32)(unsafe.Add(unsafe.Pointer(a.Scale), 4*p))
				f32AvgPoolNEON(&t)
			} else {
				f32MaxPoolNEON(&t)
			}
		}
	}
}

// offsets returns the address of entry i of a table.
func offsets(table *int32, i int) *int32 {
	return (*int32)(unsafe.Add(unsafe.Pointer(table), 4*i))
}
