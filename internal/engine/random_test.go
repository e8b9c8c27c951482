package engine_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// sketch builds a random portable graph of float32 images.
type sketch struct {
	*optest.Net
	t      *rapid.T
	values []*graph.Value // with types kept in shapes
	shapes map[*graph.Value]tensor.Shape
}

func (s *sketch) pick(what string) *graph.Value {
	return rapid.SampledFrom(s.values).Draw(s.t, what)
}

// node appends a node with one output of the given shape, which later pieces
// may pick up.
func (s *sketch) node(op string, shape []int, attrs graph.Attrs, in ...*graph.Value) *graph.Value {
	out := s.Node(op, attrs, in...)
	s.shapes[out] = shape
	s.values = append(s.values, out)
	return out
}

// kernel draws weights whose products stay near the size of their inputs.
func (s *sketch) kernel(shape ...int) *graph.Value {
	v := s.Weights(shape...)
	for i := range v.Const.F32() {
		v.Const.F32()[i] *= float32(2 / math.Sqrt(float64(tensor.Shape(shape[1:]).Elems())))
	}
	return v
}

func ints(name string, v ...int) graph.Attr {
	a := optest.AttrInts(name)
	for _, x := range v {
		a.Ints = append(a.Ints, int64(x))
	}
	return a
}

func (s *sketch) ints(v ...int) *graph.Value { return s.Ints(ints("", v...).Ints...) }

func number(name string, v int) graph.Attr { return optest.AttrInt(name, int64(v)) }

