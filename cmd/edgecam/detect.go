package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/gpio"
	"github.com/edgecam/edgecam/sdk"
)

// detectFlags are the flags of edgecam detect.
type detectFlags struct {
	feedFlags
	conf, iou       float64
	classes         []string
	alert, on, wake string
	hold, wakeFor   time.Duration
}

func newDetect(o output) *cobra.Command {
	var f detectFlags
	c := &cobra.Command{
		Use:   "detect -m MODEL -s SOURCE",
		Short: "Find objects in images and video",
		Long: `Finds objects in images and video, and prints one line for each image or frame,
also where nothing was found. Boxes are x, y, width, height in pixels of the
source frame. Of a video or camera a terminal shows how fast it goes and what
is seen.

` + sourceHelp + `

--gpio-alert drives a pin high while an object with the label of --on is seen,
and --hold longer. --gpio-wake lets the model rest until an edge of a pin, from
a motion sensor or a button to ground, and then work for --wake-for. Pins have
the kernel's names, GPIO17 on a Raspberry Pi.

Presets say how a model is fed and its outputs are read; without --preset the
model's card says it, or it is recognised from the outputs. Presets:
` + wrapList(sdk.Presets()) + ".",
		Example: `  edgecam detect -m model.onnx -s photo.jpg -o boxes.jpg
  edgecam detect -m model.onnx -s 'photos/*.jpg' --json > boxes.jsonl
  edgecam detect -m model.onnx -s 0 -o out.avi
  edgecam detect -m model.onnx -s csi:0 --gpio-wake GPIO27 --gpio-alert GPIO17 --on person`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDetect(cmd.Context(), o, f) },
	}
	f.add(c, "`OUT` for frames with boxes drawn: a folder for pictures, a name ending in .avi for video, or for one image a file")
	fl := c.Flags()
	fl.Float64Var(&f.conf, "conf", sdk.DefaultMinScore, "least score")
	fl.Float64Var(&f.iou, "iou", sdk.DefaultIoU, "overlap above which the weaker of two boxes of a class is dropped")
	fl.StringSliceVar(&f.classes, "classes", nil, "keep only the classes `a,b`")
	fl.StringVar(&f.alert, "gpio-alert", "", "output `PIN` to drive high while --on is seen")
	fl.StringVar(&f.on, "on", "", "`LABEL` for --gpio-alert; left out: any object")
	fl.DurationVar(&f.hold, "hold", 2*time.Second, "how long --gpio-alert stays high after the last sight")
	fl.StringVar(&f.wake, "gpio-wake", "", "input `PIN` whose edges wake the model")
	fl.DurationVar(&f.wakeFor, "wake-for", 10*time.Second, "how long an edge at --gpio-wake wakes")
	return c
}

// wrapList joins names with commas, in lines of 80.
func wrapList(names []string) string {
	var b strings.Builder
	column := 0
	for i, n := range names {
		if i > 0 {
			b.WriteString(",")
			column++
			if column+1+len(n) > 78 {
				b.WriteString("\n")
				column = 0
			} else {
				b.WriteString(" ")
				column++
			}
		}
		b.WriteString(n)
		column += len(n)
	}
	return b.String()
}

// check rejects flag values that make no sense.
func (f *detectFlags) check() error {
	switch {
	case !(f.conf >= 0 && f.conf <= 1):
		return usage("--conf %v: give a number from 0 to 1", f.conf)
	case !(f.iou >= 0 && f.iou <= 1):
		return usage("--iou %v: give a number from 0 to 1", f.iou)
	case f.on != "" && f.alert == "":
		return usage("--on says when a pin is driven: give --gpio-alert too")
	case f.hold < 0:
		return usage("--hold %v: give no negative time", f.hold)
	case f.wakeFor <= 0:
		return usage("--wake-for %v: give a positive time", f.wakeFor)
	case f.alert != "" && f.alert == f.wake:
		return usage("--gpio-alert and --gpio-wake name the same pin: one is an output, the other an input")
	}
	return f.feedFlags.check()
}

