package engine_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// sketch builds a random portable graph of float32 images.
type sketch struct {
	t      *rapid.T
	g      *graph.Graph
	values []*graph.Value // with types kept in shapes
	shapes map[*graph.Value]tensor.Shape
	n      int
}

func (s *sketch) fresh() string { s.n++; return fmt.Sprintf("v%d", s.n) }

func (s *sketch) pick(what string) *graph.Value {
	return rapid.SampledFrom(s.values).Draw(s.t, what)
}

func (s *sketch) consts(shape ...int) *graph.Value {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.F32() {
		t.F32()[i] = float32((i*7919+s.n*104729)%201-100) / 100
	}
	return s.initializer(t)
}

func (s *sketch) ints(v ...int) *graph.Value {
	t := tensor.New(tensor.Int64, len(v))
	for i, x := range v {
		t.SetInt(i, int64(x))
	}
	return s.initializer(t)
}

func (s *sketch) initializer(t *tensor.Tensor) *graph.Value {
	v := graph.NewConst(s.fresh(), t)
	s.g.Inits = append(s.g.Inits, v)
	return v
}

func attr(name string, v ...int) graph.Attr {
	a := graph.Attr{Name: name, Kind: graph.AttrInts}
	for _, x := range v {
		a.Ints = append(a.Ints, int64(x))
	}
	return a
}

func number(name string, v int) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInt, Int: int64(v)}
}

// node appends a node with one output of the given shape.
func (s *sketch) node(op string, shape []int, attrs graph.Attrs, in ...*graph.Value) *graph.Value {
	out := &graph.Value{Name: s.fresh()}
	n := &graph.Node{Name: "n_" + out.Name, Type: op, Attrs: attrs, In: in, Out: []*graph.Value{out}}
	out.Node = n
	s.g.Nodes = append(s.g.Nodes, n)
	s.shapes[out] = shape
	s.values = append(s.values, out)
	return out
}

// grow appends one random piece of a net.
func (s *sketch) grow() {
	x := s.pick("x")
	d := s.shapes[x]
	n, c, h, w := d[0], d[1], d[2], d[3]
	switch rapid.IntRange(0, 21).Draw(s.t, "piece") {
	case 0, 1: // convolution, perhaps with stride and dilation
		k, stride := rapid.SampledFrom([]int{1, 3}).Draw(s.t, "k"), rapid.IntRange(1, 2).Draw(s.t, "stride")
		o := rapid.SampledFrom([]int{1, 3, 8, 17, 24}).Draw(s.t, "o")
		in := []*graph.Value{x, s.consts(o, c, k, k)}
		if rapid.Bool().Draw(s.t, "bias") {
			in = append(in, s.consts(o))
		}
		p := k / 2
		s.node("Conv", []int{n, o, (h-1)/stride + 1, (w-1)/stride + 1}, graph.Attrs{attr("strides", stride, stride), attr("pads", p, p, p, p)}, in...)
	case 2: // depthwise or grouped
		g := c
		if c%2 == 0 && rapid.Bool().Draw(s.t, "pairs") {
			g = c / 2
		}
		s.node("Conv", []int{n, c, h, w}, graph.Attrs{attr("pads", 1, 1, 1, 1), number("group", g)}, x, s.consts(c, c/g, 3, 3), s.consts(c))
	case 3:
		s.node("Relu", d, nil, x)
	case 4: // SiLU as exporters write it
		s.node("Mul", d, nil, x, s.node("Sigmoid", d, nil, x))
	case 5: // HardSwish as exporters write it
		y := s.node("Clip", d, nil, s.node("Add", d, nil, x, s.consts()), s.initializer(tensor.From(tensor.Float32, []float32{0})), s.initializer(tensor.From(tensor.Float32, []float32{6})))
		s.node("Div", d, nil, s.node("Mul", d, nil, x, y), s.initializer(tensor.From(tensor.Float32, []float32{6})))
	case 6: // residual
		for _, y := range s.values {
			if y != x && s.shapes[y].Equal(d) {
				s.node("Add", d, nil, x, y)
				return
			}
		}
		s.node("Add", d, nil, x, x)
	case 7: // scale and shift of channels
		s.node("Add", d, nil, s.node("Mul", d, nil, x, s.consts(1, c, 1, 1)), s.consts(c, 1, 1))
	case 8:
		s.node("BatchNormalization", d, nil, x, s.consts(c), s.consts(c), s.consts(c), s.initializer(positive(c)))
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
			z := s.node("Transpose", nil, graph.Attrs{attr("perm", 0, 2, 1, 3, 4)}, y)
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
		s.g.Nodes[len(s.g.Nodes)-1].In = []*graph.Value{x, s.ints(0), s.ints(h), s.ints(2), s.ints(2)}
	case 14:
		s.node("MaxPool", []int{n, c, (h-1)/2 + 1, (w-1)/2 + 1}, graph.Attrs{attr("kernel_shape", 3, 3), attr("strides", 2, 2), attr("pads", 1, 1, 1, 1)}, x)
	case 15:
		s.node("AveragePool", []int{n, c, h, w}, graph.Attrs{attr("kernel_shape", 3, 3), attr("pads", 1, 1, 1, 1), number("count_include_pad", rapid.IntRange(0, 1).Draw(s.t, "include"))}, x)
	case 16: // squeeze and excite
		y := s.node("GlobalAveragePool", []int{n, c, 1, 1}, nil, x)
		s.node("Mul", d, nil, x, s.node("HardSigmoid", []int{n, c, 1, 1}, nil, y))
	case 17:
		if h*w <= 256 {
			mode := rapid.SampledFrom([]string{"nearest", "linear"}).Draw(s.t, "mode")
			roi := s.initializer(tensor.New(tensor.Float32, 0))
			s.node("Resize", []int{n, c, 2 * h, 2 * w}, graph.Attrs{{Name: "mode", Kind: graph.AttrString, String: mode}}, x, roi, s.initializer(tensor.From(tensor.Float32, []float32{1, 1, 2, 2}, 4)))
		}
	case 18: // spatial transpose
		s.node("Transpose", []int{n, c, w, h}, graph.Attrs{attr("perm", 0, 1, 3, 2)}, x)
	case 19:
		s.node("Softmax", d, graph.Attrs{number("axis", rapid.IntRange(1, 3).Draw(s.t, "axis"))}, x)
	case 20:
		y := s.node("Pad", []int{n, c, h + 2, w + 1}, nil, x, s.ints(0, 0, 1, 0, 0, 0, 1, 1))
		s.node("Conv", []int{n, 5, h, w - 1}, nil, y, s.consts(5, c, 3, 3))
		if w < 2 {
			s.drop(1)
			s.g.Nodes = s.g.Nodes[:len(s.g.Nodes)-1]
		}
	case 21:
		s.node("PRelu", d, nil, x, s.consts(c, 1, 1))
	}
}

