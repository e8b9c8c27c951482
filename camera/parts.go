package camera

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// maxPart bounds the bytes of a picture in a stream, and of what lies between
// two pictures.
const maxPart = 16 << 20

// parts reads the pictures of a multipart/x-mixed-replace stream. It takes
// every spelling of the boundary that cameras use: the one declared, with or
// without dashes, or else whatever line in dashes comes first; it believes a
// Content-Length where there is one; after damage it goes on behind the next
// boundary.
type parts struct {
	r     *bufio.Reader
	core  string // of the boundary, without dashes; "" until known
	delim []byte // the boundary line as the stream has it
	at    bool   // a boundary line has been read
}

func (p *parts) next(f *Frame) error {
	if !p.at {
		if err := p.seek(); err != nil {
			return err
		}
	}
	p.at = false
	length, err := p.header()
	if err != nil {
		return err
	}
	f.Format = mjpeg
	switch {
	case length > maxPart:
		return &FrameError{Err: fmt.Errorf("%w: a part of %d bytes, at most %d are read", ErrTooLarge, length, maxPart)}
	case length > 0:
		// Memory grows with what comes, not with what is announced.
		f.Pix = f.Pix[:0]
		for at := 0; at < length && err == nil; at = len(f.Pix) {
			n := min(length-at, 1<<16)
			f.Pix = slices.Grow(f.Pix, n)[:at+n]
			_, err = io.ReadFull(p.r, f.Pix[at:])
		}
	default:
		err = p.body(f)
	}
	f.Time = time.Now()
	return unexpected(err)
}

// unexpected makes the end of data an unexpected one.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// seek reads up to and with the next boundary line.
func (p *parts) seek() error {
	for skipped := 0; skipped <= maxPart; {
		line, err := p.r.ReadSlice('\n')
		skipped += len(line)
		switch {
		case p.isBoundary(line):
			p.delim = append(p.delim[:0], bytes.TrimRight(line, "\r\n")...)
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return unexpected(err)
		}
	}
	return fmt.Errorf("%w: no boundary in %d MB of a multipart stream", ErrFormat, maxPart>>20)
}

// isBoundary reports whether a line stands between two parts.
func (p *parts) isBoundary(line []byte) bool {
	line = bytes.TrimSpace(line)
	core := bytes.Trim(line, "-")
	switch {
	case len(p.delim) > 0:
		return bytes.Equal(line, p.delim)
	case len(core) == 0:
		return false
	case p.core != "" && string(core) == p.core:
		return true
	}
	return bytes.HasPrefix(line, []byte("--"))
}

// header reads the header of a part and returns its Content-Length, 0 where
// there is none.
func (p *parts) header() (int, error) {
	length := 0
	for range 64 {
		line, err := p.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			break
		}
		if err != nil {
			return 0, unexpected(err)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			return length, nil
		}
		key, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(bytes.TrimSpace(key), []byte("Content-Length")) {
			if n, err := strconv.Atoi(string(bytes.TrimSpace(value))); err == nil && n > 0 {
				length = n
			}
		}
	}
	return 0, &FrameError{Err: fmt.Errorf("%w: the header of a part has no end", ErrFormat)}
}

// body reads a part of unknown length: a JPEG picture up to its end, so that it
// need not wait for the next one; other data up to the next boundary, which need
// not start a line.
func (p *parts) body(f *Frame) error {
	if start, err := p.r.Peek(2); err == nil && start[0] == 0xff && start[1] == 0xd8 {
		return nextJPEG(p.r, f)
	}
	f.Pix = f.Pix[:0]
	for {
		line, err := p.r.ReadSlice('\n')
		f.Pix = append(f.Pix, line...)
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		} else if rest, ok := p.cut(f.Pix); ok {
			f.Pix = trimLine(rest)
			return nil
		}
		if err != nil {
			return err
		}
		if len(f.Pix) > maxPart {
			return &FrameError{Err: fmt.Errorf("%w: a part of more than %d bytes", ErrTooLarge, maxPart)}
		}
	}
}

// trimLine takes one line end off.
func trimLine(data []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
}

// cut takes the boundary line, perhaps the last one of the stream, off the end
// of data.
func (p *parts) cut(data []byte) (rest []byte, ok bool) {
	data = trimLine(data)
	if rest, ok = bytes.CutSuffix(data, p.delim); ok {
		p.at = true
		return rest, true
	}
	rest, ok = bytes.CutSuffix(data, []byte("--"))
	if ok {
		rest, ok = bytes.CutSuffix(rest, p.delim)
	}
	return rest, ok
}

// nextJPEG reads one JPEG file of several in a row: from the next start of
// image to its end.
func nextJPEG(r *bufio.Reader, f *Frame) error {
	f.Format = mjpeg
	f.Pix = append(f.Pix[:0], 0, 0)
	for skipped := 0; ; skipped++ {
		b, err := r.ReadByte()
		if err != nil {
			if skipped == 0 {
				return err
			}
			return unexpected(err)
		}
		f.Pix[0], f.Pix[1] = f.Pix[1], b
		if f.Pix[0] == 0xff && b == 0xd8 {
			break
		}
		if skipped > maxPart {
			return fmt.Errorf("%w: no JPEG picture in %d MB", ErrFormat, maxPart>>20)
		}
	}
	err := unexpected(jpegBody(r, f))
	f.Time = time.Now()
	return err
}

// jpegBody reads what follows the start of an image. Segments before the scan
// are passed over by their length, so that a thumbnail's end is not taken for
// the picture's.
func jpegBody(r *bufio.Reader, f *Frame) error {
	scan := false
	for len(f.Pix) <= maxPart {
		chunk, err := r.ReadSlice(0xff)
		f.Pix = append(f.Pix, chunk...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return err
		}
		marker, err := r.ReadByte()
		if err != nil {
			return err
		}
		if marker == 0xff { // a fill byte; the next one may be the marker
			if err := r.UnreadByte(); err != nil {
				return err
			}
			continue
		}
		f.Pix = append(f.Pix, marker)
		switch {
		case marker == 0xd9:
			return nil
		case marker <= 0x01 || marker >= 0xd0 && marker <= 0xd8 || scan && marker != 0xc4 && marker != 0xda:
			continue // no length follows
		}
		scan = scan || marker == 0xda
		hi, err := r.ReadByte()
		if err != nil {
			return err
		}
		lo, err := r.ReadByte()
		if err != nil {
			return err
		}
		at := len(f.Pix)
		n := max(2, int(hi)<<8|int(lo))
		f.Pix = slices.Grow(f.Pix, n)[:at+n]
		f.Pix[at], f.Pix[at+1] = hi, lo
		if _, err := io.ReadFull(r, f.Pix[at+2:]); err != nil {
			return err
		}
	}
	return &FrameError{Err: fmt.Errorf("%w: a picture of more than %d bytes", ErrTooLarge, maxPart)}
}
