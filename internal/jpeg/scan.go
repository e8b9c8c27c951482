package jpeg

import (
	"bytes"
	"encoding/binary"
	"image"
)

// batch is the most MCUs whose coefficients wait for the inverse DCT: with 4:2:0
// they take 6 kB.
const batch = 8

// block is a block of an MCU.
type block struct {
	dc, ac *table
	quant  *[128]int32
	pred   *int32
	first  int // place in coefs, in blocks, of an MCU's and
	step   int // of the next MCU's
}

// mcus returns how many MCUs there are along both sides.
func (d *Decoder) mcus() (x, y int) {
	w, h := 8*d.head.H, 8*d.head.V
	return (d.head.Width + w - 1) / w, (d.head.Height + h - 1) / h
}

// split takes stuffed bytes and restart markers out of the coded data.
func (d *Decoder) split(src []byte) error {
	across, down := d.mcus()
	want := 1
	if d.interval > 0 {
		want = (across*down + d.interval - 1) / d.interval
	}
	// Each block takes two bits at least.
	if across*down*d.head.H*d.head.V/4 > len(src) {
		return ErrUnsupported
	}
	d.data, d.parted = d.data[:0], d.parted[:0]
	start := 0
	for {
		i := bytes.IndexByte(src, 0xff)
		if i < 0 || i+1 == len(src) {
			return ErrUnsupported // cut off
		}
		d.data = append(d.data, src[:i]...)
		marker := src[i+1]
		src = src[i+2:]
		if marker == 0 {
			d.data = append(d.data, 0xff)
			continue
		}
		d.parted = append(d.parted, part{start, len(d.data)})
		// The reader looks ahead.
		d.data = append(d.data, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		start = len(d.data)
		switch n := len(d.parted); {
		case marker == 0xd9 && n == want:
			return nil
		case n >= want || marker != 0xd0+byte(n-1)&7:
			return ErrUnsupported
		}
	}
}

// reader gives the bits of data: of acc, from the highest one on, count are
// valid, and those behind them are as they will be or 0.
type reader struct {
	data  []byte
	pos   int
	acc   uint64
	count uint
}

// coefficients decodes those of n MCUs. It fails where they are not those of
// an 8-bit picture.
func (d *Decoder) coefficients(n int) bool {
	const most = 2048 // no coefficient of an 8-bit picture reaches it
	data, pos, acc, count := d.in.data, d.in.pos, d.in.acc, d.in.count
	wild := uint32(0)
	for m := range n {
		for i := range d.plan[:d.order] {
			p := &d.plan[i]
			dst := (*[64]int16)(d.coefs[64*(p.first+m*p.step):])
			quant := p.quant
			for k, t := 0, p.dc; k < 64; t = p.ac {
				if count < 32 {
					if pos+8 > len(data) {
						return false
					}
					acc |= binary.BigEndian.Uint64(data[pos:]) >> (count & 63)
					pos += int((63 - count) >> 3)
					count |= 56
				}
				e := t.look[acc>>(64-lookBits)]
				v := int32(e) >> 16
				if v == 0 {
					size := uint(e >> 12 & 15)
					run := int(e >> 8 & 15)
					bits := uint(e & 63)
					if e == 0 {
						var symbol byte
						if symbol, bits = t.long(uint32(acc >> 48)); bits == 0 {
							return false
						}
						size, run = uint(symbol&15), int(symbol>>4)
					}
					acc <<= bits & 63
					count -= bits
					if size == 0 && k > 0 {
						if run != 15 {
							break
						}
						k += 16
						if k > 64 {
							return false
						}
						continue
					}
					if size > 0 {
						v = extend(uint32(acc>>1>>(63-size)), size)
						acc <<= size & 63
						count -= size
					}
					k += run
				} else {
					k += int(e >> 8 & 15)
					acc <<= e & 63
					count -= uint(e & 63)
				}
				if k == 0 {
					v += *p.pred
					*p.pred = v
				}
				if k > 63 {
					return false
				}
				v *= quant[k&127]
				wild |= uint32(v + most)
				dst[zigzag[k&127]&63] = int16(v)
				k++
			}
		}
	}
	d.in.pos, d.in.acc, d.in.count = pos, acc, count
	return wild < 2*most
}

// ended says whether the reader has come to the end of a part and not beyond.
func (r *reader) ended(p part) bool {
	left := 8*p.end - (8*r.pos - int(r.count))
	return left >= 0 && left < 8
}

// decode fills the planes of m, and rgb where it is not nil.
func (d *Decoder) decode(m *image.YCbCr, scale int, rgb []byte, stride int) error {
	across, down := d.mcus()
	d.layout(m, scale, across, down)
	if rgb != nil {
		d.colour.start(d.set, m, d.head.Gray, scale > 1)
	}
	left, next := 0, 0
	for y := range down {
		for x := 0; x < across; {
			if left == 0 {
				if next > 0 && !d.in.ended(d.parted[next-1]) {
					return d.damaged()
				}
				d.in = reader{data: d.data, pos: d.parted[next].start}
				next++
				for i := range d.parts {
					d.parts[i].pred = 0
				}
				left = d.interval
				if left == 0 {
					left = across * down
				}
			}
			n := min(batch, across-x, left)
			if !d.coefficients(n) {
				return d.damaged()
			}
			d.transform(x, y, n)
			x += n
			left -= n
		}
		if rgb != nil {
			d.colour.upTo(rgb, stride, y+1 == down, (y+1)*scale*d.head.V)
		}
	}
	if !d.in.ended(d.parted[next-1]) {
		return d.damaged()
	}
	return nil
}

// damaged leaves the coefficients as the next picture needs them.
func (d *Decoder) damaged() error {
	clear(d.coefs)
	return ErrUnsupported
}

// transform makes samples of the coefficients of n MCUs from (x, y) on.
func (d *Decoder) transform(x, y, n int) {
	for i := range d.parts {
		c := &d.parts[i]
		h, v := int(c.h), int(c.v)
		for row := range v {
			from := 64 * c.coef[row]
			c.inverse(c.pix[c.size*((y*v+row)*c.stride+x*h):], c.stride, d.coefs[from:from+64*n*h])
		}
	}
}

// layout gives the planes their memory and the blocks their places.
func (d *Decoder) layout(m *image.YCbCr, scale, across, down int) {
	blocks := 0
	d.order = 0
	for i := range d.parts {
		c := &d.parts[i]
		h, v := int(c.h), int(c.v)
		// Rather than to upsample chroma, libjpeg (jdmaster.c) scales it less.
		c.size = scale
		for c.size < 8 && d.head.H*scale%(2*h*c.size) == 0 && d.head.V*scale%(2*v*c.size) == 0 {
			c.size *= 2
		}
		switch c.size {
		case 1:
			c.inverse = d.set.JPEGIDCT1
		case 2:
			c.inverse = d.set.JPEGIDCT2
		case 4:
			c.inverse = d.set.JPEGIDCT4
		default:
			c.inverse = d.set.JPEGIDCT
		}
		c.stride = c.size * h * across
		for row := range v {
			c.coef[row] = blocks
			for x := range h {
				d.plan[d.order] = block{&d.huff[c.dc], &d.huff[4+c.ac], &d.quants[c.quant], &c.pred, blocks + x, h}
				d.order++
			}
			blocks += batch * h
		}
		size := c.stride * c.size * v * down
		plane := [3]*[]byte{&m.Y, &m.Cb, &m.Cr}[i]
		if cap(*plane) < size {
			*plane = make([]byte, size)
		}
		*plane = (*plane)[:size]
		c.pix = *plane
	}
	if len(d.coefs) < 64*blocks {
		d.coefs = make([]int16, 64*blocks)
	}
	w, h := d.head.Size(scale)
	m.Rect = image.Rect(0, 0, w, h)
	m.YStride, m.CStride = d.parts[0].stride, 0
	if d.head.Gray {
		m.Cb, m.Cr = m.Cb[:0], m.Cr[:0]
		m.SubsampleRatio = image.YCbCrSubsampleRatio444
		return
	}
	m.CStride = d.parts[1].stride
	chroma := d.parts[1].size
	switch [2]int{d.head.H * scale / chroma, d.head.V * scale / chroma} {
	case [2]int{1, 1}:
		m.SubsampleRatio = image.YCbCrSubsampleRatio444
	case [2]int{2, 1}:
		m.SubsampleRatio = image.YCbCrSubsampleRatio422
	case [2]int{1, 2}:
		m.SubsampleRatio = image.YCbCrSubsampleRatio440
	default:
		m.SubsampleRatio = image.YCbCrSubsampleRatio420
	}
}
