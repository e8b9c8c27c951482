package main

import (
	"bytes"
	"cmp"
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
	// movieRate is the frame rate of a video whose source does not tell one.
	movieRate = 25
	// movieStart is the number of frames from which a live video's rate is told
	// at first; at the end it is told from all.
	movieStart = 10
)

// movie writes Motion JPEG AVI files: one, or where the size of the frames
// changes or a file becomes too large, further ones with a number behind the
// name. Where the program is killed the frames so far can be read.
type movie struct {
	path    string
	live    bool
	rate    float64 // of the source or the file before, 0 if unknown
	files   int     // begun
	file    *os.File
	avi     *camera.AVIWriter
	size    image.Point
	early   [][]byte // frames from before the file was begun
	count   int      // frames of this file
	first   time.Time
	last    time.Time
	picture *image.RGBA
	buf     bytes.Buffer
}

func newMovie(path, source string, in *input) (*movie, error) {
	if same(path, source) {
		return nil, usage("-o %s is the source itself: it would be overwritten; give another name", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, usage("-o %s: there is no folder %s; make it first", path, filepath.Dir(path))
	}
	return &movie{path: path, live: in.live != nil, rate: in.rate}, nil
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
	if m.count == 0 {
		m.first = f.Time
	}
	m.last = f.Time
	m.count++
	if m.avi != nil {
		return m.frame(m.buf.Bytes())
	}
	m.early = append(m.early, bytes.Clone(m.buf.Bytes()))
	if m.live && len(m.early) < movieStart {
		return nil
	}
	return m.begin()
}

// pace returns the frames a second of this file: those that a camera or stream
// gave to it so far, and else what the source says.
func (m *movie) pace() float64 {
	if took := m.last.Sub(m.first).Seconds(); m.live && m.count > 1 && took > 0 {
		return min(120, max(0.001, float64(m.count-1)/took))
	}
	return cmp.Or(m.rate, movieRate)
}

// begin makes a file and writes the frames that have waited for it.
func (m *movie) begin() error {
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
	if m.avi, err = camera.NewAVIWriter(m.file, m.size.X, m.size.Y, m.pace()); err != nil {
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
	m.early, m.count, m.first = [][]byte{bytes.Clone(b)}, 1, m.last
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
		m.rate = m.pace() // a further file of a live source begins with it
		err = errors.Join(m.avi.SetRate(m.rate), m.avi.Close())
	}
	if e := m.file.Close(); err == nil {
		err = e
	}
	m.file, m.avi, m.count = nil, nil, 0
	return err
}
