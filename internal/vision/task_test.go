package vision

import (
	"errors"
	"hash/crc32"
	"image"
	"math"
	"strings"
	"testing"
)

type maskCase struct {
	Preset  string
	Shape   []int
	Seed    uint32
	Conf    float32
	Objects []struct {
		Row  int
		Rect [4]int
		On   int
		CRC  uint32
	}
}

// outputs makes boxes of tens of pixels and coefficients of both signs.
func (c *maskCase) outputs() []Output {
	data := floats(elems(c.Shape), c.Seed, 0, 1)
	for i := range data {
		value, n := i%c.Shape[2], c.Shape[2]
		if c.Preset == "yolov8" {
			value, n = i/c.Shape[2], c.Shape[1]
		}
		switch {
		case value < 4:
			data[i] *= 64
		case value >= n-32:
			data[i] -= 0.5
		}
	}
	return []Output{
		{Name: "output0", Shape: c.Shape, Data: data},
		{Name: "output1", Shape: []int{1, 32, 16, 16}, Data: floats(32*16*16, c.Seed+1, -1, 1)},
	}
}

// TestMasks demands every pixel that NumPy finds.
func TestMasks(t *testing.T) {
	for _, c := range readGolden[maskCase](t, "masks") {
		outs := c.outputs()
		p, err := Recognise(64, 64, outs)
		if err != nil || p.Name != c.Preset {
			t.Fatalf("%q, %v", p.Name, err)
		}
		d, err := NewDecoder(p, 64, 64, outs)
		if err != nil || !d.HasMasks() || d.Classes() != 3 {
			t.Fatal(err)
		}
		pre, _ := NewPreprocessor(p, 64, 64, NCHW)
		tr, err := pre.Preprocess(make([]float32, pre.Len()), picture(200, 150, 1))
		if err != nil {
			t.Fatal(err)
		}
		dets, err := d.Decode(nil, outs, tr, c.Conf)
		if err != nil {
			t.Fatal(err)
		}
		// By falling row, so that masks follow their objects and not their places.
		for i, j := 0, len(dets)-1; i < j; i, j = i+1, j-1 {
			dets[i], dets[j] = dets[j], dets[i]
		}
		run := func() {
			if err := d.Masks(dets, outs, tr, 200, 150); err != nil {
				t.Fatal(err)
			}
		}
		run()
		byRow := map[int]*Mask{}
		for i := range dets {
			byRow[dets[i].row] = dets[i].Mask
		}
		for _, o := range c.Objects {
			m := byRow[o.Row]
			if m == nil {
				t.Fatalf("%s: no object in row %d", c.Preset, o.Row)
			}
			on := 0
			for _, v := range m.Pix {
				on += int(v)
			}
			if m.Rect != image.Rect(o.Rect[0], o.Rect[1], o.Rect[2], o.Rect[3]) || on != o.On || crc32.ChecksumIEEE(m.Pix) != o.CRC {
				t.Errorf("%s, row %d: %v with %d pixels, want %v with %d", c.Preset, o.Row, m.Rect, on, o.Rect, o.On)
			}
		}
		if n := testing.AllocsPerRun(5, run); n != 0 {
			t.Errorf("%s: %g allocations", c.Preset, n)
		}
		again, err := d.Decode(dets, outs, tr, c.Conf)
		if err != nil || again[0].Mask != nil {
			t.Errorf("a mask of the last frame stays: %v", err)
		}
		if err := d.Masks(again, outs[:1], tr, 200, 150); !errors.Is(err, errOutputs) {
			t.Errorf("without prototypes: %v", err)
		}
	}
}

// A box beside the frame has an empty mask, and a frame of one pixel has one.
func TestMaskEdges(t *testing.T) {
	c := readGolden[maskCase](t, "masks")[0]
	outs := c.outputs()
	p, _ := FindPreset(c.Preset)
	d, err := NewDecoder(p, 64, 64, outs)
	if err != nil {
		t.Fatal(err)
	}
	dets := []Detection{{Box: Box{-9, -9, -1, 5}}, {Box: Box{0, 0, 1, 1}}, {Box: Box{5, 5, 2, 2}}, {Box: Box{-1e30, -1e30, 1e30, 1e30}}}
	if err := d.Masks(dets, outs, Transform{64, 64, 0, 0}, 1, 1); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 0, 1} {
		if m := dets[i].Mask; m == nil || len(m.Pix) != want || m.Rect.Dx()*m.Rect.Dy() != want {
			t.Errorf("%d: %v", i, m)
		}
	}
	if dets[1].Mask.At(-1, 0) != 0 || dets[1].Mask.At(0, 0) != dets[1].Mask.Pix[0] {
		t.Error("At")
	}
}

