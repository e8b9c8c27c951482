package pass_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// rewrite is a piece of a net, the way exporters write it, and the operators
// of the lowered graph that it must become.
type rewrite struct {
	name  string
	build func(b *optest.Net, x *graph.Value) *graph.Value
	want  string // as in lowered; see describe
	opset int    // 0: 13
	shape []int  // of x; nil: 1x8x6x5
}

func (r rewrite) net() (*optest.Net, *graph.Value) {
	if r.opset == 0 {
		r.opset = 13
	}
	if r.shape == nil {
		r.shape = []int{1, 8, 6, 5}
	}
	b := optest.NewNet(r.opset)
	return b, b.Input("x", tensor.Float32, r.shape...)
}

// describe lists the operators of a lowered graph. A convolution shows what is
// fused into it. Copies into and out of channels-last order are "move".
func describe(g *graph.Graph) string {
	var words []string
	for _, n := range g.Nodes {
		switch o := n.Op.(type) {
		case *op.Unary:
			words = append(words, o.Kind.String())
		case *op.Binary:
			words = append(words, o.Kind.String())
		case *op.Chain:
			words = append(words, links(o))
		case *op.ConvNHWC:
			words = append(words, "Conv"+fused(o, n))
		case *op.StridedCopy:
			words = append(words, "move")
		default:
			words = append(words, strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", o), "*op."), "NHWC"))
		}
	}
	return strings.Join(words, " ")
}

// links lists the functions of a chain.
func links(c *op.Chain) string {
	var names []string
	for _, l := range c.Links {
		if l.Unary != nil {
			names = append(names, l.Unary.Kind.String())
		} else {
			names = append(names, l.Kind.String())
		}
	}
	return strings.Join(names, ">")
}

func fused(o *op.ConvNHWC, n *graph.Node) string {
	var s string
	if len(n.In) > 2 && n.In[2] != nil {
		s += "+b"
	}
	names := map[kernels.Unary]string{kernels.Clamp: "Clip", kernels.LeakyRelu: "LeakyRelu", kernels.Sigmoid: "Sigmoid", kernels.SiLU: "Swish", kernels.HardSigmoid: "HardSigmoid", kernels.HardSwish: "HardSwish", kernels.Tanh: "Tanh", kernels.Erf: "Erf", kernels.Gelu: "Gelu"}
	switch a := o.Act; {
	case a.HasUnary:
		s += "+" + names[a.Unary]
	case a.Slope != nil:
		s += "+PRelu"
	case a.Min == 0 && math.IsInf(float64(a.Max), 1):
		s += "+Relu"
	case !a.None():
		s += "+Clip"
	}
	if len(n.In) > 3 && n.In[3] != nil {
		s += "+r"
	}
	return s
}

// check compares the numbers on every rung with those of the graph as it was
// written, and the operators of the lowered graph with those that the row
// wants.
func (r rewrite) check(t *testing.T, b *optest.Net, y *graph.Value) {
	t.Helper()
	lowered := optest.Agree(t, b.Output(y), pass.Options{})
	if got := describe(lowered); got != r.want {
		t.Errorf("lowered to %q, want %q", got, r.want)
	}
}

// conv is a 3 by 3 convolution that keeps the size.
func conv(b *optest.Net, x *graph.Value, in, out int) *graph.Value {
	return b.Node("Conv", graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1)}, x, b.Weights(out, in, 3, 3))
}

func run(t *testing.T, rows []rewrite) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			b, x := r.net()
			r.check(t, b, r.build(b, x))
		})
	}
}

// norm is BatchNormalization over c channels.
func norm(b *optest.Net, x *graph.Value, c int) *graph.Value {
	return b.Node("BatchNormalization", graph.Attrs{optest.AttrFloat("epsilon", 1e-3)}, x, b.Weights(c), b.Weights(c), b.Weights(c), b.Positive(c))
}

