package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// feedFlags are the flags of every command that feeds frames to a model.
type feedFlags struct {
	model, source, preset, out string
	threads, frames            int
	json                       bool
	timeout, frameTimeout      time.Duration
}

// sourceHelp says what SOURCE may be.
const sourceHelp = `SOURCE is an image, a folder of images, a quoted glob such as '*.jpg', a video
file (Motion JPEG AVI; any other with ffmpeg or OpenCV), a camera (0,
/dev/video0, /dev/v4l/by-id/..., csi:0; edgecam cameras lists them), a stream
(http://, rtsp://), or test:, a rendered scene. A camera takes
?size=640x480&rate=30&format=MJPEG behind it.

Of a camera or stream the newest frame is taken and older ones are dropped; when
it is lost it is opened again; --frame-timeout is for one that gives a frame only
now and then. Of anything else every frame is taken. An image that cannot be read
is reported and the others go on; the exit code is then 1.`

// add defines the flags. out says what -o is for.
func (f *feedFlags) add(c *cobra.Command, out string) {
	fl := c.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "ONNX `file`")
	fl.StringVarP(&f.source, "source", "s", "", "image, folder, glob, video, camera or stream as `SOURCE`")
	fl.StringVar(&f.preset, "preset", "", "`name` of the preset; left out: the model's card, or recognised")
	fl.IntVar(&f.threads, "threads", 0, "workers; 0: the performance cores")
	fl.IntVar(&f.frames, "frames", 0, "stop after this many images or frames; 0: all")
	fl.DurationVar(&f.timeout, "timeout", 0, "how long a camera or stream may take to answer; 0: 2s")
	fl.DurationVar(&f.frameTimeout, "frame-timeout", 0, "how long a camera or stream may take from frame to frame before it is lost; 0: as --timeout")
	fl.BoolVar(&f.json, "json", false, "print one JSON object a line")
	if out != "" {
		fl.StringVarP(&f.out, "output", "o", "", out)
	}
}

// check rejects flag values that make no sense.
func (f *feedFlags) check() error {
	switch {
	case f.source == "":
		return usage("no source given: pass -s with an image, a folder, a quoted glob, a video or a camera (edgecam cameras lists those)")
	case f.threads < 0:
		return usage("--threads %d: give 0 or more", f.threads)
	case f.frames < 0:
		return usage("--frames %d: give 0 or more", f.frames)
	case f.timeout < 0:
		return usage("--timeout %v: give no negative time", f.timeout)
	case f.frameTimeout < 0:
		return usage("--frame-timeout %v: give no negative time", f.frameTimeout)
	}
	return nil
}

// presetError gives an error of making a detector, classifier or segmenter its
// code. presets are those of the command.
func (f *feedFlags) presetError(err error, presets []string) error {
	switch {
	case !errors.Is(err, sdk.ErrPreset):
		return sessionError(err)
	case f.preset == "":
		return usage("%w\nSay by --preset how the model is fed and read; here that is one of %s", err, strings.Join(presets, ", "))
	}
	return &exitError{exitUsage, err}
}

// job is one run of a command over the frames of a source.
type job struct {
	*printer
	in     *input
	frames int      // limit, 0 for none
	failed int      // frames that could not be decoded
	broken []string // their sources
	read   time.Duration
	unwait func()
}

// start opens the source.
func (f *feedFlags) start(o output, name string) (*job, error) {
	in, err := openInput(f.source, camera.Options{Timeout: f.timeout, FrameTimeout: f.frameTimeout})
	if err != nil {
		return nil, err
	}
	total := in.total
	if f.frames > 0 && (total == 0 || f.frames < total) {
		total = f.frames
	}
	j := &job{printer: newPrinter(o, f.json, in, newProgress(o, name, total)), in: in, frames: f.frames}
	if in.live != nil {
		j.unwait = j.watch(in.live)
	}
	return j, nil
}

// damaged reports a frame that could not be decoded.
func (j *job) damaged(err error) {
	j.failed++
	var bad *camera.FrameError
	if errors.As(err, &bad) {
		j.broken = append(j.broken, bad.Source)
	}
	j.note("edgecam: %v", err)
	j.step()
}

// each hands frame after frame to work, until the source or the limit of frames
// is reached.
func (j *job) each(ctx context.Context, work func(*camera.Frame) error) error {
	var frame camera.Frame
	for done := 0; j.frames == 0 || done < j.frames; {
		start := time.Now()
		err := j.in.Read(ctx, &frame)
		j.read += time.Since(start)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && isDamage(err):
			j.damaged(err)
			continue
		case err != nil:
			return err
		}
		if err := work(&frame); err != nil {
			return err
		}
		done++
	}
	return nil
}

// abandon ends a run that has not begun.
func (j *job) abandon() {
	if j.unwait != nil {
		j.unwait()
	}
	j.in.Close() // there is another error to tell
}

// end closes the source, prints the summary and gives the error that ended the
// run its code.
func (j *job) end(ctx context.Context, err error, s sdk.FrameStats) error {
	if j.unwait != nil {
		j.unwait()
	}
	j.finish(j.read, s)
	closing := j.in.Close()
	var coded *exitError
	switch {
	case err == nil && j.failed > 0:
		return &exitError{exitFailed, errReported}
	case err == nil:
		err = closing
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err
	}
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return sourceError(err)
}

// writing gives an error of writing results its code, which is not that of the
// source.
func writing(err error) error {
	var coded *exitError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &exitError{exitFailed, err}
}
