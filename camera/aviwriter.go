package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"math"
)

// maxAVIBytes is the size of file that every reader of AVI 1.0 takes.
const maxAVIBytes = 1<<31 - 1

// AVIWriter writes a Motion JPEG AVI file, AVI 1.0 with an index. Until Close
// the headers say nothing of the length, and the frames written so far can be
// read all the same where the program ends before it. It is used by one
// goroutine at a time.
//
// Format: "AVI RIFF File Reference" (Microsoft).
type AVIWriter struct {
	// Quality of the frames that Write compresses, 1 to 100. NewAVIWriter sets 90;
	// it may be changed between frames.
	Quality int

	w             io.WriteSeeker
	rate          float64
	start         int64 // where the file begins in w
	width, height int
	size          int64  // bytes written
	index         []byte // of the frames, without the chunk's header
	most          int    // bytes of the largest frame
	buf           bytes.Buffer
	err           error // final
}

// Offsets of what Close fills in, and the size of the headers.
const (
	aviRIFFSize     = 4
	aviInterval     = 32
	aviFrames       = 48
	aviBuffer       = 60
	aviStreamScale  = 128
	aviStreamRate   = 132
	aviStreamLength = 140
	aviStreamBuffer = 144
	aviMoviSize     = 216
	aviHeaderBytes  = 224
)

// NewAVIWriter writes the headers of a video of width x height pixels, at most
// 65535 each, and rate frames a second to w, from its current position on. The
// rate may be a fraction; a thousandth is kept. Closing w is left to the caller.
func NewAVIWriter(w io.WriteSeeker, width, height int, rate float64) (*AVIWriter, error) {
	if width < 1 || height < 1 || width > math.MaxUint16 || height > math.MaxUint16 || int64(width)*int64(height) > MaxPixels {
		return nil, fmt.Errorf("camera: AVI file of %dx%d pixels: want 1 to 65535 a side and at most %d million", width, height, MaxPixels/1_000_000)
	}
	if sane(rate) == 0 {
		return nil, rateError(rate)
	}
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("camera: AVI file: %w", err)
	}
	a := &AVIWriter{Quality: 90, w: w, rate: rate, start: start, width: width, height: height}
	if err := a.write(a.header()); err != nil {
		return nil, err
	}
	return a, nil
}

func rateError(rate float64) error {
	return fmt.Errorf("camera: AVI file of %v frames a second: want 0.001 to 1000", rate)
}

// SetRate changes the rate that Close leaves in the headers, for what is known
// only then: how many frames of a camera came in a second. Until Close, and
// where the program ends before it, the rate is that of NewAVIWriter.
func (a *AVIWriter) SetRate(rate float64) error {
	if sane(rate) == 0 {
		return rateError(rate)
	}
	a.rate = rate
	return nil
}

// timing returns the rate as the headers have it: microseconds a frame, and
// ticks a second in units of scale.
func (a *AVIWriter) timing() (interval, scale, ticks uint32) {
	interval, scale, ticks = uint32(math.Round(1e6/a.rate)), 1000, uint32(math.Round(a.rate*1000))
	if ticks%1000 == 0 {
		return interval, 1, ticks / 1000
	}
	return interval, scale, ticks
}

// header returns everything before the first frame.
func (a *AVIWriter) header() []byte {
	le := binary.LittleEndian
	w, h := uint32(a.width), uint32(a.height)
	interval, scale, ticks := a.timing()
	const hasIndex = 0x10
	b := make([]byte, 0, aviHeaderBytes)
	put := func(values ...any) {
		for _, v := range values {
			switch v := v.(type) {
			case string:
				b = append(b, v...)
			case uint32:
				b = le.AppendUint32(b, v)
			case int:
				b = le.AppendUint32(b, uint32(v))
			}
		}
	}
	put("RIFF", 0, "AVI ", "LIST", 192, "hdrl")
	// Microseconds a frame, bytes a second, padding, flags, frames, first frame,
	// streams, buffer, width, height, reserved.
	put("avih", 56, interval, 0, 0, hasIndex, 0, 0, 1, 0, w, h, 0, 0, 0, 0)
	// Type, codec, flags, priority, first frame, scale, rate, start, length, buffer,
	// quality, sample size, rectangle.
	put("LIST", 116, "strl", "strh", 56, "vids", "MJPG", 0, 0, 0, scale, ticks, 0, 0, 0, uint32(math.MaxUint32), 0, 0, w|h<<16)
	// Size, width, height, planes and bits, codec, bytes, and what is not used.
	put("strf", 40, 40, w, h, 1|24<<16, "MJPG", 3*w*h, 0, 0, 0, 0)
	put("LIST", 0, "movi")
	return b
}

