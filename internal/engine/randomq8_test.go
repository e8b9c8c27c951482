package engine_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

// coded is a value of 8 bits and the numbers that it stands for.
type coded struct {
	v     *graph.Value
	scale float32
	zero  int // of uint8
	shape []int
}

// byteSketch builds a random quantized graph of images.
type byteSketch struct {
	*optest.Net
	t      *rapid.T
	act    tensor.DType
	values []coded
}

// zero adds a zero point, given as that of uint8.
func (s *byteSketch) zero(v int) *graph.Value {
	t := tensor.New(s.act)
	if s.act == tensor.Int8 {
		v -= 128
	}
	t.SetInt(0, int64(v))
	return s.Const(t)
}

func (s *byteSketch) pick() coded { return rapid.SampledFrom(s.values).Draw(s.t, "x") }

// real is the DequantizeLinear of a value.
func (s *byteSketch) real(x coded) *graph.Value {
	return s.Node("DequantizeLinear", nil, x.v, s.Scalar(x.scale), s.zero(x.zero))
}

// contrib appends a node of com.microsoft.
func (s *byteSketch) contrib(op string, attrs graph.Attrs, in ...*graph.Value) *graph.Value {
	v := s.Node(op, attrs, in...)
	v.Node.Domain = "com.microsoft"
	return v
}

// scaled draws the quantization of a result whose numbers lie mostly within 128
// times about.
func (s *byteSketch) scaled(about float32, shape []int) coded {
	return coded{scale: about * (1 + float32(rapid.IntRange(0, 99).Draw(s.t, "scale"))/101), zero: rapid.SampledFrom([]int{0, 3, 117, 128, 200}).Draw(s.t, "zero"), shape: shape}
}

// add quantizes y as c says, behind one of some activations, and keeps it.
func (s *byteSketch) add(y *graph.Value, c coded) {
	switch rapid.IntRange(0, 9).Draw(s.t, "activation") {
	case 0:
		y = s.Node("Relu", nil, y)
	case 1:
		y = s.Node("Clip", nil, y, s.Scalar(-20*c.scale), s.Scalar(70*c.scale))
	case 2: // a table behind
		c.v = s.Node("QuantizeLinear", nil, y, s.Scalar(c.scale), s.zero(c.zero))
		r := s.real(c)
		y = s.Node("Mul", nil, r, s.Node("Sigmoid", nil, r))
		c.scale *= 1.15
	case 3:
		c.v = s.Node("QuantizeLinear", nil, y, s.Scalar(c.scale), s.zero(c.zero))
		y = s.Node(rapid.SampledFrom([]string{"HardSwish", "LeakyRelu", "Relu"}).Draw(s.t, "table"), nil, s.real(c))
		c.scale, c.zero = c.scale*1.51, 60
	}
	c.v = s.Node("QuantizeLinear", nil, y, s.Scalar(c.scale), s.zero(c.zero))
	s.values = append(s.values, c)
}

// weights draws 8-bit weights with their scales and zero points.
func (s *byteSketch) weights(shape ...int) (w, scale, zero *graph.Value, about float32) {
	d, z := tensor.Int8, 0
	if rapid.Bool().Draw(s.t, "unsigned weights") {
		d, z = tensor.Uint8, 128
	}
	seed := rapid.IntRange(0, 1<<20).Draw(s.t, "weights")
	t := tensor.New(d, shape...)
	for i := range t.Elems() {
		t.SetInt(i, int64((i*7919+seed)%256-128+z))
	}
	n := 1
	if rapid.Bool().Draw(s.t, "per channel") {
		n = shape[0]
	}
	scales, zeros := tensor.New(tensor.Float32, n), tensor.New(d, n)
	for i := range n {
		scales.SetFloat(i, .0113+.0003*float64(i%13))
		zeros.SetInt(i, int64(z))
	}
	return s.Const(t), s.Const(scales), s.Const(zeros), float32(.013 * 74 * 74 * math.Sqrt(float64(tensor.Shape(shape[1:]).Elems())) / 50)
}

