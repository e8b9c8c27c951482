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

// paddedImage is a copy of a convolution's input with zero columns at both
// sides, so that every row of a window is one run of memory.
type paddedImage struct {
	s       *convShape
	env     *Env
	memory  *Between
	width   int // columns
	size    int // elements of one image
	offsets []int32
}

func newPaddedImage(env *Env, s *convShape) *paddedImage {
	p := &paddedImage{s: s, env: env}
	// The last window ends where it ends, whatever padding was asked for.
	p.width = max(s.PadL+s.w, (s.OutW-1)*s.StrideW+s.KW)
	p.size = s.h * p.width * s.cin
	p.memory = env.between(s.n * p.size * 4)
	type rowsKey struct {
		offsetKey
		cin int
	}
	p.offsets = env.Shared(rowsKey{s.offsetKey(), s.cin}, func() any {
		t := make([]int32, 0, s.OutH*s.OutW*s.KH)
		for i := range s.OutH {
			for j := range s.OutW {
				for u := range s.KH {
					y := i*s.StrideH + u*s.DilH - s.PadT
					if y < 0 || y >= s.h {
						t = append(t, -1)
					} else {
						t = append(t, int32((y*p.width+j*s.StrideW)*s.cin*4))
					}
				}
			}
		}
		return t
	}).([]int32)
	return p
}

// image returns the copy of one image.
func (p *paddedImage) image(i int) []float32 {
	return bytesF32(p.memory.Buf)[i*p.size : (i+1)*p.size]
}

// step fills the copy; a tile is one row of one image.
func (p *paddedImage) step() Step {
	s := p.s
	return Step{Kernel: "pad rows", Tiles: s.n * s.h, Cost: s.n * s.h * s.w * s.cin, Run: p.row}
}

func (p *paddedImage) row(_, tile int) {
	s, x := p.s, p.env.In[0]
	image, y := tile/s.h, tile%s.h
	whole := p.image(image)[y*p.width*s.cin : (y+1)*p.width*s.cin]
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
func interleave3(dst, a, b, c []float32) {
	b, c = b[:len(a)], c[:len(a)]
	for i, v := range a {
		d := dst[i*3 : i*3+3 : i*3+3]
		d[0], d[1], d[2] = v, b[i], c[i]
	}
}
