package pass_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
)

func TestGroupNorm(t *testing.T) {
	epsilon := graph.Attrs{optest.AttrFloat("epsilon", 1e-3)}
	instance := func(b *optest.Net, x *graph.Value, c int) *graph.Value {
		return b.Node("InstanceNormalization", epsilon, x, b.Weights(c), b.Weights(c))
	}
	// As PyTorch spells it: groups as channels, then one factor and summand
	// for each channel.
	spelled := func(groups int64, back ...int64) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value {
			n := instance(b, b.Node("Reshape", nil, x, b.Ints(0, groups, -1)), int(groups))
			y := b.Node("Reshape", nil, n, b.Ints(back...))
			y = b.Node("Mul", nil, y, b.Weights(8, 1, 1))
			return b.Node("Add", nil, y, b.Weights(8, 1, 1))
		}
	}
	group := func(name string, opset, scales int) rewrite {
		return rewrite{name: name, opset: opset, want: "move GroupNorm move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			attrs := append(graph.Attrs{optest.AttrInt("num_groups", 4)}, epsilon...)
			return b.Node("GroupNormalization", attrs, x, b.Weights(scales), b.Weights(scales))
		}}
	}
	act := func(name string) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node(name, nil, instance(b, x, 8)) }
	}
	run(t, []rewrite{
		{name: "instances", want: "move GroupNorm move", build: func(b *optest.Net, x *graph.Value) *graph.Value { return instance(b, x, 8) }},
		{name: "instances of two images", shape: []int{2, 8, 30, 41}, want: "move GroupNorm move", build: func(b *optest.Net, x *graph.Value) *graph.Value { return instance(b, x, 8) }},
		{name: "many channels", shape: []int{2, 300, 5, 7}, want: "move GroupNorm move", build: func(b *optest.Net, x *graph.Value) *graph.Value { return instance(b, x, 300) }},
		{name: "one spatial axis", shape: []int{2, 8, 9}, want: "move GroupNorm move", build: func(b *optest.Net, x *graph.Value) *graph.Value { return instance(b, x, 8) }},
		{name: "Relu", want: "move GroupNorm move", build: act("Relu")},
		{name: "Sigmoid", want: "move GroupNorm move", build: act("Sigmoid")},
		{name: "PRelu", want: "move GroupNorm move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("PRelu", nil, instance(b, x, 8), b.Weights(8, 1, 1))
		}},
		{name: "groups between reshapes", want: "move GroupNorm move", build: spelled(4, 1, 8, 6, 5)},
		{name: "one group between reshapes", want: "move GroupNorm move", build: spelled(1, 1, 8, 6, 5)},
		{name: "groups of several images", shape: []int{3, 8, 13, 50}, want: "move GroupNorm move", build: spelled(2, 3, 8, 13, 50)},
		{name: "reshaped to something else", want: "move GroupNorm move View Mul>Add move", build: spelled(4, 1, 8, 5, 6)},
		{name: "three groups of eight channels", shape: []int{1, 8, 6, 5}, want: "move GroupNorm move View Mul>Add", build: spelled(3, 1, 8, 6, 5)},
		group("GroupNormalization, scales of groups", 18, 4),
		group("GroupNormalization, scales of channels", 21, 8),
		// The mean is much larger than the deviation.
		{name: "far from zero", shape: []int{1, 8, 40, 40}, want: "Add move GroupNorm move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return instance(b, b.Node("Add", nil, x, b.Scalar(100)), 8)
		}},
	})
}