func TestScalesFold(t *testing.T) {
	group := func(g int64) graph.Attrs { return graph.Attrs{optest.AttrInt("group", g)} }
	rows := []rewrite{
		{name: "norm behind Conv", want: "move Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value { return norm(b, conv(b, x, 8, 3), 3) }},
		{name: "norm behind Conv with bias in groups", want: "move Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Conv", group(2), x, b.Weights(6, 4, 3, 3), b.Weights(6)), 6)
		}},
		{name: "norm behind depthwise Conv", want: "move Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Conv", group(8), x, b.Weights(8, 1, 3, 3)), 8)
		}},
		{name: "norm behind Conv of one axis", shape: []int{2, 8, 9}, want: "move Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Conv", nil, x, b.Weights(5, 8, 3)), 5)
		}},
		{name: "norm behind ConvTranspose", want: "move Conv+b move View", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("ConvTranspose", graph.Attrs{optest.AttrInts("strides", 2, 2)}, x, b.Weights(8, 3, 2, 2)), 3)
		}},
		{name: "norm behind ConvTranspose in groups", want: "move Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("ConvTranspose", group(2), x, b.Weights(8, 3, 2, 2), b.Weights(6)), 6)
		}},
		{name: "norm behind Gemm", shape: []int{3, 4}, want: "Gemm", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Gemm", nil, x, b.Weights(4, 5), b.Weights(5)), 5)
		}},
		{name: "norm behind transposed Gemm", shape: []int{3, 4}, want: "Gemm", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Gemm", graph.Attrs{optest.AttrInt("transB", 1)}, x, b.Weights(5, 4)), 5)
		}},
		{name: "norm behind Gemm, bias of one number", shape: []int{3, 4}, want: "Gemm", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Gemm", nil, x, b.Weights(4, 5), b.Floats(.5)), 5)
		}},
		{name: "norm behind Gemm, bias by row", shape: []int{5, 4}, want: "Gemm Mul>Add", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Gemm", nil, x, b.Weights(4, 5), b.Weights(5, 1)), 5)
		}},
		{name: "norm behind scaled Gemm", shape: []int{3, 4}, want: "Gemm Mul>Add", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return norm(b, b.Node("Gemm", graph.Attrs{optest.AttrFloat("alpha", .5)}, x, b.Weights(4, 5)), 5)
		}},
		{name: "norm alone", want: "Mul>Add", build: func(b *optest.Net, x *graph.Value) *graph.Value { return norm(b, x, 8) }},
		{name: "norm before Conv", want: "Mul>Add move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value { return conv(b, norm(b, x, 8), 8, 3) }},
		{name: "norm, then scale and shift", want: "move Conv+b move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := norm(b, conv(b, x, 8, 3), 3)
			return b.Node("Add", nil, b.Node("Mul", nil, y, b.Weights(1, 3, 1, 1)), b.Weights(3, 1, 1))
		}},
		{name: "norm between Conv and Relu", want: "move Conv+b+Relu move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Relu", nil, norm(b, conv(b, x, 8, 3), 3))
		}},
		{name: "norm by element", opset: 7, want: "BatchNorm", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("BatchNormalization", graph.Attrs{optest.AttrInt("spatial", 0)}, x, b.Weights(8, 6, 5), b.Weights(8, 6, 5), b.Weights(8, 6, 5), b.Positive(8, 6, 5))
		}},
		{name: "norm with a variance of zero and no epsilon", want: "move Conv Mul>Add View", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("BatchNormalization", graph.Attrs{optest.AttrFloat("epsilon", 0)}, conv(b, x, 8, 1), b.Floats(1), b.Floats(1), b.Floats(0), b.Floats(0))
		}},
		{name: "sum of a Conv with a larger constant", want: "move Conv Add move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Add", nil, conv(b, x, 8, 8), b.Weights(1, 8, 6, 5))
		}},
		{name: "scale that makes one channel three", want: "move Conv View Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Mul", nil, conv(b, x, 8, 1), b.Weights(3, 1, 1))
		}},
	}
	for _, kind := range []string{"Mul", "Add", "Sub", "Div"} {
		constants := map[string]func(b *optest.Net) *graph.Value{
			"channel": func(b *optest.Net) *graph.Value { return b.Positive(3, 1, 1) },
			"batched": func(b *optest.Net) *graph.Value { return b.Positive(1, 3, 1, 1) },
			"scalar":  func(b *optest.Net) *graph.Value { return b.Scalar(1.5) },
			"one":     func(b *optest.Net) *graph.Value { return b.Floats(.7) },
		}
		for what, c := range constants {
			plain, swapped := "move Conv+b move", "move Conv+b move"
			if kind == "Sub" || kind == "Div" {
				swapped = "move Conv " + kind + " move"
			}
			rows = append(rows,
				rewrite{name: kind + " " + what, want: plain, build: func(b *optest.Net, x *graph.Value) *graph.Value {
					return b.Node(kind, nil, conv(b, x, 8, 3), c(b))
				}},
				rewrite{name: what + " " + kind, want: swapped, build: func(b *optest.Net, x *graph.Value) *graph.Value {
					return b.Node(kind, nil, c(b), conv(b, x, 8, 3))
				}})
		}
	}
	run(t, rows)
}

