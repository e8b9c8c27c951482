package quant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// apply quantizes a graph and looks at what must hold for every result: it is a
// plain model that other runtimes read, with the same inputs and outputs, and the
// float one is as it was.
func apply(t optest.Test, g *graph.Graph, samples Samples, c Config) (*graph.Graph, *Report) {
	t.Helper()
	before := encode(t, g)
	q, rep, err := Apply(context.Background(), g, samples, c)
	if err != nil {
		t.Fatal(err)
	}
	if encode(t, g) != before {
		t.Fatal("the float model has changed")
	}
	back, err := onnx.Decode([]byte(encode(t, q)), onnx.Option{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(samples, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pass.Compile(back, pass.Options{Shapes: r.shapes}); err != nil {
		t.Fatal(err)
	}
	same := func(what string, a, b []*graph.Value) {
		if len(a) != len(b) {
			t.Fatalf("%d %s became %d", len(a), what, len(b))
		}
		for i, v := range a {
			if v.Name != b[i].Name || v.Type.String() != b[i].Type.String() || !slices.Equal(v.Dims, b[i].Dims) || v.Doc != b[i].Doc {
				t.Fatalf("%s %q %v became %q %v", what, v.Name, v.Type, b[i].Name, b[i].Type)
			}
		}
	}
	same("inputs", g.Inputs, q.Inputs)
	same("outputs", g.Outputs, q.Outputs)
	if q.Opset("") < 13 || q.Opset("") < g.Opset("") || !slices.Equal(q.Metadata, g.Metadata) {
		t.Fatalf("operator set %d, metadata %v", q.Opset(""), q.Metadata)
	}
	layers := 0
	for _, n := range q.Nodes {
		if n.Type == "DequantizeLinear" && n.In[0].Const != nil {
			layers += weights(t, q, n)
		}
	}
	if layers != rep.Quantized {
		t.Fatalf("%d layers have 8-bit weights, the report says %d", layers, rep.Quantized)
	}
	return q, rep
}

// weights checks a DequantizeLinear of constants, and counts those of 8 bits.
func weights(t optest.Test, q *graph.Graph, n *graph.Node) int {
	t.Helper()
	if len(n.In) != 2 {
		t.Fatalf("constant %q has zero points", n.In[0].Name)
	}
	x, scales, axis := n.In[0].Const, n.In[1].Const, n.Attrs.Int("axis", 1)
	if axis >= len(x.Shape) || !scales.Shape.Equal(tensor.Shape{x.Shape[axis]}) {
		t.Fatalf("scales %v of axis %d of %v", scales.Shape, axis, x.Shape)
	}
	switch x.DType {
	case tensor.Int32:
		return 0
	case tensor.Int8:
	default:
		t.Fatalf("constant %q is %v", n.In[0].Name, x.Type())
	}
	if slices.Contains(tensor.View[int8](x), -128) {
		t.Fatalf("weights %q hold -128", n.In[0].Name)
	}
	i := slices.IndexFunc(q.Nodes, func(u *graph.Node) bool { return slices.Contains(u.In, n.Out[0]) })
	if u := q.Nodes[i]; u.In[1] != n.Out[0] || u.In[0].Node == nil || u.In[0].Node.Type != "DequantizeLinear" {
		t.Fatalf("node %s has 8-bit weights but no 8-bit input", u.Label())
	}
	return 1
}

func TestApplyRandomNets(t *testing.T) {
	names := slices.Sorted(maps.Keys(pieces))
	few(t, func(t *rapid.T) {
		c, h, w := rapid.SampledFrom([]int{4, 8, 12}).Draw(t, "c"), rapid.IntRange(4, 9).Draw(t, "h"), rapid.IntRange(4, 9).Draw(t, "w")
		s := newSketch(rapid.Uint64().Draw(t, "seed"), c, h, w)
		s.draw(t, names)
		if rapid.Bool().Draw(t, "output on the way") {
			s.Output(s.v)
			s.draw(t, names)
		}
		switch rapid.IntRange(0, 2).Draw(t, "head") {
		case 0:
			s.head()
		case 1: // a map of scores and one of classes
			x := s.v
			s.conv(2, 1, 1)
			s.Output(s.node("Sigmoid", nil))
			s.v, s.c = x, c
			s.conv(5, 3, 1)
			s.Output(s.v)
		case 2:
			s.conv(4, 3, 1)
			s.node("Reshape", nil, s.Ints(1, 4, -1))
			s.Output(s.node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1)}))
		}
		s.Graph.Metadata = []graph.Property{{Key: "names", Value: "a,b"}}
		in := pictures(6, 1, 1, 3, h, w)
		q, rep := apply(t, s.Graph, in, Config{MaxFloat: -1})
		want, got := outputs(t, s.Graph, in), outputs(t, q, in)
		all, allGot := slices.Concat(want...), slices.Concat(got...)
		if db := sqnr(all, allGot); db < 20 || math.Abs(min(db, 40)-min(rep.SQNR, 40)) > 0.5 {
			t.Fatalf("%.2f dB, reported %.2f", db, rep.SQNR)
		}
		if rep.Samples != 6 || rep.Coverage != 1 || rep.Quantized != len(rep.Layers) {
			t.Fatalf("%d samples, %d of %d layers, %v of the multiply-adds", rep.Samples, rep.Quantized, len(rep.Layers), rep.Coverage)
		}
		again, _ := apply(t, s.Graph, in, Config{MaxFloat: -1, Threads: 3})
		if encode(t, again) != encode(t, q) {
			t.Fatal("the same samples give another file")
		}
	})
}

