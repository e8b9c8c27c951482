package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Transpose permutes axes: axis a of the output is axis Perm[a] of the input.
// A nil Perm reverses them.
type Transpose struct{ Perm []int }

func newTranspose(n *graph.Node, _ int) (graph.Op, error) {
	return &Transpose{Perm: n.Attrs.Ints("perm")}, nil
}

// Resolve returns the permutation for a rank.
func (t *Transpose) Resolve(rank int) ([]int, error) {
	if t.Perm == nil {
		perm := make([]int, rank)
		for i := range perm {
			perm[i] = rank - 1 - i
		}
		return perm, nil
	}
	if len(t.Perm) != rank {
		return nil, fmt.Errorf("perm %v for rank %d: %w", t.Perm, rank, ErrShape)
	}
	if _, err := axesSet(integers{attr: t.Perm}, rank); err != nil {
		return nil, fmt.Errorf("perm %v: %w", t.Perm, err)
	}
	perm := make([]int, rank)
	for i, p := range t.Perm {
		perm[i], _ = axis(p, rank)
	}
	return perm, nil
}

// Infer implements graph.Op.
func (t *Transpose) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	s := in[0].Type.Shape
	perm, err := t.Resolve(len(s))
	if err != nil {
		return nil, err
	}
	out := make(tensor.Shape, len(s))
	for i, p := range perm {
		out[i] = s[p]
	}
	return typed(in[0].Type.DType, out)
}

// Pitched allows both.
func (t *Transpose) Pitched() (in, out bool) { return true, true }

func (t *Transpose) move(in, out *tensor.Tensor) move {
	m, to, from := move{}, stridesOf(out), stridesOf(in)
	for a, e := range out.Shape {
		p := len(out.Shape) - 1 - a
		if t.Perm != nil {
			p, _ = axis(t.Perm[a], len(out.Shape))
		}
		m.add(e, to[a], from[p])
	}
	return m
}

// Eval implements Evaluator.
func (t *Transpose) Eval(in, out []*tensor.Tensor) error {
	m := t.move(in[0], out[0])
	m.run(out[0], in[0])
	return nil
}

// Prepare cuts the copy into tiles.
func (t *Transpose) Prepare(env *Env) ([]Step, error) {
	return moveSteps(env, t.move(env.In[0], env.Out[0])), nil
}

// DepthToSpace moves channels of [N, C, H, W] into blocks of Block x Block
// pixels. Channels are ordered (block row, block column, channel), or with CRD
// (channel, block row, block column).
type DepthToSpace struct {
	Block int
	CRD   bool
}

func newDepthToSpace(n *graph.Node, _ int) (graph.Op, error) {
	block, crd, err := blockAttrs(n)
	return &DepthToSpace{block, crd}, err
}

func blockAttrs(n *graph.Node) (block int, crd bool, err error) {
	block = n.Attrs.Int("blocksize", 0)
	if block < 1 || block > 1<<15 {
		return 0, false, fmt.Errorf("blocksize is %d, want 1 or more: %w", block, ErrShape)
	}
	switch mode := n.Attrs.String("mode", "DCR"); mode {
	case "DCR":
		return block, false, nil
	case "CRD":
		return block, true, nil
	default:
		return 0, false, fmt.Errorf("mode %q: %w", mode, ErrUnsupported)
	}
}

// Infer implements graph.Op.
func (d *DepthToSpace) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	s, b := in[0].Type.Shape, d.Block
	if len(s) != 4 || s[1]%(b*b) != 0 {
		return nil, fmt.Errorf("%v has no channels for blocks of %dx%d: %w", s, b, b, ErrShape)
	}
	return typed(in[0].Type.DType, tensor.Shape{s[0], s[1] / (b * b), satMul(s[2], b), satMul(s[3], b)})
}

// Pitched allows both.
func (d *DepthToSpace) Pitched() (in, out bool) { return true, true }

func (d *DepthToSpace) move(in, out *tensor.Tensor) move {
	return blockMove(in, out, d.Block, d.CRD, false)
}

// Eval implements Evaluator.
func (d *DepthToSpace) Eval(in, out []*tensor.Tensor) error {
	m := d.move(in[0], out[0])
	m.run(out[0], in[0])
	return nil
}

// Prepare cuts the copy into tiles.
func (d *DepthToSpace) Prepare(env *Env) ([]Step, error) {
	return moveSteps(env, d.move(env.In[0], env.Out[0])), nil
}

// SpaceToDepth moves blocks of Block x Block pixels of [N, C, H, W] into
// channels, in the order of DepthToSpace.
type SpaceToDepth struct {
	Block int
	CRD   bool
}

func newSpaceToDepth(n *graph.Node, _ int) (graph.Op, error) {
	block, crd, err := blockAttrs(n)
	return &SpaceToDepth{block, crd}, err
}

// Infer implements graph.Op.
func (d *SpaceToDepth) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	s, b := in[0].Type.Shape, d.Block
	if len(s) != 4 || s[2]%b != 0 || s[3]%b != 0 {
		return nil, fmt.Errorf("%v does not divide into blocks of %dx%d pixels: %w", s, b, b, ErrShape)
	}
	return typed(in[0].Type.DType, tensor.Shape{s[0], satMul(s[1], b*b), s[2] / b, s[3] / b})
}

// Pitched allows both.
func (d *SpaceToDepth) Pitched() (in, out bool) { return true, true }

func (d *SpaceToDepth) move(in, out *tensor.Tensor) move {
	return blockMove(out, in, d.Block, d.CRD, true)
}

// Eval implements Evaluator.
func (d *SpaceToDepth) Eval(in, out []*tensor.Tensor) error {
	m := d.move(in[0], out[0])
	m.run(out[0], in[0])
	return nil
}

// Prepare cuts the copy into tiles.
func (d *SpaceToDepth) Prepare(env *Env) ([]Step, error) {
	return moveSteps(env, d.move(env.In[0], env.Out[0])), nil
}

// blockMove copies between a tensor with blocks in its channels and one with
// blocks in its pixels; toDepth writes the former.
func blockMove(deep, flat *tensor.Tensor, b int, crd, toDepth bool) move {
	ds, fs := stridesOf(deep), stridesOf(flat)
	c := flat.Shape[1]
	// Strides of channel, block row and block column among the deep channels.
	ch, row, col := ds[1], c*b*ds[1], c*ds[1]
	if crd {
		ch, row, col = b*b*ds[1], b*ds[1], ds[1]
	}
	axes := [6]struct{ ext, flat, deep int }{
		{flat.Shape[0], fs[0], ds[0]},
		{c, fs[1], ch},
		{deep.Shape[2], b * fs[2], ds[2]},
		{b, fs[2], row},
		{deep.Shape[3], b * fs[3], ds[3]},
		{b, fs[3], col},
	}
	var m move
	if !toDepth {
		for _, a := range axes {
			m.add(a.ext, a.flat, a.deep)
		}
		return m
	}
	order := [6]int{0, 3, 5, 1, 2, 4}
	if crd {
		order = [6]int{0, 1, 3, 5, 2, 4}
	}
	for _, i := range order {
		m.add(axes[i].ext, axes[i].deep, axes[i].flat)
	}
	return m
}
