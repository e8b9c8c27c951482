package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// align is the alignment of every buffer: a cache line.
const align = 64

// buffer is memory that one or several values share: [first, last] are the
// positions in the node list between which it must keep its contents.
type buffer struct {
	size        int
	first, last int
	offset      int // in the arena
}

// place is where a value lives: in a buffer, from a byte offset on, with a
// pitch (0: dense). A value placed inside another has that one's buffer.
type place struct {
	buf    *buffer
	offset int
	pitch  int
}

// arenaPlan maps the values of a graph to memory.
type arenaPlan struct {
	g      *graph.Graph
	places map[*graph.Value]place
	uses   map[*graph.Value][]*graph.Node
	index  map[*graph.Node]int
	fixed  map[*graph.Value]bool // inputs and outputs of the graph
	size   int
}

// plan decides where every value lives. Values are first tied together where
// one lies inside another (concatenation, views, slices, in-place results);
// then each buffer gets its lifetime; then buffers are packed greedily, the
// largest first, into the lowest place where no living buffer is.
// (Greedy by size: Pisarchyk and Lee, arXiv 2001.03288.)
func plan(g *graph.Graph, limit int) (*arenaPlan, error) {
	p := &arenaPlan{g: g, places: map[*graph.Value]place{}, uses: map[*graph.Value][]*graph.Node{}, index: map[*graph.Node]int{}, fixed: map[*graph.Value]bool{}}
	for i, n := range g.Nodes {
		p.index[n] = i
		for _, v := range n.In {
			if v != nil {
				p.uses[v] = append(p.uses[v], n)
			}
		}
	}
	for _, v := range g.Inputs {
		p.fixed[v] = true
		p.own(v)
	}
	for _, v := range g.Outputs {
		p.fixed[v] = true
	}
	// Consumers come first: a concatenation owns its buffer before its inputs
	// are placed in it.
	for _, n := range slices.Backward(g.Nodes) {
		p.concat(n)
	}
	for _, n := range g.Nodes {
		for i, v := range n.Out {
			if v == nil {
				continue
			}
			if _, placed := p.places[v]; !placed && !(i == 0 && (p.view(n) || p.inPlace(n))) {
				p.own(v)
			}
		}
	}
	p.lifetimes()
	return p, p.pack(limit)
}

// own gives a value a buffer of its own.
func (p *arenaPlan) own(v *graph.Value) {
	p.places[v] = place{buf: &buffer{size: max(v.Type.Bytes(), 1)}}
}

// pitched reports whether a node accepts rows at a pitch.
func pitched(n *graph.Node) (in, out bool) {
	if n == nil || dynamicNode(n) {
		return false, false
	}
	if q, ok := n.Op.(op.Pitcher); ok {
		return q.Pitched()
	}
	return false, false
}

// concat places the inputs of a concatenation inside its output, where their
// producers and other consumers allow it.
func (p *arenaPlan) concat(n *graph.Node) {
	c, ok := n.Op.(*op.Concat)
	if !ok || dynamicNode(n) {
		return
	}
	out := n.Out[0]
	home, placed := p.places[out]
	if !placed {
		p.own(out)
		home = p.places[out]
	}
	rank := len(out.Type.Shape)
	axis := c.Axis
	if axis < 0 {
		axis += rank
	}
	inner, outer := out.Type.DType.Size(), 1
	for _, d := range out.Type.Shape[axis+1:] {
		inner *= d
	}
	for _, d := range out.Type.Shape[:axis] {
		outer *= d
	}
	// Either parts lie one behind the other, or they share the rows of the
	// last axis.
	whole := outer == 1 && home.pitch == 0
	last := axis == rank-1
	at := home.offset
	for i, v := range n.In {
		start := at
		at += v.Type.Shape[axis] * inner
		if !whole && !last || slices.Index(n.In, v) != i {
			continue
		}
		to := place{buf: home.buf, offset: start}
		if !whole {
			to.pitch = home.pitch
			if to.pitch == 0 {
				to.pitch = out.Type.Shape[rank-1]
			}
		}
		p.putInside(v, to)
	}
}

// putInside moves a value into a place in another's buffer if everything that
// touches it permits.
func (p *arenaPlan) putInside(v *graph.Value, to place) {
	if _, placed := p.places[v]; placed || v.Const != nil || v.Dynamic || v.Node == nil || p.fixed[v] || v.Type.Bytes() == 0 || dynamicNode(v.Node) {
		return
	}
	if to.pitch != 0 {
		if _, out := pitched(v.Node); !out || v.Node.Out[0] != v {
			return
		}
		for _, u := range p.uses[v] {
			if in, _ := pitched(u); !in {
				return
			}
		}
	}
	p.places[v] = to
	// A dense view of another value takes that value along.
	if _, ok := v.Node.Op.(*op.View); ok && to.pitch == 0 {
		p.putInside(v.Node.In[0], to)
	}
}

