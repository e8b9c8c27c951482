package kernels_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

var inf = float32(math.Inf(1))

// gemmCase is one tile of F32Gemm, or of F32Igemm where taps is not zero.
type gemmCase struct {
	m, n, k, taps int
	residual      bool
	lo, hi        float32
	at            place
	nan           bool // put a NaN and infinities into A
}

// gemmBuffers is a case laid out in memory.
type gemmBuffers struct {
	args ref.GemmF32
	rows [][][]float32 // per row and tap, K elements
	w    []float32
	res  []float32
	c    []float32
}

const (
	cPad   = 3 // elements between rows of C and of the residual
	aPad   = 2
	zeroAt = -1
)

func layGemm(mem *memory, r *rand.Rand, c gemmCase, nr int) *gemmBuffers {
	mem.reset()
	taps := max(c.taps, 1)
	b := &gemmBuffers{}
	distinct := c.m
	if c.taps > 0 {
		distinct = c.m + 2
	}
	aStride := c.k + aPad
	a := mem.random(r, max(0, distinct*aStride-aPad), c.at)
	zero := mem.floats(c.k, c.at)
	clear(zero)
	if c.nan && c.k > 0 {
		a[r.IntN(len(a))] = float32(math.NaN())
		a[r.IntN(len(a))] = inf
	}
	offsets := make([]int32, c.m*taps)
	for i := range offsets {
		row := i
		if c.taps > 0 {
			row = r.IntN(distinct+1) - 1
		}
		offsets[i] = int32(row * aStride * 4)
		x := zero
		if row == zeroAt {
			offsets[i] = -1 - r.Int32N(100)
		} else if c.k > 0 {
			x = a[row*aStride:][:c.k]
		}
		if i%taps == 0 {
			b.rows = append(b.rows, nil)
		}
		b.rows[i/taps] = append(b.rows[i/taps], x)
	}
	bias := make([]float32, c.n)
	for i := range bias {
		bias[i] = r.Float32()*2 - 1
	}
	weights := make([]float32, c.k*taps*c.n)
	for i := range weights {
		weights[i] = r.Float32()*2 - 1
	}
	packed := ref.PackGemmF32(ref.Matrix{Data: weights, Taps: 1, K: c.k * taps, N: c.n, Row: c.n, Col: 1}, bias, nr)
	b.w = mem.floats(len(packed), c.at)
	copy(b.w, packed)
	rows := (c.m-1)*(c.n+cPad) + c.n
	b.c = mem.floats(rows, c.at)
	if c.residual {
		b.res = mem.random(r, rows, c.at)
	}
	b.args = ref.GemmF32{
		A: ptr(a), Zero: ptr(zero), Offsets: &offsets[0], W: ptr(b.w), C: ptr(b.c), Res: ptr(b.res),
		AStride: aStride * 4, CStride: (c.n + cPad) * 4, ResStride: (c.n + cPad) * 4,
		M: c.m, N: c.n, K: c.k, Taps: taps, Min: c.lo, Max: c.hi,
	}
	return b
}

// chain computes one element of C as one chain of float32 fused multiply-adds.
func (b *gemmBuffers) chain(m, n, nr int) float32 {
	acc := b.w[n]
	i := 0
	for _, x := range b.rows[m] {
		for _, v := range x {
			i++
			acc = fma32(v, b.w[i*nr+n], acc)
		}
	}
	if b.res != nil {
		acc += b.res[m*b.args.ResStride/4+n]
	}
	if acc < b.args.Min {
		acc = b.args.Min
	}
	if acc > b.args.Max {
		acc = b.args.Max
	}
	return acc
}

// fma32 returns x·y+z rounded once. The product is exact in float64; the sum
// is rounded to odd there, so that the second rounding, to float32, is right.
func fma32(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return float32(s)
	}
	v := s - p
	low := (p - (s - v)) + (c - v)
	if low != 0 && math.Float64bits(s)&1 == 0 {
		toward := math.Inf(1)
		if low < 0 {
			toward = math.Inf(-1)
		}
		s = math.Nextafter(s, toward)
	}
	return float32(s)
}

func runGemm(t *testing.T, mem *memory, r *rand.Rand, s *kernels.Set, c gemmCase) {
	t.Helper()
	b := layGemm(mem, r, c, s.F32NR)
	slot := s.F32Gemm
	if c.taps > 0 {
		slot = s.F32Igemm
	}
	if err := mem.run(func() { slot(&b.args) }); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	for m := range c.m {
		for n := range c.n + cPad {
			i := m*(c.n+cPad) + n
			if n >= c.n {
				if i < len(b.c) && math.Float32bits(b.c[i]) != canary {
					t.Fatalf("%+v: row %d, column %d beyond the tile was written", c, m, n)
				}
				continue
			}
			want := b.chain(m, n, s.F32NR)
			got := b.c[i]
			// Assembly must give the bits of the chain; plain Go rounds
			// its products too, half a unit for each.
			tol := 0.0
			if s.Name == "ref" {
				tol = 6e-8 * float64(c.k*max(1, c.taps)+1)
			}
			if !close32(got, want, tol) {
				t.Fatalf("%+v: C[%d][%d] is %v, want %v", c, m, n, got, want)
			}
		}
	}
}

func TestF32Gemm(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(1, 2))
		for m := 1; m <= 2*s.F32MR+1; m++ {
			for n := 1; n <= s.F32NR; n++ {
				for i, k := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 64, 101} {
					c := gemmCase{m: m, n: n, k: k, lo: -inf, hi: inf, at: place((m + n + i) % int(numPlaces))}
					runGemm(t, mem, r, s, c)
					c.residual, c.at = true, atEnd
					c.lo, c.hi = 0, 0.5
					runGemm(t, mem, r, s, c)
				}
			}
		}
		for at := range numPlaces {
			runGemm(t, mem, r, s, gemmCase{m: s.F32MR, n: s.F32NR, k: 2304, lo: -inf, hi: inf, at: at})
			runGemm(t, mem, r, s, gemmCase{m: s.F32MR, n: s.F32NR - 1, k: 9, lo: -0.25, hi: inf, at: at, nan: true, residual: true})
			runGemm(t, mem, r, s, gemmCase{m: s.F32MR, n: s.F32NR, k: 9, lo: -inf, hi: 0.25, at: at, nan: true})
		}
	})
}

func TestF32Igemm(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(3, 4))
		for m := 1; m <= 2*s.F32MR+1; m++ {
			for _, n := range []int{1, 2, s.F32NR/2 - 1, s.F32NR / 2, s.F32NR - 1, s.F32NR} {
				for _, taps := range []int{1, 2, 3, 4, 9, 25} {
					for i, k := range []int{0, 1, 3, 4, 7, 24, 33} {
						c := gemmCase{m: m, n: n, k: k, taps: taps, lo: -1, hi: 1, at: place((m + n + i) % int(numPlaces))}
						c.residual = (i+taps)%2 == 0
						c.nan = i%3 == 2
						runGemm(t, mem, r, s, c)
					}
				}
			}
		}
	})
}
