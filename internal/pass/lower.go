package pass

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// nhwc is the order of channels-last axes in terms of ONNX's.
var nhwc = []int{0, 2, 3, 1}

// lowered is what becomes of a bound value: a view of a value of the lowered
// graph, and the orders of axes in which it already lies dense in memory.
type lowered struct {
	from *graph.Value
	view view
	made []realized
}

type realized struct {
	perm  []int
	value *graph.Value
}

// lowerer carries the state of Lower.
type lowerer struct {
	old    *graph.Graph
	new    *graph.Graph
	values map[*graph.Value]*lowered
	uses   map[*graph.Value]int // by nodes and as outputs
	next   map[*graph.Value]*graph.Node
	done   map[*graph.Node]bool         // fused into an earlier node
	late   map[*graph.Value]*graph.Node // real forms of integers, made when someone asks for them
	whole  bool                         // the model has such
	err    error                        // of making one
	serial int
}

// Lower turns a bound graph into its machine form. Convolutions, poolings and
// resizes become channels-last operators with bias, activation and residual
// fused; operators that only move elements become views, which cost nothing
// until someone needs another order; all else keeps its operator, on the
// order of axes that its inputs have.
func Lower(g *graph.Graph) (*graph.Graph, error) {
	l := &lowerer{
		old: g, new: &graph.Graph{Name: g.Name, Opsets: g.Opsets, Metadata: g.Metadata},
		values: map[*graph.Value]*lowered{}, uses: map[*graph.Value]int{}, next: map[*graph.Value]*graph.Node{}, done: map[*graph.Node]bool{},
		late: map[*graph.Value]*graph.Node{},
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil {
				l.uses[v]++
				l.next[v] = n
			}
		}
	}
	for _, v := range g.Outputs {
		l.uses[v] += 2 // an output is never fused away
	}
	for _, v := range g.Inputs {
		nv := &graph.Value{Name: v.Name, Type: v.Type, Dims: v.Dims, Const: v.Const, Bound: v.Bound}
		l.new.Inputs = append(l.new.Inputs, nv)
		l.set(v, denseView(nv))
	}
	for _, n := range g.Nodes {
		if l.done[n] {
			continue
		}
		err := l.node(n)
		if err == nil {
			err = l.err
		}
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Label(), err)
		}
	}
	if err := l.outputs(); err != nil {
		return nil, err
	}
	return l.new, l.err
}

// set records the view of a bound value.
func (l *lowerer) set(v *graph.Value, w view) *lowered {
	x := &lowered{from: v, view: w}
	l.values[v] = x
	return x
}

// get returns the lowered form of a bound value; constants are made on demand.
func (l *lowerer) get(v *graph.Value) *lowered {
	if x := l.values[v]; x != nil {
		return x
	}
	if n := l.late[v]; n != nil {
		delete(l.late, v)
		if t := folded(v); t != nil {
			return l.set(v, denseView(graph.NewConst(v.Name, t)))
		}
		if err := l.rest(n); err != nil {
			l.err = err
		}
		return l.values[v]
	}
	return l.set(v, denseView(graph.NewConst(v.Name, v.Const)))
}

// name returns a name for a value that the file does not have.
func (l *lowerer) name(from, what string) string {
	l.serial++
	return fmt.Sprintf("%s/%s.%d", from, what, l.serial)
}

// add appends a machine node with one output.
func (l *lowerer) add(o graph.Op, typ, name, out string, in ...*graph.Value) (*graph.Value, error) {
	vs, err := l.new.Add(o, graph.Node{Name: name, Type: typ, In: in}, out)
	if err != nil {
		return nil, err
	}
	return vs[0], nil
}

// realize returns x as a value whose memory is dense with the axes in the
// order perm; elements are moved only if they do not lie so already.
func (l *lowerer) realize(x *lowered, perm []int) (*graph.Value, error) {
	for _, r := range x.made {
		if slices.Equal(r.perm, perm) {
			return r.value, nil
		}
	}
	shape := permute(x.view.shape(), perm)
	v, err := l.materialize(x, perm, shape)
	if err != nil {
		return nil, err
	}
	x.made = append(x.made, realized{slices.Clone(perm), v})
	return v, nil
}