func runDetect(ctx context.Context, o output, f detectFlags) (err error) {
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
	p := sdk.Pipeline{Detector: det, Frames: f.frames}
	alert, wake, err := f.pins(det)
	if err != nil {
		return err
	}
	if alert != nil {
		defer func() { err = errors.Join(err, gpioError("--gpio-alert", alert.Close())) }()
	}
	if wake != nil {
		defer wake.Close() //nolint:errcheck // an input that cannot be let go of does no harm
	}
	j, err := f.start(o, "detect")
	if err != nil {
		return err
	}
	p.Source, p.Damaged = j.in, j.damaged
	p.Shrink = j.in.live != nil && f.out == "" // of files results are as other runtimes have them
	if wake != nil {
		p.Source = &gate{src: j.in, wake: wake}
		j.note("asleep until an edge at %s", f.wake)
	}
	if alert != nil {
		// First, so that nothing delays it.
		p.Sinks = append(p.Sinks, sdk.SinkFunc(func(_ context.Context, r *sdk.Result) error {
			if slices.ContainsFunc(r.Detections, func(d sdk.Detection) bool { return f.on == "" || det.Label(d.Class) == f.on }) {
				return gpioError("--gpio-alert", alert.Seen())
			}
			return nil
		}))
	}
	p.Sinks = append(p.Sinks, sdk.SinkFunc(func(_ context.Context, r *sdk.Result) error {
		return writing(j.put(r.Frame, r.Inference, found(r.Record())))
	}))
	if f.out != "" {
		d, err := newDrawing(f.out, f.source, j.in)
		if err != nil {
			j.abandon()
			return err
		}
		defer func() { err = errors.Join(err, writing(d.close())) }()
		p.Sinks = append(p.Sinks, sdk.SinkFunc(func(_ context.Context, r *sdk.Result) error {
			return writing(d.add(r.Frame, func(img *image.RGBA) { det.Draw(img, r.Detections) }))
		}))
	}
	err = p.Run(ctx)
	j.read = p.Stats().Read
	return j.end(ctx, err, det.Stats())
}

// newDetector makes the detector that the flags ask for.
func newDetector(m *sdk.Model, f detectFlags) (*sdk.Detector, error) {
	// Zero stands for a default in the configuration; here it means zero.
	conf, iou := max(f.conf, math.SmallestNonzeroFloat64), max(f.iou, math.SmallestNonzeroFloat64)
	det, err := m.NewDetector(sdk.DetectorConfig{Preset: f.preset, Classes: f.classes, MinScore: conf, IoU: iou, Threads: f.threads, MaxSessions: 1})
	if err != nil {
		return nil, f.presetError(err, sdk.Presets())
	}
	return det, nil
}

// pins opens the pins that the flags name.
func (f *detectFlags) pins(det *sdk.Detector) (alert *gpio.Alert, wake *gpio.Wake, err error) {
	if f.alert != "" {
		switch {
		case f.on != "" && !slices.Contains(det.Labels(), f.on):
			return nil, nil, usage("--on %s: there is no such class; classes are %s", f.on, strings.Join(det.Labels(), ", "))
		case f.on != "" && len(f.classes) > 0 && !slices.Contains(f.classes, f.on):
			return nil, nil, usage("--on %s: --classes %s leaves that out", f.on, strings.Join(f.classes, ","))
		}
		if alert, err = gpio.OpenAlert(f.alert, f.hold); err != nil {
			return nil, nil, gpioError("--gpio-alert", err)
		}
	}
	if f.wake != "" {
		if wake, err = gpio.OpenWake(f.wake, f.wakeFor); err != nil {
			err = gpioError("--gpio-wake", err)
			if alert != nil {
				err = errors.Join(err, alert.Close())
			}
			return nil, nil, err
		}
	}
	return alert, wake, nil
}

// gpioError gives an error of a pin its code.
func gpioError(flag string, err error) error {
	if err == nil {
		return nil
	}
	code := exitFailed
	switch {
	case errors.Is(err, gpio.ErrPin):
		code = exitUsage
	case errors.Is(err, gpio.ErrNone), errors.Is(err, gpio.ErrBusy), errors.Is(err, gpio.ErrNotPermitted):
		code = exitSource
	}
	return &exitError{code, fmt.Errorf("%s: %w", flag, err)}
}

// gate holds frames back until an input wakes it. A live source goes on behind
// it, so the first frame after an edge is a new one.
type gate struct {
	src  camera.Source
	wake *gpio.Wake
}

// Read waits for an edge, where the last was too long ago, and then for a frame.
func (g *gate) Read(ctx context.Context, f *camera.Frame) error {
	for {
		if err := g.wake.Wait(ctx); err != nil {
			return err
		}
		if err := g.src.Read(ctx, f); err != nil || g.wake.Awake() {
			return err
		}
	}
}

// Close closes the source.
func (g *gate) Close() error { return g.src.Close() }

// found is a record for people.
type found sdk.Record

func (r found) gist() string {
	if len(r.Objects) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i, x := range r.Objects {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %.2f", x.Label, x.Score)
	}
	return b.String()
}

func (r found) full() string {
	if len(r.Objects) == 0 {
		return "nothing found"
	}
	var b strings.Builder
	for i, x := range r.Objects {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %.2f [%.0f %.0f %.0f %.0f]", x.Label, x.Score, x.Box[0], x.Box[1], x.Box[2], x.Box[3])
	}
	return b.String()
}
