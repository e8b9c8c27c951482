package op_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

// TestNetGolden compares with ONNX Runtime on the files that
// testdata/gen/net_ops.py makes. Quantized results may differ by one step.
func TestNetGolden(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*/*_*.onnx")
	if len(paths) < 200 {
		t.Fatalf("%d golden files", len(paths))
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".onnx"), func(t *testing.T) {
			g, err := onnx.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			have := map[string]*tensor.Tensor{}
			for _, v := range g.Inits {
				have[v.Name] = v.Const
			}
			n := g.Nodes[0]
			if err := optest.RunNode(n, g.Opset(n.Domain), have); err != nil {
				t.Fatal(err)
			}
			for i, o := range n.Out {
				want := have["want "+string(rune('0'+i))]
				if err := optest.Compare(have[o.Name], want, 1e-4, 1e-5, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
