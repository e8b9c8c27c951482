// Package camera reads frames from where pictures come from: image files,
// folders, globs and Motion JPEG AVI files.
//
// Every source is pure Go and fills packed RGB frames with the pixels that
// OpenCV's imread gives (libjpeg's chroma filter and colour arithmetic, EXIF
// orientation applied). The package does not resize, does not run models, does
// not drop or buffer frames, and starts no goroutine.
package camera

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"time"
)

// MaxPixels is the largest width times height that is decoded. A larger picture
// is refused with [ErrTooLarge] before memory for its pixels is allocated.
const MaxPixels = 100_000_000

var (
	// ErrNotFound is returned when the source does not exist: no such file, an
	// empty folder, a glob without matches.
	ErrNotFound = errors.New("source not found")
	// ErrNotPermitted is returned when the operating system refuses access.
	ErrNotPermitted = errors.New("source not permitted")
	// ErrBusy is returned when another program uses the camera.
	ErrBusy = errors.New("source busy")
	// ErrLost is returned when a live source stops: unplugged, connection closed,
	// or no answer or frame within Options.Timeout.
	ErrLost = errors.New("source lost")
	// ErrSyntax is returned when a source is spelled wrongly: an option that does
	// not exist, a size that is none.
	ErrSyntax = errors.New("source spelled wrongly")
	// ErrUnsupported is returned when the source is of a kind that this build or
	// this system cannot open.
	ErrUnsupported = errors.New("source not supported")
	// ErrFormat is returned when data is not an image or video that can be
	// decoded, or is damaged.
	ErrFormat = errors.New("format not recognised or damaged")
	// ErrTooLarge is returned when a picture has more than MaxPixels pixels or a
	// file is larger than can be read.
	ErrTooLarge = errors.New("picture too large")
)

// Format says how a frame's pixels lie in memory.
type Format uint8

// The pixel formats. Both have three bytes a pixel, without padding between
// pixels.
const (
	RGB24 Format = iota // red, green, blue
	BGR24               // blue, green, red, as OpenCV has them
)

// String returns the name of the format as FFmpeg spells it.
func (f Format) String() string {
	switch f {
	case RGB24:
		return "rgb24"
	case BGR24:
		return "bgr24"
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// Frame is one picture. Row y starts at Pix[y*Stride]; only the first 3*Width
// bytes of a row are pixels.
type Frame struct {
	Pix           []byte
	Width, Height int
	Stride        int // bytes from one row to the next
	Format        Format
	Source        string    // path of the image, or the source as it was opened for a video
	Index         int       // number of the frame in a video, from 0; 0 for images
	Time          time.Time // when the frame was captured; for files, when it was read
}

// Check returns an error unless Pix holds Height rows of Width pixels.
func (f *Frame) Check() error {
	if f.Format > BGR24 {
		return fmt.Errorf("camera: frame of %s: %w", f.Format, ErrFormat)
	}
	if f.Width < 1 || f.Height < 1 || f.Width > math.MaxInt/3 || f.Stride < 3*f.Width || f.Height-1 > (math.MaxInt-3*f.Width)/f.Stride ||
		len(f.Pix) < (f.Height-1)*f.Stride+3*f.Width {
		return fmt.Errorf("camera: frame of %dx%d with stride %d and %d bytes: %w", f.Width, f.Height, f.Stride, len(f.Pix), ErrFormat)
	}
	return nil
}

// reset makes f a packed RGB frame of w x h pixels, reusing its memory.
func (f *Frame) reset(w, h int) {
	n := 3 * w * h
	if cap(f.Pix) < n {
		f.Pix = make([]byte, n)
	}
	f.Pix, f.Width, f.Height, f.Stride, f.Format = f.Pix[:n], w, h, 3*w, RGB24
}

// ToRGBA copies the pixels into dst, which it returns. A dst of another size,
// or nil, is replaced by a new image.
func (f *Frame) ToRGBA(dst *image.RGBA) *image.RGBA {
	r := image.Rect(0, 0, f.Width, f.Height)
	if dst == nil || dst.Rect != r {
		dst = image.NewRGBA(r)
	}
	first, last := 0, 2
	if f.Format == BGR24 {
		first, last = 2, 0
	}
	for y := range f.Height {
		src := f.Pix[y*f.Stride:][:3*f.Width]
		out := dst.Pix[y*dst.Stride:][:4*f.Width]
		for len(src) >= 3 && len(out) >= 4 {
			out[0], out[1], out[2], out[3] = src[first], src[1], src[last], 0xff
			src, out = src[3:], out[4:]
		}
	}
	return dst
}

// Source gives frames one after the other. A Source is used by one goroutine
// at a time.
type Source interface {
	// Read fills f with the next frame, reusing f.Pix where it is large enough;
	// it allocates nothing that f does not keep, apart from what a decoder needs.
	// At the end it returns io.EOF. After a *FrameError the next Read goes on
	// with the next frame; any other error is final and is returned again.
	Read(ctx context.Context, f *Frame) error
	// Close releases the source. A Read after it fails.
	Close() error
}

// Sized is implemented by sources that know how many frames there are.
type Sized interface {
	// Len returns the number of frames from first to last, as far as file names
	// or headers tell, or 0 where it is not known.
	Len() int
}

// FrameError is the failure of one frame of a source that can go on with the
// next one.
type FrameError struct {
	Source string // as in Frame
	Index  int    // as in Frame
	Err    error
}

// Error names the source, the frame where it is one of a video, and the cause.
func (e *FrameError) Error() string {
	if e.Index > 0 {
		return fmt.Sprintf("camera: %s: frame %d: %v", e.Source, e.Index, e.Err)
	}
	return fmt.Sprintf("camera: %s: %v", e.Source, e.Err)
}

// Unwrap returns the cause.
func (e *FrameError) Unwrap() error { return e.Err }
