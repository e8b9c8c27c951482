package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// guards hands out buffers of bytes that touch inaccessible pages and whose
// other surroundings hold a pattern.
type guards struct {
	regions [][]byte
	used    [][2]int // from and to of the buffers in regions
}

const (
	guardSize = 1 << 19
	guardBand = 256
)

func newGuards(t testing.TB) *guards {
	g := &guards{}
	for range 4 {
		g.regions = append(g.regions, newRegion(t, guardSize))
	}
	return g
}

// pattern is what byte i of a guard band holds.
func pattern(i int) byte { return byte(i*167 + 91) }

// bytes returns the next buffer, of pattern bytes; reset takes all back.
func (g *guards) bytes(n int, at place) []byte { return g.next(n, at, 1) }

// next is bytes for elements of size bytes.
func (g *guards) next(n int, at place, size int) []byte {
	m := g.regions[len(g.used)]
	from := [...]int{atStart: 0, oddStart: size, atEnd: len(m) - n}[at]
	g.used = append(g.used, [2]int{from, from + n})
	for i := max(0, from-guardBand); i < min(len(m), from+n+guardBand); i++ {
		m[i] = pattern(i)
	}
	return m[from : from+n : from+n]
}

func (g *guards) floats(n int, at place) []float32 {
	b := g.next(4*n, at, 4)
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

func (g *guards) reset() { g.used = g.used[:0] }

// run calls f and returns an error where it touches memory around the buffers.
func (g *guards) run(f func()) error {
	if err := guarded(f); err != nil {
		return err
	}
	for b, u := range g.used {
		m := g.regions[b]
		for i := max(0, u[0]-guardBand); i < min(len(m), u[1]+guardBand); i++ {
			if (i < u[0] || i >= u[1]) && m[i] != pattern(i) {
				return fmt.Errorf("buffer %d of %d bytes: byte %d was written", b, u[1]-u[0], i-u[0])
			}
		}
	}
	return nil
}

// u8Lengths covers every remainder of any loop, primes, all pairs of bytes and
// calls that are cut in pieces.
func u8Lengths() []int {
	n := []int{127, 251, 257, 1009, 4093, 16384 + 77, 32768 + 5, 1 << 16, 1<<16 + 1}
	for i := range 71 {
		n = append(n, i)
	}
	return n
}

// pairsU8 fills a and b: with all pairs where there is room, otherwise at random
// with many extremes.
func pairsU8(r *rand.Rand, a, b []byte) {
	for i := range a {
		switch {
		case len(a) >= 1<<16:
			a[i], b[i] = byte(i), byte(i>>8)
		case r.IntN(4) == 0:
			a[i], b[i] = [...]byte{0, 1, 127, 128, 255}[r.IntN(5)], [...]byte{0, 1, 127, 128, 255}[r.IntN(5)]
		default:
			a[i], b[i] = byte(r.Uint32()), byte(r.Uint32())
		}
	}
}

// quantized is round(limit(f, lo, hi)) + zero for a float32 number, half to even.
func quantized(f float64, lo, hi float32, zero int32) byte {
	f = math.Min(math.Max(f, float64(lo)), float64(hi))
	whole := math.Floor(f)
	if d := f - whole; d > 0.5 || d == 0.5 && math.Mod(whole, 2) != 0 {
		whole++
	}
	return byte(int(whole) + int(zero))
}

// f32 rounds to float32; one operation on float32 numbers in float64 and this
// give what the operation in float32 gives.
func f32(x float64) float64 { return float64(float32(x)) }

// binaryU8Cases are scales and zero points, with ties, nothing left of a, and
// all clamped; the bounds are those of a byte or of an activation.
func binaryU8Cases() []ref.BinaryU8 {
	var cases []ref.BinaryU8
	for i, s := range [][2]float32{
		{0.5, 0.5}, {0.5, 0.25}, {1, 1}, {-0.5, 1}, {0.0123, 1.7}, {1.0 / 255, 1.0 / 255}, {3.1e-5, 0.9999999},
		{1e30, 2e30}, {-1e30, 1e-30}, {1e-44, 1e-30}, {0, 0}, {0.003921569, 117.3},
	} {
		for j, z := range [][3]int32{{0, 0, 0}, {128, 128, 128}, {255, 0, 255}, {7, 211, 0}} {
			c := ref.BinaryU8{A: s[0], B: s[1], ZeroA: z[0], ZeroB: z[1], Zero: z[2]}
			c.Min, c.Max = float32(-z[2]), float32(255-z[2])
			if (i+j)%3 == 0 {
				c.Min, c.Max = max(c.Min, 0), min(c.Max, 6/0.0473)
			}
			cases = append(cases, c)
		}
	}
	return cases
}

func TestU8Binary(t *testing.T) {
	add := func(x, y int32, p *ref.BinaryU8) float64 {
		return f32(f32(float64(x)*float64(p.A)) + f32(float64(y)*float64(p.B)))
	}
	mul := func(x, y int32, p *ref.BinaryU8) float64 { return f32(float64(x*y) * float64(p.A)) }
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		g, r := newGuards(t), rand.New(rand.NewPCG(51, 52))
		run := func(name string, slot func(dst, a, b []uint8, p *ref.BinaryU8), truth func(x, y int32, p *ref.BinaryU8) float64, n, alias int, p ref.BinaryU8) {
			g.reset()
			a, b := g.bytes(n, atEnd), g.bytes(n, place(n%int(numPlaces)))
			pairsU8(r, a, b)
			if alias == 3 {
				b = a
			}
			dst := [][]byte{nil, a, b, a}[alias]
			if alias == 0 {
				dst = g.bytes(n, place((n+1)%int(numPlaces)))
			}
			want := make([]byte, n)
			for i := range want {
				want[i] = quantized(truth(int32(a[i])-p.ZeroA, int32(b[i])-p.ZeroB, &p), p.Min, p.Max, p.Zero)
			}
			x, y, args := slices.Clone(a), slices.Clone(b), p
			if err := g.run(func() { slot(dst, a, b, &args) }); err != nil {
				t.Fatalf("%s, %d elements, alias %d: %v", name, n, alias, err)
			}
			for i := range want {
				if dst[i] != want[i] {
					t.Fatalf("%s, alias %d, element %d of %d: %d and %d with %+v give %d, want %d", name, alias, i, n, x[i], y[i], p, dst[i], want[i])
				}
			}
		}
		cases := binaryU8Cases()
		for i, n := range u8Lengths() {
			for alias := range 4 {
				p := cases[(i*4+alias)%len(cases)]
				run("add", s.U8Add, add, n, alias, p)
				run("mul", s.U8Mul, mul, n, alias, p)
			}
		}
		for _, p := range cases {
			run("add", s.U8Add, add, 1<<16, 0, p)
			run("mul", s.U8Mul, mul, 1<<16, 0, p)
		}
	})
}

