package op

import (
	"fmt"
	"math"
	"testing"

	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// TestWinogradChoice: layers of known nets take the algorithm that was fastest
// when it was measured; see docs/winograd.md.
func TestWinogradChoice(t *testing.T) {
	set, err := kernels.Named("avx2")
	if err != nil {
		t.Skip("the choice was measured with AVX2, which this CPU or build lacks")
	}
	tests := []struct {
		layer conv3x3
		want  string
	}{
		{conv3x3{56, 64, 64}, "4x4"}, {conv3x3{28, 128, 128}, "4x4"}, {conv3x3{14, 256, 256}, "4x4"},
		{conv3x3{7, 512, 512}, "2x2"}, {conv3x3{7, 640, 640}, "igemm"}, // too large with more
		{conv3x3{80, 32, 32}, "4x4"}, {conv3x3{20, 64, 64}, "4x4"}, {conv3x3{13, 384, 384}, "2x2"},
		{conv3x3{6, 64, 64}, "2x2"}, {conv3x3{4, 128, 24}, "2x2"}, {conv3x3{1, 64, 64}, "igemm"}, {conv3x3{112, 5, 4}, "igemm"},
	}
	for _, tt := range tests {
		if got := tt.layer.choice(set); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.layer, got, tt.want)
		}
	}
	for _, change := range []func(*convShape){
		func(s *convShape) { s.StrideH = 2 }, func(s *convShape) { s.StrideW = 2 }, func(s *convShape) { s.DilH = 2 },
		func(s *convShape) { s.DilW = 2 }, func(s *convShape) { s.KH = 5 }, func(s *convShape) { s.KW = 1 }, func(s *convShape) { s.Group = 2 },
	} {
		_, s := conv3x3{56, 64, 64}.env(set, 1)
		change(s)
		if kind, ok := s.winograd(set); ok {
			t.Errorf("%+v by %v", s.ConvNHWC, kind)
		}
	}
}

// winogradForm is a convolution with an epilogue.
type winogradForm struct {
	layer      conv3x3
	h          int // 0: square
	n          int // images
	padT, padL int
	outH, outW int // 0: as without padding behind the map
	pitch      int // of input, residual and output beyond their channels
	act        Act
	res, last  bool
	noBias     bool
	scale      bool // of the weights, per output
}

func winogradForms() []winogradForm {
	silu := UnaryAct(kernels.SiLU, 1, 0)
	slopes := NoAct()
	for i := range 67 {
		slopes.Slope = append(slopes.Slope, float32(i)/67)
	}
	forms := []winogradForm{
		{layer: conv3x3{12, 16, 16}, act: ClampAct(0, 6), res: true, n: 2},
		{layer: conv3x3{9, 24, 67}, act: slopes, res: true, last: true, pitch: 3, n: 2},
		{layer: conv3x3{9, 24, 33}, act: slopes, pitch: 1, scale: true},
		{layer: conv3x3{11, 20, 40}, act: silu, res: true, last: true, padT: 1, padL: 1},
		{layer: conv3x3{11, 20, 40}, act: silu, res: true, pitch: 5, padT: 1, padL: 1},
		{layer: conv3x3{10, 12, 24}, act: ClampAct(-1, 1), res: true, last: true, padT: 2, padL: 0, noBias: true},
		{layer: conv3x3{7, 9, 11}, h: 30, act: NoAct(), padT: 0, padL: 2, outH: 33, outW: 12},
		{layer: conv3x3{40, 130, 70}, act: NoAct(), padT: 1, padL: 1, outH: 40, outW: 40},
		{layer: conv3x3{5, 300, 20}, act: NoAct(), padT: 1, padL: 1, outH: 5, outW: 5},
	}
	for side := 3; side <= 15; side++ {
		forms = append(forms, winogradForm{layer: conv3x3{side, 5 + side, 2*side - 3}, act: NoAct(), padT: side % 3, padL: side % 2})
	}
	return forms
}