// Write compresses img, of the writer's size, and appends it as a frame.
func (a *AVIWriter) Write(img image.Image) error {
	if a.err != nil {
		return a.err
	}
	if b := img.Bounds(); b.Dx() != a.width || b.Dy() != a.height {
		return fmt.Errorf("camera: AVI file: frame of %dx%d pixels in a video of %dx%d: start another file", b.Dx(), b.Dy(), a.width, a.height)
	}
	a.buf.Reset()
	if err := jpeg.Encode(&a.buf, img, &jpeg.Options{Quality: a.Quality}); err != nil {
		return fmt.Errorf("camera: AVI file: %w", err)
	}
	return a.WriteJPEG(a.buf.Bytes())
}

// WriteJPEG appends a frame that is compressed already. It wraps ErrTooLarge and
// leaves the file as it is where that would exceed 2 GiB; then the file is to be
// closed and another one begun.
func (a *AVIWriter) WriteJPEG(data []byte) error {
	if a.err != nil {
		return a.err
	}
	if sniff(data) != jpegKind {
		return fmt.Errorf("camera: AVI file: frame %d: %w: not a JPEG image", len(a.index)/16, ErrFormat)
	}
	padding := len(data) & 1
	if a.size+8+int64(len(data)+padding)+8+int64(len(a.index)+16) > maxAVIBytes {
		return fmt.Errorf("camera: AVI file: frame %d: %w: more than 2 GiB; close the file and start another", len(a.index)/16, ErrTooLarge)
	}
	head := binary.LittleEndian.AppendUint32([]byte("00dc"), uint32(len(data)))
	const keyFrame = 0x10
	entry := binary.LittleEndian.AppendUint32([]byte("00dc"), keyFrame)
	entry = binary.LittleEndian.AppendUint32(entry, uint32(a.size-(aviHeaderBytes-4))) // from the word movi
	entry = binary.LittleEndian.AppendUint32(entry, uint32(len(data)))
	for _, part := range [][]byte{head, data, make([]byte, padding)} {
		if err := a.write(part); err != nil {
			return err
		}
	}
	a.index = append(a.index, entry...)
	a.most = max(a.most, len(data))
	return nil
}

// write appends to the file. A failure is final: the file ends in the middle of
// a chunk.
func (a *AVIWriter) write(b []byte) error {
	n, err := a.w.Write(b)
	a.size += int64(n)
	if err != nil {
		a.err = fmt.Errorf("camera: AVI file: %w", err)
	}
	return a.err
}

// Close writes the index and fills in the sizes. It leaves w open, positioned at
// its end. A Write after it fails.
func (a *AVIWriter) Close() error {
	if a.err != nil {
		if errors.Is(a.err, fs.ErrClosed) {
			return nil
		}
		return a.err
	}
	movi := a.size - (aviHeaderBytes - 4)
	if err := a.write(append(binary.LittleEndian.AppendUint32([]byte("idx1"), uint32(len(a.index))), a.index...)); err != nil {
		return err
	}
	frames, largest := uint32(len(a.index)/16), uint32(a.most+8)
	interval, scale, ticks := a.timing()
	for _, p := range []struct {
		at    int64
		value uint32
	}{
		{aviRIFFSize, uint32(a.size - 8)}, {aviInterval, interval}, {aviStreamScale, scale}, {aviStreamRate, ticks}, {aviFrames, frames}, {aviBuffer, largest},
		{aviStreamLength, frames}, {aviStreamBuffer, largest}, {aviMoviSize, uint32(movi)},
	} {
		if err := a.patch(p.at, p.value); err != nil {
			return err
		}
	}
	if _, err := a.w.Seek(a.start+a.size, io.SeekStart); err != nil {
		a.err = fmt.Errorf("camera: AVI file: %w", err)
		return a.err
	}
	a.err = fmt.Errorf("camera: AVI file: write after its end: %w", fs.ErrClosed)
	return nil
}

// patch overwrites a word of the headers.
func (a *AVIWriter) patch(at int64, value uint32) error {
	_, err := a.w.Seek(a.start+at, io.SeekStart)
	if err == nil {
		_, err = a.w.Write(binary.LittleEndian.AppendUint32(nil, value))
	}
	if err != nil {
		a.err = fmt.Errorf("camera: AVI file: %w", err)
	}
	return a.err
}
