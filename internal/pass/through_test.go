package pass_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
)

// TestThrough moves scales and activations in front of concatenations and
// resizes, into convolutions.
func TestThrough(t *testing.T) {
	join := func(b *optest.Net, axis int64, vs ...*graph.Value) *graph.Value {
		return b.Node("Concat", graph.Attrs{optest.AttrInt("axis", axis)}, vs...)
	}
	resize := func(b *optest.Net, x *graph.Value, mode, coord string, by float32) *graph.Value {
		a := graph.Attrs{optest.AttrString("mode", mode), optest.AttrString("coordinate_transformation_mode", coord)}
		return b.Node("Resize", a, x, b.Floats(0, 0, 0, 0, 1, 1, 1, 1), b.Floats(1, 1, by, by))
	}
	run(t, []rewrite{
		{name: "norm and PRelu behind joined Convs", want: "move Conv+b+PRelu Conv+b+PRelu Concat move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := norm(b, join(b, 1, conv(b, x, 8, 3), conv(b, x, 8, 5)), 8)
			return b.Node("PRelu", nil, y, b.Weights(8, 1, 1))
		}},
		{name: "an image joins as well", want: "move Conv+b+Relu Mul>Add>Relu Concat move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Relu", nil, norm(b, join(b, -3, conv(b, x, 8, 3), x), 11))
		}},
		{name: "one slope for all", want: "move Conv+PRelu Conv+PRelu Concat move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("PRelu", nil, join(b, 1, conv(b, x, 8, 3), conv(b, x, 8, 5)), b.Weights(1))
		}},
		{name: "clipped", want: "move Conv+Clip Conv+Clip Concat move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Clip", nil, join(b, 1, conv(b, x, 8, 3), conv(b, x, 8, 5)), b.Scalar(-1), b.Scalar(1))
		}},
		{name: "joined along rows", want: "move Conv Conv Concat Mul>Add move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, join(b, 2, conv(b, x, 8, 3), conv(b, x, 8, 3)), 3)
		}},
		{name: "joined images alone", want: "Exp Concat Mul>Add", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, join(b, 1, x, b.Node("Exp", nil, x)), 16)
		}},
		{name: "parts are used again", want: "move Conv Conv Concat Relu Conv Conv Mul>Add move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			p, q := conv(b, x, 8, 3), conv(b, x, 8, 5)
			y := b.Node("Relu", nil, join(b, 1, p, q))
			return b.Node("Add", nil, conv(b, y, 8, 3), b.Node("Mul", nil, p, conv(b, q, 5, 3)))
		}},
		{name: "norm behind a resized Conv", want: "move Conv+b Resize move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, resize(b, conv(b, x, 8, 3), "linear", "half_pixel", 2), 3)
		}},
		{name: "norm before an enlargement", want: "Mul>Add move Resize move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, resize(b, x, "nearest", "asymmetric", 2), 8)
		}},
		{name: "norm behind a reduction", want: "move Resize Mul>Add move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, resize(b, x, "linear", "half_pixel", .5), 8)
		}},
		{name: "cropped", want: "move Conv move Resize Mul>Add", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, resize(b, conv(b, x, 8, 3), "linear", "tf_crop_and_resize", 2), 3)
		}},
		{name: "resized along channels", want: "move Conv move Resize Mul>Add", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			a := graph.Attrs{optest.AttrString("mode", "nearest")}
			return norm(b, b.Node("Resize", a, conv(b, x, 8, 3), b.Floats(), b.Floats(1, 2, 1, 1)), 6)
		}},
	})
}
