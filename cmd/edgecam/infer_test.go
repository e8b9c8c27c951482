package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/sdk"
)

func TestInfer(t *testing.T) {
	for _, c := range []struct {
		name   string
		inputs []string
	}{
		{"by name", []string{"shape=" + assets + "tensors_shape.npy", "x=" + assets + "tensors_x.npy"}},
		{"by position", []string{assets + "tensors_x.npy", assets + "tensors_shape.npy"}},
		{"TensorProto", []string{assets + "tensors_x.pb", "shape=" + assets + "tensors_shape.npy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "deep", "out")
			args := []string{"infer", "-m", assets + "tensors.onnx", "-o", out}
			for _, i := range c.inputs {
				args = append(args, "-i", i)
			}
			if r := execute(t, args...); r.code != 0 || r.stdout != "" || r.stderr != "" {
				t.Fatalf("code %d: %s%s", r.code, r.stdout, r.stderr)
			}
			b, err := os.ReadFile(filepath.Join(out, "manifest.json"))
			if err != nil {
				t.Fatal(err)
			}
			var manifest map[string]string
			if err := json.Unmarshal(b, &manifest); err != nil {
				t.Fatal(err)
			}
			if manifest["a/relu:0"] != "a_relu_0.npy" || len(manifest) != 3 {
				t.Errorf("manifest %s", b)
			}
			for name, golden := range map[string]string{"a/relu:0": "relu", "reshaped": "reshaped", "best": "best"} {
				compare(t, name, filepath.Join(out, manifest[name]), assets+"tensors_"+golden+".npy")
			}
			if files, _ := os.ReadDir(out); len(files) != 4 {
				t.Errorf("%d files, want 4", len(files))
			}
		})
	}
}

// compare reads two .npy files and compares type, shape and elements.
func compare(t *testing.T, name, got, want string) {
	t.Helper()
	a, err := sdk.ReadTensor(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sdk.ReadTensor(want)
	if err != nil {
		t.Fatal(err)
	}
	if a.DType != b.DType || !a.Shape.Equal(b.Shape) {
		t.Fatalf("%s is %v, want %v", name, a.Type(), b.Type())
	}
	for i := range a.Elems() {
		if d := a.Float(i) - b.Float(i); d > 1e-5 || d < -1e-5 {
			t.Errorf("%s[%d] = %v, want %v", name, i, a.Float(i), b.Float(i))
		}
	}
}

func TestInferProfile(t *testing.T) {
	r := execute(t, "infer", "-m", assets+"tensors.onnx", "-o", t.TempDir(), "-i", assets+"tensors_x.npy", "-i", assets+"tensors_shape.npy", "--profile")
	if r.code != 0 || !strings.Contains(r.stdout, "all ") {
		t.Errorf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

func TestBench(t *testing.T) {
	args := []string{"bench", "-m", assets + "squares.onnx", "--threads", "1", "--duration", "20ms"}
	r := execute(t, append(args, "--json", "--profile")...)
	if r.code != 0 {
		t.Fatalf("code %d: %s", r.code, r.stderr)
	}
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	for _, l := range lines {
		if !json.Valid([]byte(l)) {
			t.Errorf("not JSON: %s", l)
		}
	}
	var last struct {
		Model        string
		Threads      int
		Runs         int
		MS           map[string]float64
		LoadMS       *float64 `json:"load_ms"`
		Arena        *int     `json:"arena_bytes"`
		Weights      *int     `json:"weight_bytes"`
		RSS          *int     `json:"rss_growth_bytes"`
		Kernels      string
		MACs         int
		Int8Coverage *float64 `json:"int8_coverage"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	// Nine convolutions, each reading every pixel of the 64x64 picture once
	// for each of its output channels: (4+1+1) channels x 3 heads.
	if want := 64 * 64 * 3 * 6 * 3; last.MACs != want {
		t.Errorf("macs %d, want %d", last.MACs, want)
	}
	if last.Model != assets+"squares.onnx" || last.Threads != 1 || last.Runs < 1 || last.Kernels == "" || last.LoadMS == nil || last.Arena == nil ||
		last.Weights == nil || last.RSS == nil || last.Int8Coverage == nil {
		t.Errorf("last line %s", lines[len(lines)-1])
	}
	for _, q := range []string{"min", "median", "mean", "p90", "p99"} {
		if last.MS[q] <= 0 {
			t.Errorf("ms.%s is %v", q, last.MS[q])
		}
	}
	old := file(t, "old.json", r.stdout)
	if r := execute(t, append(args, "--compare", old)...); r.code != 0 || !strings.Contains(r.stdout, "against "+old) {
		t.Errorf("--compare: code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

func TestInspect(t *testing.T) {
	r := execute(t, "inspect", assets+"unsupported.onnx", "--json")
	if r.code != 0 {
		t.Fatalf("code %d: %s", r.code, r.stderr)
	}
	var v struct {
		Opset       int
		Inputs      []port
		Outputs     []port
		Ops         map[string]int
		Params      *int
		MACs        *int
		Unsupported []struct{ Node, Op, Why string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatal(err)
	}
	if v.Opset != 17 || len(v.Inputs) != 1 || v.Inputs[0].Name != "x" || v.Ops["Relu"] != 1 || v.Ops["example.Frobnicate"] != 1 || v.Params == nil || v.MACs == nil ||
		len(v.Unsupported) != 2 || v.Unsupported[0].Node != "first" || v.Unsupported[1].Node != "third" || v.Unsupported[1].Why == "" {
		t.Errorf("inspect: %s", r.stdout)
	}
	r = execute(t, "inspect", assets+"tensors.onnx", "--json")
	if !strings.Contains(r.stdout, `"inputs":[{"name":"x","dtype":"float32","shape":["batch",4]}`) || !strings.Contains(r.stdout, `"params":15`) {
		t.Errorf("inspect: %s", r.stdout)
	}
	r = execute(t, "inspect", assets+"squares.onnx")
	if r.code != 0 || !bytes.Contains([]byte(r.stdout), []byte("221.2 k multiply-adds")) {
		t.Errorf("inspect: code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}
