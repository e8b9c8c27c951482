package main

import (
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const tasks = "../../testdata/tasks/"

// answers are those of ONNX Runtime.
type answers struct {
	Top    [][2]float64 // class and score, best first
	Pixels [][2]int     // class and number of pixels
	Ends   [2]uint8     // class at the left and at the right
}

func wantTasks(t *testing.T) (want answers) {
	t.Helper()
	b, err := os.ReadFile(tasks + "want.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil || len(want.Top) != 4 || len(want.Pixels) != 2 {
		t.Fatal(want, err)
	}
	return want
}

func TestClassify(t *testing.T) {
	want := wantTasks(t)
	line := []string{"classify", "-m", tasks + "colours.onnx", "-s", tasks + "green.png", "--preset", "imagenet"}
	exact := file(t, "labels.txt", "red\r\ngreen\r\nblue\r\ndark\r\n\r\n")
	r := execute(t, append(line, "--json", "--top", "3", "--labels", exact)...)
	lines := decodeLines[classification](t, r.stdout)
	if r.code != 0 || len(lines) != 1 {
		t.Fatalf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	l := lines[0]
	if l.Schema != "edgecam.classification/1" || l.Source != tasks+"green.png" || l.InferenceMillis <= 0 || len(l.Top) != 3 {
		t.Fatalf("line %+v", l)
	}
	names := []string{"red", "green", "blue", "dark"}
	for i, x := range l.Top {
		if float64(x.ClassID) != want.Top[i][0] || math.Abs(x.Score-want.Top[i][1]) > 2e-5 || x.Label != names[x.ClassID] {
			t.Errorf("place %d: %+v, want %v", i, x, want.Top[i])
		}
	}
	if !strings.HasPrefix(r.stdout, `{"schema":"edgecam.classification/1","source":`) || !strings.Contains(r.stdout, `"top":[{"label":"green","class_id":1,"score":0.77`) {
		t.Errorf("JSON %s", r.stdout)
	}
	background := file(t, "labels.txt", "background\nred\ngreen\nblue\ndark\n")
	if r := execute(t, append(line, "--labels", background)...); r.code != 0 || !strings.Contains(r.stdout, "ms: green 0.77; dark 0.16") {
		t.Errorf("with a background: code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if r := execute(t, line...); r.code != 0 || !strings.Contains(r.stdout, "class 1 0.77") {
		t.Errorf("without labels: code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	// A softmax inside the model is not followed by another one.
	line[2] = tasks + "probabilities.onnx"
	if r := execute(t, append(line, "--labels", exact)...); r.code != 0 || !strings.Contains(r.stdout, "ms: green 0.77; dark 0.16") {
		t.Errorf("with a softmax inside: code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	for name, content := range map[string]string{"short": "a\nb\n", "a line too many": "a\nb\nc\nd\ne\n", "empty": ""} {
		if r := execute(t, append(line, "--labels", file(t, "l.txt", content))...); r.code != 2 || !strings.Contains(r.stderr, "tells 4 classes apart") {
			t.Errorf("%s labels: code %d: %s", name, r.code, r.stderr)
		}
	}
}

func TestSegment(t *testing.T) {
	want := wantTasks(t)
	dir := t.TempDir()
	line := []string{"segment", "-m", tasks + "halves.onnx", "-s", tasks + "halves.png", "--preset", "segment"}
	mask := filepath.Join(dir, "mask.png")
	r := execute(t, append(line, "--json", "-o", mask)...)
	lines := decodeLines[segmentation](t, r.stdout)
	if r.code != 0 || len(lines) != 1 {
		t.Fatalf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	l := lines[0]
	if l.Schema != "edgecam.segmentation/1" || l.Width != 64 || l.Height != 32 || l.Mask != mask || len(l.Classes) != len(want.Pixels) {
		t.Fatalf("line %+v", l)
	}
	for i, c := range l.Classes {
		if c.ClassID != want.Pixels[i][0] || c.Pixels != want.Pixels[i][1] || c.Fraction != 0.5 {
			t.Errorf("class %+v, want %v", c, want.Pixels[i])
		}
	}
	img := decodePNG(t, mask)
	p, ok := img.(*image.Paletted)
	if !ok || p.Bounds() != image.Rect(0, 0, 64, 32) || p.ColorIndexAt(0, 16) != want.Ends[0] || p.ColorIndexAt(63, 16) != want.Ends[1] {
		t.Errorf("the mask is %T of %v with other classes than %v at its ends", img, img.Bounds(), want.Ends)
	}
	// Overlays leave class 0 as it is and tint the other.
	over := filepath.Join(dir, "over")
	if r := execute(t, append(line, "--overlay", "-o", over)...); r.code != 0 {
		t.Fatal(r.code, r.stderr)
	}
	img = decodePNG(t, filepath.Join(over, "halves.png"))
	r0, _, b0, _ := img.At(0, 16).RGBA()
	r1, _, _, _ := img.At(63, 16).RGBA()
	if r0>>8 != 0 || b0>>8 != 220 || r1>>8 == 220 {
		t.Errorf("left %v, want blue as it was; right %v, want it tinted", img.At(0, 16), img.At(63, 16))
	}
	masks := filepath.Join(dir, "masks")
	if r := execute(t, append(line, "-o", masks)...); r.code != 0 || !strings.Contains(r.stdout, "class 0 50.0 %, class 2 50.0 %") {
		t.Errorf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	decodePNG(t, filepath.Join(masks, "halves.png"))
}

func decodePNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(path, err)
	}
	return img
}