func TestU8Table(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		g, r := newGuards(t), rand.New(rand.NewPCG(53, 54))
		for i, n := range u8Lengths() {
			for _, inPlace := range []bool{false, true} {
				g.reset()
				var table [256]uint8
				for j := range table {
					table[j] = byte(r.Uint32())
				}
				src := g.bytes(n, atEnd)
				dst := src
				if !inPlace {
					dst = g.bytes(n, place(i%int(numPlaces)))
				}
				pairsU8(r, src, make([]byte, n))
				if n >= 257 {
					for j := range 256 {
						src[j] = byte(255 - j)
					}
				}
				x := slices.Clone(src)
				if err := g.run(func() { s.U8Table(dst, src, &table) }); err != nil {
					t.Fatalf("%d elements, in place %v: %v", n, inPlace, err)
				}
				for j := range x {
					if dst[j] != table[x[j]] {
						t.Fatalf("element %d of %d, in place %v: %d gives %d, want %d", j, n, inPlace, x[j], dst[j], table[x[j]])
					}
				}
			}
		}
	})
}

var zerosU8 = []int32{0, 1, 114, 128, 255}

var scalesU8 = []float32{1, 0.5, 2, 0.1, 0.0078431377, 1.0 / 255, 0.003921569, 3.7e-5, 1e-38, 1e-42, 1e30, 3e38, 47.11}

