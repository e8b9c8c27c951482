package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ConvNHWC is the machine form of a two-dimensional convolution with constant
// weights: channels-last input and output, bias, residual and activation
// fused.
//
//	y[n,i,j,o] = act(b[o] + Σ x[n, i·sh+u·dh-ph, j·sw+v·dw-pw, g·C+c]·w[o,c,u,v] + r[n,i,j,o])
//
// Inputs: x [N,H,W,G·C], w [O,C,kh,kw] (as in the file), bias [O] or nil,
// residual [N,Ho,Wo,O] or nil. Scale, where it is not nil, multiplies the weights
// of each output channel; whatever packs them does that. Where ResLast is set the residual is added
// behind the activation. Where Planar is set x is [N,C,H,W] instead, as images
// come from files.
type ConvNHWC struct {
	KH, KW           int
	StrideH, StrideW int
	DilH, DilW       int
	PadT, PadL       int
	OutH, OutW       int
	Group            int
	Act              Act
	ResLast          bool
	Planar           bool
	Scale            []float64
}

// Infer implements graph.Op.
func (c *ConvNHWC) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 4); err != nil {
		return nil, err
	}
	x, w := c.channelsLast(in[0].Type.Shape), in[1].Type.Shape
	if len(x) != 4 || len(w) != 4 || in[0].Type.DType != tensor.Float32 || in[1].Const == nil ||
		x[3] != w[1]*c.Group || w[0]%c.Group != 0 || w[2] != c.KH || w[3] != c.KW {
		return nil, fmt.Errorf("ConvNHWC of %v with weights %v in %d groups: %w", in[0].Type, in[1].Type, c.Group, ErrShape)
	}
	if b := opt(in, 2); b != nil && (b.Const == nil || b.Type.Shape.Elems() != w[0]) {
		return nil, fmt.Errorf("bias %v for %d outputs: %w", b.Type, w[0], ErrShape)
	}
	if c.Scale != nil && len(c.Scale) != w[0] {
		return nil, fmt.Errorf("%d scales for %d outputs: %w", len(c.Scale), w[0], ErrShape)
	}
	out := tensor.Of(tensor.Float32, x[0], c.OutH, c.OutW, w[0])
	if r := opt(in, 3); r != nil && !r.Type.Shape.Equal(out.Shape) {
		return nil, fmt.Errorf("residual %v for output %v: %w", r.Type, out, ErrShape)
	}
	return []tensor.Type{out}, nil
}

// channelsLast returns the shape of x as [N,H,W,C].
func (c *ConvNHWC) channelsLast(x tensor.Shape) tensor.Shape {
	if c.Planar && len(x) == 4 {
		return tensor.Shape{x[0], x[2], x[3], x[1]}
	}
	return x
}

// Pitched implements Pitcher.
func (c *ConvNHWC) Pitched() (in, out bool) { return !c.Planar, true }

// convShape holds the extents that a prepared convolution works with.
type convShape struct {
	ConvNHWC
	n, h, w, cin, cout int // cin and cout of all groups
	inPitch            int
	size               int // bytes of an element of the input
}

// Eval implements Evaluator: the defining loops, on dense tensors.
func (c *ConvNHWC) Eval(in, out []*tensor.Tensor) error {
	in = scaledWeights(in, c.Scale)
	x, w, y := in[0].F32(), in[1].F32(), out[0].F32()
	last := c.channelsLast(in[0].Shape)
	n, h, wd, cin := last[0], last[1], last[2], in[1].Shape[1]
	chStep := 1
	if c.Planar {
		chStep = h * wd
	}
	cout := in[1].Shape[0]
	per := cout / c.Group
	p := 0
	for b := range n {
		for i := range c.OutH {
			for j := range c.OutW {
				for o := range cout {
					sum := 0.0
					if t := opt(in, 2); t != nil {
						sum = t.Float(o)
					}
					base := o / per * cin
					for u := range c.KH {
						yy := i*c.StrideH + u*c.DilH - c.PadT
						if yy < 0 || yy >= h {
							continue
						}
						for v := range c.KW {
							xx := j*c.StrideW + v*c.DilW - c.PadL
							if xx < 0 || xx >= wd {
								continue
							}
							at := ((b*h+yy)*wd+xx)*cin*c.Group + base
							if c.Planar {
								at = ((b*cin*c.Group+base)*h+yy)*wd + xx
							}
							for ch := range cin {
								sum += float64(x[at+ch*chStep]) * float64(w[((o*cin+ch)*c.KH+u)*c.KW+v])
							}
						}
					}
					y[p] = c.finish(sum, opt(in, 3), p, o)
					p++
				}
			}
		}
	}
	return nil
}

// finish applies residual and activation to one element.
func (c *ConvNHWC) finish(sum float64, res *tensor.Tensor, p, o int) float32 {
	r := 0.0
	if res != nil {
		r = res.Float(p)
	}
	if !c.ResLast {
		sum, r = sum+r, 0
	}
	return float32(c.Act.eval(sum, o) + r)
}