// A product that others read as well keeps its weights.
func TestScaleOfSharedConv(t *testing.T) {
	b, x := rewrite{}.net()
	y := conv(b, x, 8, 3)
	z := b.Node("Mul", nil, y, b.Scalar(2))
	b.Output(y)
	rewrite{want: "move Conv Mul move move"}.check(t, b, z)
}

func TestPadsFold(t *testing.T) {
	border := func(b *optest.Net, x *graph.Value, more ...*graph.Value) *graph.Value {
		return b.Node("Pad", nil, append([]*graph.Value{x, b.Ints(0, 0, 0, 1, 0, 0, 1, 2)}, more...)...)
	}
	kernel := optest.AttrInts("kernel_shape", 3, 3)
	run(t, []rewrite{
		{name: "Conv", want: "move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", graph.Attrs{optest.AttrInts("strides", 2, 2)}, border(b, x), b.Weights(3, 8, 3, 3))
		}},
		{name: "Conv with padding", want: "move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", graph.Attrs{optest.AttrInts("pads", 1, 0, 1, 1)}, border(b, x, b.Scalar(0)), b.Weights(3, 8, 3, 3))
		}},
		{name: "Conv, pads as attribute", opset: 9, want: "move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Pad", graph.Attrs{optest.AttrInts("pads", 0, 0, 1, 1, 0, 0, 1, 1)}, x)
			return b.Node("Conv", nil, y, b.Weights(3, 8, 3, 3))
		}},
		{name: "AveragePool", want: "move Pool move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("AveragePool", graph.Attrs{kernel}, border(b, x))
		}},
		{name: "AveragePool that counts its padding", want: "move Pool move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("AveragePool", graph.Attrs{kernel, optest.AttrInts("pads", 1, 1, 1, 1), optest.AttrInt("count_include_pad", 1)}, border(b, x))
		}},
		{name: "AveragePool that leaves its padding out", want: "Pad move Pool move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("AveragePool", graph.Attrs{kernel, optest.AttrInts("pads", 1, 1, 1, 1)}, border(b, x))
		}},
		{name: "MaxPool", want: "Pad move Pool move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("MaxPool", graph.Attrs{kernel}, border(b, x))
		}},
		{name: "another value", want: "Pad move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", nil, border(b, x, b.Scalar(1)), b.Weights(3, 8, 3, 3))
		}},
		{name: "edges", want: "Pad move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Pad", graph.Attrs{optest.AttrString("mode", "edge")}, x, b.Ints(0, 0, 1, 1, 0, 0, 1, 1))
			return b.Node("Conv", nil, y, b.Weights(3, 8, 3, 3))
		}},
		{name: "channels", want: "Pad move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", nil, b.Node("Pad", nil, x, b.Ints(0, 1, 0, 0, 0, 0, 0, 0)), b.Weights(3, 9, 3, 3))
		}},
		{name: "cropping", want: "Pad move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", nil, b.Node("Pad", nil, x, b.Ints(0, 0, -1, 1, 0, 0, 1, 1)), b.Weights(3, 8, 3, 3))
		}},
		{name: "SAME", want: "Pad move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", graph.Attrs{optest.AttrString("auto_pad", "SAME_UPPER"), optest.AttrInts("strides", 2, 2)}, border(b, x), b.Weights(3, 8, 3, 3))
		}},
	})
}