// With hardly any memory values are observed in turn, and the result is the same.
func TestMemory(t *testing.T) {
	s := newSketch(3, 8, 8, 8)
	pieces["residual"](s)
	g, in := s.head(), pictures(6, 1, 1, 3, 8, 8)
	a, one := apply(t, g, in, Config{})
	b, two := apply(t, g, in, Config{Memory: 1})
	if encode(t, a) != encode(t, b) || !reflect.DeepEqual(one, two) {
		t.Error("less memory gives another file or report")
	}
}

func TestGroups(t *testing.T) {
	var values []*graph.Value
	types := map[string]tensor.Type{}
	for i, n := range []int{10, 20, 5, 100, 1, 1, 30} {
		v := &graph.Value{Name: string(rune('a' + i))}
		values, types[v.Name] = append(values, v), tensor.Of(tensor.Uint8, n)
	}
	for _, c := range []struct {
		limit int
		want  string
	}{{35, "abc d efg"}, {30, "ab c d ef g"}, {1000, "abcdefg"}, {1, "a b c d e f g"}, {2, "a b c d ef g"}, {0, "a b c d e f g"}} {
		got := ""
		for _, part := range groups(values, types, c.limit) {
			got += " "
			for _, v := range part {
				got += v.Name
			}
		}
		if got != " "+c.want {
			t.Errorf("%d bytes: %q, want %q", c.limit, got, c.want)
		}
	}
	if groups(nil, types, 9) != nil {
		t.Error("a group of nothing")
	}
}

