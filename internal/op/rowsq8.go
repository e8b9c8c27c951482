package op

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// rowsQ8 is a copy of the rows of an 8-bit convolution's input that a tile of
// some output rows reads, with columns of the zero point at both sides, as uint8
// or int16, as the kernels read it.
type rowsQ8 struct {
	s       *convShape
	env     *Env
	scratch *Scratch
	zero    int32
	cin     int // of one group
	tiles   int // of the output rows
	width   int // columns
	left    int // columns in front of the image
	size    int // bytes of an element
	offsets []int32
	pixels  int // where the scratch has room for one row of an image that lies in planes
}

// newRowsQ8 plans the copy. With joined taps a row of the kernel is one tap.
func newRowsQ8(env *Env, s *convShape, joined bool, zero int32) *rowsQ8 {
	p := &rowsQ8{s: s, env: env, zero: zero, cin: s.cin / s.Group, size: 1, left: max(s.PadL, 0)}
	if env.Kernels.Q8.Wide {
		p.size = 2
	}
	p.tiles = min(env.tiles(s.OutH*s.OutW*s.cout*p.cin*s.KH*s.KW/rowsTile), s.OutH)
	p.width = max(p.left+s.w, p.left-s.PadL+(s.OutW-1)*s.StrideW+(s.KW-1)*s.DilW+1)
	most := 0
	for t := range p.tiles {
		from, to := s.inputRows(t, p.tiles)
		most = max(most, to-from)
	}
	p.pixels = (most*p.width*p.cin + ref.Q8Slack) * p.size
	p.scratch = env.Scratch(p.pixels + s.w*p.cin)
	type rowsKey struct {
		offsetKey
		cin, tiles, size int
		joined           bool
	}
	p.offsets = env.Shared(rowsKey{s.offsetKey(), p.cin, p.tiles, p.size, joined}, func() any { return p.table(joined) }).([]int32)
	return p
}

// table returns the offset of every tap of every output pixel in its tile's copy.
func (p *rowsQ8) table(joined bool) []int32 {
	s, cols := p.s, p.s.KW
	if joined {
		cols = 1
	}
	offsets := make([]int32, 0, s.OutH*s.OutW*s.KH*cols)
	for t := range p.tiles {
		first, _ := s.inputRows(t, p.tiles)
		from, to := part(t, p.tiles, s.OutH, 1)
		for i := from; i < to; i++ {
			for j := range s.OutW {
				for u := range s.KH {
					y := i*s.StrideH + u*s.DilH - s.PadT
					for v := range cols {
						x := p.left - s.PadL + j*s.StrideW + v*s.DilW
						if y < 0 || y >= s.h {
							offsets = append(offsets, -1)
						} else {
							offsets = append(offsets, int32(((y-first)*p.width+x)*p.cin*p.size))
						}
					}
				}
			}
		}
	}
	return offsets
}

// fill copies the rows of one image, channels from channel on, that a tile reads.
func (p *rowsQ8) fill(worker, image, tile, channel int) unsafe.Pointer {
	s, x := p.s, p.env.In[0]
	buf := p.scratch.For(worker)
	from, to := s.inputRows(tile, p.tiles)
	n := p.width * p.cin
	for y := from; y < to; y++ {
		var src []byte
		if s.Planar {
			src = p.interleaved(worker, image, y)
		} else {
			src = x.Data[(image*s.h+y)*s.w*s.inPitch+channel:]
		}
		if p.size == 1 {
			fillRow(buf[(y-from)*n:][:n], src, p, byte(p.zero), func(dst, src []byte) { copy(dst, src) })
			continue
		}
		row := unsafe.Slice((*int16)(unsafe.Pointer(&buf[(y-from)*n*2])), n)
		fillRow(row, src, p, int16(p.zero), p.env.Kernels.U8ToI16)
	}
	return unsafe.Pointer(unsafe.SliceData(buf))
}

// interleaved returns row y of an image that lies in planes, with channels last.
func (p *rowsQ8) interleaved(worker, image, y int) []byte {
	s, x := p.s, p.env.In[0].Data
	dst, plane := p.scratch.For(worker)[p.pixels:][:s.w*p.cin], s.h*s.w
	from := image*p.cin*plane + y*s.w
	if p.cin == 3 {
		interleave3(dst, x[from:from+s.w], x[from+plane:][:s.w], x[from+2*plane:][:s.w])
		return dst
	}
	for c := range p.cin {
		for i, v := range x[from+c*plane:][:s.w] {
			dst[i*p.cin+c] = v
		}
	}
	return dst
}

// fillRow copies one row with zero points around it.
func fillRow[T byte | int16](row []T, src []byte, p *rowsQ8, zero T, move func(dst []T, src []byte)) {
	s := p.s
	from, to := p.left*p.cin, (p.left+s.w)*p.cin
	for i := range row[:from] {
		row[i] = zero
	}
	for i := to; i < len(row); i++ {
		row[i] = zero
	}
	if s.inPitch == p.cin || s.Planar {
		move(row[from:to], src[:s.w*p.cin])
		return
	}
	for i := range s.w {
		move(row[from+i*p.cin:from+(i+1)*p.cin], src[i*s.inPitch:][:p.cin])
	}
}
