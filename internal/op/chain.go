package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// Link is one function of a Chain: Unary of the value so far, or Kind of it
// and input Arg, which broadcasts to it as in NumPy. Swap makes the input the
// first operand.
type Link struct {
	Unary *Unary // nil: a function of two operands
	Kind  BinaryKind
	Arg   int
	Swap  bool
}

// Chain is the machine form of elementwise operators that follow each other:
// it starts with input 0, which has the shape of the result, and applies one
// link after the other while the elements are in the cache. All is float32,
// rounded after every link.
type Chain struct{ Links []Link }

// Infer implements graph.Op.
func (c *Chain) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, len(in), -1); err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return nil, fmt.Errorf("has no input")
	}
	for _, v := range in {
		if v.Type.DType != tensor.Float32 || !fitsInto(v.Type.Shape, in[0].Type.Shape, len(in[0].Type.Shape)-len(v.Type.Shape)) {
			return nil, fmt.Errorf("%v in a chain over %v: %w", v.Type, in[0].Type, ErrShape)
		}
	}
	for _, l := range c.Links {
		if _, ok := l.Kind.Kernel(); l.Unary == nil && (!ok || l.Arg < 0 || l.Arg >= len(in) || l.Swap && l.Kind == PRelu) {
			return nil, fmt.Errorf("link %v of input %d: %w", l.Kind, l.Arg, ErrUnsupported)
		}
		if l.Unary != nil {
			if _, _, _, ok := l.Unary.Kernel(); !ok {
				return nil, fmt.Errorf("link %v: %w", l.Unary.Kind, ErrUnsupported)
			}
		}
	}
	return typed(tensor.Float32, in[0].Type.Shape)
}

// InPlace implements InPlacer. Inputs of all links but the first are read
// after the first has written.
func (c *Chain) InPlace() []int {
	for i, l := range c.Links {
		if i > 0 && l.Unary == nil && l.Arg == 0 {
			return nil
		}
	}
	return []int{0}
}

// Pitched implements Pitcher.
func (c *Chain) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (c *Chain) Eval(in, out []*tensor.Tensor) error {
	y := out[0]
	w := walkOver(y, in[0])
	for range w.rows {
		copyRow(y, in[0], w.off[0], w.off[1], w.n, w.in[1])
		w.next()
	}
	for i := range c.Links {
		l := &c.Links[i]
		if l.Unary != nil {
			w := walkOver(y)
			for range w.rows {
				for i := 0; i < w.n; i += chunk {
					l.Unary.row(y, y, w.off[0]+i, w.off[0]+i, min(chunk, w.n-i))
				}
				w.next()
			}
			continue
		}
		b := Binary{Kind: l.Kind}
		p, q := y, in[l.Arg]
		if l.Swap {
			p, q = q, p
		}
		w := b.walk(y, p, q)
		for range w.rows {
			b.row(y, p, q, w.off, w.in, 0, w.n)
			w.next()
		}
	}
	return nil
}

// Prepare implements Preparer.
func (c *Chain) Prepare(env *Env) ([]Step, error) {
	return prepareChain(env, "f32_chain", env.Out[0], c.Links, env.In, nil), nil
}

// chainRun is a prepared chain.
type chainRun struct {
	out    source
	in     []source
	vector []bool // per input: needed as a vector even where it is one number
	links  []chainLink
	tiling tiling
	chunk  int
	buf    *Scratch
}

// chainLink is a link with its kernels.
type chainLink struct {
	unary  func(dst, src []float32, p, q float32)
	p, q   float32
	vec    func(dst, a, b []float32)
	scalar func(dst, a []float32, b float32) // nil where the operand must be a vector
	arg    int
	swap   bool
	norm   *normLink // several links in one kernel
}

// normLink is a sum, a scale, a shift and a PRelu by vectors, as behind a
// normalisation. sum and slope are -1 where they are left out.
type normLink struct {
	kernel                   func(dst, a, r, scale, shift, slope []float32)
	sum, scale, shift, slope int
}

// prepareChain returns the step of a chain over float32 tensors. shifts align
// axis 0 of the inputs with an axis of the output; nil aligns the last axes.
func prepareChain(env *Env, name string, out *tensor.Tensor, links []Link, in []*tensor.Tensor, shifts []int) []Step {
	n, cost := out.Elems(), out.Elems()*len(links)
	if n == 0 {
		return []Step{}
	}
	c := &chainRun{out: newSource(out, out.Shape, 0), tiling: newTiling(1, n), vector: make([]bool, len(in))}
	for i, t := range in {
		shift := len(out.Shape) - len(t.Shape)
		if shifts != nil {
			shift = shifts[i]
		}
		c.in = append(c.in, newSource(t, out.Shape, shift))
	}
	c.vector[0] = true
	for len(links) > 0 {
		if norm, used := c.norm(env, links); used > 0 {
			c.links, links = append(c.links, chainLink{norm: norm}), links[used:]
			continue
		}
		c.links, links = append(c.links, c.link(env, links[0])), links[1:]
	}
	c.chunk = n
	for i := range c.in {
		if s := &c.in[i]; len(c.links) > 1 || !c.out.slices() || !s.runs() || c.vector[i] && !s.slices() {
			c.chunk = flatChunk
		}
	}
	c.buf = env.Scratch((len(in) + 1) * 2 * flatChunk * 4)
	return []Step{{Kernel: name, Tiles: c.tiling.tiles(), Cost: cost, Run: c.tile}}
}

