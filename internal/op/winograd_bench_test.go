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
	{56, 64, 64}, {28, 128, 128}, {14, 256, 256}, {7, 512, 512}, {7, 640, 640},
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
	return env, &convShape{ConvNHWC: op, n: 1, h: c.side, w: c.side, cin: c.cin, cout: c.cout, inPitch: c.cin, size: 4}
}

// algorithm is one way to compute a convolution, and what the model gives for
// it.
type algorithm struct {
	name string
	run  func()
	cost float64
}

// algorithms prepares a convolution in every way there is.
func (c conv3x3) algorithms(set *kernels.Set) []algorithm {
	_, s := c.env(set, 1)
	var as []algorithm
	add := func(name string, cost float64, prepare func(env *Env, s *convShape) []Step) {
		steps := prepare(c.env(set, 1))
		as = append(as, algorithm{name, func() {
			for _, s := range steps {
				for t := range s.Tiles {
					s.Run(0, t)
				}
			}
		}, cost})
	}
	add("igemm", s.igemmTime(set), func(env *Env, s *convShape) []Step { return prepareGemm(env, s, gemmIndirect) })
	for kind := range kernels.NumWinograd {
		add(fmt.Sprintf("%dx%d", winogradSide(kind), winogradSide(kind)), s.winogradTime(set, kind),
			func(env *Env, s *convShape) []Step { return prepareWinograd(env, s, kind) })
	}
	return as
}

// choice names what a convolution takes.
func (c conv3x3) choice(set *kernels.Set) string {
	_, s := c.env(set, 1)
	if kind, ok := s.winograd(set); ok {
		return fmt.Sprintf("%dx%d", winogradSide(kind), winogradSide(kind))
	}
	return "igemm"
}

// BenchmarkConv3x3 times every algorithm on every layer. best-ms is the
// fastest run, since machines do other work as well; model-MMAC is what the
// model gives, in millions of multiply-adds of a long matrix product; chosen is
// 1 for the algorithm that the layer takes.
func BenchmarkConv3x3(b *testing.B) {
	for _, set := range kernels.Available() {
		for _, c := range conv3x3s {
			for _, a := range c.algorithms(set) {
				b.Run(fmt.Sprintf("rung=%s/%dx%dx%dx%d/%s", set.Name, c.side, c.side, c.cin, c.cout, a.name), func(b *testing.B) {
					best := time.Hour
					for b.Loop() {
						start := time.Now()
						a.run()
						best = min(best, time.Since(start))
					}
					b.ReportMetric(best.Seconds()*1e3, "best-ms")
					b.ReportMetric(a.cost/1e6, "model-MMAC")
					if a.name == c.choice(set) {
						b.ReportMetric(1, "chosen")
					}
				})
			}
		}
	}
}
