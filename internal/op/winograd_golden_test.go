package op_test

import (
	"context"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/kernels"
)

// TestWinogradGolden compiles the golden convolutions that are named for an
// algorithm, and sees that they give ONNX Runtime's results, and with AVX2 take
// that algorithm.
func TestWinogradGolden(t *testing.T) {
	found := 0
	for name, c := range goldenCases(t) {
		name, ok := strings.CutPrefix(name, "Conv_winograd_")
		if !ok {
			continue
		}
		found++
		b := optest.NewNet(17)
		var pads []int64
		for _, p := range c.op.(*op.Conv).Pads {
			pads = append(pads, int64(p))
		}
		x := c.in[0]
		y := b.Node("Conv", graph.Attrs{optest.AttrInts("pads", pads...)}, b.Input("x", x.DType, x.Shape...), b.Const(c.in[1]), b.Const(c.in[2]))
		lowered, err := pass.Compile(b.Output(y), pass.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range kernels.Available() {
			t.Run(name+"/"+set.Name, func(t *testing.T) {
				s, err := engine.New(lowered, engine.Options{Kernels: set, Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				copy(s.Input("x").Data, x.Data)
				if err := s.Run(context.Background()); err != nil {
					t.Fatal(err)
				}
				if err := optest.Compare(s.Output(s.Outputs()[0].Name), c.want[0], 1e-5, 1e-5, 0); err != nil {
					t.Error(err)
				}
				if set.Name != "avx2" {
					return // tiles of other extents may make another choice better
				}
				var names []string
				for _, p := range s.Profile() {
					names = append(names, p.Kernel)
				}
				algorithm, _, _ := strings.Cut(name, "_")
				if got := strings.Join(names, ", "); !strings.Contains(got, "winograd "+algorithm) {
					t.Errorf("steps are %s, want winograd %s", got, algorithm)
				}
			})
		}
	}
	if found != 3 {
		t.Errorf("%d golden files, want 3", found)
	}
}
