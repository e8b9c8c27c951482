package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

const assets = "../../testdata/sdk/"

func TestMain(m *testing.M) {
	// The engine's workers live as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/edgecam/edgecam/internal/engine.(*pool).serve"))
}

// result is what a command line did.
type result struct {
	code           int
	stdout, stderr string
}

func execute(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// file writes a file for a test.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitCodes(t *testing.T) {
	squares, picture := assets+"squares.onnx", assets+"squares.png"
	tensors, x, shape := assets+"tensors.onnx", "x="+assets+"tensors_x.npy", "shape="+assets+"tensors_shape.npy"
	garbage := file(t, "garbage.onnx", "this is no model")
	empty := file(t, "empty.jpg", "")
	torn := file(t, "torn.png", pngStart(t, picture))
	out := t.TempDir()
	for _, c := range []struct {
		name string
		args string // split at spaces
		code int
		want string // on standard error
	}{
		{"no command", "", 2, "no command"},
		{"unknown command", "detcet", 2, "Did you mean"},
		{"unknown flag", "detect --frobnicate", 2, "unknown flag: --frobnicate"},
		{"stray argument", "detect foo", 2, "unknown command \"foo\""},
		{"bad number", "detect --conf high", 2, "invalid argument"},
		{"no model", "detect -s " + picture, 2, "pass -m"},
		{"no source", "detect -m " + squares, 2, "pass -s"},
		{"conf above 1", "detect --conf 1.5 -m " + squares + " -s " + picture, 2, "from 0 to 1"},
		{"conf not a number", "detect --conf NaN -m " + squares + " -s " + picture, 2, "from 0 to 1"},
		{"negative iou", "detect --iou -1 -m " + squares + " -s " + picture, 2, "from 0 to 1"},
		{"negative threads", "detect --threads -1 -m " + squares + " -s " + picture, 2, "0 or more"},
		{"negative frames", "detect --frames -1 -m " + squares + " -s " + picture, 2, "0 or more"},
		{"unknown preset", "detect --preset yolo99 -m " + squares + " -s " + picture, 2, "yolox"},
		{"unfit preset", "detect --preset yunet -m " + squares + " -s " + picture, 2, "bbox_S"},
		{"unknown class", "detect --classes cat -m " + squares + " -s " + picture, 2, "classes are person"},
		{"not a detector", "detect -m " + tensors + " -s " + picture, 2, "float32"},
		{"source missing", "detect -m " + squares + " -s " + out + "/none.jpg", 3, "not found"},
		{"folder without images", "detect -m " + squares + " -s " + out, 3, "no image"},
		{"camera", "detect -m " + squares + " -s /dev/video99", 3, "/dev/video99"},
		{"stream", "detect -m " + squares + " -s rtsp://user:secret@127.0.0.1:1/s", 3, "127.0.0.1:1"},
		{"bad camera option", "detect -m " + squares + " -s 0?size=big", 2, "size"},
		{"negative timeout", "detect --timeout -1s -m " + squares + " -s " + picture, 2, "no negative"},
		{"negative frame timeout", "detect --frame-timeout -1s -m " + squares + " -s " + picture, 2, "no negative"},
		{"empty image", "detect -m " + squares + " -s " + empty, 3, "empty"},
		{"not an image", "detect -m " + squares + " -s " + garbage, 3, "no image"},
		{"damaged image", "detect -m " + squares + " -s " + torn, 1, "torn.png"},
		{"damaged video", "detect -m " + squares + " -s " + file(t, "garbage.avi", "RIFF\x00\x00\x00\x00AVI garbage"), 1, "cut off"},
		{"model missing", "detect -m " + out + "/none.onnx -s " + picture, 4, "none.onnx"},
		{"model invalid", "bench -m " + garbage, 4, "garbage.onnx"},
		{"model unsupported", "bench -m " + assets + "unsupported.onnx", 4, "Defenestrate"},
		{"output is the source", "detect -m " + squares + " -s " + picture + " -o " + picture, 2, "overwritten"},
		{"output is a video of another kind", "detect -m " + squares + " -s " + picture + " -o out.mp4", 2, ".avi"},
		{"video into no folder", "detect -m " + squares + " -s " + picture + " -o " + out + "/none/out.avi", 2, "make it first"},
		{"classify without model", "classify -s " + picture, 2, "pass -m"},
		{"classify without source", "classify -m " + squares, 2, "pass -s"},
		{"classify top 0", "classify -m " + squares + " -s " + picture + " --top 0", 2, "1 or more"},
		{"classify with a detector", "classify -m " + squares + " -s " + picture, 2, "is for edgecam detect"},
		{"classify labels missing", "classify -m " + tasks + "colours.onnx --preset imagenet -s " + picture + " --labels none.txt", 2, "none.txt"},
		{"classify source missing", "classify -m " + tasks + "colours.onnx --preset imagenet -s none.jpg", 3, "not found"},
		{"classify not an image", "classify -m " + tasks + "colours.onnx --preset imagenet -s " + garbage, 3, "no image"},
		{"segment without source", "segment -m " + squares, 2, "pass -s"},
		{"segment not recognised", "segment -m " + tasks + "halves.onnx -s " + picture, 2, "--preset how the model is fed and read; here that is one of segment"},
		{"classify not recognised", "classify -m " + tasks + "colours.onnx -s " + picture, 2, "--preset how the model is fed and read; here that is one of imagenet"},
		{"segment mask as JPEG", "segment -m " + tasks + "halves.onnx --preset segment -s " + picture + " -o " + out + "/mask.jpg", 2, ".png"},
		{"segment masks as video", "segment -m " + tasks + "halves.onnx --preset segment -s " + picture + " -o " + out + "/mask.avi", 2, ".png"},
		{"segment overlay into nothing", "segment --overlay -m " + squares + " -s " + picture, 2, "give -o"},
		{"segment camera missing", "segment -m " + tasks + "halves.onnx --preset segment -s 199", 3, "edgecam cameras"},
		{"cameras argument", "cameras 0", 2, "unknown command"},
		{"infer without folder", "infer -m " + tensors + " -i " + x, 2, "pass -o"},
		{"input missing", "infer -m " + tensors + " -o " + out + "/a -i " + x, 2, `"shape" is missing`},
		{"input of unknown name", "infer -m " + tensors + " -o " + out + "/a -i y=" + assets + "tensors_x.npy", 2, "it takes x float32[batch x 4], shape int64[2]"},
		{"input twice", "infer -m " + tensors + " -o " + out + "/a -i " + x + " -i " + x, 2, "given twice"},
		{"input of wrong type", "infer -m " + tensors + " -o " + out + "/a -i x=" + assets + "tensors_shape.npy -i " + shape, 2, "does not fit"},
		{"input of wrong shape", "infer -m " + tensors + " -o " + out + "/a -i " + x + " -i shape=" + assets + "tensors_best.npy -i x=1", 2, "given twice"},
		{"input file missing", "infer -m " + tensors + " -o " + out + "/a -i x=none.npy -i " + shape, 3, "none.npy"},
		{"input not a tensor", "infer -m " + tensors + " -o " + out + "/a -i x=" + garbage + " -i " + shape, 2, "garbage.onnx"},
		{"one input too many", "infer -m " + tensors + " -o " + out + "/a -i " + x + " -i " + shape + " -i " + garbage, 2, "no further input"},
		{"bench shape malformed", "bench -m " + tensors + " --shape x=2xfour", 2, "is not a size"},
		{"bench shape nameless", "bench -m " + tensors + " --shape 2x4", 2, "NAME="},
		{"bench shape of unknown input", "bench -m " + tensors + " --shape y=2x4", 2, "no such input"},
		{"bench shape against the file", "bench -m " + squares + " --shape images=1x3x32x32", 2, "images"},
		{"bench duration", "bench -m " + squares + " --duration -1s", 2, "positive"},
		{"bench compare", "bench -m " + squares + " --compare " + garbage, 2, "not the result of bench"},
		{"inspect without model", "inspect", 2, "accepts 1 arg"},
		{"inspect garbage", "inspect " + garbage, 4, "garbage.onnx"},
		{"version argument", "version now", 2, "unknown command"},
		{"completion of nothing known", "completion elvish", 2, "invalid argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := execute(t, strings.Fields(c.args)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
				t.Errorf("edgecam %s\nexit code %d, want %d; standard error should hold %q\nstdout: %s\nstderr: %s", c.args, r.code, c.code, c.want, r.stdout, r.stderr)
			}
			if strings.Contains(r.stderr, "secret") {
				t.Errorf("the error shows a password: %s", r.stderr)
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(out, "a", "*")); len(left) > 0 {
		t.Errorf("commands that failed left %v behind", left)
	}
}

// pngStart returns the first half of a picture.
func pngStart(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:len(b)/2])
}

