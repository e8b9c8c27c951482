package kernels_test

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// against runs two functions by turns and reports the multiplications per
// nanosecond of the best turn of each.
func against(b *testing.B, products int, f32, q8 func()) {
	const calls = 50
	var best [2]time.Duration
	for b.Loop() {
		for i, f := range []func(){f32, q8} {
			start := time.Now()
			for range calls {
				f()
			}
			if d := time.Since(start); best[i] == 0 || d < best[i] {
				best[i] = d
			}
		}
	}
	for i, unit := range []string{"f32-MAC/ns", "q8-MAC/ns"} {
		b.ReportMetric(float64(products*calls)/float64(best[i].Nanoseconds()), unit)
	}
}

// codes returns n bytes, 64-byte aligned, none of them zero.
func codes(n int) []uint8 {
	f := ones((n + 3) / 4)
	b := unsafe.Slice((*uint8)(ptr(f)), n)
	for i := range b {
		b[i] = uint8(1 + i%100)
	}
	return b
}

// q8Args returns the arguments that belong to those of a product of float32.
func q8Args(s *kernels.Set, f *ref.GemmF32) *ref.GemmQ8 {
	elem := 1
	if s.Q8.Wide {
		elem = 2
	}
	w := ref.MatrixQ8{Taps: f.Taps, K: f.K, N: s.Q8.NR}
	offsets := make([]int32, f.M*f.Taps)
	for i := range offsets {
		offsets[i] = int32(i / f.Taps * f.K * elem)
	}
	a, panel, c := codes(f.M*f.K*elem+32), codes(w.PanelLen(s.Q8)), codes(f.M*s.Q8.NR)
	clear(panel[:8*s.Q8.NR]) // bias and scale
	return &ref.GemmQ8{
		A: unsafe.Pointer(&a[0]), ZeroA: unsafe.Pointer(&a[0]), Offsets: &offsets[0], W: unsafe.Pointer(&panel[0]), C: unsafe.Pointer(&c[0]),
		AStride: f.K * elem, CStride: s.Q8.NR, M: f.M, N: s.Q8.NR, K: f.K, Taps: f.Taps, Max: 255,
	}
}

// BenchmarkQ8Gemm compares two full tiles of 8-bit numbers with the same rows of
// float32. Where the columns of a panel differ, so do the products.
func BenchmarkQ8Gemm(b *testing.B) {
	for _, s := range kernels.Available() {
		for _, k := range []int{24, 64, 128, 256, 512} {
			b.Run(fmt.Sprintf("rung=%s/k=%d", s.Name, k), func(b *testing.B) { benchQ8Gemm(b, s, 2*s.Q8.MR, k, 1) })
		}
		for _, m := range []int{1, 2, 3, 4, 5, 49} {
			b.Run(fmt.Sprintf("rung=%s/k=128/m=%d", s.Name, m), func(b *testing.B) { benchQ8Gemm(b, s, m, 128, 1) })
		}
		for _, k := range []int{3, 16, 64} {
			b.Run(fmt.Sprintf("rung=%s/k=%d/taps=9", s.Name, k), func(b *testing.B) { benchQ8Gemm(b, s, 2*s.Q8.MR, k, 9) })
		}
	}
}

func benchQ8Gemm(b *testing.B, s *kernels.Set, m, k, taps int) {
	f := gemmArgs(s, m, k, taps)
	q := q8Args(s, f)
	// A panel of float32 may have other columns than one of 8-bit numbers.
	f.N = min(f.N, q.N)
	q.N = f.N
	f32, q8 := s.F32Gemm, s.Q8Gemm
	if taps > 1 {
		f32, q8 = s.F32Igemm, s.Q8Igemm
	}
	callF32, callQ8 := new(ref.GemmF32), new(ref.GemmQ8)
	against(b, m*q.N*k*taps, func() { *callF32 = *f; f32(callF32) }, func() { *callQ8 = *q; q8(callQ8) })
}

// BenchmarkQ8Dwconv compares a run of pixels of 8-bit numbers with one of
// float32.
func BenchmarkQ8Dwconv(b *testing.B) {
	for _, s := range kernels.Available() {
		for _, c := range []int{32, 48, 96, 192} {
			for _, window := range [][2]int{{3, 1}, {3, 2}, {5, 1}} {
				side, stride := window[0], window[1]
				b.Run(fmt.Sprintf("rung=%s/c=%d/taps=%d/stride=%d", s.Name, c, side*side, stride), func(b *testing.B) {
					f := dwconvArgs(c, side, stride)
					width := (f.Pixels-1)*stride + side
					offsets := make([]int32, f.Pixels*f.Taps)
					for i, o := range unsafe.Slice(f.Offsets, len(offsets)) {
						offsets[i] = o / 4
					}
					in, w, out := codes(side*width*c+ref.Q8Slack), codes(ref.PackedDwconvQ8Len(f.Taps, c, s.Q8DwconvGroup)), codes(f.Pixels*c)
					clear(w[:8*ref.DwconvWidth(c)])
					q := &ref.DwconvQ8{
						In: unsafe.Pointer(&in[0]), ZeroA: unsafe.Pointer(&in[0]), Offsets: &offsets[0], W: unsafe.Pointer(&w[0]),
						Out: unsafe.Pointer(&out[0]), OutStride: c, Pixels: f.Pixels, Taps: f.Taps, C: c, Max: 255,
					}
					callF32, callQ8 := new(ref.DwconvF32), new(ref.DwconvQ8)
					against(b, f.Pixels*f.Taps*c, func() { *callF32 = *f; s.F32Dwconv(callF32) }, func() { *callQ8 = *q; s.Q8Dwconv(callQ8) })
				})
			}
		}
	}
}
