package quant

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// TestMain lets properties see the same nets in every run, unless -rapid.seed
// says otherwise, and looks for goroutines that are left behind.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.seed", "1"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/edgecam/edgecam/internal/engine.(*pool).serve"))
}

// few checks a property of nets, which takes its time, on ten of them.
func few(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	if all := checks.String(); all == "100" {
		defer func() { _ = checks.Set(all) }()
		if err := checks.Set("10"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, property)
}

// sketch builds a float net of pictures piece by piece.
type sketch struct {
	*optest.Net
	rng     *rand.Rand
	v       *graph.Value // the newest value, 1 x c x h x w
	c, h, w int
}

// start begins a net with a picture of some channels and no node.
func start(seed uint64, c, h, w int) *sketch {
	s := &sketch{Net: optest.NewNet(17), rng: rand.New(rand.NewPCG(seed, 7)), c: c, h: h, w: w}
	s.v = s.Input("image", tensor.Float32, 1, c, h, w)
	return s
}

// newSketch begins a net with a picture of three channels and a layer of c.
func newSketch(seed uint64, c, h, w int) *sketch {
	s := start(seed, 3, h, w)
	s.conv(c, 3, 1)
	s.node("Relu", nil)
	return s
}

// node replaces the newest value by a function of it.
func (s *sketch) node(op string, attrs graph.Attrs, more ...*graph.Value) *graph.Value {
	s.v = s.Node(op, attrs, append([]*graph.Value{s.v}, more...)...)
	return s.v
}

// random adds normal numbers.
func (s *sketch) random(mean, deviation float64, shape ...int) *graph.Value {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.F32() {
		t.F32()[i] = float32(mean + deviation*s.rng.NormFloat64())
	}
	return s.Const(t)
}

// filters adds weights whose outputs are about as large as their inputs, some
// channels much smaller than others.
func (s *sketch) filters(shape ...int) *graph.Value {
	v := s.random(0, math.Sqrt(2/float64(tensor.Shape(shape[1:]).Elems())), shape...)
	w := v.Const.F32()
	for o := range shape[0] {
		k := float32(math.Exp(-s.rng.Float64() * 2))
		for i := range len(w) / shape[0] {
			w[o*len(w)/shape[0]+i] *= k
		}
	}
	return v
}

// conv keeps the size of the picture.
func (s *sketch) conv(out, k, group int) *graph.Value {
	pad := int64(k / 2)
	s.node("Conv", graph.Attrs{optest.AttrInts("pads", pad, pad, pad, pad), optest.AttrInt("group", int64(group))},
		s.filters(out, s.c/group, k, k), s.random(0.05, 0.1, out))
	s.c = out
	return s.v
}

// norm adds a normalisation.
func (s *sketch) norm() {
	s.node("BatchNormalization", nil, s.Positive(s.c), s.random(0, 0.2, s.c), s.random(0, 0.2, s.c), s.Positive(s.c))
}

// pieces are the parts of nets. Each keeps the number of channels, an even one.
var pieces = map[string]func(s *sketch){
	"conv":      func(s *sketch) { s.conv(s.c, 3, 1); s.node("Relu", nil) },
	"depthwise": func(s *sketch) { s.conv(s.c, 3, s.c); s.node("Relu", nil); s.conv(s.c, 1, 1) },
	"residual": func(s *sketch) {
		x := s.v
		s.conv(s.c, 3, 1)
		s.node("Relu", nil)
		s.conv(s.c, 1, 1)
		s.node("Add", nil, x)
		s.node("Relu", nil)
	},
	"concat": func(s *sketch) {
		x, c := s.v, s.c
		s.conv(c/2, 1, 1)
		y := s.node("LeakyRelu", graph.Attrs{optest.AttrFloat("alpha", 0.1)})
		s.v, s.c = x, c
		s.conv(c/2, 3, c/2)
		z := s.node("Relu", nil)
		s.v, s.c = s.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, y, z), c
	},
	"shuffle": func(s *sketch) {
		c, h, w := int64(s.c), int64(s.h), int64(s.w)
		s.conv(s.c, 1, 2)
		s.node("Reshape", nil, s.Ints(1, 2, c/2, h, w))
		s.node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1, 3, 4)})
		s.node("Reshape", nil, s.Ints(1, c, h, w))
		s.conv(s.c, 3, s.c)
	},
	"split": func(s *sketch) {
		c := s.c
		s.conv(c, 1, 1)
		v := s.Nodes("Split", 2, graph.Attrs{optest.AttrInt("axis", 1)}, s.v, s.Ints(int64(c/2), int64(c/2)))
		s.v, s.c = v[1], c/2
		s.conv(c/2, 3, 1)
		s.node("Relu", nil)
		s.v, s.c = s.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, v[0], s.v), c
	},
	"relu6": func(s *sketch) {
		s.conv(s.c, 3, 1)
		s.node("Clip", nil, s.Scalar(0), s.Scalar(1))
	},
	"relu6 sums": func(s *sketch) {
		x := s.v
		y := s.Node("Clip", nil, s.conv(s.c, 3, 1), s.Scalar(0), s.Scalar(0.5))
		s.v = s.Node("Add", nil, y, s.Node("Clip", nil, x, s.Scalar(0), s.Scalar(2)))
		s.conv(s.c, 1, 1)
	},
	"norm": func(s *sketch) {
		s.conv(s.c, 3, 1)
		s.norm()
		s.node("Relu", nil)
	},
	"gate": func(s *sketch) {
		x, c, h, w := s.v, s.c, s.h, s.w
		s.node("GlobalAveragePool", nil)
		s.conv(2, 1, 1)
		s.node("Relu", nil)
		s.conv(c, 1, 1)
		s.v, s.c, s.h, s.w = s.Node("Mul", nil, x, s.node("HardSigmoid", nil)), c, h, w
		s.conv(c, 1, 1)
	},
	"matrix": func(s *sketch) {
		c, h, w := int64(s.c), int64(s.h), int64(s.w)
		s.node("Reshape", nil, s.Ints(1, c, -1))
		s.node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1)})
		s.node("MatMul", nil, s.filters(s.c, s.c))
		s.node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1)})
		s.node("Reshape", nil, s.Ints(1, c, h, w))
	},
	"larger": func(s *sketch) {
		s.node("ConvTranspose", graph.Attrs{optest.AttrInts("strides", 2, 2), optest.AttrInt("group", 2)}, s.filters(s.c, s.c/2, 2, 2))
		s.node("Resize", graph.Attrs{optest.AttrString("mode", "nearest")}, nil, s.Floats(1, 1, 2, 2))
		s.node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 4, 4), optest.AttrInts("strides", 4, 4)})
		s.conv(s.c, 1, 1)
	},
	"twins": func(s *sketch) { // of the same weights
		w, b := s.filters(s.c, s.c, 1, 1), s.random(0, 0.1, s.c)
		x := s.v
		y := s.Node("Relu", nil, s.Node("Conv", nil, x, w, b))
		s.v = s.Node("Sub", nil, s.Node("Conv", nil, y, w, b), s.Node("Conv", nil, x, w))
		s.conv(s.c, 1, 1)
	},
	"silu": func(s *sketch) {
		x := s.conv(s.c, 3, 1)
		s.v = s.Node("Mul", nil, x, s.Node("Sigmoid", nil, x))
	},
	"prelu": func(s *sketch) { s.conv(s.c, 1, 1); s.node("PRelu", nil, s.Positive(s.c, 1, 1)) },
	"pool": func(s *sketch) {
		s.node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 3, 3), optest.AttrInts("pads", 1, 1, 1, 1)})
		s.conv(s.c, 1, 1)
		s.node("AveragePool", graph.Attrs{optest.AttrInts("kernel_shape", 3, 3), optest.AttrInts("pads", 1, 1, 1, 1)})
	},
}

