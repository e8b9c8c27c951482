package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// GroupNormNHWC is the machine form of instance and group normalisation:
// channels-last input and output, the activation fused.
//
//	y = act((x - mean) / √(variance + Epsilon) · scale[c] + bias[c])
//
// with the mean and variance of a group of C/Groups neighbouring channels of
// one image. Inputs: x [N,H,W,C], scale [C], bias [C].
type GroupNormNHWC struct {
	Epsilon float32
	Groups  int
	Act     Act
}

// Infer implements graph.Op.
func (g *GroupNormNHWC) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 3, 3); err != nil {
		return nil, err
	}
	x := in[0].Type
	if len(x.Shape) != 4 || x.DType != tensor.Float32 || g.Groups < 1 || x.Shape[3]%g.Groups != 0 || x.Shape.Elems() == 0 {
		return nil, fmt.Errorf("GroupNormNHWC of %v in %d groups: %w", x, g.Groups, ErrShape)
	}
	for _, v := range in[1:] {
		if v.Type.DType != x.DType || v.Type.Shape.Elems() != x.Shape[3] {
			return nil, fmt.Errorf("%q is %v, want one element for each of %d channels: %w", v.Name, v.Type, x.Shape[3], ErrShape)
		}
	}
	return []tensor.Type{x}, nil
}

// InPlace implements InPlacer.
func (g *GroupNormNHWC) InPlace() []int { return []int{0} }

// Eval implements Evaluator: the definition.
func (g *GroupNormNHWC) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0].F32(), out[0].F32()
	s := in[0].Shape
	hw, c := s[1]*s[2], s[3]
	per := c / g.Groups
	for at := 0; at < len(x); at += hw * c {
		for from := 0; from < c; from += per {
			each := func(f func(i, ch int)) {
				for p := range hw {
					for ch := from; ch < from+per; ch++ {
						f(at+p*c+ch, ch)
					}
				}
			}
			var mean, variance float64
			each(func(i, _ int) { mean += float64(x[i]) / float64(hw*per) })
			each(func(i, _ int) {
				d := float64(x[i]) - mean
				variance += d * d / float64(hw*per)
			})
			inv := 1 / math.Sqrt(variance+float64(g.Epsilon))
			each(func(i, ch int) {
				y[i] = float32(g.Act.eval((float64(x[i])-mean)*inv*in[1].Float(ch)+in[2].Float(ch), ch))
			})
		}
	}
	return nil
}

// groupNorm is a prepared GroupNormNHWC. Statistics are taken block by block,
// while a block is in the cache, and then put together, so that they do not
// depend on the number of workers. Short rows are handled several at a time.
type groupNorm struct {
	*GroupNormNHWC
	env     *Env
	hw, c   int
	wide    int // elements of whole rows handled at a time
	step    int // elements of whole rows in a block
	blocks  int // per image
	scratch *Scratch
	sums    []float32 // per block: the means of the channels, then their sums of squares about them
	coefs   []float32 // per image: wide factors, then wide summands
}

// Prepare implements Preparer.
func (g *GroupNormNHWC) Prepare(env *Env) ([]Step, error) {
	const blockElems = 4096
	s := env.In[0].Shape
	n := &groupNorm{GroupNormNHWC: g, env: env, hw: s[1] * s[2], c: s[3]}
	n.wide = max(256/n.c, 1) * n.c
	n.step = max(blockElems/n.c, 1) * n.c
	n.blocks = (n.hw*n.c + n.step - 1) / n.step
	n.scratch = env.Scratch(n.wide * 3 * 4)
	n.sums = make([]float32, s[0]*n.blocks*2*n.c)
	n.coefs = make([]float32, s[0]*2*n.wide)
	total := env.In[0].Elems()
	return []Step{
		{Kernel: "moments", Tiles: s[0] * n.blocks, Cost: total, Run: n.moments},
		{Kernel: "moments", Tiles: s[0], Cost: s[0] * n.blocks * n.c, Run: n.combine},
		{Kernel: "normalise", Tiles: s[0] * n.blocks, Cost: total, Run: n.apply},
	}, nil
}

