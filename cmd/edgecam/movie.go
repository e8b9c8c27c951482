package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"time"

	"github.com/edgecam/edgecam/camera"
)

const (
	// movieRate is the frame rate of a video that is made of files, which do not
	// tell theirs.
	movieRate = 25
	// movieStart is the number of frames from which a live video's rate is told.
	movieStart = 10
)

// movie writes Motion JPEG AVI files: one, or where the size of the frames
// changes or a file becomes too large, further ones with a number behind the
// name. Where the program is killed the frames so far can be read.
type movie struct {
	path    string
	live    bool
	files   int // begun
	file    *os.File
	avi     *camera.AVIWriter
	size    image.Point
	early   [][]byte // frames from before the file was begun
	first   time.Time
	last    time.Time
	picture *image.RGBA
	buf     bytes.Buffer
}

func newMovie(path, source string) (*movie, error) {
	if same(path, source) {
		return nil, usage("-o %s is the source itself: it would be overwritten; give another name", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, usage("-o %s: there is no folder %s; make it first", path, filepath.Dir(path))
	}
	return &movie{path: path, live: isLive(source)}, nil
}

func (m *movie) add(f *camera.Frame, draw func(*image.RGBA)) error {
	if size := image.Pt(f.Width, f.Height); size != m.size {
		if err := m.close(); err != nil {
			return err
		}
		m.size = size
	}
	m.picture = f.ToRGBA(m.picture)
	draw(m.picture)
	m.buf.Reset()
	if err := jpeg.Encode(&m.buf, m.picture, &jpeg.Options{Quality: 90}); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	if m.avi != nil {
		return m.frame(m.buf.Bytes())
	}
	if len(m.early) == 0 {
		m.first = f.Time
	}
	m.last = f.Time
	m.early = append(m.early, bytes.Clone(m.buf.Bytes()))
	if m.live && len(m.early) < movieStart {
		return nil
	}
	return m.begin()
}

// begin makes a file and writes the frames that have waited for it.
func (m *movie) begin() error {
	rate := float64(movieRate)
	if took := m.last.Sub(m.first).Seconds(); m.live && len(m.early) > 1 && took > 0 {
		rate = min(120, max(0.01, float64(len(m.early)-1)/took))
	}
	m.files++
	path := m.path
	if m.files > 1 {
		ext := filepath.Ext(path)
		path = fmt.Sprintf("%s-%d%s", path[:len(path)-len(ext)], m.files, ext)
	}
	var err error
	if m.file, err = os.Create(path); err != nil {
		return err
	}
	if m.avi, err = camera.NewAVIWriter(m.file, m.size.X, m.size.Y, rate); err != nil {
		return err
	}
	early := m.early
	m.early = nil
	for _, b := range early {
		if err := m.frame(b); err != nil {
			return err
		}
	}
	return nil
}

// frame appends a frame, to a further file where this one is full.
func (m *movie) frame(b []byte) error {
	err := m.avi.WriteJPEG(b)
	if !errors.Is(err, camera.ErrTooLarge) {
		return err
	}
	if err := m.close(); err != nil {
		return err
	}
	m.early = [][]byte{bytes.Clone(b)}
	return m.begin()
}

// close ends the file.
func (m *movie) close() error {
	if m.avi == nil && len(m.early) > 0 {
		if err := m.begin(); err != nil {
			return err
		}
	}
	if m.file == nil {
		return nil
	}
	var err error
	if m.avi != nil {
		err = m.avi.Close()
	}
	if e := m.file.Close(); err == nil {
		err = e
	}
	m.file, m.avi = nil, nil
	return err
}