func (c *chainRun) link(env *Env, l Link) chainLink {
	if l.Unary != nil {
		k, p, q, _ := l.Unary.Kernel()
		return chainLink{unary: env.Kernels.F32Unary[k], p: p, q: q}
	}
	k, _ := l.Kind.Kernel()
	link := chainLink{vec: env.Kernels.F32Binary[k], arg: l.Arg, swap: l.Swap}
	if !l.Swap || k != kernels.Sub && k != kernels.Div {
		link.scalar = env.Kernels.F32BinaryScalar[k]
	} else {
		c.vector[l.Arg] = true
	}
	return link
}

// norm returns the first links as one, and how many they are; 0 where they are
// not of that kind, or an operand is one number over long runs, which the
// kernels of single links take as such.
func (c *chainRun) norm(env *Env, links []Link) (n *normLink, used int) {
	n = &normLink{kernel: env.Kernels.F32Norm, sum: -1, slope: -1}
	take := func(kind BinaryKind) int {
		if used == len(links) || links[used].Unary != nil || links[used].Kind != kind || links[used].Swap && kind == PRelu {
			return -1
		}
		arg := links[used].Arg
		if s := &c.in[arg]; s.runs() && !s.slices() && !s.constant() {
			return -1
		}
		used++
		return arg
	}
	n.sum = take(Add)
	if n.scale = take(Mul); n.scale < 0 {
		return nil, 0
	}
	if n.shift = take(Add); n.shift < 0 {
		return nil, 0
	}
	n.slope = take(PRelu)
	for _, l := range links[:used] {
		c.vector[l.Arg] = true
	}
	return n, used
}

// buffer returns the scratch memory of an operand; the one behind the last is
// the output's.
func (c *chainRun) buffer(buf []float32, i int) []float32 {
	return buf[i*2*flatChunk : (i+1)*2*flatChunk]
}

func (c *chainRun) tile(worker, tile int) {
	buf := bytesF32(c.buf.For(worker))
	for i := range c.in {
		if s := &c.in[i]; s.period > 0 && (c.vector[i] || !s.constant()) {
			s.repeat(c.buffer(buf, i))
		}
	}
	_, _, e, to := c.tiling.at(tile)
	for e < to {
		n := c.out.until(e, min(c.chunk, to-e))
		for i := range c.in {
			n = c.in[i].until(e, n)
		}
		c.run(buf, e, n)
		e += n
	}
}

// run computes n elements from e on.
func (c *chainRun) run(buf []float32, e, n int) {
	dst := c.buffer(buf, len(c.in))
	direct := c.out.slices()
	if direct {
		dst = c.out.data[c.out.at(e):]
	}
	dst = dst[:n]
	t := c.operand(buf, 0, e, n)
	for i := range c.links {
		l, s := &c.links[i], &c.in[c.links[i].arg]
		switch {
		case l.norm != nil:
			c.normalise(l.norm, buf, dst, t, e)
		case l.unary != nil:
			l.unary(dst, t, l.p, l.q)
		case l.scalar != nil && s.runs() && !s.slices():
			l.scalar(dst, t, s.data[s.at(e)])
		case l.swap:
			l.vec(dst, c.operand(buf, l.arg, e, n), t)
		default:
			l.vec(dst, t, c.operand(buf, l.arg, e, n))
		}
		t = dst
	}
	if !direct {
		c.out.scatter(dst, e)
	}
}

// normalise applies several links to t, the elements from e on.
func (c *chainRun) normalise(m *normLink, buf, dst, t []float32, e int) {
	var r, slope []float32
	if m.sum >= 0 {
		r = c.operand(buf, m.sum, e, len(t))
	}
	if m.slope >= 0 {
		slope = c.operand(buf, m.slope, e, len(t))
	}
	m.kernel(dst, t, r, c.operand(buf, m.scale, e, len(t)), c.operand(buf, m.shift, e, len(t)), slope)
}

// operand returns elements of an input, where they lie or gathered.
func (c *chainRun) operand(buf []float32, i, e, n int) []float32 {
	s, b := &c.in[i], c.buffer(buf, i)
	switch {
	case s.period > 0:
		return b[e%s.period:][:n]
	case s.slices():
		return s.data[s.at(e):][:n]
	}
	s.gather(b[:n], e)
	return b[:n]
}