// block returns the extent of one block of one image.
func (n *groupNorm) block(tile int) (image, from, to int) {
	image, b := tile/n.blocks, tile%n.blocks
	at := image * n.hw * n.c
	return image, at + b*n.step, at + min((b+1)*n.step, n.hw*n.c)
}

// moments takes the mean and sum of squares of each channel of a block.
func (n *groupNorm) moments(worker, tile int) {
	k, x := n.env.Kernels, n.env.In[0].F32()
	_, from, to := n.block(tile)
	buf := bytesF32(n.scratch.For(worker))
	acc, t, means := buf[:n.wide], buf[n.wide:2*n.wide], buf[2*n.wide:3*n.wide]
	out := n.sums[tile*2*n.c : (tile+1)*2*n.c]
	mean, squares := out[:n.c], out[n.c:]

	clear(acc)
	for i := from; i < to; i += n.wide {
		row := x[i:min(i+n.wide, to)]
		k.F32Binary[kernels.Add](acc[:len(row)], acc[:len(row)], row)
	}
	n.fold(mean, acc)
	k.F32BinaryScalar[kernels.Mul](mean, mean, float32(n.c)/float32(to-from))

	for j := 0; j < n.wide; j += n.c {
		copy(means[j:], mean)
	}
	clear(acc)
	for i := from; i < to; i += n.wide {
		row := x[i:min(i+n.wide, to)]
		d := t[:len(row)]
		k.F32Binary[kernels.Sub](d, row, means[:len(row)])
		k.F32Binary[kernels.Mul](d, d, d)
		k.F32Binary[kernels.Add](acc[:len(row)], acc[:len(row)], d)
	}
	n.fold(squares, acc)
}

// fold adds up the rows of a wide accumulator.
func (n *groupNorm) fold(sum, acc []float32) {
	copy(sum, acc)
	for j := n.c; j < n.wide; j += n.c {
		n.env.Kernels.F32Binary[kernels.Add](sum, sum, acc[j:j+n.c])
	}
}

// combine turns the statistics of an image's blocks into a factor and a
// summand for each channel. (Chan, Golub and LeVeque, 1979, for the sums of
// squares.)
func (n *groupNorm) combine(_, image int) {
	per := n.c / n.Groups
	factor, summand := n.coefs[image*2*n.wide:][:n.wide], n.coefs[image*2*n.wide+n.wide:][:n.wide]
	for g := range n.Groups {
		var count, mean, squares float64
		for b := range n.blocks {
			s := n.sums[(image*n.blocks+b)*2*n.c:]
			rows := float64(min(n.step, n.hw*n.c-b*n.step) / n.c)
			for c := g * per; c < (g+1)*per; c++ {
				d := float64(s[c]) - mean
				squares += float64(s[n.c+c]) + d*d*count*rows/(count+rows)
				count += rows
				mean += d * rows / count
			}
		}
		inv := 1 / math.Sqrt(squares/count+float64(n.Epsilon))
		for c := g * per; c < (g+1)*per; c++ {
			scale := n.env.In[1].Float(c) * inv
			bias := n.env.In[2].Float(c) - mean*scale
			for j := c; j < n.wide; j += n.c {
				factor[j], summand[j] = float32(scale), float32(bias)
			}
		}
	}
}

// apply normalises a block.
func (n *groupNorm) apply(_, tile int) {
	k, x, y := n.env.Kernels, n.env.In[0].F32(), n.env.Out[0].F32()
	image, from, to := n.block(tile)
	factor, summand := n.coefs[image*2*n.wide:][:n.wide], n.coefs[image*2*n.wide+n.wide:][:n.wide]
	for i := from; i < to; i += n.wide {
		in, out := x[i:min(i+n.wide, to)], y[i:min(i+n.wide, to)]
		k.F32Binary[kernels.Mul](out, in, factor[:len(in)])
		k.F32Binary[kernels.Add](out, out, summand[:len(in)])
	}
	if !n.Act.HasUnary && n.Act.Slope == nil && !n.Act.None() {
		k.F32Unary[kernels.Clamp](y[from:to], y[from:to], n.Act.Min, n.Act.Max)
	}
	n.Act.strip(k, y[from:to], (to-from)/n.c, n.c, n.c, nil, 0)
}
