package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// detection is one line of edgecam detect --json.
type detection struct {
	Schema          string   `json:"schema"`
	Source          string   `json:"source"`
	Frame           int      `json:"frame"`
	Width           int      `json:"width"`
	Height          int      `json:"height"`
	InferenceMillis float64  `json:"inference_ms"`
	Objects         []object `json:"objects"`
}

// object is one detection; its box is x, y, width, height in pixels of the
// source frame.
type object struct {
	Label   string     `json:"label"`
	ClassID int        `json:"class_id"`
	Score   float64    `json:"score"`
	Box     [4]float64 `json:"box"`
}

// detectFlags are the flags of edgecam detect.
type detectFlags struct {
	model, source, preset, out string
	conf, iou                  float64
	classes                    []string
	threads, frames            int
	json                       bool
}

func newDetect(o output) *cobra.Command {
	var f detectFlags
	c := &cobra.Command{
		Use:   "detect -m MODEL -s SOURCE",
		Short: "Find objects in images and video",
		Long: `Finds objects in images and video, and prints one line for each image or frame,
also where nothing was found. Boxes are x, y, width, height in pixels of the
source frame.

SOURCE is an image, a folder of images, a quoted glob such as '*.jpg', a Motion
JPEG AVI file, a camera (0, /dev/video0, csi:0), a stream (http://, rtsp://), or
test:, a rendered scene. A camera takes ?size=640x480&rate=30&format=MJPEG.

An image that cannot be read is reported and the others go on; the exit code is
then 1.

Presets say how a model is fed and its outputs are read; without --preset it is
recognised from the outputs. Presets:
` + strings.Join(sdk.Presets(), ", ") + ".",
		Example: `  edgecam detect -m model.onnx -s photo.jpg -o boxes.jpg
  edgecam detect -m model.onnx -s 'photos/*.jpg' --json > boxes.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDetect(cmd.Context(), o, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "ONNX `file`")
	fl.StringVarP(&f.source, "source", "s", "", "image, folder, glob, video, camera or stream as `SOURCE`")
	fl.StringVar(&f.preset, "preset", "", "`name` of the preset; left out: recognised")
	fl.Float64Var(&f.conf, "conf", sdk.DefaultMinScore, "least score")
	fl.Float64Var(&f.iou, "iou", sdk.DefaultIoU, "overlap above which the weaker of two boxes of a class is dropped")
	fl.StringSliceVar(&f.classes, "classes", nil, "keep only the classes `a,b`")
	fl.IntVar(&f.threads, "threads", 0, "workers; 0: the performance cores")
	fl.IntVar(&f.frames, "frames", 0, "stop after this many images or frames; 0: all")
	fl.BoolVar(&f.json, "json", false, "print one JSON object a line")
	fl.StringVarP(&f.out, "output", "o", "", "`folder` for pictures with boxes drawn; or an image file where the source is one image")
	return c
}

// check rejects flag values that make no sense.
func (f *detectFlags) check() error {
	switch {
	case f.source == "":
		return usage("no source given: pass -s with an image, a folder, a quoted glob, a video or a camera")
	case !(f.conf >= 0 && f.conf <= 1):
		return usage("--conf %v: give a number from 0 to 1", f.conf)
	case !(f.iou >= 0 && f.iou <= 1):
		return usage("--iou %v: give a number from 0 to 1", f.iou)
	case f.threads < 0:
		return usage("--threads %d: give 0 or more", f.threads)
	case f.frames < 0:
		return usage("--frames %d: give 0 or more", f.frames)
	}
	return nil
}

func runDetect(ctx context.Context, o output, f detectFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	m, err := load(f.model)
	if err != nil {
		return err
	}
	det, err := newDetector(m, f)
	if err != nil {
		return err
	}
	defer det.Close()
	src, err := camera.Open(f.source)
	if err != nil {
		return sourceError(err)
	}
	defer src.Close()
	d := detecting{o: o, f: f, det: det, src: src, start: time.Now()}
	if s, ok := src.(camera.Sized); ok {
		d.total = s.Len()
	}
	if f.frames > 0 && (d.total == 0 || f.frames < d.total) {
		d.total = f.frames
	}
	if f.out != "" {
		if d.album, err = newAlbum(f.out, f.source); err != nil {
			return err
		}
	}
	d.bar = newProgress(o, d.total)
	err = d.all(ctx)
	d.bar.finish()
	d.summary()
	if err == nil && d.failed > 0 {
		err = &exitError{exitFailed, errReported}
	}
	return err
}

// newDetector makes the detector that the flags ask for.
func newDetector(m *sdk.Model, f detectFlags) (*sdk.Detector, error) {
	// Zero stands for a default in the configuration; here it means zero.
	conf, iou := max(f.conf, math.SmallestNonzeroFloat64), max(f.iou, math.SmallestNonzeroFloat64)
	det, err := m.NewDetector(sdk.DetectorConfig{Preset: f.preset, Classes: f.classes, MinScore: conf, IoU: iou, Threads: f.threads, MaxSessions: 1})
	switch {
	case err == nil:
		return det, nil
	case errors.Is(err, sdk.ErrPreset):
		return nil, &exitError{exitUsage, err}
	}
	return nil, sessionError(err)
}

// detecting is one run of edgecam detect.
type detecting struct {
	o      output
	f      detectFlags
	det    *sdk.Detector
	src    camera.Source
	album  *album
	bar    *progress
	total  int // frames to come, 0 if unknown
	done   int
	failed int
	frame  camera.Frame
	start  time.Time
	decode time.Duration
}

// all detects in every frame.
func (d *detecting) all(ctx context.Context) error {
	for n := 0; d.f.frames == 0 || n < d.f.frames; n++ {
		start := time.Now()
		err := d.src.Read(ctx, &d.frame)
		d.decode += time.Since(start)
		var bad *camera.FrameError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			d.bar.clear()
			d.o.note("edgecam: %v", err)
			d.failed++
			d.bar.step()
			continue
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			return sourceError(err)
		}
		if err := d.one(ctx); err != nil {
			return err
		}
		d.done++
		d.bar.step()
	}
	return nil
}

// one detects in the frame that was read.
func (d *detecting) one(ctx context.Context) error {
	before := d.det.Stats().Inference
	dets, err := d.det.DetectFrame(ctx, &d.frame)
	if err != nil {
		return fmt.Errorf("%s, frame %d: %w", d.frame.Source, d.frame.Index, err)
	}
	line := detection{Schema: "edgecam.detection/1", Source: d.frame.Source, Frame: d.frame.Index, Width: d.frame.Width, Height: d.frame.Height,
		InferenceMillis: round(float64(d.det.Stats().Inference-before)/float64(time.Millisecond), 3), Objects: make([]object, len(dets))}
	for i, x := range dets {
		line.Objects[i] = object{Label: d.det.Label(x.Class), ClassID: x.Class, Score: round(float64(x.Score), 5), Box: [4]float64{
			round(float64(x.Box.X0), 2), round(float64(x.Box.Y0), 2), round(float64(x.Box.Width()), 2), round(float64(x.Box.Height()), 2)}}
	}
	d.bar.clear()
	if d.f.json {
		err = d.o.json(line)
	} else {
		err = d.o.line("%s", line.String())
	}
	if err == nil && d.album != nil {
		err = d.album.add(&d.frame, dets, d.det)
	}
	return err
}

// String prints a line for people.
func (l *detection) String() string {
	var b strings.Builder
	b.WriteString(l.Source)
	if l.Frame > 0 {
		fmt.Fprintf(&b, " #%d", l.Frame)
	}
	fmt.Fprintf(&b, " %dx%d %.1f ms: ", l.Width, l.Height, l.InferenceMillis)
	if len(l.Objects) == 0 {
		b.WriteString("nothing found")
	}
	for i, x := range l.Objects {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %.2f [%.0f %.0f %.0f %.0f]", x.Label, x.Score, x.Box[0], x.Box[1], x.Box[2], x.Box[3])
	}
	return b.String()
}

// summary prints how fast it went, and where the time went.
func (d *detecting) summary() {
	if d.done == 0 {
		return
	}
	all, s := time.Since(d.start), d.det.Stats()
	share := func(t time.Duration) float64 { return 100 * float64(t) / float64(all) }
	rest := all - d.decode - s.Preprocess - s.Inference - s.Postprocess
	d.o.note("%d frames in %.2f s: %.1f frames/s; decode %.1f %%, preprocessing %.1f %%, inference %.1f %%, post-processing %.1f %%, other %.1f %%",
		d.done, all.Seconds(), float64(d.done)/all.Seconds(), share(d.decode), share(s.Preprocess), share(s.Inference), share(s.Postprocess), share(rest))
}