// conv appends a convolution of either form.
func (s *byteSketch) conv(x coded) {
	n, c, h, w := x.shape[0], x.shape[1], x.shape[2], x.shape[3]
	k, stride, dil := rapid.SampledFrom([]int{1, 2, 3, 5}).Draw(s.t, "k"), rapid.IntRange(1, 2).Draw(s.t, "stride"), rapid.IntRange(1, 2).Draw(s.t, "dilation")
	o, group := rapid.SampledFrom([]int{1, 4, 8, 17, 24}).Draw(s.t, "o"), 1
	switch rapid.IntRange(0, 3).Draw(s.t, "groups") {
	case 0:
		o, group = c, c
	case 1:
		if c%2 == 0 {
			o, group = 10, 2
		}
	}
	p, q := rapid.IntRange(0, k-1).Draw(s.t, "begin"), rapid.IntRange(0, k-1).Draw(s.t, "end")
	size := func(d int) int { return (d+p+q-(k-1)*dil-1)/stride + 1 }
	if h+p+q < (k-1)*dil+1 || w+p+q < (k-1)*dil+1 {
		return
	}
	wt, ws, wz, about := s.weights(o, c/group, k, k)
	bias := tensor.New(tensor.Int32, o)
	for i := range o {
		bias.SetInt(i, int64(i*997%4001-2000))
	}
	attrs := graph.Attrs{ints("strides", stride, stride), ints("dilations", dil, dil), ints("pads", p, p, q, q), number("group", group)}
	y := s.scaled(x.scale*about, []int{n, o, size(h), size(w)})
	if rapid.Bool().Draw(s.t, "operator") {
		y.v = s.Node("QLinearConv", attrs, x.v, s.Scalar(x.scale), s.zero(x.zero), wt, ws, wz, s.Scalar(y.scale), s.zero(y.zero), s.Const(bias))
		s.values = append(s.values, y)
		return
	}
	unit := tensor.New(tensor.Float32, ws.Type.Shape...)
	for i, v := range ws.Const.F32() {
		unit.F32()[i] = v * x.scale
	}
	axis := graph.Attrs{number("axis", 0)}
	b := s.Node("DequantizeLinear", axis, s.Const(bias), s.Const(unit))
	if o > 1 && unit.Elems() == 1 {
		b.Node.In[1] = s.Scalar(unit.F32()[0])
	}
	s.add(s.Node("Conv", attrs, s.real(x), s.Node("DequantizeLinear", axis, wt, ws, wz), b), y)
}

