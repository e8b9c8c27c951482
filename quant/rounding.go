package quant

import (
	"context"
	"math"
	"runtime"
	"sync"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// The bounds of learning how to round the weights of a layer.
const (
	learnBlock = 1152 // weights of one output that are rounded together at most
	learnRows  = 512  // rows that are multiplied at a time
	narrowRow  = 64   // weights of one output up to which that takes no session
)

// patches cuts the inputs of a product's outputs out of its input: element i of
// a row is what weight i of an output is multiplied with at one place.
type patches struct {
	layer  *layer
	groups int
	inputs int      // channels of a group
	taps   [][2]int // from the first place of the output, along y and x; none in a matrix product
	stride [2]int
	wide   int // places of the output in a row
	places int
	codes  []int8 // the layer's rounded weights
}

// newPatches describes a product, nil where weights are rounded one by one.
func newPatches(l *layer, in, out tensor.Shape) *patches {
	n := l.node
	if n.Type == "Gemm" || n.Type == "MatMul" {
		k := l.weights.Shape[1-l.axis]
		return &patches{layer: l, groups: 1, inputs: k, places: in.Elems() / max(k, 1)}
	}
	s := l.weights.Shape
	if n.Type != "Conv" || len(s) != 4 || len(out) != 4 || in[0] != 1 || n.Attrs.String("auto_pad", "NOTSET") != "NOTSET" {
		return nil
	}
	p := &patches{layer: l, groups: n.Attrs.Int("group", 1), inputs: s[1], wide: out[3], places: out[2] * out[3]}
	pair := func(name string, missing int) [2]int {
		if a := n.Attrs.Get(name); a != nil && len(a.Ints) >= 2 {
			return [2]int{int(a.Ints[0]), int(a.Ints[1])}
		}
		return [2]int{missing, missing}
	}
	dilation, pad := pair("dilations", 1), pair("pads", 0)
	p.stride = pair("strides", 1)
	for y := range s[2] {
		for x := range s[3] {
			p.taps = append(p.taps, [2]int{y*dilation[0] - pad[0], x*dilation[1] - pad[1]})
		}
	}
	return p
}

// width of a row.
func (p *patches) width() int { return p.inputs * max(len(p.taps), 1) }

// rows returns how many places of a sample are looked at.
func (p *patches) rows(samples int) int {
	all := 16 * learnRows
	if p.width() <= narrowRow {
		all = 4 * learnRows
	}
	return min(p.places, max(all/samples, 1))
}

// cut writes the row of a place for a group.
func (p *patches) cut(row []float32, x *tensor.Tensor, group, place int) {
	if p.taps == nil {
		copy(row, x.F32()[place*p.inputs:][:p.inputs])
		return
	}
	h, w := x.Shape[2], x.Shape[3]
	oy, ox := place/p.wide*p.stride[0], place%p.wide*p.stride[1]
	planes := x.F32()[group*p.inputs*h*w:]
	for i, t := range p.taps {
		y, x := oy+t[0], ox+t[1]
		inside := y >= 0 && y < h && x >= 0 && x < w
		for c := range p.inputs {
			if inside {
				row[c*len(p.taps)+i] = planes[(c*h+y)*w+x]
			} else {
				row[c*len(p.taps)+i] = 0
			}
		}
	}
}

// weight returns where weight i of an output lies.
func (p *patches) weight(output, i int) int {
	if p.layer.node.Type != "Conv" && p.layer.axis == 1 {
		return i*p.layer.channels + output
	}
	return output*p.width() + i
}

// moments are sums and products of the inputs of a group.
type moments struct {
	rows     int
	sum      []float64
	products [][]float64 // of each block, of its inputs i and j, at i·n+j; of narrow rows only for j <= i
	codes    []uint8     // some rows as encode leaves them
}

// learn rounds the weights of a layer so that their errors compensate each
// other where their inputs go together: each weight takes over what the
// rounding of those before it has left, as far as the samples' inputs predict
// it. It is LDLQ of Chee et al. ("QuIP", 2023), which equals GPTQ of Frantar et
// al. (2022).
func (w *walk) learn(ctx context.Context, l *layer) error {
	in := w.p.types[l.node.In[0].Name].Shape
	p := newPatches(l, in, w.p.types[l.node.Out[0].Name].Shape)
	if p == nil {
		return nil
	}
	all, err := w.moments(ctx, p, in)
	if err != nil {
		return err
	}
	l.codes = tensor.New(tensor.Int8, l.weights.Shape...)
	p.codes = tensor.View[int8](l.codes)
	outputs := l.channels / p.groups
	split(p.groups, func(g int) {
		blocks := all[g].blocks(p)
		fit := func(o int) {
			for tries := 0; ; tries++ {
				p.round(g*outputs+o, blocks)
				if tries == maxNarrow || !p.saturates(g*outputs+o, all[g].codes) {
					return
				}
				l.scales[l.scale(p.weight(g*outputs+o, 0))] *= narrowStep
			}
		}
		if p.groups == 1 {
			split(outputs, fit)
			return
		}
		for o := range outputs {
			fit(o)
		}
	})
	return nil
}

// split does n pieces of work on all processors.
func split(n int, work func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n; i += workers {
				work(i)
			}
		})
	}
	wait.Wait()
}

