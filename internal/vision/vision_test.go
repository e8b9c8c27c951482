package vision

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/camera"
)

func out(name string, shape ...int) Output { return Output{Name: name, Shape: shape} }

func TestRecognise(t *testing.T) {
	yunet := func(n8, n16, n32 int) (outs []Output) {
		for _, part := range []struct {
			name  string
			width int
		}{{"kps", 10}, {"cls", 1}, {"bbox", 4}, {"obj", 1}} {
			outs = append(outs, out(part.name+"_32", 1, n32, part.width), out(part.name+"_8", 1, n8, part.width), out(part.name+"_16", 1, n16, part.width))
		}
		return outs
	}
	nanodet := func(classes int) []Output {
		return []Output{
			out("a", 1, 169, 32), out("b", 1, 676, classes), out("c", 1, 2704, 32),
			out("d", 1, 169, classes), out("e", 1, 676, 32), out("f", 1, 2704, classes),
		}
	}
	scrfd := func(anchors int, widths ...int) (outs []Output) {
		for _, w := range widths {
			for _, cells := range []int{6400, 1600, 400} {
				outs = append(outs, out(fmt.Sprint(len(outs)), 1, cells*anchors, w))
			}
		}
		return outs
	}
	for _, tc := range []struct {
		name          string
		width, height int
		outs          []Output
		want          string
		classes       int
		first         string // label
	}{
		{"FastestDet", 352, 352, []Output{out("758", 1, 85, 22, 22)}, "fastestdet", 80, "person"},
		{"FastestDet wide", 640, 352, []Output{out("758", 1, 7, 22, 40)}, "fastestdet", 2, "class 0"},
		{"YOLOX", 416, 416, []Output{out("output", 1, 3549, 85)}, "yolox", 80, "person"},
		{"YOLOX person", 192, 192, []Output{out("output", 1, 756, 6)}, "yolox", 1, "person"},
		{"YOLOv5", 640, 640, []Output{out("output0", 1, 25200, 85)}, "yolov5", 80, "person"},
		{"YOLOv5 with maps", 64, 64, []Output{out("output", 1, 252, 7), out("a", 1, 3, 8, 8, 7), out("b", 1, 3, 4, 4, 7)}, "yolov5", 2, "class 0"},
		{"YOLOv8", 640, 480, []Output{out("output0", 1, 84, 6300)}, "yolov8", 80, "person"},
		{"NanoDet", 416, 416, nanodet(80), "nanodet", 80, "person"},
		{"NanoDet two classes", 416, 416, nanodet(2), "nanodet", 2, "class 0"},
		{"UltraFace", 320, 240, []Output{out("scores", 1, 4420, 2), out("boxes", 1, 4420, 4)}, "ultraface", 1, "face"},
		{"UltraFace 640", 640, 480, []Output{out("boxes", 1, 17640, 4), out("scores", 1, 17640, 2)}, "ultraface", 1, "face"},
		{"YuNet", 320, 320, yunet(1600, 400, 100), "yunet", 1, "face"},
		{"YuNet wide", 640, 320, yunet(3200, 800, 200), "yunet", 1, "face"},
		{"NanoDet-Plus", 416, 416, []Output{out("output", 1, 3598, 112)}, "nanodet-plus", 80, "person"},
		{"NanoDet-Plus 320", 320, 320, []Output{out("output", 1, 2125, 33)}, "nanodet-plus", 1, "person"},
		{"SCRFD", 640, 640, scrfd(2, 1, 4, 10), "scrfd", 1, "face"},
		{"SCRFD of one anchor", 640, 640, scrfd(1, 1, 4, 10), "scrfd", 1, "face"},
		{"SCRFD without points", 640, 640, scrfd(2, 1, 4), "scrfd", 1, "face"},
		{"CenterNet", 512, 512, []Output{out("hm", 1, 80, 128, 128), out("wh", 1, 2, 128, 128), out("reg", 1, 2, 128, 128)}, "centernet", 80, "person"},
		{"CenterNet by order", 512, 512, []Output{out("537", 1, 80, 128, 128), out("540", 1, 2, 128, 128), out("543", 1, 2, 128, 128)}, "centernet", 80, "person"},
		{"CenterNet by name", 512, 256, []Output{out("reg", 1, 2, 64, 128), out("wh", 1, 2, 64, 128), out("hm", 1, 2, 64, 128)}, "centernet", 2, "class 0"},
		{"YOLOv8 with prototypes", 640, 640, []Output{out("output0", 1, 116, 8400), out("output1", 1, 32, 160, 160)}, "yolov8", 80, "person"},
		{"YOLOv5 with prototypes", 640, 640, []Output{out("output0", 1, 25200, 117), out("output1", 1, 32, 160, 160)}, "yolov5", 80, "person"},
		{"DETR", 640, 640, []Output{out("logits", 1, 100, 92), out("pred_boxes", 1, 100, 4)}, "", 0, ""},
		{"heads of CenterNet's shape in another order", 512, 512, []Output{out("a", 1, 2, 128, 128), out("b", 1, 80, 128, 128)}, "", 0, ""},
		{"classifier of 10", 32, 32, []Output{out("logits", 1, 10)}, "", 0, ""},
		{"segmentation of many classes", 320, 320, []Output{out("x", 1, 21, 320, 320)}, "", 0, ""},
		{"NanoDet of 32 classes", 416, 416, nanodet(32), "", 0, ""},
		{"other size", 320, 320, []Output{out("output", 1, 3549, 85)}, "", 0, ""},
		{"unknown extents", 416, 416, []Output{out("output", 1, -1, 85)}, "", 0, ""},
		{"batch of two", 416, 416, []Output{out("output", 2, 3549, 85)}, "", 0, ""},
		{"scalar", 416, 416, []Output{out("output")}, "", 0, ""},
		{"nothing", 416, 416, nil, "", 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := Recognise(tc.width, tc.height, tc.outs)
			if tc.want == "" {
				if !errors.Is(err, ErrPreset) || !strings.Contains(err.Error(), "fastestdet, yolox, nanodet, ultraface, yunet") {
					t.Errorf("%q, %v", p.Name, err)
				}
				return
			}
			if err != nil || p.Name != tc.want {
				t.Fatalf("%q, %v", p.Name, err)
			}
			d, err := NewDecoder(p, tc.width, tc.height, tc.outs)
			if err != nil || d.Classes() != tc.classes {
				t.Fatalf("%d classes, %v", d.Classes(), err)
			}
			if labels := p.Labels(tc.classes); len(labels) != tc.classes || labels[0] != tc.first {
				t.Errorf("labels %v", labels)
			}
		})
	}
}

