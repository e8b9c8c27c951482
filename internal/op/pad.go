package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// PadMode says what stands outside of a padded tensor.
type PadMode int

// The padding modes.
const (
	PadConstant PadMode = iota // one value, 0 unless given
	PadReflect                 // mirrored at the first and last element, which are not repeated
	PadEdge                    // the nearest element
	PadWrap                    // the other end
)

// Pad adds elements before and after every axis; negative numbers take
// elements away. The numbers are the attribute Begins followed by the ends
// (Amounts, before opset 11) or input 1, for all axes or those of input 3;
// input 2 is the value of the constant mode, or else Value.
type Pad struct {
	Mode    PadMode
	Amounts []int
	Value   *tensor.Tensor // a float32, before opset 11
}

func newPad(n *graph.Node, opset int) (graph.Op, error) {
	p := &Pad{}
	switch mode := n.Attrs.String("mode", "constant"); mode {
	case "constant":
	case "reflect":
		p.Mode = PadReflect
	case "edge":
		p.Mode = PadEdge
	case "wrap":
		p.Mode = PadWrap
	default:
		return nil, fmt.Errorf("mode %q: %w", mode, ErrUnsupported)
	}
	if opset < 11 {
		name := "pads"
		if opset < 2 {
			name = "paddings"
		}
		if p.Amounts = n.Attrs.Ints(name); p.Amounts == nil {
			return nil, fmt.Errorf("attribute %s is missing: %w", name, ErrShape)
		}
		p.Value = tensor.From(tensor.Float32, []float32{n.Attrs.Float("value", 0)})
	}
	return p, nil
}

// padding holds the elements added before and after each axis.
type padding struct{ before, after [tensor.MaxRank]int }

// amounts resolves the padding of a shape; in holds the contents of inputs 1
// and up.
func (p *Pad) amounts(shape tensor.Shape, in []*tensor.Tensor) (pad padding, err error) {
	list, axes := integers{p.Amounts, opt(in, 1)}, integers{nil, opt(in, 3)}
	n := len(shape)
	if axes.t != nil {
		n = axes.len()
	}
	if list.len() != 2*n {
		return pad, fmt.Errorf("%d pads for %d axes: %w", list.len(), n, ErrShape)
	}
	if axes.t != nil {
		if _, err := axesSet(axes, len(shape)); err != nil {
			return pad, err
		}
	}
	for i := range n {
		a, before, after := i, list.at(i), list.at(n+i)
		if axes.t != nil {
			a, _ = axis(axes.at(i), len(shape))
		}
		if min(before, after) < -sizeLimit || max(before, after) > sizeLimit/2-1 {
			return pad, fmt.Errorf("pads %d and %d of axis %d are out of range: %w", before, after, a, ErrShape)
		}
		pad.before[a], pad.after[a] = before, after
	}
	return pad, nil
}

// Pads returns the elements added before every axis of input 0, followed by
// those added after.
func (p *Pad) Pads(in []*graph.Value) ([]int, error) {
	most := 4
	if p.Amounts != nil {
		most = 1
	}
	if err := args(in, 1, most); err != nil {
		return nil, err
	}
	if p.Amounts == nil && opt(in, 1) == nil {
		return nil, fmt.Errorf("the pads are missing: %w", ErrShape)
	}
	lists := make([]*tensor.Tensor, len(in))
	for _, i := range []int{1, 3} {
		if opt(in, i) == nil {
			continue
		}
		err := intInput(in, i)
		if err == nil {
			lists[i], err = known(in, i)
		}
		if err != nil {
			return nil, err
		}
	}
	rank := len(in[0].Type.Shape)
	pad, err := p.amounts(in[0].Type.Shape, lists)
	return append(pad.before[:rank:rank], pad.after[:rank]...), err
}

