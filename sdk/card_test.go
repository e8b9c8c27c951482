package sdk_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/sdk"
)

// withCard saves a test model under a card.
func withCard(t *testing.T, card *sdk.Card) string {
	t.Helper()
	g, err := onnx.Open(assets + "squares.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if err := card.Write(g); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "card.onnx")
	if err := onnx.Save(path, g); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDetectorCard lets a model's card name its classes and say how it is fed.
// Halving the deviation doubles the input, which the raw scores must show.
func TestDetectorCard(t *testing.T) {
	best := func(card *sdk.Card, c sdk.DetectorConfig) (string, float32) {
		m, err := sdk.Load(withCard(t, card))
		if err != nil {
			t.Fatal(err)
		}
		d, err := m.NewDetector(c)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		dets, err := d.Detect(context.Background(), squares())
		if err != nil || len(dets) == 0 {
			t.Fatalf("%v, %v", dets, err)
		}
		return d.Label(dets[0].Class), dets[0].Score
	}
	_, score := reference(t)
	card := &sdk.Card{Task: "detect", Labels: []string{"square"}, Decoder: "yolox"}
	if label, s := best(card, sdk.DetectorConfig{}); label != "square" || math.Abs(float64(s)-score) > 1e-4 {
		t.Errorf("%s %v, want the card's label and %v", label, s, score)
	}
	if label, _ := best(card, sdk.DetectorConfig{Labels: []string{"tile"}}); label != "tile" {
		t.Errorf("label %q, want the caller's", label)
	}
	card.Preprocess = &onnx.Preprocess{Std: []float64{4, 4, 4}}
	if _, s := best(card, sdk.DetectorConfig{MinScore: -1}); math.Abs(float64(s)-score) < 1e-3 {
		t.Errorf("score %v although the card dims the picture", s)
	}
	if _, s := best(card, sdk.DetectorConfig{Preset: "yolox"}); math.Abs(float64(s)-score) > 1e-4 {
		t.Errorf("score %v, want %v: a preset that is named stands in for the card", s, score)
	}
	for _, c := range []struct {
		card sdk.Card
		want string
	}{
		{sdk.Card{Decoder: "yolo99"}, "yolo99"},
		{sdk.Card{Preprocess: &onnx.Preprocess{Color: "gray"}}, "gray"},
		{sdk.Card{Preprocess: &onnx.Preprocess{Mean: []float64{1, 2}}}, "2 means"},
		{sdk.Card{Labels: []string{"a", "b"}}, "2 labels"},
	} {
		m, err := sdk.Load(withCard(t, &c.card))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.NewDetector(sdk.DetectorConfig{}); !errors.Is(err, sdk.ErrPreset) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("card %+v: %v", c.card, err)
		}
	}
}

// TestReplan changes the batch of a session and keeps it after a refusal.
func TestReplan(t *testing.T) {
	m := load(t, "tensors.onnx")
	shape, err := sdk.ReadTensor(assets + "tensors_shape.npy")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]*sdk.Tensor{"shape": shape}
	s, err := m.NewSession(sdk.SessionConfig{Shapes: map[string][]int{"x": {2, 4}}, Values: values})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	if err := s.Replan(map[string][]int{"nobody": {1}}, values); !errors.Is(err, sdk.ErrInput) {
		t.Errorf("an input that is not there: %v", err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	other := shape.Clone()
	other.I64()[1] *= 2 // twice the batch, twice the elements
	if err := s.Replan(map[string][]int{"x": {4, 4}}, map[string]*sdk.Tensor{"shape": other}); err != nil {
		t.Fatal(err)
	}
	if got := s.Input("x").Shape; !got.Equal([]int{4, 4}) {
		t.Errorf("input %v, want 4x4", got)
	}
	if err := s.Run(context.Background()); err != nil || s.Output("a/relu:0").Shape[0] != 4 {
		t.Errorf("output %v, %v", s.Output("a/relu:0").Shape, err)
	}
}