// grow appends one random piece of a net.
func (s *byteSketch) grow() {
	x := s.pick()
	n, c, h, w := x.shape[0], x.shape[1], x.shape[2], x.shape[3]
	same := func(y coded, axis int) bool {
		for a := range y.shape {
			if a != axis && y.shape[a] != x.shape[a] {
				return false
			}
		}
		return true
	}
	window := graph.Attrs{ints("kernel_shape", 3, 2), ints("strides", 2, 1), ints("pads", 1, 0, 1, 1)}
	pooled := []int{n, c, (h-1)/2 + 1, w}
	switch rapid.IntRange(0, 17).Draw(s.t, "piece") {
	case 0, 1, 2, 3:
		s.conv(x)
	case 4, 5: // sum or product
		y := s.pick()
		if !same(y, -1) {
			y = x
		}
		if rapid.Bool().Draw(s.t, "operator") {
			r := s.scaled(x.scale+y.scale, x.shape)
			r.v = s.contrib("QLinearAdd", nil, x.v, s.Scalar(x.scale), s.zero(x.zero), y.v, s.Scalar(y.scale), s.zero(y.zero), s.Scalar(r.scale), s.zero(r.zero))
			s.values = append(s.values, r)
			return
		}
		if rapid.Bool().Draw(s.t, "product") {
			s.add(s.Node("Mul", nil, s.real(x), s.real(y)), s.scaled(x.scale*y.scale*100, x.shape))
			return
		}
		s.add(s.Node("Add", nil, s.real(x), s.real(y)), s.scaled(x.scale+y.scale, x.shape))
	case 6: // squeeze and excite
		p := coded{scale: x.scale, zero: x.zero}
		p.v = s.Node("QuantizeLinear", nil, s.Node("GlobalAveragePool", nil, s.real(x)), s.Scalar(p.scale), s.zero(p.zero))
		g := coded{scale: 1. / 201, zero: 0}
		g.v = s.Node("QuantizeLinear", nil, s.Node("HardSigmoid", nil, s.real(p)), s.Scalar(g.scale), s.zero(g.zero))
		s.add(s.Node("Mul", nil, s.real(x), s.real(g)), s.scaled(x.scale, x.shape))
	case 7: // join
		y, axis := s.pick(), rapid.IntRange(1, 3).Draw(s.t, "axis")
		if !same(y, axis) {
			y = x
		}
		if x.shape[axis]+y.shape[axis] > 48 {
			return
		}
		shape := append([]int(nil), x.shape...)
		shape[axis] += y.shape[axis]
		s.add(s.Node("Concat", graph.Attrs{number("axis", axis)}, s.real(x), s.real(y)), s.scaled(max(x.scale, y.scale), shape))
	case 8:
		s.add(s.Node("MaxPool", window, s.real(x)), s.scaled(x.scale, pooled))
	case 9:
		include := append(graph.Attrs{number("count_include_pad", rapid.IntRange(0, 1).Draw(s.t, "include"))}, window...)
		s.add(s.Node("AveragePool", include, s.real(x)), s.scaled(x.scale*.7, pooled))
	case 10:
		if h*w <= 100 {
			mode := rapid.SampledFrom([]string{"nearest", "linear"}).Draw(s.t, "mode")
			s.add(s.Node("Resize", graph.Attrs{optest.AttrString("mode", mode)}, s.real(x), nil, s.Floats(1, 1, 2, 2)), s.scaled(x.scale, []int{n, c, 2 * h, 2 * w}))
		}
	case 11: // halves exchanged
		if c%2 == 0 {
			v := s.Nodes("Split", 2, graph.Attrs{number("axis", 1)}, s.real(x), s.Ints(int64(c/2), int64(c/2)))
			s.add(s.Node("Concat", graph.Attrs{number("axis", 1)}, v[1], v[0]), s.scaled(x.scale, x.shape))
		}
	case 12: // a shuffle
		if c%2 == 0 {
			y := s.Node("Reshape", nil, s.real(x), s.Ints(int64(n), 2, int64(c/2), int64(h), int64(w)))
			y = s.Node("Transpose", graph.Attrs{ints("perm", 0, 2, 1, 3, 4)}, y)
			s.add(s.Node("Reshape", nil, y, s.Ints(int64(n), int64(c), int64(h), int64(w))), coded{scale: x.scale, zero: x.zero, shape: x.shape})
		}
	case 13: // every second row, backwards
		s.add(s.Node("Slice", nil, s.real(x), s.Ints(-1), s.Ints(-1000), s.Ints(2), s.Ints(-2)), s.scaled(x.scale, []int{n, c, (h + 1) / 2, w}))
	case 14: // rows and columns exchanged
		s.add(s.Node("Transpose", graph.Attrs{ints("perm", 0, 1, 3, 2)}, s.real(x)), s.scaled(x.scale, []int{n, c, w, h}))
	case 15: // in floating point for a while
		s.add(s.Node("Sub", nil, s.Node("Abs", nil, s.real(x)), s.Node("ReduceMean", graph.Attrs{ints("axes", 1)}, s.real(x))), s.scaled(x.scale*2, x.shape))
	case 16:
		s.add(s.Node("Add", nil, s.real(x), s.Weights(c, 1, 1)), s.scaled(x.scale+.02, x.shape))
	case 17: // products over channels, as a classifier has them
		p := coded{scale: x.scale * .5, zero: x.zero}
		p.v = s.Node("QuantizeLinear", nil, s.Node("GlobalAveragePool", nil, s.real(x)), s.Scalar(p.scale), s.zero(p.zero))
		wt, ws, wz, about := s.weights(9, c)
		y := s.Node("Gemm", graph.Attrs{number("transB", 1)}, s.Node("Flatten", nil, s.real(p)), s.Node("DequantizeLinear", graph.Attrs{number("axis", 0)}, wt, ws, wz), s.Weights(9))
		s.add(s.Node("Reshape", nil, y, s.Ints(int64(n), 9, 1, 1)), s.scaled(p.scale*about, []int{n, 9, 1, 1}))
	}
}

// drawQuantized draws a random quantized net. Some values on the way are outputs,
// too.
func drawQuantized(t *rapid.T) *graph.Graph {
	s := &byteSketch{Net: optest.NewNet(17), t: t, act: rapid.SampledFrom([]tensor.DType{tensor.Uint8, tensor.Int8}).Draw(t, "type")}
	s.Graph.Opsets = append(s.Graph.Opsets, graph.Opset{Domain: "com.microsoft", Version: 1})
	shape := []int{rapid.IntRange(1, 2).Draw(t, "n"), rapid.SampledFrom([]int{1, 3, 4, 8, 16, 17}).Draw(t, "c"), rapid.IntRange(1, 9).Draw(t, "h"), rapid.IntRange(1, 9).Draw(t, "w")}
	x := s.scaled(.02, shape)
	x.v = s.Input("x", s.act, shape...)
	s.values = []coded{x}
	for range rapid.IntRange(1, 5).Draw(t, "pieces") {
		s.grow()
	}
	for i, y := range s.values[1:] {
		if i == len(s.values)-2 || rapid.IntRange(0, 9).Draw(t, "output") == 0 {
			s.Output(y.v)
		}
	}
	if len(s.Graph.Outputs) == 0 {
		t.Skip("no piece fitted")
	}
	return s.Graph
}

// TestRandomQuantizedGraphs compares sessions of random quantized graphs with the
// reference operators run one by one on the graph as it was before any rewriting.
// A step that one operator is off may become several behind others.
func TestRandomQuantizedGraphs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { optest.AgreeQuantized(t, drawQuantized(t), 4) })
}