// env lays the convolution out.
func (f *winogradForm) env(set *kernels.Set, threads int) (*Env, *convShape) {
	env, s := f.layer.env(set, threads)
	s.n = max(f.n, 1)
	if f.h > 0 {
		s.h = f.h
	}
	s.PadT, s.PadL, s.Act, s.ResLast = f.padT, f.padL, f.act, f.last
	s.OutH, s.OutW = f.outH, f.outW
	if s.OutH == 0 {
		s.OutH, s.OutW = s.h+f.padT-2, s.w+f.padL-2
	}
	seed := uint32(1)
	pitched := func(h, w, c int) *tensor.Tensor {
		t := tensor.New(tensor.Float32, s.n, h, w, c+f.pitch)
		for i := range t.F32() {
			seed = seed*1664525 + 1013904223
			t.F32()[i] = float32(seed>>8)/(1<<23) - 1
		}
		t.Shape[3], t.Pitch = c, c+f.pitch
		return t
	}
	s.inPitch = s.cin + f.pitch
	env.In[0], env.Out[0] = pitched(s.h, s.w, s.cin), pitched(s.OutH, s.OutW, s.cout)
	if f.scale {
		for i := range s.cout {
			s.Scale = append(s.Scale, 1/float64(i+1))
		}
	}
	if f.noBias {
		env.In[2] = nil
	}
	if f.res {
		env.In = append(env.In, pitched(s.OutH, s.OutW, s.cout))
	}
	return env, s
}

// want is the definition, in float64, of output channel o of a pixel.
func (s *convShape) want(env *Env, image, y, x, o int) float64 {
	sum := 0.0
	in, w := env.In[0], env.In[1].F32()
	data := whole[float32](in)
	for u := range 3 {
		for v := range 3 {
			r, c := y+u-s.PadT, x+v-s.PadL
			if r < 0 || r >= s.h || c < 0 || c >= s.w {
				continue
			}
			for ch := range s.cin {
				sum += float64(data[((image*s.h+r)*s.w+c)*pitch(in)+ch]) * float64(w[(o*s.cin+ch)*9+u*3+v])
			}
		}
	}
	if s.Scale != nil {
		sum *= s.Scale[o]
	}
	if b := env.In[2]; b != nil {
		sum += float64(b.F32()[o])
	}
	res := 0.0
	if len(env.In) > 3 {
		res = float64(whole[float32](env.In[3])[((image*s.OutH+y)*s.OutW+x)*pitch(env.In[3])+o])
	}
	if s.ResLast {
		return s.Act.eval(sum, o) + res
	}
	return s.Act.eval(sum+res, o)
}

// TestWinogradForms compares both algorithms with the definition, on every
// rung, and their bits on one worker, three and eight.
func TestWinogradForms(t *testing.T) {
	for i, f := range winogradForms() {
		env, s := f.env(kernels.Ref(), 1)
		want := s.definition(env)
		for _, set := range kernels.Available() {
			for kind := range kernels.NumWinograd {
				t.Run(fmt.Sprintf("%d/%s/%d", i, set.Name, winogradSide(kind)), func(t *testing.T) {
					var first []float32
					for _, threads := range []int{1, 3, 8} {
						env, s := f.env(set, threads)
						for _, step := range prepareWinograd(env, s, kind) {
							for tile := range step.Tiles {
								step.Run(tile%threads, tile)
							}
						}
						out := whole[float32](env.Out[0])
						if first == nil {
							first = out
							s.compare(t, out, want)
						}
						for j := range out {
							if out[j] != first[j] {
								t.Fatalf("%d workers: element %d is %v, with one worker %v", threads, j, out[j], first[j])
							}
						}
					}
				})
			}
		}
	}
}

// definition is the result by the defining loops. What lies between rows stays
// as it was.
func (s *convShape) definition(env *Env) []float64 {
	y := env.Out[0]
	var want []float64
	for _, v := range whole[float32](y) {
		want = append(want, float64(v))
	}
	for p := range s.n * s.OutH * s.OutW {
		image, pixel := p/(s.OutH*s.OutW), p%(s.OutH*s.OutW)
		for o := range s.cout {
			want[p*pitch(y)+o] = s.want(env, image, pixel/s.OutW, pixel%s.OutW, o)
		}
	}
	return want
}

// compare checks a result. The bound is one for all outputs: one that is small
// by chance has the error of a large one.
func (s *convShape) compare(t *testing.T, got []float32, want []float64) {
	t.Helper()
	limit := 5e-6 * math.Sqrt(float64(9*s.cin))
	for i, v := range got {
		if !(math.Abs(float64(v)-want[i]) <= limit) {
			t.Fatalf("element %d is %v, want %v within %g", i, v, want[i], limit)
		}
	}
}