func TestMethods(t *testing.T) {
	s := newSketch(3, 8, 8, 8)
	pieces["residual"](s)
	pieces["silu"](s)
	s.node("Softmax", graph.Attrs{optest.AttrInt("axis", 1)})
	s.conv(8, 1, 1)
	g, in := s.head(), pictures(8, 1, 1, 3, 8, 8)
	for _, m := range Methods {
		q, rep := apply(t, g, in, Config{Method: m, MaxFloat: -1})
		if db := sqnr(outputs(t, g, in)[0], outputs(t, q, in)[0]); db < 20 {
			t.Errorf("%s: %.2f dB", m, db)
		}
		seen, clipped := map[Method]bool{}, 0.0
		for _, a := range rep.Activations {
			clipped += a.ClipRate
			seen[a.Method] = true
			if (a.Method == "shared") != (a.Source != "") || a.Scale <= 0 || a.Zero < 0 || a.Zero > 255 || a.Lo > 0 || a.Hi < 0 {
				t.Errorf("%s: %+v", m, a)
			}
			if lo, hi := float64(-a.Zero)*a.Scale, float64(255-a.Zero)*a.Scale; math.Abs(lo-a.Lo) > a.Scale || math.Abs(hi-a.Hi) > a.Scale {
				t.Errorf("%s: %q stands for %v to %v, its range is %v to %v", m, a.Value, lo, hi, a.Lo, a.Hi)
			}
			if a.Method == "fixed" && (a.Lo != 0 || a.Hi != 255./256) {
				t.Errorf("%s: %q has a known range, %v to %v", m, a.Value, a.Lo, a.Hi)
			}
		}
		if m == MinMax && clipped > 0.01 || (m == MSE || m == KL || m == MeanMinMax) && clipped == 0 {
			t.Errorf("%s: %v of the values are outside their ranges", m, clipped)
		}
		if m != Auto && (!seen[m] || len(seen) > 3 || !seen["fixed"]) || m == Auto && seen[Auto] {
			t.Errorf("%s: methods %v", m, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// Skipped nodes stay float, and the report says why.
func TestSkip(t *testing.T) {
	for _, c := range []struct {
		name string
		skip []string
		kept []string // layers
		add  bool     // the sum is computed on 8-bit numbers
	}{
		{"nothing", nil, nil, true},
		{"a layer", []string{"second"}, []string{"second"}, true},
		{"a layer by its output", []string{"third's"}, []string{"third"}, true},
		{"a kind of layers", []string{"Gemm"}, []string{"fourth"}, false},
		{"another node", []string{"sum"}, nil, false},
		{"another kind", []string{"Add"}, nil, false},
		{"all before the sum", []string{"first", "third"}, []string{"first", "third"}, false},
		{"what is not there", []string{"fifth"}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSketch(3, 4, 6, 6)
			s.v.Node.In[0].Node.Name = "first"
			x := s.v
			s.conv(4, 1, 1).Node.Name = "second"
			s.conv(4, 1, 1).Node.Name, s.v.Name = "third", "third's"
			sum := s.node("Add", nil, x)
			sum.Node.Name = "sum"
			s.head()
			s.v.Node.Name = "fourth"
			q, rep := apply(t, s.Graph, pictures(6, 1, 1, 3, 6, 6), Config{Skip: c.skip, MaxFloat: -1})
			var kept []string
			for _, l := range rep.Layers {
				if l.KeptFloat {
					kept = append(kept, l.Node)
				}
				if l.KeptFloat != (l.Reason != "") || l.KeptFloat && l.Reason != "asked for" {
					t.Errorf("%+v", l)
				}
			}
			if !slices.Equal(kept, c.kept) {
				t.Errorf("%v stay float, want %v", kept, c.kept)
			}
			for _, n := range q.Nodes {
				if l := n.In; slices.Contains(c.kept, n.Name) && l[1].Const == nil {
					t.Errorf("%s has other weights", n.Name)
				}
				if n.Name == "sum" && (n.In[0].Node.Type == "DequantizeLinear") != c.add {
					t.Errorf("the sum reads %s", n.In[0].Node.Label())
				}
			}
		})
	}
}

// Layers that are kept float for a reason of their own say so.
func TestReasons(t *testing.T) {
	s := newSketch(3, 4, 4, 4)
	s.conv(4, 1, 1)
	s.node("Softmax", graph.Attrs{optest.AttrInt("axis", 1)})
	s.node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 1, 3, 2)})
	s.node("Conv", nil, s.Weights(1, 4, 1, 1))
	s.node("Flatten", nil)
	s.node("Gemm", graph.Attrs{optest.AttrFloat("alpha", 0.5)}, s.Weights(16, 3))
	_, rep := apply(t, s.Output(s.v), pictures(4, 1, 1, 3, 4, 4), Config{MaxFloat: -1})
	want := []string{"", "", "it decodes a distribution of distances", "a matrix product with factors"}
	for i, l := range rep.Layers {
		if l.Reason != want[i] {
			t.Errorf("%s: %q, want %q", l.Node, l.Reason, want[i])
		}
	}
	// Conv to 4 of 27 products at 16 places, to 4 of 4, to 1 of 4, and 16 times 3.
	for i, macs := range []int64{4 * 27 * 16, 4 * 4 * 16, 4 * 16, 16 * 3} {
		if rep.Layers[i].MACs != macs {
			t.Errorf("%s: %d multiply-adds, want %d", rep.Layers[i].Node, rep.Layers[i].MACs, macs)
		}
	}
}