// quantizable fills x with numbers around every step and tie of a scale, and
// others of all sizes, with NaN and infinities.
func quantizable(r *rand.Rand, x []float32, scale float32) {
	for i := range x {
		switch r.IntN(4) {
		case 0:
			x[i] = special[r.IntN(len(special))]
		case 1:
			x[i] = float32((float64(r.IntN(600)-300) + 0.5) * float64(scale))
		case 2:
			x[i] = math.Nextafter32(float32((float64(r.IntN(600)-300)+0.5)*float64(scale)), inf*float32(1-2*r.IntN(2)))
		default:
			x[i] = float32(r.NormFloat64() * 100 * float64(scale))
		}
	}
}

func TestF32ToU8(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		g, r := newGuards(t), rand.New(rand.NewPCG(55, 56))
		check := func(n int, scale float32, zero int32) {
			g.reset()
			src, dst := g.floats(n, atEnd), g.bytes(n, place(n%int(numPlaces)))
			quantizable(r, src, scale)
			if err := g.run(func() { s.F32ToU8(dst, src, scale, zero) }); err != nil {
				t.Fatalf("%d elements: %v", n, err)
			}
			for i, x := range src {
				want := byte(0)
				if q := f32(float64(x) / float64(scale)); q == q {
					want = quantized(q, float32(-zero), float32(255-zero), zero)
				}
				if dst[i] != want {
					t.Fatalf("element %d of %d: %v / %v + %d gives %d, want %d", i, n, x, scale, zero, dst[i], want)
				}
			}
		}
		for i, n := range u8Lengths() {
			check(n, scalesU8[i%len(scalesU8)], zerosU8[i%len(zerosU8)])
		}
		for _, scale := range scalesU8 {
			for _, zero := range zerosU8 {
				check(4093, scale, zero)
			}
		}
	})
}

func TestU8ToF32(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		g, r := newGuards(t), rand.New(rand.NewPCG(57, 58))
		check := func(n int, scale float32, zero int32) {
			g.reset()
			src, dst := g.bytes(n, atEnd), g.floats(n, place(n%int(numPlaces)))
			pairsU8(r, src, make([]byte, n))
			if n >= 256 {
				for i := range 256 {
					src[n-1-i] = byte(i)
				}
			}
			if err := g.run(func() { s.U8ToF32(dst, src, scale, zero) }); err != nil {
				t.Fatalf("%d elements: %v", n, err)
			}
			for i, x := range src {
				if want := float32(float64(int32(x)-zero) * float64(scale)); math.Float32bits(dst[i]) != math.Float32bits(want) && want != 0 || dst[i] != want {
					t.Fatalf("element %d of %d: (%d - %d)·%v gives %v, want %v", i, n, x, zero, scale, dst[i], want)
				}
			}
		}
		for i, n := range u8Lengths() {
			check(n, scalesU8[i%len(scalesU8)], zerosU8[i%len(zerosU8)])
		}
		for _, scale := range scalesU8 {
			for _, zero := range zerosU8 {
				check(257, scale, zero)
			}
		}
	})
}

// poolU8Case is one run of output pixels of a pooling of bytes.
type poolU8Case struct {
	pixels, taps, c int
	full            bool // all inputs 255, no tap outside
}

func poolU8Cases() []poolU8Case {
	var cases []poolU8Case
	for c := 1; c <= 70; c++ {
		cases = append(cases, poolU8Case{3, 9, c, c%5 == 0}, poolU8Case{1, 2, c, false}, poolU8Case{2, 4, c, false})
	}
	for taps := 1; taps <= 25; taps++ {
		cases = append(cases, poolU8Case{2, taps, 37, false}, poolU8Case{5, taps, 8, taps%2 == 0})
	}
	// Sums that leave 16 bits, and 24.
	for _, taps := range []int{127, 255, 256, 257, 258, 400, 513, 100003} {
		cases = append(cases, poolU8Case{2, taps, 19, true}, poolU8Case{1, taps, 67, false}, poolU8Case{1, taps, 3, true})
	}
	return append(cases, poolU8Case{1, 49, 1280, false}, poolU8Case{7, 9, 193, false}, poolU8Case{64, 1, 16, false},
		poolU8Case{0, 9, 16, false}, poolU8Case{1, 9, 127, true}, poolU8Case{2, 9, 131, false}, poolU8Case{64, 25, 64, false})
}

