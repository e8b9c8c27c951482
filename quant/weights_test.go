package quant

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

// products are those whose weights can be quantized.
var products = []struct {
	name, op string
	attrs    graph.Attrs
	x, w     []int
	axis     int // of the weights' scales
	scales   int
	channels int
	at       int // axis of the output's channels
	plain    bool
}{
	{"conv", "Conv", nil, []int{1, 3, 4, 5}, []int{4, 3, 2, 3}, 0, 4, 4, 1, true},
	{"conv of groups", "Conv", graph.Attrs{optest.AttrInt("group", 2)}, []int{1, 6, 4, 4}, []int{4, 3, 2, 2}, 0, 4, 4, 1, true},
	{"depthwise with two outputs each", "Conv", graph.Attrs{optest.AttrInt("group", 3)}, []int{1, 3, 4, 4}, []int{6, 1, 3, 3}, 0, 6, 6, 1, true},
	{"conv of one dimension", "Conv", nil, []int{1, 3, 7}, []int{2, 3, 3}, 0, 2, 2, 1, true},
	{"transposed", "ConvTranspose", nil, []int{1, 3, 3, 3}, []int{3, 4, 2, 2}, 1, 4, 4, 1, true},
	{"transposed of groups", "ConvTranspose", graph.Attrs{optest.AttrInt("group", 2)}, []int{1, 6, 3, 3}, []int{6, 4, 2, 2}, 1, 4, 8, 1, true},
	{"gemm", "Gemm", nil, []int{2, 5}, []int{5, 3}, 1, 3, 3, 1, true},
	{"gemm with rows", "Gemm", graph.Attrs{optest.AttrInt("transB", 1)}, []int{2, 5}, []int{3, 5}, 0, 3, 3, 1, true},
	{"gemm with a factor", "Gemm", graph.Attrs{optest.AttrFloat("alpha", 2)}, []int{2, 5}, []int{5, 3}, 1, 3, 3, 1, false},
	{"matmul", "MatMul", nil, []int{2, 4, 5}, []int{5, 3}, 1, 3, 3, 2, true},
}

// productOf builds node i of products without a bias.
func productOf(i int) *graph.Node {
	c := products[i]
	b := optest.NewNet(17)
	return b.Node(c.op, c.attrs, b.Input("x", tensor.Float32, c.x...), b.Weights(c.w...)).Node
}

// Each weight belongs to the output and input channel where it has an effect.
func TestProducts(t *testing.T) {
	for i, c := range products {
		t.Run(c.name, func(t *testing.T) {
			n := productOf(i)
			p, ok := newProduct(n)
			if !ok {
				t.Fatal("no product")
			}
			if p.axis != c.axis || p.groups != c.scales || p.channels != c.channels || p.plain != c.plain {
				t.Fatalf("axis %d, %d scales, %d channels, plain %v", p.axis, p.groups, p.channels, p.plain)
			}
			inner := tensor.Shape(c.w[c.axis+1:]).Elems()
			w := tensor.New(tensor.Float32, c.w...)
			n.In[1] = graph.NewConst("w", w)
			for k := range w.F32() {
				clear(w.F32())
				w.F32()[k] = 1
				if got := p.scale(k); got != k/inner%c.w[c.axis] {
					t.Fatalf("weight %d has scale %d", k, got)
				}
				touched := touches(t, n, c.x, c.at, func(int) bool { return true })
				for o, yes := range touched {
					if yes != (o == p.channel(k)) {
						t.Fatalf("weight %d is said to belong to channel %d, output %d depends on it: %v", k, p.channel(k), o, yes)
					}
				}
				if p.input == nil {
					continue
				}
				for o, yes := range touches(t, n, c.x, c.at, func(in int) bool { return in != p.input(k) }) {
					if yes {
						t.Fatalf("weight %d is said to read channel %d, output %d depends on another", k, p.input(k), o)
					}
				}
			}
		})
	}
}

// touches tells which channels of a node's output are not zero where only some
// channels of its input are one.
func touches(t *testing.T, n *graph.Node, shape []int, axis int, on func(channel int) bool) []bool {
	t.Helper()
	x := tensor.New(tensor.Float32, shape...)
	inAxis := min(axis, len(shape)-1)
	for i := range x.F32() {
		if on(i / x.Shape.Strides()[inAxis] % shape[inAxis]) {
			x.F32()[i] = 1
		}
	}
	have := map[string]*tensor.Tensor{"x": x}
	if err := optest.RunNode(n, 17, have); err != nil {
		t.Fatal(err)
	}
	y := have[n.Out[0].Name]
	out := make([]bool, y.Shape[axis])
	for i, v := range y.F32() {
		o := i / y.Shape.Strides()[axis] % y.Shape[axis]
		out[o] = out[o] || v != 0
	}
	return out
}

