package pass_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
)

// TestShuffledChannels leaves the channels of a shuffle where they are and
// reorders the weights behind it.
func TestShuffledChannels(t *testing.T) {
	const c, h, w = 12, 6, 5
	reshape := func(b *optest.Net, x *graph.Value, dims ...int64) *graph.Value {
		return b.Node("Reshape", nil, x, b.Ints(dims...))
	}
	shuffle := func(b *optest.Net, x *graph.Value, groups int64) *graph.Value {
		y := reshape(b, x, 1, groups, c/groups, h, w)
		y = b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1, 3, 4)}, y)
		return reshape(b, y, 1, c, h, w)
	}
	group := func(b *optest.Net, x *graph.Value, groups, outs int) *graph.Value {
		a := graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1), optest.AttrInt("group", int64(groups))}
		return b.Node("Conv", a, x, b.Weights(outs, c/groups, 3, 3), b.Weights(outs))
	}
	first := func(b *optest.Net, x *graph.Value, groups int64) *graph.Value {
		return shuffle(b, group(b, x, 1, c), groups)
	}
	pool := func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
	}
	act := func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("PRelu", nil, x, b.Weights(c, 1, 1)) }
	rows := []rewrite{
		{name: "into a convolution", want: "move Conv+b Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return group(b, first(b, x, 2), 1, 5)
		}},
		{name: "through a depthwise convolution", want: "move Conv+b Conv+b+PRelu Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return group(b, act(b, norm(b, group(b, first(b, x, 3), c, c), c)), 1, 5)
		}},
		{name: "through a normalised depthwise convolution", want: "move Conv+b Conv+b Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := group(b, first(b, x, 3), c, c)
			y = b.Node("Mul", nil, y, b.Weights(c, 1, 1))
			return group(b, y, 1, 5)
		}},
		{name: "through poolings", want: "move Conv+b Pool Conv+b Pool Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return group(b, pool(b, group(b, pool(b, first(b, x, 4)), c, c)), 1, 5)
		}},
		{name: "two users", want: "move Conv+b Conv+b Conv+b Conv+b Conv+b Concat move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := first(b, x, 2)
			p, q := group(b, group(b, y, c, c), 1, 4), group(b, group(b, y, c, c), 1, 4)
			return b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, p, q)
		}},
		{name: "shuffled twice", want: "move Conv+b Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return group(b, shuffle(b, first(b, x, 2), 3), 1, 5)
		}},
		{name: "ends at an output", want: "move Conv+b move View Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return group(b, first(b, x, 2), c, c)
		}},
		{name: "into groups", want: "move Conv+b move View Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return group(b, first(b, x, 2), 2, 4)
		}},
		{name: "a sum on the way", want: "move Conv+b move View Conv+b+r Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return group(b, b.Node("Add", nil, group(b, first(b, x, 2), c, c), x), 1, 5)
		}},
		{name: "half of the channels", want: "move Conv+b move View Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Nodes("Split", 2, graph.Attrs{optest.AttrInt("axis", 1)}, first(b, x, 2))
			return b.Node("Conv", nil, y[1], b.Weights(4, c/2, 1, 1), b.Weights(4))
		}},
	}
	for i := range rows {
		rows[i].shape = []int{1, c, h, w}
		rows[i].opset = 11
	}
	run(t, rows)
}
