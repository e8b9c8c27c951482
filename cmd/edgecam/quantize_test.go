package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/quant"
	"github.com/edgecam/edgecam/sdk"
)

// TestQuantize makes a detector int8, and looks at the file, the table, the JSON
// and the page.
func TestQuantize(t *testing.T) {
	dir, out := paint(t, 40), t.TempDir()
	page, model := filepath.Join(out, "report.html"), filepath.Join(out, "int8.onnx")
	r := execute(t, "quantize", "-m", assets+"squares.onnx", "-d", dir, "--preset", "yolox", "-o", model, "--html", page, "--json")
	if r.code != 0 || r.stderr != "" {
		t.Fatal(r.code, r.stderr)
	}
	got := decodeLines[quantization](t, r.stdout)[0]
	info, err := os.Stat(model)
	if err != nil {
		t.Fatal(err)
	}
	if got.Out != model || got.Bytes[1] != info.Size() || got.SizeRatio <= 0 || got.SizeRatio >= 1 || got.Seconds <= 0 || got.Measured.Images != 8 || !got.Measured.Apart || got.Millis[0] <= 0 || got.Millis[1] <= 0 {
		t.Errorf("%+v", got)
	}
	for _, key := range []string{`{"out":`, `"size_ratio":`, `"sqnr_db":`, `"agree":`, `"layers":[`, `"seconds":`, `"peak_rss_bytes":`} {
		if !strings.Contains(r.stdout, key) {
			t.Errorf("the JSON has no %s: %s", key, r.stdout)
		}
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("<svg")); n < 2 || regexp.MustCompile(`(src|href)="?http`).Match(b) {
		t.Errorf("the page has %d plots, or needs a network", n)
	}
	// The card makes --preset needless.
	m, err := sdk.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	card, err := m.Card()
	if err != nil || card == nil || card.Task != "detect" || card.Decoder != "yolox" || card.Preprocess == nil || card.Preprocess.Preset != "yolox" {
		t.Errorf("card %+v, %v", card, err)
	}
	if files, _ := os.ReadDir(out); len(files) != 2 {
		t.Errorf("left behind: %v", files)
	}
	// It cannot be quantized again.
	r = execute(t, "quantize", "-m", model, "-d", dir, "-o", filepath.Join(out, "again.onnx"))
	if r.code != 4 || !strings.Contains(r.stderr, "quantized already") || !strings.Contains(r.stderr, "float model") {
		t.Errorf("again: code %d: %s", r.code, r.stderr)
	}
	// The table, from few pictures of which some are of no use.
	few := paint(t, 3)
	writePNG(t, filepath.Join(few, "flat.png"), image.NewGray(image.Rect(0, 0, 8, 8)))
	if err := os.WriteFile(filepath.Join(few, "torn.jpg"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	r = execute(t, "quantize", "-m", assets+"squares.onnx", "-d", few, "--preset", "yolox", "-o", model)
	for _, want := range []string{"torn.jpg", "1 images could not be read", "4 images are few", "flat.png"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("standard error lacks %q: %s", want, r.stderr)
		}
	}
	if r.code != 0 || !strings.Contains(r.stdout, "agreement with float") || !strings.Contains(r.stdout, "none is held out") || !strings.Contains(r.stdout, "layer ") {
		t.Errorf("code %d: %s", r.code, r.stdout)
	}
}

func TestQuantizeErrors(t *testing.T) {
	squares, dir, out := assets+"squares.onnx", paint(t, 1), t.TempDir()
	broken, flat := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "a.jpg"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	writePNG(t, filepath.Join(flat, "a.png"), image.NewGray(image.Rect(0, 0, 8, 8)))
	start := "quantize -m " + squares + " --preset yolox "
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"quantize -d " + dir + " -o " + out + "/a.onnx", 2, "pass -m"},
		{start + "-d " + dir, 2, "pass -o"},
		{start + "-o " + out + "/a.onnx", 2, "pass -d"},
		{start + "-d " + dir + " -o " + out + "/none/a.onnx", 2, "make it first"},
		{start + "-d " + dir + " -o " + out, 2, "is a folder"},
		{start + "-d " + dir + " -o " + squares, 2, "overwritten"},
		{start + "-d " + dir + " -o " + out + "/a.onnx --html " + out + "/none/r.html", 2, "make it first"},
		{start + "-d " + dir + " -o " + out + "/a.onnx --method magic", 2, "mean-minmax"},
		{start + "-d " + dir + " -o " + out + "/a.onnx --max-drop -1", 2, "0 to 100"},
		{start + "-d " + dir + " -o " + out + "/a.onnx --max-drop NaN", 2, "0 to 100"},
		{start + "-d " + dir + " -o " + out + "/a.onnx --max-float 101", 2, "0 to 100"},
		{start + "-d 0 -o " + out + "/a.onnx", 2, "--frames"},
		{start + "-d " + t.TempDir() + " -o " + out + "/a.onnx", 3, "no image"},
		{start + "-d " + out + "/none -o " + out + "/a.onnx", 3, "not found"},
		{start + "-d " + broken + " -o " + out + "/a.onnx", 3, "none of the 1 images"},
		{start + "-d " + flat + " -o " + out + "/a.onnx", 3, "of one colour"},
		{start + "-d " + dir + " --eval " + out + "/none -o " + out + "/a.onnx", 3, "not found"},
		{"quantize -m " + out + "/none.onnx -d " + dir + " -o " + out + "/a.onnx", 4, "none.onnx"},
		{"quantize -m " + tasks + "halves.onnx -d " + dir + " -o " + out + "/a.onnx", 2, "--preset"},
		{"quantize -m " + assets + "tensors.onnx -d " + dir + " -o " + out + "/a.onnx", 2, "float32"},
	} {
		r := execute(t, strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("edgecam %s\ncode %d, want %d, and %q in: %s%s", c.args, r.code, c.code, c.want, r.stdout, r.stderr)
		}
	}
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("commands that failed left %v behind", left)
	}
	for err, want := range map[error]int{quant.ErrQuantized: 4, quant.ErrNothing: 4, quant.ErrNaN: 4, quant.ErrNoSamples: 3, errors.New("other"): 1} {
		if got := exitCode(quantizeError(t.Context(), fmt.Errorf("quantizing a model: %w", err))); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
}

