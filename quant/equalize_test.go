package quant

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

// equalized equalizes a net for some samples and compares it on others with what
// it was before. It returns how many activations changed.
func equalized(t optest.Test, g *graph.Graph, samples, others Samples) int {
	t.Helper()
	p, r := prepare(t, g, samples, Config{Skip: []string{"float"}})
	want := outputs(t, p.g, others)
	n, err := p.equalize(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	for i, y := range outputs(t, p.g, others) {
		worst, largest := 0.0, 0.0
		for k, v := range want[i] {
			worst, largest = max(worst, math.Abs(float64(v-y[k]))), max(largest, math.Abs(float64(v)))
		}
		if worst > 1e-4*largest {
			t.Fatalf("output %d is off by %v where the largest is %v", i, worst, largest)
		}
	}
	return n
}

// limited reports pieces whose limits hold for what was seen only.
func limited(piece string) bool { return strings.HasPrefix(piece, "relu6") }

// Each kind of net computes what it did before, and is really changed.
func TestEqualize(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(pieces)) {
		t.Run(name, func(t *testing.T) {
			s := newSketch(3, 8, 6, 7)
			pieces[name](s)
			pieces[name](s)
			in := pictures(5, 2, 1, 3, 6, 7)
			others := pictures(3, 9, 1, 3, 6, 7)
			if limited(name) {
				others = in
			}
			if n := equalized(t, s.head(), in, others); (n > 0) == (name == "matrix") { // which mixes what is no channel
				t.Errorf("%d activations were scaled", n)
			}
		})
	}
}

func TestEqualizeRandomNets(t *testing.T) {
	names := slices.Sorted(maps.Keys(pieces))
	rapid.Check(t, func(t *rapid.T) {
		s := newSketch(rapid.Uint64().Draw(t, "seed"), rapid.SampledFrom([]int{2, 4, 8}).Draw(t, "c"), 5, 4)
		in, others := pictures(3, 2, 1, 3, 5, 4), pictures(2, 9, 1, 3, 5, 4)
		if slices.ContainsFunc(s.draw(t, names), limited) {
			others = in
		}
		equalized(t, s.head(), in, others)
	})
}

// peaks runs the plan's net and returns the largest magnitude of each channel of a
// value.
func peaks(t *testing.T, p *plan, v *graph.Value, samples Samples) []float64 {
	t.Helper()
	var out []float64
	for s, err := range samples {
		if err != nil {
			t.Fatal(err)
		}
		x := reference(t, p.g, s)[v.Name]
		_, c, inner := frame(x.Shape)
		if out == nil {
			out = make([]float64, c)
		}
		for i, v := range x.F32() {
			out[i/inner%c] = max(out[i/inner%c], math.Abs(float64(v)))
		}
	}
	return out
}

// A channel of half the size grows until it is as large as the largest one, where
// a layer sums it with others half of that on the scale of logarithms, and never
// more than eight times.
func TestFactors(t *testing.T) {
	for _, c := range []struct {
		name string
		wide bool
		clip float32
		want func(peak, top float64) float64
	}{
		{"depthwise", false, 0, func(peak, top float64) float64 { return min(top, 8*peak) }},
		{"conv", true, 0, func(peak, top float64) float64 { return peak / math.Sqrt(max(peak/top, 1./8)) }},
		{"depthwise behind a limit", false, 100, func(peak, _ float64) float64 { return min(100, 8*peak) }},
		{"limit is reached", false, 0.2, func(peak, _ float64) float64 { return min(0.2, 8*peak) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(3, 1, 5, 5)
			s.node("Conv", nil, s.Const(tensor.From(tensor.Float32, []float32{1, 0.5, 0.25, 0.01}, 4, 1, 1, 1)))
			y := s.node("Relu", nil)
			if c.clip > 0 {
				y.Node.Type, y.Node.In = "Clip", append(y.Node.In, s.Scalar(0), s.Scalar(c.clip))
			}
			if c.wide {
				s.node("Conv", nil, s.Weights(4, 4, 1, 1))
			} else {
				s.node("Conv", graph.Attrs{optest.AttrInt("group", 4)}, s.Weights(4, 1, 1, 1))
			}
			in := pictures(4, 1, 1, 1, 5, 5)
			p, r := prepare(t, s.Output(s.v), in, Config{})
			before := peaks(t, p, y, in)
			n, err := p.equalize(context.Background(), r)
			if err != nil || n != 1 {
				t.Fatalf("%d activations were scaled: %v", n, err)
			}
			for i, got := range peaks(t, p, y, in) {
				if want := c.want(before[i], before[0]); math.Abs(got-want) > 1e-5*want {
					t.Errorf("channel %d: %v becomes %v, want %v", i, before[i], got, want)
				}
			}
		})
	}
}

