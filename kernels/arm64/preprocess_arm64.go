//go:build !noasm

package arm64

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// rowLen is the most pixels that one call of a kernel of bytes works on, as
// callLen is for floats.
const rowLen = 1 << 13

// U8Taps resizes a row along x.
func U8Taps(dst []uint16, src []byte, order *ref.OrderU8, taps []ref.TapU8) {
	n := len(taps)
	if n < 4 {
		ref.U8Taps(dst, src, order, taps)
		return
	}
	dst = dst[:4*n]
	run := func(from, n int) {
		u8TapsNEON(&dst[4*from], &src[0], (*[16]uint8)(order), (*uint64)(unsafe.Pointer(&taps[from])), n)
	}
	overlapped(n, 4, run)
}

// overlapped calls run on parts of n, each a multiple of step and short enough,
// the last of which may repeat some of the one before. n is at least step.
func overlapped(n, step int, run func(from, n int)) {
	whole := n &^ (step - 1)
	for from := 0; from < whole; from += rowLen {
		run(from, min(rowLen, whole-from))
	}
	if whole != n {
		run(n-step, step)
	}
}

// U8Planes weighs two rows and writes the channels to planes.
func U8Planes(d0, d1, d2 []float32, up, down []uint16, a, b int, norm *ref.NormF32) {
	n := len(d0)
	if n < 8 {
		ref.U8Planes(d0, d1, d2, up, down, a, b, norm)
		return
	}
	d1, d2, up, down = d1[:n], d2[:n], up[:4*n], down[:4*n]
	overlapped(n, 8, func(i, n int) {
		u8PlanesNEON(&d0[i], &d1[i], &d2[i], &up[4*i], &down[4*i], a, b, &norm.Sub[0], n)
	})
}

// U8Pixels weighs two rows and writes the channels of a pixel together.
func U8Pixels(dst []float32, up, down []uint16, a, b int, norm *ref.NormF32) {
	n := len(dst) / 3
	if n < 8 {
		ref.U8Pixels(dst, up, down, a, b, norm)
		return
	}
	up, down = up[:4*n], down[:4*n]
	overlapped(n, 8, func(i, n int) {
		u8PixelsNEON(&dst[3*i], &up[4*i], &down[4*i], a, b, &norm.Sub[0], n)
	})
}

// U8YUYV converts groups of two pixels.
func U8YUYV(dst, src []byte) {
	n := len(src) / 4
	if n < 8 {
		ref.U8YUYV(dst, src)
		return
	}
	dst = dst[:8*n]
	overlapped(n, 8, func(i, n int) { u8YUYVNEON(&dst[8*i], &src[4*i], n) })
}

// U8NV12 converts groups of two pixels.
func U8NV12(dst, luma, chroma []byte) {
	n := len(luma) / 2
	if n < 8 {
		ref.U8NV12(dst, luma, chroma)
		return
	}
	dst, chroma = dst[:8*n], chroma[:2*n]
	overlapped(n, 8, func(i, n int) { u8NV12NEON(&dst[8*i], &luma[2*i], &chroma[2*i], n) })
}

// U8SpanX shrinks a row along x.
func U8SpanX(dst, src []byte, channels *[3]int, step int, spans []ref.SpanU8, weights []int32) {
	order := [16]uint8{uint8(channels[0]), uint8(channels[1]), uint8(channels[2]), 0x80}
	dst = dst[:4*len(spans)]
	const most = 1 << 14 // source pixels of one call, some 50 µs
	for len(spans) > 0 {
		n, sum := 1, int(spans[0].N)
		for n < len(spans) && sum+int(spans[n].N) <= most {
			sum += int(spans[n].N)
			n++
		}
		u8SpanXNEON(&dst[0], &src[0], &order, step, &spans[0].At, &weights[0], n)
		dst, spans = dst[4*n:], spans[n:]
	}
}

// U8SpanY shrinks rows along y.
func U8SpanY(dst []uint16, rows []byte, at, weights []int32) {
	n := len(dst)
	if n < 16 || len(weights) == 0 {
		ref.U8SpanY(dst, rows, at, weights)
		return
	}
	at = at[:len(weights)]
	overlapped(n, 16, func(i, n int) {
		u8SpanYNEON(&dst[i], &rows[i], &at[0], &weights[0], len(weights), n)
	})
}