func TestSpatialMeans(t *testing.T) {
	mean := func(keep int64, axes ...int64) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("ReduceMean", graph.Attrs{optest.AttrInts("axes", axes...), optest.AttrInt("keepdims", keep)}, x)
		}
	}
	byInput := func(keep int64, axes ...int64) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("ReduceMean", graph.Attrs{optest.AttrInt("keepdims", keep)}, x, b.Ints(axes...))
		}
	}
	run(t, []rewrite{
		{name: "attribute", want: "move GlobalPool View", build: mean(1, 2, 3)},
		{name: "attribute, dropped axes", want: "move GlobalPool View", build: mean(0, 2, 3)},
		{name: "negative", want: "move GlobalPool View", build: mean(1, -1, -2)},
		{name: "input", opset: 18, want: "move GlobalPool View", build: byInput(1, 2, 3)},
		{name: "input, negative, dropped axes", opset: 18, want: "move GlobalPool View", build: byInput(0, -2, -1)},
		{name: "one axis", want: "Reduce", build: mean(1, 2)},
		{name: "channels", want: "Reduce", build: mean(1, 1, 2, 3)},
		{name: "behind a convolution", want: "move Conv GlobalPool View", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return mean(0, 2, 3)(b, conv(b, x, 8, 3))
		}},
	})
}

func TestSoftmaxOfANumber(t *testing.T) {
	run(t, []rewrite{
		{name: "rank 0", shape: []int{}, want: "Softmax", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Softmax", nil, x)
		}},
	})
}

func TestNothingLeftOf(t *testing.T) {
	run(t, []rewrite{
		{name: "Dropout", want: "Relu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Dropout", nil, b.Node("Relu", nil, x))
		}},
		{name: "Dropout with its mask unused", want: "Relu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Nodes("Dropout", 2, nil, b.Node("Relu", nil, x), b.Scalar(.5))[0]
		}},
		{name: "Identity on weights", want: "move Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", nil, x, b.Node("Identity", nil, b.Node("Identity", nil, b.Weights(3, 8, 3, 3))))
		}},
		{name: "Cast to the same type", want: "Relu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Cast", graph.Attrs{optest.AttrInt("to", 1)}, b.Node("Relu", nil, x))
		}},
		{name: "Identity between Conv and Relu", want: "move Conv+Relu move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Relu", nil, b.Node("Identity", nil, conv(b, x, 8, 3)))
		}},
		{name: "Transpose and back", want: "Relu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 3, 1)}, b.Node("Relu", nil, x))
			return b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 3, 1, 2)}, y)
		}},
		{name: "Keras head", want: "move Conv View", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 3, 1)}, conv(b, x, 8, 3))
			return b.Node("Reshape", nil, y, b.Ints(1, -1, 3))
		}},
	})
}

