//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

type dwconvQ8 = ref.DwconvQ8

// Q8DwconvGroup is how many taps of the weights of Q8Dwconv lie together.
const Q8DwconvGroup = 2

// Q8Dwconv computes a run of output pixels of a depthwise convolution of 8-bit
// numbers.
func Q8Dwconv(a *ref.DwconvQ8) { q8DwconvAVX2(a) }

// U8ToI16 sets dst[i] = src[i].
func U8ToI16(dst []int16, src []uint8) {
	if len(src) < 16 {
		ref.U8ToI16(dst, src)
		return
	}
	u8ToI16AVX2(&dst[:len(src)][0], &src[0], len(src))
}
