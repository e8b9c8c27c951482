package main

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgecam/edgecam/camera"
)

// drawing takes frames with something drawn on them.
type drawing interface {
	add(f *camera.Frame, draw func(*image.RGBA)) error
	close() error
}

// newDrawing decides from -o and the source what is written: a video, a picture,
// or a folder of pictures.
func newDrawing(out, source string, in *input) (drawing, error) {
	if strings.EqualFold(filepath.Ext(out), ".avi") && !isDir(out) {
		return newMovie(out, source, in)
	}
	return newAlbum(out, source, ".jpg .jpeg .png")
}

// album writes pictures: into a folder, or to one file where the source is one
// image.
type album struct {
	dir, file string
	names     fileNames
	picture   *image.RGBA
	buf       bytes.Buffer
}

// newAlbum decides what is written. kinds lists the extensions of one file.
func newAlbum(out, source, kinds string) (*album, error) {
	ext := strings.ToLower(filepath.Ext(out))
	isKind := func(list string) bool { return ext != "" && strings.Contains(" "+list+" ", " "+ext+" ") }
	switch {
	case isDir(out) || !isKind(kinds):
		switch {
		case isKind(videoNames) && strings.Contains(kinds, ".jpg"):
			return nil, usage("-o %s: video is written as Motion JPEG: give a name that ends in .avi, or a folder for pictures", out)
		case isKind(videoNames + " .jpg .jpeg"):
			return nil, usage("-o %s: give a folder, or for one image a name that ends in %s", out, kinds)
		case same(out, source):
			return nil, usage("-o %s is the source itself: its pictures would be overwritten; give another folder", out)
		}
		return &album{dir: out, names: fileNames{}}, makeDir(out)
	case !isPicture(source):
		return nil, usage("-o %s: the source is more than one picture: give a folder", out)
	case same(out, source):
		return nil, usage("-o %s is the source itself: it would be overwritten; give another name", out)
	}
	return &album{file: out}, nil
}

// videoNames are the extensions of files that hold more than one picture.
const videoNames = ".avi .mp4 .m4v .mkv .mov .webm .mjpeg .mjpg .ts"

// isPicture reports whether a source is one image file.
func isPicture(source string) bool {
	info, err := os.Stat(source)
	return err == nil && info.Mode().IsRegular() && !strings.Contains(" "+videoNames+" ", " "+strings.ToLower(filepath.Ext(source))+" ")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// same reports whether two paths are the same file or folder.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// path returns where the picture of a frame goes. Its extension is that of the
// source where kinds has it, and else the first of kinds.
func (a *album) path(f *camera.Frame, kinds ...string) (string, error) {
	if a.file != "" {
		return a.file, nil
	}
	name, ext := stem(f.Source), kinds[0]
	if !isPicture(f.Source) {
		name = fmt.Sprintf("%s-%06d", name, f.Index)
	} else if e := strings.ToLower(filepath.Ext(f.Source)); len(kinds) > 1 && strings.Contains(" "+strings.Join(kinds, " ")+" ", " "+e+" ") {
		ext = e
	}
	path := filepath.Join(a.dir, a.names.pick(name, ext))
	if same(path, f.Source) {
		return "", usage("-o %s: %s would be overwritten; give another folder", a.dir, f.Source)
	}
	return path, nil
}

// add writes one picture: as PNG where the source or the name says so, and as
// JPEG otherwise.
func (a *album) add(f *camera.Frame, draw func(*image.RGBA)) error {
	path, err := a.path(f, ".jpg", ".jpeg", ".png")
	if err != nil {
		return err
	}
	a.picture = f.ToRGBA(a.picture)
	draw(a.picture)
	return a.write(path, a.picture)
}

// write encodes a picture as its name says.
func (a *album) write(path string, img image.Image) error {
	a.buf.Reset()
	var err error
	if strings.EqualFold(filepath.Ext(path), ".png") {
		err = png.Encode(&a.buf, img)
	} else {
		err = jpeg.Encode(&a.buf, img, &jpeg.Options{Quality: 90})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, a.buf.Bytes())
}

func (a *album) close() error { return nil }
