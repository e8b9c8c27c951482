package kernels_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// BenchmarkU8Elementwise are the elementwise kernels and conversions of bytes, for a row of
// few channels, a longer one, and what fits the second-level cache.
func BenchmarkU8Elementwise(b *testing.B) {
	for _, n := range []int{7, 24, 96, 4096, 1 << 16} {
		r := rand.New(rand.NewPCG(71, 72))
		x, y, dst, f := make([]byte, n), make([]byte, n), make([]byte, n), make([]float32, n)
		for i := range x {
			x[i], y[i], f[i] = byte(r.Uint32()), byte(r.Uint32()), r.Float32()*255
		}
		p := ref.BinaryU8{A: 0.7, B: 0.3, ZeroA: 114, ZeroB: 128, Zero: 3, Min: -3, Max: 252}
		var table [256]uint8
		for _, s := range kernels.Available() {
			for _, k := range []struct {
				name string
				run  func()
			}{
				{"Add", func() { s.U8Add(dst, x, y, &p) }},
				{"Mul", func() { s.U8Mul(dst, x, y, &p) }},
				{"Table", func() { s.U8Table(dst, x, &table) }},
				{"FromF32", func() { s.F32ToU8(dst, f, 1.0/255, 0) }},
				{"ToF32", func() { s.U8ToF32(f, x, 0.017, 114) }},
			} {
				b.Run(fmt.Sprintf("rung=%s/op=%s/n=%d", s.Name, k.name, n), func(b *testing.B) {
					for b.Loop() {
						k.run()
					}
					elements(b, n)
				})
			}
		}
	}
}

// BenchmarkU8Pool are windows of 3x3 and a global average.
func BenchmarkU8Pool(b *testing.B) {
	for _, c := range []struct{ pixels, taps, c int }{{64, 9, 24}, {64, 9, 64}, {1, 49, 1280}, {1, 400, 96}} {
		in := make([]byte, c.taps*c.c+ref.Q8Slack)
		out, offsets, scale := make([]byte, c.pixels*c.c), make([]int32, c.pixels*c.taps), make([]float32, c.pixels)
		for i := range offsets {
			offsets[i] = int32(i % c.taps * c.c)
		}
		a := ref.PoolQ8{
			In: unsafe.Pointer(&in[0]), Offsets: &offsets[0], Scale: &scale[0], Out: unsafe.Pointer(&out[0]),
			OutStride: c.c, Pixels: c.pixels, Taps: c.taps, C: c.c, Max: 255,
		}
		for _, s := range kernels.Available() {
			for name, slot := range map[string]func(*ref.PoolQ8){"Max": s.U8MaxPool, "Avg": s.U8AvgPool} {
				b.Run(fmt.Sprintf("rung=%s/op=%s/pixels=%d/taps=%d/c=%d", s.Name, name, c.pixels, c.taps, c.c), func(b *testing.B) {
					for b.Loop() {
						args := a
						slot(&args)
					}
					elements(b, c.pixels*c.taps*c.c)
				})
			}
		}
	}
}
