// Package pass rewrites graphs: Bind fixes shapes and folds constants,
// Simplify fuses and removes portable nodes, Lower turns the result into the
// machine form that package engine runs.
//
// Every pass builds a new graph and leaves the old one as it was. The package
// plans no memory and runs nothing but constants.
package pass

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ErrInput is wrapped by errors about input names, types and shapes that do
// not fit a model.
var ErrInput = errors.New("input does not fit the model")

// defaultLimit bounds the folded constants of a model.
const defaultLimit = 1 << 30

// boundLimit is how many elements of a dynamic value are tracked as a shape.
const boundLimit = 64

// Options fixes what a file leaves open. The zero value serves a model whose
// input shapes are all fixed.
type Options struct {
	// Shapes gives the shape of inputs, by name. It may replace only
	// symbolic extents.
	Shapes map[string][]int
	// Values gives contents of inputs, by name. They fix shapes as Shapes
	// does; and an input whose contents decide a shape becomes part of the
	// plan, so that another value needs another plan.
	Values map[string]*tensor.Tensor
	// Limit is the size in bytes that the folded constants may reach together;
	// 0: 1 GiB.
	Limit int
}

// Problem is one node that cannot run, and why.
type Problem struct {
	Node string `json:"node"`
	Op   string `json:"op"`
	Why  string `json:"why"`
}

// UnsupportedError lists everything in a model that edgecam does not run. It
// wraps op.ErrUnsupported.
type UnsupportedError struct{ Problems []Problem }

// Error lists every node.
func (e *UnsupportedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the model uses %d nodes that edgecam does not support:", len(e.Problems))
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  node %q: %s", p.Node, p.Why)
	}
	return b.String()
}

// Unwrap returns op.ErrUnsupported.
func (e *UnsupportedError) Unwrap() error { return op.ErrUnsupported }

// Unsupported lists the nodes of a portable graph that edgecam cannot
// resolve, all at once.
func Unsupported(g *graph.Graph) []Problem {
	var ps []Problem
	for _, n := range g.Nodes {
		if _, err := op.Resolve(n, g.Opset(n.Domain)); err != nil {
			name := n.Domain
			if name != "" {
				name += "."
			}
			ps = append(ps, Problem{label(n), name + n.Type, err.Error()})
		}
	}
	return ps
}

// label returns the node's name or else the name of its first output.
func label(n *graph.Node) string {
	if n.Name != "" {
		return n.Name
	}
	for _, v := range n.Out {
		if v != nil {
			return v.Name
		}
	}
	return ""
}

// Bind makes the bound form of a portable graph: operators resolved, input
// shapes fixed, every value typed, everything that does not depend on the
// inputs folded into constants, and nodes that no output needs left out.
func Bind(g *graph.Graph, o Options) (*graph.Graph, error) {
	if ps := Unsupported(g); len(ps) > 0 {
		return nil, &UnsupportedError{ps}
	}
	if o.Limit <= 0 {
		o.Limit = defaultLimit
	}
	for name := range o.Shapes {
		if !slices.ContainsFunc(g.Inputs, func(v *graph.Value) bool { return v.Name == name }) {
			return nil, fmt.Errorf("shape for %q: the model has no such input, it has %s: %w", name, inputNames(g), ErrInput)
		}
	}
	planned := map[*graph.Value]bool{}
	for {
		b := binder{old: g, opt: o, planned: planned, values: map[*graph.Value]*graph.Value{}}
		out, err := b.bind()
		if !errors.Is(err, op.ErrNeedValue) {
			return out, err
		}
		// A shape depends on contents. If these come from inputs whose values
		// are at hand, they become part of the plan.
		before := len(planned)
		for _, v := range b.failed.In {
			plannedSources(v, planned, o.Values)
		}
		if len(planned) == before {
			return nil, fmt.Errorf("%w: give the values of the inputs it comes from", err)
		}
	}
}

// plannedSources adds the inputs with known values that v is computed from.
func plannedSources(v *graph.Value, planned map[*graph.Value]bool, values map[string]*tensor.Tensor) {
	seen := map[*graph.Value]bool{}
	var walk func(*graph.Value)
	walk = func(v *graph.Value) {
		if v == nil || seen[v] {
			return
		}
		seen[v] = true
		if v.Node == nil {
			if t := values[v.Name]; t != nil && v.Const == nil && !t.DType.IsFloat() {
				planned[v] = true
			}
			return
		}
		for _, u := range v.Node.In {
			walk(u)
		}
	}
	if v != nil && v.Node == nil && values[v.Name] != nil {
		planned[v] = true // the shape itself may even be a float: Resize scales
		return
	}
	walk(v)
}