// grow appends one random piece of a net.
func (s *sketch) grow() {
	x := s.pick("x")
	d := s.shapes[x]
	n, c, h, w := d[0], d[1], d[2], d[3]
	switch rapid.IntRange(0, 37).Draw(s.t, "piece") {
	case 0, 1: // convolution, perhaps with stride and dilation
		k, stride := rapid.SampledFrom([]int{1, 3}).Draw(s.t, "k"), rapid.IntRange(1, 2).Draw(s.t, "stride")
		o := rapid.SampledFrom([]int{1, 3, 8, 17, 24}).Draw(s.t, "o")
		in := []*graph.Value{x, s.kernel(o, c, k, k)}
		if rapid.Bool().Draw(s.t, "bias") {
			in = append(in, s.Weights(o))
		}
		p := k / 2
		s.node("Conv", []int{n, o, (h-1)/stride + 1, (w-1)/stride + 1}, graph.Attrs{ints("strides", stride, stride), ints("pads", p, p, p, p)}, in...)
	case 2: // depthwise or grouped
		g := c
		if c%2 == 0 && rapid.Bool().Draw(s.t, "pairs") {
			g = c / 2
		}
		s.node("Conv", []int{n, c, h, w}, graph.Attrs{ints("pads", 1, 1, 1, 1), number("group", g)}, x, s.kernel(c, c/g, 3, 3), s.Weights(c))
	case 3:
		s.node("Relu", d, nil, x)
	case 4: // SiLU as exporters write it
		s.node("Mul", d, nil, x, s.node("Sigmoid", d, nil, x))
	case 5: // HardSwish as exporters write it
		y := s.node("Clip", d, nil, s.node("Add", d, nil, x, s.Weights()), s.Scalar(0), s.Scalar(6))
		s.node("Div", d, nil, s.node("Mul", d, nil, x, y), s.Scalar(6))
	case 6: // residual
		for _, y := range s.values {
			if y != x && s.shapes[y].Equal(d) {
				s.node("Add", d, nil, x, y)
				return
			}
		}
		s.node("Add", d, nil, x, x)
	case 7: // scale and shift of channels
		s.node("Add", d, nil, s.node("Mul", d, nil, x, s.Weights(1, c, 1, 1)), s.Weights(c, 1, 1))
	case 8:
		s.node("BatchNormalization", d, nil, x, s.Weights(c), s.Weights(c), s.Weights(c), s.Positive(c))
	case 9: // join along channels
		for _, y := range s.values {
			e := s.shapes[y]
			if e[0] == n && e[2] == h && e[3] == w && e[1]+c <= 64 {
				s.node("Concat", []int{n, c + e[1], h, w}, graph.Attrs{number("axis", 1)}, x, y)
				return
			}
		}
	case 10: // join along rows
		s.node("Concat", []int{n, c, 2 * h, w}, graph.Attrs{number("axis", 2)}, x, s.node("Relu", d, nil, x))
	case 11: // channel shuffle
		if c%2 == 0 {
			y := s.node("Reshape", nil, nil, x, s.ints(n, 2, c/2, h, w))
			z := s.node("Transpose", nil, graph.Attrs{ints("perm", 0, 2, 1, 3, 4)}, y)
			s.drop(2)
			s.node("Reshape", d, nil, z, s.ints(n, c, h, w))
		}
	case 12: // channel split
		if c > 1 {
			k := rapid.IntRange(1, c-1).Draw(s.t, "cut")
			from := rapid.IntRange(0, 1).Draw(s.t, "half") * (c - k)
			s.node("Slice", []int{n, k, h, w}, nil, x, s.ints(from), s.ints(from+k), s.ints(1))
		}
	case 13: // every second row
		s.node("Slice", []int{n, c, (h + 1) / 2, w}, nil, x, s.ints(0), s.ints(h), s.ints(2), s.ints(2))
		s.Graph.Nodes[len(s.Graph.Nodes)-1].In = []*graph.Value{x, s.ints(0), s.ints(h), s.ints(2), s.ints(2)}
	case 14:
		s.node("MaxPool", []int{n, c, (h-1)/2 + 1, (w-1)/2 + 1}, graph.Attrs{ints("kernel_shape", 3, 3), ints("strides", 2, 2), ints("pads", 1, 1, 1, 1)}, x)
	case 15:
		s.node("AveragePool", []int{n, c, h, w}, graph.Attrs{ints("kernel_shape", 3, 3), ints("pads", 1, 1, 1, 1), number("count_include_pad", rapid.IntRange(0, 1).Draw(s.t, "include"))}, x)
	case 16: // squeeze and excite
		y := s.node("GlobalAveragePool", []int{n, c, 1, 1}, nil, x)
		s.node("Mul", d, nil, x, s.node("HardSigmoid", []int{n, c, 1, 1}, nil, y))
	case 17:
		if h*w <= 256 {
			mode := rapid.SampledFrom([]string{"nearest", "linear"}).Draw(s.t, "mode")
			roi := s.Floats()
			s.node("Resize", []int{n, c, 2 * h, 2 * w}, graph.Attrs{optest.AttrString("mode", mode)}, x, roi, s.Floats(1, 1, 2, 2))
		}
	case 18: // spatial transpose
		s.node("Transpose", []int{n, c, w, h}, graph.Attrs{ints("perm", 0, 1, 3, 2)}, x)
	case 19:
		s.node("Softmax", d, graph.Attrs{number("axis", rapid.IntRange(1, 3).Draw(s.t, "axis"))}, x)
	case 20:
		y := s.node("Pad", []int{n, c, h + 2, w + 1}, nil, x, s.ints(0, 0, 1, 0, 0, 0, 1, 1))
		s.node("Conv", []int{n, 5, h, w - 1}, nil, y, s.kernel(5, c, 3, 3))
		if w < 2 {
			s.drop(1)
			s.Graph.Nodes = s.Graph.Nodes[:len(s.Graph.Nodes)-1]
		}
	case 21:
		s.node("PRelu", d, nil, x, s.Weights(c, 1, 1))
	case 22, 23:
		s.transposed(x)
	default:
		s.move(x)
	}
}

