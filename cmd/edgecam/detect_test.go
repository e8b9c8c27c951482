package main

import (
	"encoding/json"
	"image"
	_ "image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/sdk"
)

// reference reads the detections that ONNX Runtime and YOLOX's formula give.
func reference(t *testing.T) []sdk.Object {
	t.Helper()
	b, err := os.ReadFile(assets + "squares.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []sdk.Object
	if err := json.Unmarshal(b, &want); err != nil || len(want) == 0 {
		t.Fatal(err, len(want))
	}
	return want
}

func sameObjects(got, want []sdk.Object) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		ok := got[i].ClassID == want[i].ClassID && math.Abs(got[i].Score-want[i].Score) < 1e-4
		for k := range got[i].Box {
			ok = ok && math.Abs(got[i].Box[k]-want[i].Box[k]) < 0.02
		}
		if !ok {
			return false
		}
	}
	return true
}

func TestDetectJSON(t *testing.T) {
	picture := assets + "squares.png"
	r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", picture, "--conf", "0.3", "--json")
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	lines := decodeLines[sdk.Record](t, r.stdout)
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1: %s", len(lines), r.stdout)
	}
	l := lines[0]
	if l.Schema != "edgecam.detection/1" || l.Source != picture || l.Frame != 0 || l.Width != 128 || l.Height != 96 || l.InferenceMillis <= 0 {
		t.Errorf("line %+v", l)
	}
	if want := reference(t); !sameObjects(l.Objects, want) || l.Objects[0].Label != "person" {
		t.Errorf("objects %+v, want %+v", l.Objects, want)
	}
	for _, name := range []string{`"inference_ms":`, `"objects":[{"label":`, `"class_id":0`, `"box":[`} {
		if !strings.Contains(r.stdout, name) {
			t.Errorf("%s is missing in %s", name, r.stdout)
		}
	}
	for _, word := range []string{"1 frame in", "frames/s", "decoding", "preprocessing", "inference", "post-processing"} {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("the summary does not say %q: %s", word, r.stderr)
		}
	}
}

func TestDetectNothing(t *testing.T) {
	r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", assets+"squares.png", "--conf", "0.999", "--json")
	if r.code != 0 || !strings.Contains(r.stdout, `"objects":[]`) {
		t.Errorf("code %d, stdout %s, stderr %s", r.code, r.stdout, r.stderr)
	}
}

// folder holds the picture three times and, in the middle, a file that is not
// an image.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(assets + "squares.png")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.png": b, "b.jpg": []byte("no image"), "c.png": b, "d.PNG": b, "notes.txt": []byte("no image either")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDetectFolder(t *testing.T) {
	dir, out := folder(t), filepath.Join(t.TempDir(), "out")
	r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", dir, "-o", out)
	if r.code != 1 || strings.Count(r.stdout, "person 0.98 [64 0 64 64]") != 3 || !strings.Contains(r.stderr, "b.jpg") {
		t.Errorf("code %d, want 1, and three lines with a person\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, name := range []string{"a.png", "c.png", "d.png"} {
		f, err := os.Open(filepath.Join(out, name))
		if err != nil {
			t.Error(err)
			continue
		}
		img, _, err := image.Decode(f)
		f.Close()
		if err != nil || img.Bounds().Dx() != 128 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r, g, b, _ := img.At(127, 63).RGBA(); r == g && g == b {
			t.Errorf("%s: no box is drawn at the corner of the square", name)
		}
	}
	if files, _ := os.ReadDir(out); len(files) != 3 {
		t.Errorf("%d files in the output folder, want 3", len(files))
	}
}

func TestDetectFrames(t *testing.T) {
	dir := folder(t)
	r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", filepath.Join(dir, "[acd].*"), "--frames", "2", "--json")
	if r.code != 0 || len(decodeLines[sdk.Record](t, r.stdout)) != 2 {
		t.Errorf("code %d, want two lines\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestDetectOneFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "boxes.jpg")
	r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", assets+"squares.png", "-o", out)
	if b, err := os.ReadFile(out); r.code != 0 || err != nil || !strings.HasPrefix(string(b), "\xff\xd8\xff") {
		t.Errorf("code %d, %v: %s", r.code, err, r.stderr)
	}
	if r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", folder(t), "-o", out); r.code != 2 {
		t.Errorf("a folder into one file: code %d, want 2", r.code)
	}
}
