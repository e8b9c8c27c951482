package op

import (
	"github.com/edgecam/edgecam/internal/tensor"
)

// flatChunk is how many elements of a chain are in work at a time: few enough
// that a chunk of every operand stays in the first cache.
const flatChunk = 1024

// longRun is the length from which a run of an operand is used where it lies;
// shorter ones are gathered.
const longRun = 128

// source gives the elements of an operand in the order of the output's
// elements, whatever its broadcasting and pitch.
type source struct {
	data []float32
	rank int // merged axes of the output; none where it has one element
	dims [tensor.MaxRank]int
	st   [tensor.MaxRank]int // steps of the operand along them
	// period is how many elements repeat throughout, where they are few:
	// gathered once for a tile. 0: no such thing.
	period int
}

// newSource returns the source of t, whose axis 0 is aligned with axis shift
// of an output of some shape.
func newSource(t *tensor.Tensor, shape tensor.Shape, shift int) source {
	s := source{data: whole[float32](t)}
	own := stridesOf(t)
	for a, d := range shape {
		st := 0
		if i := a - shift; i >= 0 && i < len(t.Shape) && t.Shape[i] != 1 {
			st = own[i]
		}
		switch last := s.rank - 1; {
		case d == 1:
		case last >= 0 && s.st[last] == st*d:
			s.dims[last], s.st[last] = s.dims[last]*d, st
		default:
			s.dims[s.rank], s.st[s.rank] = d, st
			s.rank++
		}
	}
	if s.rank > 0 && s.st[0] == 0 {
		s.period = 1
		for _, d := range s.dims[1:s.rank] {
			s.period *= d
		}
		if s.period > flatChunk {
			s.period = 0
		}
	}
	return s
}

// dense reports whether element e is data[e].
func (s *source) dense() bool { return s.rank == 0 || s.rank == 1 && s.st[0] == 1 }

// constant reports whether all elements are one.
func (s *source) constant() bool { return s.rank == 1 && s.st[0] == 0 }

// runs reports whether the elements lie in long runs, consecutive or
// repeated, and are used there.
func (s *source) runs() bool {
	return s.constant() || s.dense() || s.period == 0 && s.dims[s.rank-1] >= longRun && s.st[s.rank-1] <= 1
}

// slices reports whether runs are slices of data.
func (s *source) slices() bool { return s.dense() || s.runs() && s.st[s.rank-1] == 1 }

// until returns how many of the n elements from e on make one run.
func (s *source) until(e, n int) int {
	if s.constant() || s.dense() || !s.runs() {
		return n
	}
	d := s.dims[s.rank-1]
	return min(n, d-e%d)
}

// at returns where element e lies.
func (s *source) at(e int) int {
	off := 0
	for a := s.rank - 1; a > 0; a-- {
		off += e % s.dims[a] * s.st[a]
		e /= s.dims[a]
	}
	if s.rank > 0 {
		off += e * s.st[0]
	}
	return off
}

// repeat fills buf, which holds period and flatChunk elements, with the
// period over and over.
func (s *source) repeat(buf []float32) {
	buf = buf[:s.period+flatChunk]
	s.gather(buf[:s.period], 0)
	for n := s.period; n < len(buf); n *= 2 {
		copy(buf[n:], buf[:n])
	}
}

// gather sets dst to the elements from e on.
func (s *source) gather(dst []float32, e int) {
	in := s.rank - 1
	d, st := s.dims[in], s.st[in]
	for len(dst) > 0 {
		if i := e % d; i > 0 || len(dst) < d || in == 0 { // part of a row
			n := min(len(dst), d-i)
			spread(dst[:n], s.data, s.at(e), 1, n, 0, st)
			dst, e = dst[n:], e+n
			continue
		}
		rows := min(len(dst)/d, s.dims[in-1]-e/d%s.dims[in-1])
		spread(dst[:rows*d], s.data, s.at(e), rows, d, s.st[in-1], st)
		dst, e = dst[rows*d:], e+rows*d
	}
}

// spread sets dst to rows rows of n elements of src, at steps row and col.
func spread(dst, src []float32, at, rows, n, row, col int) {
	switch {
	case col == 1 && n == 2:
		for i := 0; i+2 <= len(dst); i += 2 {
			v := src[at : at+2 : at+2]
			dst[i], dst[i+1] = v[0], v[1]
			at += row
		}
	case col == 1:
		for r := range rows {
			copy(dst[r*n:(r+1)*n], src[at+r*row:])
		}
	case col == 0:
		for r := range rows {
			fill(dst[r*n:(r+1)*n], src[at+r*row])
		}
	default:
		for r := range rows {
			from := at + r*row
			for i := range dst[r*n : (r+1)*n] {
				dst[r*n+i] = src[from]
				from += col
			}
		}
	}
}

// scatter writes elements to the places of those from e on, of an output
// whose rows lie at a pitch.
func (s *source) scatter(src []float32, e int) {
	d, row := s.dims[s.rank-1], s.st[s.rank-1]
	switch {
	case row != 1: // rows of one element
		d = 1
	case s.rank > 1:
		row = s.st[s.rank-2] // the only other axis: rows have one pitch
	}
	at := s.at(e)
	if i := e % d; i > 0 || len(src) < d {
		n := min(len(src), d-i)
		copy(s.data[at:at+n], src)
		src, at = src[n:], at+row-i
	}
	if d == 2 {
		for ; len(src) >= 2; src, at = src[2:], at+row {
			to := s.data[at : at+2 : at+2]
			to[0], to[1] = src[0], src[1]
		}
	}
	for ; len(src) >= d && len(src) > 0; src, at = src[d:], at+row {
		copy(s.data[at:at+d], src[:d])
	}
	copy(s.data[min(at, len(s.data)):], src)
}