// transposed appends a transposed convolution with whatever window fits.
func (s *sketch) transposed(x *graph.Value) {
	d := s.shapes[x]
	n, c, h, w := d[0], d[1], d[2], d[3]
	if h*w > 100 {
		return
	}
	group := 1
	if c%2 == 0 && rapid.Bool().Draw(s.t, "groups") {
		group = 2
	}
	o := rapid.SampledFrom([]int{1, 3, 8}).Draw(s.t, "o")
	var out, kernel, stride, dilation, begin, end, more [2]int
	for a, size := range []int{h, w} {
		kernel[a], stride[a], dilation[a] = rapid.IntRange(1, 4).Draw(s.t, "kernel"), rapid.IntRange(1, 3).Draw(s.t, "stride"), rapid.IntRange(1, 2).Draw(s.t, "dilation")
		begin[a], end[a] = rapid.IntRange(0, 2).Draw(s.t, "begin"), rapid.IntRange(0, 2).Draw(s.t, "end")
		more[a] = rapid.IntRange(0, stride[a]-1).Draw(s.t, "more")
		out[a] = (size-1)*stride[a] + more[a] + (kernel[a]-1)*dilation[a] + 1 - begin[a] - end[a]
	}
	if out[0] < 1 || out[1] < 1 {
		return
	}
	in := []*graph.Value{x, s.kernel(c, o, kernel[0], kernel[1])}
	if rapid.Bool().Draw(s.t, "bias") {
		in = append(in, s.Weights(o*group))
	}
	y := s.node("ConvTranspose", []int{n, o * group, out[0], out[1]}, graph.Attrs{ints("strides", stride[:]...), ints("dilations", dilation[:]...),
		ints("pads", begin[0], begin[1], end[0], end[1]), ints("output_padding", more[:]...), number("group", group)}, in...)
	if rapid.Bool().Draw(s.t, "act") {
		s.node("PRelu", s.shapes[y], nil, y, s.Weights(o*group, 1, 1))
	}
}

// move appends a piece that moves elements or mixes axes.
func (s *sketch) move(x *graph.Value) {
	d := s.shapes[x]
	n, c, h, w := d[0], d[1], d[2], d[3]
	crd := graph.Attrs{number("blocksize", 2), optest.AttrString("mode", rapid.SampledFrom([]string{"DCR", "CRD"}).Draw(s.t, "mode"))}
	switch rapid.IntRange(0, 14).Draw(s.t, "movement") {
	case 0:
		if c%4 == 0 && h*w <= 100 {
			s.node("DepthToSpace", []int{n, c / 4, 2 * h, 2 * w}, crd, x)
		}
	case 1:
		if h%2 == 0 && w%2 == 0 && c <= 16 {
			s.node("SpaceToDepth", []int{n, 4 * c, h / 2, w / 2}, crd[:1], x)
		}
	case 2: // channels last and back, with something in between
		y := s.node("Transpose", nil, graph.Attrs{ints("perm", 0, 2, 3, 1)}, x)
		z := s.node("Add", nil, nil, y, s.Weights(c))
		s.drop(2)
		s.node("Transpose", d, graph.Attrs{ints("perm", 0, 3, 1, 2)}, z)
	case 3: // rows become channels
		s.node("Reshape", []int{n, h, c, w}, nil, x, s.ints(n, h, c, w))
	case 4: // channels and rows exchanged
		s.node("Transpose", []int{n, h, c, w}, graph.Attrs{ints("perm", 0, 2, 1, 3)}, x)
	case 5: // channels taken in another order
		at := rapid.SliceOfN(rapid.IntRange(-c, c-1), 1, 9).Draw(s.t, "at")
		s.node("Gather", []int{n, len(at), h, w}, graph.Attrs{number("axis", 1)}, x, s.ints(at...))
	case 6: // backwards
		axis := rapid.IntRange(1, 3).Draw(s.t, "axis")
		s.node("Slice", d, nil, x, s.ints(-1), s.ints(-1000), s.ints(axis), s.ints(-1))
	case 7: // halves exchanged
		if c%2 == 0 {
			v := s.Nodes("Split", 2, graph.Attrs{number("axis", 1)}, x, s.ints(c/2, c/2))
			s.node("Concat", d, graph.Attrs{number("axis", 1)}, v[1], v[0])
		}
	case 8: // a product over channels, as attention does it
		flat := s.Node("Reshape", nil, x, s.ints(n, c, h*w))
		p := s.Node("MatMul", nil, flat, s.Node("Transpose", graph.Attrs{ints("perm", 0, 2, 1)}, flat))
		s.node("Mul", d, nil, x, s.Node("Reshape", nil, s.Node("ReduceMean", graph.Attrs{number("keepdims", 0)}, s.Node("Tanh", nil, p), s.ints(2)), s.ints(n, c, 1, 1)))
	case 9: // one spatial axis
		y := s.Node("Reshape", nil, x, s.ints(n, c, h*w))
		y = s.Node("Conv", graph.Attrs{ints("pads", 1, 1)}, y, s.kernel(c, c, 3), s.Weights(c))
		s.node("Reshape", d, nil, s.Node("Relu", nil, y), s.ints(n, c, h, w))
	case 10: // a border of another kind
		mode := rapid.SampledFrom([]string{"constant", "edge"}).Draw(s.t, "border")
		s.node("Pad", []int{n, c + 1, h + 1, w + 2}, graph.Attrs{optest.AttrString("mode", mode)}, x, s.ints(0, 1, 0, 1, 0, 0, 1, 1), s.Scalar(.5))
	case 11: // sums of three, in which a value comes twice or none has the shape
		y := s.Node("Tanh", nil, x)
		s.node("Sum", d, nil, rapid.Permutation([]*graph.Value{x, y, x}).Draw(s.t, "order")...)
		s.node("Mean", d, nil, s.Weights(1, c, 1, 1), s.Weights(h, 1), x)
	case 12: // instances or groups normalised, perhaps between two reshapes
		g := rapid.SampledFrom([]int{1, c, max(c/2, 1), max(c/4, 1)}).Draw(s.t, "groups")
		wide := optest.AttrFloat("epsilon", 1) // numbers that are all but equal are not blown up
		switch {
		case c%g != 0:
		case g == c:
			s.node("InstanceNormalization", d, graph.Attrs{wide}, x, s.Weights(c), s.Weights(c))
		case rapid.Bool().Draw(s.t, "spelled out"):
			y := s.Node("InstanceNormalization", graph.Attrs{wide}, s.Node("Reshape", nil, x, s.ints(n, g, -1)), s.Weights(g), s.Weights(g))
			s.node("Reshape", d, nil, y, s.ints(n, c, h, w))
		default:
			s.node("GroupNormalization", d, graph.Attrs{number("num_groups", g), wide}, x, s.Weights(g), s.Weights(g))
		}
	case 13: // activations
		s.node(rapid.SampledFrom([]string{"Sigmoid", "Tanh", "HardSigmoid", "LeakyRelu", "Elu", "Softplus", "Erf", "Mish"}).Draw(s.t, "activation"), d, nil, x)
	case 14: // a mean over rows, one over channels
		axis := rapid.SampledFrom([]int{1, 2}).Draw(s.t, "axis")
		s.node("Sub", d, nil, x, s.Node("ReduceMean", nil, x, s.ints(axis)))
	}
}

