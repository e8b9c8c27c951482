package op

import (
	"fmt"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels/ref"
)

// PoolU8 is the machine form of a two-dimensional pooling of uint8 numbers over
// channels-last data: the maximum, or round(clamp((Σ (x - ZeroA))/d·Ratio, Lo,
// Hi)) + Zero, rounded half to even, where d is the number of places that the
// average divides by, at least one, and Ratio/d is one float32.
type PoolU8 struct {
	PoolNHWC
	ZeroA, Zero int32
	Ratio       float32 // scale of x by scale of y
	Lo, Hi      float32 // the clamp, inside -Zero..255-Zero
}

// Infer implements graph.Op.
func (p *PoolU8) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Type
	if len(x.Shape) != 4 || x.DType != tensor.Uint8 {
		return nil, fmt.Errorf("PoolU8 of %v: %w", x, ErrShape)
	}
	return []tensor.Type{tensor.Of(x.DType, x.Shape[0], p.OutH, p.OutW, x.Shape[3])}, nil
}

// Eval implements Evaluator.
func (p *PoolU8) Eval(in, out []*tensor.Tensor) error {
	n, h, w, ch := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], in[0].Shape[3]
	k := 0
	for b := range n {
		for i := range p.OutH {
			for j := range p.OutW {
				for c := range ch {
					var top, sum int32
					div := p.taps(h, w, i, j, func(y, x int) {
						v := int32(in[0].Data[((b*h+y)*w+x)*ch+c])
						top, sum = max(top, v), sum+v-p.ZeroA
					})
					out[0].Data[k] = uint8(top)
					if !p.Max {
						f := float32(float32(sum) * (p.Ratio / float32(max(div, 1))))
						out[0].Data[k] = ref.Q8Round(min(max(f, p.Lo), p.Hi), p.Zero)
					}
					k++
				}
			}
		}
	}
	return nil
}

// Prepare implements Preparer.
func (p *PoolU8) Prepare(env *Env) ([]Step, error) {
	x := env.In[0]
	if env.Out[0].Elems() == 0 {
		return []Step{}, nil
	}
	h, w, c := x.Shape[1], x.Shape[2], x.Shape[3]
	d := &poolU8Plan{p: p, env: env, kern: env.Kernels.U8MaxPool, args: make([]ref.PoolQ8, env.Threads)}
	name, rows, in := "u8 maxpool", p.OutH*p.OutW, pitch(x)
	if !p.Max {
		d.kern, name = env.Kernels.U8AvgPool, "u8 avgpool"
	}
	d.offsets, d.scale = make([]int32, 0, rows*p.KH*p.KW), make([]float32, 0, rows)
	for i := range p.OutH {
		for j := range p.OutW {
			start := len(d.offsets)
			div := p.taps(h, w, i, j, func(y, x int) { d.offsets = append(d.offsets, int32((y*w+x)*in)) })
			for len(d.offsets) < start+p.KH*p.KW {
				d.offsets = append(d.offsets, -1)
			}
			d.scale = append(d.scale, p.Ratio/float32(max(div, 1)))
		}
	}
	taps := p.KH * p.KW
	d.tiles = min(env.tiles(rows*taps*c), (rows+3)/4)
	for i := range d.args {
		d.args[i] = ref.PoolQ8{Taps: taps, C: c, ZeroA: p.ZeroA, Zero: p.Zero, Min: p.Lo, Max: p.Hi}
	}
	n := x.Shape[0]
	return []Step{{Kernel: env.Kernels.Name + " " + name, Tiles: d.tiles * n, Cost: n * rows * taps * c / 8, Run: d.run}}, nil
}

// poolU8Plan is a prepared pooling.
type poolU8Plan struct {
	p       *PoolU8
	env     *Env
	kern    func(*ref.PoolQ8)
	offsets []int32
	scale   []float32
	tiles   int
	args    []ref.PoolQ8
}

func (d *poolU8Plan) run(worker, tile int) {
	p, x, y := d.p, d.env.In[0], d.env.Out[0]
	image, tile := tile/d.tiles, tile%d.tiles
	rows := p.OutH * p.OutW
	r0, r1 := part(tile, d.tiles, rows, 1)
	a := &d.args[worker]
	a.OutStride = pitch(y)
	a.In = unsafe.Pointer(&x.Data[image*x.Shape[1]*x.Shape[2]*pitch(x)])
	chunk := max(tileCost/(a.Taps*a.C), 1)
	for r := r0; r < r1; r += a.Pixels {
		a.Pixels = min(chunk, r1-r)
		a.Offsets, a.Scale = &d.offsets[r*a.Taps], &d.scale[r]
		a.Out = unsafe.Pointer(&y.Data[(image*rows+r)*a.OutStride])
		d.kern(a)
	}
}