func TestRecogniseTasks(t *testing.T) {
	for _, c := range []struct {
		width, height int
		out           Output
		want          string
	}{
		{224, 224, out("logits", 1, 1000), "imagenet"},
		{320, 320, out("Softmax/1", 1, 2, 320, 320), "segment"},
	} {
		if p, err := Recognise(c.width, c.height, []Output{c.out}); err != nil || p.Name != c.want {
			t.Errorf("%q, %v", p.Name, err)
		}
	}
}

func TestPresetErrors(t *testing.T) {
	if _, err := FindPreset("yolo"); !errors.Is(err, ErrPreset) || !strings.Contains(err.Error(), "nanodet") {
		t.Error(err)
	}
	p, err := FindPreset("yolo11")
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewDecoder(p, 640, 640, []Output{out("logits", 1, 1000)})
	if !errors.Is(err, ErrPreset) || !strings.Contains(err.Error(), "[1, 4+classes, 8400]") || !strings.Contains(err.Error(), "logits [1, 1000]") {
		t.Error(err)
	}
	d, err := NewDecoder(p, 64, 64, []Output{out("output0", 1, 6, 84)})
	if err != nil {
		t.Fatal(err)
	}
	for _, outs := range [][]Output{nil, {{Data: make([]float32, 6*84-1)}}} {
		if _, err := d.Decode(nil, outs, Transform{1, 1, 0, 0}, 0.5); err == nil {
			t.Errorf("%d outputs pass", len(outs))
		}
	}
	if _, err := NewPreprocessor(p, 0, 64, NCHW); err == nil {
		t.Error("an input without pixels passes")
	}
	pre, err := NewPreprocessor(p, 64, 64, NCHW)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pre.Preprocess(make([]float32, 7), picture(4, 4, 1)); err == nil {
		t.Error("a short input passes")
	}
	f := picture(4, 4, 1)
	f.Pix = f.Pix[1:]
	if _, err := pre.Preprocess(make([]float32, pre.Len()), f); !errors.Is(err, camera.ErrFormat) {
		t.Errorf("a short frame passes: %v", err)
	}
}

