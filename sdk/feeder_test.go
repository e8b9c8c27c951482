package sdk_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// TestAppendFrameAllocatesNothing holds the way from a decoded frame to boxes
// to no allocation.
func TestAppendFrameAllocatesNothing(t *testing.T) {
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var f camera.Frame
	f.SetImage(squares())
	var dets []sdk.Detection
	one := func() {
		if dets, err = d.AppendFrame(context.Background(), dets, &f); err != nil || len(dets) != 1 {
			t.Fatal(dets, err)
		}
	}
	one()
	if n := testing.AllocsPerRun(50, one); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
	for _, format := range []camera.Format{camera.BGR24, camera.GRAY8, camera.YUYV, camera.NV12} {
		f := camera.Frame{Pix: make([]byte, 3*160*120), Width: 160, Height: 120, Stride: 160, Format: format}
		switch format {
		case camera.BGR24:
			f.Stride *= 3
		case camera.YUYV:
			f.Stride *= 2
		}
		one := func() {
			if dets, err = d.AppendFrame(context.Background(), dets, &f); err != nil {
				t.Fatal(err)
			}
		}
		one()
		if n := testing.AllocsPerRun(50, one); n != 0 {
			t.Errorf("%v: %v allocations a frame", format, n)
		}
	}
}

// TestTasks names a preset of one task where another is asked for.
func TestTasks(t *testing.T) {
	m := load(t, "squares.onnx")
	for name, err := range map[string]error{
		"classifier": second(m.NewClassifier(sdk.ClassifierConfig{Preset: "yolox"})),
		"segmenter":  second(m.NewSegmenter(sdk.SegmenterConfig{Preset: "yolox"})),
		"detector":   second(m.NewDetector(sdk.DetectorConfig{Preset: "imagenet"})),
	} {
		if !errors.Is(err, sdk.ErrPreset) || !strings.Contains(err.Error(), "is for edgecam") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
