package vision

import (
	"math"

	"github.com/edgecam/edgecam/camera"
)

// Resizer scales frames as cv2.resize does with INTER_LINEAR on packed pictures
// of three 8-bit channels, bit for bit: centres of pixels at halves, no
// antialiasing, coefficients of 11 bits, and the mean of four pixels where both
// sides are halved exactly. Frames of other formats become red, green, blue on
// the way. It keeps the tables of the last size. The zero value is ready; it is
// used by one goroutine at a time.
type Resizer struct {
	src                    lines
	srcW, srcH, dstW, dstH int
	halve, same            bool
	xs                     []tapX
	ys                     []tapY
	rows                   [2][]uint64 // two rows of the source, scaled along x, with 7 fractional bits
	held                   [2]int      // their numbers
	out                    []uint64
}

// tapX is a column of the result: the place of its left source pixel among the
// columns that are read, and the weights, of 2048 in all, of that and the next.
type tapX struct {
	at   uint32
	a, b uint16
}

// tapY is a row of the result: its two source rows and their weights.
type tapY struct {
	up, down int
	a, b     uint16
}

const coefOne = 1 << 11

// Start begins a picture: f, which must pass its Check, becomes dstW x dstH
// pixels, both positive. It allocates nothing where the sizes are the last ones.
func (r *Resizer) Start(f *camera.Frame, dstW, dstH int) {
	r.src.frame = f
	r.held = [2]int{-1, -1}
	srcW, srcH := f.Width, f.Height
	if r.srcW == srcW && r.srcH == srcH && r.dstW == dstW && r.dstH == dstH {
		return
	}
	r.srcW, r.srcH, r.dstW, r.dstH = srcW, srcH, dstW, dstH
	r.halve = srcW == 2*dstW && srcH == 2*dstH
	r.same = srcW == dstW && srcH == dstH
	r.xs, r.ys, r.src.cols = r.xs[:0], r.ys[:0], r.src.cols[:0]
	for i := range dstW {
		at, a, b := tap(i, srcW, dstW)
		if at < 0 || at >= srcW-1 {
			at, a, b = min(max(at, 0), srcW-1), coefOne, 0
		}
		r.xs = append(r.xs, tapX{r.columns(at, min(at+1, srcW-1)), a, b})
	}
	for i := range dstH {
		at, a, b := tap(i, srcH, dstH)
		r.ys = append(r.ys, tapY{max(at, 0), min(at+1, srcH-1), a, b})
	}
	if r.halve || r.same {
		r.src.cols = r.src.cols[:0]
		for i := range srcW {
			r.src.cols = append(r.src.cols, int32(i))
		}
	}
	r.src.fit()
	for _, row := range []*[]uint64{&r.rows[0], &r.rows[1], &r.out} {
		if cap(*row) < dstW {
			*row = make([]uint64, dstW)
		}
		*row = (*row)[:dstW]
	}
}

// columns makes sure that left and right are read side by side, and says where.
func (r *Resizer) columns(left, right int) uint32 {
	c, a, b := &r.src.cols, int32(left), int32(right)
	n := len(*c)
	switch {
	case n >= 2 && (*c)[n-2] == a && (*c)[n-1] == b:
		return uint32(n - 2)
	case n >= 1 && (*c)[n-1] == a:
		*c = append(*c, b)
		return uint32(n - 1)
	}
	*c = append(*c, a, b)
	return uint32(n)
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

// Row writes row y of the result, 3*dstW bytes, in the frame's order of channels.
// Rows are cheapest in order.
func (r *Resizer) Row(dst []byte, y int) {
	for _, v := range r.row(y) {
		dst[0], dst[1], dst[2] = byte(v), byte(v>>lane), byte(v>>(2*lane))
		dst = dst[3:]
	}
}

// row returns row y of the result, which stands until the next call. The low
// eight bits of each lane count.
func (r *Resizer) row(y int) []uint64 {
	out := r.out
	switch {
	case r.same:
		return r.src.row(y)
	case r.halve:
		sum := r.rows[0][:len(out)]
		px := r.src.row(2 * y)
		for x := range sum {
			sum[x] = px[2*x] + px[2*x+1] + 2*each
		}
		px = r.src.row(2*y + 1)
		for x := range out {
			out[x] = (sum[x] + px[2*x] + px[2*x+1]) >> 2
		}
		return out
	}
	t := &r.ys[y]
	up := r.scaled(t.up, t.down)[:len(out)]
	down := r.scaled(t.down, t.up)[:len(out)]
	a, b := uint64(t.a), uint64(t.b)
	for x, u := range up {
		out[x] = mix(u, down[x], a, b)
	}
	return out
}

// mix weighs two pixels with 7 fractional bits, each product cut off as OpenCV
// does it.
func mix(u, v, a, b uint64) uint64 {
	const sides, centre = 0x7fff * outer, 0x7fff << lane
	o := u&sides*a>>16&(0x3ff*outer) + v&sides*b>>16&(0x3ff*outer) + 2*outer
	c := u&centre*a>>16&(0x3ff<<lane) + v&centre*b>>16&(0x3ff<<lane) + 2<<lane
	return (o | c) >> 2
}

// scaled returns source row y scaled along x, and keeps the other row.
func (r *Resizer) scaled(y, other int) []uint64 {
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
	px := r.src.row(y)
	dst := r.rows[slot]
	xs := r.xs[:len(dst)]
	for x := range dst {
		t := &xs[x]
		p := px[t.at:][:2]
		dst[x] = (p[0]*uint64(t.a) + p[1]*uint64(t.b)) >> 4
	}
	return dst
}
