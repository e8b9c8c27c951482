// Package camera reads frames from where pictures come from: image files,
// folders, globs, video files, V4L2 cameras, CSI cameras, and streams over HTTP
// and RTSP. [Open] tells them apart by their spelling; [Live] gives the newest
// frame of one that runs by itself, and brings it back when it is lost; [List]
// finds the cameras that are connected.
//
// Images, Motion JPEG and V4L2 are read in Go, without cgo. CSI cameras are read
// through the program rpicam-vid, RTSP and other video through ffmpeg, where
// these are installed; a build with the tag gocv reads through OpenCV instead.
// Pictures have the pixels that OpenCV's imread gives (libjpeg's chroma filter
// and colour arithmetic, EXIF orientation applied); cameras that give YUYV, NV12
// or gray give frames of that format. The package does not resize and does not
// run models. Errors and frames never show the password of a URL.
package camera

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
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
	// or no answer within Options.Timeout or frame within Options.FrameTimeout.
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

// errClosed is what Read gives after Close.
var errClosed = fmt.Errorf("camera: read of a closed source: %w", fs.ErrClosed)

// Format says how a frame's pixels lie in memory.
type Format uint8

// The pixel formats.
const (
	RGB24 Format = iota // red, green, blue; three bytes a pixel
	BGR24               // blue, green, red, as OpenCV has them; three bytes a pixel
	GRAY8               // luma of the full range, 0 black and 255 white; one byte a pixel
	// YUYV has four bytes Y0 Cb Y1 Cr for two pixels. A row of odd width ends
	// with a whole group.
	YUYV
	// NV12 has Height rows of one byte Y a pixel and then, with the same stride,
	// (Height+1)/2 rows with two bytes Cb Cr for each block of 2x2 pixels.
	NV12

	// mjpeg marks a frame that is still compressed; only sources and Live see it.
	mjpeg Format = 255
)

// String returns the name of the format as FFmpeg spells it.
func (f Format) String() string {
	switch f {
	case RGB24:
		return "rgb24"
	case BGR24:
		return "bgr24"
	case GRAY8:
		return "gray"
	case YUYV:
		return "yuyv422"
	case NV12:
		return "nv12"
	case mjpeg:
		return "mjpeg"
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// row returns the bytes of a row of w pixels (of luma, for NV12), and the rows
// of memory that h rows of pixels take.
func (f Format) row(w, h int) (bytes, rows int) {
	switch f {
	case RGB24, BGR24:
		return 3 * w, h
	case GRAY8:
		return w, h
	case YUYV:
		return (w + 1) / 2 * 4, h
	case NV12:
		return (w + 1) &^ 1, h + (h+1)/2
	}
	return 0, 0
}

// Frame is one picture. Row y starts at Pix[y*Stride]; what a row holds, Format
// tells, and what follows in it is padding.
type Frame struct {
	Pix           []byte
	Width, Height int
	Stride        int // bytes from one row to the next
	Format        Format
	Source        string // path of the image, or the source as it was opened, without passwords
	// Index is the number of the frame in a video, from 0; 0 for images. A live
	// source counts the frames that it had to leave out too.
	Index int
	// Time is when the frame was captured, as near as the source tells, with a
	// monotonic clock reading; for files, when it was read. time.Since gives the
	// frame's age.
	Time time.Time
	// Least is a wish of the reader, to be set before each Read: a picture that
	// is stored as JPEG may come at a half, a quarter or an eighth of its size, as
	// libjpeg scales it, with no side below that of Least. That takes a fraction of
	// the time. Zero asks for all pixels.
	Least image.Point
	// Full is the size that the picture has in its source, where that is not
	// Width x Height because of Least; otherwise zero. See Size.
	Full image.Point
}

// Size returns the size of the picture in its source, in whose pixels detections
// are given.
func (f *Frame) Size() image.Point {
	if f.Full != (image.Point{}) {
		return f.Full
	}
	return image.Pt(f.Width, f.Height)
}

// Check returns an error unless Pix holds Height rows of Width pixels.
func (f *Frame) Check() error {
	if f.Format > NV12 {
		return fmt.Errorf("camera: frame of %s: %w", f.Format, ErrFormat)
	}
	if f.Width >= 1 && f.Height >= 1 && f.Width <= math.MaxInt/4 && f.Height <= math.MaxInt/2 {
		row, rows := f.Format.row(f.Width, f.Height)
		if f.Stride >= row && rows-1 <= (math.MaxInt-row)/f.Stride && len(f.Pix) >= (rows-1)*f.Stride+row {
			return nil
		}
	}
	return fmt.Errorf("camera: %s frame of %dx%d with stride %d and %d bytes: %w", f.Format, f.Width, f.Height, f.Stride, len(f.Pix), ErrFormat)
}

// reset makes f a packed RGB frame of w x h pixels, reusing its memory.
func (f *Frame) reset(w, h int) { f.shape(w, h, RGB24) }

// shape makes f a packed frame of w x h pixels, reusing its memory.
func (f *Frame) shape(w, h int, format Format) {
	row, rows := format.row(w, h)
	f.Width, f.Height, f.Stride, f.Format, f.Full = w, h, row, format, image.Point{}
	f.grow(row * rows)
}

// grow makes f.Pix n bytes long, reusing its memory.
func (f *Frame) grow(n int) {
	if cap(f.Pix) < n {
		f.Pix = make([]byte, n)
	}
	f.Pix = f.Pix[:n]
}

// Source gives frames one after the other. A Source is read by one goroutine
// at a time.
type Source interface {
	// Read fills f with the next frame, in the format that the source has. It
	// reuses f.Pix where that is large enough, or exchanges it for other memory,
	// so a slice of f.Pix must not be kept over a Read; it allocates nothing that
	// f does not keep, apart from what a decoder needs.
	// At the end it returns io.EOF. After a *FrameError the next Read goes on
	// with the next frame, as it does after ctx has ended one; any other error is
	// final and is returned again.
	Read(ctx context.Context, f *Frame) error
	// Close releases the source. A Read after it fails. For a camera or a stream
	// it may be called by another goroutine while a Read is under way, which it
	// ends or waits for.
	Close() error
}

// Backend returns what src reads through: v4l2, http, ffmpeg, rpicam, test,
// image or avi; opencv/ffmpeg, opencv/v4l2 or opencv/gstreamer. It is "" for
// sources of other packages that do not say it by a method of this name.
func Backend(src Source) string {
	if s, ok := src.(interface{ Backend() string }); ok {
		return s.Backend()
	}
	return ""
}

// Sized is implemented by sources that know how many frames there are.
type Sized interface {
	// Len returns the number of frames from first to last, as far as file names
	// or headers tell, or 0 where it is not known.
	Len() int
}

// Rated is implemented by sources that know how fast their frames follow each
// other.
type Rated interface {
	// Rate returns frames a second: for a video file the average that its headers
	// tell, for a camera what its driver is set to, for test: what was asked for.
	// It is 0 where that is not known.
	Rate() float64
}

// sane returns a rate as a file or a driver gives it, or 0 where it is none.
func sane(rate float64) float64 {
	if rate >= 0.001 && rate <= 1000 {
		return rate
	}
	return 0
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

// frameError returns the *FrameError in err, nil if there is none. It allocates
// only where there is an error.
func frameError(err error) *FrameError {
	if err == nil {
		return nil
	}
	var bad *FrameError
	errors.As(err, &bad)
	return bad
}
