package vision

import (
	"math"

	"github.com/edgecam/edgecam/kernels/ref"
)

// resizer scales pictures as cv2.resize does with INTER_LINEAR on packed pictures
// of three 8-bit channels, bit for bit: centres of pixels at halves, no
// antialiasing, coefficients of 11 bits, and the mean of four pixels where both
// sides are halved exactly, which the same arithmetic gives. It keeps the tables
// of the last size and format. It is used by one goroutine at a time.
type resizer struct {
	src   lines
	order ref.OrderU8
	size  [5]int // width and height of source and result, and the source's step
	taps  []ref.TapU8
	ys    []tapY
	rows  [2][]uint16 // two rows of the source, resized along x
	held  [2]int      // their numbers
}

// tapY is a row of the result: its two source rows and their weights.
type tapY struct {
	up, down int
	a, b     uint16
}

const coefOne = 1 << 11

// start begins a picture, which becomes dstW x dstH pixels, both positive, of
// red, green and blue, or the other way round. It allocates nothing where sizes
// and format are the last ones.
func (r *resizer) start(v view, dstW, dstH int, bgr bool) {
	r.src.start(v)
	r.order = ref.NewOrderU8(v.channels(bgr), v.step())
	r.held = [2]int{-1, -1}
	size := [5]int{v.width, v.height, dstW, dstH, v.step()}
	if r.size == size {
		return
	}
	r.size = size
	r.taps, r.ys = r.taps[:0], r.ys[:0]
	for i := range dstW {
		at, a, b := tap(i, v.width, dstW)
		if at < 0 || at >= v.width-1 {
			at, a, b = min(max(at, 0), v.width-1), coefOne, 0
		}
		r.taps = append(r.taps, ref.TapU8{At: int32(at * v.step()), A: a, B: b})
	}
	for i := range dstH {
		at, a, b := tap(i, v.height, dstH)
		r.ys = append(r.ys, tapY{max(at, 0), min(at+1, v.height-1), a, b})
	}
	for i := range r.rows {
		r.rows[i] = fit(r.rows[i], 4*dstW)
	}
}

// tap returns the source sample before output i, and the weights of it and of
// the next one. The sample may be -1 or the last one.
func tap(i, src, dst int) (at int, a, b uint16) {
	scale := 1 / (float64(dst) / float64(src))
	f := float32(float64((float64(i)+0.5)*scale) - 0.5) // converted so that no CPU fuses the two
	at = int(math.Floor(float64(f)))
	f -= float32(at)
	return at, uint16(math.RoundToEven(float64((1 - f) * coefOne))), uint16(math.RoundToEven(float64(f * coefOne)))
}

// row returns the two rows, as ref.U8Taps makes them, whose weighted mean is row y
// of the result. They stand until the next call. Rows are cheapest in order.
func (r *resizer) row(y int) (up, down []uint16, a, b int) {
	t := &r.ys[y]
	up = r.scaled(t.up, t.down)
	return up, r.scaled(t.down, t.up), int(t.a), int(t.b)
}

// scaled returns source row y resized along x, and keeps the other row.
func (r *resizer) scaled(y, other int) []uint16 {
	slot := 0
	switch {
	case r.held[0] == y:
		return r.rows[0]
	case r.held[1] == y:
		return r.rows[1]
	case r.held[0] == other:
		slot = 1
	}
	r.held[slot] = y
	r.src.kernels.U8Taps(r.rows[slot], r.src.row(y), &r.order, r.taps)
	return r.rows[slot]
}
