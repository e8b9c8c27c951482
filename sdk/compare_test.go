package sdk_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// boxes makes detections of class, x0, y0, x1, y1.
func boxes(all ...[5]float32) []sdk.Detection {
	dets := []sdk.Detection{}
	for _, b := range all {
		dets = append(dets, sdk.Detection{Class: int(b[0]), Score: 0.9, Box: sdk.Box{X0: b[1], Y0: b[2], X1: b[3], Y1: b[4]}})
	}
	return dets
}

func mask(pix string) *sdk.Mask {
	m := &sdk.Mask{Rect: image.Rect(0, 0, len(pix), 1), Pix: []byte(pix)}
	for i := range m.Pix {
		m.Pix[i] -= '0'
	}
	return m
}

// TestCompare works the definition out by hand.
func TestCompare(t *testing.T) {
	top := func(classes ...int) *sdk.Reading {
		r := &sdk.Reading{Top: []sdk.Category{}}
		for _, c := range classes {
			r.Top = append(r.Top, sdk.Category{Class: c})
		}
		return r
	}
	dets := func(all ...[5]float32) *sdk.Reading { return &sdk.Reading{Detections: boxes(all...)} }
	segments := func(pix string) *sdk.Reading { return &sdk.Reading{Mask: mask(pix)} }
	raw := func(v ...float32) *sdk.Reading { return &sdk.Reading{Outputs: [][]float32{v}} }
	nan := float32(math.NaN())
	for _, c := range []struct {
		name         string
		x, y         *sdk.Reading
		agree        float64
		onlyX, onlyY int
		changed      bool
	}{
		{"same class", top(3, 1), top(3, 2), 1, 0, 0, false},
		{"other class", top(3, 1), top(1, 3), 0, 0, 0, true},
		{"one without a class", top(0), top(), 0, 0, 0, true},
		{"both without a class", top(), top(), 1, 0, 0, false},
		{"no boxes", dets(), dets(), 1, 0, 0, false},
		{"same boxes in another order", dets([5]float32{0, 0, 0, 10, 10}, [5]float32{1, 0, 0, 10, 10}), dets([5]float32{1, 0, 0, 10, 10}, [5]float32{0, 0, 0, 10, 10}), 1, 0, 0, false},
		{"box lost", dets([5]float32{0, 0, 0, 10, 10}), dets(), 0, 1, 0, true},
		{"other class of a box", dets([5]float32{0, 0, 0, 10, 10}), dets([5]float32{1, 0, 0, 10, 10}), 0, 1, 1, true},
		{"half the box is IoU 1/2", dets([5]float32{0, 0, 0, 10, 10}), dets([5]float32{0, 0, 0, 10, 5}), 1, 0, 0, false},
		{"less than half", dets([5]float32{0, 0, 0, 10, 10}), dets([5]float32{0, 0, 0, 10, 4.9}), 0, 1, 1, true},
		{"one box matches one", dets([5]float32{0, 0, 0, 10, 10}), dets([5]float32{0, 0, 0, 10, 9}, [5]float32{0, 0, 1, 10, 10}), 0.5, 0, 1, true},
		{"the best overlap first", dets([5]float32{0, 0, 0, 10, 10}, [5]float32{0, 0, 2, 10, 12}), dets([5]float32{0, 0, 2, 10, 12}), 0.5, 1, 0, true},
		{"same mask", segments("0011"), segments("0011"), 1, 0, 0, false},
		{"mask", segments("0011"), segments("0001"), (2./3 + 1./2) / 2, 0, 0, true},
		{"other class of a mask", segments("00"), segments("55"), 0, 0, 0, true},
		{"same outputs", raw(1, 2), raw(1, 2), 1, 0, 0, false},
		{"right angle", raw(1, 0), raw(0, 1), 0, 0, 0, true},
		{"45 degrees", raw(1, 0), raw(1, 1), math.Sqrt(0.5), 0, 0, true},
		{"opposite", raw(1, 0), raw(-1, 0), 0, 0, 0, true},
		{"not a number", raw(1, 0), raw(nan, 0), 0, 0, 0, true},
	} {
		d, err := sdk.Compare(c.x, c.y)
		if err != nil || math.Abs(d.Agree-c.agree) > 1e-12 || len(d.OnlyX) != c.onlyX || len(d.OnlyY) != c.onlyY || d.Changed(c.x) != c.changed {
			t.Errorf("%s: %+v, changed %v, %v; want %v, %d and %d boxes alone, changed %v", c.name, d, d.Changed(c.x), err, c.agree, c.onlyX, c.onlyY, c.changed)
		}
	}
	if d, _ := sdk.Compare(raw(10, 0), raw(10, 1)); math.Abs(d.SQNR-20) > 1e-12 {
		t.Errorf("a tenth of the signal is noise of %v dB, want 20", d.SQNR)
	}
	if d, _ := sdk.Compare(segments("0011"), segments("0001")); d.Pixels != 0.75 {
		t.Errorf("%v of the pixels agree, want 3/4", d.Pixels)
	}
	for name, c := range map[string][2]*sdk.Reading{
		"boxes and classes": {dets(), top(1)}, "masks of two sizes": {segments("00"), segments("000")}, "outputs of two sizes": {raw(1), raw(1, 2)},
		"one output more": {raw(1), {Outputs: [][]float32{{1}, {2}}}}, "nothing": {{}, {}},
	} {
		if _, err := sdk.Compare(c[0], c[1]); err == nil || !strings.Contains(err.Error(), "comparing models") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInterval compares with the table of R. G. Newcombe, Statistics in
// Medicine 17 (1998), 857-872: method 3, the score interval.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		yes, all  int
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		var a sdk.Agreement
		for i := range c.all {
			y := &sdk.Reading{Top: []sdk.Category{{Class: min(1, max(0, i-c.yes+1))}}}
			if _, err := a.Add(&sdk.Reading{Top: []sdk.Category{{}}}, y); err != nil {
				t.Fatal(err)
			}
		}
		low, high := a.Interval95()
		if a.Images() != c.all || math.Abs(a.Mean()-float64(c.yes)/float64(c.all)) > 1e-12 || math.Abs(low-c.low) > 5e-5 || math.Abs(high-c.high) > 5e-5 {
			t.Errorf("%d of %d: mean %v, interval %v to %v, want %v to %v", c.yes, c.all, a.Mean(), low, high, c.low, c.high)
		}
	}
	// Shares: near the normal interval of the mean, mean +- 1.96 s / sqrt(n).
	var a, again sdk.Agreement
	one, two := boxes([5]float32{0, 0, 0, 1, 1}), boxes([5]float32{0, 0, 0, 1, 1}, [5]float32{0, 5, 5, 6, 6})
	for i := range 100 {
		y := one
		if i%4 == 0 {
			y = two // an agreement of 1/2
		}
		for _, a := range []*sdk.Agreement{&a, &again} {
			if _, err := a.Add(&sdk.Reading{Detections: one}, &sdk.Reading{Detections: y}); err != nil {
				t.Fatal(err)
			}
		}
	}
	low, high := a.Interval95()
	half := 1.96 * 0.5 * math.Sqrt(0.25*0.75) / 10
	if a.Mean() != 0.875 || math.Abs(low-(0.875-half)) > 0.006 || math.Abs(high-(0.875+half)) > 0.006 {
		t.Errorf("mean %v, interval %v to %v, want 0.875 +- %v", a.Mean(), low, high, half)
	}
	if l, h := again.Interval95(); l != low || h != high {
		t.Errorf("again %v to %v, want %v to %v", l, h, low, high)
	}
	var none sdk.Agreement
	if low, high := none.Interval95(); low != 0 || high != 1 || none.Mean() != 0 {
		t.Errorf("without pictures %v, %v to %v", none.Mean(), low, high)
	}
}

