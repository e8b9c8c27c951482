package vision

import (
	"image"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/kernels"
)

// kind says how the pixels of a view lie in memory.
type kind uint8

const (
	rgbKind  kind = iota
	bgrKind       // three bytes
	grayKind      // one byte
	rgbaKind      // four bytes, the last of which is left out
	yuyvKind
	nv12Kind
	ycbcrKind // planes, in JPEG's colours
)

// view is the picture of a frame or an image, where it lies.
type view struct {
	kind          kind
	width, height int
	full          image.Point // size of the picture in its source
	pix           []byte      // of YCbCr, luma
	stride        int
	cb, cr        []byte
	chromaStride  int
	halfX, halfY  bool // chroma has half the columns, half the rows
}

// viewFrame returns the view of a frame that passes its Check.
func viewFrame(f *camera.Frame) view {
	v := view{width: f.Width, height: f.Height, full: f.Size(), pix: f.Pix, stride: f.Stride}
	switch f.Format {
	case camera.BGR24:
		v.kind = bgrKind
	case camera.GRAY8:
		v.kind = grayKind
	case camera.YUYV:
		v.kind = yuyvKind
	case camera.NV12:
		v.kind = nv12Kind
	}
	return v
}

// viewImage returns the view of an image, with the colours of
// camera.Frame.SetImage, or false where it cannot be read as it lies.
func viewImage(img image.Image) (view, bool) {
	b := img.Bounds()
	v := view{width: b.Dx(), height: b.Dy(), full: b.Size()}
	if b.Empty() {
		return v, false
	}
	switch m := img.(type) {
	case *image.RGBA:
		v.kind, v.pix, v.stride = rgbaKind, m.Pix, m.Stride
	case *image.NRGBA:
		v.kind, v.pix, v.stride = rgbaKind, m.Pix, m.Stride
	case *image.Gray:
		v.kind, v.pix, v.stride = grayKind, m.Pix, m.Stride
	case *image.YCbCr:
		v.kind, v.pix, v.stride = ycbcrKind, m.Y, m.YStride
		v.cb, v.cr, v.chromaStride = m.Cb, m.Cr, m.CStride
		switch m.SubsampleRatio {
		case image.YCbCrSubsampleRatio444:
		case image.YCbCrSubsampleRatio422:
			v.halfX = true
		case image.YCbCrSubsampleRatio420:
			v.halfX, v.halfY = true, true
		default:
			return v, false
		}
		// libjpeg has no filter for very narrow pictures.
		if b.Min != (image.Point{}) || v.halfX && v.width <= 4 {
			return v, false
		}
		w, h := v.chromaSize()
		if end := (h-1)*v.chromaStride + w; v.chromaStride < w || len(v.cb) < end || len(v.cr) < end {
			return v, false
		}
	default:
		return v, false
	}
	row := v.width * v.step()
	if v.kind == ycbcrKind {
		row = v.width
	}
	return v, v.stride >= row && len(v.pix) >= (v.height-1)*v.stride+row
}

// chromaSize returns the size of the chroma planes.
func (v *view) chromaSize() (w, h int) {
	w, h = v.width, v.height
	if v.halfX {
		w = (w + 1) / 2
	}
	if v.halfY {
		h = (h + 1) / 2
	}
	return w, h
}

// step returns the bytes from one pixel of a row of lines to the next.
func (v *view) step() int {
	switch v.kind {
	case grayKind:
		return 1
	case rgbaKind, yuyvKind, nv12Kind:
		return 4
	}
	return 3
}

// channels returns the places of red, green and blue in a pixel of lines, or with
// bgr of blue, green and red.
func (v *view) channels(bgr bool) [3]int {
	if v.kind == grayKind {
		return [3]int{}
	}
	if bgr != (v.kind == bgrKind) {
		return [3]int{2, 1, 0}
	}
	return [3]int{0, 1, 2}
}

// spare is the bytes that may be read behind a row.
const spare = 8

// lines gives the rows of a view as pixels of whole bytes, one after the other.
type lines struct {
	kernels *kernels.Set
	view    view
	line    []byte // a row that was converted, or the last one
	cb, cr  []byte // chroma of a row, in the size of luma
}

// start begins a view. It allocates nothing where none before was narrower.
func (l *lines) start(v view) {
	l.view = v
	l.line = fit(l.line, (v.width+1)*v.step()+spare)
	if w, _ := v.chromaSize(); v.halfX {
		l.cb, l.cr = fit(l.cb, 2*w), fit(l.cr, 2*w)
	}
}

// fit returns b, or new memory, with n elements.
func fit[T any](b []T, n int) []T {
	if cap(b) < n {
		b = make([]T, n)
	}
	return b[:n]
}

// row returns row y and spare bytes, which stand until the next call. Its colours
// are those of camera.Frame.ToRGBA and camera.Frame.SetImage.
func (l *lines) row(y int) []byte {
	v := &l.view
	src := v.pix[y*v.stride:]
	pairs, n := (v.width+1)/2, v.width*v.step()
	switch v.kind {
	case yuyvKind:
		l.kernels.U8YUYV(l.line, src[:4*pairs])
	case nv12Kind:
		l.kernels.U8NV12(l.line, src[:2*pairs], v.pix[(v.height+y/2)*v.stride:][:2*pairs])
	case ycbcrKind:
		cb, cr := l.chroma(l.cb, v.cb, y), l.chroma(l.cr, v.cr, y)
		l.kernels.JPEGToRGB(l.line[:3*v.width], src[:v.width], cb[:v.width], cr[:v.width])
	default:
		if len(src) >= n+spare {
			return src[:n+spare]
		}
		copy(l.line, src[:n])
	}
	return l.line[:n+spare]
}

// chroma returns the samples of a plane for row y, in dst where they have to be
// made, with libjpeg's triangle filter.
func (l *lines) chroma(dst, plane []byte, y int) []byte {
	v := &l.view
	w, h := v.chromaSize()
	switch {
	case !v.halfX:
		return plane[y*v.chromaStride:][:w]
	case !v.halfY:
		l.kernels.JPEGUpsampleH2V1(dst, plane[y*v.chromaStride:][:w])
	default:
		near := y / 2
		far := min(max(near-1+2*(y%2), 0), h-1)
		l.kernels.JPEGUpsampleH2V2(dst, plane[near*v.chromaStride:][:w], plane[far*v.chromaStride:][:w])
	}
	return dst
}
