package pass_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
)

// Reductions behind a convolution work on channels-last data.
func TestReductions(t *testing.T) {
	reduce := func(op string, keep int64, axes ...int64) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node(op, graph.Attrs{optest.AttrInts("axes", axes...), optest.AttrInt("keepdims", keep)}, conv(b, x, 8, 8))
		}
	}
	arg := func(op string, keep, axis int64) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node(op, graph.Attrs{optest.AttrInt("axis", axis), optest.AttrInt("keepdims", keep)}, conv(b, x, 8, 8))
		}
	}
	run(t, []rewrite{
		{name: "channels", want: "move Conv Reduce View", build: reduce("ReduceMean", 1, 1)},
		{name: "channels, dropped", want: "move Conv Reduce View", build: reduce("ReduceMax", 0, -3)},
		{name: "rows", want: "move Conv Reduce move", build: reduce("ReduceProd", 1, 2)},
		{name: "rows, dropped", want: "move Conv Reduce move", build: reduce("ReduceL2", 0, 2)},
		{name: "rows and channels", want: "move Conv Reduce View", build: reduce("ReduceMin", 0, 1, 2)},
		{name: "images", shape: []int{3, 8, 6, 5}, want: "move Conv Reduce move", build: reduce("ReduceMean", 0, 0)},
		{name: "everything", want: "move Conv Reduce View", build: reduce("ReduceSumSquare", 0, 0, 1, 2, 3)},
		{name: "axes as input", opset: 18, want: "move Conv Reduce View", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("ReduceMax", graph.Attrs{optest.AttrInt("keepdims", 0)}, conv(b, x, 8, 8), b.Ints(1))
		}},
		{name: "no axes", opset: 18, want: "move Conv Reduce move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("ReduceL1", graph.Attrs{optest.AttrInt("noop_with_empty_axes", 1)}, conv(b, x, 8, 8))
		}},
		{name: "largest channel", want: "move Conv ArgReduce View", build: arg("ArgMax", 0, 1)},
		{name: "largest channel, kept", want: "move Conv ArgReduce View", build: arg("ArgMax", 1, -3)},
		{name: "smallest row", want: "move Conv ArgReduce move", build: arg("ArgMin", 0, 2)},
		{name: "of an input", want: "Reduce", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("ReduceMax", graph.Attrs{optest.AttrInts("axes", 1)}, x)
		}},
	})
}