// A frame so flat that letterboxing leaves less than a row keeps one.
func TestPreprocessKeepsARow(t *testing.T) {
	p, _ := FindPreset("yunet")
	pre, err := NewPreprocessor(p, 32, 32, NHWC)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, pre.Len())
	f := picture(200, 1, 3)
	for i := range f.Pix {
		f.Pix[i] = 9
	}
	if _, err := pre.Preprocess(dst, f); err != nil {
		t.Fatal(err)
	}
	if dst[0] != 9 || dst[95] != 9 || dst[96] != 0 {
		t.Errorf("%v %v %v", dst[0], dst[95], dst[96])
	}
}

// Scores that are not numbers, and boxes that are not finite, are left out.
func TestDecodeLeavesOutWhatIsNoBox(t *testing.T) {
	p, _ := FindPreset("yolox")
	data := make([]float32, 84*6)
	for i := range 84 {
		copy(data[6*i:], []float32{0, 0, 0, 0, 1, 0.9})
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	data[0], data[6+2], data[12+4], data[18+5], data[24+3], data[30+4] = nan, 100, nan, nan, inf, -inf
	outs := []Output{{Name: "output", Shape: []int{1, 84, 6}, Data: data}}
	d, err := NewDecoder(p, 64, 64, outs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Decode(nil, outs, Transform{1, 1, 0, 0}, 0.5)
	if err != nil || len(got) != 84-6 {
		t.Errorf("%d detections, %v", len(got), err)
	}
}

// The threshold is exclusive, as OpenCV's is.
func TestScoreMustBeAbove(t *testing.T) {
	p, _ := FindPreset("yolov8")
	data := make([]float32, 5*84)
	data[4*84], data[4*84+1] = 0.5, 0.500001
	outs := []Output{{Shape: []int{1, 5, 84}, Data: data}}
	d, err := NewDecoder(p, 64, 64, outs)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Decode(nil, outs, Transform{1, 1, 0, 0}, 0.5); len(got) != 1 {
		t.Errorf("%d detections", len(got))
	}
}

// TestNoAllocation runs the way of a frame after it has run once.
func TestNoAllocation(t *testing.T) {
	frame := picture(97, 61, 5)
	for _, c := range readGolden[decodeCase](t, "decode") {
		outs := c.outputs()
		p, err := FindPreset(c.Preset)
		if err != nil {
			t.Fatal(err)
		}
		pre, err := NewPreprocessor(p, 64, 64, NCHW)
		if err != nil {
			t.Fatal(err)
		}
		d, err := NewDecoder(p, 64, 64, outs)
		if err != nil {
			t.Fatal(err)
		}
		in := make([]float32, pre.Len())
		var dets []Detection
		run := func() {
			tr, err := pre.Preprocess(in, frame)
			if err == nil {
				dets, err = d.Decode(dets, outs, tr, 0.05)
			}
			if err != nil || len(dets) == 0 {
				t.Fatal(len(dets), err)
			}
			NMS(dets, 0.45) // dets keeps its length, and so all its landmarks
		}
		run()
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("%s: %g allocations a frame", c.Preset, n)
		}
	}
}

// Landmarks must not be shared between elements when memory is reused.
func TestLandmarksAreNotShared(t *testing.T) {
	for _, c := range readGolden[decodeCase](t, "decode") {
		if c.Preset != "yunet" {
			continue
		}
		outs := c.outputs()
		p, _ := FindPreset(c.Preset)
		d, err := NewDecoder(p, 64, 64, outs)
		if err != nil {
			t.Fatal(err)
		}
		tr := Transform{1, 1, 0, 0}
		want, _ := d.Decode(nil, outs, tr, 0.1)
		var dets []Detection
		for range 3 {
			dets, _ = d.Decode(dets, outs, tr, 0.1)
			if len(dets) != len(want) {
				t.Fatalf("%d detections, want %d", len(dets), len(want))
			}
			for i := range dets {
				if !slices.Equal(dets[i].Landmarks, want[i].Landmarks) {
					t.Fatalf("detection %d: %v, want %v", i, dets[i].Landmarks, want[i].Landmarks)
				}
			}
			dets = NMS(dets, 0.3)
			if len(dets) == len(want) {
				t.Fatal("nothing suppressed")
			}
		}
	}
}

func drawBox(t *rapid.T, label string) Box {
	v := rapid.SliceOfN(rapid.Float32Range(-50, 150), 4, 4).Draw(t, label)
	return Box{min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])}
}

func TestIoUProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBox(t, "a"), drawBox(t, "b")
		v := IoU(a, b)
		if v < 0 || v > 1 || v != v || v != IoU(b, a) {
			t.Fatalf("IoU %g, %g", v, IoU(b, a))
		}
		if a.Width() > 0.01 && a.Height() > 0.01 && IoU(a, a) != 1 {
			t.Fatalf("IoU with itself %g", IoU(a, a))
		}
		if apart := (Box{a.X1, a.Y0, a.X1 + 1, a.Y1}); IoU(a, apart) != 0 {
			t.Fatalf("IoU of neighbours %g", IoU(a, apart))
		}
	})
	// Two 2x2 squares that share 1x1.
	if v := IoU(Box{0, 0, 2, 2}, Box{1, 1, 3, 3}); math.Abs(float64(v)-1./7) > 1e-7 {
		t.Error(v)
	}
}

func TestNMSProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		dets := make([]Detection, n)
		for i := range dets {
			dets[i] = Detection{Class: rapid.IntRange(0, 2).Draw(t, "class"), Score: float32(rapid.IntRange(0, 9).Draw(t, "score")) / 10, Box: drawBox(t, "box")}
		}
		limit := rapid.Float32Range(0, 1).Draw(t, "limit")
		before := slices.Clone(dets)
		kept := NMS(dets, limit)
		for i, a := range kept {
			if i > 0 && a.Score > kept[i-1].Score {
				t.Fatal("not by falling score")
			}
			for _, b := range kept[:i] {
				if a.Class == b.Class && IoU(a.Box, b.Box) > limit {
					t.Fatal("two kept ones overlap")
				}
			}
		}
		for _, a := range before {
			explained := false
			for _, b := range kept {
				same := a.Class == b.Class && a.Box == b.Box && a.Score == b.Score
				explained = explained || same || a.Class == b.Class && b.Score >= a.Score && IoU(a.Box, b.Box) > limit
			}
			if !explained {
				t.Fatalf("%v is lost without a reason", a)
			}
		}
		if again := NMS(slices.Clone(kept), limit); len(again) != len(kept) {
			t.Fatal("a second time removes more")
		}
	})
}

func TestDraw(t *testing.T) {
	labels := []string{"cat", "naïve 犬"}
	nan := float32(math.NaN())
	dets := []Detection{
		{Class: 0, Score: 0.91, Box: Box{20, 30, 80, 90}, Landmarks: []Point{{50, 60}, {nan, 3}, {1e30, -1e30}}},
		{Class: 1, Score: 0.5, Box: Box{-1e9, -50, 1e9, 20}},
		{Class: 7, Score: 1, Box: Box{nan, nan, nan, nan}},
		{Class: -3, Score: 1, Box: Box{90, 95, 30, 10}},
	}
	draw := func(r image.Rectangle) *image.RGBA {
		img := image.NewRGBA(r)
		Draw(img, dets, labels)
		return img
	}
	img := draw(image.Rect(0, 0, 120, 100))
	c := Colour(0)
	for _, p := range []image.Point{{20, 60}, {79, 60}, {50, 30}, {50, 89}, {50, 60}} {
		if img.RGBAAt(p.X, p.Y) != c {
			t.Errorf("pixel %v is %v, want %v", p, img.RGBAAt(p.X, p.Y), c)
		}
	}
	if got := img.RGBAAt(35, 50); got.A != 0 {
		t.Errorf("inside the box %v is painted", got)
	}
	ink := 0 // of "cat 0.91" in the bar above the box
	for y := 16; y < 30; y++ {
		for x := 20; x < 76; x++ {
			if v := img.RGBAAt(x, y); v.R == v.G && v.G == v.B && v.A == 255 {
				ink++
			}
		}
	}
	if ink < 60 {
		t.Errorf("%d pixels of text", ink)
	}
	if !bytes.Equal(img.Pix, draw(image.Rect(0, 0, 120, 100)).Pix) {
		t.Error("two drawings differ")
	}
	if !bytes.Equal(img.Pix, draw(image.Rect(5, 7, 125, 107)).Pix) {
		t.Error("the drawing depends on where the picture lies")
	}
	draw(image.Rect(0, 0, 1, 1))
	seen := map[[3]uint8]bool{}
	for i := range 80 {
		v := Colour(i)
		seen[[3]uint8{v.R, v.G, v.B}] = true
	}
	if len(seen) < 75 {
		t.Errorf("only %d colours for 80 classes", len(seen))
	}
}
