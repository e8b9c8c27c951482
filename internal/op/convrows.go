package op

// fewChannels bounds the input channels of a convolution that reads rows of
// its kernel as one tap.
const fewChannels = 4

// RowsFit reports whether the convolution of an input with that many channels
// reads each row of its kernel as one tap, over a copy of the input with
// channels last and the padding of columns in place. That suits first layers,
// whose three channels would leave most of a tap's cost to its set-up.
func (c *ConvNHWC) RowsFit(channels int) bool {
	return c.Group == 1 && channels <= fewChannels && c.KW > 1 && c.DilW == 1 && c.PadL >= 0
}

func (s *convShape) fewChannels() bool { return s.RowsFit(s.cin) }

// paddedRows is a copy of the rows of a convolution's input that a tile of some
// output rows reads, with zero columns at both sides, so that every row of a
// window is one run of memory.
type paddedRows struct {
	s       *convShape
	env     *Env
	scratch *Scratch
	tiles   int // of the output rows
	width   int // columns
	offsets []int32
}

// rowsTile is how many times tileCost a tile holds: many, since neighbours both
// copy the rows that both read.
const rowsTile = 4

func newPaddedRows(env *Env, s *convShape) *paddedRows {
	p := &paddedRows{s: s, env: env}
	p.tiles = min(env.tiles(s.OutH*s.OutW*s.cout*s.cin*s.KH*s.KW/rowsTile), s.OutH)
	// The last window ends where it ends, whatever padding was asked for.
	p.width = max(s.PadL+s.w, (s.OutW-1)*s.StrideW+s.KW)
	most := 0
	for t := range p.tiles {
		from, to := s.inputRows(t, p.tiles)
		most = max(most, to-from)
	}
	p.scratch = env.Scratch(most * p.width * s.cin * 4)
	type rowsKey struct {
		offsetKey
		cin, tiles int
	}
	p.offsets = env.Shared(rowsKey{s.offsetKey(), s.cin, p.tiles}, func() any {
		offsets := make([]int32, 0, s.OutH*s.OutW*s.KH)
		for t := range p.tiles {
			first, _ := s.inputRows(t, p.tiles)
			from, to := part(t, p.tiles, s.OutH, 1)
			for i := from; i < to; i++ {
				for j := range s.OutW {
					for u := range s.KH {
						y := i*s.StrideH + u*s.DilH - s.PadT
						if y < 0 || y >= s.h {
							offsets = append(offsets, -1)
						} else {
							offsets = append(offsets, int32(((y-first)*p.width+j*s.StrideW)*s.cin*4))
						}
					}
				}
			}
		}
		return offsets
	}).([]int32)
	return p
}

// inputRows returns the rows of the input that a tile of some output rows reads.
func (s *convShape) inputRows(tile, tiles int) (from, to int) {
	i, end := part(tile, tiles, s.OutH, 1)
	from = min(max(i*s.StrideH-s.PadT, 0), s.h)
	return from, max(from, min((end-1)*s.StrideH+(s.KH-1)*s.DilH-s.PadT+1, s.h))
}

// fill copies the rows of one image that a tile reads.
func (p *paddedRows) fill(worker, image, tile int) []float32 {
	buf := bytesF32(p.scratch.For(worker))
	from, to := p.s.inputRows(tile, p.tiles)
	for y := from; y < to; y++ {
		p.row(buf[(y-from)*p.width*p.s.cin:][:p.width*p.s.cin], image, y)
	}
	return buf
}

func (p *paddedRows) row(whole []float32, image, y int) {
	s, x := p.s, p.env.In[0]
	from, to := s.PadL*s.cin, (s.PadL+s.w)*s.cin
	clear(whole[:from])
	clear(whole[to:])
	dst := whole[from:to]
	switch {
	case s.Planar:
		plane := s.h * s.w
		from := image*s.cin*plane + y*s.w
		if s.cin == 3 {
			interleave3(dst, floats(x, from, s.w), floats(x, from+plane, s.w), floats(x, from+2*plane, s.w))
			return
		}
		for c := range s.cin {
			src := floats(x, from+c*plane, s.w)
			for i, v := range src {
				dst[i*s.cin+c] = v
			}
		}
	case s.inPitch == s.cin:
		copy(dst, floats(x, (image*s.h+y)*s.w*s.cin, s.w*s.cin))
	default:
		for i := range s.w {
			copy(dst[i*s.cin:(i+1)*s.cin], floats(x, ((image*s.h+y)*s.w+i)*s.inPitch, s.cin))
		}
	}
}

// interleave3 writes the elements of three planes one behind the other.
func interleave3[T float32 | byte](dst, a, b, c []T) {
	b, c = b[:len(a)], c[:len(a)]
	for i, v := range a {
		d := dst[i*3 : i*3+3 : i*3+3]
		d[0], d[1], d[2] = v, b[i], c[i]
	}
}