// TestQuantizeCancelled interrupts after some time, and leaves nothing and the
// old file as it was.
func TestQuantizeCancelled(t *testing.T) {
	dir, out := paint(t, 40), t.TempDir()
	model := filepath.Join(out, "int8.onnx")
	if err := os.WriteFile(model, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 30 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		var stdout, stderr bytes.Buffer
		code := run(ctx, []string{"quantize", "-m", assets + "squares.onnx", "-d", dir, "--preset", "yolox", "-o", model}, nil, &stdout, &stderr)
		cancel()
		if code == exitDone {
			t.Logf("it was done within %v", after) // a fast machine
			if _, err := sdk.Load(model); err != nil {
				t.Error(err)
			}
			break
		}
		if code != exitInterrupted {
			t.Errorf("after %v: exit code %d, want %d: %s", after, code, exitInterrupted, &stderr)
		}
		b, err := os.ReadFile(model)
		if files, _ := os.ReadDir(out); err != nil || string(b) != "old" || len(files) != 1 {
			t.Errorf("after %v: %d files, %q, %v", after, len(files), b, err)
		}
	}
}

// TestGather takes pictures of a video, evenly spread, and of a stream.
func TestGather(t *testing.T) {
	names := func(c *calibration) (at []int) {
		err := c.each(t.Context(), calibrateAll, func(f *camera.Frame) error {
			at = append(at, f.Index)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	o := output{&bytes.Buffer{}, &bytes.Buffer{}}
	c, err := gather(t.Context(), o, &feedFlags{source: "test:?size=64x48&frames=10", frames: 4})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := names(c); !slices.Equal(got, []int{2, 4, 7, 9}) {
			t.Errorf("frames %v", got)
		}
	}
	picture := jpegFile(t, assets+"squares.png")
	server := multipart(t, time.Millisecond, picture)
	if c, err = gather(t.Context(), o, &feedFlags{source: server.URL + "/v", frames: 3}); err != nil {
		t.Fatal(err)
	}
	if got := names(c); len(got) != 3 || c.temp == "" {
		t.Errorf("a stream gave %v", got)
	}
	c.close()
	if _, err := os.Stat(c.temp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the frames of the stream are left: %v", err)
	}
}

// TestSplit holds out one in five.
func TestSplit(t *testing.T) {
	for _, n := range []int{1, fewHeldOut - 1, fewHeldOut, 64} {
		calibrate, measure, apart := (&calibration{frames: make([]int, n)}).split()
		both, either := 0, 0
		for i := range n {
			if calibrate(i) && measure(i) {
				both++
			}
			if calibrate(i) || measure(i) {
				either++
			}
		}
		if either != n || apart != (n >= fewHeldOut) || apart && both != 0 || !apart && both != n {
			t.Errorf("of %d: %d in both, %d in either, apart %v", n, both, either, apart)
		}
	}
}

// TestGate says in words what is wrong, and misses the gate where there is one.
func TestGate(t *testing.T) {
	good := quantization{Agree: 1, Millis: [2]float64{2, 1}, Measured: measurement{Images: 10, Apart: true, Task: "detect", Boxes: [2]int{10, 9}}}
	for _, c := range []struct {
		name   string
		change func(*quantization)
		warns  string
		missed bool
	}{
		{"good", func(*quantization) {}, "", false},
		{"slower", func(r *quantization) { r.Millis[1] = 3 }, "slower", true},
		{"boxes lost", func(r *quantization) { r.Measured.Boxes[1] = 4 }, "lost its detections", true},
		{"agreement lost", func(r *quantization) { r.Agree = 0.98 }, "2.00 % of the agreement", true},
		{"agreement just kept", func(r *quantization) { r.Agree = 0.99 }, "", false},
		{"nothing to find", func(r *quantization) { r.Measured.Boxes = [2]int{} }, "finds no object", false},
		{"none held out", func(r *quantization) { r.Measured.Apart = false }, "none is held out", false},
	} {
		for _, drop := range []float64{0, 1} {
			r := good
			r.MaxDrop = drop
			c.change(&r)
			r.warn()
			text := strings.Join(r.Warnings, "\n")
			if drop == 0 && c.name == "agreement lost" {
				if len(r.Warnings) > 0 {
					t.Errorf("%s without a gate: %v", c.name, r.Warnings)
				}
				continue
			}
			if (c.warns == "") != (text == "") || !strings.Contains(text, c.warns) || (len(r.Missed) > 0) != (c.missed && drop > 0) {
				t.Errorf("%s, gate %v: warnings %v, missed %v", c.name, drop, r.Warnings, r.Missed)
			}
		}
	}
	q := &quantizer{o: output{&bytes.Buffer{}, &bytes.Buffer{}}}
	if err := q.report(&quantization{Missed: []string{"slower"}}); exitCode(err) != 5 || !strings.Contains(err.Error(), "slower") {
		t.Errorf("a missed gate: %v", err)
	}
}

// TestTogether adds noises: two equal ones are 3 dB worse than one.
func TestTogether(t *testing.T) {
	for _, c := range [][3]float64{{20, 20, 16.9897}, {0, 12, 12}, {12, 0, 12}, {10, 100, 10}} {
		if got := together(c[0], c[1]); got < c[2]-0.001 || got > c[2]+0.001 {
			t.Errorf("together(%v, %v) = %v, want %v", c[0], c[1], got, c[2])
		}
	}
}
