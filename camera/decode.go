package camera

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/bmp"

	baseline "github.com/edgecam/edgecam/internal/jpeg"
)

// kind is a file format of images, told by its first bytes.
type kind uint8

const (
	unknownKind kind = iota
	jpegKind
	pngKind
	webpKind
	bmpKind
	gifKind
)

func sniff(data []byte) kind {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return jpegKind
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return pngKind
	case bytes.HasPrefix(data, []byte("RIFF")) && len(data) >= 12 && string(data[8:12]) == "WEBP":
		return webpKind
	case bytes.HasPrefix(data, []byte("BM")):
		return bmpKind
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return gifKind
	}
	return unknownKind
}

// Decode decodes a JPEG, PNG, WebP or BMP file, or the first picture of a GIF
// file, into f as RGB24, upright by its EXIF orientation, reusing f.Pix. Like
// OpenCV's imread it drops alpha, makes three channels of gray, keeps the high
// byte of 16-bit samples, and fills what a GIF leaves clear with its background.
// It leaves f.Source, f.Index and f.Time alone. A picture of more than MaxPixels,
// or, WebP excepted, one whose header promises more pixels than its bytes can
// hold, is refused before memory for it is allocated. After an error f's pixels
// are undefined.
func Decode(f *Frame, data []byte) error {
	var img image.Image
	var err error
	var turn int
	switch sniff(data) {
	case jpegKind:
		if f.decodeBaseline(data) {
			return nil
		}
		img, turn, err = decodeJPEG(data)
	case pngKind:
		img, turn, err = decodePNG(data)
	case webpKind:
		img, turn, err = decodeWebP(data)
	case bmpKind:
		img, turn, err = decodeBMP(data)
	case gifKind:
		img, turn, err = decodeGIF(data)
	default:
		if len(data) == 0 {
			return fmt.Errorf("%w: empty, 0 bytes", ErrFormat)
		}
		return fmt.Errorf("%w: %s, only JPEG, PNG, WebP, BMP and GIF images are read", ErrFormat, guess(data))
	}
	if err != nil {
		return err
	}
	if img.Bounds().Empty() {
		return fmt.Errorf("%w: a picture without pixels", ErrFormat)
	}
	if turn == 1 {
		f.SetImage(img)
		return nil
	}
	var flat Frame
	flat.SetImage(img)
	f.orient(&flat, turn)
	return nil
}

// guess names what data is for an error message.
func guess(data []byte) string {
	for _, g := range []struct{ magic, name string }{
		{"RIFF", "a RIFF file"}, {"II*\x00", "a TIFF image"}, {"MM\x00*", "a TIFF image"},
		{"%PDF", "a PDF document"}, {"\x00\x00\x00", "perhaps a HEIF image or an MP4 video"}, {"<", "perhaps a text or SVG file"},
	} {
		if bytes.HasPrefix(data, []byte(g.magic)) {
			return g.name
		}
	}
	return "not an image"
}

func decodeJPEG(data []byte) (image.Image, int, error) {
	h := scanJPEG(data)
	if err := checkSize(h.width, h.height); err != nil {
		return nil, 0, err
	}
	// Each 8x8 block of luma takes a bit at least.
	if h.width*h.height/512 > len(data) {
		return nil, 0, fmt.Errorf("%w: JPEG header says %dx%d pixels, too many for %d bytes", ErrFormat, h.width, h.height, len(data))
	}
	if h.huffman < 0 && h.scan > 0 {
		whole := make([]byte, 0, len(data)+len(baseline.StandardHuffman))
		data = append(append(append(whole, data[:h.scan]...), baseline.StandardHuffman...), data[h.scan:]...)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: JPEG: %w", ErrFormat, err)
	}
	return img, h.orientation, nil
}

func decodePNG(data []byte) (image.Image, int, error) {
	if len(data) < 33 || string(data[12:16]) != "IHDR" {
		return nil, 0, fmt.Errorf("%w: PNG file of %d bytes without a header", ErrFormat, len(data))
	}
	w, h := binary.BigEndian.Uint32(data[16:]), binary.BigEndian.Uint32(data[20:])
	if w > 1<<31-1 || h > 1<<31-1 {
		return nil, 0, fmt.Errorf("%w: PNG header says %dx%d pixels", ErrFormat, w, h)
	}
	if err := checkSize(int(w), int(h)); err != nil {
		return nil, 0, err
	}
	// Deflate makes at most 1032 bytes of one, and a pixel has depth bits at least.
	if depth := int64(data[24]); int64(w)*int64(h)*depth/8/1032 > int64(len(data)) {
		return nil, 0, fmt.Errorf("%w: PNG header says %dx%d pixels, too many for %d bytes", ErrFormat, w, h, len(data))
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: PNG: %w", ErrFormat, err)
	}
	return img, pngOrientation(data), nil
}

func decodeBMP(data []byte) (image.Image, int, error) {
	c, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: BMP: %w; 1, 4, 8, 24 and 32 bits a pixel without compression are read", ErrFormat, err)
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return nil, 0, err
	}
	depth := int64(binary.LittleEndian.Uint16(data[28:])) // bits a pixel
	if row := (int64(c.Width)*depth + 31) / 32 * 4; row*int64(c.Height) > int64(len(data)) {
		return nil, 0, fmt.Errorf("%w: BMP header says %dx%d pixels, too many for %d bytes", ErrFormat, c.Width, c.Height, len(data))
	}
	img, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: BMP: %w", ErrFormat, err)
	}
	return img, 1, nil
}

