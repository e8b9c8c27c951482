package camera

import (
	"encoding/binary"
	"image"
	"sync"

	"github.com/edgecam/edgecam/internal/jpeg"
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

// decoders keep their memory from one picture to the next.
var decoders = sync.Pool{New: func() any { return new(jpeg.Decoder) }}

// decodeBaseline decodes the JPEG pictures that cameras send. It returns false,
// and has perhaps written to f.Pix, where the picture is of another kind, too
// large or damaged, which image/jpeg has to say.
func (f *Frame) decodeBaseline(data []byte) bool {
	d := decoders.Get().(*jpeg.Decoder)
	defer decoders.Put(d)
	h, err := d.Start(data)
	if err != nil || checkSize(h.Width, h.Height) != nil {
		return false
	}
	turn := scanJPEG(data).orientation
	if turn == 1 {
		eighths := f.eighths(h)
		f.reset(h.Size(eighths))
		if eighths < 8 {
			f.Full = image.Pt(h.Width, h.Height)
		}
		return d.RGB(f.Pix, f.Stride, eighths) == nil
	}
	var flat Frame
	flat.reset(h.Width, h.Height)
	if d.RGB(flat.Pix, flat.Stride, 8) != nil {
		return false
	}
	f.orient(&flat, turn)
	return true
}

// eighths returns the least scale that f.Least allows.
func (f *Frame) eighths(h jpeg.Header) int {
	n := 8
	for n > 1 && f.Least.X > 0 && f.Least.Y > 0 {
		w, h := h.Size(n / 2)
		if w < f.Least.X || h < f.Least.Y {
			break
		}
		n /= 2
	}
	return n
}
