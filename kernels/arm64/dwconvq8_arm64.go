//go:build !noasm

package arm64

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// Q8DwconvGroupDot is how many taps of the weights of Q8DwconvDot lie together.
const Q8DwconvGroupDot = 4

// Q8Dwconv computes a run of output pixels of a depthwise convolution of 8-bit
// numbers, for weights in groups of 1; see ref.DwconvQ8.
func Q8Dwconv(a *ref.DwconvQ8) { dwconvQ8(a, false) }

// Q8DwconvDot is Q8Dwconv with dot products, for weights in groups of
// Q8DwconvGroupDot.
func Q8DwconvDot(a *ref.DwconvQ8) { dwconvQ8(a, true) }

func dwconvQ8(a *ref.DwconvQ8, dot bool) {
	width, size := ref.DwconvWidth(a.C), 1
	if a.Float != 0 {
		size = 4
	}
	pixels, channels := cut(a.Pixels, a.Taps, a.C)
	for p := 0; p < a.Pixels; p += pixels {
		for c := 0; c < a.C; c += channels {
			t := *a
			t.In = unsafe.Add(a.In, c)
			t.ZeroA = unsafe.Add(a.ZeroA, c)
			t.Out = unsafe.Add(a.Out, p*a.OutStride+size*c)
			t.Offsets = offsets(a.Offsets, p*a.Taps)
			t.Pixels = min(pixels, a.Pixels-p)
			t.C = min(channels, a.C-c)
			if dot {
				q8DwconvDot(&t, c, width)
			} else {
				q8DwconvNEON(&t, c, width)
			}
		}
	}
}