func inputNames(g *graph.Graph) string {
	var names []string
	for _, v := range g.Inputs {
		if v.Const == nil {
			names = append(names, fmt.Sprintf("%q %s", v.Name, declared(v)))
		}
	}
	return strings.Join(names, ", ")
}

// declared prints the type of an input as the file declares it, with the
// names of symbolic extents.
func declared(v *graph.Value) string {
	if v.Untyped {
		return v.Type.DType.String()
	}
	ds := make([]string, len(v.Type.Shape))
	for i, d := range v.Type.Shape {
		ds[i] = fmt.Sprint(d)
		if d < 0 {
			ds[i] = "?"
			if i < len(v.Dims) && v.Dims[i] != "" {
				ds[i] = v.Dims[i]
			}
		}
	}
	return fmt.Sprintf("%v[%s]", v.Type.DType, strings.Join(ds, "x"))
}

// binder carries the state of one Bind.
type binder struct {
	old     *graph.Graph
	new     *graph.Graph
	opt     Options
	planned map[*graph.Value]bool
	values  map[*graph.Value]*graph.Value // old to new
	failed  *graph.Node                   // the old node an error is about
	folded  int                           // bytes of the constants computed so far
	weights map[*graph.Value]bool         // used as weights or bias of products, and as nothing else
}

func (b *binder) bind() (*graph.Graph, error) {
	old := b.old
	b.new = &graph.Graph{Name: old.Name, Opsets: old.Opsets, Metadata: old.Metadata}
	for _, v := range old.Inits {
		b.values[v] = graph.NewConst(v.Name, v.Const)
	}
	symbols := b.symbols()
	for _, v := range old.Inputs {
		if v.Const != nil {
			// An initializer listed as an input is a constant, unless a value
			// for it is given.
			if t := b.opt.Values[v.Name]; t != nil {
				if t.DType != v.Const.DType || !t.Shape.Equal(v.Const.Shape) {
					return nil, fmt.Errorf("input %q is %v, the model wants %v: %w", v.Name, t.Type(), v.Const.Type(), ErrInput)
				}
				b.values[v] = graph.NewConst(v.Name, t)
			} else {
				b.values[v] = graph.NewConst(v.Name, v.Const)
			}
			continue
		}
		if err := b.input(v, symbols); err != nil {
			return nil, err
		}
	}
	b.weights = weightsOf(old)
	for _, n := range needed(old) {
		if err := b.node(n); err != nil {
			b.failed = n
			return nil, err
		}
	}
	for _, v := range old.Outputs {
		nv := b.values[v]
		if nv == nil {
			return nil, fmt.Errorf("output %q is not computed by any node", v.Name)
		}
		// An output keeps its name even where it is a constant, an input, or
		// the same value as another output.
		if nv.Name != v.Name || nv.Node == nil && nv.Const == nil || slices.Contains(b.new.Outputs, nv) {
			if nv.Const != nil {
				nv = graph.NewConst(v.Name, nv.Const)
			} else {
				outs, err := b.new.Add(&op.Identity{}, graph.Node{Name: v.Name, Type: "Identity", In: []*graph.Value{nv}}, v.Name)
				if err != nil {
					return nil, err
				}
				nv = outs[0]
			}
		}
		b.new.Outputs = append(b.new.Outputs, nv)
	}
	return b.new, nil
}

// wanted returns the shape that the caller gives an input, or nil.
func (b *binder) wanted(v *graph.Value) []int {
	if s, ok := b.opt.Shapes[v.Name]; ok {
		return s
	}
	if t := b.opt.Values[v.Name]; t != nil {
		return t.Shape
	}
	return nil
}

// symbols returns the extents that the given shapes assign to names, which
// then hold for the other inputs, too.
func (b *binder) symbols() map[string]int {
	named := map[string]int{}
	for _, v := range b.old.Inputs {
		want := b.wanted(v)
		for i, name := range v.Dims {
			if _, known := named[name]; !known && name != "" && len(want) == len(v.Dims) {
				named[name] = want[i]
			}
		}
	}
	return named
}

