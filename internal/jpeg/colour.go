package jpeg

import (
	"image"

	"github.com/edgecam/edgecam/kernels"
)

// ToRGB converts m to rows of packed red, green, blue that are stride bytes
// apart, with libjpeg's "fancy" upsampling (jdsample.c) and its fixed-point colour
// arithmetic (jdcolor.c), bit for bit. m starts at (0, 0).
func ToRGB(dst []byte, stride int, m *image.YCbCr) {
	if m.Rect.Empty() {
		return
	}
	var c converter
	c.start(rung(), m, false, true)
	c.upTo(dst, stride, true, 0)
}

// converter turns rows of a picture to RGB, as they become known.
type converter struct {
	set    *kernels.Set
	m      *image.YCbCr
	gray   bool
	fancy  bool // chroma is upsampled with a filter
	w, h   int
	sx, sy int // luma samples for one of chroma
	cw, ch int // chroma samples, without padding
	next   int // row of luma
	line   []byte
}

// start begins with m.
func (c *converter) start(set *kernels.Set, m *image.YCbCr, gray, fancy bool) {
	c.set, c.m, c.gray, c.fancy = set, m, gray, fancy
	c.w, c.h, c.next = m.Rect.Dx(), m.Rect.Dy(), 0
	c.sx, c.sy = 1, 1
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
	case image.YCbCrSubsampleRatio422:
		c.sx = 2
	case image.YCbCrSubsampleRatio420:
		c.sx, c.sy = 2, 2
	case image.YCbCrSubsampleRatio440:
		c.sy = 2
	case image.YCbCrSubsampleRatio411:
		c.sx = 4
	case image.YCbCrSubsampleRatio410:
		c.sx, c.sy = 4, 2
	}
	c.cw, c.ch = (c.w+c.sx-1)/c.sx, (c.h+c.sy-1)/c.sy
	if n := 2 * c.cw * c.sx; cap(c.line) < n {
		c.line = make([]byte, n)
	}
}

// upTo converts the rows before row that have all they need, or all.
func (c *converter) upTo(dst []byte, stride int, all bool, row int) {
	end := c.h
	if !all {
		// The last row of luma mixes in chroma that follows.
		end = min(end, row-1)
	}
	n := c.cw * c.sx
	cb, cr := c.line[:n], c.line[n:2*n]
	for ; c.next < end; c.next++ {
		y := c.next
		out := dst[y*stride:][:3*c.w]
		luma := c.m.Y[y*c.m.YStride:][:c.w]
		if c.gray {
			for x, v := range luma {
				p := out[3*x : 3*x+3]
				p[0], p[1], p[2] = v, v, v
			}
			continue
		}
		if c.sx == 1 && c.sy == 1 {
			at := y * c.m.CStride
			c.set.JPEGToRGB(out, luma, c.m.Cb[at:][:c.w], c.m.Cr[at:][:c.w])
			continue
		}
		c.chroma(cb, c.m.Cb, y)
		c.chroma(cr, c.m.Cr, y)
		c.set.JPEGToRGB(out, luma, cb[:c.w], cr[:c.w])
	}
}

// chroma makes the chroma samples of luma row y.
func (c *converter) chroma(dst, plane []byte, y int) {
	at := y / c.sy
	near := plane[at*c.m.CStride:][:c.cw]
	// libjpeg has no filter for 4:1:1 and 4:1:0, nor for very narrow pictures.
	fancyX := c.sx == 2 && c.cw > 2 && c.fancy
	if c.sy == 1 || c.sx == 4 || c.sx == 2 && !fancyX || !c.fancy {
		switch {
		case c.sx == 1:
			copy(dst, near)
		case fancyX:
			c.set.JPEGUpsampleH2V1(dst, near)
		default:
			for x := range dst {
				dst[x] = near[x/c.sx]
			}
		}
		return
	}
	other := at - 1
	if y%2 == 1 {
		other = at + 1
	}
	other = min(max(other, 0), c.ch-1)
	far := plane[other*c.m.CStride:][:c.cw]
	if c.sx == 2 {
		c.set.JPEGUpsampleH2V2(dst, near, far)
		return
	}
	bias := 1 + y%2
	for x, v := range near {
		dst[x] = byte((3*int(v) + int(far[x]) + bias) >> 2)
	}
}
