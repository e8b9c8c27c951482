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

// TestQuantizedTies compares operators between quantizers whose results are
// full of ties with what ONNX Runtime 1.32 computes without optimisations.
func TestQuantizedTies(t *testing.T) {
	t.Run("Resize", func(t *testing.T) {
		ties(t, 0, []int{1, 2, 3, 4}, resizeIn, resizeOut, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Resize", graph.Attrs{optest.AttrString("mode", "linear")}, x, nil, nil, b.Ints(1, 2, 6, 8))
		})
	})
	t.Run("AveragePool", func(t *testing.T) {
		// The sum of integers is multiplied once, as in QLinearAveragePool: one tie
		// falls to the other side.
		ties(t, 1, []int{1, 2, 6, 8}, poolIn, poolOut, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("AveragePool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2), optest.AttrInts("strides", 2, 2)}, x)
		})
	})
}

// TestDequantized checks these operators away from ties.
func TestDequantized(t *testing.T) {
	ints := optest.AttrInts
	for name, attrs := range map[string]graph.Attrs{
		"clipped":  {ints("kernel_shape", 3, 3), ints("pads", 1, 1, 1, 1)},
		"included": {ints("kernel_shape", 3, 2), ints("pads", 2, 1, 1, 1), ints("strides", 2, 1), optest.AttrInt("count_include_pad", 1)},
		"dilated":  {ints("kernel_shape", 3, 2), ints("dilations", 1, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			b := optest.NewNet(19)
			x := b.Node("DequantizeLinear", nil, b.Input("x", tensor.Uint8, 2, 5, 6, 7), b.Scalar(.3))
			optest.Agree(t, b.Output(b.Node("AveragePool", attrs, x)), pass.Options{})
		})
	}
	for _, mode := range []string{"half_pixel", "align_corners", "asymmetric"} {
		t.Run(mode, func(t *testing.T) {
			b := optest.NewNet(13)
			x := b.Node("DequantizeLinear", nil, b.Input("x", tensor.Uint8, 2, 5, 6, 7), b.Scalar(.3))
			attrs := graph.Attrs{optest.AttrString("mode", "linear"), optest.AttrString("coordinate_transformation_mode", mode)}
			optest.Agree(t, b.Output(b.Node("Resize", attrs, x, nil, nil, b.Ints(2, 5, 9, 13))), pass.Options{})
		})
	}
}

// TestByteResize compares the resize of 8-bit integers with what ONNX Runtime
// 1.32 computes.
func TestByteResize(t *testing.T) {
	attrs := graph.Attrs{optest.AttrString("mode", "linear"), optest.AttrString("coordinate_transformation_mode", "align_corners")}
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		b := optest.NewNet(13)
		y := b.Node("Resize", attrs, b.Input("x", d, 1, 2, 3, 4), nil, nil, b.Ints(1, 2, 5, 7))
		s := session(t, b.Output(y), kernels.Ref())
		copy(s.Input("x").Data, resizeIn)
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i := range s.Output(y.Name).Elems() {
			want := int64(byteResizeOut[i])
			if d == tensor.Int8 {
				want = int64(int8ResizeOut[i])
			}
			if got := s.Output(y.Name).Int(i); got != want {
				t.Errorf("%v: element %d is %d, want %d", d, i, got, want)
			}
		}
	}
	// More elements than are converted at a time.
	for _, mode := range []string{"linear", "nearest", "cubic"} {
		b := optest.NewNet(13)
		x := b.Input("x", tensor.Uint8, 1, 3, 16, 20)
		optest.Agree(t, b.Output(b.Node("Resize", graph.Attrs{optest.AttrString("mode", mode)}, x, nil, nil, b.Ints(1, 3, 32, 40))), pass.Options{})
	}
}