// input fixes the shape of one input.
func (b *binder) input(v *graph.Value, symbols map[string]int) error {
	t := tensor.Type{DType: v.Type.DType, Shape: v.Type.Shape.Clone()}
	want, given := b.wanted(v), b.opt.Values[v.Name]
	if given != nil && given.DType != t.DType {
		return fmt.Errorf("input %q is %v, the model wants %s: %w", v.Name, given.Type(), declared(v), ErrInput)
	}
	switch {
	case v.Untyped && want == nil:
		return fmt.Errorf("input %q declares no shape: give one with --shape %s=...: %w", v.Name, v.Name, ErrInput)
	case v.Untyped:
		t.Shape = tensor.Shape(want).Clone()
	case want != nil && len(want) != len(t.Shape):
		return fmt.Errorf("input %q of shape %v, the model wants %s: %w", v.Name, tensor.Shape(want), declared(v), ErrInput)
	}
	for i, d := range t.Shape {
		symbol := ""
		if i < len(v.Dims) {
			symbol = v.Dims[i]
		}
		switch {
		case want != nil && want[i] < 0:
			return fmt.Errorf("input %q: negative extent in shape %v: %w", v.Name, want, ErrInput)
		case want != nil && d >= 0 && want[i] != d:
			return fmt.Errorf("input %q of shape %v, the model wants %s: %w", v.Name, tensor.Shape(want), declared(v), ErrInput)
		case want != nil:
			t.Shape[i] = want[i]
		case d < 0 && symbols[symbol] > 0 && symbol != "":
			t.Shape[i] = symbols[symbol]
		case d < 0 && i == 0:
			t.Shape[i] = 1 // the batch
		case d < 0:
			return fmt.Errorf("input %q is %s: give its size, as in --shape %s=1x3x320x320: %w", v.Name, declared(v), v.Name, ErrInput)
		}
		if symbol != "" && d < 0 {
			if n, ok := symbols[symbol]; ok && n != t.Shape[i] {
				return fmt.Errorf("input %q: extent %s is %d here and %d elsewhere: %w", v.Name, symbol, t.Shape[i], n, ErrInput)
			}
			symbols[symbol] = t.Shape[i]
		}
	}
	if err := t.Shape.Check(t.DType, b.opt.Limit); err != nil {
		return fmt.Errorf("input %q: %w: %w", v.Name, err, ErrInput)
	}
	if given != nil && !given.Shape.Equal(t.Shape) {
		return fmt.Errorf("input %q: the value is %v, the shape asked for %v: %w", v.Name, given.Type(), t.Shape, ErrInput)
	}
	nv := &graph.Value{Name: v.Name, Type: t, Dims: v.Dims}
	b.new.Inputs = append(b.new.Inputs, nv)
	b.values[v] = nv
	if b.planned[v] {
		nv.Bound = given // marks the input as part of the plan
		b.values[v] = graph.NewConst(v.Name, given)
	}
	return nil
}

// needed lists the nodes that outputs depend on, in order.
func needed(g *graph.Graph) []*graph.Node {
	want := map[*graph.Node]bool{}
	for _, v := range g.Outputs {
		want[v.Node] = true
	}
	var nodes []*graph.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !want[n] {
			continue
		}
		nodes = append(nodes, n)
		for _, v := range n.In {
			if v != nil {
				want[v.Node] = true
			}
		}
	}
	slices.Reverse(nodes)
	return nodes
}

// node resolves, folds or adds one node.
func (b *binder) node(n *graph.Node) error {
	o, err := op.Resolve(n, b.old.Opset(n.Domain))
	if err != nil {
		return fmt.Errorf("node %s: %w", n.Label(), err)
	}
	in := make([]*graph.Value, len(n.In))
	constant := true
	for i, v := range n.In {
		if v == nil {
			continue
		}
		if in[i] = b.values[v]; in[i] == nil {
			return fmt.Errorf("node %s: input %q is not computed by any node", n.Label(), v.Name)
		}
		constant = constant && in[i].Const != nil
	}
	names := make([]string, len(n.Out))
	for i, v := range n.Out {
		if v != nil {
			names[i] = v.Name
		}
	}
	if len(names) > 0 && names[0] == "" {
		names[0] = label(n) + "/unused" // operators rely on their first output
	}
	// A scratch graph types the outputs, whether the node stays or folds.
	outs, err := b.new.Add(o, graph.Node{Name: n.Name, Domain: n.Domain, Type: n.Type, Attrs: n.Attrs, In: in}, names...)
	if err != nil {
		return err
	}
	for i, v := range outs {
		if v == nil {
			continue
		}
		if n.Out[i] != nil {
			b.values[n.Out[i]] = v
		}
		if err := v.Type.Shape.Check(v.Type.DType, b.opt.Limit); err != nil {
			return fmt.Errorf("node %s: output %q: %w", n.Label(), v.Name, err)
		}
	}
	last := len(b.new.Nodes) - 1
	added := b.new.Nodes[last]
	if alias := identity(o, in); alias != nil {
		b.new.Nodes = b.new.Nodes[:last]
		if n.Out[0] != nil {
			b.values[n.Out[0]] = alias
		}
		return nil
	}
	switch {
	case constant && b.integerWeights(o, n, in):
	case constant || shapeOnly(o) && !in[0].Dynamic:
		b.new.Nodes = b.new.Nodes[:last]
		for _, v := range outs {
			if v != nil {
				v.Dynamic = false
			}
		}
		return b.fold(added, outs)
	case slices.ContainsFunc(outs, func(v *graph.Value) bool { return v != nil && v.Dynamic }):
		b.trackBound(added, outs)
	}
	return nil
}

