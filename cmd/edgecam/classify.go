package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// classification is one line of edgecam classify --json.
type classification struct {
	Schema          string     `json:"schema"`
	Source          string     `json:"source"`
	Frame           int        `json:"frame"`
	InferenceMillis float64    `json:"inference_ms"`
	Top             []topClass `json:"top"`
}

// topClass is one class of a picture, with its probability.
type topClass struct {
	Label   string  `json:"label"`
	ClassID int     `json:"class_id"`
	Score   float64 `json:"score"`
}

// classifyFlags are the flags of edgecam classify.
type classifyFlags struct {
	feedFlags
	top    int
	labels string
}

func newClassify(o output) *cobra.Command {
	var f classifyFlags
	c := &cobra.Command{
		Use:   "classify -m MODEL -s SOURCE",
		Short: "Tell what images and video show",
		Long: `Tells what images and video show, and prints one line for each image or frame
with the classes of highest score.

` + sourceHelp + `

--labels names the classes where the model does not: a text file with a line for
each class. A first line "background" too many, as TensorFlow's lists for
ImageNet have it, is left out.

Presets say how a model is fed and its output is read; without --preset the
model's card says it, or it is recognised from the output. Presets:
` + wrapList(sdk.ClassifierPresets()) + ".",
		Example: `  edgecam classify -m mobilenet_v2.onnx -s photo.jpg --preset imagenet --labels imagenet_labels.txt
  edgecam classify -m model.onnx -s 0 --top 1 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runClassify(cmd.Context(), o, f) },
	}
	f.add(c, "")
	c.Flags().IntVar(&f.top, "top", sdk.DefaultTop, "number of classes to print")
	c.Flags().StringVar(&f.labels, "labels", "", "text `file` with the name of a class on each line")
	return c
}

func runClassify(ctx context.Context, o output, f classifyFlags) error {
	if f.top < 1 {
		return usage("--top %d: give 1 or more", f.top)
	}
	if err := f.check(); err != nil {
		return err
	}
	m, err := load(f.model)
	if err != nil {
		return err
	}
	cls, err := m.NewClassifier(sdk.ClassifierConfig{Preset: f.preset, Threads: f.threads, Top: f.top, MaxSessions: 1})
	if err != nil {
		return f.presetError(err, sdk.ClassifierPresets())
	}
	defer cls.Close()
	labels := cls.Labels()
	if f.labels != "" {
		if labels, err = readLabels(f.labels, len(labels)); err != nil {
			return err
		}
	}
	j, err := f.start(o, "classify")
	if err != nil {
		return err
	}
	var top []sdk.Category
	err = j.each(ctx, func(frame *camera.Frame) error {
		before := cls.Stats().Inference
		if top, err = cls.ClassifyFrame(ctx, top, frame); err != nil {
			return fmt.Errorf("%s, frame %d: %w", frame.Source, frame.Index, err)
		}
		took := cls.Stats().Inference - before
		r := classification{Schema: "edgecam.classification/1", Source: frame.Source, Frame: frame.Index,
			InferenceMillis: round(float64(took)/float64(time.Millisecond), 3), Top: make([]topClass, len(top))}
		for i, x := range top {
			r.Top[i] = topClass{Label: labels[x.Class], ClassID: x.Class, Score: round(float64(x.Score), 5)}
		}
		return writing(j.put(frame, took, &r))
	})
	return j.end(ctx, err, cls.Stats())
}

// readLabels reads the names of a number of classes.
func readLabels(path string, classes int) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("--labels: %w", err)
	}
	var labels []string
	for line := range strings.Lines(strings.TrimRight(string(b), "\r\n\t ")) {
		labels = append(labels, strings.TrimSpace(line))
	}
	if len(labels) == classes+1 && strings.EqualFold(labels[0], "background") {
		labels = labels[1:]
	}
	if len(labels) != classes {
		return nil, usage("--labels %s: it has %d lines, the model tells %d classes apart", path, len(labels), classes)
	}
	return labels, nil
}

func (c *classification) gist() string {
	if len(c.Top) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s %.2f", c.Top[0].Label, c.Top[0].Score)
}

func (c *classification) full() string {
	words := make([]string, len(c.Top))
	for i, x := range c.Top {
		words[i] = fmt.Sprintf("%s %.2f", x.Label, x.Score)
	}
	return strings.Join(words, "; ")
}
