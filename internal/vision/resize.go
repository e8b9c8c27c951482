package vision

import "math"

// Resizer scales packed pictures of three 8-bit channels as cv2.resize does with
// INTER_LINEAR, bit for bit: centres of pixels at halves, no antialiasing,
// coefficients of 11 bits, and the mean of four pixels where both sides are
// halved exactly. It keeps the tables of the last size. The zero value is ready;
// it is used by one goroutine at a time.
type Resizer struct {
	srcW, srcH, dstW, dstH int
	halve                  bool
	xs                     []tapX
	ys                     []tapY
	rows                   [2][]int32 // two rows of the source, scaled along x
	held                   [2]int     // their numbers
}

// tapX is a column of the result: byte offset of the left source pixel, and the
// weights, of 2048 in all, of that pixel and of the next.
type tapX struct {
	at   int32
	a, b int32
}

// tapY is a row of the result: its two source rows and their weights.
type tapY struct {
	up, down int
	a, b     int32
}

const coefOne = 1 << 11

// Fit prepares for pictures of srcW x srcH that become dstW x dstH. All must be
// positive. It allocates nothing where the sizes are the last ones.
func (r *Resizer) Fit(srcW, srcH, dstW, dstH int) {
	if r.srcW == srcW && r.srcH == srcH && r.dstW == dstW && r.dstH == dstH {
		return
	}
	r.srcW, r.srcH, r.dstW, r.dstH = srcW, srcH, dstW, dstH
	r.halve = srcW == 2*dstW && srcH == 2*dstH
	r.xs, r.ys = r.xs[:0], r.ys[:0]
	for i := range dstW {
		at, a, b := tap(i, srcW, dstW)
		if at < 0 {
			at, a, b = 0, coefOne, 0
		}
		if at >= srcW-1 { // weights on the pixel before, so that the next one exists
			at, a, b = max(srcW-2, 0), 0, coefOne
		}
		r.xs = append(r.xs, tapX{int32(3 * at), a, b})
	}
	for i := range dstH {
		at, a, b := tap(i, srcH, dstH)
		r.ys = append(r.ys, tapY{max(at, 0), min(at+1, srcH-1), a, b})
	}
	for i := range r.rows {
		if cap(r.rows[i]) < 3*dstW {
			r.rows[i] = make([]int32, 3*dstW)
		}
		r.rows[i] = r.rows[i][:3*dstW]
	}
	r.Restart()
}

// tap returns the source sample before output i, and the weights of it and of
// the next one. The sample may be -1 or the last one.
func tap(i, src, dst int) (at int, a, b int32) {
	scale := 1 / (float64(dst) / float64(src))
	f := float32(float64((float64(i)+0.5)*scale) - 0.5) // converted so that no CPU fuses the two
	at = int(math.Floor(float64(f)))
	f -= float32(at)
	return at, int32(math.RoundToEven(float64((1 - f) * coefOne))), int32(math.RoundToEven(float64(f * coefOne)))
}

// Restart forgets the rows of the last picture. It must be called before the
// first Row of each picture.
func (r *Resizer) Restart() { r.held = [2]int{-1, -1} }

// Row writes row y of the result, 3*dstW bytes, from the picture pix whose rows
// lie stride bytes apart. Rows are cheapest in order.
func (r *Resizer) Row(dst, pix []byte, stride, y int) {
	dst = dst[:3*r.dstW]
	switch {
	case r.srcW == r.dstW && r.srcH == r.dstH:
		copy(dst, pix[y*stride:])
		return
	case r.halve:
		halve(dst, pix[2*y*stride:][:6*r.dstW], pix[(2*y+1)*stride:][:6*r.dstW])
		return
	}
	t := r.ys[y]
	up := r.row(pix, stride, t.up, t.down)[:len(dst)]
	down := r.row(pix, stride, t.down, t.up)[:len(dst)]
	a, b := t.a, t.b
	for x, u := range up {
		dst[x] = byte(((a*u)>>16 + (b*down[x])>>16 + 2) >> 2)
	}
}

// row returns source row y scaled along x, with 7 fractional bits, and keeps the
// other row.
func (r *Resizer) row(pix []byte, stride, y, other int) []int32 {
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
	src := pix[y*stride:][:3*r.srcW]
	dst := r.rows[slot]
	if r.srcW == 1 {
		for x := range dst {
			dst[x] = int32(src[x%3]) * coefOne >> 4
		}
		return dst
	}
	for _, t := range r.xs {
		s := src[t.at:][:6:6]
		d := dst[:3:3]
		d[0] = (int32(s[0])*t.a + int32(s[3])*t.b) >> 4
		d[1] = (int32(s[1])*t.a + int32(s[4])*t.b) >> 4
		d[2] = (int32(s[2])*t.a + int32(s[5])*t.b) >> 4
		dst = dst[3:]
	}
	return r.rows[slot]
}

func halve(dst, up, down []byte) {
	for len(dst) >= 3 && len(up) >= 6 && len(down) >= 6 {
		dst[0] = byte((int32(up[0]) + int32(up[3]) + int32(down[0]) + int32(down[3]) + 2) >> 2)
		dst[1] = byte((int32(up[1]) + int32(up[4]) + int32(down[1]) + int32(down[4]) + 2) >> 2)
		dst[2] = byte((int32(up[2]) + int32(up[5]) + int32(down[2]) + int32(down[5]) + 2) >> 2)
		dst, up, down = dst[3:], up[6:], down[6:]
	}
}