func (l *lowerer) materialize(x *lowered, perm, shape []int) (*graph.Value, error) {
	w, base, name := x.view, x.view.base, x.from.Name
	if w.dense(perm) {
		if base.Type.Shape.Equal(shape) {
			return base, nil
		}
		if base.Const != nil {
			return graph.NewConst(base.Name, base.Const.Reshaped(shape...)), nil
		}
		return l.add(&op.View{Shape: shape}, "View", name, l.name(name, "view"), base)
	}
	if start, n, ok := w.channelSlice(perm); ok && base.Const == nil {
		s, err := l.add(&op.SliceLast{Start: start, Len: n}, "SliceLast", name, l.name(name, "slice"), base)
		if err != nil || s.Type.Shape.Equal(shape) {
			return s, err
		}
		return l.add(&op.View{Shape: shape}, "View", name, l.name(name, "view"), s)
	}
	c := &op.StridedCopy{Offset: w.offset}
	for _, a := range perm {
		ps := w.axes[a]
		if len(ps) == 0 {
			ps = []part{{1, 0}}
		}
		for _, p := range ps {
			c.Shape, c.Strides = append(c.Shape, p.size), append(c.Strides, p.stride)
		}
	}
	if len(c.Shape) > tensor.MaxRank {
		c.Shape, c.Strides = squeeze(c.Shape, c.Strides)
	}
	if base.Const != nil {
		return l.constant(c, base, shape)
	}
	v, err := l.add(c, "StridedCopy", name, l.name(name, "copy"), base)
	if err != nil || v.Type.Shape.Equal(shape) {
		return v, err
	}
	return l.add(&op.View{Shape: shape}, "View", name, l.name(name, "view"), v)
}

// squeeze drops axes of extent one.
func squeeze(shape, strides []int) (s, st []int) {
	for i, d := range shape {
		if d != 1 {
			s, st = append(s, d), append(st, strides[i])
		}
	}
	return s, st
}

// constant rearranges a constant now.
func (l *lowerer) constant(c *op.StridedCopy, base *graph.Value, shape []int) (*graph.Value, error) {
	types, err := c.Infer([]*graph.Value{base})
	if err != nil {
		return nil, err
	}
	t := tensor.New(types[0].DType, types[0].Shape...)
	if err := c.Eval([]*tensor.Tensor{base.Const}, []*tensor.Tensor{t}); err != nil {
		return nil, err
	}
	return graph.NewConst(base.Name, t.Reshaped(shape...)), nil
}

// plain returns a bound value in ONNX's order of axes; nil stays nil.
func (l *lowerer) plain(v *graph.Value) (*graph.Value, error) {
	if v == nil {
		return nil, nil
	}
	return l.realize(l.get(v), identityPerm(len(v.Type.Shape)))
}

// made records the output of a machine node: v lies in value with its axes in
// the order perm.
func (l *lowerer) made(v, value *graph.Value, perm []int) {
	inverse := make([]int, len(perm))
	for i, a := range perm {
		inverse[a] = i
	}
	l.set(v, denseView(value).transpose(inverse)).made = []realized{{slices.Clone(perm), value}}
}

// outputs gives every output of the graph its own value in the file's layout
// and under its name.
func (l *lowerer) outputs() error {
	named := map[*graph.Value]bool{}
	for _, v := range l.old.Outputs {
		w, err := l.plain(v)
		if err != nil {
			return fmt.Errorf("output %q: %w", v.Name, err)
		}
		switch {
		case w.Const != nil && w.Node == nil:
			w = graph.NewConst(v.Name, w.Const)
		case w.Node == nil || named[w] || w.Name != v.Name && l.isOutput(w.Name):
			if w, err = l.add(&op.View{Shape: w.Type.Shape}, "View", v.Name, v.Name, w); err != nil {
				return err
			}
		default:
			w.Name = v.Name
		}
		named[w] = true
		l.new.Outputs = append(l.new.Outputs, w)
	}
	return nil
}

func (l *lowerer) isOutput(name string) bool {
	return slices.ContainsFunc(l.old.Outputs, func(v *graph.Value) bool { return v.Name == name })
}

// keep adds a node with its portable operator on plain inputs.
func (l *lowerer) keep(n *graph.Node) error {
	in := make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		var err error
		if in[i], err = l.plain(v); err != nil {
			return err
		}
	}
	names := make([]string, len(n.Out))
	for i, v := range n.Out {
		if v != nil {
			names[i] = v.Name
		}
	}
	outs, err := l.new.Add(n.Op, graph.Node{Name: n.Name, Domain: n.Domain, Type: n.Type, Attrs: n.Attrs, In: in}, names...)
	if err != nil {
		return err
	}
	for i, v := range n.Out {
		if v != nil {
			outs[i].Bound = v.Bound
			l.set(v, denseView(outs[i]))
		}
	}
	return nil
}

