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
	"github.com/edgecam/edgecam/sdk"
)

// album writes pictures with boxes drawn on them: into a folder, or to one
// file where the source is one image.
type album struct {
	dir, file string
	names     fileNames
	picture   *image.RGBA
	buf       bytes.Buffer
}

// newAlbum decides from -o and the source what is written.
func newAlbum(out, source string) (*album, error) {
	ext := strings.ToLower(filepath.Ext(out))
	info, err := os.Stat(out)
	isDir := err == nil && info.IsDir()
	switch {
	case isDir || ext != ".jpg" && ext != ".jpeg" && ext != ".png":
		if ext != "" && strings.Contains(videoNames, " "+ext+" ") {
			return nil, usage("-o %s: video is not written yet: give a folder for pictures", out)
		}
		if same(out, source) {
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
const videoNames = " .avi .mp4 .m4v .mkv .mov .webm .mjpeg .mjpg .ts "

// isPicture reports whether a source is one image file.
func isPicture(source string) bool {
	info, err := os.Stat(source)
	return err == nil && info.Mode().IsRegular() && !strings.Contains(videoNames, " "+strings.ToLower(filepath.Ext(source))+" ")
}

// same reports whether two paths are the same file or folder.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// add writes one picture: as PNG where the source or the name says so, and as
// JPEG otherwise.
func (a *album) add(f *camera.Frame, dets []sdk.Detection, det *sdk.Detector) error {
	path := a.file
	if path == "" {
		name, ext := stem(f.Source), ".jpg"
		if !isPicture(f.Source) {
			name = fmt.Sprintf("%s-%06d", name, f.Index)
		} else if e := strings.ToLower(filepath.Ext(f.Source)); e == ".png" || e == ".jpeg" {
			ext = e
		}
		path = filepath.Join(a.dir, a.names.pick(name, ext))
		if same(path, f.Source) {
			return usage("-o %s: %s would be overwritten; give another folder", a.dir, f.Source)
		}
	}
	a.picture = f.ToRGBA(a.picture)
	det.Draw(a.picture, dets)
	a.buf.Reset()
	var err error
	if strings.EqualFold(filepath.Ext(path), ".png") {
		err = png.Encode(&a.buf, a.picture)
	} else {
		err = jpeg.Encode(&a.buf, a.picture, &jpeg.Options{Quality: 90})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, a.buf.Bytes())
}
