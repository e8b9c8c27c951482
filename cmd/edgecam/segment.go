package main

import (
	"context"
	"fmt"
	"image"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// segmentation is one line of edgecam segment --json.
type segmentation struct {
	Schema          string      `json:"schema"`
	Source          string      `json:"source"`
	Frame           int         `json:"frame"`
	Width           int         `json:"width"`
	Height          int         `json:"height"`
	InferenceMillis float64     `json:"inference_ms"`
	Classes         []areaClass `json:"classes"`
	Mask            string      `json:"mask,omitempty"` // file that was written
}

// areaClass is one class that is in a frame, and how much of it it covers.
type areaClass struct {
	Label    string  `json:"label"`
	ClassID  int     `json:"class_id"`
	Pixels   int     `json:"pixels"`
	Fraction float64 `json:"fraction"`
}

// segmentFlags are the flags of edgecam segment.
type segmentFlags struct {
	feedFlags
	overlay bool
}

func newSegment(o output) *cobra.Command {
	var f segmentFlags
	c := &cobra.Command{
		Use:   "segment -m MODEL -s SOURCE",
		Short: "Tell the class of every pixel of images and video",
		Long: `Tells the class of every pixel of images and video, and prints one line for each
image or frame with the number of pixels of each class, largest first.

-o writes masks: PNG pictures of the size of the frame whose palette indices are
the classes. With --overlay it writes the frames tinted in the colours of the
classes instead; class 0, which most models have for the background, stays
clear.

` + sourceHelp + `

Presets say how a model is fed and its output is read; without --preset the
model's card says it, or it is recognised from the output. Presets:
` + wrapList(sdk.SegmenterPresets()) + ".",
		Example: `  edgecam segment -m SINet_Softmax.onnx -s photo.jpg --preset segment -o mask.png
  edgecam segment -m model.onnx -s video.avi --overlay -o out.avi`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSegment(cmd.Context(), o, f) },
	}
	f.add(c, "`OUT` for masks: a .png file for one image, else a folder; with --overlay as for detect")
	c.Flags().BoolVar(&f.overlay, "overlay", false, "write tinted frames instead of masks")
	return c
}

func runSegment(ctx context.Context, o output, f segmentFlags) (err error) {
	if f.overlay && f.out == "" {
		return usage("--overlay is about what is written: give -o too")
	}
	if err := f.check(); err != nil {
		return err
	}
	m, err := load(f.model)
	if err != nil {
		return err
	}
	seg, err := m.NewSegmenter(sdk.SegmenterConfig{Preset: f.preset, Threads: f.threads, MaxSessions: 1})
	if err != nil {
		return f.presetError(err, sdk.SegmenterPresets())
	}
	defer seg.Close()
	j, err := f.start(o, "segment")
	if err != nil {
		return err
	}
	var masks *album
	var overlay drawing
	switch {
	case f.out == "":
	case f.overlay:
		overlay, err = newDrawing(f.out, f.source, j.in)
	default:
		masks, err = newAlbum(f.out, f.source, ".png")
	}
	if err != nil {
		j.abandon()
		return err
	}
	if overlay != nil {
		defer func() {
			if e := writing(overlay.close()); err == nil {
				err = e
			}
		}()
	}
	var mask sdk.Mask
	err = j.each(ctx, func(frame *camera.Frame) error {
		before := seg.Stats().Inference
		if err := seg.SegmentFrame(ctx, &mask, frame); err != nil {
			return fmt.Errorf("%s, frame %d: %w", frame.Source, frame.Index, err)
		}
		took := seg.Stats().Inference - before
		r := areas(seg, frame, &mask)
		r.InferenceMillis = round(float64(took)/float64(time.Millisecond), 3)
		switch {
		case masks != nil:
			if r.Mask, err = masks.path(frame, ".png"); err == nil {
				err = masks.write(r.Mask, mask.Image())
			}
		case overlay != nil:
			err = overlay.add(frame, func(img *image.RGBA) { seg.Draw(img, &mask) })
		}
		if err != nil {
			return writing(err)
		}
		return writing(j.put(frame, took, r))
	})
	return j.end(ctx, err, seg.Stats())
}

// areas counts the pixels of each class.
func areas(seg *sdk.Segmenter, f *camera.Frame, m *sdk.Mask) *segmentation {
	var count [256]int
	for _, class := range m.Pix {
		count[class]++
	}
	r := &segmentation{Schema: "edgecam.segmentation/1", Source: f.Source, Frame: f.Index, Width: f.Width, Height: f.Height, Classes: []areaClass{}}
	for class, n := range count {
		if n > 0 {
			r.Classes = append(r.Classes, areaClass{Label: seg.Label(class), ClassID: class, Pixels: n, Fraction: round(float64(n)/float64(len(m.Pix)), 5)})
		}
	}
	slices.SortStableFunc(r.Classes, func(a, b areaClass) int { return b.Pixels - a.Pixels })
	return r
}

func (s *segmentation) gist() string {
	words := make([]string, len(s.Classes))
	for i, c := range s.Classes {
		words[i] = fmt.Sprintf("%s %.1f %%", c.Label, 100*c.Fraction)
	}
	return strings.Join(words, ", ")
}

func (s *segmentation) full() string { return s.gist() }