// TestClassify compares with NumPy's softmax and stable sort.
func TestClassify(t *testing.T) {
	logits, _ := FindPreset("imagenet")
	plain := logits
	plain.Logits = false
	for _, c := range readGolden[struct {
		N            int
		Seed         uint32
		Lo, Hi       float64
		Top          []int
		Score, Plain []float64
	}](t, "classify") {
		outs := []Output{{Name: "features", Shape: []int{1, 4, 4}}, {Name: "logits", Shape: []int{1, c.N, 1, 1}, Data: floats(c.N, c.Seed, c.Lo, c.Hi)}}
		for _, p := range []Preset{logits, plain} {
			d, err := NewClassifier(p, outs)
			if err != nil || d.Classes() != c.N {
				t.Fatal(err)
			}
			var got []Category
			run := func() {
				if got, err = d.Decode(got, outs, 5); err != nil {
					t.Fatal(err)
				}
			}
			run()
			if len(got) != len(c.Top) {
				t.Fatalf("%d classes, want %d", len(got), len(c.Top))
			}
			want := c.Score
			if !p.Logits {
				want = c.Plain
			}
			for i, g := range got {
				if g.Class != c.Top[i] || math.Abs(float64(g.Score)-want[i]) > 1e-5*max(1, math.Abs(want[i])) {
					t.Errorf("seed %d, place %d: %v, want %d with %g", c.Seed, i, g, c.Top[i], want[i])
				}
			}
			if n := testing.AllocsPerRun(5, run); n != 0 {
				t.Errorf("%g allocations", n)
			}
		}
	}
}