// session compiles a graph for one rung.
func session(t *testing.T, g *graph.Graph, k *kernels.Set) *engine.Session {
	t.Helper()
	lowered, err := pass.Compile(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.New(lowered, engine.Options{Kernels: k})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ties runs a node between DequantizeLinear and QuantizeLinear; so many results
// may be one step off.
func ties(t *testing.T, off int, shape []int, in, want []uint8, node func(b *optest.Net, x *graph.Value) *graph.Value) {
	b := optest.NewNet(13)
	scale, zero := b.Scalar(0.0234567), b.Const(tensor.From(tensor.Uint8, []uint8{117}))
	y := node(b, b.Node("DequantizeLinear", nil, b.Input("x", tensor.Uint8, shape...), scale, zero))
	g := b.Output(b.Node("QuantizeLinear", nil, y, scale, zero))
	for _, k := range kernels.Available() {
		s := session(t, g, k)
		copy(s.Input("x").Data, in)
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for i, got := range s.Output(s.Outputs()[0].Name).Data {
			if got == want[i] {
				continue
			}
			if wrong++; wrong > off || got+1 != want[i] && got-1 != want[i] {
				t.Errorf("%s: element %d is %d, want %d", k.Name, i, got, want[i])
			}
		}
	}
}

var (
	resizeIn = []uint8{
		185, 241, 225, 130, 240, 249, 248, 20, 116, 155, 72, 96, 160, 205, 148, 44,
		173, 223, 56, 139, 86, 230, 15, 122,
	}
	resizeOut = []uint8{
		185, 199, 227, 237, 229, 201, 154, 130, 199, 210, 232, 240, 234, 199, 135, 102,
		226, 231, 242, 246, 243, 194, 96, 47, 209, 213, 221, 220, 209, 163, 80, 39,
		147, 155, 171, 163, 132, 106, 87, 77, 116, 126, 145, 134, 93, 78, 90, 96,
		160, 171, 194, 191, 162, 122, 70, 44, 163, 175, 198, 188, 146, 111, 82, 68,
		170, 182, 206, 184, 114, 88, 106, 115, 151, 170, 206, 180, 91, 68, 113, 135,
		108, 138, 198, 178, 76, 51, 101, 126, 86, 122, 194, 176, 69, 42, 95, 122,
	}
	poolIn = []uint8{
		185, 241, 225, 130, 240, 249, 248, 20, 116, 155, 72, 96, 160, 205, 148, 44,
		173, 223, 56, 139, 86, 230, 15, 122, 229, 110, 35, 201, 246, 251, 238, 94,
		187, 248, 146, 237, 150, 45, 118, 155, 77, 180, 104, 241, 53, 170, 23, 34,
		133, 127, 127, 126, 219, 128, 93, 245, 226, 89, 51, 57, 42, 133, 147, 164,
		230, 240, 136, 148, 20, 68, 255, 238, 6, 125, 127, 173, 29, 121, 94, 55,
		207, 177, 46, 197, 137, 48, 169, 117, 122, 92, 249, 43, 254, 56, 205, 246,
	}
	poolOut = []uint8{
		174, 131, 213, 115, 184, 108, 203, 117, 173, 182, 105, 83, 144, 90, 131, 162,
		150, 146, 59, 161, 150, 134, 124, 184,
	}
	byteResizeOut = []uint8{
		185, 213, 241, 233, 225, 177, 130, 212, 228, 245, 240, 236, 155, 75,
		240, 244, 249, 248, 248, 134, 20, 178, 190, 202, 181, 160, 109, 58,
		116, 135, 155, 113, 72, 84, 96, 160, 182, 205, 176, 148, 96, 44,
		166, 190, 214, 158, 102, 96, 91, 173, 198, 223, 139, 56, 97, 139,
		129, 178, 226, 131, 35, 83, 130, 86, 158, 230, 122, 15, 68, 122,
	}
	int8ResizeOut = []int8{
		-71, -43, -15, -23, -31, -78, -126, -43, -27, -11, -15, -19, -36, -53,
		-16, -11, -7, -7, -8, 6, 20, 50, -2, -54, -11, 32, 45, 58,
		116, 7, -101, -14, 72, 84, 96, -96, -73, -51, -79, -108, -32, 44,
		-89, -65, -42, -34, -26, -31, -36, -83, -58, -33, 11, 56, -30, -117,
		1, -14, -29, 3, 35, 19, 2, 86, 30, -26, -5, 15, 68, 122,
	}
)
