package ref

import (
	"math"
	"unsafe"
)

// packDwconvPairs is PackDwconvQ8 for groups of 2, in the order in which AVX2
// interleaves the bytes of two taps. A weight is 16·h + l, with h in -8..8 and l
// in -8..7, so that 16 products of a uint8 and either sum to an int16.
//
// Channels lie in blocks of 32, the last one of 16 where the width leaves no
// more. For every pair of taps a block has its h, then its l: byte 2·i + t%2 is
// that of tap t and the channel at place i. The places of a block of 32 are
// channels 0-7, 16-23, 8-15, 24-31; in the rows of biases and scales they are
// 0-3, 16-19, 4-7, 20-23, and so on. Blocks of 16 are in order.
func packDwconvPairs(dst []byte, w func(tap, c int) int8, bias []int32, scale []float32, taps, channels int, zero int32) {
	width := DwconvWidth(channels)
	head := unsafe.Slice((*int32)(unsafe.Pointer(&dst[0])), 2*width)
	for c := range channels {
		start := c / 32 * 32
		size := min(32, width-start)
		// The place of a channel among runs of n of both halves of its block.
		place := func(n int) int {
			i := c - start
			if size < 32 {
				return i
			}
			return (i%16/n*2+i/16)*n + i%n
		}
		block := dst[8*width+start*4*((taps+1)/2):]
		sum := int32(0)
		for t := range taps {
			v := int32(w(t, c))
			sum += v
			low := (v+8)&15 - 8
			at := t/2*4*size + 2*place(8) + t%2
			block[at], block[at+2*size] = byte((v-low)/16), byte(low)
		}
		i := start + place(4)
		head[i] = -sum * zero
		if bias != nil {
			head[i] += bias[c]
		}
		head[width+i] = int32(math.Float32bits(scale[c]))
	}
}
