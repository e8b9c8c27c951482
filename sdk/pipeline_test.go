package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"math"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// script is a source that plays frames and errors.
type script struct {
	steps []error // nil: a frame of squares
	at    int
}

func (s *script) Read(_ context.Context, f *camera.Frame) error {
	if s.at == len(s.steps) {
		return io.EOF
	}
	s.at++
	if err := s.steps[s.at-1]; err != nil {
		return err
	}
	f.SetImage(squares())
	f.Source, f.Index = "script", s.at-1
	return nil
}

func (s *script) Close() error { return nil }

func pipeline(t *testing.T, steps ...error) (*sdk.Pipeline, *bytes.Buffer) {
	t.Helper()
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	var out bytes.Buffer
	return &sdk.Pipeline{Source: &script{steps: steps}, Detector: d, Sinks: []sdk.Sink{sdk.JSONLines(&out)}}, &out
}

// TestPipeline plays frames with a damaged one among them to a sink of JSON.
func TestPipeline(t *testing.T) {
	bad := &camera.FrameError{Err: camera.ErrFormat}
	p, out := pipeline(t, nil, bad, nil, nil)
	var seen []error
	p.Damaged = func(err error) { seen = append(seen, err) }
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantBox, wantScore := reference(t)
	var frames []int
	for dec := json.NewDecoder(out); dec.More(); {
		var r sdk.Record
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Schema != "edgecam.detection/1" || r.Width != 128 || r.Height != 96 || len(r.Objects) != 1 ||
			math.Abs(r.Objects[0].Score-wantScore) > 1e-4 || math.Abs(r.Objects[0].Box[2]-wantBox[2]) > 0.01 {
			t.Errorf("record %+v, want score %v and box %v", r, wantScore, wantBox)
		}
		frames = append(frames, r.Frame)
	}
	if len(frames) != 3 || frames[0] != 0 || frames[1] != 2 || frames[2] != 3 {
		t.Errorf("frames %v, want 0, 2 and 3", frames)
	}
	if s := p.Stats(); s.Frames != 3 || s.Damaged != 1 || len(seen) != 1 || s.Detect <= 0 {
		t.Errorf("stats %+v, %d errors seen", s, len(seen))
	}
}

// slide is a source of one JPEG picture.
type slide struct{ data []byte }

func (s slide) Read(_ context.Context, f *camera.Frame) error { return camera.Decode(f, s.data) }

func (s slide) Close() error { return nil }

// TestPipelineShrinks demands that boxes of pictures that were decoded smaller are
// where they are in the whole ones.
func TestPipelineShrinks(t *testing.T) {
	large := image.NewRGBA(image.Rect(0, 0, 1024, 768))
	small := squares()
	for y := range 768 {
		for x := range 1024 {
			large.Set(x, y, small.At(x/8, y/8))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, large, nil); err != nil {
		t.Fatal(err)
	}
	for _, shrink := range []bool{false, true} {
		p, out := pipeline(t)
		p.Source, p.Frames, p.Shrink = slide{b.Bytes()}, 3, shrink
		var widths []int
		p.Sinks = append(p.Sinks, sdk.SinkFunc(func(_ context.Context, r *sdk.Result) error {
			widths = append(widths, r.Frame.Width)
			return nil
		}))
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if widths[0] != 1024 || (widths[1] < 1024) != shrink || widths[2] != widths[1] {
			t.Errorf("shrink %v: frames of %v columns", shrink, widths)
		}
		want, _ := reference(t)
		for dec := json.NewDecoder(out); dec.More(); {
			var r sdk.Record
			if err := dec.Decode(&r); err != nil {
				t.Fatal(err)
			}
			if r.Width != 1024 || r.Height != 768 || len(r.Objects) != 1 {
				t.Fatalf("record %+v", r)
			}
			for i, v := range r.Objects[0].Box {
				if math.Abs(v-8*want[i]) > 8 {
					t.Errorf("shrink %v: box %v, want %v times 8", shrink, r.Objects[0].Box, want)
				}
			}
		}
	}
}

// TestPipelineEnds ends a pipeline in every way but the end of its source.
func TestPipelineEnds(t *testing.T) {
	p, out := pipeline(t, nil, nil, nil)
	p.Frames = 2
	if err := p.Run(context.Background()); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 2 {
		t.Errorf("limit of two frames: %q, %v", out, err)
	}
	lost := errors.New("unplugged")
	p, _ = pipeline(t, nil, lost)
	if err := p.Run(context.Background()); !errors.Is(err, lost) || p.Stats().Frames != 1 {
		t.Errorf("lost source: %v after %d frames", err, p.Stats().Frames)
	}
	full := errors.New("disk full")
	p, _ = pipeline(t, nil)
	p.Sinks = append(p.Sinks, sdk.SinkFunc(func(context.Context, *sdk.Result) error { return full }))
	if err := p.Run(context.Background()); !errors.Is(err, full) {
		t.Errorf("failing sink: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p, _ = pipeline(t, nil)
	if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := (&sdk.Pipeline{}).Run(context.Background()); err == nil {
		t.Error("a pipeline without parts runs")
	}
}
