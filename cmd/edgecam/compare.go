package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// comparison is the JSON of edgecam compare.
type comparison struct {
	Images   int        `json:"images"`
	Agree    float64    `json:"agree"`
	Interval [2]float64 `json:"interval95"`
	Changed  []changed  `json:"changed"`
	Task     string     `json:"task"`
	Broken   []string   `json:"broken,omitempty"` // pictures that could not be read
	Millis   [2]float64 `json:"ms"`               // mean inference of both
}

// changed is one picture of which the models tell different things: A and B are
// the best classes, the boxes that the other does not have, or the shares of the
// classes; of raw outputs A is nil and B an outputDifference.
type changed struct {
	Source string  `json:"source"`
	Frame  int     `json:"frame"`
	Agree  float64 `json:"agree"`
	A      any     `json:"a"`
	B      any     `json:"b"`

	words [2]string // for people
}

// outputDifference says how far raw outputs differ.
type outputDifference struct {
	Cosine float64  `json:"cosine"`
	SQNR   *float64 `json:"sqnr_db"` // nil where it is no number
}

// compareFlags are the flags of edgecam compare.
type compareFlags struct {
	feedFlags
	html string
	conf float64
}

func newCompare(o output) *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use:   "compare A B -d SOURCE",
		Short: "Tell on how many images two models agree, without labels",
		Long: `Tells on how many images two models agree, without labels: a float model and its
int8 form, or one version and the next. It says nothing of which is right.

The agreement on one image is, of classifiers, 1 where the best class is the same
and otherwise 0; of detectors the boxes that both have over the boxes that either
has, matched one to one by class and an IoU of 0.5; of segmenters the mean IoU of
the classes; of models that no preset can read the cosine of the outputs. The 95 %
interval says what images of the same kind would give: Wilson's for classifiers,
bootstrapped otherwise.

--html writes one page with the images that changed, the most changed first, both
results side by side; it needs no network.

SOURCE is an image, a folder of images or of folders of images, a quoted glob such
as '*.jpg', a video file, or, with --frames, a camera or stream. An image that
cannot be read is left out and named.`,
		Example: `  edgecam compare model.onnx model_int8.onnx -d images --html changed.html
  edgecam compare old.onnx new.onnx -d video.avi --preset yolox --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return runCompare(cmd.Context(), o, f, [2]string(args)) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.source, "data", "d", "", "images, a folder, a glob, a video or a camera as `SOURCE`")
	fl.StringVar(&f.preset, "preset", "", "`name` of the preset; left out: the models' cards, or recognised")
	fl.Float64Var(&f.conf, "conf", sdk.DefaultMinScore, "lowest score of boxes that count")
	fl.IntVar(&f.frames, "frames", 0, "stop after this many images or frames; 0: all")
	fl.IntVar(&f.threads, "threads", 0, "workers; 0: the performance cores")
	fl.StringVar(&f.html, "html", "", "`file` for a page with the images that changed")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	return c
}

func runCompare(ctx context.Context, o output, f compareFlags, paths [2]string) error {
	if f.conf < 0 || f.conf > 1 || math.IsNaN(f.conf) {
		return usage("--conf %v: give a number from 0 to 1", f.conf)
	}
	if err := f.checkData(); err != nil {
		return err
	}
	if err := writable("--html", f.html); err != nil {
		return err
	}
	var readers [2]*sdk.Reader
	for i, path := range paths {
		m, err := load(path)
		if err != nil {
			return err
		}
		if readers[i], err = f.reader(m, f.conf); err != nil {
			return err
		}
		defer readers[i].Close()
	}
	if a, b := readers[0], readers[1]; a.Task() != b.Task() {
		return usage("%s is read to %s and %s to %s: there is nothing to compare; name a --preset that fits both", paths[0], a.Task(), paths[1], b.Task())
	}
	// The data comes at the end, so that a bar may be shown meanwhile.
	j, err := f.start(output{io.Discard, o.stderr}, "compare")
	if err != nil {
		return err
	}
	c := comparer{readers: readers, page: newComparePage(f.html, paths)}
	if err := j.endQuietly(ctx, j.each(ctx, func(frame *camera.Frame) error {
		defer j.step()
		return c.frame(ctx, frame)
	})); err != nil {
		return err
	}
	if c.agreement.Images() == 0 {
		return noPictures(f.source, len(j.broken))
	}
	r := c.result()
	r.Broken = j.broken
	if f.html != "" {
		if err := c.page.write(r); err != nil {
			return err
		}
	}
	if f.json {
		return o.json(r)
	}
	return printComparison(o, r, paths)
}

// place says which picture it is.
func (c *changed) place() string {
	if c.Frame == 0 {
		return c.Source
	}
	return fmt.Sprintf("%s #%d", c.Source, c.Frame)
}

// comparer adds up the differences of two models.
type comparer struct {
	readers   [2]*sdk.Reader
	agreement sdk.Agreement
	changed   []changed
	page      *comparePage
}

// frame compares what the models tell of one frame.
func (c *comparer) frame(ctx context.Context, frame *camera.Frame) error {
	var x [2]*sdk.Reading
	for i, r := range c.readers {
		var err error
		if x[i], err = r.ReadFrame(ctx, frame); err != nil {
			return fmt.Errorf("%s, frame %d: %w", frame.Source, frame.Index, err)
		}
	}
	d, err := c.agreement.Add(x[0], x[1])
	switch {
	case errors.Is(err, sdk.ErrPreset), errors.Is(err, sdk.ErrShape):
		return &exitError{exitUsage, err}
	case err != nil:
		return err
	case !d.Changed(x[0]):
		return nil
	}
	ch := describeChange(c.readers, x, d)
	ch.Source, ch.Frame, ch.Agree = frame.Source, frame.Index, round(d.Agree, 5)
	c.changed = append(c.changed, ch)
	return c.page.add(c.readers, frame, x, &ch)
}

// result sums up.
func (c *comparer) result() *comparison {
	low, high := c.agreement.Interval95()
	r := &comparison{Images: c.agreement.Images(), Agree: round(c.agreement.Mean(), 5), Interval: [2]float64{round(low, 5), round(high, 5)},
		Changed: c.changed, Task: c.readers[0].Task()}
	if r.Changed == nil {
		r.Changed = []changed{}
	}
	for i, reader := range c.readers {
		s := reader.Stats()
		r.Millis[i] = round(s.Inference.Seconds()*1e3/float64(max(1, s.Frames)), 3)
	}
	return r
}

// describeChange says what the models tell.
func describeChange(readers [2]*sdk.Reader, x [2]*sdk.Reading, d sdk.Difference) changed {
	var ch changed
	sides := [2]*any{&ch.A, &ch.B}
	only := [2][]sdk.Detection{d.OnlyX, d.OnlyY}
	for i, r := range readers {
		switch {
		case x[i].Detections != nil:
			objects, words := []sdk.Object{}, []string{}
			for _, b := range only[i] {
				objects = append(objects, sdk.Object{Label: r.Label(b.Class), ClassID: b.Class, Score: round(float64(b.Score), 5), Box: [4]float64{
					round(float64(b.Box.X0), 2), round(float64(b.Box.Y0), 2), round(float64(b.Box.Width()), 2), round(float64(b.Box.Height()), 2)}})
				words = append(words, fmt.Sprintf("%s %.2f", r.Label(b.Class), b.Score))
			}
			*sides[i], ch.words[i] = objects, "only here: "+strings.Join(words, ", ")
			if len(words) == 0 {
				ch.words[i] = "nothing of its own"
			}
		case len(x[i].Top) > 0:
			best := x[i].Top[0]
			t := topClass{Label: r.Label(best.Class), ClassID: best.Class, Score: round(float64(best.Score), 5)}
			*sides[i], ch.words[i] = t, fmt.Sprintf("%s %.2f", t.Label, t.Score)
		case x[i].Top != nil:
			ch.words[i] = "no class: its scores are not numbers"
		case x[i].Mask != nil:
			*sides[i], ch.words[i] = maskShares(r, x[i].Mask)
		}
	}
	if x[0].Outputs != nil {
		od := outputDifference{Cosine: round(d.Agree, 6)}
		ch.words[1] = fmt.Sprintf("cosine %.4f", d.Agree)
		if !math.IsInf(d.SQNR, 0) {
			db := round(d.SQNR, 2)
			od.SQNR = &db
			ch.words[1] += fmt.Sprintf(", signal to noise %.1f dB", db)
		}
		ch.B = od
	}
	return ch
}

// maskShares gives the classes of a mask, the largest first.
func maskShares(r *sdk.Reader, m *sdk.Mask) ([]areaClass, string) {
	var count [256]int
	for _, class := range m.Pix {
		count[class]++
	}
	areas, words := []areaClass{}, []string{}
	for class, n := range count {
		if n > 0 {
			areas = append(areas, areaClass{Label: r.Label(class), ClassID: class, Pixels: n, Fraction: round(float64(n)/float64(len(m.Pix)), 5)})
		}
	}
	slices.SortStableFunc(areas, func(a, b areaClass) int { return b.Pixels - a.Pixels })
	for _, a := range areas {
		words = append(words, fmt.Sprintf("%s %.1f %%", a.Label, 100*a.Fraction))
	}
	return areas, strings.Join(words, ", ")
}

// printComparison prints what a person wants to know.
func printComparison(o output, r *comparison, paths [2]string) error {
	var b strings.Builder
	noun := "images"
	if r.Images == 1 {
		noun = "image"
	}
	fmt.Fprintf(&b, "agreement %.2f %% on %d %s (95 %% interval %.2f to %.2f %%), %d changed\n", 100*r.Agree, r.Images, noun, 100*r.Interval[0], 100*r.Interval[1], len(r.Changed))
	for i, name := range []string{"a", "b"} {
		fmt.Fprintf(&b, "  %s  %s, %.2f ms an image\n", name, paths[i], r.Millis[i])
	}
	for _, c := range r.Changed {
		fmt.Fprintf(&b, "%s: %.1f %%\n", c.place(), 100*c.Agree)
		for i, name := range []string{"a", "b"} {
			if c.words[i] != "" {
				fmt.Fprintf(&b, "  %s  %s\n", name, c.words[i])
			}
		}
	}
	return o.line("%s", strings.TrimRight(b.String(), "\n"))
}