// dynamic reports whether a node has data-dependent extents; such nodes keep
// their operators and their order of axes.
func dynamic(n *graph.Node) bool {
	varies := func(v *graph.Value) bool { return v != nil && v.Dynamic }
	return slices.ContainsFunc(n.In, varies) || slices.ContainsFunc(n.Out, varies)
}

// node lowers one bound node.
func (l *lowerer) node(n *graph.Node) error {
	if dynamic(n) || n.Out[0] == nil || empty(n) {
		return l.keep(n)
	}
	if d, ok := n.Op.(*op.DequantizeLinear); ok && d.Block == 0 {
		l.late[n.Out[0]], l.whole = n, true
		return nil
	}
	ok, why, err := l.quantized(n)
	if ok || err != nil {
		return err
	}
	first := len(l.new.Nodes)
	if err := l.rest(l.constantWeights(n)); err != nil || !l.whole || why == "" {
		return err
	}
	for _, m := range l.new.Nodes[first:] {
		if m.Name == n.Name {
			m.Note = why
		}
	}
	return nil
}

// rest lowers a node that computes in float32 or only moves elements.
func (l *lowerer) rest(n *graph.Node) error {
	if ok, err := l.asView(n); ok || err != nil {
		return err
	}
	switch o := n.Op.(type) {
	case *op.Conv:
		if ok, err := l.conv(n, o); ok || err != nil {
			return err
		}
	case *op.ConvTranspose:
		if ok, err := l.deconv(n, o); ok || err != nil {
			return err
		}
	case *op.InstanceNorm:
		if ok, err := l.groupNorm(n, o); ok || err != nil {
			return err
		}
	case *op.MaxPool, *op.AveragePool, *op.GlobalPool:
		if ok, err := l.pool(n); ok || err != nil {
			return err
		}
	case *op.Resize:
		if ok, err := l.resize(n, o); ok || err != nil {
			return err
		}
	case *op.Reduce:
		if ok, err := l.reduce(n, o); ok || err != nil {
			return err
		}
	case *op.ArgReduce:
		if ok, err := l.argReduce(n, o); ok || err != nil {
			return err
		}
	case *op.Concat:
		return l.concat(n, o)
	case *op.Softmax:
		return l.softmax(n, o)
	case *op.Pad:
		return l.pad(n, o)
	case *op.Unary, *op.Binary, *op.Variadic, *op.Clip, *op.Where, *op.Cast, *op.QuantizeLinear, *op.DequantizeLinear, *op.TableU8, *op.FlipSign:
		if ok, err := l.chain(n); ok || err != nil {
			return err
		}
		if ok, err := l.elementwise(n); ok || err != nil {
			return err
		}
	}
	return l.keep(n)
}

// empty reports whether what the node computes on, or an output, has no
// elements. Exporters leave other inputs out by giving empty constants.
func empty(n *graph.Node) bool {
	for _, vs := range [][]*graph.Value{n.In[:min(1, len(n.In))], n.Out} {
		for _, v := range vs {
			if v != nil && v.Type.Shape.Elems() == 0 {
				return true
			}
		}
	}
	return false
}

// order returns the order of axes in which a value lies dense, or would best.
func (l *lowerer) order(v *graph.Value) []int {
	x := l.get(v)
	if len(x.made) > 0 {
		best := x.made[0].perm
		for _, r := range x.made {
			if len(r.perm) == 4 && slices.Equal(r.perm, nhwc) {
				return r.perm
			}
		}
		return best
	}
	if perm, ok := x.view.order(); ok {
		return perm
	}
	if len(v.Type.Shape) == 4 && (v.Type.DType == tensor.Float32 || v.Type.DType == tensor.Uint8) {
		return nhwc
	}
	return identityPerm(len(v.Type.Shape))
}

// leading returns the input that decides the order of axes of an operator:
// the first of the largest that are not constant.
func leading(in []*graph.Value) *graph.Value {
	var best *graph.Value
	for _, v := range in {
		if v == nil || v.Const != nil {
			continue
		}
		if best == nil || v.Type.Shape.Elems() > best.Type.Shape.Elems() {
			best = v
		}
	}
	return best
}

// where returns the position of axis a in perm.
func where(perm []int, a int) int { return slices.Index(perm, a) }

// mapped adds a node whose operator o speaks of axes in the order perm, over
// inputs in that order.
func (l *lowerer) mapped(n *graph.Node, o graph.Op, perm []int, in []*graph.Value) error {
	v, err := l.add(o, n.Type, n.Name, n.Out[0].Name, in...)
	if err != nil {
		return err
	}
	l.made(n.Out[0], v, perm)
	return nil
}

