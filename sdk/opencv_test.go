//go:build gocv

package sdk_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// newDetector loads a model.
func newDetector(t testing.TB, path, preset string) *sdk.Detector {
	t.Helper()
	m, err := sdk.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := m.NewDetector(sdk.DetectorConfig{Preset: preset})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// TestOpenCVVideoToBoxes follows the square that the video was drawn with:
// upper right for six frames, then upper left.
func TestOpenCVVideoToBoxes(t *testing.T) {
	d := newDetector(t, "../testdata/sdk/squares.onnx", "yolox")
	src, err := camera.Open("../testdata/camera/moving.mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var f camera.Frame
	var dets []sdk.Detection
	for i := range 12 {
		if err := src.Read(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if dets, err = d.AppendFrame(t.Context(), dets, &f); err != nil {
			t.Fatal(err)
		}
		want := sdk.Box{X0: 64, X1: 128, Y1: 64}
		if i >= 6 {
			want = sdk.Box{X1: 64, Y1: 64}
		}
		if len(dets) != 1 || dets[0].Box != want {
			t.Errorf("frame %d: %+v, want one box %+v", i, dets, want)
		}
	}
}

// TestOpenCVVideoAllocatesNothing counts from the decoded frame in OpenCV's
// memory to boxes.
func TestOpenCVVideoAllocatesNothing(t *testing.T) {
	d := newDetector(t, "../testdata/sdk/squares.onnx", "yolox")
	src, err := camera.Open("../testdata/camera/moving.mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var f camera.Frame
	var dets []sdk.Detection
	found := 0
	n := testing.AllocsPerRun(10, func() {
		if err = src.Read(t.Context(), &f); err == nil {
			dets, err = d.AppendFrame(t.Context(), dets, &f)
		}
		if err != nil {
			t.Fatal(err)
		}
		found += len(dets)
	})
	if n != 0 || found != 11 {
		t.Errorf("%v allocations a frame, %d boxes in 11 frames", n, found)
	}
}

// BenchmarkOpenCVVideo takes a video from file to boxes: EDGECAM_VIDEO, or that
// of Debian's opencv-doc, with FastestDet.
func BenchmarkOpenCVVideo(b *testing.B) {
	video := os.Getenv("EDGECAM_VIDEO")
	if video == "" {
		video = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
	}
	model := filepath.Join(os.Getenv("EDGECAM_ASSETS"), "models", "fastestdet", "FastestDet.onnx")
	for _, need := range []string{video, model} {
		if _, err := os.Stat(need); err != nil {
			b.Skipf("%v: set EDGECAM_ASSETS, and EDGECAM_VIDEO or install opencv-doc", err)
		}
	}
	d := newDetector(b, model, "fastestdet")
	b.ReportAllocs()
	var f camera.Frame
	var dets []sdk.Detection
	var src camera.Source
	var err error
	for b.Loop() {
		if src == nil {
			if src, err = camera.Open(video); err != nil {
				b.Fatal(err)
			}
		}
		err = src.Read(context.Background(), &f)
		if errors.Is(err, io.EOF) {
			src.Close()
			src = nil
			continue
		}
		if err == nil {
			dets, err = d.AppendFrame(context.Background(), dets, &f)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if src != nil {
		src.Close()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}
