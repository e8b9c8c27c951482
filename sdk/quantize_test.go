package sdk_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/quant"
	"github.com/edgecam/edgecam/sdk"
)

// samples gives n pictures that differ, as inputs of a reader's model.
func samples(r *sdk.Reader, n int) quant.Samples {
	return func(yield func(quant.Sample, error) bool) {
		var f camera.Frame
		for i := range n {
			img := squares()
			for x := range 128 {
				img.SetRGBA(x, i%96, color.RGBA{uint8(i), 200, 99, 255})
			}
			f.SetImage(img)
			x, err := r.Input(context.Background(), nil, &f)
			if !yield(quant.Sample{Name: "made", Inputs: map[string]*sdk.Tensor{r.InputName(): x}}, err) {
				return
			}
		}
	}
}

func TestQuantize(t *testing.T) {
	m := load(t, "squares.onnx")
	r, err := m.NewReader(sdk.ReaderConfig{Preset: "yolox"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	quantized, report, err := m.Quantize(context.Background(), samples(r, 8), quant.Config{})
	if err != nil || report == nil {
		t.Fatal(err)
	}
	card, err := r.Card()
	if err != nil {
		t.Fatal(err)
	}
	if quantized, err = quantized.WithCard(card); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "int8.onnx")
	if err := quantized.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := quantized.Save(filepath.Join(path, "below", "a.onnx")); err == nil {
		t.Error("saving where there is no folder is no error")
	}
	back, err := sdk.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	// The preset comes from the card, and the picture's square is still found.
	q, err := back.NewReader(sdk.ReaderConfig{})
	if err != nil || q.Preset() != "yolox" {
		t.Fatal(err)
	}
	defer q.Close()
	var f camera.Frame
	f.SetImage(squares())
	x, errX := r.ReadFrame(context.Background(), &f)
	y, errY := q.ReadFrame(context.Background(), &f)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	if len(x.Detections) != 1 || len(y.Detections) != 1 {
		t.Errorf("float finds %v, int8 %v", x.Detections, y.Detections)
	}
	s, err := back.NewSession(sdk.SessionConfig{Shapes: q.Shapes()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// What is not counted in int8 is listed, and nothing else.
	var kept int64
	for _, k := range s.KeptFloat() {
		kept += k.MACs
	}
	if st := s.Stats(); st.Int8Coverage <= 0 || st.Int8Coverage > 1 || (kept == 0) != (st.Int8Coverage == 1) {
		t.Errorf("coverage %v, kept %v", st.Int8Coverage, s.KeptFloat())
	}
	if info, err := sdk.Inspect(path); err != nil || info.Stats.Int8Coverage != s.Stats().Int8Coverage || len(info.KeptFloat) != len(s.KeptFloat()) {
		t.Errorf("inspect: %+v, %v", info, err)
	}
	if c, _ := m.Card(); c != nil {
		t.Error("the float model has the card of its int8 form")
	}
}

func TestQuantizeErrors(t *testing.T) {
	m := load(t, "squares.onnx")
	r, err := m.NewReader(sdk.ReaderConfig{Preset: "yolox"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := m.Quantize(ctx, samples(r, 8), quant.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, _, err := m.Quantize(context.Background(), samples(r, 0), quant.Config{}); !errors.Is(err, quant.ErrNoSamples) {
		t.Errorf("no samples: %v", err)
	}
	torn := func(yield func(quant.Sample, error) bool) { yield(quant.Sample{}, os.ErrPermission) }
	if _, _, err := m.Quantize(context.Background(), torn, quant.Config{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("samples that cannot be read: %v", err)
	}
}

// TestReaderDraw draws a box, and nothing for a classifier.
func TestReaderDraw(t *testing.T) {
	r, err := load(t, "squares.onnx").NewReader(sdk.ReaderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, c := range []struct {
		reading *sdk.Reading
		drawn   bool
	}{{&sdk.Reading{Top: []sdk.Category{{Class: 1}}}, false}, {&sdk.Reading{Detections: boxes([5]float32{0, 10, 10, 50, 50})}, true}, {&sdk.Reading{Mask: mask("01")}, true}} {
		img := image.NewRGBA(image.Rect(0, 0, 64, 64))
		r.Draw(img, c.reading)
		drawn := false
		for _, v := range img.Pix {
			drawn = drawn || v != 0
		}
		if drawn != c.drawn {
			t.Errorf("%+v: drawn %v, want %v", c.reading, drawn, c.drawn)
		}
	}
}
