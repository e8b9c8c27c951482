package pass_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
)

// sampled returns every second pixel of x from a row and column on, by one
// slice or by one for each axis.
func sampled(b *optest.Net, x *graph.Value, row, col int64, twice bool) *graph.Value {
	const end = 1 << 30
	if twice {
		x = b.Node("Slice", nil, x, b.Ints(row), b.Ints(end), b.Ints(2), b.Ints(2))
		return b.Node("Slice", nil, x, b.Ints(col), b.Ints(end), b.Ints(3), b.Ints(2))
	}
	return b.Node("Slice", nil, x, b.Ints(row, col), b.Ints(end, end), b.Ints(2, 3), b.Ints(2, 2))
}

// focused is a convolution over the four samplings of x, at the places given.
func focused(b *optest.Net, x *graph.Value, twice bool, attrs graph.Attrs, places ...[2]int64) *graph.Value {
	var parts []*graph.Value
	for _, p := range places {
		parts = append(parts, sampled(b, x, p[0], p[1], twice))
	}
	y := b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, parts...)
	return b.Node("Conv", attrs, y, b.Weights(5, 3*len(places), 3, 3), b.Weights(5))
}

func TestFocus(t *testing.T) {
	yolox := [][2]int64{{0, 0}, {1, 0}, {0, 1}, {1, 1}}
	pads := graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1)}
	even := []int{1, 3, 12, 14}
	run(t, []rewrite{
		{name: "one slice", shape: even, want: "Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return focused(b, x, false, pads, yolox...)
		}},
		{name: "a slice for each axis, two pictures", shape: []int{2, 3, 12, 14}, want: "Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return focused(b, x, true, pads, yolox...)
		}},
		{name: "another order, stride and uneven padding", shape: even, want: "Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return focused(b, x, true, graph.Attrs{optest.AttrInts("pads", 0, 1, 2, 1), optest.AttrInts("strides", 2, 1)}, yolox[3], yolox[1], yolox[0], yolox[2])
		}},
		{name: "SAME", shape: even, want: "Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return focused(b, x, false, graph.Attrs{optest.AttrString("auto_pad", "SAME_UPPER")}, yolox...)
		}},
		{name: "odd extents", shape: []int{1, 3, 11, 13}, want: "move move move move Concat Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			same := [2]int64{0, 0}
			return focused(b, x, false, pads, same, same, same, same)
		}},
		{name: "a sample twice", shape: even, want: "move move move move Concat Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return focused(b, x, false, pads, yolox[0], yolox[1], yolox[1], yolox[3])
		}},
		{name: "dilation", shape: even, want: "move move move move Concat Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return focused(b, x, false, graph.Attrs{optest.AttrInts("dilations", 2, 2)}, yolox...)
		}},
	})
}
