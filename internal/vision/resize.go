package vision

import (
	"encoding/binary"
	"math"
)

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
	rows                   [2][]uint64 // two rows of the source, scaled along x, a pixel to an element
	held                   [2]int      // their numbers
}

// tapX is a column of the result: byte offset of the left source pixel, and the
// weights, of 2048 in all, of that pixel and of the next.
type tapX struct {
	at   int
	a, b uint32
}

// tapY is a row of the result: its two source rows and their weights.
type tapY struct {
	up, down int
	a, b     uint32
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
		r.xs = append(r.xs, tapX{3 * at, a, b})
	}
	for i := range dstH {
		at, a, b := tap(i, srcH, dstH)
		r.ys = append(r.ys, tapY{max(at, 0), min(at+1, srcH-1), a, b})
	}
	for i := range r.rows {
		if cap(r.rows[i]) < dstW {
			r.rows[i] = make([]uint64, dstW)
		}
		r.rows[i] = r.rows[i][:dstW]
	}
	r.Restart()
}

// tap returns the source sample before output i, and the weights of it and of
// the next one. The sample may be -1 or the last one.
func tap(i, src, dst int) (at int, a, b uint32) {
	scale := 1 / (float64(dst) / float64(src))
	f := float32(float64((float64(i)+0.5)*scale) - 0.5) // converted so that no CPU fuses the two
	at = int(math.Floor(float64(f)))
	f -= float32(at)
	return at, uint32(math.RoundToEven(float64((1 - f) * coefOne))), uint32(math.RoundToEven(float64(f * coefOne)))
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
	up := r.row(pix, stride, t.up, t.down)
	down := r.row(pix, stride, t.down, t.up)[:len(up)]
	a, b := t.a, t.b
	for x, u := range up {
		v := down[x]
		if len(dst) < 3 {
			break
		}
		dst[0] = mix(u>>4, v>>4, a, b)
		dst[1] = mix(u>>(4+lane), v>>(4+lane), a, b)
		dst[2] = mix(u>>(4+2*lane), v>>(4+2*lane), a, b)
		dst = dst[3:]
	}
}

// mix weighs two samples with 7 fractional bits, which are in the low 15 bits of
// u and v, each cut off as OpenCV does it.
func mix(u, v uint64, a, b uint32) byte {
	return byte((a*(uint32(u)&0x7fff)>>16 + b*(uint32(v)&0x7fff)>>16 + 2) >> 2)
}

// lane is the width of a channel in a pixel of three that are computed at once:
// 255 times weights of 2048 in all take 19 bits.
const lane = 21

// spread puts the low three bytes of v into lanes.
func spread(v uint64) uint64 {
	return v&0xff | v&0xff00<<(lane-8) | v&0xff0000<<(2*lane-16)
}

// row returns source row y scaled along x, with 11 fractional bits, and keeps
// the other row.
func (r *Resizer) row(pix []byte, stride, y, other int) []uint64 {
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
	src := pix[y*stride:]
	dst := r.rows[slot]
	xs := r.xs[:len(dst)]
	if r.srcW == 1 {
		v := spread(uint64(src[0])|uint64(src[1])<<8|uint64(src[2])<<16) * coefOne
		for x := range dst {
			dst[x] = v
		}
		return dst
	}
	for x := range dst {
		t := &xs[x]
		if t.at+8 > len(src) { // the last pixels of the picture
			s := src[t.at:][:6]
			dst[x] = spread(uint64(s[0])|uint64(s[1])<<8|uint64(s[2])<<16)*uint64(t.a) +
				spread(uint64(s[3])|uint64(s[4])<<8|uint64(s[5])<<16)*uint64(t.b)
			continue
		}
		v := binary.LittleEndian.Uint64(src[t.at:])
		dst[x] = spread(v)*uint64(t.a) + spread(v>>24)*uint64(t.b)
	}
	return dst
}

func halve(dst, up, down []byte) {
	for len(dst) >= 3 && len(up) >= 6 && len(down) >= 6 {
		dst[0] = byte((int32(up[0]) + int32(up[3]) + int32(down[0]) + int32(down[3]) + 2) >> 2)
		dst[1] = byte((int32(up[1]) + int32(up[4]) + int32(down[1]) + int32(down[4]) + 2) >> 2)
		dst[2] = byte((int32(up[2]) + int32(up[5]) + int32(down[2]) + int32(down[5]) + 2) >> 2)
		dst, up, down = dst[3:], up[6:], down[6:]
	}
}
