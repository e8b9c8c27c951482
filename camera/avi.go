package camera

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// avi reads the Motion JPEG stream of an AVI file, AVI 1.0 or OpenDML, by
// walking its chunks in order. The index is not used, so a recording that was
// cut off gives every frame that is complete.
//
// Format: "AVI RIFF File Reference" (Microsoft) and "OpenDML AVI File Format
// Extensions" 1.02.
type avi struct {
	r      io.ReaderAt
	closer io.Closer
	name   string
	size   int64 // bytes of the file
	pos    int64 // of the next chunk
	riff   int64 // end of the RIFF list being read, 0 where its header does not tell
	stream string
	frames int // that the header promises, 0 if unknown
	rate   float64
	index  int // of the next frame
	buf    []byte
	err    error // final
}

// errCodec is the cause where only the codec stands in the way.
var errCodec = errors.New("the AVI file holds video of the codec")

// Backend says avi.
func (a *avi) Backend() string { return "avi" }

// newAVI reads the headers up to the first frame.
func newAVI(r io.ReaderAt, size int64, name string) (*avi, error) {
	a := &avi{r: r, name: name, size: size}
	streams, codec := 0, ""
	var rows []byte
	var length uint32
	every := 0.0 // microseconds a frame, of the main header
	for a.stream == "" || codec == "" {
		id, n, err := a.chunk()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("camera: %s: %w: AVI file without a video stream", name, ErrFormat)
		}
		if err != nil {
			return nil, err
		}
		switch id {
		case "movi":
			return nil, fmt.Errorf("camera: %s: %w: AVI file without a video stream", name, ErrFormat)
		case "avih":
			if rows, err = a.header(n, 4); err != nil {
				return nil, err
			}
			every = float64(binary.LittleEndian.Uint32(rows))
		case "strh":
			if rows, err = a.header(n, 56); err != nil {
				return nil, err
			}
			if string(rows[:4]) == "vids" && a.stream == "" {
				a.stream = fmt.Sprintf("%02d", streams)
				length = binary.LittleEndian.Uint32(rows[32:])
				a.rate = sane(float64(binary.LittleEndian.Uint32(rows[24:])) / float64(binary.LittleEndian.Uint32(rows[20:])))
			}
			streams++
		case "strf":
			if a.stream == "" { // of an audio stream
				break
			}
			if rows, err = a.header(n, 40); err != nil {
				return nil, err
			}
			codec = string(rows[16:20])
		}
		a.skip(id, n)
	}
	if c := strings.ToUpper(codec); c != "MJPG" && c != "JPEG" && c != "AVRN" {
		return nil, fmt.Errorf("camera: %s: %w: %w %q, only Motion JPEG is read; `ffmpeg -i IN -c:v mjpeg -q:v 3 -an out.avi` converts it",
			name, ErrFormat, errCodec, codec)
	}
	if a.rate == 0 {
		a.rate = sane(1e6 / every)
	}
	if int64(length) <= size/8 { // a frame takes a chunk header at least
		a.frames = int(length)
	}
	return a, nil
}

func (a *avi) Len() int { return a.frames }

// Rate is what the stream's header says, or else the file's.
func (a *avi) Rate() float64 { return a.rate }

// header reads the first n bytes of a chunk of size bytes.
func (a *avi) header(size int64, n int) ([]byte, error) {
	if size < int64(n) {
		return nil, fmt.Errorf("camera: %s: %w: AVI stream header at byte %d has %d bytes, want %d", a.name, ErrFormat, a.pos, size, n)
	}
	b := make([]byte, n)
	if _, err := a.r.ReadAt(b, a.pos+8); err != nil {
		return nil, a.cut(8+size, err)
	}
	return b, nil
}

// chunk reads the header of the chunk at pos: its id, or its list type where it
// is a list, and the bytes that follow the header. At the end it returns io.EOF.
func (a *avi) chunk() (string, int64, error) {
	if a.riff == 0 && a.pos >= a.size {
		return "", 0, io.EOF
	}
	if a.riff > 0 && a.pos >= min(a.riff, a.size) && a.riff <= a.size {
		// What follows is another RIFF list of the same recording, or not ours.
		var h [4]byte
		if n, _ := a.r.ReadAt(h[:], a.pos); n < 4 || string(h[:]) != "RIFF" {
			return "", 0, io.EOF
		}
	}
	var h [12]byte
	n, err := a.r.ReadAt(h[:], a.pos)
	if n < 8 {
		return "", 0, a.cut(8, err)
	}
	id, size := string(h[:4]), int64(binary.LittleEndian.Uint32(h[4:]))
	for _, c := range h[:4] {
		if c < ' ' || c > '~' {
			return "", 0, fmt.Errorf("camera: %s: %w: no AVI chunk at byte %d", a.name, ErrFormat, a.pos)
		}
	}
	if id == "LIST" || id == "RIFF" {
		if n < 12 {
			return "", 0, a.cut(12, err)
		}
		if id == "RIFF" {
			a.riff = a.pos + 8 + size
			if size == 0 || size == 1<<32-1 { // still being written
				a.riff = 0
			}
		}
		id = string(h[8:12])
	}
	return id, size, nil
}

// skip goes behind the chunk, or into the list, that chunk returned.
func (a *avi) skip(id string, size int64) {
	switch id {
	case "AVI ", "AVIX", "hdrl", "strl", "movi", "rec ":
		a.pos += 12
	default:
		a.pos += 8 + size + size&1
	}
}

// cut is the error of a file that ends before the n bytes at pos.
func (a *avi) cut(n int64, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("camera: %s: frame %d at byte %d: %w", a.name, a.index, a.pos, fileError(err))
	}
	return fmt.Errorf("camera: %s: frame %d at byte %d: the file ends after %d of %d bytes, the recording was cut off: %w",
		a.name, a.index, a.pos, max(0, a.size-a.pos), n, io.ErrUnexpectedEOF)
}

func (a *avi) Read(ctx context.Context, f *Frame) error {
	if a.err != nil {
		return a.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.next(); err != nil {
		a.err = err
		return err
	}
	f.Source, f.Index, f.Time = a.name, a.index, time.Now()
	a.index++
	if err := Decode(f, a.buf); err != nil {
		return &FrameError{Source: a.name, Index: a.index - 1, Err: err}
	}
	return nil
}

// next reads the data of the next frame into the buffer. Empty chunks, which
// stand for a frame that the recorder dropped, are passed over.
func (a *avi) next() error {
	for {
		id, n, err := a.chunk()
		if err != nil {
			return err
		}
		if id[:2] != a.stream || id[2:] != "dc" && id[2:] != "db" || n == 0 {
			a.skip(id, n)
			continue
		}
		if a.pos+8+n > a.size {
			return a.cut(8+n, io.EOF)
		}
		if n > maxImageBytes {
			return fmt.Errorf("camera: %s: frame %d at byte %d: %w: %d bytes, at most %d are read", a.name, a.index, a.pos, ErrTooLarge, n, maxImageBytes)
		}
		if int64(cap(a.buf)) < n {
			a.buf = make([]byte, n+n/4)
		}
		a.buf = a.buf[:n]
		if _, err := a.r.ReadAt(a.buf, a.pos+8); err != nil {
			return a.cut(8+n, err)
		}
		a.skip(id, n)
		return nil
	}
}

func (a *avi) Close() error {
	a.err = errClosed
	a.buf = nil
	if a.closer == nil {
		return nil
	}
	c := a.closer
	a.closer = nil
	return c.Close()
}