// TestReader reads models of every task, by frame and by input.
func TestReader(t *testing.T) {
	const tasks = "../testdata/tasks/"
	ctx := context.Background()
	for _, c := range []struct {
		model, preset, task string
	}{
		{assets + "squares.onnx", "", "detect"},
		{tasks + "colours.onnx", "imagenet", "classify"},
		{tasks + "halves.onnx", "segment", "segment"},
		{tasks + "halves.onnx", "yolox", "outputs"}, // fed by the preset, read by none
	} {
		m, err := sdk.Load(c.model)
		if err != nil {
			t.Fatal(err)
		}
		r, err := m.NewReader(sdk.ReaderConfig{Preset: c.preset, MaxSessions: 1})
		if err != nil {
			t.Fatal(c.model, err)
		}
		if r.Task() != c.task {
			t.Errorf("%s: task %s, want %s", c.model, r.Task(), c.task)
		}
		w, h := r.Size()
		img := image.NewRGBA(image.Rect(0, 0, w, h)) // so that pixels of the frame are those of the input
		draw.Draw(img, img.Rect, image.NewUniform(color.Gray{20}), image.Point{}, draw.Src)
		draw.Draw(img, image.Rect(w/2, 0, w, h/2), image.White, image.Point{}, draw.Src)
		var f camera.Frame
		f.SetImage(img)
		x, err := r.ReadFrame(ctx, &f)
		if err != nil {
			t.Fatal(c.model, err)
		}
		in, err := r.Input(ctx, nil, &f)
		if err != nil {
			t.Fatal(c.model, err)
		}
		if again, err := r.Input(ctx, in, &f); err != nil || again != in {
			t.Errorf("%s: the memory of an input is not used again: %v", c.model, err)
		}
		y, err := r.ReadInput(ctx, in)
		if err != nil {
			t.Fatal(c.model, err)
		}
		if d, err := sdk.Compare(x, y); err != nil || d.Agree != 1 {
			t.Errorf("%s: by frame and by input the model tells %+v, %v", c.model, d, err)
		}
		if c.task == "detect" && len(x.Detections) == 0 {
			t.Error("nothing is found, so that nothing is compared")
		}
		if _, err := r.ReadInput(ctx, nil); !errors.Is(err, sdk.ErrInput) {
			t.Errorf("%s without input: %v", c.model, err)
		}
		r.Close()
	}
	if _, err := load(t, "tensors.onnx").NewReader(sdk.ReaderConfig{}); !errors.Is(err, sdk.ErrPreset) {
		t.Errorf("a model of no pictures: %v", err)
	}
	if _, err := load(t, "squares.onnx").NewReader(sdk.ReaderConfig{MinScore: 2}); err == nil {
		t.Error("a threshold of 2 is no error")
	}
}
