package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// lengths covers every remainder of the loops of any rung, primes, and calls
// that are cut in pieces.
func lengths() []int {
	var n []int
	for i := range 67 {
		n = append(n, i)
	}
	return append(n, 97, 127, 128, 129, 1009, 16383, 16384, 16385, 40009)
}

var special = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, inf, -inf, float32(math.NaN()),
	math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -1e-40, 88.7, -87.4, -103.9, 3, -3,
}

// mixed fills f with numbers of all sizes and some special ones.
func mixed(r *rand.Rand, f []float32) {
	for i := range f {
		switch r.IntN(8) {
		case 0:
			f[i] = special[r.IntN(len(special))]
		case 1:
			f[i] = float32(math.Ldexp(r.Float64()*2-1, r.IntN(40)-20))
		default:
			f[i] = r.Float32()*16 - 8
		}
	}
}

// unaryCase is an elementwise function with its truth in float64.
type unaryCase struct {
	slot  kernels.Unary
	p, q  float32
	truth func(x, p, q float64) float64
	// exact asks for the bits of truth rounded to float32, otherwise the
	// error is at most relative, or absolute where that is more.
	exact              bool
	relative, absolute float64
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// limit is min(max(x, lo), hi) with NaN kept.
func limit(x, lo, hi float64) float64 { return math.Min(math.Max(x, lo), hi) }

func unaryCases() []unaryCase {
	leaky := func(x, p, _ float64) float64 {
		if x < 0 {
			return p * x
		}
		return x
	}
	sigmoid := func(x, _, _ float64) float64 { return logistic(x) }
	silu := func(x, p, _ float64) float64 { return x * logistic(p*x) }
	hardSigmoid := func(x, p, q float64) float64 { return limit(p*x+q, 0, 1) }
	hardSwish := func(x, p, q float64) float64 { return x * limit(p*x+q, 0, 1) }
	tanh := func(x, _, _ float64) float64 { return math.Tanh(x) }
	exp := func(x, _, _ float64) float64 { return math.Exp(x) }
	affine := func(x, p, q float64) float64 { return float64(float32(p*x)) + q }
	return []unaryCase{
		{slot: kernels.Clamp, p: 0, q: 6, truth: limit, exact: true},
		{slot: kernels.Clamp, p: -inf, q: 1, truth: limit, exact: true},
		{slot: kernels.Clamp, p: -0.5, q: inf, truth: limit, exact: true},
		{slot: kernels.LeakyRelu, p: 0.1, truth: leaky, exact: true},
		{slot: kernels.LeakyRelu, p: -2, truth: leaky, exact: true},
		{slot: kernels.Sigmoid, truth: sigmoid, relative: 1e-6, absolute: 1e-37},
		{slot: kernels.SiLU, p: 1, truth: silu, relative: 1e-6, absolute: 1e-7},
		{slot: kernels.SiLU, p: 1.702, truth: silu, relative: 1e-6, absolute: 1e-7},
		{slot: kernels.HardSigmoid, p: 0.2, q: 0.5, truth: hardSigmoid, absolute: 2e-7},
		{slot: kernels.HardSwish, p: 1. / 6, q: 0.5, truth: hardSwish, relative: 2e-7, absolute: 4e-7},
		{slot: kernels.Tanh, truth: tanh, relative: 1e-6},
		{slot: kernels.Exp, truth: exp, relative: 2.4e-7, absolute: 2.9e-45},
		{slot: kernels.Erf, truth: func(x, _, _ float64) float64 { return math.Erf(x) }, relative: 4e-7, absolute: 1e-42},
		{slot: kernels.Gelu, truth: func(x, _, _ float64) float64 { return .5 * x * (1 + math.Erf(x/math.Sqrt2)) }, relative: 6e-7, absolute: 1.5e-6},
		{slot: kernels.Affine, p: -1.7, q: 0.3, truth: affine, exact: true},
	}
}

// check compares one result with the truth.
func (c unaryCase) check(x, got float32) error {
	want := c.truth(float64(x), float64(c.p), float64(c.q))
	w := float32(want)
	switch {
	case got == w, got != got && w != w:
		return nil
	case c.exact, got != got, w != w:
	case math.IsInf(float64(w), 0) || math.IsInf(float64(got), 0):
		// Only around the largest number may they differ.
		if math.Abs(math.Abs(want)/math.MaxFloat32-1) <= c.relative {
			return nil
		}
	case math.Abs(float64(got)-want) <= max(c.absolute, c.relative*math.Abs(want)):
		return nil
	}
	return fmt.Errorf("f(%v) with p %v, q %v is %v, want %v", x, c.p, c.q, got, want)
}

func TestF32Unary(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(9, 10))
		for _, c := range unaryCases() {
			for i, n := range lengths() {
				for _, inPlace := range []bool{false, true} {
					mem.reset()
					at := place(i % int(numPlaces))
					dst := mem.floats(n, at)
					src := dst
					if !inPlace {
						src = mem.floats(n, atEnd)
					}
					mixed(r, src)
					x := append([]float32(nil), src...)
					if err := mem.run(func() { s.F32Unary[c.slot](dst, src, c.p, c.q) }); err != nil {
						t.Fatalf("slot %d, %d elements, in place %v: %v", c.slot, n, inPlace, err)
					}
					for i := range x {
						if err := c.check(x[i], dst[i]); err != nil {
							t.Fatalf("slot %d, element %d of %d: %v", c.slot, i, n, err)
						}
					}
				}
			}
		}
	})
}

