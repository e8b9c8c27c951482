// Package jpeg decodes baseline JPEG of 8 bits, gray or YCbCr in one scan with
// 4:4:4, 4:2:2, 4:4:0 or 4:2:0 sampling, with or without restart markers and
// Huffman tables: what cameras and most files hold. Its samples and colours are
// libjpeg's, bit for bit.
//
// It decodes nothing else (progressive and arithmetic coding, 12 bits, CMYK,
// RGB, several scans), and nothing damaged: those are image/jpeg's. It does not
// encode, and does not look at EXIF.
package jpeg

import (
	"errors"
	"image"
	"sync"

	"github.com/edgecam/edgecam/kernels"
)

// ErrUnsupported is returned for data that only image/jpeg may decode, or report
// as damaged.
var ErrUnsupported = errors.New("jpeg: not an undamaged baseline picture in one scan")

// Decoder decodes one picture after the other and keeps its memory. The zero
// value is ready; it is used by one goroutine at a time.
type Decoder struct {
	set      *kernels.Set
	head     Header
	parts    []component // of comps
	comps    [3]component
	quants   [4][128]int32
	huff     [8]table // four for DC, four for AC
	given    [8]bool
	interval int // MCUs between restart markers, 0 without

	data   []byte // the coded bytes, without stuffing and markers
	parted []part // of data
	in     reader
	plan   [6]block
	order  int // blocks of an MCU, in plan
	coefs  []int16
	own    image.YCbCr
	colour converter
}

// part is what lies between two restart markers.
type part struct{ start, end int }

// rung returns the kernels, the best ones where EDGECAM_KERNELS names none that
// there are: whoever runs a model reports that.
var rung = sync.OnceValue(func() *kernels.Set {
	s, err := kernels.Select()
	if err != nil {
		return kernels.Best()
	}
	return s
})

// Start reads the headers of a file. data must stay as it is until the picture
// has been decoded.
func (d *Decoder) Start(data []byte) (Header, error) {
	if d.set == nil {
		d.set = rung()
	}
	if err := d.headers(data); err != nil {
		return Header{}, err
	}
	return d.head, nil
}

// Size returns the size of the picture decoded at scale eighths, 8, 4, 2 or 1,
// rounded up as libjpeg does.
func (h Header) Size(scale int) (width, height int) {
	return (h.Width*scale + 7) / 8, (h.Height*scale + 7) / 8
}

// YCbCr decodes the picture that Start began, at scale eighths, into the memory
// of m, which grows where it is too small. Planes of m are as JPEG has them, of
// full range, with as much chroma as libjpeg keeps at that scale; strides are a
// multiple of 8. A gray picture has chroma planes of length 0.
func (d *Decoder) YCbCr(m *image.YCbCr, scale int) error {
	return d.decode(m, scale, nil, 0)
}

// RGB decodes the picture that Start began, at scale eighths, into rows of packed
// red, green, blue that are stride bytes apart.
func (d *Decoder) RGB(dst []byte, stride, scale int) error {
	return d.decode(&d.own, scale, dst, stride)
}
