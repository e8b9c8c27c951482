package op

// rowTable holds the byte offset of every tap of every output pixel of an
// image, -1 outside of it, for kernels that take a run of pixels of one output
// row. Most rows see the same as others, further down: they share their
// offsets, which are relative to a place in the image.
type rowTable struct {
	offsets []int32 // of the rows that differ, each of OutW·KH·KW
	rows    []tableRow
}

// tableRow is one output row.
type tableRow struct {
	first int // its offsets start here
	base  int // and count from this byte of the image
}

// sharedRows returns the table of a convolution.
func sharedRows(env *Env, s *convShape) *rowTable {
	type rowsKey offsetKey
	return env.Shared(rowsKey(s.offsetKey()), func() any { return newRowTable(s) }).(*rowTable)
}

func newRowTable(s *convShape) *rowTable {
	t := &rowTable{rows: make([]tableRow, s.OutH)}
	seen := map[[2]int]int{} // where the offsets of rows start that lack so many taps at either end
	pixel := s.inPitch * s.size
	for i := range t.rows {
		top := i*s.StrideH - s.PadT // the first tap's row
		from := min(max(0, -top+s.DilH-1)/s.DilH, s.KH)
		to := max(min((s.h-top+s.DilH-1)/s.DilH, s.KH), from)
		if top >= s.h {
			to = from
		}
		r := &t.rows[i]
		if from < to {
			r.base = (top + from*s.DilH) * s.w * pixel
		}
		first, ok := seen[[2]int{from, to}]
		if r.first = first; ok {
			continue
		}
		r.first = len(t.offsets)
		seen[[2]int{from, to}] = r.first
		for j := range s.OutW {
			for u := range s.KH {
				for v := range s.KW {
					x, at := j*s.StrideW+v*s.DilW-s.PadL, -1
					if u >= from && u < to && x >= 0 && x < s.w {
						at = ((u-from)*s.DilH*s.w + x) * pixel
					}
					t.offsets = append(t.offsets, int32(at))
				}
			}
		}
	}
	return t
}
