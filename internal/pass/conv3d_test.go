package pass_test

import (
	"fmt"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Convolutions of volumes are made of those of images.
func TestConv3D(t *testing.T) {
	ints := optest.AttrInts
	group := func(g int64) graph.Attr { return optest.AttrInt("group", g) }
	tests := []struct {
		x, w  []int
		attrs graph.Attrs
		want  string
	}{
		// Axes that the kernel does not touch.
		{[]int{2, 3, 4, 6, 5}, []int{4, 3, 1, 3, 3}, graph.Attrs{ints("pads", 0, 1, 1, 0, 1, 1)}, "move View Conv+b move"},
		{[]int{2, 3, 4, 6, 5}, []int{4, 3, 3, 1, 3}, graph.Attrs{ints("pads", 1, 0, 1, 0, 0, 1), ints("strides", 1, 1, 2)}, "move View Conv+b move"},
		{[]int{1, 1, 9, 8, 7}, []int{5, 1, 5, 5, 1}, graph.Attrs{ints("pads", 2, 2, 0, 2, 2, 0)}, "move Conv+b move"},
		{[]int{2, 6, 3, 4, 5}, []int{4, 6, 1, 1, 1}, nil, "move View Conv+b move"},
		{[]int{2, 6, 3, 4, 5}, []int{6, 1, 1, 3, 3}, graph.Attrs{group(6)}, "move View Conv+b move"},
		// Kernels along depth.
		{[]int{2, 3, 5, 6, 7}, []int{4, 3, 3, 3, 3}, graph.Attrs{ints("pads", 1, 1, 1, 1, 1, 1)}, "move Pad move View Conv+b move"},
		{[]int{1, 3, 8, 6, 7}, []int{8, 3, 3, 2, 3}, graph.Attrs{ints("strides", 2, 1, 2), ints("dilations", 2, 1, 1), ints("pads", 1, 0, 1, 0, 1, 1)}, "move Pad move View Conv+b move"},
		{[]int{1, 3, 8, 6, 7}, []int{8, 3, 3, 2, 3}, graph.Attrs{ints("strides", 2, 2, 2)}, "move move View Conv+b move"},
		{[]int{2, 4, 5, 6, 3}, []int{6, 2, 3, 3, 1}, graph.Attrs{group(2), ints("strides", 1, 1, 2), ints("pads", 1, 1, 0, 1, 1, 0)},
			"move Pad move View Conv+b move View Conv+r move View Conv+r move"},
		{[]int{2, 6, 5, 6, 3}, []int{6, 1, 3, 3, 3}, graph.Attrs{group(6), ints("pads", 1, 1, 1, 1, 1, 1)},
			"move Pad move View Conv+b move View Conv+r move View Conv+r move"},
		{[]int{1, 4, 5, 6, 3}, []int{6, 4, 1, 1, 1}, graph.Attrs{ints("strides", 2, 2, 2)}, "move move View Conv+b move"},
		// Slabs that meet only padding.
		{[]int{1, 4, 1, 6, 3}, []int{6, 4, 3, 3, 1}, graph.Attrs{ints("pads", 1, 1, 0, 1, 1, 0), ints("strides", 1, 1, 2)}, "move move View Conv+b move"},
		{[]int{1, 4, 2, 6, 3}, []int{6, 4, 4, 1, 1}, graph.Attrs{ints("pads", 8, 0, 0, 0, 0, 0), ints("dilations", 2, 1, 1), ints("strides", 1, 2, 2)}, "move Pad move View Conv+b move"},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b := optest.NewNet(13)
			y := b.Node("Conv", tt.attrs, b.Input("x", tensor.Float32, tt.x...), b.Weights(tt.w...), b.Weights(tt.w[0]))
			if got := describe(optest.Agree(t, b.Output(y), pass.Options{})); got != tt.want {
				t.Errorf("lowered to %q, want %q", got, tt.want)
			}
		})
	}
}

// What follows a convolution of a volume becomes part of it; poolings and
// convolutions behind it read it as it lies.
func TestConv3DNet(t *testing.T) {
	same := graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1, 1, 1)}
	pool := func(op string, attrs ...graph.Attr) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node(op, attrs, x) }
	}
	kernel, strides := optest.AttrInts("kernel_shape", 3, 2, 3), optest.AttrInts("strides", 2, 2, 1)
	pads := optest.AttrInts("pads", 1, 0, 1, 1, 1, 1)
	for _, c := range []struct {
		name, want string
		build      func(b *optest.Net, x *graph.Value) *graph.Value
	}{
		{"residual", "move Pad move View Conv+b+Relu View Pad move View Conv+b+Relu+r move", func(b *optest.Net, x *graph.Value) *graph.Value {
			x = b.Node("Relu", nil, norm(b, b.Node("Conv", same, x, b.Weights(8, 3, 3, 3, 3)), 8))
			return b.Node("Relu", nil, b.Node("Add", nil, b.Node("Conv", same, x, b.Weights(8, 8, 3, 3, 3), b.Weights(8)), x))
		}},
		{"largest", "move View Pool View Pool move", pool("MaxPool", kernel, strides, pads)},
		{"mean", "move View Pool View Pool move", pool("AveragePool", kernel, strides, pads)},
		{"mean with padding", "move View Pool View Pool move", pool("AveragePool", kernel, strides, pads, optest.AttrInt("count_include_pad", 1))},
		{"rounded up", "move View Pool View Pool move", pool("AveragePool", kernel, strides, optest.AttrInt("ceil_mode", 1))},
		{"rows and columns", "move View Pool move", pool("MaxPool", optest.AttrInts("kernel_shape", 1, 2, 2), optest.AttrInts("strides", 1, 2, 2))},
		{"all", "move GlobalPool View", pool("GlobalAveragePool")},
		{"largest of all", "move GlobalPool View", pool("GlobalMaxPool")},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := optest.NewNet(13)
			y := c.build(b, b.Input("x", tensor.Float32, 2, 3, 5, 6, 7))
			if got := describe(optest.Agree(t, b.Output(y), pass.Options{})); got != c.want {
				t.Errorf("lowered to %q, want %q", got, c.want)
			}
		})
	}
}