// block is a part of the weights of an output that is rounded together.
type block struct {
	from  int
	n     int
	carry []float32
}

// round rounds the weights of an output.
func (p *patches) round(output int, blocks []block) {
	l := p.layer
	codes, weights := p.codes, l.weights.F32()
	left := make([]float64, 0, learnBlock) // what rounding has left
	for _, b := range blocks {
		left = left[:0]
		for k := range b.n {
			i := p.weight(output, b.from+k)
			scale := float64(l.scales[l.scale(i)])
			x := float64(weights[i])
			for j, e := range left {
				x += e * float64(b.carry[k*b.n+j])
			}
			q := min(max(math.RoundToEven(x/scale), -127), 127)
			left = append(left, float64(weights[i])-q*scale)
			codes[i] = int8(q)
		}
	}
}

// moments looks at places of the layer's input in all samples, evenly spread.
func (w *walk) moments(ctx context.Context, p *patches, shape tensor.Shape) ([]*moments, error) {
	width, rows := p.width(), p.rows(w.n)
	all := make([]*moments, p.groups)
	for g := range all {
		all[g] = p.newMoments()
	}
	blocks := p.blocks()
	var gram *engine.Session
	if width > narrowRow {
		var err error
		if gram, err = w.r.session(gramGraph(min(rows, learnRows), blocks[0].n), nil); err != nil {
			return nil, err
		}
		defer gram.Close()
	}
	x := tensor.New(tensor.Float32, shape...)
	buffer := make([]float32, min(rows, learnRows)*width)
	for i, sample := range w.data[p.layer.node.In[0]] {
		sample.restore(x)
		for g, m := range all {
			for at := 0; at < rows; at += learnRows {
				n := min(rows-at, learnRows)
				for k := range n {
					p.cut(buffer[k*width:][:width], x, g, ((at+k)*p.places/rows+i*7919)%p.places)
				}
				m.add(buffer[:n*width], n)
				if p.inputs > 1 {
					m.codes = p.encode(m.codes, buffer[:n*width], w.p.of[p.layer.node.In[0]])
				}
				if gram == nil {
					m.multiply(buffer[:n*width])
					continue
				}
				for k, b := range blocks {
					if err := b.multiply(ctx, gram, buffer[:n*width], width, m.products[k]); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return all, nil
}

// gramGraph computes xᵀ·x.
func gramGraph(rows, width int) *graph.Graph {
	x := &graph.Value{Name: "x", Type: tensor.Of(tensor.Float32, rows, width)}
	t := &graph.Node{Name: "t", Type: "Transpose", In: []*graph.Value{x}}
	t.Out = []*graph.Value{{Name: "t", Node: t, Untyped: true}}
	m := &graph.Node{Name: "m", Type: "MatMul", In: []*graph.Value{t.Out[0], x}}
	m.Out = []*graph.Value{{Name: "y", Node: m, Untyped: true}}
	return &graph.Graph{Opsets: []graph.Opset{{Version: minOpset}}, Inputs: []*graph.Value{x}, Outputs: m.Out, Nodes: []*graph.Node{t, m}}
}

// multiply adds the products of a block of wide rows. The session's rows are as
// wide as the first block, than which none is wider.
func (b block) multiply(ctx context.Context, gram *engine.Session, rows []float32, width int, products []float64) error {
	to, y := gram.Input("x").F32(), gram.Output("y")
	wide := y.Shape[1]
	clear(to)
	for i := 0; i*width < len(rows); i++ {
		copy(to[i*wide:], rows[i*width+b.from:][:b.n])
	}
	if err := gram.Run(ctx); err != nil {
		return err
	}
	for i := range b.n {
		for j, v := range y.F32()[i*wide:][:b.n] {
			products[i*b.n+j] += float64(v)
		}
	}
	return nil
}

// add counts rows.
func (m *moments) add(rows []float32, n int) {
	width := len(m.sum)
	for ; len(rows) > 0; rows = rows[width:] {
		for i, v := range rows[:width] {
			m.sum[i] += float64(v)
		}
	}
	m.rows += n
}

// multiply adds the products of narrow rows.
func (m *moments) multiply(rows []float32) {
	width := len(m.sum)
	for ; len(rows) > 0; rows = rows[width:] {
		row := rows[:width]
		for i, v := range row {
			to := m.products[0][i*width:][:i+1]
			for j, u := range row[:i+1] {
				to[j] += float64(v * u)
			}
		}
	}
}

// blocks returns the parts that weights are rounded in.
func (p *patches) blocks() []block {
	step := learnBlock
	if n := len(p.taps); n > 0 {
		step = max(step/n, 1) * n
	}
	var out []block
	for from := 0; from < p.width(); from += step {
		out = append(out, block{from: from, n: min(step, p.width()-from)})
	}
	return out
}

// newMoments returns sums of no rows.
func (p *patches) newMoments() *moments {
	m := &moments{sum: make([]float64, p.width())}
	for _, b := range p.blocks() {
		m.products = append(m.products, make([]float64, b.n*b.n))
	}
	return m
}

// blocks returns those of a product with what carries over in them.
func (m *moments) blocks(p *patches) []block {
	out := p.blocks()
	for i, b := range out {
		out[i].carry = m.carry(m.products[i], b.from, b.n)
	}
	return out
}

// carry returns, for n inputs from one on, how much of what the rounding of
// weight j has left weight k takes over, at k·n+j: H = (U+1)·D·(U+1)ᵀ with U
// above the diagonal and D on it, H being the inputs' covariance.
func (m *moments) carry(products []float64, from, n int) []float32 {
	h := make([]float64, n*n)
	per, trace := 1/float64(max(m.rows, 1)), 0.0
	for i := range n {
		for j := range i + 1 {
			h[i*n+j] = products[i*n+j]*per - m.sum[from+i]*per*m.sum[from+j]*per
		}
		trace += h[i*n+i]
	}
	for i := range n {
		h[i*n+i] += 0.01*trace/float64(n) + 1e-30
	}
	// The lower triangle holds H; row k of it becomes column k of U.
	for k := n - 1; k > 0; k-- {
		row := h[k*n:][:k]
		for j, v := range row {
			if v == 0 {
				continue
			}
			u := v / h[k*n+k]
			to := h[j*n:][:j+1]
			for i, x := range row[:j+1] {
				to[i] -= u * x
			}
		}
		for j := range row {
			row[j] /= h[k*n+k]
		}
	}
	out := make([]float32, n*n)
	for i, v := range h {
		out[i] = float32(v)
	}
	return out
}
