package pass_test

import (
	"context"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// TestQuantizedResizeTies compares a resize between quantizers, which is full
// of ties, with what ONNX Runtime 1.32 computes without optimisations.
func TestQuantizedResizeTies(t *testing.T) {
	in := []uint8{185, 241, 225, 130, 240, 249, 248, 20, 116, 155, 72, 96, 160, 205, 148, 44, 173, 223, 56, 139, 86, 230, 15, 122}
	want := []uint8{
		185, 199, 227, 237, 229, 201, 154, 130, 199, 210, 232, 240, 234, 199, 135, 102,
		226, 231, 242, 246, 243, 194, 96, 47, 209, 213, 221, 220, 209, 163, 80, 39,
		147, 155, 171, 163, 132, 106, 87, 77, 116, 126, 145, 134, 93, 78, 90, 96,
		160, 171, 194, 191, 162, 122, 70, 44, 163, 175, 198, 188, 146, 111, 82, 68,
		170, 182, 206, 184, 114, 88, 106, 115, 151, 170, 206, 180, 91, 68, 113, 135,
		108, 138, 198, 178, 76, 51, 101, 126, 86, 122, 194, 176, 69, 42, 95, 122,
	}
	b := optest.NewNet(13)
	scale, zero := b.Scalar(0.0234567), b.Const(tensor.From(tensor.Uint8, []uint8{117}))
	y := b.Node("DequantizeLinear", nil, b.Input("x", tensor.Uint8, 1, 2, 3, 4), scale, zero)
	y = b.Node("Resize", graph.Attrs{optest.AttrString("mode", "linear")}, y, nil, nil, b.Ints(1, 2, 6, 8))
	g, err := pass.Compile(b.Output(b.Node("QuantizeLinear", nil, y, scale, zero)), pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kernels.Available() {
		s, err := engine.New(g, engine.Options{Kernels: k})
		if err != nil {
			t.Fatal(err)
		}
		copy(s.Input("x").Data, in)
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i, got := range s.Output(s.Outputs()[0].Name).Data {
			if got != want[i] {
				t.Errorf("%s: element %d is %d, want %d", k.Name, i, got, want[i])
			}
		}
	}
}
