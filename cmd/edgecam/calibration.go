package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/edgecam/edgecam/camera"
)

// calibration is a set of pictures that can be gone through several times
// without keeping them in memory: files are read again each time, and frames of
// a live source are stored first.
type calibration struct {
	source string
	temp   string   // folder of the frames of a live source
	paths  []string // the pictures, where each is a file
	frames []int    // otherwise their numbers among all frames of the source
	broken []string // what could not be read
	flat   []string // pictures of one colour
}

// The numbers of pictures: fewCalibration is too few for ranges to be trusted,
// and of fewHeldOut and more a part is held out.
const (
	fewCalibration = 32
	fewHeldOut     = 20
	heldOut        = 5 // one of so many
)

// close removes the frames that were stored.
func (c *calibration) close() {
	if c.temp != "" {
		os.RemoveAll(c.temp) //nolint:errcheck // what is left lies in the folder for such things
	}
}

// len returns the number of pictures.
func (c *calibration) len() int { return max(len(c.paths), len(c.frames)) }

// gather looks through the source of the flags and chooses the pictures: all, or
// as many as --frames says, evenly spread where the number of all is known.
func gather(ctx context.Context, o output, f *feedFlags) (_ *calibration, err error) {
	c := &calibration{source: f.source}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	looking := *f
	if camera.IsLive(f.source) {
		if c.temp, err = os.MkdirTemp("", "edgecam-"); err != nil {
			return nil, fmt.Errorf("storing frames: %w", err)
		}
		if err := c.record(ctx, o, f); err != nil {
			return nil, err
		}
		c.source = c.temp
		looking.source, looking.frames = c.temp, 0
	}
	in, err := openInput(looking.source, camera.Options{Timeout: f.timeout, FrameTimeout: f.frameTimeout})
	if err != nil {
		return nil, err
	}
	defer in.Close() // it was only read
	return c, c.look(ctx, in, looking.frames, newProgress(output{io.Discard, o.stderr}, "looking at the images", in.total))
}

// record stores frames of a live source.
func (c *calibration) record(ctx context.Context, o output, f *feedFlags) error {
	j, err := f.start(output{io.Discard, o.stderr}, "recording")
	if err != nil {
		return err
	}
	a := &album{dir: c.temp}
	n := 0
	return j.endQuietly(ctx, j.each(ctx, func(frame *camera.Frame) error {
		defer j.step()
		n++
		a.picture = frame.ToRGBA(a.picture)
		return writing(a.write(filepath.Join(c.temp, fmt.Sprintf("frame-%06d.png", n)), a.picture))
	}))
}

// look reads every picture once, small where that is faster.
func (c *calibration) look(ctx context.Context, in *input, limit int, bar *progress) error {
	defer bar.finish()
	wanted := func(int) bool { return true }
	if limit > 0 && in.total > limit {
		wanted = func(i int) bool { return (i+1)*limit/in.total > i*limit/in.total }
	}
	frame := camera.Frame{}
	for i := 0; limit == 0 || c.len() < limit; i++ {
		if in.still {
			frame.Least = image.Pt(64, 64)
		}
		err := in.Read(ctx, &frame)
		bar.step()
		var bad *camera.FrameError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			c.broken = append(c.broken, bad.Error())
			continue
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			return sourceError(err)
		case !wanted(i):
			continue
		}
		if isFlat(&frame) {
			c.flat = append(c.flat, frame.Source)
		}
		if in.still {
			c.paths = append(c.paths, frame.Source)
		} else {
			c.frames = append(c.frames, i)
		}
	}
	return nil
}

// isFlat reports whether all pixels of a picture are equal.
func isFlat(f *camera.Frame) bool {
	size := map[camera.Format]int{camera.RGB24: 3, camera.BGR24: 3, camera.GRAY8: 1}[f.Format]
	if size == 0 {
		return false // a camera's picture is never
	}
	first := f.Pix[:size]
	for y := range f.Height {
		row := f.Pix[y*f.Stride:][:f.Width*size]
		for ; len(row) > 0; row = row[size:] {
			if !slices.Equal(row[:size], first) {
				return false
			}
		}
	}
	return true
}

// split returns which pictures to calibrate on, and which to measure the result
// on: the same ones where there are too few to hold some out.
func (c *calibration) split() (calibrate, measure func(int) bool, apart bool) {
	all := func(int) bool { return true }
	if c.len() < fewHeldOut {
		return all, all, false
	}
	held := func(i int) bool { return i%heldOut == heldOut/2 }
	return func(i int) bool { return !held(i) }, held, true
}

// each hands the pictures that want chooses to work, in the same order each time.
func (c *calibration) each(ctx context.Context, want func(int) bool, work func(*camera.Frame) error) error {
	if c.paths == nil {
		return c.eachFrame(ctx, want, work)
	}
	var frame camera.Frame
	for i, path := range c.paths {
		if !want(i) {
			continue
		}
		b, err := os.ReadFile(path)
		if err == nil {
			err = camera.Decode(&frame, b)
		}
		if err != nil {
			return sourceError(fmt.Errorf("%s cannot be read any more: %w", path, err))
		}
		frame.Source, frame.Index, frame.Time = path, 0, time.Now()
		if err := work(&frame); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// eachFrame is each of a video.
func (c *calibration) eachFrame(ctx context.Context, want func(int) bool, work func(*camera.Frame) error) error {
	in, err := openInput(c.source, camera.Options{})
	if err != nil {
		return err
	}
	defer in.Close() // it was only read
	var frame camera.Frame
	for i, at := 0, 0; at < len(c.frames); i++ {
		err := in.Read(ctx, &frame)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && isDamage(err):
			continue
		case err != nil:
			return err
		case i != c.frames[at]:
			continue
		}
		if want(at) {
			if err := work(&frame); err != nil {
				return err
			}
		}
		at++
	}
	return nil
}
