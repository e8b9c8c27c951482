package op

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// conv3x3 is a 3x3 convolution of a square map that keeps its size.
type conv3x3 struct{ side, cin, cout int }

// conv3x3s are layers of ResNet-18, of YOLO and of smaller nets.
var conv3x3s = []conv3x3{
	{56, 64, 64}, {28, 128, 128}, {14, 256, 256}, {7, 512, 512},
	{160, 16, 16}, {80, 32, 32}, {40, 64, 64}, {20, 128, 128}, {20, 64, 64}, {40, 96, 96}, {10, 96, 96},
	{80, 64, 80}, {20, 256, 256}, {13, 384, 384}, {26, 24, 40}, {112, 8, 16}, {6, 64, 64}, {4, 128, 24},
}

// env returns an environment with random numbers in place.
func (c conv3x3) env(set *kernels.Set, threads int) (*Env, *convShape) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(shape ...int) *tensor.Tensor {
		t := tensor.New(tensor.Float32, shape...)
		for i := range t.F32() {
			t.F32()[i] = r.Float32()*2 - 1
		}
		return t
	}
	x, w, b := random(1, c.side, c.side, c.cin), random(c.cout, c.cin, 3, 3), random(c.cout)
	env := &Env{In: []*tensor.Tensor{x, w, b}, Out: []*tensor.Tensor{tensor.New(tensor.Float32, 1, c.side, c.side, c.cout)}, Kernels: set, Threads: threads}
	env.Shared = func(_ any, build func() any) any { return build() }
	env.Scratch = func(n int) *Scratch {
		stride := (n + 63) &^ 63
		buf := tensor.New(tensor.Uint8, stride*threads+64).Data
		return &Scratch{Buf: buf[-uintptr(unsafe.Pointer(&buf[0]))%64:], Stride: stride}
	}
	op := ConvNHWC{KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, PadT: 1, PadL: 1, OutH: c.side, OutW: c.side, Group: 1, Act: ClampAct(0, NoAct().Max)}
	return env, &convShape{ConvNHWC: op, n: 1, h: c.side, w: c.side, cin: c.cin, cout: c.cout, inPitch: c.cin}
}

// algorithms prepares a convolution in every way there is.
func (c conv3x3) algorithms(set *kernels.Set) map[string]func() {
	runs := map[string]func(){}
	for name, prepare := range map[string]func(env *Env, s *convShape) []Step{
		"igemm": func(env *Env, s *convShape) []Step { return prepareGemm(env, s, gemmIndirect) },
		"2x2":   func(env *Env, s *convShape) []Step { return prepareWinograd(env, s, kernels.Winograd2) },
		"4x4":   func(env *Env, s *convShape) []Step { return prepareWinograd(env, s, kernels.Winograd4) },
	} {
		steps := prepare(c.env(set, 1))
		runs[name] = func() {
			for _, s := range steps {
				for t := range s.Tiles {
					s.Run(0, t)
				}
			}
		}
	}
	return runs
}

// BenchmarkConv3x3 times every algorithm on every layer. best-ms is the
// fastest run, for machines that do other work as well; chosen is 1 for the
// algorithm that the model prefers.
func BenchmarkConv3x3(b *testing.B) {
	for _, set := range kernels.Available() {
		for _, c := range conv3x3s {
			_, s := c.env(set, 1)
			chosen := "igemm"
			if kind, ok := s.winograd(set); ok {
				chosen = fmt.Sprintf("%dx%d", winogradSide(kind), winogradSide(kind))
			}
			for name, run := range c.algorithms(set) {
				b.Run(fmt.Sprintf("rung=%s/%dx%dx%dx%d/%s", set.Name, c.side, c.side, c.cin, c.cout, name), func(b *testing.B) {
					best := time.Hour
					for b.Loop() {
						start := time.Now()
						run()
						best = min(best, time.Since(start))
					}
					b.ReportMetric(best.Seconds()*1e3, "best-ms")
					if name == chosen {
						b.ReportMetric(1, "chosen")
					}
				})
			}
		}
	}
}
