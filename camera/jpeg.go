package camera

import (
	"encoding/binary"
	"image"
)

// jpegHeader is what is read of a JPEG file before it is decoded. Offsets are
// -1 where there is no such segment.
type jpegHeader struct {
	width, height int // 0 where there is no frame header
	orientation   int // EXIF, 1 to 8; 1 where there is none
	huffman       int // offset of the first Huffman table before the first scan
	scan          int // offset of the first scan's marker
}

// scanJPEG walks the segments up to the first scan.
func scanJPEG(data []byte) jpegHeader {
	h := jpegHeader{orientation: 1, huffman: -1, scan: -1}
	exif := false
	for i := 2; i+4 <= len(data); {
		if data[i] != 0xff {
			i++
			continue
		}
		marker := data[i+1]
		if marker == 0xff { // fill byte
			i++
			continue
		}
		if marker <= 0x01 || marker >= 0xd0 && marker <= 0xd8 { // no length follows
			i += 2
			continue
		}
		n := int(binary.BigEndian.Uint16(data[i+2:]))
		end := i + 2 + n
		if n < 2 || end > len(data) {
			return h
		}
		body := data[i+4 : end]
		switch {
		case marker == 0xda:
			h.scan = i
			return h
		case marker == 0xd9:
			return h
		case marker == 0xc4:
			h.huffman = i
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc && len(body) >= 5:
			h.height, h.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
		case marker == 0xe1 && !exif && len(body) > 6 && string(body[:6]) == "Exif\x00\x00":
			h.orientation, exif = exifOrientation(body[6:]), true
		}
		i = end
	}
	return h
}