// What does not commute with scaling is found: the model stays the same.
func TestFixedWires(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(s *sketch)
	}{
		{"sigmoid", func(s *sketch) { s.node("Sigmoid", nil) }},
		{"sum with a constant", func(s *sketch) { s.node("Add", nil, s.random(0, 1, 1, s.c, s.h, 1)) }},
		{"sum with one channel", func(s *sketch) {
			s.node("Add", nil, s.Node("ReduceMean", graph.Attrs{optest.AttrInts("axes", 1)}, s.v))
		}},
		{"mean of channels", func(s *sketch) { s.node("ReduceMean", graph.Attrs{optest.AttrInts("axes", 1)}); s.c = 1 }},
		{"mean of rows", func(s *sketch) { s.node("ReduceMean", graph.Attrs{optest.AttrInts("axes", 2)}) }},
		{"sum with a sigmoid", func(s *sketch) {
			x := s.v
			s.v = s.Node("Add", nil, s.conv(s.c, 1, 1), s.Node("Sigmoid", nil, x))
		}},
		{"sigmoid in a sum", func(s *sketch) {
			x := s.v
			s.v = s.Node("Add", nil, s.Node("Sigmoid", nil, x), s.conv(s.c, 1, 1))
		}},
		{"channels and rows exchanged", func(s *sketch) { s.node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1, 3)}); s.c = s.h }},
		{"rows and columns exchanged", func(s *sketch) { s.node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 1, 3, 2)}) }},
		{"limit below zero", func(s *sketch) { s.node("Clip", nil, s.Scalar(-1), s.Scalar(1)) }},
		{"limit above zero", func(s *sketch) { s.node("Clip", nil, s.Scalar(0.2), s.Scalar(1)) }},
		{"no upper limit", func(s *sketch) { s.node("Clip", nil, s.Scalar(0)) }},
		{"an output", func(s *sketch) { s.Output(s.v) }},
		{"a border", func(s *sketch) { s.node("Pad", nil, s.Ints(0, 0, 0, 0, 0, 0, 1, 1), s.Scalar(1)) }},
		{"softmax", func(s *sketch) { s.node("Softmax", graph.Attrs{optest.AttrInt("axis", 1)}) }},
		{"square", func(s *sketch) { s.node("Mul", nil, s.v) }},
		{"transposed convolution", func(s *sketch) { s.node("ConvTranspose", nil, s.filters(s.c, s.c, 2, 2)) }},
		{"joined along rows", func(s *sketch) { s.v = s.Node("Concat", graph.Attrs{optest.AttrInt("axis", 2)}, s.v, s.v) }},
		{"joined with itself", func(s *sketch) {
			s.v, s.c = s.Node("Concat", graph.Attrs{optest.AttrInt("axis", -3)}, s.v, s.v), 2*s.c
		}},
		{"channels put together", func(s *sketch) { s.node("Reshape", nil, s.Ints(1, 2, -1, int64(s.w))); s.c = 2 }},
		{"maxima with their places", func(s *sketch) {
			attrs := graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}
			v := s.Nodes("MaxPool", 2, attrs, s.v)
			s.v = v[0]
			s.Output(v[1])
		}},
		{"layer that stays float", func(s *sketch) { s.conv(s.c, 1, 1).Node.Name = "float" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(3, 3, 5, 5)
			s.conv(4, 3, 1)
			c.build(s)
			s.conv(3, 1, 1)
			s.Output(s.v)
			equalized(t, s.Graph, pictures(4, 2, 1, 3, 5, 5), pictures(3, 8, 1, 3, 5, 5))
		})
	}
}