// concat joins its inputs in the order of axes that the largest has.
func (l *lowerer) concat(n *graph.Node, o *op.Concat) error {
	lead := leading(n.In)
	if lead == nil {
		return l.keep(n)
	}
	perm := l.order(lead)
	axis := o.Axis
	if axis < 0 {
		axis += len(perm)
	}
	in := make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		var err error
		if in[i], err = l.realize(l.get(v), perm); err != nil {
			return err
		}
	}
	return l.mapped(n, &op.Concat{Axis: where(perm, axis)}, perm, in)
}

// shortAxis is the length up to which an axis that is reduced had better not
// be the last one in memory.
const shortAxis = 16

// outputOrder returns the order of axes in which an output of the graph that
// is v, or v transposed, has them; nil where v is neither.
func (l *lowerer) outputOrder(v *graph.Value) []int {
	perm := identityPerm(len(v.Type.Shape))
	for !slices.Contains(l.old.Outputs, v) {
		n := l.next[v]
		if l.uses[v] != 1 || dynamic(n) {
			return nil
		}
		t, ok := n.Op.(*op.Transpose)
		if !ok {
			return nil
		}
		p, err := t.Resolve(len(perm))
		if err != nil {
			return nil
		}
		perm, v = permute(perm, p), n.Out[0]
	}
	return perm
}

// softmax normalises along its axis in the order that its input has.
func (l *lowerer) softmax(n *graph.Node, o *op.Softmax) error {
	perm := l.order(n.In[0])
	axis := o.Axis
	if axis < 0 {
		axis += len(perm)
	}
	if len(perm) == 0 || o.Flatten && axis != len(perm)-1 {
		return l.keep(n)
	}
	if want := l.outputOrder(n.Out[0]); want != nil && where(perm, axis) == len(perm)-1 && n.In[0].Type.Shape[axis] <= shortAxis {
		perm = want // vectors run across short rows only after a transpose
	}
	x, err := l.realize(l.get(n.In[0]), perm)
	if err != nil {
		return err
	}
	p := *o
	p.Axis, p.Flatten = where(perm, axis), false
	return l.mapped(n, &p, perm, []*graph.Value{x})
}

// elementwise computes in the order of axes of its largest input; operands
// that broadcast are rearranged likewise.
func (l *lowerer) elementwise(n *graph.Node) (bool, error) {
	out := n.Out[0]
	rank := len(out.Type.Shape)
	lead := leading(n.In)
	if lead == nil || len(n.Out) > 1 || len(lead.Type.Shape) != rank || !lead.Type.Shape.Equal(out.Type.Shape) || legacy(n.Op) {
		return false, nil
	}
	perm := l.order(lead)
	if slices.Equal(perm, identityPerm(rank)) {
		return false, nil
	}
	o := n.Op
	switch q := o.(type) {
	case *op.QuantizeLinear:
		if o = quantAxis(q, perm, n.In); o == nil {
			return false, nil
		}
	case *op.DequantizeLinear:
		if o = dequantAxis(q, perm, n.In); o == nil {
			return false, nil
		}
	}
	in := make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		if v == nil {
			continue
		}
		var err error
		if in[i], err = l.operand(v, perm, o); err != nil {
			return false, err
		}
	}
	return true, l.mapped(n, o, perm, in)
}

// operand arranges an operand that may broadcast against axes in the order
// perm.
func (l *lowerer) operand(v *graph.Value, perm []int, o graph.Op) (*graph.Value, error) {
	x := l.get(v)
	rank := len(v.Type.Shape)
	switch o.(type) {
	case *op.QuantizeLinear, *op.DequantizeLinear, *op.Clip:
		if rank < len(perm) {
			return l.plain(v) // scales, zero points and limits keep their shape
		}
	}
	if rank == len(perm) {
		return l.realize(x, perm)
	}
	if v.Type.Shape.Elems() == 1 {
		return l.plain(v)
	}
	wide := make([]int, len(perm))
	for i := range wide {
		wide[i] = 1
		if at := i - (len(perm) - rank); at >= 0 {
			wide[i] = v.Type.Shape[at]
		}
	}
	w, ok := x.view.reshape(wide)
	if !ok {
		p, err := l.plain(v)
		if err != nil {
			return nil, err
		}
		w, _ = denseView(p).reshape(wide)
	}
	return l.realize(&lowered{from: v, view: w}, perm)
}

// legacy reports an operator with the broadcasting of operator sets before 7.
func legacy(o graph.Op) bool {
	b, ok := o.(*op.Binary)
	return ok && (b.Legacy)
}
