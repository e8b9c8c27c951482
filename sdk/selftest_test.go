package sdk

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// The sums in selfNets are those of the rung ref; see TestSelfTestONNXRuntime
// for what they stand for.
func TestSelfTest(t *testing.T) {
	for _, set := range kernels.Available() {
		t.Run("rung="+set.Name, func(t *testing.T) {
			t.Setenv(kernels.EnvRung, set.Name)
			for _, threads := range []int{1, 2} {
				rs, err := selfTest(context.Background(), selfNets, threads)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rs {
					if !r.Pass || r.Sum != r.Want {
						t.Errorf("%d threads: %s gives %s, want %s", threads, r.Net, r.Sum, r.Want)
					}
					if r.Kernels != set.Name || r.Int8Coverage != 1 || r.MACs == 0 || r.Time <= 0 {
						t.Errorf("%+v", r)
					}
				}
			}
		})
	}
}

// Each kernel for 8-bit numbers has a net that it serves.
func TestSelfTestKernels(t *testing.T) {
	used := map[string]bool{}
	for _, n := range selfNets {
		g, err := pass.Compile(n.build(), pass.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := engine.New(g, engine.Options{Kernels: kernels.Ref()})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Profile() {
			used[step.Op+" "+step.Kernel] = true
			if slices.Contains([]string{"f32_unary", "f32_binary", "f32_chain"}, step.Kernel) {
				t.Errorf("%s: node %s computes in float32", n.name, step.Node)
			}
		}
	}
	for _, k := range []string{"Conv ref q8 gemm", "Conv ref q8 igemm", "Conv ref q8 igemm rows", "Conv ref q8 dwconv", "Gemm ref q8 gemm",
		"Add ref u8 binary", "Mul ref u8 binary", "Mul ref u8 binary rows", "TableU8 ref u8 table", "MaxPool ref u8 maxpool",
		"AveragePool ref u8 avgpool", "GlobalAveragePool ref u8 avgpool", "Resize nearest", "QuantizeLinear f32_to_u8"} {
		if !used[k] {
			t.Errorf("no net uses %q; they use %v", k, used)
		}
	}
}

// Any change of a weight, a frame or a kernel's result shows.
func TestSelfTestFails(t *testing.T) {
	for _, n := range selfNets {
		changed := n
		changed.build = func() *graph.Graph {
			g := n.build()
			for _, v := range g.Inits {
				if v.Type.DType == tensor.Int8 && len(v.Type.Shape) == 4 || v.Type.DType == tensor.Uint8 && len(v.Type.Shape) == 4 {
					for i := range v.Const.Data[:9] {
						v.Const.Data[i] ^= 1
					}
					return g
				}
			}
			t.Fatalf("%s has no weights", n.name)
			return nil
		}
		rs, err := selfTest(context.Background(), []selfNet{changed}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if rs[0].Pass || rs[0].Sum == n.sum || rs[0].Want != n.sum {
			t.Errorf("%s passes with other weights: %+v", n.name, rs[0])
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := SelfTest(ctx); err == nil {
		t.Error("a cancelled self-test ends without an error")
	}
}

// ONNX Runtime computes the nets in float32 between 8-bit values. It rounds
// elsewhere where a result lies between two steps, so a few may be one step off.
func TestSelfTestONNXRuntime(t *testing.T) {
	// testdata/gen/selftest.py reads the nets and their inputs from this folder.
	export := os.Getenv("EDGECAM_SELFTEST_EXPORT")
	for _, n := range selfNets {
		portable := n.build()
		g, err := pass.Compile(portable, pass.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := engine.New(g, engine.Options{Kernels: kernels.Ref(), Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		in := s.Input("input")
		if err := selfFrame(in); err != nil {
			t.Fatal(err)
		}
		if export != "" {
			if err := onnx.Save(filepath.Join(export, n.name+".onnx"), portable); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(export, n.name+".in"), in.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(filepath.Join("..", "testdata", "selftest", n.name+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		var got []byte
		flip := byte(0)
		for _, p := range s.Outputs() {
			got = append(got, s.Output(p.Name).Bytes()...)
			if p.Type.DType == tensor.Int8 {
				flip = 0x80
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s gives %d numbers, ONNX Runtime %d", n.name, len(got), len(want))
		}
		off := 0
		for i, w := range want {
			d := int(got[i]^flip) - int(w^flip)
			if d*d > 1 {
				t.Fatalf("%s: number %d is %d, ONNX Runtime has %d", n.name, i, got[i], w)
			}
			off += d * d
		}
		if off*10 > len(want) {
			t.Errorf("%s: %d of %d numbers are off by one", n.name, off, len(want))
		}
	}
}
