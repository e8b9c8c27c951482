package kernels_test

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// ones returns n elements, 64-byte aligned and not zero.
func ones(n int) []float32 {
	f := make([]float32, n+16)
	for uintptr(unsafe.Pointer(&f[0]))%64 != 0 {
		f = f[1:]
	}
	for i := range f {
		f[i] = 1 / float32(i+1)
	}
	return f[:n]
}

// gemmArgs returns a full tile of a rung with K elements for each of taps.
func gemmArgs(s *kernels.Set, k, taps int) *ref.GemmF32 {
	w := ones((k*taps + 1) * s.F32NR)
	a := ones(s.F32MR * k)
	offsets := make([]int32, s.F32MR*taps)
	for i := range offsets {
		offsets[i] = int32(i / taps * k * 4)
	}
	inf := float32(math.Inf(1))
	return &ref.GemmF32{
		A: ptr(a), Zero: ptr(a), Offsets: &offsets[0], W: ptr(w), C: ptr(ones(s.F32MR * s.F32NR)),
		AStride: 4 * k, CStride: 4 * s.F32NR,
		M: s.F32MR, N: s.F32NR, K: k, Taps: taps, Min: -inf, Max: inf,
	}
}

func BenchmarkF32Gemm(b *testing.B) {
	for _, k := range []int{24, 64, 256} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/k=%d", s.Name, k), func(b *testing.B) {
				a := gemmArgs(s, k, 1)
				for b.Loop() {
					s.F32Gemm(a)
				}
				flops(b, 2*s.F32MR*s.F32NR*k)
			})
		}
	}
}

// BenchmarkF32GemmColumns is a product of 48 rows and some columns, packed as
// the operators pack it.
func BenchmarkF32GemmColumns(b *testing.B) {
	const m, k = 48, 64
	for _, n := range []int{1, 2, 4, 12, 20, 24, 85} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/n=%d", s.Name, n), func(b *testing.B) {
				a := gemmArgs(s, k, 1)
				data, c := ones(m*k), ones(m*n)
				panels := ones((n + s.F32NR - 1) / s.F32NR * (k + 1) * s.F32NR)
				a.CStride = 4 * n
				for b.Loop() {
					for j := 0; j < n; j += s.F32NR {
						a.N, a.W = min(s.F32NR, n-j), ptr(panels[j*(k+1):])
						for i := 0; i < m; i += s.F32MR {
							a.M, a.A, a.C = min(s.F32MR, m-i), ptr(data[i*k:]), ptr(c[i*n+j:])
							s.F32Gemm(a)
						}
					}
				}
				flops(b, 2*m*n*k)
			})
		}
	}
}

func BenchmarkF32Igemm(b *testing.B) {
	for _, k := range []int{3, 24, 64} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/k=%d/taps=9", s.Name, k), func(b *testing.B) {
				a := gemmArgs(s, k, 9)
				for b.Loop() {
					s.F32Igemm(a)
				}
				flops(b, 2*s.F32MR*s.F32NR*k*9)
			})
		}
	}
}

// flops reports floating-point operations per second.
func flops(b *testing.B, perCall int) {
	b.ReportMetric(float64(perCall)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func BenchmarkF32Dwconv(b *testing.B) {
	for _, c := range []int{16, 24, 96, 192} {
		for _, taps := range []int{9, 25} {
			for _, s := range kernels.Available() {
				b.Run(fmt.Sprintf("rung=%s/c=%d/taps=%d", s.Name, c, taps), func(b *testing.B) {
					a := dwconvArgs(c, taps)
					for b.Loop() {
						s.F32Dwconv(a)
					}
					flops(b, 2*a.Pixels*c*taps)
				})
			}
		}
	}
}

// dwconvArgs returns a row of 20 pixels of a square window with stride 1.
func dwconvArgs(c, taps int) *ref.DwconvF32 {
	const pixels = 20
	side := int(math.Sqrt(float64(taps)))
	width := pixels + side - 1
	in, w := ones(side*width*c), ones(ref.PackedDwconvF32Len(taps, c))
	var offsets []int32
	for p := range pixels {
		for t := range taps {
			offsets = append(offsets, int32(4*c*(t/side*width+p+t%side)))
		}
	}
	inf := float32(math.Inf(1))
	return &ref.DwconvF32{
		In: ptr(in), Zero: ptr(in), Offsets: &offsets[0], W: ptr(w), Out: ptr(ones(pixels * c)),
		OutStride: 4 * c, WStride: 4 * ref.DwconvWidth(c), Pixels: pixels, Taps: taps, C: c, Min: -inf, Max: inf,
	}
}

func BenchmarkF32Unary(b *testing.B) {
	const n = 4096
	for _, op := range []struct {
		name string
		slot kernels.Unary
	}{{"Clamp", kernels.Clamp}, {"Sigmoid", kernels.Sigmoid}, {"Tanh", kernels.Tanh}, {"Exp", kernels.Exp}} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/op=%s/n=%d", s.Name, op.name, n), func(b *testing.B) {
				src, dst := ones(n), make([]float32, n)
				b.SetBytes(8 * n)
				for b.Loop() {
					s.F32Unary[op.slot](dst, src, 0, 6)
				}
			})
		}
	}
}

func BenchmarkF32Binary(b *testing.B) {
	const n = 4096
	for _, s := range kernels.Available() {
		b.Run(fmt.Sprintf("rung=%s/op=Add/n=%d", s.Name, n), func(b *testing.B) {
			x, y, dst := ones(n), ones(n), make([]float32, n)
			b.SetBytes(12 * n)
			for b.Loop() {
				s.F32Binary[kernels.Add](dst, x, y)
			}
		})
	}
}

func BenchmarkF32MaxPool(b *testing.B) {
	for _, s := range kernels.Available() {
		b.Run(fmt.Sprintf("rung=%s/c=96/taps=9", s.Name), func(b *testing.B) {
			d := dwconvArgs(96, 9)
			a := &ref.PoolF32{
				In: d.In, Offsets: d.Offsets, Out: d.Out, OutStride: d.OutStride,
				Pixels: d.Pixels, Taps: d.Taps, C: d.C,
			}
			b.SetBytes(int64(4 * a.Pixels * a.Taps * a.C))
			for b.Loop() {
				s.F32MaxPool(a)
			}
		})
	}
}
