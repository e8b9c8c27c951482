package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// PoolNHWC is the machine form of a two-dimensional maximum or average pooling
// over channels-last data. Windows are clipped to the image. Exact asks for an
// average with the roundings of ONNX Runtime, which decide ties where the
// result is quantized: each column of a window is summed, then the columns,
// and the sum is divided.
type PoolNHWC struct {
	Exact            bool
	Max              bool // maximum; else average
	KH, KW           int
	StrideH, StrideW int
	DilH, DilW       int
	PadT, PadL       int
	PadB, PadR       int // they count in an average that includes padding
	OutH, OutW       int
	IncludePad       bool // an average divides by the padded window, not by what it read
}

// Infer implements graph.Op.
func (p *PoolNHWC) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Type
	if len(x.Shape) != 4 || x.DType != tensor.Float32 {
		return nil, fmt.Errorf("PoolNHWC of %v: %w", x, ErrShape)
	}
	return []tensor.Type{tensor.Of(x.DType, x.Shape[0], p.OutH, p.OutW, x.Shape[3])}, nil
}

// Pitched implements Pitcher.
func (p *PoolNHWC) Pitched() (in, out bool) { return true, true }

// taps lists the elements of a window: input row and column of output pixel
// i, j, and how many of the window's places an average divides by.
func (p *PoolNHWC) taps(h, w, i, j int, visit func(y, x int)) (divisor int) {
	for u := range p.KH {
		y := i*p.StrideH + u*p.DilH - p.PadT
		for v := range p.KW {
			x := j*p.StrideW + v*p.DilW - p.PadL
			inside := y >= 0 && y < h && x >= 0 && x < w
			if inside {
				visit(y, x)
			}
			if inside || p.IncludePad && y < h+p.PadB && x < w+p.PadR {
				divisor++
			}
		}
	}
	return divisor
}

// Eval implements Evaluator.
func (p *PoolNHWC) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0].F32(), out[0].F32()
	n, h, w, ch := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], in[0].Shape[3]
	k := 0
	for b := range n {
		for i := range p.OutH {
			for j := range p.OutW {
				for c := range ch {
					top, sum := math.Inf(-1), 0.0
					div := p.taps(h, w, i, j, func(yy, xx int) {
						v := float64(x[((b*h+yy)*w+xx)*ch+c])
						top, sum = math.Max(top, v), sum+v
					})
					y[k] = float32(top)
					if !p.Max {
						y[k] = float32(sum / float64(div))
					}
					k++
				}
			}
		}
	}
	return nil
}

// poolPlan is a prepared pooling.
type poolPlan struct {
	p       *PoolNHWC
	env     *Env
	kern    func(*ref.PoolF32)
	offsets []int32
	scale   []float32
	tiles   int // per image
	args    []ref.PoolF32
}

// Prepare implements Preparer.
func (p *PoolNHWC) Prepare(env *Env) ([]Step, error) {
	x := env.In[0]
	switch {
	case env.Out[0].Elems() == 0:
		return []Step{}, nil
	case p.Exact && !p.Max:
		return p.exact(env), nil
	}
	h, w, c := x.Shape[1], x.Shape[2], x.Shape[3]
	d := &poolPlan{p: p, env: env, kern: env.Kernels.F32MaxPool, args: make([]ref.PoolF32, env.Threads)}
	name, rows, in := "maxpool", p.OutH*p.OutW, pitch(x)
	if !p.Max {
		d.kern, name = env.Kernels.F32AvgPool, "avgpool"
	}
	d.offsets, d.scale = make([]int32, 0, rows*p.KH*p.KW), make([]float32, 0, rows)
	for i := range p.OutH {
		for j := range p.OutW {
			start := len(d.offsets)
			div := p.taps(h, w, i, j, func(y, x int) { d.offsets = append(d.offsets, int32((y*w+x)*in*4)) })
			for len(d.offsets) < start+p.KH*p.KW {
				d.offsets = append(d.offsets, -1)
			}
			d.scale = append(d.scale, 1/float32(div))
		}
	}
	taps := p.KH * p.KW
	d.tiles = min(env.tiles(rows*taps*c), (rows+15)/16)
	for i := range d.args {
		d.args[i] = ref.PoolF32{Taps: taps, C: c}
	}
	n := x.Shape[0]
	return []Step{{Kernel: env.Kernels.Name + " " + name, Tiles: d.tiles * n, Cost: n * rows * taps * c / 4, Run: d.run}}, nil
}