// The report counts channels whose biases would not fit, and the bytes of constants.
func TestReport(t *testing.T) {
	s := newSketch(3, 4, 4, 4)
	s.conv(40, 3, 1)
	w := s.v.Node.In[1].Const.F32()
	for i := range w[:2*36] { // of the first two outputs
		w[i] *= 1e-12
	}
	s.v.Node.In[2].Const.F32()[0], s.v.Node.In[2].Const.F32()[1] = 3, -3
	g := s.head()
	q, rep := apply(t, g, pictures(4, 1, 1, 3, 4, 4), Config{MaxFloat: -1})
	if l := rep.Layers; l[0].Guarded != 0 || l[1].Guarded != 2 || l[2].Guarded != 0 {
		t.Errorf("%d, %d, %d channels are guarded, want 0, 2, 0", l[0].Guarded, l[1].Guarded, l[2].Guarded)
	}
	size := func(g *graph.Graph) float64 {
		n := 0
		for _, v := range g.Inits {
			n += len(v.Const.Bytes())
		}
		return float64(n)
	}
	if want := size(q) / size(g); rep.SizeRatio != want || want > 0.5 {
		t.Errorf("constants are %v of what they were, reported %v", want, rep.SizeRatio)
	}
	for i, l := range rep.Layers {
		if l.WeightSQNR < 30 || l.ActivationSQNR < 30 || (l.OutputSQNR < 30) != (i == 2) {
			t.Errorf("%+v", l)
		}
	}
}

// What stands behind the last layer stays float, unless that is asked for.
func TestTail(t *testing.T) {
	for _, tail := range []bool{false, true} {
		s := newSketch(3, 8, 6, 6)
		pieces["conv"](s)
		x := s.v
		boxes := s.conv(4, 1, 1)
		s.v, s.c = x, 8
		scores := s.Node("Sigmoid", nil, s.conv(4, 1, 1))
		s.Output(s.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, boxes, scores))
		q, rep := apply(t, s.Graph, pictures(6, 1, 1, 3, 6, 6), Config{QuantizeTail: tail, MaxFloat: -1})
		concat := q.Nodes[slices.IndexFunc(q.Nodes, func(n *graph.Node) bool { return n.Type == "Concat" })]
		sigmoid := q.Nodes[slices.IndexFunc(q.Nodes, func(n *graph.Node) bool { return n.Type == "Sigmoid" })]
		for _, v := range append(slices.Clone(concat.In), sigmoid.In...) {
			if (v.Node.Type == "DequantizeLinear") != tail {
				t.Errorf("tail %v: %s is read", tail, v.Node.Label())
			}
		}
		for _, a := range rep.Activations {
			if !tail && slices.Contains([]string{boxes.Name, scores.Name}, a.Value) {
				t.Errorf("%q is quantized", a.Value)
			}
		}
	}
}

