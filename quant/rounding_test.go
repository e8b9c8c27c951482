package quant

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

// random fills a tensor with normal numbers.
func random(rng *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.F32() {
		t.F32()[i] = float32(rng.NormFloat64())
	}
	return t
}

// agree compares rows times weights with what the operator computes.
func agree(t optest.Test, n *graph.Node, x *tensor.Tensor) {
	t.Helper()
	have := map[string]*tensor.Tensor{n.In[0].Name: x}
	if err := optest.RunNode(n, 17, have); err != nil {
		t.Fatal(err)
	}
	y := have[n.Out[0].Name]
	m, ok := newProduct(n)
	if !ok {
		t.Fatal("no product")
	}
	l := &layer{product: m, weights: n.In[1].Const}
	p := newPatches(l, x.Shape, y.Shape)
	if p == nil {
		t.Fatal("weights would be rounded one by one")
	}
	if p.places*l.channels != y.Elems() || p.width()*l.channels != l.weights.Elems() {
		t.Fatalf("%d places of %d for %v", p.places, p.width(), y.Shape)
	}
	row := make([]float32, p.width())
	for o := range l.channels {
		for place := range p.places {
			p.cut(row, x, o/(l.channels/p.groups), place)
			sum := 0.0
			for i, v := range row {
				sum += float64(v) * float64(l.weights.F32()[p.weight(o, i)])
			}
			at := place*l.channels + o
			if n.Type == "Conv" {
				at = o*p.places + place
			}
			if want := float64(y.F32()[at]); math.Abs(sum-want) > 1e-4*(1+math.Abs(want)) {
				t.Fatalf("output %d at place %d: %v, want %v", o, place, sum, want)
			}
		}
	}
}

func TestPatchesOfConvolutions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(t, name) }
		kh, kw := draw("kh", 1, 4), draw("kw", 1, 4)
		dy, dx := draw("dy", 1, 2), draw("dx", 1, 2)
		top, left, bottom, right := draw("top", 0, 3), draw("left", 0, 3), draw("bottom", 0, 3), draw("right", 0, 3)
		group, in, out := draw("group", 1, 3), draw("in", 1, 3), draw("out", 1, 3)
		h, w := max(draw("h", 1, 8), (kh-1)*dy+1-top-bottom), max(draw("w", 1, 8), (kw-1)*dx+1-left-right)
		attrs := graph.Attrs{optest.AttrInts("pads", int64(top), int64(left), int64(bottom), int64(right)), optest.AttrInt("group", int64(group))}
		if dy > 1 || dx > 1 {
			attrs = append(attrs, optest.AttrInts("dilations", int64(dy), int64(dx)))
		}
		if rapid.Bool().Draw(t, "strided") {
			attrs = append(attrs, optest.AttrInts("strides", int64(draw("sy", 1, 3)), int64(draw("sx", 1, 3))))
		}
		b := optest.NewNet(17)
		rng := rand.New(rand.NewPCG(1, 2))
		y := b.Node("Conv", attrs, b.Input("x", tensor.Float32, 1, in*group, h, w), b.Const(random(rng, out*group, in, kh, kw)))
		agree(t, y.Node, random(rng, 1, in*group, h, w))
	})
}

func TestPatchesOfMatrices(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i, c := range products {
		if c.op == "Gemm" && c.plain || c.op == "MatMul" {
			t.Run(c.name, func(t *testing.T) { agree(t, productOf(i), random(rng, c.x...)) })
		}
	}
}

