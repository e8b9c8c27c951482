package jpeg

import "encoding/binary"

// Header is what the segments before the pixels say.
type Header struct {
	Width, Height int
	// H and V are the samples of luma for one of chroma, along a row and down a
	// column: 1 or 2. Both are 1 for gray.
	H, V int
	Gray bool
}

// component is one plane and how it is coded.
type component struct {
	id, h, v, quant byte
	dc, ac          byte // numbers of the Huffman tables
	size            int  // samples that a block becomes, along both sides
	inverse         func(dst []byte, stride int, coef []int16)
	stride          int // samples from one row to the next
	pix             []byte
	coef            [4]int // where, in blocks, the batch's rows of blocks start
	pred            int32
}

// headers reads the segments up to the pixels.
func (d *Decoder) headers(data []byte) error {
	if len(data) < 4 || data[0] != 0xff || data[1] != 0xd8 {
		return ErrUnsupported
	}
	d.parts, d.interval, d.given = d.parts[:0], 0, [8]bool{}
	framed, coded := false, false
	var quants [4]bool
	for i := 2; i+4 <= len(data); {
		marker, n := data[i+1], int(binary.BigEndian.Uint16(data[i+2:]))
		if data[i] != 0xff || n < 2 || i+2+n > len(data) {
			return ErrUnsupported
		}
		body := data[i+4 : i+2+n]
		i += 2 + n
		ok := true
		switch {
		case marker == 0xc0 || marker == 0xc1: // baseline, or sequential with up to four tables
			ok = !framed && d.frame(body)
			framed = true
		case marker == 0xc4:
			ok = d.tables(body)
			coded = true
		case marker == 0xdb:
			ok = d.quantizers(body, &quants)
		case marker == 0xdd:
			ok = len(body) == 2
			if ok {
				d.interval = int(binary.BigEndian.Uint16(body))
			}
		case marker == 0xda:
			if !framed || !d.scanHeader(body, coded, &quants) {
				return ErrUnsupported
			}
			return d.split(data[i:])
		case marker == 0xee: // Adobe's colours other than YCbCr
			ok = len(body) < 12 || string(body[:5]) != "Adobe" || body[11] == 1
		case marker >= 0xe0 && marker <= 0xef || marker == 0xfe:
		default:
			ok = false
		}
		if !ok {
			return ErrUnsupported
		}
	}
	return ErrUnsupported
}

// frame reads a start of frame.
func (d *Decoder) frame(b []byte) bool {
	if len(b) < 6 || b[0] != 8 || len(b) != 6+3*int(b[5]) || b[5] != 1 && b[5] != 3 {
		return false
	}
	h := Header{Height: int(binary.BigEndian.Uint16(b[1:])), Width: int(binary.BigEndian.Uint16(b[3:])), H: 1, V: 1, Gray: b[5] == 1}
	d.parts = d.comps[:b[5]]
	for i := range d.parts {
		c, s := &d.parts[i], b[6+3*i:]
		c.id, c.h, c.v, c.quant = s[0], s[1]>>4, s[1]&15, s[2]
		if c.quant > 3 {
			return false
		}
	}
	if h.Width == 0 || h.Height == 0 {
		return false
	}
	first := &d.parts[0]
	if h.Gray {
		if first.h < 1 || first.h > 4 || first.v < 1 || first.v > 4 {
			return false
		}
		first.h, first.v = 1, 1 // one component is never interleaved
		d.head = h
		return true
	}
	h.H, h.V = int(first.h), int(first.v)
	if h.H < 1 || h.H > 2 || h.V < 1 || h.V > 2 {
		return false
	}
	for i, c := range d.parts[1:] {
		if c.h != 1 || c.v != 1 || c.id == first.id || i == 1 && c.id == d.parts[1].id {
			return false
		}
	}
	if first.id == 'R' && d.parts[1].id == 'G' && d.parts[2].id == 'B' {
		return false
	}
	d.head = h
	return true
}

// zigzag is the place in a block, row by row, of each coefficient as they are
// coded. Damaged data may count up to 78.
var zigzag = [128]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// quantizers reads tables of 8 bits; longer ones do not occur in baseline JPEG.
func (d *Decoder) quantizers(b []byte, have *[4]bool) bool {
	for ; len(b) > 0; b = b[65:] {
		if b[0] > 3 || len(b) < 65 {
			return false
		}
		t := &d.quants[b[0]]
		for i, v := range b[1:65] {
			t[i] = int32(v)
		}
		have[b[0]] = true
	}
	return true
}

// scanHeader reads the start of the one scan that there may be.
func (d *Decoder) scanHeader(b []byte, coded bool, quants *[4]bool) bool {
	n := len(d.parts)
	if len(b) != 4+2*n || int(b[0]) != n || b[1+2*n] != 0 || b[2+2*n] != 63 || b[3+2*n] != 0 {
		return false
	}
	if !coded && !d.tables(StandardHuffman[4:]) {
		return false
	}
	for i := range d.parts {
		c := &d.parts[i]
		c.dc, c.ac = b[2+2*i]>>4, b[2+2*i]&15
		if b[1+2*i] != c.id || c.dc > 3 || c.ac > 3 || !d.given[c.dc] || !d.given[4+c.ac] || !quants[c.quant] {
			return false
		}
	}
	return true
}
