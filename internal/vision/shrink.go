package vision

import (
	"math"

	"github.com/edgecam/edgecam/camera"
)

// shrinker scales frames as Pillow's Image.resize does with BILINEAR, bit for
// bit: a triangle filter as wide as a pixel of the result, so that nothing is
// skipped where a picture shrinks, with coefficients of 22 bits, first along x
// and then along y with bytes between. (Pillow 13 begins with y where a picture
// becomes much flatter; with its aspect kept the order is this one.) It gives a part of the result. It keeps
// the tables of the last size, and is used by one goroutine at a time.
type shrinker struct {
	src          lines
	size         [8]int // srcW, srcH, dstW, dstH, left, top, w, h
	xs, ys       []span
	weights      []uint64
	held         []int    // which row of the source each row of rows is
	rows         []uint64 // a ring of rows, scaled along x
	out          []uint64
	sides, inner []uint64 // sums of the outer lanes, with 32 bits to each, and of the inner one
}

// span is the source pixels, from first on, that make one of the result, and
// where their weights start.
type span struct{ first, n, weights int }

const halfWeight = 1 << 21

// start begins a picture: f, which must pass its Check, becomes dstW x dstH
// pixels, of which w x h from (left, top) on are wanted. It allocates nothing
// where the sizes are the last ones.
func (s *shrinker) start(f *camera.Frame, dstW, dstH, left, top, w, h int) {
	s.src.frame = f
	size := [8]int{f.Width, f.Height, dstW, dstH, left, top, w, h}
	if s.size == size {
		for i := range s.held {
			s.held[i] = -1
		}
		return
	}
	s.size = size
	s.weights = s.weights[:0]
	s.xs = s.spans(s.xs[:0], f.Width, dstW, left, w)
	s.ys = s.spans(s.ys[:0], f.Height, dstH, top, h)
	first, end := s.xs[0].first, s.xs[w-1].first+s.xs[w-1].n
	s.src.cols = s.src.cols[:0]
	for c := first; c < end; c++ {
		s.src.cols = append(s.src.cols, int32(c))
	}
	s.src.fit()
	most := 0
	for i := range s.xs {
		s.xs[i].first -= first
	}
	for _, y := range s.ys {
		most = max(most, y.n)
	}
	s.held = make([]int, most)
	for i := range s.held {
		s.held[i] = -1
	}
	s.rows = make([]uint64, most*w)
	s.out, s.sides, s.inner = make([]uint64, w), make([]uint64, w), make([]uint64, w)
}

// spans appends those of n results from one on, as Pillow's precompute_coeffs
// and normalize_coeffs_8bpc have them. Every product is converted, so that no
// CPU fuses it with a sum.
func (s *shrinker) spans(dst []span, src, size, from, n int) []span {
	scale := float64(src) / float64(size)
	support := max(scale, 1)
	inverse := 1 / support
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
		dst = append(dst, span{first, len(w), len(s.weights)})
		for _, v := range w {
			if sum != 0 {
				v /= sum
			}
			s.weights = append(s.weights, uint64(0.5+float64(v*(1<<22))))
		}
	}
	return dst
}

// row returns row y of the part, which stands until the next call. The low
// eight bits of each lane count.
func (s *shrinker) row(y int) []uint64 {
	t := s.ys[y]
	weights := s.weights[t.weights:][:t.n]
	sides, inner := s.sides, s.inner[:len(s.sides)]
	for i, k := range weights {
		src := s.scaled(t.first + i)[:len(sides)]
		if i == 0 {
			for x, v := range src {
				sides[x] = apart(v)*k + halfWeight<<32 + halfWeight
				inner[x] = v>>lane&0xff*k + halfWeight
			}
			continue
		}
		for x, v := range src {
			sides[x] += apart(v) * k
			inner[x] += v >> lane & 0xff * k
		}
	}
	out := s.out[:len(sides)]
	for x, v := range sides {
		out[x] = together(v, inner[x])
	}
	return out
}

// apart puts the outer lanes of a pixel of bytes 32 bits from each other.
func apart(v uint64) uint64 { return v&0xff | v>>(2*lane-32)&(0xff<<32) }

// together makes a pixel of the sums of its lanes. Weights add up to so little
// more than one that the sum stays a byte.
func together(sides, inner uint64) uint64 {
	return sides>>22&0xff | inner>>22&0xff<<lane | sides>>54<<(2*lane)
}

// scaled returns row y of the source, scaled along x.
func (s *shrinker) scaled(y int) []uint64 {
	w := len(s.out)
	slot := y % len(s.held)
	dst := s.rows[slot*w:][:w]
	if s.held[slot] == y {
		return dst
	}
	s.held[slot] = y
	px := s.src.row(y)
	for x := range dst {
		t := &s.xs[x]
		src := px[t.first:][:t.n]
		weights := s.weights[t.weights:][:len(src)]
		sides, inner := uint64(halfWeight<<32+halfWeight), uint64(halfWeight)
		for i, v := range src {
			k := weights[i]
			sides += apart(v) * k
			inner += v >> lane & 0xff * k
		}
		dst[x] = together(sides, inner)
	}
	return dst
}