// TestF32UnarySweep samples all float32 numbers.
func TestF32UnarySweep(t *testing.T) {
	const step = 8191
	var src []float32
	for bits := uint64(0); bits < 1<<32; bits += step {
		src = append(src, math.Float32frombits(uint32(bits)))
	}
	for x := float32(-110); x < 110; x += 0.00097 {
		src = append(src, x)
	}
	dst := make([]float32, len(src))
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		for _, c := range unaryCases() {
			s.F32Unary[c.slot](dst, src, c.p, c.q)
			for i, x := range src {
				if err := c.check(x, dst[i]); err != nil {
					t.Errorf("slot %d: %v", c.slot, err)
					break
				}
			}
		}
	})
}

func TestF32Binary(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(11, 12))
		truth := kernels.Ref()
		for op := range kernels.NumBinary {
			for i, n := range lengths() {
				for alias := range 3 { // dst apart, dst is a, dst is b
					mem.reset()
					a, b := mem.floats(n, atEnd), mem.floats(n, place(i%int(numPlaces)))
					mixed(r, a)
					mixed(r, b)
					dst := [][]float32{nil, a, b}[alias]
					if alias == 0 {
						dst = mem.floats(n, place((i+1)%int(numPlaces)))
					}
					want, wantScalar := make([]float32, n), make([]float32, n)
					truth.F32Binary[op](want, a, b)
					scalar := special[i%len(special)]
					truth.F32BinaryScalar[op](wantScalar, a, scalar)
					keep := append([]float32(nil), a...)

					err := mem.run(func() { s.F32Binary[op](dst, a, b) })
					if err == nil {
						err = differ(dst, want, 0)
					}
					if err != nil {
						t.Fatalf("op %d, %d elements, alias %d: %v", op, n, alias, err)
					}
					copy(a, keep)
					err = mem.run(func() { s.F32BinaryScalar[op](dst, a, scalar) })
					if err == nil {
						err = differ(dst, wantScalar, 0)
					}
					if err != nil {
						t.Fatalf("op %d with %v, %d elements, alias %d: %v", op, scalar, n, alias, err)
					}
				}
			}
		}
	})
}

func TestF32Lerp(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(13, 14))
		for i, n := range lengths() {
			for alias := range 3 {
				mem.reset()
				a, b := mem.random(r, n, atEnd), mem.random(r, n, place(i%int(numPlaces)))
				dst := [][]float32{nil, a, b}[alias]
				if alias == 0 {
					dst = mem.floats(n, oddStart)
				}
				want := make([]float32, n)
				f := r.Float32()
				ref.F32Lerp(want, a, b, f)
				err := mem.run(func() { s.F32Lerp(dst, a, b, f) })
				if err == nil {
					err = differ(dst, want, 2.4e-7)
				}
				if err != nil {
					t.Fatalf("%d elements, alias %d: %v", n, alias, err)
				}
			}
		}
	})
}

// TestF32Norm has the sum and the slope or not; the result may replace either
// operand of the sum.
func TestF32Norm(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(17, 18))
		for i, n := range lengths() {
			for mode := range 12 {
				mem.reset()
				draw := func(at place) []float32 {
					f := mem.floats(n, at)
					mixed(r, f)
					return f
				}
				a, scale, shift := draw(atEnd), draw(atEnd), draw(place(i%int(numPlaces)))
				var sum, slope []float32
				if mode&1 != 0 {
					sum = draw(atEnd)
				}
				if mode&2 != 0 {
					slope = draw(place((i + 1) % int(numPlaces)))
				}
				dst := [][]float32{nil, a, sum}[mode>>2]
				if dst == nil {
					dst = mem.floats(n, oddStart)
				}
				want := make([]float32, n)
				ref.F32Norm(want, a, sum, scale, shift, slope)
				err := mem.run(func() { s.F32Norm(dst, a, sum, scale, shift, slope) })
				if err == nil {
					err = differ(dst, want, 0)
				}
				if err != nil {
					t.Fatalf("%d elements, mode %d: %v", n, mode, err)
				}
			}
		}
	})
}