// Infer implements graph.Op.
func (p *Pad) Infer(in []*graph.Value) ([]tensor.Type, error) {
	pads, err := p.Pads(in)
	if err != nil {
		return nil, err
	}
	t := in[0].Type
	if v := opt(in, 2); v != nil && (v.Type.DType != t.DType || v.Type.Shape.Elems() != 1) {
		return nil, fmt.Errorf("constant value is %v for %v: %w", v.Type, t, ErrShape)
	}
	if p.Value != nil && !t.DType.IsFloat() && p.Value.F32()[0] != 0 {
		return nil, fmt.Errorf("value %g for %v: %w", p.Value.F32()[0], t, ErrUnsupported)
	}
	out := t.Shape.Clone()
	for a, d := range t.Shape {
		before, after := pads[a], pads[len(out)+a]
		kept := d + min(before, 0) + min(after, 0)
		if out[a] = d + before + after; kept < 0 || out[a] < 0 {
			return nil, fmt.Errorf("pads %d and %d leave nothing of axis %d of %v: %w", before, after, a, t, ErrShape)
		}
		if kept == 0 && out[a] > 0 && p.Mode != PadConstant {
			return nil, fmt.Errorf("axis %d of %v has no elements to pad with: %w", a, t, ErrShape)
		}
	}
	return typed(t.DType, out)
}

// Pitched allows both.
func (p *Pad) Pitched() (in, out bool) { return true, true }

// value returns the element that the constant mode pads with.
func (p *Pad) value(in []*tensor.Tensor, zero *tensor.Tensor) *tensor.Tensor {
	if v := opt(in, 2); v != nil {
		return v
	}
	if p.Value != nil {
		zero.SetFloat(0, float64(p.Value.F32()[0]))
	}
	return zero
}

// Eval implements Evaluator.
func (p *Pad) Eval(in, out []*tensor.Tensor) error {
	pad, err := p.amounts(in[0].Shape, in)
	if err != nil {
		return err
	}
	b := border{in: in[0], out: out[0], mode: p.Mode, pad: pad}
	var word [1]uint64
	b.value = p.value(in, wordTensor(in[0].DType, &word))
	b.eval()
	return nil
}

// Prepare makes a step for the elements that stay and one for the border of
// each axis.
func (p *Pad) Prepare(env *Env) ([]Step, error) {
	if !settled(env) {
		return nil, nil
	}
	pad, err := p.amounts(env.In[0].Shape, env.In)
	if err != nil {
		return nil, err
	}
	b := border{in: env.In[0], out: env.Out[0], mode: p.Mode, pad: pad}
	b.value = p.value(env.In, wordTensor(env.In[0].DType, new([1]uint64)))
	return b.steps(), nil
}

// CenterCropPad crops or zero-pads each of Axes (all where nil) around its
// centre to the extents in input 1. The smaller half comes first.
type CenterCropPad struct{ Axes []int }

func newCenterCropPad(n *graph.Node, _ int) (graph.Op, error) {
	return &CenterCropPad{Axes: n.Attrs.Ints("axes")}, nil
}

// Infer implements graph.Op.
func (c *CenterCropPad) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	if err := intInput(in, 1); err != nil {
		return nil, err
	}
	lists, err := contents(in, 1)
	if err != nil {
		return nil, err
	}
	out, want := in[0].Type.Shape.Clone(), integers{t: lists[1]}
	axes := integers{attr: c.Axes}
	if _, err := axesSet(axes, len(out)); err != nil {
		return nil, err
	}
	if n := axes.len(); c.Axes != nil && want.len() != n || c.Axes == nil && want.len() != len(out) {
		return nil, fmt.Errorf("%d extents for %v and axes %v: %w", want.len(), out, c.Axes, ErrShape)
	}
	for i := range want.len() {
		a := i
		if c.Axes != nil {
			a, _ = axis(c.Axes[i], len(out))
		}
		out[a] = want.at(i)
	}
	return typed(in[0].Type.DType, out)
}

// Pitched allows both.
func (c *CenterCropPad) Pitched() (in, out bool) { return true, true }

func (c *CenterCropPad) border(in, out *tensor.Tensor, zero *[1]uint64) border {
	b := border{in: in, out: out, value: wordTensor(in.DType, zero)}
	for a, d := range in.Shape {
		if more := out.Shape[a] - d; more >= 0 {
			b.pad.before[a], b.pad.after[a] = more/2, more-more/2
		} else {
			b.pad.before[a], b.pad.after[a] = -(-more / 2), more+(-more/2)
		}
	}
	return b
}