// draw adds random pieces, one at least, and returns their names.
func (s *sketch) draw(t *rapid.T, names []string) []string {
	drawn := rapid.SliceOfN(rapid.SampledFrom(names), 1, 3).Draw(t, "pieces")
	for _, name := range drawn {
		pieces[name](s)
	}
	return drawn
}

// head ends a net with the scores of five classes.
func (s *sketch) head() *graph.Graph {
	s.node("GlobalAveragePool", nil)
	s.node("Flatten", nil)
	s.node("Gemm", graph.Attrs{optest.AttrInt("transB", 1)}, s.filters(5, s.c), s.random(0, 0.1, 5))
	return s.Output(s.v)
}

// pictures gives n pictures, smooth with some noise, the channels much alike. The tensor is reused, as it
// may be.
func pictures(n int, seed uint64, shape ...int) Samples {
	return func(yield func(Sample, error) bool) {
		rng := rand.New(rand.NewPCG(seed, 3))
		x := tensor.New(tensor.Float32, shape...)
		in := map[string]*tensor.Tensor{"image": x}
		for k := range n {
			i, a0, b0, c0 := 0, rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()
			for range shape[0] * shape[1] {
				a, b, c := a0+0.4*rng.NormFloat64(), b0+0.2*rng.NormFloat64(), c0+0.2*rng.NormFloat64()
				for y := range shape[2] {
					for x2 := range shape[3] {
						x.F32()[i] = float32(math.Sin(a+b*float64(y)/3+c*float64(x2)/3) + 0.1*rng.NormFloat64())
						i++
					}
				}
			}
			if !yield(Sample{Name: fmt.Sprintf("picture %d", k), Inputs: in}, nil) {
				return
			}
		}
		clear(x.F32())
	}
}

