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

// gemmArgs returns m rows of a panel of a rung, with k elements for each of taps.
func gemmArgs(s *kernels.Set, m, k, taps int) *ref.GemmF32 {
	w := ones((k*taps + 1) * s.F32NR)
	a := ones(m * k)
	offsets := make([]int32, m*taps)
	for i := range offsets {
		offsets[i] = int32(i / taps * k * 4)
	}
	inf := float32(math.Inf(1))
	return &ref.GemmF32{
		A: ptr(a), Zero: ptr(a), Offsets: &offsets[0], W: ptr(w), C: ptr(ones(m * s.F32NR)),
		AStride: 4 * k, CStride: 4 * s.F32NR,
		M: m, N: s.F32NR, K: k, Taps: taps, Min: -inf, Max: inf,
	}
}

// BenchmarkF32Gemm is one full tile: rows, columns and depth of which no part
// is left over.
func BenchmarkF32Gemm(b *testing.B) {
	for _, k := range []int{24, 64, 256} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/k=%d", s.Name, k), func(b *testing.B) {
				a := gemmArgs(s, s.F32MR, k, 1)
				call := new(ref.GemmF32)
				for b.Loop() {
					*call = *a
					s.F32Gemm(call)
				}
				flops(b, 2*s.F32MR*s.F32NR*k)
			})
		}
	}
}

// BenchmarkF32GemmRows is a panel of a number of rows: how kernels of fewer rows
// compare with the full tile.
func BenchmarkF32GemmRows(b *testing.B) {
	const k = 128
	for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 8, 49} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/m=%d", s.Name, m), func(b *testing.B) {
				a := gemmArgs(s, m, k, 1)
				call := new(ref.GemmF32)
				for b.Loop() {
					*call = *a
					s.F32Gemm(call)
				}
				flops(b, 2*m*s.F32NR*k)
			})
		}
	}
}

// products are rows, columns and depth of products in small networks.
var products = [][3]int{
	{12544, 16, 32}, {3136, 24, 96}, {3136, 64, 64}, {784, 32, 192}, {484, 96, 336}, {196, 64, 384}, {196, 384, 64},
	{49, 160, 960}, {49, 1280, 320}, {1, 1000, 1280}, {48, 1, 64}, {48, 4, 64}, {48, 12, 64}, {48, 20, 64}, {48, 85, 64},
}