// The means of outputs come closer to those in float by what is added to biases,
// on all samples, or on as many as there is memory for, evenly spread.
func TestBiasCorrection(t *testing.T) {
	for _, c := range []struct{ samples, memory, each int }{{10, 0, 1}, {40, 1, 5}} {
		s := newSketch(3, 8, 8, 8)
		pieces["depthwise"](s)
		pieces["conv"](s)
		g, in := s.head(), pictures(c.samples, 1, 1, 3, 8, 8)
		p, r := prepare(t, g, in, Config{RoundNearest: true, Memory: c.memory})
		ranged(t, p, r)
		var used []Sample
		for x, err := range in {
			if err != nil {
				t.Fatal(err)
			}
			if k := len(used); x.Name == fmt.Sprintf("picture %d", (k+1)*c.each-1) {
				used = append(used, inputs("image", x.Inputs["image"].Clone()))
			}
		}
		want := map[*layer][]float64{}
		for _, l := range p.layers {
			want[l] = channelMeans(t, p.g, l, fixed(used...))
		}
		off := func() map[*layer]float64 { // squared, of all channels
			out := map[*layer]float64{}
			q := p.extract(p.g.Nodes, p.g.Inputs, p.g.Outputs, p.types)
			for _, l := range p.layers {
				for c, m := range channelMeans(t, q, l, fixed(used...)) {
					out[l] += (m - want[l][c]) * (m - want[l][c])
				}
			}
			return out
		}
		p.nearest()
		before := off()
		if err := p.correct(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		for l, e := range off() {
			if e > before[l]/10 {
				t.Errorf("%d samples, %s: means are off by %v, %v without", c.samples, l.node.Label(), math.Sqrt(e), math.Sqrt(before[l]))
			}
		}
	}
}

// channelMeans of a layer's output over all samples.
func channelMeans(t *testing.T, g *graph.Graph, l *layer, samples Samples) []float64 {
	t.Helper()
	sum, n := make([]float64, l.channels), 0.0
	for s, err := range samples {
		if err != nil {
			t.Fatal(err)
		}
		x := reference(t, g, s)[l.node.Out[0].Name]
		inner := x.Elems() / l.channels
		for i, v := range x.F32() {
			sum[i/inner] += float64(v)
		}
		n += float64(inner)
	}
	for c := range sum {
		sum[c] /= n
	}
	return sum
}

// Rounding that learns and shifts biases does not lose against rounding alone.
func TestCorrectionHelps(t *testing.T) {
	s := newSketch(11, 8, 8, 8)
	pieces["conv"](s)
	pieces["residual"](s)
	g, in := s.head(), pictures(40, 1, 1, 3, 8, 8)
	_, plain := apply(t, g, in, Config{Method: MinMax, MaxFloat: -1, RoundNearest: true, NoBiasCorrection: true})
	_, best := apply(t, g, in, Config{Method: MinMax, MaxFloat: -1})
	if plain.Corrected || !best.Corrected || best.SQNR < plain.SQNR+1 {
		t.Errorf("%.2f dB corrected: %v; %.2f dB corrected: %v", plain.SQNR, plain.Corrected, best.SQNR, best.Corrected)
	}
}

// A layer without a bias gets one where its means have shifted.
func TestBiasIsAdded(t *testing.T) {
	s := newSketch(3, 4, 8, 8)
	v := s.node("Conv", nil, s.filters(6, 4, 3, 3))
	q, rep := apply(t, s.Output(v), pictures(10, 1, 1, 3, 8, 8), Config{Method: MinMax, MaxFloat: -1, NoEqualize: true})
	n := q.Nodes[slices.IndexFunc(q.Nodes, func(n *graph.Node) bool { return n.Name == v.Node.Name })]
	if !rep.Corrected || len(n.In) != 3 || n.In[2].Node.In[0].Const.DType != tensor.Int32 {
		t.Errorf("corrected: %v, %d inputs", rep.Corrected, len(n.In))
	}
}

// A layer stays float where rounding what it reads would disturb the outputs, here
// faint channels beside a bright one, if that is as cheap as was asked for.
func TestMaxFloat(t *testing.T) {
	s := start(3, 3, 8, 8)
	x := s.v
	s.conv(4, 3, 1)
	for i := range 27 { // the first channel
		s.v.Node.In[1].Const.F32()[i] *= 3000
	}
	s.node("Relu", nil)
	faint := s.conv(4, 1, 4)
	faint.Node.In[1].Const.F32()[0], faint.Node.In[2].Const.F32()[0] = 0, 0
	s.Output(faint)
	s.v, s.c = x, 3
	for range 3 {
		s.conv(8, 3, 1)
		s.node("Relu", nil)
	}
	s.conv(4, 1, 1)
	s.Output(s.v)
	for allowed, kept := range map[float64]bool{-1: false, 1e-4: false, 0.05: true} {
		_, rep := apply(t, s.Graph, pictures(8, 1, 1, 3, 8, 8), Config{MaxFloat: allowed, NoEqualize: true, Method: MinMax})
		var macs, all int64
		for _, l := range rep.Layers {
			all += l.MACs
			if l.KeptFloat {
				macs += l.MACs
			}
			if want := kept && l.Node == faint.Node.Name; l.KeptFloat != want || (l.Reason != "") != want {
				t.Errorf("%v may be in float: %+v", allowed, l)
			}
		}
		if share := float64(macs) / float64(all); share > max(allowed, 0) || math.Abs(rep.Coverage-1+share) > 1e-9 {
			t.Errorf("%v of the multiply-adds are in float, %v may be, %v are reported not to be", share, allowed, rep.Coverage)
		}
	}
}

func TestSensitivity(t *testing.T) {
	s := newSketch(3, 8, 8, 8)
	pieces["conv"](s)
	_, rep := apply(t, s.head(), pictures(6, 1, 1, 3, 8, 8), Config{Sensitivity: true, MaxFloat: -1, Skip: []string{"Gemm"}})
	for _, l := range rep.Layers {
		alone := []float64{l.WeightOnly, l.ActivationOnly, l.Both}
		if l.KeptFloat {
			if !slices.Equal(alone, []float64{0, 0, 0}) {
				t.Errorf("%s stays float: %v", l.Node, alone)
			}
			continue
		}
		if l.WeightOnly < rep.SQNR-3 || l.ActivationOnly < rep.SQNR-3 || l.Both > min(l.WeightOnly, l.ActivationOnly)+3 {
			t.Errorf("%s: %v dB alone, all together %v", l.Node, alone, rep.SQNR)
		}
	}
}

// Layers are kept float until the loss is allowed; an error of the measurement is
// passed on.
func TestMaxDrop(t *testing.T) {
	s := newSketch(3, 8, 8, 8)
	pieces["conv"](s)
	pieces["conv"](s)
	g, in := s.head(), pictures(6, 1, 1, 3, 8, 8)
	layers := func(q *graph.Graph) float64 {
		n := 0
		for _, u := range q.Nodes {
			if u.Type == "DequantizeLinear" && u.In[0].Const != nil && u.In[0].Const.DType == tensor.Int8 {
				n++
			}
		}
		return float64(n)
	}
	eval := func(_ context.Context, q *graph.Graph) (float64, error) { return 90 - layers(q), nil }
	for _, c := range []struct {
		drop        float64
		least, most int
	}{
		{drop: 10, least: 4, most: 4},
		{drop: 3.5, least: 1, most: 3},
		{drop: 1.5, least: 1, most: 1},
	} {
		q, rep := apply(t, g, in, Config{MaxDrop: c.drop, Eval: eval, MaxFloat: -1})
		if n := rep.Quantized; n < c.least || n > c.most || rep.Drop != layers(q) || rep.Drop > c.drop || rep.Before != 90 {
			t.Errorf("drop of %v allowed: %d layers are quantized, from %v to %v", c.drop, n, rep.Before, rep.After)
		}
	}
	lost := errors.New("lost")
	_, _, err := Apply(context.Background(), g, in, Config{Eval: func(context.Context, *graph.Graph) (float64, error) { return 0, lost }})
	if !errors.Is(err, lost) {
		t.Errorf("an error of the measurement: %v", err)
	}
}

// Where no choice of layers is good enough, there is a warning, and the report is
// that of the graph.
func TestMaxDropMissed(t *testing.T) {
	s := newSketch(3, 8, 8, 8)
	g, in := s.head(), pictures(6, 1, 1, 3, 8, 8)
	eval := func(_ context.Context, q *graph.Graph) (float64, error) {
		if slices.ContainsFunc(q.Nodes, func(n *graph.Node) bool { return n.Type == "QuantizeLinear" }) {
			return 10, nil
		}
		return 90, nil
	}
	_, rep := apply(t, g, in, Config{MaxDrop: 5, Eval: eval, MaxFloat: -1})
	if rep.Drop != 80 || !slices.ContainsFunc(rep.Warnings, func(w string) bool { return strings.Contains(w, "larger than allowed") }) {
		t.Errorf("drop %v, warnings %q", rep.Drop, rep.Warnings)
	}
}
