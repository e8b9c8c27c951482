package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// paint writes small pictures into a folder: one with a white square at the
// upper right, where squares.onnx sees one, and others without.
func paint(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		img := image.NewRGBA(image.Rect(0, 0, 128, 96))
		draw.Draw(img, img.Rect, image.NewUniform(color.Gray{uint8(20 + i%8)}), image.Point{}, draw.Src)
		img.SetRGBA(0, 0, color.RGBA{uint8(i), 99, 3, 255}) // so that none is of one colour
		if i == 0 {
			draw.Draw(img, image.Rect(64, 0, 128, 64), image.White, image.Point{}, draw.Src)
		}
		writePNG(t, filepath.Join(dir, string(rune('a'+i/26))+string(rune('a'+i%26))+".png"), img)
	}
	return dir
}

func writePNG(t *testing.T, path string, img image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

// TestCompareSame compares a model with itself.
func TestCompareSame(t *testing.T) {
	dir := paint(t, 3)
	for _, c := range []struct{ model, preset, task string }{
		{assets + "squares.onnx", "yolox", "detect"}, {tasks + "colours.onnx", "imagenet", "classify"}, {tasks + "halves.onnx", "segment", "segment"},
		{tasks + "halves.onnx", "yolox", "outputs"},
	} {
		r := execute(t, "compare", c.model, c.model, "-d", dir, "--preset", c.preset, "--json")
		if r.code != 0 {
			t.Fatal(c.task, r.stderr)
		}
		got := decodeLines[comparison](t, r.stdout)[0]
		if got.Images != 3 || got.Agree != 1 || got.Interval[1] != 1 || got.Interval[0] > 0.5 || len(got.Changed) != 0 || got.Task != c.task {
			t.Errorf("%s: %+v", c.task, got)
		}
		if !strings.HasPrefix(r.stdout, `{"images":3,"agree":1,"interval95":[`) || !strings.Contains(r.stdout, `],"changed":[],`) {
			t.Errorf("JSON %s", r.stdout)
		}
	}
}

// dim makes a copy of squares.onnx that sees nothing: the bias of its largest
// grid's score is -60 instead of -30.
func dim(model []byte) []byte {
	return bytes.Replace(model, []byte{0, 0, 0xf0, 0xc1}, []byte{0, 0, 0x70, 0xc2}, 1)
}

// TestCompareChanged compares a detector with one that sees nothing, and looks at
// the page.
func TestCompareChanged(t *testing.T) {
	dir := paint(t, 2)
	page := filepath.Join(t.TempDir(), "page.html")
	b, err := os.ReadFile(assets + "squares.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "zz.png"), []byte("this is no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	blind := file(t, "blind.onnx", string(dim(b)))
	r := execute(t, "compare", assets+"squares.onnx", blind, "-d", dir, "--preset", "yolox", "--json", "--html", page)
	if r.code != 0 || !strings.Contains(r.stderr, "zz.png") {
		t.Fatal(r.code, r.stderr)
	}
	var got struct {
		Images   int
		Agree    float64
		Interval [2]float64 `json:"interval95"`
		Changed  []struct {
			Source string
			A, B   []struct {
				Label string
				Score float64
				Box   [4]float64
			}
		}
		Broken []string
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatal(err)
	}
	if got.Images != 2 || got.Agree != 0.5 || len(got.Changed) != 1 || len(got.Broken) != 1 || got.Interval[0] > 0.5 || got.Interval[1] < 0.5 {
		t.Fatalf("%s", r.stdout)
	}
	if c := got.Changed[0]; !strings.HasSuffix(c.Source, "aa.png") || len(c.A) != 1 || c.A[0].Label != "person" || len(c.B) != 0 || c.B == nil {
		t.Errorf("changed %+v", c)
	}
	b, err = os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := html.UnescapeString(string(b))
	data := regexp.MustCompile(`src="data:image/jpeg;base64,([A-Za-z0-9+/=]+)"`).FindAllStringSubmatch(text, -1)
	if len(data) != 2 || !strings.Contains(text, "person 0.9") {
		t.Errorf("the page has %d pictures, want 2", len(data))
	}
	for _, d := range data {
		if _, err := base64.StdEncoding.DecodeString(d[1]); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(text, "http") {
		t.Error("the page needs a network")
	}
	r = execute(t, "compare", assets+"squares.onnx", blind, "-d", dir, "--preset", "yolox")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "agreement 50.00 % on 2 images") || !strings.Contains(r.stdout, "  a  only here: person 0.9") {
		t.Errorf("code %d\n%s", r.code, r.stdout)
	}
	// Whoever lowers the threshold far enough finds the box again, among others.
	if r := execute(t, "compare", blind, blind, "-d", dir, "--preset", "yolox", "--conf", "0"); r.code != 0 || !strings.HasPrefix(r.stdout, "agreement 100.00 %") {
		t.Errorf("code %d\n%s", r.code, r.stdout)
	}
}

func TestCompareErrors(t *testing.T) {
	squares, dir := assets+"squares.onnx", paint(t, 1)
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "a.jpg"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"compare " + squares, 2, "accepts 2 arg"},
		{"compare " + squares + " " + squares, 2, "pass -d"},
		{"compare " + squares + " none.onnx -d " + dir, 4, "none.onnx"},
		{"compare " + squares + " " + squares + " -d " + t.TempDir(), 3, "no image"},
		{"compare " + squares + " " + squares + " -d " + broken, 3, "none of the 1 images"},
		{"compare " + squares + " " + squares + " -d 0", 2, "--frames"},
		{"compare " + squares + " " + tasks + "colours.onnx --preset imagenet -d " + dir, 2, "nothing to compare"},
		{"compare " + tasks + "halves.onnx " + tasks + "halves.onnx -d " + dir, 2, "--preset"},
		{"compare " + squares + " " + squares + " --html " + dir + "/none/a.html -d " + dir, 2, "make it first"},
		{"compare " + squares + " " + squares + " --html " + dir + " -d " + dir, 2, "is a folder"},
		{"compare " + squares + " " + squares + " --conf 2 -d " + dir, 2, "from 0 to 1"},
	} {
		r := execute(t, strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("edgecam %s\ncode %d, want %d, and %q in: %s%s", c.args, r.code, c.code, c.want, r.stdout, r.stderr)
		}
	}
}

// TestDataFolder finds the images of data sets.
func TestDataFolder(t *testing.T) {
	put := func(names ...string) string {
		dir := filepath.Join(t.TempDir(), "set[1]")
		for _, n := range names {
			path := filepath.Join(dir, n)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			writePNG(t, path, image.NewGray(image.Rect(0, 0, 8, 8)))
		}
		return dir
	}
	for _, c := range []struct {
		names []string
		want  int
	}{
		{[]string{"a.png", "images/b.png", "c/d.png"}, 1}, {[]string{"images/a.png", "images/b.png", "masks/a.png"}, 2},
		{[]string{"images/train/a.png", "images/val/b.png", "masks/train/a.png"}, 2}, {[]string{"cat/a.png", "dog/b.png", "dog/c.png"}, 3},
	} {
		r := execute(t, "compare", tasks+"colours.onnx", tasks+"colours.onnx", "--preset", "imagenet", "--json", "-d", put(c.names...))
		if r.code != 0 || decodeLines[comparison](t, r.stdout)[0].Images != c.want {
			t.Errorf("%v: code %d, want %d images: %s%s", c.names, r.code, c.want, r.stdout, r.stderr)
		}
	}
}