// BenchmarkF32GemmProduct is a whole product, panel by panel, with rows in runs
// as the operators cut them.
func BenchmarkF32GemmProduct(b *testing.B) {
	for _, p := range products {
		m, n, k := p[0], p[1], p[2]
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/m=%d/n=%d/k=%d", s.Name, m, n, k), func(b *testing.B) {
				run := max(1<<18/(n*k)/s.F32MR, 1) * s.F32MR
				a := gemmArgs(s, 1, k, 1)
				call := new(ref.GemmF32)
				data, c := ones(m*k), ones(m*n)
				panels := ones((n + s.F32NR - 1) / s.F32NR * (k + 1) * s.F32NR)
				a.CStride = 4 * n
				for b.Loop() {
					for i := 0; i < m; i += run {
						for j := 0; j < n; j += s.F32NR {
							*call = *a
							call.M, call.A, call.C = min(run, m-i), ptr(data[i*k:]), ptr(c[i*n+j:])
							call.N, call.W = min(s.F32NR, n-j), ptr(panels[j*(k+1):])
							s.F32Gemm(call)
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
				a := gemmArgs(s, s.F32MR, k, 9)
				call := new(ref.GemmF32)
				for b.Loop() {
					*call = *a
					s.F32Igemm(call)
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
		for _, side := range []int{3, 5} {
			for _, stride := range []int{1, 2} {
				for _, s := range kernels.Available() {
					b.Run(fmt.Sprintf("rung=%s/c=%d/taps=%d/stride=%d", s.Name, c, side*side, stride), func(b *testing.B) {
						a := dwconvArgs(c, side, stride)
						call := new(ref.DwconvF32)
						for b.Loop() {
							*call = *a
							s.F32Dwconv(call)
						}
						flops(b, 2*a.Pixels*c*side*side)
					})
				}
			}
		}
	}
}

// dwconvArgs returns a row of 20 pixels of a square window.
func dwconvArgs(c, side, stride int) *ref.DwconvF32 {
	const pixels = 20
	taps, width := side*side, (pixels-1)*stride+side
	in, w := ones(side*width*c), ones(ref.PackedDwconvF32Len(taps, c))
	var offsets []int32
	for p := range pixels {
		for t := range taps {
			offsets = append(offsets, int32(4*c*(t/side*width+p*stride+t%side)))
		}
	}
	inf := float32(math.Inf(1))
	return &ref.DwconvF32{
		In: ptr(in), Zero: ptr(in), Offsets: &offsets[0], W: ptr(w), Out: ptr(ones(pixels * c)),
		OutStride: 4 * c, WStride: 4 * ref.DwconvWidth(c), Pixels: pixels, Taps: taps, C: c, Min: -inf, Max: inf,
	}
}

func BenchmarkF32Pool(b *testing.B) {
	for _, side := range []int{2, 3} {
		for _, s := range kernels.Available() {
			for name, f := range map[string]func(*ref.PoolF32){"Max": s.F32MaxPool, "Avg": s.F32AvgPool} {
				b.Run(fmt.Sprintf("rung=%s/op=%s/c=96/taps=%d", s.Name, name, side*side), func(b *testing.B) {
					d := dwconvArgs(96, side, 2)
					a := &ref.PoolF32{
						In: d.In, Offsets: d.Offsets, Scale: &ones(d.Pixels)[0], Out: d.Out, OutStride: d.OutStride,
						Pixels: d.Pixels, Taps: d.Taps, C: d.C,
					}
					call := new(ref.PoolF32)
					for b.Loop() {
						*call = *a
						f(call)
					}
					elements(b, a.Pixels*a.Taps*a.C)
				})
			}
		}
	}
}

// BenchmarkF32Winograd are the transforms before and behind the products, for a
// row of tiles in the middle of a picture of c channels.
func BenchmarkF32Winograd(b *testing.B) {
	const tiles = 14
	inf := float32(math.Inf(1))
	for kind, out := range [kernels.NumWinograd]int{kernels.Winograd2: 2, kernels.Winograd4: 4} {
		in := out + 2
		width := tiles*out + 2
		var pixels, places []int32
		for t := range tiles {
			for i := range in * in {
				pixels = append(pixels, int32(i/in*width+t*out+i%in))
			}
			for i := range out * out {
				places = append(places, int32(i/out*width+t*out+i%out))
			}
		}
		for _, c := range []int{64, 256} {
			for _, s := range kernels.Available() {
				picture, planes, zero := ones(in*width*c), ones(in*in*tiles*c), ones(c)
				b.Run(fmt.Sprintf("rung=%s/op=in/tile=%d/c=%d", s.Name, out, c), func(b *testing.B) {
					a := &ref.WinogradInF32{In: ptr(picture), Zero: ptr(zero), Pixels: &pixels[0], Out: ptr(planes), Work: winogradWork(),
						InStride: 4 * c, OutStride: 4 * c, PlaneStride: 4 * c * tiles, Tiles: tiles, C: c}
					call := new(ref.WinogradInF32)
					for b.Loop() {
						*call = *a
						s.F32WinogradIn[kind](call)
					}
					elements(b, len(pixels)*c)
				})
				b.Run(fmt.Sprintf("rung=%s/op=out/tile=%d/c=%d", s.Name, out, c), func(b *testing.B) {
					a := &ref.WinogradOutF32{In: ptr(planes), Pixels: &places[0], Out: ptr(picture), Spare: ptr(zero), Work: winogradWork(),
						InStride: 4 * c, PlaneStride: 4 * c * tiles, OutStride: 4 * c, Tiles: tiles, C: c, Min: -inf, Max: inf}
					call := new(ref.WinogradOutF32)
					for b.Loop() {
						*call = *a
						s.F32WinogradOut[kind](call)
					}
					elements(b, len(pixels)*c)
				})
			}
		}
	}
}
