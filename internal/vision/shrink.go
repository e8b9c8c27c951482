package vision

import (
	"math"

	"github.com/edgecam/edgecam/kernels/ref"
)

// shrinker scales frames as Pillow's Image.resize does with BILINEAR, bit for
// bit: a triangle filter as wide as a pixel of the result, so that nothing is
// skipped where a picture shrinks, with coefficients of 22 bits, first along x
// and then along y with bytes between. (Pillow 13 begins with y where a picture
// becomes much flatter; with its aspect kept the order is this one.) It gives a part of the result. It keeps
// the tables of the last size, and is used by one goroutine at a time.
type shrinker struct {
	src      lines
	channels [3]int
	size     [9]int // srcW, srcH, dstW, dstH, left, top, w, h, step
	xs, ys   []ref.SpanU8
	weights  []int32
	held     []int   // which row of the source each row of ring is
	ring     []byte  // rows, shrunk along x
	at       []int32 // where those of a result are
	out      []uint16
}

// start begins a picture, which becomes dstW x dstH pixels, of which w x h from
// (left, top) on are wanted, red first, or blue. It allocates nothing where sizes
// and format are the last ones.
func (s *shrinker) start(v view, dstW, dstH, left, top, w, h int, bgr bool) {
	s.src.start(v)
	s.channels = v.channels(bgr)
	size := [9]int{v.width, v.height, dstW, dstH, left, top, w, h, v.step()}
	if s.size != size {
		s.size = size
		s.weights = s.weights[:0]
		s.xs = s.spans(s.xs[:0], v.width, dstW, left, w)
		s.ys = s.spans(s.ys[:0], v.height, dstH, top, h)
		for i := range s.xs {
			s.xs[i].At *= int32(v.step())
		}
		most := 0
		for _, y := range s.ys {
			most = max(most, int(y.N))
		}
		s.held = fit(s.held, most)
		s.ring, s.at, s.out = fit(s.ring, 4*most*w), fit(s.at, most), fit(s.out, 4*w)
	}
	for i := range s.held {
		s.held[i] = -1
	}
}

// spans appends those of n results from one on, as Pillow's precompute_coeffs
// and normalize_coeffs_8bpc have them. Every product is converted, so that no
// CPU fuses it with a sum.
func (s *shrinker) spans(dst []ref.SpanU8, src, size, from, n int) []ref.SpanU8 {
	scale := float64(src) / float64(size)
	support := max(scale, 1)
	inverse := 1 / support
	most := int(2*support) + 1
	var w []float64
	for i := range n {
		centre := float64((float64(from+i) + 0.5) * scale)
		first := max(0, int(centre-support+0.5))
		end := min(src, int(centre+support+0.5))
		w = w[:0]
		sum := 0.0
		for x := range end - first {
			v := max(0, 1-math.Abs(float64((float64(x+first)-centre+0.5)*inverse)))
			w = append(w, v)
			sum += v
		}
		// Lists of one length keep the CPU from guessing.
		for len(w) < most && first+len(w) < src {
			w = append(w, 0)
		}
		dst = append(dst, ref.SpanU8{At: int32(first), N: int32(len(w)), W: int32(len(s.weights))})
		for _, v := range w {
			if sum != 0 {
				v /= sum
			}
			s.weights = append(s.weights, int32(0.5+float64(v*(1<<22))))
		}
	}
	return dst
}

// row returns row y of the part as ref.U8Taps makes rows. It stands until the next
// call.
func (s *shrinker) row(y int) []uint16 {
	t := s.ys[y]
	at := s.at[:t.N]
	for i := range at {
		at[i] = s.scaled(int(t.At) + i)
	}
	s.src.kernels.U8SpanY(s.out, s.ring, at, s.weights[t.W:][:t.N])
	return s.out
}

// scaled makes sure that row y of the source is in ring, and says where.
func (s *shrinker) scaled(y int) int32 {
	slot := y % len(s.held)
	at := slot * len(s.out)
	if s.held[slot] != y {
		s.held[slot] = y
		s.src.kernels.U8SpanX(s.ring[at:][:len(s.out)], s.src.row(y), &s.channels, s.size[8], s.xs, s.weights)
	}
	return int32(at)
}