// TestF32ZipAndEven interleaves rows, with every bit of a NaN, and takes every
// other element; sources and results end with the last element, and the gaps
// between rows of the result stay as they are.
func TestF32ZipAndEven(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		mark := func(i int) float32 { return math.Float32frombits(0x7fa00000 + uint32(i)) }
		check := func(what string, dst []float32, row, n, dstRow int, want func(r, i int) float32) {
			t.Helper()
			for at, v := range dst {
				w := float32(-1)
				if r, i := at/dstRow, at%dstRow; i < row {
					w = want(r, i)
				}
				if math.Float32bits(v) != math.Float32bits(w) {
					t.Fatalf("%s of %d: element %d is %#x, want %#x", what, n, at, math.Float32bits(v), math.Float32bits(w))
				}
			}
		}
		for i, n := range lengths()[1:] {
			for _, rows := range []int{1, 2, 5} {
				if rows > 1 && rows*n > 40000 {
					continue // more than the test's memory holds
				}
				mem.reset()
				dstRow, srcRow, gap := 2*n+i%3, 2*n+i%5, n+i%2
				src := mem.floats((rows-1)*srcRow+max(gap+n, 2*n-1), atEnd)
				for j := range src {
					src[j] = mark(j)
				}
				fill := func(row int) []float32 {
					dst := mem.floats((rows-1)*dstRow+row, place((i+rows)%int(numPlaces)))
					for j := range dst {
						dst[j] = -1
					}
					return dst
				}
				dst := fill(2 * n)
				if err := mem.run(func() { s.F32Zip(dst, src[:(rows-1)*srcRow+gap+n], n, rows, dstRow, srcRow, gap) }); err != nil {
					t.Fatalf("%d rows of %d: %v", rows, n, err)
				}
				check("zip", dst, 2*n, n, dstRow, func(r, i int) float32 { return mark(r*srcRow + i%2*gap + i/2) })
				end := (rows-1)*srcRow + 2*n - 1
				src, dst = src[len(src)-end:], fill(n)
				first := math.Float32bits(src[0]) - 0x7fa00000
				if err := mem.run(func() { s.F32Even(dst, src, n, rows, dstRow, srcRow) }); err != nil {
					t.Fatalf("every other of %d rows of %d: %v", rows, n, err)
				}
				check("every other", dst, n, n, dstRow, func(r, i int) float32 { return mark(int(first) + r*srcRow + 2*i) })
			}
		}
	})
}

func TestF32Max(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(15, 16))
		check := func(a []float32, want float32) {
			t.Helper()
			var got float32
			err := mem.run(func() { got = s.F32Max(a) })
			if err != nil || !close32(got, want, 0) {
				t.Fatalf("%d elements: %v, %v, want %v", len(a), got, err, want)
			}
		}
		for _, n := range lengths()[1:] {
			mem.reset()
			a := mem.floats(n, atEnd)
			for i := range a {
				a[i] = -1 - r.Float32()
			}
			for range 3 {
				i := r.IntN(n)
				old := a[i]
				a[i] = -0.5
				check(a, -0.5)
				a[i] = float32(math.NaN())
				check(a, a[i])
				a[i] = old
			}
			for i := range a {
				a[i] = -inf
			}
			check(a, -inf)
			a[n-1] = inf
			check(a, inf)
		}
	})
}

func TestF32ExpSum(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(17, 18))
		for i, n := range lengths() {
			for _, inPlace := range []bool{false, true} {
				mem.reset()
				src := mem.random(r, n, atEnd)
				dst := src
				if !inPlace {
					dst = mem.floats(n, place(i%int(numPlaces)))
				}
				for j := range src {
					src[j] *= 20
				}
				const shift = 19.5
				want := make([]float32, n)
				wantSum := ref.F32ExpSum(want, src, shift)
				var sum float32
				err := mem.run(func() { sum = s.F32ExpSum(dst, src, shift) })
				if err == nil {
					err = differ(dst, want, 2.4e-7)
				}
				if err != nil || math.Abs(float64(sum-wantSum)) > 1e-5*float64(wantSum) {
					t.Fatalf("%d elements, in place %v: sum %v, want %v: %v", n, inPlace, sum, wantSum, err)
				}
			}
		}
		var out [3]float32
		if sum := s.F32ExpSum(out[:], []float32{0, -inf, 0}, 0); sum != 2 || out[1] != 0 {
			t.Errorf("exp of 0, -Inf, 0 is %v with sum %v, want 1, 0, 1 with sum 2", out, sum)
		}
		if sum := s.F32ExpSum(out[:], []float32{0, float32(math.NaN()), 0}, 0); sum == sum || out[0] != 1 {
			t.Errorf("exp of 0, NaN, 0 is %v with sum %v, want 1, NaN, 1 with sum NaN", out, sum)
		}
	})
}