// decodeGIF decodes the first picture and lays it on the background.
func decodeGIF(data []byte) (image.Image, int, error) {
	if len(data) < 13 {
		return nil, 0, fmt.Errorf("%w: GIF file of %d bytes without a header", ErrFormat, len(data))
	}
	w, h := int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
	if err := checkSize(w, h); err != nil {
		return nil, 0, err
	}
	// A code of 12 bits stands for 4096 pixels at most.
	if int64(w)*int64(h)/2731 > int64(len(data)) {
		return nil, 0, fmt.Errorf("%w: GIF header says %dx%d pixels, too many for %d bytes", ErrFormat, w, h, len(data))
	}
	img, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: GIF: %w", ErrFormat, err)
	}
	m, ok := img.(*image.Paletted)
	if !ok {
		return nil, 0, fmt.Errorf("%w: GIF: a picture without a palette", ErrFormat)
	}
	ground := color.RGBA{A: 255}
	if at := 13 + 3*int(data[11]); data[10]&0x80 != 0 && at+3 <= len(data) {
		ground = color.RGBA{data[at], data[at+1], data[at+2], 255}
	}
	canvas := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := ground
			if (image.Point{x, y}).In(m.Rect) {
				if p, ok := m.Palette[m.ColorIndexAt(x, y)].(color.RGBA); ok && p.A == 255 {
					c = p
				}
			}
			canvas.SetRGBA(x, y, c)
		}
	}
	return canvas, 1, nil
}

func checkSize(w, h int) error {
	if w > 0 && h > 0 && int64(w)*int64(h) > MaxPixels {
		return fmt.Errorf("%w: %dx%d pixels, at most %d million are decoded; scale the picture down first", ErrTooLarge, w, h, MaxPixels/1_000_000)
	}
	return nil
}

// SetImage makes f an RGB24 copy of img, reusing f.Pix. Alpha is dropped, not
// blended; chroma is upsampled as libjpeg does it. An image.YCbCr is taken for
// JPEG's colours, so lossy WebP files belong to [Decode].
func (f *Frame) SetImage(img image.Image) {
	b := img.Bounds()
	f.reset(b.Dx(), b.Dy())
	switch m := img.(type) {
	case *image.YCbCr:
		if b.Min == (image.Point{}) {
			baseline.ToRGB(f.Pix, f.Stride, m)
			return
		}
	case studio:
		f.setStudio(m.YCbCr)
		return
	case *image.Gray:
		f.setSamples(m.Pix, m.Stride, 1, 0, 0)
		return
	case *image.Gray16:
		f.setSamples(m.Pix, m.Stride, 2, 0, 0)
		return
	case *image.RGBA:
		f.setSamples(m.Pix, m.Stride, 4, 1, 2)
		return
	case *image.NRGBA:
		f.setSamples(m.Pix, m.Stride, 4, 1, 2)
		return
	case *image.RGBA64:
		f.setSamples(m.Pix, m.Stride, 8, 2, 4)
		return
	case *image.NRGBA64:
		f.setSamples(m.Pix, m.Stride, 8, 2, 4)
		return
	case *image.Paletted:
		f.setPaletted(m)
		return
	case *image.CMYK:
		f.setCMYK(m)
		return
	}
	for y := range f.Height {
		for x := range f.Width {
			c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			p := f.Pix[y*f.Stride+3*x:][:3]
			p[0], p[1], p[2] = c.R, c.G, c.B
		}
	}
}

// setSamples picks the first byte and the bytes g and b of each step bytes.
func (f *Frame) setSamples(pix []byte, stride, step, g, b int) {
	for y := range f.Height {
		src := pix[y*stride:][:step*f.Width]
		out := f.Pix[y*f.Stride:][:3*f.Width]
		for len(src) >= step && len(out) >= 3 {
			out[0], out[1], out[2] = src[0], src[g], src[b]
			src, out = src[step:], out[3:]
		}
	}
}

func (f *Frame) setPaletted(m *image.Paletted) {
	var rgb [256][3]byte
	for i, c := range m.Palette[:min(256, len(m.Palette))] {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		if v, ok := c.(color.NRGBA); ok { // colour of transparent entries kept
			n = v
		}
		rgb[i] = [3]byte{n.R, n.G, n.B}
	}
	for y := range f.Height {
		src := m.Pix[y*m.Stride:][:f.Width]
		out := f.Pix[y*f.Stride:][:3*f.Width]
		for x, v := range src {
			copy(out[3*x:3*x+3], rgb[v][:])
		}
	}
}

// setCMYK converts as OpenCV does: each ink is thinned by black.
func (f *Frame) setCMYK(m *image.CMYK) {
	for y := range f.Height {
		src := m.Pix[y*m.Stride:][:4*f.Width]
		out := f.Pix[y*f.Stride:][:3*f.Width]
		for len(src) >= 4 && len(out) >= 3 {
			k := 255 - int(src[3])
			out[0] = byte(k - int(src[0])*k>>8)
			out[1] = byte(k - int(src[1])*k>>8)
			out[2] = byte(k - int(src[2])*k>>8)
			src, out = src[4:], out[3:]
		}
	}
}