func TestNoProducts(t *testing.T) {
	b := optest.NewNet(17)
	x, y := b.Input("x", tensor.Float32, 1, 4, 5, 5), b.Input("y", tensor.Float32, 4, 4)
	half := b.Const(tensor.New(tensor.Float16, 4, 4, 1, 1))
	for name, v := range map[string]*graph.Value{
		"another operator":    b.Node("Relu", nil, x),
		"no weights":          b.Node("Conv", nil, x),
		"weights of an input": b.Node("MatMul", nil, x, y),
		"constant input":      b.Node("MatMul", nil, b.Weights(4, 4), b.Weights(4, 4)),
		"half precision":      b.Node("Conv", nil, x, half),
		"bias of an input":    b.Node("Gemm", nil, y, b.Weights(4, 4), b.Input("z", tensor.Float32, 4)),
		"batched weights":     b.Node("MatMul", nil, x, b.Weights(4, 5, 5)),
		"bias for each row":   b.Node("Gemm", nil, y, b.Weights(4, 4), b.Weights(4, 1)),
		"no weights at all":   b.Node("MatMul", nil, y, b.Weights(4, 0)),
	} {
		if _, ok := newProduct(v.Node); ok {
			t.Errorf("%s: taken for a product", name)
		}
	}
	v := b.Node("Conv", nil, x, b.Weights(4, 4, 1, 1))
	v.Node.Domain = "com.example"
	if _, ok := newProduct(v.Node); ok {
		t.Error("another domain: taken for a product")
	}
}

// layerOf is a layer of node i of products with random weights and biases.
func layerOf(t *testing.T, i int) *layer {
	t.Helper()
	n := productOf(i)
	p, _ := newProduct(n)
	l := &layer{product: p, weights: tensor.New(tensor.Float32, products[i].w...), bias: make([]float64, p.channels)}
	rng := rand.New(rand.NewPCG(uint64(i), 5))
	for k := range l.weights.F32() {
		l.weights.F32()[k] = float32(rng.NormFloat64() * float64(p.scale(k)+1))
	}
	for c := range l.bias {
		l.bias[c] = rng.NormFloat64()
	}
	return l
}

func TestRoundWeights(t *testing.T) {
	for i, c := range products {
		t.Run(c.name, func(t *testing.T) {
			l := layerOf(t, i)
			const xscale = 0.02
			l.roundWeights(xscale)
			if len(l.scales) != c.scales || l.guarded != 0 {
				t.Fatalf("%d scales, want %d; %d raised", len(l.scales), c.scales, l.guarded)
			}
			codes, back := tensor.View[int8](l.ints()), l.rounded().F32()
			most := make([]int, c.scales)
			signal, noise := 0.0, 0.0
			for k, w := range l.weights.F32() {
				s := l.scale(k)
				most[s] = max(most[s], int(codes[k]), -int(codes[k]))
				d := float64(w) - float64(back[k])
				signal, noise = signal+float64(w)*float64(w), noise+d*d
				if codes[k] < -127 || back[k] != float32(codes[k])*l.scales[s] || math.Abs(d) > 0.5001*float64(l.scales[s]) {
					t.Fatalf("weight %v became %d times %v", w, codes[k], l.scales[s])
				}
			}
			for s, n := range most {
				if n != 127 {
					t.Errorf("scale %d: the largest number is %d", s, n)
				}
			}
			if want := 10 * math.Log10(signal/noise); math.Abs(l.weightSQNR()-want) > 1e-6 {
				t.Errorf("%v dB, want %v", l.weightSQNR(), want)
			}
			b, steps := l.intBias(xscale)
			for k, v := range l.bias {
				s := float64(steps.F32()[k])
				if want := xscale * float64(l.scales[k%c.scales]); math.Abs(s-want) > 1e-6*want {
					t.Errorf("bias %d has steps of %v, want %v", k, s, want)
				}
				if d := v - float64(tensor.View[int32](b)[k])*s; math.Abs(d) > 0.5001*s {
					t.Errorf("bias %v became %d times %v", v, tensor.View[int32](b)[k], s)
				}
			}
		})
	}
}

// Where weights are so small that a bias would not fit, their scale grows.
func TestGuardedBias(t *testing.T) {
	for _, c := range []struct {
		name          string
		weight        float64
		bias          float64
		xscale        float32
		guarded, dead bool
	}{
		{"ordinary", 0.1, 3, 0.01, false, false},
		{"tiny weights", 1e-12, 10, 0.001, true, false},
		{"tiny weights, negative", 1e-12, -10, 0.001, true, false},
		{"nearly too small", 127e-6, 1e-3, 0.000001, false, false},
		{"dead, large bias", 0, 3e12, 0.01, true, true},
		{"dead", 0, 3, 0.01, false, true},
		{"denormal", 1e-40, 1, 0.01, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := layerOf(t, 0)
			inner := l.weights.Elems() / l.channels
			for k := range inner { // of channel 0
				l.weights.F32()[k] = float32(c.weight)
			}
			l.bias[0] = c.bias
			l.roundWeights(c.xscale)
			if (l.guarded == 1) != c.guarded && (c.guarded || !c.dead) || l.guarded > 1 {
				t.Errorf("%d channels guarded, want that: %v", l.guarded, c.guarded)
			}
			own := float32(c.weight / 127)
			if grew := l.scales[0] > own*1.001; grew != (c.guarded || c.dead) {
				t.Errorf("scale %v for weights of %v", l.scales[0], c.weight)
			}
			b, s := l.intBias(c.xscale)
			q := float64(tensor.View[int32](b)[0])
			if math.Abs(q) > 1<<30 {
				t.Errorf("bias %v is %v steps", c.bias, q)
			}
			if step := float64(s.F32()[0]); math.Abs(c.bias-q*step) > step/2+1e-6*math.Abs(c.bias) {
				t.Errorf("bias %v became %v", c.bias, q*step)
			}
			for k, v := range tensor.View[int8](l.ints())[:inner] {
				if want := min(math.RoundToEven(c.weight/float64(l.scales[0])), 127); math.Abs(float64(v)-want) > 1 {
					t.Fatalf("weight %d is %d, want %v", k, v, want)
				}
			}
		})
	}
}