// exact returns the step of an exact average; a tile is an output row.
func (p *PoolNHWC) exact(env *Env) []Step {
	x, y := env.In[0], env.Out[0]
	h, w, c := x.Shape[1], x.Shape[2], x.Shape[3]
	in, out := pitch(x), pitch(y)
	scratch, add := env.Scratch(c*4), env.Kernels.F32Binary[kernels.Add]
	run := func(worker, tile int) {
		b, i := tile/p.OutH, tile%p.OutH
		column := bytesF32(scratch.For(worker))[:c]
		for j := range p.OutW {
			dst := floats(y, (tile*p.OutW+j)*out, c)
			clear(dst)
			for v := range p.KW {
				col := j*p.StrideW + v*p.DilW - p.PadL
				if col < 0 || col >= w {
					continue
				}
				clear(column)
				for u := range p.KH {
					if row := i*p.StrideH + u*p.DilH - p.PadT; row >= 0 && row < h {
						add(column, column, floats(x, ((b*h+row)*w+col)*in, c))
					}
				}
				add(dst, dst, column)
			}
			div := float32(p.taps(h, w, i, j, func(int, int) {}))
			for k := range dst {
				dst[k] /= div
			}
		}
	}
	return []Step{{Kernel: "avgpool", Tiles: x.Shape[0] * p.OutH, Cost: y.Elems() * p.KH * p.KW, Run: run}}
}

func (d *poolPlan) run(worker, tile int) {
	x, y := d.env.In[0], d.env.Out[0]
	image, tile := tile/d.tiles, tile%d.tiles
	rows := d.p.OutH * d.p.OutW
	r0, r1 := part(tile, d.tiles, rows, 1)
	a, outPitch := &d.args[worker], pitch(y)
	a.In, a.Out = elem(x, image*x.Shape[1]*x.Shape[2]*pitch(x)), elem(y, (image*rows+r0)*outPitch)
	a.OutStride, a.Pixels = outPitch*4, r1-r0
	a.Offsets, a.Scale = &d.offsets[r0*a.Taps], &d.scale[r0]
	d.kern(a)
}

// GlobalPoolNHWC is the machine form of a global maximum or average pooling:
// [N,H,W,C] to [N,1,1,C].
type GlobalPoolNHWC struct{ Max bool }

// Infer implements graph.Op.
func (p *GlobalPoolNHWC) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Type
	if len(x.Shape) != 4 || x.DType != tensor.Float32 || x.Shape[1]*x.Shape[2] == 0 {
		return nil, fmt.Errorf("GlobalPoolNHWC of %v: %w", x, ErrShape)
	}
	return []tensor.Type{tensor.Of(x.DType, x.Shape[0], 1, 1, x.Shape[3])}, nil
}

// Pitched implements Pitcher.
func (p *GlobalPoolNHWC) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (p *GlobalPoolNHWC) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0].F32(), out[0].F32()
	n, hw, ch := in[0].Shape[0], in[0].Shape[1]*in[0].Shape[2], in[0].Shape[3]
	for b := range n {
		for c := range ch {
			top, sum := math.Inf(-1), 0.0
			for i := range hw {
				v := float64(x[(b*hw+i)*ch+c])
				top, sum = math.Max(top, v), sum+v
			}
			y[b*ch+c] = float32(top)
			if !p.Max {
				y[b*ch+c] = float32(sum / float64(hw))
			}
		}
	}
	return nil
}

// Prepare implements Preparer. A tile is a block of channels of one image, so
// that each sum has one order whatever the number of workers.
func (p *GlobalPoolNHWC) Prepare(env *Env) ([]Step, error) {
	x, y, k := env.In[0], env.Out[0], env.Kernels
	n, hw, c := x.Shape[0], x.Shape[1]*x.Shape[2], x.Shape[3]
	block := max(min(c, tileCost/hw), 64)
	blocks := (c + block - 1) / block
	in, out := pitch(x), pitch(y)
	fold, name := k.F32Binary[kernels.Add], "global avgpool"
	if p.Max {
		fold, name = k.F32Binary[kernels.Max], "global maxpool"
	}
	// Sums of sums round less than one long sum does.
	const part = 64
	scratch := env.Scratch(block * 4)
	run := func(worker, tile int) {
		b, c0 := tile/blocks, tile%blocks*block
		w := min(block, c-c0)
		acc, some := floats(y, b*out+c0, w), bytesF32(scratch.For(worker))[:w]
		for i := 0; i < hw; i += part {
			copy(some, floats(x, (b*hw+i)*in+c0, w))
			for j := i + 1; j < min(i+part, hw); j++ {
				fold(some, some, floats(x, (b*hw+j)*in+c0, w))
			}
			if i == 0 {
				copy(acc, some)
			} else {
				fold(acc, acc, some)
			}
		}
		if !p.Max {
			k.F32BinaryScalar[kernels.Mul](acc, acc, 1/float32(hw))
		}
	}
	return []Step{{Kernel: k.Name + " " + name, Tiles: n * blocks, Cost: n * hw * c / 4, Run: run}}, nil
}