// drop takes values that are no images out of the pool.
func (s *sketch) drop(n int) { s.values = s.values[:len(s.values)-n] }

// drawGraph draws a random net. Some values on the way are outputs, too.
func drawGraph(t *rapid.T) *graph.Graph {
	s := &sketch{Net: optest.NewNet(18), t: t, shapes: map[*graph.Value]tensor.Shape{}}
	shape := []int{rapid.IntRange(1, 2).Draw(t, "n"), rapid.SampledFrom([]int{1, 3, 4, 8, 16}).Draw(t, "c"), rapid.IntRange(1, 9).Draw(t, "h"), rapid.IntRange(1, 9).Draw(t, "w")}
	in := s.Input("x", tensor.Float32, shape...)
	s.values, s.shapes[in] = []*graph.Value{in}, shape
	for range rapid.IntRange(1, 10).Draw(t, "pieces") {
		s.grow()
	}
	for _, v := range s.values {
		if v.Node != nil && (v == s.values[len(s.values)-1] || rapid.IntRange(0, 4).Draw(t, "output") == 0) {
			s.Output(v)
		}
	}
	if len(s.Graph.Outputs) == 0 {
		t.Skip("no piece fitted")
	}
	return s.Graph
}

// TestRandomGraphs compares sessions of random graphs with the reference
// operators run one by one on the graph as it was before any rewriting.
func TestRandomGraphs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { optest.Agree(t, drawGraph(t), pass.Options{}) })
}