// fixed gives samples that are made already.
func fixed(list ...Sample) Samples {
	return func(yield func(Sample, error) bool) {
		for _, s := range list {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// filled is a sample of one number.
func filled(v float32, shape ...int) Sample {
	x := tensor.New(tensor.Float32, shape...)
	for i := range x.F32() {
		x.F32()[i] = v
	}
	return Sample{Name: fmt.Sprintf("all %v", v), Inputs: map[string]*tensor.Tensor{"image": x}}
}

// reference evaluates a portable graph with the reference operators, one by one,
// on a sample. It returns all values by name.
func reference(t optest.Test, g *graph.Graph, s Sample) map[string]*tensor.Tensor {
	t.Helper()
	shapes := map[string][]int{}
	for name, x := range s.Inputs {
		shapes[name] = x.Shape
	}
	bound, err := pass.Bind(g, pass.Options{Shapes: shapes})
	if err != nil {
		t.Fatal(err)
	}
	out, err := optest.Reference(bound, s.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// outputs are the outputs of all samples, one after the other.
func outputs(t optest.Test, g *graph.Graph, samples Samples) [][]float32 {
	t.Helper()
	all := make([][]float32, len(g.Outputs))
	for s, err := range samples {
		if err != nil {
			t.Fatal(err)
		}
		named := reference(t, g, s)
		for i, v := range g.Outputs {
			x := named[v.Name]
			for k := range x.Elems() {
				all[i] = append(all[i], float32(x.Float(k)))
			}
		}
	}
	return all
}

// sqnr compares lists of numbers, in decibels.
func sqnr(want, got []float32) float64 {
	signal, noise := 0.0, 0.0
	for i, v := range want {
		d := float64(v) - float64(got[i])
		signal, noise = signal+float64(v)*float64(v), noise+d*d
	}
	return 10 * math.Log10(signal/max(noise, 1e-30))
}

// encode returns the file of a graph.
func encode(t optest.Test, g *graph.Graph) string {
	t.Helper()
	b, err := onnx.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// prepare returns the plan for a graph as Apply makes it, up to equalization.
func prepare(t optest.Test, g *graph.Graph, samples Samples, c Config) (*plan, *runner) {
	t.Helper()
	c, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(samples, c)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := canonical(g, r.shapes)
	if err != nil {
		t.Fatal(err)
	}
	types, err := typesOf(plain, r.shapes)
	if err != nil {
		t.Fatal(err)
	}
	return newPlan(plain, types, c.Skip, c.QuantizeTail), r
}

// ranged chooses ranges, so that layers can be rounded.
func ranged(t optest.Test, p *plan, r *runner) {
	t.Helper()
	if err := p.observe(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	p.choose(MinMax)
	for _, l := range p.layers {
		l.before = append([]float64{}, l.bias...)
	}
}