// weightsOf returns the values that serve as weights or bias of convolutions and
// matrix products only.
func weightsOf(g *graph.Graph) map[*graph.Value]bool {
	w := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		product := n.Type == "Conv" || n.Type == "Gemm" || n.Type == "MatMul" || n.Type == "ConvTranspose"
		for i, v := range n.In {
			if known, seen := w[v]; v != nil {
				w[v] = product && i > 0 && (known || !seen)
			}
		}
	}
	for _, v := range g.Outputs {
		w[v] = false
	}
	return w
}

// integerWeights reports a node that makes real numbers of integer weights:
// lowering wants them as they are in the file, and folds the node otherwise.
func (b *binder) integerWeights(o graph.Op, n *graph.Node, in []*graph.Value) bool {
	d, ok := o.(*op.DequantizeLinear)
	if !ok || d.Block != 0 || n.Out[0] == nil || !b.weights[n.Out[0]] {
		return false
	}
	switch in[0].Type.DType {
	case tensor.Int8, tensor.Uint8, tensor.Int32:
		return true
	}
	return false
}

// identity returns the input that a node passes on unchanged, or nil.
func identity(o graph.Op, in []*graph.Value) *graph.Value {
	if _, ok := o.(*op.Identity); ok {
		return in[0]
	}
	return nil
}

// shapeOnly reports whether an operator reads only its input's shape.
func shapeOnly(o graph.Op) bool {
	switch o.(type) {
	case *op.Shape, *op.Size:
		return true
	}
	return false
}

// fold evaluates a node whose inputs are constants.
func (b *binder) fold(n *graph.Node, outs []*graph.Value) error {
	in := make([]*tensor.Tensor, len(n.In))
	for i, v := range n.In {
		if v == nil {
			continue
		}
		if in[i] = v.Const; in[i] == nil {
			in[i] = &tensor.Tensor{DType: v.Type.DType, Shape: v.Type.Shape}
		}
	}
	for _, v := range outs {
		if v != nil {
			b.folded += v.Type.Bytes()
		}
	}
	if b.folded > b.opt.Limit {
		return fmt.Errorf("node %s: the constants computed up to here take more than the limit of %d MiB: %w", n.Label(), b.opt.Limit>>20, tensor.ErrMemory)
	}
	ts, err := eval(n, in, outs)
	if err != nil {
		return err
	}
	for i, v := range outs {
		if v != nil {
			v.Const, v.Node = ts[i], nil
			v.Type = ts[i].Type()
		}
	}
	return nil
}

// eval computes a node into new tensors.
func eval(n *graph.Node, in []*tensor.Tensor, outs []*graph.Value) ([]*tensor.Tensor, error) {
	e, ok := n.Op.(op.Evaluator)
	if !ok {
		return nil, fmt.Errorf("node %s: %w", n.Label(), op.ErrUnsupported)
	}
	ts := make([]*tensor.Tensor, len(outs))
	for i, v := range outs {
		if v != nil {
			ts[i] = tensor.New(v.Type.DType, v.Type.Shape...)
		}
	}
	if err := e.Eval(in, ts); err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Label(), err)
	}
	return ts, nil
}

// trackBound computes what small outputs of a dynamic node hold when all
// extents are at their upper bounds, so that shapes computed from them can be
// planned.
func (b *binder) trackBound(n *graph.Node, outs []*graph.Value) {
	in := make([]*tensor.Tensor, len(n.In))
	for i, v := range n.In {
		switch {
		case v == nil:
		case v.Known() != nil:
			in[i] = v.Known()
		case shapeOnly(n.Op):
			in[i] = &tensor.Tensor{DType: v.Type.DType, Shape: v.Type.Shape}
		default:
			return
		}
	}
	for _, v := range outs {
		if v != nil && v.Type.Shape.Elems() > boundLimit {
			return
		}
	}
	ts, err := eval(n, in, outs)
	if err != nil {
		return
	}
	for i, v := range outs {
		if v != nil {
			v.Bound = ts[i]
		}
	}
}
