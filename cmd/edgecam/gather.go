package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// checkData rejects values of the flags of commands that take pictures by -d,
// and puts the pictures of a data set in the place of its folder.
func (f *feedFlags) checkData() error {
	if f.source == "" {
		return usage("no images given: pass -d with a folder of images, a quoted glob, a video, or a camera with --frames")
	}
	if err := f.check(); err != nil {
		return err
	}
	if camera.IsLive(f.source) && f.frames == 0 {
		return usage("-d: a camera or stream goes on for ever: say by --frames how many frames to take, 200 for example")
	}
	f.source = dataFolder(f.source)
	return nil
}

// dataFolder returns the source of the images of a folder that has none itself:
// those of its folder images, or else those of folders inside it.
func dataFolder(dir string) string {
	if !isDir(dir) || hasImages(filepath.Join(globQuote(dir), "*")) {
		return dir
	}
	for _, inside := range []string{filepath.Join("images", "*"), filepath.Join("images", "*", "*"), filepath.Join("*", "*"), filepath.Join("*", "*", "*")} {
		if pattern := filepath.Join(globQuote(dir), inside); hasImages(pattern) {
			return pattern
		}
	}
	return dir // its error names the folder
}

// hasImages reports whether a pattern finds an image, by the names of files.
func hasImages(pattern string) bool {
	src, err := camera.Open(pattern)
	if err != nil {
		return false
	}
	src.Close() // nothing was read
	return true
}

// globQuote makes a path a pattern of itself.
func globQuote(path string) string {
	if os.PathSeparator == '\\' {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// reader makes what reads a model's results.
func (f *feedFlags) reader(m *sdk.Model, conf float64) (*sdk.Reader, error) {
	if conf == 0 {
		conf = -1 // everything, not the default
	}
	r, err := m.NewReader(sdk.ReaderConfig{Preset: f.preset, MinScore: conf, Threads: f.threads, MaxSessions: 1})
	if err != nil {
		return nil, f.presetError(err, allPresets())
	}
	return r, nil
}

// allPresets lists the presets of every task.
func allPresets() []string {
	return append(append(sdk.Presets(), sdk.ClassifierPresets()...), sdk.SegmenterPresets()...)
}

// noPictures is the error of a source none of whose pictures could be read.
func noPictures(source string, broken int) error {
	if camera.IsLive(source) {
		source = "the source" // its address may hold a password
	}
	if broken > 0 {
		return &exitError{exitSource, fmt.Errorf("%s: none of the %d images can be read; each is named above with the cause: give other images", source, broken)}
	}
	return &exitError{exitSource, fmt.Errorf("%s: there are no images; give a folder that holds some", source)}
}

// endQuietly ends a run that prints nothing for each frame. Pictures that could
// not be read are no error.
func (j *job) endQuietly(ctx context.Context, err error) error {
	j.failed = 0
	return j.end(ctx, err, sdk.FrameStats{})
}

// writable reports early where a file cannot be written: its folder is not there
// or does not allow it, or it is a folder itself. flag is the option that names
// the file; "" is no file.
func writable(flag, path string) error {
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return usage("%s %s: there is no folder %s; make it first, or give another", flag, path, dir)
	case err != nil:
		return usage("%s %s: %w", flag, path, err)
	case !info.IsDir():
		return usage("%s %s: %s is no folder; give another", flag, path, dir)
	case isDir(path):
		return usage("%s %s is a folder; give the name of a file in it", flag, path)
	}
	t, err := os.CreateTemp(dir, ".edgecam-*")
	if err != nil {
		return usage("%s %s: nothing can be written to %s: %w; give a folder that you may write to", flag, path, dir, err)
	}
	t.Close() // nothing was written
	return os.Remove(t.Name())
}