// drop takes values that are no images out of the pool.
func (s *sketch) drop(n int) { s.values = s.values[:len(s.values)-n] }

func positive(n int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, n)
	for i := range t.F32() {
		t.F32()[i] = 0.5 + float32(i%7)/4
	}
	return t
}

// TestRandomGraphs compares sessions of random graphs with the reference
// operators run one by one on the graph as it was before any rewriting.
func TestRandomGraphs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &sketch{t: rt, g: &graph.Graph{Opsets: []graph.Opset{{Version: 18}}}, shapes: map[*graph.Value]tensor.Shape{}}
		shape := []int{rapid.IntRange(1, 2).Draw(rt, "n"), rapid.SampledFrom([]int{1, 3, 4, 8, 16}).Draw(rt, "c"), rapid.IntRange(1, 9).Draw(rt, "h"), rapid.IntRange(1, 9).Draw(rt, "w")}
		in := &graph.Value{Name: "x", Type: tensor.Of(tensor.Float32, shape...)}
		s.g.Inputs = []*graph.Value{in}
		s.values, s.shapes[in] = []*graph.Value{in}, shape
		for range rapid.IntRange(1, 10).Draw(rt, "pieces") {
			s.grow()
		}
		for _, v := range s.values {
			if v.Node != nil && (v == s.values[len(s.values)-1] || rapid.IntRange(0, 4).Draw(rt, "output") == 0) {
				s.g.Outputs = append(s.g.Outputs, v)
			}
		}
		if len(s.g.Outputs) == 0 {
			rt.Skip("no piece fitted")
		}
		compare(rt, s.g)
	})
}

// worst returns the largest difference.
func worst(a, b *tensor.Tensor) float64 {
	w := 0.0
	for i := range a.Elems() {
		w = max(w, math.Abs(a.Float(i)-b.Float(i)))
	}
	return w
}

// compare runs a portable graph on every rung and against the reference.
func compare(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, g *graph.Graph) {
	bound, err := pass.Bind(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lowered, err := pass.Compile(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]*tensor.Tensor
	for _, k := range kernels.Available() {
		s, err := engine.New(lowered, engine.Options{Kernels: k, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		in := fill(s, 3)
		if want == nil {
			if want, err = optest.Reference(bound, in); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range s.Outputs() {
			got, ref := s.Output(p.Name), want[p.Name]
			if !got.Shape.Equal(ref.Shape) {
				t.Fatalf("%s: output %q is %v, want %v", k.Name, p.Name, got.Shape, ref.Shape)
			}
			if db := sqnr(got, ref); db < 90 && worst(got, ref) > 1e-5 {
				t.Fatalf("%s: output %q %v is at %.1f dB of the reference: %v, want %v", k.Name, p.Name, got.Shape, db, got.F32()[:min(4, got.Elems())], ref.F32()[:min(4, got.Elems())])
			}
		}
		s.Close()
	}
}