// TestMovement holds rearrangements of channels between two convolutions
// against the copies that they cost.
func TestMovement(t *testing.T) {
	between := func(in, out int, move func(b *optest.Net, x *graph.Value) *graph.Value) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value {
			return conv(b, move(b, conv(b, x, 8, in)), out, 2)
		}
	}
	mode := func(s string) graph.Attrs {
		return graph.Attrs{optest.AttrInt("blocksize", 2), optest.AttrString("mode", s)}
	}
	even := []int{1, 8, 4, 6}
	run(t, []rewrite{
		// One copy does what cannot be done in place.
		{name: "DepthToSpace", want: "move Conv move View Conv move", build: between(16, 4, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("DepthToSpace", mode("DCR"), x)
		})},
		{name: "DepthToSpace CRD", want: "move Conv move View Conv move", build: between(16, 4, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("DepthToSpace", mode("CRD"), x)
		})},
		// More factors than a copy has axes: one copy in between.
		{name: "DepthToSpace four times", shape: []int{1, 512, 1, 1}, want: "move View move View", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			for range 4 {
				x = b.Node("DepthToSpace", mode("DCR"), x)
			}
			return x
		}},
		{name: "SpaceToDepth", shape: even, want: "move Conv move View Conv move", build: between(8, 32, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("SpaceToDepth", mode("DCR")[:1], x)
		})},
		// The convolution reads the input of the net only through the four
		// slices, each of which becomes a quarter of the channels.
		{name: "Focus", shape: even, want: "move move move move Concat Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return conv(b, focus(b, x), 32, 2)
		}},
		{name: "channel shuffle", want: "move Conv Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Reshape", nil, x, b.Ints(1, 2, 4, 6, 5))
			z := b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1, 3, 4)}, y)
			return b.Node("Reshape", nil, z, b.Ints(1, -1, 6, 5))
		})},
		// Every second channel: two strided copies and no more.
		{name: "split by Reshape, Transpose and Gather", want: "move Conv move Conv move Conv+r Conv move", build: between(16, 4, func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Reshape", nil, x, b.Ints(8, 2, 30))
			y = b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 1, 0, 2)}, y)
			y = b.Node("Reshape", nil, y, b.Ints(2, -1, 8, 6, 5))
			left, right := b.Node("Gather", nil, y, b.Int(0)), b.Node("Gather", nil, y, b.Int(1))
			return b.Node("Add", nil, conv(b, left, 8, 4), conv(b, right, 8, 4))
		})},
		{name: "Split into halves", want: "move Conv SliceLast Conv SliceLast Conv+r Conv move", build: between(16, 4, func(b *optest.Net, x *graph.Value) *graph.Value {
			h := b.Nodes("Split", 2, graph.Attrs{optest.AttrInt("axis", 1)}, x)
			return b.Node("Add", nil, conv(b, h[0], 8, 4), conv(b, h[1], 8, 4))
		})},
		{name: "one element as a scalar", shape: []int{8}, want: "SliceLast View Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Mul", nil, b.Node("Gather", nil, x, b.Int(-3)), b.Scalar(2))
		}},
		{name: "one of a matrix as a scalar", shape: []int{3, 2}, want: "move Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Mul", nil, b.Node("Gather", nil, b.Node("Gather", nil, x, b.Int(1)), b.Int(1)), b.Scalar(2))
		}},
		{name: "Slice of channels", want: "move Conv SliceLast Conv move", build: between(16, 3, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Slice", nil, x, b.Ints(2), b.Ints(5), b.Ints(1))
		})},
		{name: "Concat", want: "move Conv Relu Concat Conv move", build: between(8, 16, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, x, b.Node("Relu", nil, x))
		})},
		{name: "quantized and back", want: "QuantizeLinear move PoolU8 DequantizeLinear Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return conv(b, quantized(b, x, 1, b.Scalar(.05), b.Const(tensor.New(tensor.Int8))), 8, 2)
		}},
		{name: "quantized by channel and back", want: "move Pool QuantizeLinear DequantizeLinear Conv move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return conv(b, quantized(b, x, -3, b.Positive(8), b.Const(tensor.New(tensor.Uint8, 8))), 8, 2)
		}},
		{name: "squeeze and excite", want: "move Conv GlobalPool Conv+b+HardSigmoid Mul Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("GlobalAveragePool", nil, x)
			y = b.Node("HardSigmoid", nil, b.Node("Conv", nil, y, b.Weights(8, 8, 1, 1), b.Weights(8)))
			return b.Node("Mul", nil, x, y)
		})},
		{name: "residual", want: "move Conv Conv+Relu+r Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Relu", nil, b.Node("Add", nil, x, conv(b, x, 8, 8)))
		})},
		{name: "residual behind the activation", want: "move Conv Conv+Relu+r Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Add", nil, b.Node("Relu", nil, conv(b, x, 8, 8)), x)
		})},
		{name: "residual before Swish", want: "move Conv Conv+Swish+r Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Add", nil, x, conv(b, x, 8, 8))
			return b.Node("Mul", nil, y, b.Node("Sigmoid", nil, y))
		})},
		{name: "residual before PRelu, depthwise", want: "move Conv Conv+r PRelu Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Conv", graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1), optest.AttrInt("group", 8)}, x, b.Weights(8, 1, 3, 3))
			return b.Node("PRelu", nil, b.Node("Add", nil, x, y), b.Weights(8, 1, 1))
		})},
		{name: "sum of three", want: "move Conv Relu Tanh Variadic Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Sum", nil, x, b.Node("Relu", nil, x), b.Node("Tanh", nil, x))
		})},
		{name: "upsample and pool", want: "move Conv Resize Pool Conv move", build: between(8, 8, func(b *optest.Net, x *graph.Value) *graph.Value {
			y := b.Node("Resize", graph.Attrs{optest.AttrString("mode", "nearest")}, x, b.Floats(), b.Floats(1, 1, 2, 2))
			return b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2), optest.AttrInts("strides", 2, 2)}, y)
		})},
	})
}