func TestClassifyEdges(t *testing.T) {
	p, _ := FindPreset("imagenet")
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	outs := []Output{{Name: "logits", Shape: []int{1, 4}, Data: []float32{nan, 3, nan, 3}}}
	d, err := NewClassifier(p, outs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Decode(nil, outs, 9)
	if err != nil || len(got) != 2 || got[0] != (Category{1, 0.5}) || got[1] != (Category{3, 0.5}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err = d.Decode(got, outs, 0); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	outs[0].Data = []float32{nan, nan, nan, nan}
	if got, err = d.Decode(got, outs, 2); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	outs[0].Data = []float32{-inf, 0, -inf, -inf}
	if got, err = d.Decode(got, outs, 2); err != nil || len(got) != 2 || got[0] != (Category{1, 1}) || got[1] != (Category{0, 0}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err = d.Decode(got, nil, 2); !errors.Is(err, errOutputs) {
		t.Error(err)
	}
	for _, bad := range [][]Output{nil, {out("a", 1, 5), out("b", 1, 5)}, {out("a", 1, 1)}, {out("a", 2, 5)}, {out("a", 1, -1)}} {
		if _, err := NewClassifier(p, bad); !errors.Is(err, ErrPreset) {
			t.Errorf("%v pass: %v", bad, err)
		}
	}
}

// TestSegment compares with NumPy's argmax and nearest elements.
func TestSegment(t *testing.T) {
	p, _ := FindPreset("segment")
	for _, c := range readGolden[struct {
		Shape    []int
		Seed     uint32
		Frame    [2]int
		Classes  int
		Net, CRC uint32
	}](t, "segment") {
		outs := []Output{{Name: "x", Shape: c.Shape, Data: floats(elems(c.Shape), c.Seed, -1, 1)}}
		s, err := NewSegmenter(p, 32, 32, outs)
		if err != nil || s.Classes() != c.Classes {
			t.Fatal(err)
		}
		var m Mask
		tr := Transform{ScaleX: 32 / float64(c.Frame[0]), ScaleY: 32 / float64(c.Frame[1])}
		run := func() {
			if err := s.Decode(&m, outs, tr, c.Frame[0], c.Frame[1]); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if got := crc32.ChecksumIEEE(m.Pix); got != c.CRC || m.Rect != image.Rect(0, 0, c.Frame[0], c.Frame[1]) {
			t.Errorf("%v on %v: another mask", c.Shape, m.Rect)
		}
		if n := testing.AllocsPerRun(5, run); n != 0 {
			t.Errorf("%g allocations", n)
		}
		if err := s.Decode(&m, outs, Transform{}, 32, 32); err != nil || crc32.ChecksumIEEE(m.Pix) != c.Net {
			t.Errorf("%v: another mask at the size of the input: %v", c.Shape, err)
		}
	}
}

// Models that end in an arg-max give classes of any type of number.
func TestSegmentClasses(t *testing.T) {
	p, _ := FindPreset("segment")
	for _, shape := range [][]int{{1, 2, 2}, {1, 1, 2, 2}, {1, 2, 2, 1}} {
		for _, o := range []Output{{Data: []float32{0, 7, 255, 1}}, {I64: []int64{0, 7, 255, 1}}, {I32: []int32{0, 7, 255, 1}}, {U8: []uint8{0, 7, 255, 1}}} {
			o.Shape = shape
			outs := []Output{o}
			s, err := NewSegmenter(p, 8, 8, outs)
			if err != nil || s.Classes() != 0 {
				t.Fatal(err)
			}
			var m Mask
			// The frame lies in the right half of the input.
			if err := s.Decode(&m, outs, Transform{1, 2, 4, 0}, 4, 4); err != nil {
				t.Fatal(err)
			}
			if got := string(m.Pix); got != "\x07\x07\x07\x07\x07\x07\x07\x07\x01\x01\x01\x01\x01\x01\x01\x01" {
				t.Errorf("%v: %v", shape, m.Pix)
			}
			for i, bad := range []Output{{}, {Data: []float32{0, 0, 0, 256}}, {Data: []float32{0, float32(math.NaN()), 0, 0}}, {I64: []int64{0, 0, 0, -1}}, {I32: []int32{1, 1, 1, 999}}} {
				if err := s.Decode(&m, []Output{bad}, Transform{}, 4, 4); err == nil {
					t.Errorf("%d passes", i)
				}
			}
			if err := s.Decode(&m, outs, Transform{}, 0, 4); err == nil {
				t.Error("a frame without pixels passes")
			}
		}
	}
	for _, bad := range [][]Output{nil, {out("a", 1, 300, 8, 8)}, {out("a", 1, 5, 3, 3)}, {out("a", 1, 5, 16, 16)}, {out("a", 1, 5, 8, 4)}, {out("a", 8, 8)}, {out("a", 2, 5, 8, 8)}} {
		if _, err := NewSegmenter(p, 8, 8, bad); !errors.Is(err, ErrPreset) {
			t.Errorf("%v pass: %v", bad, err)
		}
	}
}

// Presets of one task do not fit the decoder of another, and the error says
// which do.
func TestTasks(t *testing.T) {
	yolo, _ := FindPreset("yolox")
	imagenet, _ := FindPreset("imagenet")
	_, e1 := NewDecoder(imagenet, 64, 64, nil)
	_, e2 := NewClassifier(yolo, nil)
	_, e3 := NewSegmenter(yolo, 64, 64, nil)
	for _, c := range []struct {
		err  error
		text string
	}{{e1, "to classify; presets to detect are fastestdet, yolox"}, {e2, "to detect; presets to classify are imagenet"}, {e3, "presets to segment are segment"}} {
		if !errors.Is(c.err, ErrPreset) || !strings.Contains(c.err.Error(), c.text) {
			t.Error(c.err)
		}
	}
}

func TestLabels(t *testing.T) {
	detr, _ := FindPreset("detr")
	imagenet, _ := FindPreset("imagenet")
	segment, _ := FindPreset("segment")
	for _, c := range []struct {
		p       Preset
		classes int
		at      int
		want    string
	}{
		{detr, 91, 1, "person"}, {detr, 91, 13, "stop sign"}, {detr, 91, 12, "class 12"}, {detr, 91, 90, "toothbrush"}, {detr, 91, 62, "chair"},
		{imagenet, 80, 0, "class 0"}, {imagenet, 1, 0, "class 0"}, {segment, 2, 1, "person"}, {segment, 21, 3, "bird"}, {segment, 80, 1, "class 1"},
	} {
		if l := c.p.Labels(c.classes); len(l) != c.classes || l[c.at] != c.want {
			t.Errorf("%s: %q", c.p.Name, l[c.at])
		}
	}
}
