package engine_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// assets returns the folder of models and data that are not part of the
// project, or skips the test.
func assets(t testing.TB) string {
	dir := os.Getenv("EDGECAM_ASSETS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "models")); err != nil {
		t.Skip("no models: set EDGECAM_ASSETS to the assets folder")
	}
	return dir
}

// fill writes uniform random numbers into every input.
func fill(s *engine.Session, seed uint64) map[string]*tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, 1))
	in := map[string]*tensor.Tensor{}
	for _, p := range s.Inputs() {
		t := s.Input(p.Name)
		for i := range t.Elems() {
			t.SetFloat(i, rng.Float64())
		}
		in[p.Name] = t
	}
	return in
}

// sqnr returns the signal-to-noise ratio in decibels.
func sqnr(got, want *tensor.Tensor) float64 {
	signal, noise := 1e-30, 1e-30
	for i := range want.Elems() {
		a, b := got.Float(i), want.Float(i)
		if math.IsNaN(a) != math.IsNaN(b) {
			return math.Inf(-1)
		}
		if math.IsNaN(a) {
			continue
		}
		signal += b * b
		noise += (a - b) * (a - b)
	}
	return 10 * math.Log10(signal/noise)
}

func shapes(g *graph.Graph) map[string][]int {
	out := map[string][]int{}
	for _, v := range g.Inputs {
		s := []int{}
		for i, d := range v.Type.Shape {
			switch {
			case d >= 0:
			case i == 0:
				d = 1
			default:
				d = 320
			}
			s = append(s, d)
		}
		out[v.Name] = s
	}
	return out
}

// TestModels runs every model of the assets folder as prepared for each rung
// and number of threads, against the reference operators one by one.
func TestModels(t *testing.T) {
	if testing.Short() {
		t.Skip("published nets take too long in a short test")
	}
	files, _ := filepath.Glob(filepath.Join(assets(t), "models", "*", "*.onnx"))
	if len(files) == 0 {
		t.Skip("no models")
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			g, err := onnx.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			o := pass.Options{Shapes: shapes(g)}
			bound, err := pass.Bind(g, o)
			if err != nil {
				t.Fatal(err)
			}
			lowered, err := pass.Compile(g, o)
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]*tensor.Tensor
			var first map[string][]byte
			for _, k := range kernels.Available() {
				for _, threads := range []int{1, 3} {
					if k.Name == "ref" && threads > 1 {
						continue
					}
					runtime.GOMAXPROCS(max(threads, 2))
					s, err := engine.New(lowered, engine.Options{Kernels: k, Threads: threads})
					if err != nil {
						t.Fatal(err)
					}
					in := fill(s, 1)
					if want == nil {
						if want, err = optest.Reference(bound, in); err != nil {
							t.Fatal(err)
						}
					}
					runs := 2
					if k.Name == "ref" {
						runs = 1 // it is slow
					}
					for range runs {
						if err := s.Run(context.Background()); err != nil {
							t.Fatal(err)
						}
					}
					for _, p := range s.Outputs() {
						got := s.Output(p.Name)
						db := sqnr(got, want[p.Name])
						limit := 100.0
						if quantized(g) {
							limit = 10
						}
						if db < limit || !got.Shape.Equal(want[p.Name].Shape) {
							t.Errorf("%s, %d threads: output %q %v is at %.1f dB of the reference %v", k.Name, threads, p.Name, got.Shape, db, want[p.Name].Shape)
						}
						if threads == 1 {
							if first == nil {
								first = map[string][]byte{}
							}
							first[p.Name] = append([]byte{}, got.Bytes()...)
						} else if string(first[p.Name]) != string(got.Bytes()) {
							t.Errorf("%s: output %q depends on the number of threads", k.Name, p.Name)
						}
					}
					if k.Name != "ref" {
						if n := testing.AllocsPerRun(2, func() { _ = s.Run(context.Background()) }); n != 0 {
							t.Errorf("%s, %d threads: Run allocates %v times", k.Name, threads, n)
						}
					}
					s.Close()
				}
			}
		})
	}
}

func quantized(g *graph.Graph) bool {
	for _, n := range g.Nodes {
		if n.Type == "QuantizeLinear" || n.Type == "QLinearConv" {
			return true
		}
	}
	return false
}