// quantized takes x to integers and back, behind a pooling that computes the
// same on every rung, so that none rounds to another integer.
func quantized(b *optest.Net, x *graph.Value, axis int64, scale, zero *graph.Value) *graph.Value {
	x = b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
	a := graph.Attrs{optest.AttrInt("axis", axis)}
	return b.Node("DequantizeLinear", a, b.Node("QuantizeLinear", a, x, scale, zero), scale, zero)
}

// focus is the first layer of YOLOv5: the four phases of the pixels become
// channels.
func focus(b *optest.Net, x *graph.Value) *graph.Value {
	var parts []*graph.Value
	for _, from := range [][2]int64{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
		y := b.Node("Slice", nil, x, b.Ints(from[0]), b.Ints(math.MaxInt64), b.Ints(2), b.Ints(2))
		parts = append(parts, b.Node("Slice", nil, y, b.Ints(from[1]), b.Ints(math.MaxInt64), b.Ints(3), b.Ints(2)))
	}
	return b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, parts...)
}

// The graph that a pass reads stays as it was.
func TestPassesLeaveTheirInput(t *testing.T) {
	b, x := rewrite{}.net()
	g := b.Output(b.Node("Relu", nil, norm(b, conv(b, x, 8, 3), 3)))
	bound, err := pass.Bind(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(bound.Nodes)
	weights := bound.Nodes[0].In[1].Const.Clone()
	simple, err := pass.Simplify(bound)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pass.Lower(simple); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, bound.Nodes) || !slices.Equal(weights.F32(), bound.Nodes[0].In[1].Const.F32()) || len(g.Nodes) != 3 {
		t.Error("a pass changed the graph it read")
	}
}

// TestAbsentOutputs leaves out every one of several outputs, of operators on
// inputs and on constants.
func TestAbsentOutputs(t *testing.T) {
	for name, build := range map[string]func(b *optest.Net, x *graph.Value) []*graph.Value{
		"Dropout": func(b *optest.Net, x *graph.Value) []*graph.Value { return b.Nodes("Dropout", 2, nil, x) },
		"MaxPool": func(b *optest.Net, x *graph.Value) []*graph.Value {
			return b.Nodes("MaxPool", 2, graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, x)
		},
		"TopK":   func(b *optest.Net, x *graph.Value) []*graph.Value { return b.Nodes("TopK", 2, nil, x, b.Ints(2)) },
		"Unique": func(b *optest.Net, x *graph.Value) []*graph.Value { return b.Nodes("Unique", 4, nil, x) },
		"Split": func(b *optest.Net, x *graph.Value) []*graph.Value {
			return b.Nodes("Split", 3, graph.Attrs{optest.AttrInt("axis", 2)}, x)
		},
		"Split of a convolution": func(b *optest.Net, x *graph.Value) []*graph.Value {
			return b.Nodes("Split", 2, graph.Attrs{optest.AttrInt("axis", 1)}, conv(b, x, 8, 8))
		},
		"BatchNormalization": func(b *optest.Net, x *graph.Value) []*graph.Value {
			return b.Nodes("BatchNormalization", 3, graph.Attrs{optest.AttrInt("training_mode", 1)}, x, b.Weights(8), b.Weights(8), b.Weights(8), b.Positive(8))
		},
		"LayerNormalization": func(b *optest.Net, x *graph.Value) []*graph.Value {
			return b.Nodes("LayerNormalization", 3, nil, x, b.Weights(5))
		},
		"DynamicQuantizeLinear": func(b *optest.Net, x *graph.Value) []*graph.Value {
			return b.Nodes("DynamicQuantizeLinear", 3, nil, x)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, constant := range []bool{false, true} {
				for wanted := range 4 {
					b, x := rewrite{opset: 17}.net()
					if constant {
						x = b.Weights(1, 8, 6, 5)
					}
					out := build(b, x)
					if wanted >= len(out) {
						continue
					}
					for i := range out {
						if i != wanted {
							out[i].Node.Out[i] = nil
						}
					}
					optest.Agree(t, b.Output(out[wanted]), pass.Options{})
				}
			}
		})
	}
}
