package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/quant"
	"github.com/edgecam/edgecam/sdk"
)

// quantizeFlags are the flags of edgecam quantize.
type quantizeFlags struct {
	feedFlags
	method, eval, html string
	maxDrop, maxFloat  float64
	sensitivity        bool
	skip               []string
}

func newQuantize(o output) *cobra.Command {
	var f quantizeFlags
	c := &cobra.Command{
		Use:   "quantize -m MODEL -d SOURCE -o OUT",
		Short: "Make a float model int8, calibrated on images, with a report",
		Long: `Makes a float model int8: a plain ONNX file with QuantizeLinear and
DequantizeLinear nodes, which other runtimes run too, and a report of what became
of every layer. No labels are needed. 100 to 300 images of what the camera will
see are enough; fewer than 32 are too few.

The images are fed as the model's card, or --preset, says: the file that is written
has a card, so that it needs no --preset any more. Where 20 images or more are
given, one of five is held out, and the agreement with the float model is measured
on those, as edgecam compare does.

--max-drop X is a gate: layers are kept float, the worst first, until the agreement
is lost on no more than X percent of what is measured. Exit code 5 says that this
was missed, or that the int8 model is slower than the float one on this machine, or
has lost its detections; the file and the report are written all the same.
--eval DATASET measures on other images than those held out: a folder of images or
class folders, or a YOLO data set. Labels are not used yet: what is measured is
agreement with the float model.

--method says how the range of an activation is chosen: auto takes for each the one
that disturbs the outputs least. Layers whose input may not be rounded without
disturbing the outputs much stay float, for --max-float percent of the
multiply-adds at most.

SOURCE is a folder of images or of folders of images, a quoted glob such as '*.jpg',
a video file, or, with --frames, a camera or stream. Of more pictures than --frames
says, as many are taken, evenly spread. An image that cannot be read is left out
and named.`,
		Example: `  edgecam quantize -m yolox_nano.onnx -d images -o yolox_nano_int8.onnx --html report.html
  edgecam quantize -m model.onnx -d 0 --frames 200 -o model_int8.onnx
  edgecam quantize -m mobilenet_v2.onnx --preset imagenet -d images -o int8.onnx --max-drop 1 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runQuantize(cmd.Context(), o, f) },
	}
	methods := make([]string, len(quant.Methods))
	for i, m := range quant.Methods {
		methods[i] = string(m)
	}
	fl := c.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "float ONNX `file`")
	fl.StringVarP(&f.source, "data", "d", "", "images, a folder, a glob, a video or a camera as `SOURCE`")
	fl.StringVarP(&f.out, "output", "o", "", "`file` for the int8 model")
	fl.StringVar(&f.preset, "preset", "", "`name` of the preset; left out: the model's card, or recognised")
	fl.StringVar(&f.method, "method", string(quant.Auto), "how ranges are chosen: "+strings.Join(methods, ", "))
	fl.Float64Var(&f.maxDrop, "max-drop", 0, "agreement that may be lost, in `percent`; 0: no gate")
	fl.Float64Var(&f.maxFloat, "max-float", 4, "multiply-adds of layers that may stay float because the outputs need it, in `percent`")
	fl.StringVar(&f.eval, "eval", "", "images to measure on, as `DATASET`; left out: those held out")
	fl.StringArrayVar(&f.skip, "skip", nil, "`name` of a node, or a type of nodes, that stays float; may be repeated")
	fl.BoolVar(&f.sensitivity, "sensitivity", false, "also run the model with each layer alone in int8")
	fl.IntVar(&f.frames, "frames", 0, "take this many images or frames; 0: all")
	fl.IntVar(&f.threads, "threads", 0, "workers; 0: the performance cores")
	fl.StringVar(&f.html, "html", "", "`file` for the report as one page with plots")
	fl.BoolVar(&f.json, "json", false, "print JSON; the last line is the result")
	return c
}

// checkQuantize rejects values of the flags before anything is read.
func (f *quantizeFlags) checkQuantize() error {
	known := false
	for _, m := range quant.Methods {
		known = known || string(m) == f.method
	}
	switch {
	case !known:
		return usage("--method %q is not one of %v", f.method, quant.Methods)
	case math.IsNaN(f.maxDrop) || f.maxDrop < 0 || f.maxDrop > 100:
		return usage("--max-drop %v: give a number of percent from 0 to 100", f.maxDrop)
	case math.IsNaN(f.maxFloat) || f.maxFloat < 0 || f.maxFloat > 100:
		return usage("--max-float %v: give a number of percent from 0 to 100", f.maxFloat)
	case f.model == "":
		return usage("no model given: pass -m with a float ONNX file")
	case f.out == "":
		return usage("no output given: pass -o with a name for the int8 model")
	case same(f.out, f.model):
		return usage("-o %s is the model itself: it would be overwritten; give another name", f.out)
	}
	if err := f.checkData(); err != nil {
		return err
	}
	if err := writable("-o", f.out); err != nil {
		return err
	}
	return writable("--html", f.html)
}

// quantizer is one run of edgecam quantize.
type quantizer struct {
	o      output
	f      quantizeFlags
	float  *sdk.Model
	reader *sdk.Reader // of the float model
	images *calibration

	measured []*sdk.Reading // what the float model tells of the images to measure on
	on       *calibration   // those images
	which    func(int) bool
	apart    bool // none of them is calibrated on
}

func runQuantize(ctx context.Context, o output, f quantizeFlags) error {
	if err := f.checkQuantize(); err != nil {
		return err
	}
	start := time.Now()
	m, err := load(f.model)
	if err != nil {
		return err
	}
	q := &quantizer{o: o, f: f, float: m}
	if q.reader, err = f.reader(m, sdk.DefaultMinScore); err != nil {
		return err
	}
	defer q.reader.Close()
	if q.images, err = gather(ctx, o, &f.feedFlags); err != nil {
		return err
	}
	defer q.images.close()
	if err := q.notice(); err != nil {
		return err
	}
	calibrate, measure, apart := q.images.split()
	q.on, q.which, q.apart = q.images, measure, apart
	if f.eval != "" {
		other := feedFlags{source: dataFolder(f.eval)}
		if camera.IsLive(f.eval) {
			return usage("--eval: give images, not a camera or stream")
		}
		if q.on, err = gather(ctx, o, &other); err != nil {
			return err
		}
		if q.on.len() == 0 {
			return noPictures(f.eval, len(q.on.broken))
		}
		calibrate, q.which, q.apart = func(int) bool { return true }, calibrateAll, true
	}
	defer saveMemory(f.model)()
	quantized, report, err := q.quantize(ctx, calibrate)
	if err != nil {
		return err
	}
	r, err := q.judge(ctx, quantized, report)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := quantized.Save(f.out); err != nil {
		return err
	}
	r.finish(f.model, f.out, time.Since(start))
	return q.report(r)
}

func calibrateAll(int) bool { return true }

// notice tells what is wrong with the images, and fails where none is left.
func (q *quantizer) notice() error {
	c := q.images
	for _, b := range c.broken {
		q.o.note("edgecam: left out: %s", b)
	}
	switch n := c.len(); {
	case n == 0:
		return noPictures(q.f.source, len(c.broken))
	case len(c.flat) == n:
		return &exitError{exitSource, fmt.Errorf("all %d images are of one colour, so the ranges of a picture cannot be seen (%s): give pictures of what the camera will see", n, shortList(c.flat))}
	}
	for _, w := range q.imageWarnings() {
		q.o.note("edgecam: %s", w)
	}
	return nil
}

// imageWarnings says what may make the ranges wrong.
func (q *quantizer) imageWarnings() []string {
	c := q.images
	var w []string
	if len(c.broken) > 0 {
		w = append(w, fmt.Sprintf("%d images could not be read and were left out", len(c.broken)))
	}
	if n := c.len(); n < fewCalibration {
		w = append(w, fmt.Sprintf("%d images are few: ranges may be wrong; give %d or more, 100 to 300 are good", n, fewCalibration))
	}
	if len(c.flat) > 0 {
		w = append(w, fmt.Sprintf("%d images are of one colour and say little: %s", len(c.flat), shortList(c.flat)))
	}
	return w
}

// shortList names the first few.
func shortList(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}

// saveMemory collects garbage more often, as small devices need it: sessions of
// many candidates and pictures come and go. It returns what undoes it.
func saveMemory(model string) func() {
	limit := int64(100 << 20)
	if info, err := os.Stat(model); err == nil {
		limit += 4 * info.Size() // forms of the weights that live at a time
	}
	percent, before := debug.SetGCPercent(25), debug.SetMemoryLimit(limit)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(before)
	}
}

// quantize makes the int8 model.
func (q *quantizer) quantize(ctx context.Context, calibrate func(int) bool) (*sdk.Model, *quant.Report, error) {
	stages := &stages{o: q.o}
	defer stages.finish()
	c := quant.Config{Method: quant.Method(q.f.method), Skip: q.f.skip, MaxDrop: q.f.maxDrop, Sensitivity: q.f.sensitivity, Threads: q.f.threads, Progress: stages.show}
	if c.MaxFloat = q.f.maxFloat / 100; c.MaxFloat == 0 {
		c.MaxFloat = -1
	}
	if q.f.maxDrop > 0 {
		c.Eval = sdk.MeasureModel(func(ctx context.Context, m *sdk.Model) (float64, error) {
			a, _, err := q.agreement(ctx, m)
			return 100 * a.Mean(), err
		})
	}
	quantized, report, err := q.float.Quantize(ctx, q.samples(ctx, calibrate), c)
	if err != nil {
		return nil, nil, quantizeError(ctx, err)
	}
	card, err := q.reader.Card()
	if err == nil {
		quantized, err = quantized.WithCard(card)
	}
	return quantized, report, err
}

// samples gives the pictures as inputs of the model.
func (q *quantizer) samples(ctx context.Context, want func(int) bool) quant.Samples {
	name := q.reader.InputName()
	return func(yield func(quant.Sample, error) bool) {
		var x *sdk.Tensor
		errStop := errors.New("enough")
		err := q.images.each(ctx, want, func(f *camera.Frame) (err error) {
			if x, err = q.reader.Input(ctx, x, f); err != nil {
				return fmt.Errorf("%s: %w", f.Source, err)
			}
			if !yield(quant.Sample{Name: f.Source, Inputs: map[string]*sdk.Tensor{name: x}}, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(quant.Sample{}, err)
		}
	}
}

// agreement measures how far a model agrees with the float one, and returns
// what was found by both: detections, which count as lost where few are left.
func (q *quantizer) agreement(ctx context.Context, m *sdk.Model) (*sdk.Agreement, [2]int, error) {
	var found [2]int
	a := &sdk.Agreement{}
	r, err := m.NewReader(sdk.ReaderConfig{Preset: q.f.preset, Threads: q.f.threads, MaxSessions: 1})
	if err != nil {
		return a, found, err
	}
	defer r.Close()
	first := q.measured == nil
	at := 0
	err = q.on.each(ctx, q.which, func(f *camera.Frame) error {
		if first {
			x, err := q.reader.ReadFrame(ctx, f)
			if err != nil {
				return fmt.Errorf("%s: %w", f.Source, err)
			}
			q.measured = append(q.measured, x)
		}
		y, err := r.ReadFrame(ctx, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Source, err)
		}
		if at == len(q.measured) {
			return fmt.Errorf("%s: the images changed meanwhile", f.Source)
		}
		x := q.measured[at]
		at++
		found[0], found[1] = found[0]+len(x.Detections), found[1]+len(y.Detections)
		_, err = a.Add(x, y)
		return err
	})
	return a, found, err
}

// quantizeError gives an error of the quantizer its code and the next step.
func quantizeError(ctx context.Context, err error) error {
	var coded *exitError
	switch {
	case ctx.Err() != nil, errors.As(err, &coded):
		return err
	case errors.Is(err, quant.ErrQuantized):
		return modelError(fmt.Errorf("%w: give the float model that it was made from", err))
	case errors.Is(err, quant.ErrNothing):
		return modelError(fmt.Errorf("%w; edgecam inspect lists what it consists of", err))
	case errors.Is(err, quant.ErrNaN):
		return modelError(fmt.Errorf("%w; check the model with edgecam infer, and that --preset or the card feeds it as it was trained", err))
	case errors.Is(err, quant.ErrNoSamples):
		return &exitError{exitSource, err}
	}
	return err
}

// stages shows the progress of one stage after another.
type stages struct {
	o    output
	name string
	bar  *progress
}

// show says how far a stage has come.
func (s *stages) show(stage string, done, total int) {
	if stage != s.name {
		s.finish()
		s.name, s.bar = stage, newProgress(output{io.Discard, s.o.stderr}, stage, total)
	}
	s.bar.set(done)
}

// finish takes the bar away.
func (s *stages) finish() { s.bar.finish() }

// report writes the report, and misses the gate where there is one.
func (q *quantizer) report(r *quantization) error {
	if q.f.html != "" {
		if err := writeReportPage(q.f.html, r); err != nil {
			return err
		}
	}
	var err error
	if q.f.json {
		err = q.o.json(r)
	} else {
		err = printQuantization(q.o, r)
	}
	if err != nil || len(r.Missed) == 0 {
		return err
	}
	return &exitError{exitGate, fmt.Errorf("the gate was missed: %s; %s is written all the same. Give more or better images, try another --method, keep nodes float by --skip, or allow a larger --max-drop",
		strings.Join(r.Missed, "; "), r.Out)}
}

// peakBytes returns the largest resident memory of this process so far, 0 where
// it is not known.
func peakBytes() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(b), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); !ok || err != nil {
		return 0
	}
	return kb << 10
}
