//go:build !noasm

package arm64_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/kernels/arm64"
	"github.com/edgecam/edgecam/kernels/ref"
)

// windows are large enough to be split into several calls: by pixels, by
// channels, by both.
var windows = []struct{ pixels, taps, c int }{
	{100, 9, 512}, {3, 49, 1283}, {1, 4096, 37}, {9, 25, 2000}, {5, 33000, 17},
}

func TestSplitWindows(t *testing.T) {
	for _, w := range windows {
		t.Run(fmt.Sprintf("%dx%dx%d", w.pixels, w.taps, w.c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(w.pixels), uint64(w.c)))
			const rows = 50
			in, zero := random(r, rows*w.c), make([]float32, w.c)
			offsets := make([]int32, w.pixels*w.taps)
			for i := range offsets {
				offsets[i] = int32((r.IntN(rows+1) - 1) * w.c * 4)
			}
			for p := range w.pixels { // a window has one tap inside the image
				offsets[p*w.taps] = 0
			}
			width := ref.DwconvWidth(w.c)
			weights := random(r, (w.taps+1)*width)
			scale := random(r, w.pixels)
			got, want := make([]float32, w.pixels*w.c), make([]float32, w.pixels*w.c)

			dw := ref.DwconvF32{
				In: unsafe.Pointer(&in[0]), Zero: unsafe.Pointer(&zero[0]), Offsets: &offsets[0],
				W: unsafe.Pointer(&weights[0]), Out: unsafe.Pointer(&got[0]), OutStride: 4 * w.c, WStride: 4 * width,
				Pixels: w.pixels, Taps: w.taps, C: w.c, Min: -5, Max: 5,
			}
			arm64.F32Dwconv(&dw)
			dw.Out = unsafe.Pointer(&want[0])
			ref.F32Dwconv(&dw)
			same(t, "F32Dwconv", got, want, 1e-6*float64(w.taps))

			pool := ref.PoolF32{
				In: unsafe.Pointer(&in[0]), Offsets: &offsets[0], Scale: &scale[0],
				Out: unsafe.Pointer(&got[0]), OutStride: 4 * w.c, Pixels: w.pixels, Taps: w.taps, C: w.c,
			}
			arm64.F32MaxPool(&pool)
			pool.Out = unsafe.Pointer(&want[0])
			ref.F32MaxPool(&pool)
			same(t, "F32MaxPool", got, want, 0)

			ref.F32AvgPool(&pool)
			pool.Out = unsafe.Pointer(&got[0])
			arm64.F32AvgPool(&pool)
			same(t, "F32AvgPool", got, want, 0)
		})
	}
}

// TestNarrowTilesStayOnTheStack: a tile of few columns needs a copy, which
// must not be allocated.
func TestNarrowTilesStayOnTheStack(t *testing.T) {
	x := random(rand.New(rand.NewPCG(1, 1)), 256)
	offsets := make([]int32, 8)
	a := ref.GemmF32{
		A: unsafe.Pointer(&x[0]), Zero: unsafe.Pointer(&x[0]), Offsets: &offsets[0], W: unsafe.Pointer(&x[0]),
		C: unsafe.Pointer(&make([]float32, 64)[0]), Res: unsafe.Pointer(&x[0]),
		CStride: 32, ResStride: 32, M: 8, N: 3, K: 5, Taps: 1,
	}
	for name, f := range map[string]func(*ref.GemmF32){"F32Gemm": arm64.F32Gemm, "F32Igemm": arm64.F32Igemm} {
		if n := testing.AllocsPerRun(10, func() { f(&a) }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = r.Float32()*2 - 1
	}
	return x
}

func same(t *testing.T, name string, got, want []float32, tol float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i])-float64(want[i])) <= tol) {
			t.Fatalf("%s: element %d is %v, want %v", name, i, got[i], want[i])
		}
	}
}
