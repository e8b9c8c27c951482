package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxImageBytes is the size above which a file is not read as an image.
const maxImageBytes = 1 << 30

// imageNames lists the extensions of files that folders and globs take for
// images. The ones that cannot be decoded are errors rather than silence.
const imageNames = ".jpg .jpeg .png .bmp .gif .webp .tif .tiff"

func isImageName(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	for _, e := range strings.Fields(imageNames) {
		if e == ext {
			return true
		}
	}
	return false
}

// images reads image files, one frame each.
type images struct {
	paths []string
	next  int
	buf   []byte
	err   error
}

// Backend says image.
func (s *images) Backend() string { return "image" }

func (s *images) Len() int { return len(s.paths) }

func (s *images) Read(ctx context.Context, f *Frame) error {
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.next == len(s.paths) {
		return io.EOF
	}
	path := s.paths[s.next]
	s.next++
	f.Source, f.Index, f.Time = path, 0, time.Now()
	err := s.load(path)
	if err == nil {
		err = Decode(f, s.buf)
	}
	if err != nil {
		return &FrameError{Source: path, Err: err}
	}
	return nil
}

// load reads a file into the buffer.
func (s *images) load(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fileError(err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", ErrFormat)
	}
	if info.Size() > maxImageBytes {
		return fmt.Errorf("%w: the file has %d bytes, at most %d are read", ErrTooLarge, info.Size(), maxImageBytes)
	}
	file, err := os.Open(path)
	if err != nil {
		return fileError(err)
	}
	defer file.Close()
	n := int(info.Size())
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	s.buf = s.buf[:n]
	if _, err := io.ReadFull(file, s.buf); err != nil {
		return fileError(err)
	}
	return nil
}

func (s *images) Close() error {
	s.err = errClosed
	s.buf = nil
	return nil
}

// fileError is pathError for an error whose place its caller names.
func fileError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w; check the file's owner and mode", ErrNotPermitted, err)
	}
	return err
}
