package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

func TestMain(m *testing.M) {
	// The engine's workers live as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/edgecam/edgecam/internal/engine.(*pool).serve"))
}

const assets = "../testdata/sdk/"

func load(t *testing.T, name string) *sdk.Model {
	t.Helper()
	m, err := sdk.Load(assets + name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reference reads what ONNX Runtime and YOLOX's formula find in squares.png.
func reference(t *testing.T) (box [4]float64, score float64) {
	t.Helper()
	b, err := os.ReadFile(assets + "squares.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []struct {
		Score float64
		Box   [4]float64
	}
	if err := json.Unmarshal(b, &want); err != nil || len(want) != 1 {
		t.Fatal(err, len(want))
	}
	return want[0].Box, want[0].Score
}

// squares draws the picture of squares.png.
func squares() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, 128, 96))
	draw.Draw(img, img.Rect, image.NewUniform(color.Gray{20}), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(64, 0, 128, 64), image.White, image.Point{}, draw.Src)
	return img
}

// TestDetectKinds gives the same picture in every form that Go programs have.
func TestDetectKinds(t *testing.T) {
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rgba := squares()
	convert := func(dst draw.Image) image.Image {
		draw.Draw(dst, dst.Bounds(), rgba, image.Point{}, draw.Src)
		return dst
	}
	big := image.NewRGBA(image.Rect(-10, -20, 200, 200))
	draw.Draw(big, rgba.Rect, rgba, image.Point{}, draw.Src)
	wantBox, wantScore := reference(t)
	for name, img := range map[string]image.Image{
		"RGBA": rgba, "NRGBA": convert(image.NewNRGBA(rgba.Rect)), "Gray": convert(image.NewGray(rgba.Rect)),
		"RGBA64": convert(image.NewRGBA64(rgba.Rect)), "part of a larger one": big.SubImage(rgba.Rect),
	} {
		dets, err := d.Detect(context.Background(), img)
		if err != nil || len(dets) != 1 {
			t.Errorf("%s: %v, %v", name, dets, err)
			continue
		}
		x := dets[0]
		got := [4]float64{float64(x.Box.X0), float64(x.Box.Y0), float64(x.Box.Width()), float64(x.Box.Height())}
		for i := range got {
			if math.Abs(got[i]-wantBox[i]) > 0.01 {
				t.Errorf("%s: box %v, want %v", name, got, wantBox)
				break
			}
		}
		if math.Abs(float64(x.Score)-wantScore) > 1e-4 {
			t.Errorf("%s: score %v, want %v", name, x.Score, wantScore)
		}
	}
	for _, img := range []image.Image{nil, image.NewRGBA(image.Rectangle{})} {
		if _, err := d.Detect(context.Background(), img); err == nil {
			t.Errorf("%T without pixels is no error", img)
		}
	}
	for _, f := range []*camera.Frame{nil, {}, {Width: 4, Height: 4, Stride: 12, Pix: make([]byte, 5)}} {
		if _, err := d.DetectFrame(context.Background(), f); err == nil {
			t.Errorf("frame %+v is no error", f)
		}
	}
	if got := d.Stats().Frames; got != 5 {
		t.Errorf("%d frames are counted, want the 5 that succeeded", got)
	}
}