// Eval implements Evaluator.
func (c *CenterCropPad) Eval(in, out []*tensor.Tensor) error {
	var zero [1]uint64
	b := c.border(in[0], out[0], &zero)
	b.eval()
	return nil
}

// Prepare makes a step for the elements that stay and one for the border of
// each axis.
func (c *CenterCropPad) Prepare(env *Env) ([]Step, error) {
	b := c.border(env.In[0], env.Out[0], new([1]uint64))
	return b.steps(), nil
}

// border copies a tensor into a larger or smaller one and fills what is
// outside of it, axis by axis.
type border struct {
	in, out *tensor.Tensor
	value   *tensor.Tensor // one element
	mode    PadMode
	pad     padding
}

// inner copies the elements that stay.
func (b *border) inner() move {
	var m move
	to, from := stridesOf(b.out), stridesOf(b.in)
	for a := range b.out.Shape {
		n, first := b.kept(a)
		m.add(n, to[a], from[a])
		m.dstOff += first * to[a]
		m.srcOff -= min(b.pad.before[a], 0) * from[a]
	}
	return m
}

// kept returns how many elements of an axis stay, and where the first of them
// is in the output.
func (b *border) kept(a int) (n, first int) {
	return b.in.Shape[a] + min(b.pad.before[a], 0) + min(b.pad.after[a], 0), max(b.pad.before[a], 0)
}

// slabs returns how many moves fill the border of an axis.
func (b *border) slabs(a int) int {
	if b.mode == PadConstant {
		return 2
	}
	return max(b.pad.before[a], 0) + max(b.pad.after[a], 0)
}

// slab returns move i of those that fill the border of axis at: axes before
// it have their border already, those after it get theirs later. In constant
// mode it reads value, otherwise the output itself.
func (b *border) slab(at, i int) move {
	n, first := b.kept(at)
	before, after := first, max(b.pad.after[at], 0)
	var dst, src, run int
	switch {
	case b.mode == PadConstant && i == 0:
		run = before
	case b.mode == PadConstant:
		dst, run = before+n, after
	default:
		if dst, run = i, 1; i >= before {
			dst += n
		}
		src = first + b.mode.index(dst-first, n)
	}
	m, to := move{}, stridesOf(b.out)
	for a, e := range b.out.Shape {
		switch {
		case a == at:
			e = run
			m.dstOff += dst * to[a]
			m.srcOff += src * to[a]
		case a > at:
			kept, first := b.kept(a)
			e = kept
			m.dstOff += first * to[a]
			m.srcOff += first * to[a]
		}
		m.add(e, to[a], to[a])
	}
	if b.mode == PadConstant {
		m.srcOff, m.src = 0, [moveAxes]int{}
	}
	return m
}

// index maps position i, outside of n elements, to the one that stands there.
func (m PadMode) index(i, n int) int {
	switch {
	case m == PadEdge || n == 1:
		return min(max(i, 0), n-1)
	case m == PadWrap:
		return (i%n + n) % n
	}
	period := 2 * (n - 1)
	i = (i%period + period) % period
	return min(i, period-i)
}

func (b *border) eval() {
	m := b.inner()
	m.run(b.out, b.in)
	for a := range b.out.Shape {
		for i := range b.slabs(a) {
			m := b.slab(a, i)
			m.run(b.out, b.from())
		}
	}
}

// from is what slabs read.
func (b *border) from() *tensor.Tensor {
	if b.mode == PadConstant {
		return b.value
	}
	return b.out
}

func (b *border) steps() []Step {
	jobs := []moveJob{{move: b.inner(), dst: b.out, src: b.in}}
	var steps []Step
	for a := range b.out.Shape {
		if b.mode != PadConstant { // which has no order to keep
			steps, jobs = append(steps, moveStep(jobs)), nil
		}
		for i := range b.slabs(a) {
			jobs = append(jobs, moveJob{move: b.slab(a, i), dst: b.out, src: b.from()})
		}
	}
	steps = append(steps, moveStep(jobs))
	kept := steps[:0]
	for _, s := range steps {
		if s.Tiles > 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

// wordTensor views a word as a tensor of one element.
func wordTensor(d tensor.DType, w *[1]uint64) *tensor.Tensor {
	return &tensor.Tensor{DType: d, Shape: tensor.Shape{}, Data: wordBytes(w)}
}
