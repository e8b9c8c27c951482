package kernels_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// windowCase is one run of output pixels.
type windowCase struct {
	pixels, taps, c int
	at              place
	nan             bool
}

// windowCases covers every number of channels around the blocks that any
// rung uses, and every number of taps up to 5x5.
func windowCases() []windowCase {
	var cases []windowCase
	for c := 1; c <= 67; c++ {
		cases = append(cases, windowCase{3, 9, c, place(c % int(numPlaces)), c%5 == 0}, windowCase{1, 2, c, atEnd, false})
	}
	for taps := 1; taps <= 25; taps++ {
		cases = append(cases, windowCase{2, taps, 37, atEnd, false}, windowCase{5, taps, 8, oddStart, taps%2 == 0})
	}
	return append(cases,
		windowCase{1, 9, 576, atEnd, false}, windowCase{4, 25, 193, atStart, true},
		windowCase{1, 49, 1280, atEnd, false}, windowCase{64, 1, 16, atEnd, false}, windowCase{0, 9, 16, atEnd, false})
}

// layWindow returns input pixels, the offset table and the output of a case.
// Every output pixel has at least one tap inside the image.
func layWindow(mem *memory, r *rand.Rand, c windowCase) (in []float32, offsets []int32, out []float32) {
	const inputs = 6
	mem.reset()
	in = mem.random(r, inputs*(c.c+aPad)-aPad, c.at)
	if c.nan {
		for range 3 {
			in[r.IntN(len(in))] = float32(math.NaN())
		}
		in[r.IntN(len(in))] = -inf
		in[r.IntN(len(in))] = inf
	}
	offsets = make([]int32, c.pixels*c.taps+1)
	for i := range offsets {
		offsets[i] = int32(r.IntN(inputs) * (c.c + aPad) * 4)
		if i%c.taps != 0 && r.IntN(3) == 0 {
			offsets[i] = -1 - r.Int32N(1000)
		}
	}
	return in, offsets, mem.floats(max(0, c.pixels*(c.c+cPad)-cPad), c.at)
}

// compareWindow runs a slot and ref on copies of the same arguments.
func compareWindow(t *testing.T, mem *memory, c windowCase, out []float32, run func(out []float32, isRef bool), tol float64) {
	t.Helper()
	want := make([]float32, len(out))
	copy(want, out)
	if err := mem.run(func() { run(out, false) }); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	run(want, true)
	if err := differ(out, want, tol); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	for i := range out {
		if i%(c.c+cPad) >= c.c && math.Float32bits(out[i]) != canary {
			t.Fatalf("%+v: element %d between output pixels was written", c, i)
		}
	}
}

// runDwconv compares a rung with ref, with and without limits.
func runDwconv(t *testing.T, mem *memory, r *rand.Rand, s *kernels.Set, c windowCase, in []float32, offsets []int32, out []float32) {
	t.Helper()
	zero := mem.floats(c.c, c.at)
	clear(zero)
	bias := make([]float32, c.c)
	for i := range bias {
		bias[i] = r.Float32()*2 - 1
	}
	w := mem.floats(ref.PackedDwconvF32Len(c.taps, c.c), c.at)
	ref.PackDwconvF32(w, func(int, int) float32 { return r.Float32()*2 - 1 }, bias, c.taps, c.c)
	a := ref.DwconvF32{
		In: ptr(in), Zero: ptr(zero), Offsets: &offsets[0], W: ptr(w),
		OutStride: 4 * (c.c + cPad), WStride: 4 * ref.DwconvWidth(c.c),
		Pixels: c.pixels, Taps: c.taps, C: c.c, Min: -inf, Max: inf,
	}
	if r.IntN(2) == 0 {
		a.Min, a.Max = -0.5, 0.75
	}
	compareWindow(t, mem, c, out, func(out []float32, isRef bool) {
		a.Out = ptr(out)
		if isRef {
			ref.F32Dwconv(&a)
		} else {
			s.F32Dwconv(&a)
		}
	}, 1.2e-7*float64(c.taps+1))
}

func TestF32Dwconv(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(5, 6))
		for _, c := range windowCases() {
			in, offsets, out := layWindow(mem, r, c)
			runDwconv(t, mem, r, s, c, in, offsets, out)
		}
	})
}

// image is a small image with a padded window that moves over it.
type image struct{ h, w, side, stride int }

// offsets returns the table of all output pixels, in bytes for pixels of
// pitch elements.
func (im image) offsets(pitch int) []int32 {
	pad := im.side / 2
	var table []int32
	for y := 0; y < im.h; y += im.stride {
		for x := 0; x < im.w; x += im.stride {
			for t := range im.side * im.side {
				i, j := y+t/im.side-pad, x+t%im.side-pad
				if i < 0 || j < 0 || i >= im.h || j >= im.w {
					table = append(table, -1)
				} else {
					table = append(table, int32(4*pitch*(i*im.w+j)))
				}
			}
		}
	}
	return table
}

// TestF32DwconvImage runs windows that overlap from pixel to pixel, as rungs
// may use, over parts of rows and across their ends.
func TestF32DwconvImage(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(19, 20))
		for _, im := range []image{{5, 9, 3, 1}, {5, 17, 3, 2}, {5, 9, 5, 1}, {5, 17, 5, 2}, {5, 12, 3, 3}, {3, 4, 7, 1}, {2, 2, 13, 1}} {
			for i, channels := range []int{1, 3, 8, 15, 16, 17, 24, 37, 51} {
				table := im.offsets(channels + aPad)
				taps := im.side * im.side
				for pixels := 1; pixels <= min(len(table)/taps, 18); pixels++ {
					mem.reset()
					c := windowCase{pixels: pixels, taps: taps, c: channels, at: place((i + pixels) % int(numPlaces))}
					in := mem.random(r, im.h*im.w*(channels+aPad)-aPad, c.at)
					out := mem.floats(pixels*(channels+cPad)-cPad, c.at)
					offsets := unsafe.Slice((*int32)(ptr(mem.floats(pixels*taps, atEnd))), pixels*taps)
					copy(offsets, table[r.IntN(len(table)/taps-pixels+1)*taps:])
					if pixels%3 == 0 {
						// Overlapping but for one tap.
						offsets[r.IntN(pixels*taps)] = int32(4 * (channels + aPad) * r.IntN(im.h*im.w))
					}
					runDwconv(t, mem, r, s, c, in, offsets, out)
				}
			}
		}
	})
}

func TestF32Pools(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(7, 8))
		for _, c := range windowCases() {
			for _, average := range []bool{false, true} {
				in, offsets, out := layWindow(mem, r, c)
				scale := mem.random(r, c.pixels, c.at)
				a := ref.PoolF32{
					In: ptr(in), Offsets: &offsets[0],
					OutStride: 4 * (c.c + cPad), Pixels: c.pixels, Taps: c.taps, C: c.c,
				}
				slot, truth, tol := s.F32MaxPool, ref.F32MaxPool, 0.0
				if average {
					slot, truth, tol = s.F32AvgPool, ref.F32AvgPool, 1.2e-7*float64(c.taps)
					if c.pixels > 0 {
						a.Scale = &scale[0]
					}
				}
				compareWindow(t, mem, c, out, func(out []float32, isRef bool) {
					a.Out = ptr(out)
					if isRef {
						truth(&a)
					} else {
						slot(&a)
					}
				}, tol)
			}
		}
	})
}