// TestDetectorConcurrent asks one detector from many goroutines.
func TestDetectorConcurrent(t *testing.T) {
	for _, sessions := range []int{1, 3} {
		d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{MaxSessions: sessions})
		if err != nil {
			t.Fatal(err)
		}
		img := squares()
		empty := image.NewRGBA(img.Rect)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 20 {
					want, pic := 1, image.Image(img)
					if (g+i)%2 == 0 {
						want, pic = 0, empty
					}
					if dets, err := d.Detect(context.Background(), pic); err != nil || len(dets) != want {
						t.Errorf("%v, %v; want %d detections", dets, err, want)
					}
				}
			})
		}
		wg.Wait()
		if got := d.Stats().Frames; got != 160 {
			t.Errorf("%d frames are counted, want 160", got)
		}
		d.Close()
		if _, err := d.Detect(context.Background(), img); !errors.Is(err, sdk.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestDetectorCancelled(t *testing.T) {
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Detect(ctx, squares()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if dets, err := d.Detect(context.Background(), squares()); err != nil || len(dets) != 1 {
		t.Errorf("after a cancelled call: %v, %v", dets, err)
	}
}

func TestDetectorConfig(t *testing.T) {
	for _, c := range []struct {
		name, model string
		config      sdk.DetectorConfig
		is          error
		want        string
	}{
		{"unknown preset", "squares.onnx", sdk.DetectorConfig{Preset: "yolo99"}, sdk.ErrPreset, "fastestdet"},
		{"unfit preset", "squares.onnx", sdk.DetectorConfig{Preset: "nanodet"}, sdk.ErrPreset, "six outputs"},
		{"too many labels", "squares.onnx", sdk.DetectorConfig{Labels: []string{"a", "b"}}, sdk.ErrPreset, "1 classes"},
		{"class that is not there", "squares.onnx", sdk.DetectorConfig{Classes: []string{"dog"}}, sdk.ErrPreset, "dog"},
		{"score", "squares.onnx", sdk.DetectorConfig{MinScore: 2}, nil, "MinScore"},
		{"not a detector", "tensors.onnx", sdk.DetectorConfig{}, sdk.ErrPreset, "float32"},
	} {
		_, err := load(t, c.model).NewDetector(c.config)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{Labels: []string{"square"}, Classes: []string{"square"}, MinScore: -1, IoU: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dets, err := d.Detect(context.Background(), squares())
	if err != nil || len(dets) != 84 {
		t.Errorf("without thresholds: %d detections, want all 84 cells; %v", len(dets), err)
	}
	if d.Label(0) != "square" || d.Label(7) != "class 7" || d.Label(-1) != "class -1" {
		t.Errorf("labels %q, %q, %q", d.Label(0), d.Label(7), d.Label(-1))
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.onnx")
	whole, err := os.ReadFile(assets + "squares.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		is   error
	}{
		"empty": {nil, sdk.ErrFormat}, "text": {[]byte("hello"), sdk.ErrFormat}, "cut off": {whole[:len(whole)/2], sdk.ErrFormat},
	} {
		if err := os.WriteFile(garbage, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := sdk.Load(garbage); !errors.Is(err, c.is) || !strings.Contains(err.Error(), "garbage.onnx") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sdk.Load(filepath.Join(dir, "none.onnx")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestSessionErrors(t *testing.T) {
	m := load(t, "squares.onnx")
	for name, c := range map[string]struct {
		config sdk.SessionConfig
		is     error
	}{
		"unknown input":       {sdk.SessionConfig{Shapes: map[string][]int{"picture": {1, 3, 64, 64}}}, sdk.ErrInput},
		"other size":          {sdk.SessionConfig{Shapes: map[string][]int{"images": {1, 3, 32, 32}}}, sdk.ErrInput},
		"other rank":          {sdk.SessionConfig{Shapes: map[string][]int{"images": {3, 64, 64}}}, sdk.ErrInput},
		"too little memory":   {sdk.SessionConfig{MemoryLimit: 50_000}, sdk.ErrMemory},
		"value of wrong type": {sdk.SessionConfig{Values: map[string]*sdk.Tensor{"images": {DType: sdk.Int64, Shape: []int{1}, Data: make([]byte, 8)}}}, sdk.ErrInput},
	} {
		s, err := m.NewSession(c.config)
		if err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
		if s != nil {
			t.Errorf("%s: a session comes with the error", name)
		}
	}
	_, err := load(t, "tensors.onnx").NewSession(sdk.SessionConfig{})
	if !errors.Is(err, sdk.ErrNeedValue) {
		t.Errorf("a size that depends on contents: %v", err)
	}
}

func TestSessionClosed(t *testing.T) {
	s, err := load(t, "squares.onnx").NewSession(sdk.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Input("nothing") != nil || s.Output("nothing") != nil {
		t.Error("a port that there is not has a tensor")
	}
	s.Close()
	if err := s.Run(context.Background()); !errors.Is(err, sdk.ErrClosed) {
		t.Errorf("Run after Close: %v", err)
	}
}

// TestSessionsAgree runs sessions of one model at the same time, with
// different numbers of threads: the bits must be the same.
func TestSessionsAgree(t *testing.T) {
	m := load(t, "squares.onnx")
	run := func(threads int) []float32 {
		s, err := m.NewSession(sdk.SessionConfig{Threads: threads})
		if err != nil {
			t.Error(err)
			return nil
		}
		defer s.Close()
		in := s.Input("images").F32()
		for i := range in {
			in[i] = float32(i*7919%256) / 2
		}
		if err := s.Run(context.Background()); err != nil {
			t.Error(err)
		}
		return append([]float32(nil), s.Output("output").F32()...)
	}
	want := run(1)
	var wg sync.WaitGroup
	for k := range 6 {
		wg.Go(func() {
			got := run(1 + k%3)
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Errorf("element %d is %v in one session and %v in another", i, got[i], want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestRunAllocatesNothing(t *testing.T) {
	s, err := load(t, "squares.onnx").NewSession(sdk.SessionConfig{Threads: min(2, runtime.GOMAXPROCS(0))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	if n := testing.AllocsPerRun(50, func() {
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Run allocates %v times", n)
	}
}

func TestInspect(t *testing.T) {
	info, err := sdk.Inspect(assets + "squares.onnx")
	if err != nil {
		t.Fatal(err)
	}
	// Nine convolutions over whole cells; see testdata/gen/sdk.py.
	params := int64(0)
	for _, s := range []int64{8, 16, 32} {
		params += 6*3*s*s + 6
	}
	if info.Opset != 17 || info.Ops["Conv"] != 9 || info.Params != params || info.Stats.MACs != 64*64*3*6*3 || info.Stats.ArenaBytes <= 0 ||
		info.PlanError != nil || len(info.Unsupported) != 0 || !strings.Contains(info.Producer, "testdata/gen") {
		t.Errorf("%+v", info)
	}
	info, err = sdk.Inspect(assets + "tensors.onnx")
	if err != nil || !errors.Is(info.PlanError, sdk.ErrNeedValue) || info.Params != 15 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestNewTensor(t *testing.T) {
	if x, err := sdk.NewTensor(sdk.Float32, 2, 3); err != nil || len(x.F32()) != 6 {
		t.Error(x, err)
	}
	for _, shape := range [][]int{{-1}, {1 << 40}, {1 << 31, 1 << 31, 4}} {
		if _, err := sdk.NewTensor(sdk.Float32, shape...); !errors.Is(err, sdk.ErrShape) {
			t.Errorf("%v: %v", shape, err)
		}
	}
}