func TestNoPatches(t *testing.T) {
	b := optest.NewNet(17)
	x := b.Input("x", tensor.Float32, 1, 4, 6, 6)
	for _, c := range []struct {
		name string
		v    *graph.Value
		in   []int
		out  []int
	}{
		{"several pictures", b.Node("Conv", nil, x, b.Weights(4, 4, 1, 1)), []int{2, 4, 6, 6}, []int{2, 4, 6, 6}},
		{"automatic padding", b.Node("Conv", graph.Attrs{optest.AttrString("auto_pad", "SAME_UPPER")}, x, b.Weights(4, 4, 3, 3)), []int{1, 4, 6, 6}, []int{1, 4, 6, 6}},
		{"one dimension", b.Node("Conv", nil, x, b.Weights(4, 4, 1)), []int{1, 4, 6}, []int{1, 4, 6}},
		{"transposed", b.Node("ConvTranspose", nil, x, b.Weights(4, 4, 1, 1)), []int{1, 4, 6, 6}, []int{1, 4, 6, 6}},
	} {
		m, _ := newProduct(c.v.Node)
		if p := newPatches(&layer{product: m, weights: c.v.Node.In[1].Const}, c.in, c.out); p != nil {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

// correlated gives rows of inputs that go together.
func correlated(rng *rand.Rand, rows, width int) []float32 {
	out := make([]float32, 0, rows*width)
	for range rows {
		a, b := rng.NormFloat64(), rng.NormFloat64()
		for i := range width {
			out = append(out, float32(0.5+a+b*float64(i)/float64(width)+0.3*rng.NormFloat64()))
		}
	}
	return out
}

// gather returns the moments of rows.
func gather(rows []float32, width int) *moments {
	m := &moments{sum: make([]float64, width), products: [][]float64{make([]float64, width*width)}}
	m.add(rows, len(rows)/width)
	m.multiply(rows)
	return m
}

// The factors give back the covariance of the inputs, damped.
func TestCarry(t *testing.T) {
	const rows, width, from, n = 300, 9, 2, 6
	x := correlated(rand.New(rand.NewPCG(3, 4)), rows, width)
	all := gather(x, width)
	var products []float64
	for i := range n {
		products = append(products, all.products[0][(from+i)*width+from:][:n]...)
	}
	got := all.carry(products, from, n)
	mean := make([]float64, width)
	for i, v := range x {
		mean[i%width] += float64(v) / rows
	}
	covariance := func(i, j int) float64 {
		sum := 0.0
		for k := 0; k < len(x); k += width {
			sum += (float64(x[k+i]) - mean[i]) * (float64(x[k+j]) - mean[j]) / rows
		}
		return sum
	}
	trace := 0.0
	for i := range n {
		trace += covariance(from+i, from+i)
	}
	u := func(i, k int) float64 {
		if i == k {
			return 1
		}
		return float64(got[k*n+i])
	}
	for i := range n {
		for j := range i + 1 {
			sum := 0.0
			for k := i; k < n; k++ {
				sum += u(i, k) * float64(got[k*n+k]) * u(j, k)
			}
			want := covariance(from+i, from+j)
			if i == j {
				want += 0.01 * trace / n
			}
			if math.Abs(sum-want) > 1e-4 {
				t.Errorf("covariance of %d and %d: %v, want %v", i, j, sum, want)
			}
		}
	}
}

// gemm is a layer of a matrix product with rows of weights and their scales.
func gemm(rng *rand.Rand, outputs, width int) (*layer, *patches) {
	b := optest.NewNet(17)
	v := b.Node("Gemm", graph.Attrs{optest.AttrInt("transB", 1)}, b.Input("x", tensor.Float32, 1, width), b.Const(random(rng, outputs, width)))
	m, _ := newProduct(v.Node)
	l := &layer{product: m, weights: v.Node.In[1].Const, bias: make([]float64, outputs)}
	l.roundWeights(0.01)
	return l, newPatches(l, tensor.Shape{1, width}, tensor.Shape{1, outputs})
}

// Where inputs have nothing to do with each other, each weight is rounded to the
// nearest number; where they have, the outputs come closer to those in float.
func TestLearnedRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const outputs, width, rows = 12, 20, 400
	l, p := gemm(rng, outputs, width)
	nearest := l.ints()
	near := l.rounded().F32()
	diagonal := p.newMoments()
	diagonal.rows = 1
	for i := range width {
		diagonal.products[0][i*width+i] = float64(i + 1)
	}
	l.codes = tensor.New(tensor.Int8, l.weights.Shape...)
	p.codes = tensor.View[int8](l.codes)
	for o := range outputs {
		p.round(o, diagonal.blocks(p))
	}
	if string(l.codes.Bytes()) != string(nearest.Bytes()) {
		t.Error("independent inputs: not each weight is the nearest")
	}
	x := correlated(rng, rows, width)
	for o := range outputs {
		p.round(o, gather(x, width).blocks(p))
	}
	learned := l.rounded().F32()
	variance := func(w []float32) float64 { // of the error, whose mean goes into the bias
		sum := 0.0
		for o := range outputs {
			s, s2 := 0.0, 0.0
			for k := 0; k < len(x); k += width {
				e := 0.0
				for i := range width {
					e += float64(x[k+i]) * (float64(w[o*width+i]) - float64(l.weights.F32()[o*width+i]))
				}
				s, s2 = s+e/rows, s2+e*e/rows
			}
			sum += s2 - s*s
		}
		return sum
	}
	if got, before := variance(learned), variance(near); got > before/2 {
		t.Errorf("error %v, %v of rounding each weight by itself", got, before)
	}
}

// Weights beyond a block start anew.
func TestBlocks(t *testing.T) {
	for _, c := range []struct{ inputs, taps, blocks, first int }{
		{20, 9, 1, 180}, {128, 9, 1, 1152}, {130, 9, 2, 1152}, {100, 25, 3, 1150}, {2000, 0, 2, 1152}, {1, 3000, 1, 3000},
	} {
		p := &patches{inputs: c.inputs, taps: make([][2]int, c.taps)}
		w := p.width()
		if w > 1500 && testing.Short() {
			continue
		}
		b := p.newMoments().blocks(p)
		if len(b) != c.blocks || b[0].n != c.first {
			t.Errorf("%d inputs of %d taps: %d blocks, the first of %d, want %d of %d", c.inputs, c.taps, len(b), b[0].n, c.blocks, c.first)
		}
		at := 0
		for _, b := range b {
			if b.from != at || len(b.carry) != b.n*b.n {
				t.Errorf("block of %d at %d, want it at %d", b.n, b.from, at)
			}
			at += b.n
		}
		if at != w {
			t.Errorf("%d of %d weights are in blocks", at, w)
		}
	}
}

// walkOf is a walk whose first layer has its inputs.
func walkOf(t *testing.T, p *plan, r *runner) *walk {
	t.Helper()
	ranged(t, p, r)
	w := &walk{p: p, r: r, n: r.count, parts: p.segments(), last: map[*graph.Value]int{p.layers[0].node.In[0]: 0}, data: map[*graph.Value][]kept{}}
	if err := w.load(); err != nil {
		t.Fatal(err)
	}
	p.layers[0].roundWeights(p.of[p.layers[0].node.In[0]].root().scale)
	return w
}

// Sums of products are those of the places that are looked at, few and many.
func TestMoments(t *testing.T) {
	for _, c := range []struct{ in, k, group, size int }{{2, 3, 1, 9}, {9, 3, 1, 9}, {9, 3, 1, 24}, {20, 3, 2, 24}, {4, 3, 4, 24}} {
		s := start(1, c.in, c.size, c.size)
		s.conv(4, c.k, c.group)
		p, r := prepare(t, s.Output(s.v), pictures(2, 3, 1, c.in, c.size, c.size), Config{})
		w := walkOf(t, p, r)
		in := p.types["image"].Shape
		q := newPatches(p.layers[0], in, p.types[s.v.Name].Shape)
		got, err := w.moments(context.Background(), q, in)
		if err != nil {
			t.Fatal(err)
		}
		x, row := tensor.New(tensor.Float32, in...), make([]float32, q.width())
		for g, m := range got {
			sum, products := make([]float64, q.width()), make([]float64, q.width()*q.width())
			for _, k := range w.data[p.g.Inputs[0]] {
				k.restore(x)
				for place := range q.places {
					q.cut(row, x, g, place)
					for i, v := range row {
						sum[i] += float64(v)
						for j, u := range row[:i+1] {
							products[i*q.width()+j] += float64(v) * float64(u)
						}
					}
				}
			}
			if m.rows != 2*q.places {
				t.Errorf("%+v: %d rows of %d", c, m.rows, 2*q.places)
			}
			for i, v := range sum {
				if math.Abs(m.sum[i]-v) > 1e-3*(1+math.Abs(v)) {
					t.Fatalf("%+v: sum %d is %v, want %v", c, i, m.sum[i], v)
				}
				for j := range i + 1 {
					if a, b := m.products[0][i*q.width()+j], products[i*q.width()+j]; math.Abs(a-b) > 1e-3*(1+math.Abs(b)) {
						t.Fatalf("%+v: product of %d and %d is %v, want %v", c, i, j, a, b)
					}
				}
			}
		}
	}
}

// On smooth pictures a convolution comes closer to its float form, narrow and wide
// ones, of groups too.
func TestLearn(t *testing.T) {
	for _, c := range []struct {
		name          string
		in, k, groups int
		least         float64 // gain in decibels
	}{
		{"narrow", 3, 3, 1, 4}, {"wide", 9, 3, 1, 5}, {"groups", 6, 3, 3, 4}, {"wide groups", 24, 5, 2, 8}, {"depthwise", 6, 5, 6, 6}, {"1x1", 8, 1, 1, 0.7},
	} {
		t.Run(c.name, func(t *testing.T) {
			const seeds = 5
			gain := 0.0 // a single net may lose by luck
			for seed := range uint64(seeds) {
				s := start(seed, c.in, 8, 8)
				s.conv(12, c.k, c.groups)
				in := pictures(6, seed, 1, c.in, 8, 8)
				p, r := prepare(t, s.Output(s.v), in, Config{})
				w := walkOf(t, p, r)
				simulated := func() []float32 {
					return centred(outputs(t, p.extract(p.g.Nodes, p.g.Inputs, p.g.Outputs, p.types), in)[0], 12, 64)
				}
				want := centred(outputs(t, p.g, in)[0], 12, 64)
				near := sqnr(want, simulated())
				if err := w.learn(context.Background(), p.layers[0]); err != nil {
					t.Fatal(err)
				}
				gain += (sqnr(want, simulated()) - near) / seeds
			}
			if gain < c.least {
				t.Errorf("%.2f dB more than rounding each weight by itself, want %v", gain, c.least)
			}
		})
	}
}

// centred takes the mean of each channel away, which is the bias's business.
func centred(y []float32, channels, inner int) []float32 {
	means := make([]float64, channels)
	for i, v := range y {
		means[i/inner%channels] += float64(v) * float64(channels) / float64(len(y))
	}
	for i := range y {
		y[i] -= float32(means[i/inner%channels])
	}
	return y
}

func TestSaturates(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		name  string
		w     []int8
		codes []uint8
		want  bool
	}{
		{"both large", []int8{127, 127, 0, 0}, []uint8{255, 255, 0, 0}, true},
		{"both large and negative", []int8{0, 0, -127, -127}, []uint8{0, 0, 255, 255}, true},
		{"signs differ", []int8{127, -127, 127, -127}, []uint8{255, 255, 255, 255}, false},
		{"not neighbours", []int8{127, 0, 127, 0}, []uint8{255, 255, 255, 255}, false},
		{"just fits", []int8{64, 64, -64, -64}, []uint8{255, 255, 255, 255}, false},
		{"small inputs", []int8{127, 127, 127, 127}, []uint8{128, 128, 128, 128}, false},
		{"cancels out", []int8{127, 127, -127, -127}, []uint8{255, 255, 255, 255}, false},
		{"no row seen", []int8{127, 127, 127, 127}, nil, false},
	} {
		l, p := gemm(rng, 1, 4)
		l.codes = tensor.From(tensor.Int8, c.w, 1, 4)
		p.codes = tensor.View[int8](l.codes)
		if got := p.saturates(0, c.codes); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	// 8033 are lost in one row of so many; rounding the input makes 1067 in each.
	l, p := gemm(rng, 1, 4)
	l.codes = tensor.From(tensor.Int8, []int8{80, 80, 0, 0}, 1, 4)
	p.codes = tensor.View[int8](l.codes)
	for rows, want := range map[int]bool{1: true, 1000: true, 590000: true, 620000: false} {
		codes := make([]uint8, 4*rows)
		codes[0], codes[1] = 255, 255
		if got := p.saturates(0, codes); got != want {
			t.Errorf("in one row of %d: %v", rows, got)
		}
	}
}

// Channels are neighbours inside each tap, as they lie in memory.
func TestEncode(t *testing.T) {
	b := optest.NewNet(17)
	v := b.Node("Conv", nil, b.Input("x", tensor.Float32, 1, 2, 1, 3), b.Weights(1, 2, 1, 3))
	m, _ := newProduct(v.Node)
	l := &layer{product: m, weights: v.Node.In[1].Const}
	p := newPatches(l, tensor.Shape{1, 2, 1, 3}, tensor.Shape{1, 1, 1, 1})
	a := &activation{scale: 0.5, zero: 10}
	rows := make([]float32, 17*6)
	copy(rows, []float32{0, 1, 2, -1, -9, 1000})
	copy(rows[16*6:], []float32{0.24, 0.26, 0, 0, 0, 0})
	got := p.encode([]uint8{7}, rows, a)
	want := []uint8{7, 10, 8, 12, 0, 14, 255, 10, 10, 11, 10, 10, 10}
	if string(got) != string(want) {
		t.Errorf("%v, want %v", got, want)
	}
	l.codes = tensor.From(tensor.Int8, []int8{127, 0, 0, 127, 0, 0}, 1, 2, 1, 3)
	p.codes = tensor.View[int8](l.codes)
	if !p.saturates(0, []uint8{255, 255, 0, 0, 0, 0}) || p.saturates(0, []uint8{255, 0, 0, 255, 0, 0}) {
		t.Error("weights of both channels of one tap are not multiplied together")
	}
}

// Weights that would saturate are rounded more coarsely, others are not.
func TestLearnLeavesRoom(t *testing.T) {
	b := optest.NewNet(17)
	w := b.Weights(6, 4, 3, 3)
	for i := range w.Const.F32() {
		w.Const.F32()[i] = 1 + float32(i%5)/50
		if i >= 3*36 && i/9%2 == 0 { // neighbours of other signs
			w.Const.F32()[i] *= -1
		}
	}
	y := b.Node("Conv", nil, b.Input("image", tensor.Float32, 1, 4, 8, 8), w)
	rng := rand.New(rand.NewPCG(5, 6))
	var list []Sample
	for range 6 {
		s := filled(0, 1, 4, 8, 8)
		for i := range s.Inputs["image"].F32() {
			s.Inputs["image"].F32()[i] = 1 - 0.1*rng.Float32()
		}
		list = append(list, s)
	}
	p, r := prepare(t, b.Output(y), fixed(list...), Config{})
	walk := walkOf(t, p, r)
	l := p.layers[0]
	before := append([]float32{}, l.scales...)
	in := p.types["image"].Shape
	patches := newPatches(l, in, p.types[y.Name].Shape)
	all, err := walk.moments(context.Background(), patches, in)
	if err != nil {
		t.Fatal(err)
	}
	l.codes = l.ints()
	patches.codes = tensor.View[int8](l.codes)
	for o := range 3 {
		if !patches.saturates(o, all[0].codes) {
			t.Fatalf("output %d, with each weight rounded by itself, does not saturate: the test is none", o)
		}
	}
	if err := walk.learn(context.Background(), l); err != nil {
		t.Fatal(err)
	}
	patches.codes = tensor.View[int8](l.codes)
	for o := range 6 {
		if patches.saturates(o, all[0].codes) {
			t.Errorf("output %d saturates", o)
		}
		grew := l.scales[o] / before[o]
		if o < 3 && (grew < 1.18 || grew > 2.001) || o >= 3 && grew != 1 {
			t.Errorf("output %d: the scale grew by %v", o, grew)
		}
	}
}