// exifOrientation reads the orientation, 1 to 8, of a TIFF header as EXIF
// carries it. It is 1 where there is none.
func exifOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(tiff[:2]) {
	case "II":
	case "MM":
		order = binary.BigEndian
	default:
		return 1
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 1
	}
	dir := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(dir) < 12 {
			break
		}
		const orientationTag = 0x0112
		if order.Uint16(dir) == orientationTag {
			if v := int(order.Uint16(dir[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
		dir = dir[12:]
	}
	return 1
}

// pngOrientation reads the orientation of a PNG file's eXIf chunk.
func pngOrientation(data []byte) int {
	for i := 8; i+12 <= len(data); {
		n := int64(binary.BigEndian.Uint32(data[i:]))
		if n > int64(len(data)-i-12) {
			break
		}
		if string(data[i+4:i+8]) == "eXIf" {
			return exifOrientation(data[i+8 : i+8+int(n)])
		}
		i += 12 + int(n)
	}
	return 1
}

// orient copies src, turned upright from EXIF orientation turn (2 to 8), to f.
func (f *Frame) orient(src *Frame, turn int) {
	w, h := src.Width, src.Height
	if turn >= 5 {
		w, h = h, w
	}
	f.reset(w, h)
	// Steps in src for one step right and one step down in f.
	right, down, from := 3, src.Stride, 0
	if turn >= 5 {
		right, down = down, right
	}
	if turn == 2 || turn == 3 || turn == 6 || turn == 7 {
		from += right * (w - 1)
		right = -right
	}
	if turn == 3 || turn == 4 || turn == 7 || turn == 8 {
		from += down * (h - 1)
		down = -down
	}
	for y := range h {
		at := from + y*down
		out := f.Pix[y*f.Stride:][:3*w]
		for ; len(out) >= 3; out = out[3:] {
			copy(out[:3], src.Pix[at:at+3])
			at += right
		}
	}
}

// setYCbCr converts with libjpeg's "fancy" upsampling (jdsample.c) and its
// fixed-point colour arithmetic (jdcolor.c), bit for bit.
func (f *Frame) setYCbCr(m *image.YCbCr) {
	w, h := f.Width, f.Height
	if w == 0 || h == 0 {
		return
	}
	sx, sy := 1, 1
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
	case image.YCbCrSubsampleRatio422:
		sx = 2
	case image.YCbCrSubsampleRatio420:
		sx, sy = 2, 2
	case image.YCbCrSubsampleRatio440:
		sy = 2
	case image.YCbCrSubsampleRatio411:
		sx = 4
	case image.YCbCrSubsampleRatio410:
		sx, sy = 4, 2
	}
	up := chroma{sx: sx, sy: sy, w: (w + sx - 1) / sx, h: (h + sy - 1) / sy, stride: m.CStride}
	up.sum = make([]int32, up.w)
	line := make([]byte, 2*up.w*sx)
	cb, cr := line[:up.w*sx], line[up.w*sx:]
	for y := range h {
		up.row(cb, m.Cb, y)
		up.row(cr, m.Cr, y)
		convertRow(f.Pix[y*f.Stride:][:3*w], m.Y[y*m.YStride:][:w], cb, cr)
	}
}

// chroma brings rows of one size of chroma plane to the size of luma.
type chroma struct {
	sx, sy int     // luma samples for one of chroma
	w, h   int     // of the plane, without padding
	stride int     // of the plane
	sum    []int32 // a row of it, mixed vertically
}

// row makes the chroma samples of luma row y.
func (c *chroma) row(dst, plane []byte, y int) {
	at := y / c.sy
	near := plane[at*c.stride:][:c.w]
	// libjpeg has no filter for 4:1:1 and 4:1:0, nor for very narrow pictures.
	fancyX := c.sx == 2 && c.w > 2
	if c.sy == 1 || c.sx == 4 || c.sx == 2 && !fancyX {
		switch {
		case c.sx == 1:
			copy(dst, near)
		case fancyX:
			triangle(dst, near)
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
	other = min(max(other, 0), c.h-1)
	far := plane[other*c.stride:][:c.w]
	if c.sx == 1 {
		bias := 1 + y%2
		for x, v := range near {
			dst[x] = byte((3*int(v) + int(far[x]) + bias) >> 2)
		}
		return
	}
	sum := c.sum[:len(near)]
	for x, v := range near {
		sum[x] = 3*int32(v) + int32(far[x])
	}
	last := len(sum) - 1
	dst = dst[:2*len(sum)]
	dst[0] = byte((4*sum[0] + 8) >> 4)
	dst[1] = byte((3*sum[0] + sum[1] + 7) >> 4)
	for x := 1; x < last; x++ {
		v := 3 * sum[x]
		dst[2*x] = byte((v + sum[x-1] + 8) >> 4)
		dst[2*x+1] = byte((v + sum[x+1] + 7) >> 4)
	}
	dst[2*last] = byte((3*sum[last] + sum[last-1] + 8) >> 4)
	dst[2*last+1] = byte((4*sum[last] + 7) >> 4)
}

// triangle doubles a row of three samples or more: 3/4 of the nearer and 1/4 of
// the further one.
func triangle(dst, src []byte) {
	last := len(src) - 1
	dst = dst[:2*len(src)]
	dst[0] = src[0]
	dst[1] = byte((3*int(src[0]) + int(src[1]) + 2) >> 2)
	for x := 1; x < last; x++ {
		v := 3 * int(src[x])
		dst[2*x] = byte((v + int(src[x-1]) + 1) >> 2)
		dst[2*x+1] = byte((v + int(src[x+1]) + 2) >> 2)
	}
	dst[2*last] = byte((3*int(src[last]) + int(src[last-1]) + 1) >> 2)
	dst[2*last+1] = src[last]
}

// convertRow turns YCbCr to RGB with 16 fractional bits:
// R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb.
func convertRow(dst, luma, cb, cr []byte) {
	const half = 1 << 15
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	dst = dst[:3*len(luma)]
	for x, v := range luma {
		y, b, r := int32(v), int32(cb[x])-128, int32(cr[x])-128
		red := y + (91881*r+half)>>16
		green := y + (-22554*b-46802*r+half)>>16
		blue := y + (116130*b+half)>>16
		if uint32(red|green|blue) > 255 {
			red, green, blue = min(max(red, 0), 255), min(max(green, 0), 255), min(max(blue, 0), 255)
		}
		p := dst[3*x : 3*x+3]
		p[0], p[1], p[2] = byte(red), byte(green), byte(blue)
	}
}