// view places the output of a View or SliceLast inside its input.
func (p *arenaPlan) view(n *graph.Node) bool {
	if dynamicNode(n) || p.fixed[n.Out[0]] && p.isInput(n.In[0]) {
		return false
	}
	in, out := n.In[0], n.Out[0]
	home, ok := p.places[in]
	if !ok || out.Type.Bytes() == 0 {
		return false
	}
	switch o := n.Op.(type) {
	case *op.View:
		if home.pitch != 0 {
			return false
		}
		p.places[out] = home
		return true
	case *op.SliceLast:
		if p.fixed[out] {
			return false
		}
		for _, u := range p.uses[out] {
			if in, _ := pitched(u); !in {
				return false
			}
		}
		to := place{buf: home.buf, offset: home.offset + o.Start*in.Type.DType.Size(), pitch: home.pitch}
		if to.pitch == 0 {
			to.pitch = in.Type.Shape[len(in.Type.Shape)-1]
		}
		p.places[out] = to
		return true
	}
	return false
}

func (p *arenaPlan) isInput(v *graph.Value) bool { return slices.Contains(p.g.Inputs, v) }

// inPlace lets an elementwise operator overwrite an input that nobody reads
// afterwards.
func (p *arenaPlan) inPlace(n *graph.Node) bool {
	o, ok := n.Op.(op.InPlacer)
	if !ok || dynamicNode(n) {
		return false
	}
	out := n.Out[0]
	for _, i := range o.InPlace() {
		if i >= len(n.In) || n.In[i] == nil {
			continue
		}
		v := n.In[i]
		home, placed := p.places[v]
		if !placed || v.Const != nil || v.Dynamic || home.offset != 0 || home.pitch != 0 ||
			v.Type.DType != out.Type.DType || !v.Type.Shape.Equal(out.Type.Shape) || home.buf.size != max(v.Type.Bytes(), 1) {
			continue
		}
		if p.lastReader(home.buf, n) {
			p.places[out] = home
			return true
		}
	}
	return false
}

// lastReader reports whether n is the only node at or behind its position
// that reads any value in the buffer, and none of these is an input or output
// of the graph.
func (p *arenaPlan) lastReader(b *buffer, n *graph.Node) bool {
	for v, at := range p.places {
		if at.buf != b {
			continue
		}
		if p.fixed[v] {
			return false
		}
		for _, u := range p.uses[v] {
			if u != n && p.index[u] >= p.index[n] {
				return false
			}
		}
		// A value yet to be written into this buffer (a part of a
		// concatenation) would be lost.
		if v.Node != nil && p.index[v.Node] >= p.index[n] {
			return false
		}
		reads := 0
		for _, w := range n.In {
			if w != nil && p.places[w].buf == b {
				reads++
			}
		}
		if reads > 1 {
			return false
		}
	}
	return true
}

// lifetimes sets the span of every buffer.
func (p *arenaPlan) lifetimes() {
	end := len(p.g.Nodes)
	seen := map[*buffer]bool{}
	for v, at := range p.places {
		first, last := -1, end
		if v.Node != nil {
			first = p.index[v.Node]
		}
		if !p.fixed[v] {
			last = first
			for _, u := range p.uses[v] {
				last = max(last, p.index[u])
			}
		}
		b := at.buf
		if !seen[b] {
			seen[b] = true
			b.first, b.last = first, last
			continue
		}
		b.first, b.last = min(b.first, first), max(b.last, last)
	}
}

// pack assigns offsets in the arena.
func (p *arenaPlan) pack(limit int) error {
	set := map[*buffer]bool{}
	var bufs []*buffer
	for _, n := range p.order() {
		if b := p.places[n].buf; !set[b] {
			set[b] = true
			bufs = append(bufs, b)
		}
	}
	slices.SortStableFunc(bufs, func(a, b *buffer) int { return cmp.Compare(b.size, a.size) })
	var done []*buffer // by offset
	for _, b := range bufs {
		at := 0
		for _, d := range done {
			if d.first > b.last || d.last < b.first {
				continue
			}
			if d.offset >= at+b.size {
				break
			}
			at = max(at, (d.offset+d.size+align-1)&^(align-1))
		}
		if at > limit-b.size {
			return fmt.Errorf("the activations of this model need more than %d MiB at these input sizes: %w: use smaller inputs or raise the limit", limit>>20, tensor.ErrMemory)
		}
		b.offset = at
		i, _ := slices.BinarySearchFunc(done, at, func(d *buffer, x int) int { return cmp.Compare(d.offset, x) })
		done = slices.Insert(done, i, b)
		p.size = max(p.size, at+b.size)
	}
	return nil
}

// order lists the placed values in a fixed order, so that plans are the same
// every time.
func (p *arenaPlan) order() []*graph.Value {
	var vs []*graph.Value
	add := func(v *graph.Value) {
		if _, ok := p.places[v]; ok && v != nil {
			vs = append(vs, v)
		}
	}
	for _, v := range p.g.Inputs {
		add(v)
	}
	for _, n := range p.g.Nodes {
		for _, v := range n.Out {
			add(v)
		}
	}
	return vs
}

// bind makes the tensors over the arena.
func (p *arenaPlan) bind(arena []byte) map[*graph.Value]*tensor.Tensor {
	ts := map[*graph.Value]*tensor.Tensor{}
	for v, at := range p.places {
		from := at.buf.offset + at.offset
		n := v.Type.Bytes()
		if at.pitch != 0 {
			last := v.Type.Shape[len(v.Type.Shape)-1]
			n = ((v.Type.Shape.Elems()/max(last, 1)-1)*at.pitch + last) * v.Type.DType.Size()
		}
		ts[v] = &tensor.Tensor{DType: v.Type.DType, Shape: v.Type.Shape.Clone(), Data: arena[from : from+n : from+n], Pitch: at.pitch}
	}
	return ts
}