const (
	poolInputs  = 6
	poolInPitch = 5 // bytes between input pixels; between output pixels 3
)

// layPoolU8 returns the input, whose last pixel has the slack behind it that a
// kernel may read, and the offset table.
func layPoolU8(g *guards, r *rand.Rand, c poolU8Case, average bool) (in []byte, offsets []int32) {
	g.reset()
	in = g.bytes(poolInputs*(c.c+poolInPitch)-poolInPitch+ref.Q8Slack, atEnd)
	for i := range in {
		if in[i] = byte(r.Uint32()); c.full {
			in[i] = 255
		}
	}
	offsets = make([]int32, c.pixels*c.taps+1)
	for i := range offsets {
		offsets[i] = int32(r.IntN(poolInputs) * (c.c + poolInPitch))
		if (average || i%c.taps != 0) && r.IntN(3) == 0 && !c.full {
			offsets[i] = -1 - r.Int32N(1000)
		}
	}
	offsets[0] = (poolInputs - 1) * int32(c.c+poolInPitch)
	return in, offsets
}

// wantPoolU8 computes output pixel p, channel ch.
func wantPoolU8(a *ref.PoolQ8, in []byte, offsets []int32, scale []float32, p, ch int) byte {
	var top byte
	sum, n := int64(0), int64(0)
	for _, o := range offsets[p*a.Taps : (p+1)*a.Taps] {
		if o >= 0 {
			v := in[int(o)+ch]
			top, sum, n = max(top, v), sum+int64(v), n+1
		}
	}
	if scale == nil {
		return top
	}
	f := f32(f32(float64(sum-n*int64(a.ZeroA))) * float64(scale[p]))
	return quantized(f, a.Min, a.Max, a.Zero)
}

func TestU8Pools(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		g, r := newGuards(t), rand.New(rand.NewPCG(61, 62))
		for i, c := range poolU8Cases() {
			for _, average := range []bool{false, true} {
				in, offsets := layPoolU8(g, r, c, average)
				pitch := c.c + 3
				out := g.bytes(max(0, c.pixels*pitch-3), place(i%int(numPlaces)))
				before := slices.Clone(out)
				a := ref.PoolQ8{
					In: unsafe.Pointer(&in[0]), Offsets: &offsets[0], Out: unsafe.Pointer(unsafe.SliceData(out)),
					OutStride: pitch, Pixels: c.pixels, Taps: c.taps, C: c.c,
				}
				slot, scale := s.U8MaxPool, []float32(nil)
				if average {
					slot = s.U8AvgPool
					a.ZeroA, a.Zero = zerosU8[i%len(zerosU8)], zerosU8[(i/5)%len(zerosU8)]
					a.Min, a.Max = float32(-a.Zero), float32(255-a.Zero)
					if i%4 == 0 {
						a.Min, a.Max = max(a.Min, 0), min(a.Max, 100.5)
					}
					scale = g.floats(c.pixels, atEnd)
					for p := range scale {
						// Ties are frequent where the factor is a power of 2.
						scale[p] = [...]float32{1 / float32(c.taps), 0.25, 0.0173, 3.3}[r.IntN(4)]
					}
					a.Scale = unsafe.SliceData(scale)
				}
				args := a
				if err := g.run(func() { slot(&args) }); err != nil {
					t.Fatalf("%+v, average %v: %v", c, average, err)
				}
				for j := range out {
					p, ch := j/pitch, j%pitch
					want := before[j]
					if ch < c.c {
						want = wantPoolU8(&a, in, offsets, scale, p, ch)
					}
					if out[j] != want {
						t.Fatalf("%+v, average %v: channel %d of pixel %d is %d, want %d", c, average, ch, p, out[j], want)
					}
				}
			}
		}
	})
}