// TestHelp compares the help of every command with testdata. The files are
// what the contract promises; change them by hand.
func TestHelp(t *testing.T) {
	for _, name := range []string{"edgecam", "detect", "classify", "segment", "infer", "bench", "inspect", "compare", "quantize", "selftest", "cameras", "doctor", "completion", "version"} {
		args := []string{name, "--help"}
		if name == "edgecam" {
			args = args[1:]
		}
		r := execute(t, args...)
		want, err := os.ReadFile("testdata/help_" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if r.code != 0 || r.stdout != string(want) || r.stderr != "" {
			t.Errorf("help of %s: code %d\n%s%s", name, r.code, r.stdout, r.stderr)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := execute(t, "completion", shell); r.code != 0 || !strings.Contains(r.stdout, "edgecam") || r.stderr != "" {
			t.Errorf("completion %s: code %d, %d bytes, stderr %s", shell, r.code, len(r.stdout), r.stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	r := execute(t, "version")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "edgecam ") || !strings.Contains(r.stdout, "kernels") {
		t.Errorf("version: code %d, %q", r.code, r.stdout)
	}
	t.Setenv("EDGECAM_KERNELS", "mmx")
	if r := execute(t, "version"); r.code != 2 || !strings.Contains(r.stderr, "ref") {
		t.Errorf("version with an unknown rung: code %d, %q", r.code, r.stderr)
	}
	if r := execute(t, "bench", "-m", assets+"squares.onnx"); r.code != 2 || !strings.Contains(r.stderr, "EDGECAM_KERNELS") {
		t.Errorf("bench with an unknown rung: code %d, %q", r.code, r.stderr)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	for _, args := range [][]string{
		{"detect", "-m", assets + "squares.onnx", "-s", assets + "squares.png"},
		{"detect", "-m", assets + "squares.onnx", "-s", "rtsp://127.0.0.1:1/s"},
		{"classify", "-m", tasks + "colours.onnx", "-s", assets + "squares.png", "--preset", "imagenet"},
		{"segment", "-m", tasks + "halves.onnx", "-s", assets + "squares.png", "--preset", "segment"},
		{"bench", "-m", assets + "squares.onnx"},
	} {
		if code := run(ctx, args, nil, &stdout, &stderr); code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%v: exit code %d, want %d; %s", args, code, exitInterrupted, &stderr)
		}
	}
}

func TestFileNames(t *testing.T) {
	names := fileNames{"manifest.json": true}
	for _, c := range [][3]string{
		{"y", ".npy", "y.npy"}, {"Y", ".npy", "Y-2.npy"}, {"a/b:0", ".npy", "a_b_0.npy"}, {"../../etc/passwd", ".npy", "_.._etc_passwd.npy"},
		{"", ".npy", "_.npy"}, {"manifest", ".json", "manifest-2.json"}, {"größe", ".npy", "gr__e.npy"}, {".hidden", ".npy", "hidden.npy"},
	} {
		if got := names.pick(c[0], c[1]); got != c[2] {
			t.Errorf("pick(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// decodeLines decodes JSON lines.
func decodeLines[T any](t *testing.T, s string) []T {
	t.Helper()
	var out []T
	for line := range strings.Lines(s) {
		var v T
		dec := json.NewDecoder(strings.NewReader(line))
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, v)
	}
	return out
}
