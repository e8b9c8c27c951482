package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// winogradSides are the tiles of outputs of the algorithms.
var winogradSides = [kernels.NumWinograd]int{kernels.Winograd2: 2, kernels.Winograd4: 4}

// winogradCase is a call of a transform.
type winogradCase struct {
	tiles, c int
	residual bool
	at       place
}

func winogradCases() []winogradCase {
	var cases []winogradCase
	for c := 1; c <= 35; c++ {
		for tiles := range 4 {
			cases = append(cases, winogradCase{tiles, c, (c+tiles)%2 == 0, place((c + tiles) % int(numPlaces))}, winogradCase{tiles, c, true, atEnd})
		}
	}
	return append(cases, winogradCase{13, 64, true, oddStart}, winogradCase{2, 131, false, atEnd})
}

// winogradWork returns working memory for a transform.
func winogradWork() unsafe.Pointer { return ptr(ones(ref.WinogradWork / 4)) }

// index returns pixels in an image of some, some of them outside.
func index(r *rand.Rand, n, image int) []int32 {
	pixels := make([]int32, n+1)
	for i := range pixels {
		pixels[i] = r.Int32N(int32(image))
		if r.IntN(4) == 0 {
			pixels[i] = -1 - r.Int32N(100)
		}
	}
	return pixels
}

func TestF32WinogradIn(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(31, 32))
		for kind, side := range winogradSides {
			for _, c := range winogradCases() {
				mem.reset()
				const image = 7
				n := (side + 2) * (side + 2)
				row := (c.c + 15) &^ 15
				in := mem.random(r, image*(c.c+aPad)-aPad, c.at)
				zero := mem.floats(c.c, c.at)
				clear(zero)
				plane := c.tiles*row + 16
				out := mem.floats(n*plane-16, c.at)
				pixels := index(r, c.tiles*n, image)
				a := ref.WinogradInF32{
					In: ptr(in), Zero: ptr(zero), Pixels: &pixels[0], Out: ptr(out), Work: winogradWork(),
					InStride: 4 * (c.c + aPad), OutStride: 4 * row, PlaneStride: 4 * plane, Tiles: c.tiles, C: c.c,
				}
				if err := mem.run(func() { s.F32WinogradIn[kind](&a) }); err != nil {
					t.Fatalf("%d, %+v: %v", side, c, err)
				}
				bt := inputMatrix(side)
				for tile := range c.tiles {
					for ch := range row {
						d := make([]float64, n)
						for i := range d {
							if p := pixels[tile*n+i]; p >= 0 && ch < c.c {
								d[i] = float64(in[int(p)*(c.c+aPad)+ch])
							}
						}
						for i, want := range both(bt, d) {
							got := out[i*plane+tile*row+ch]
							if ch < c.c && math.Abs(float64(got)-want) > 1e-5 {
								t.Fatalf("%d, %+v: element %d of tile %d, channel %d is %v, want %v", side, c, i, tile, ch, got, want)
							}
						}
					}
				}
				for i := range n - 1 {
					for j := range 16 {
						if math.Float32bits(out[i*plane+c.tiles*row+j]) != canary {
							t.Fatalf("%d, %+v: element %d between planes was written", side, c, j)
						}
					}
				}
			}
		}
	})
}

func TestF32WinogradOut(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(33, 34))
		for kind, side := range winogradSides {
			for i, c := range winogradCases() {
				runWinogradOut(t, mem, r, s, kernels.Winograd(kind), side, c, i%3 == 0)
			}
		}
	})
}

func runWinogradOut(t *testing.T, mem *memory, r *rand.Rand, s *kernels.Set, kind kernels.Winograd, side int, c winogradCase, limits bool) {
	t.Helper()
	mem.reset()
	n, m := (side+2)*(side+2), side*side
	row := (c.c + 15) &^ 15
	plane := c.tiles*row + 16
	in := mem.random(r, n*plane-16, c.at)
	image := c.tiles*m + 3
	out := mem.floats(image*(c.c+cPad)-cPad, c.at)
	spare := mem.floats(c.c, c.at)
	a := ref.WinogradOutF32{
		In: ptr(in), Out: ptr(out), Spare: ptr(spare), Work: winogradWork(), InStride: 4 * row, PlaneStride: 4 * plane,
		OutStride: 4 * (c.c + cPad), Tiles: c.tiles, C: c.c, Min: -inf, Max: inf,
	}
	var res []float32
	if c.residual {
		res = mem.random(r, image*(c.c+aPad)-aPad, c.at)
		a.Res, a.ResStride = ptr(res), 4*(c.c+aPad)
	}
	if limits {
		a.Min, a.Max = -.5, .75
	}
	// Every pixel is written once at most.
	pixels := make([]int32, c.tiles*m+1)
	for i, p := range r.Perm(image)[:len(pixels)] {
		pixels[i] = int32(p)
		if r.IntN(4) == 0 {
			pixels[i] = -1 - r.Int32N(100)
		}
	}
	a.Pixels = &pixels[0]
	if err := mem.run(func() { s.F32WinogradOut[kind](&a) }); err != nil {
		t.Fatalf("%d, %+v: %v", side, c, err)
	}
	written := make([]bool, len(out))
	at := outputMatrix(side)
	for tile := range c.tiles {
		for ch := range c.c {
			d := make([]float64, n)
			for i := range d {
				d[i] = float64(in[i*plane+tile*row+ch])
			}
			for i, want := range both(at, d) {
				p := int(pixels[tile*m+i])
				if p < 0 {
					continue
				}
				if res != nil {
					want += float64(res[p*(c.c+aPad)+ch])
				}
				want = min(max(want, float64(a.Min)), float64(a.Max))
				if got := out[p*(c.c+cPad)+ch]; math.Abs(float64(got)-want) > 2e-5 {
					t.Fatalf("%d, %+v: output %d of tile %d, channel %d is %v, want %v", side, c, i, tile, ch, got, want)
				}
				written[p*(c.c+cPad)+ch] = true
			}
		}
	}
	for i, w := range written {
		if !w && math.Float32bits(out[i]) != canary {
			t.Fatalf("%d, %+v: element %d, in no tile, was written", side, c, i)
		}
	}
}

// points are those of the algorithms, infinity left out.
func points(side int) []float64 {
	if side == 2 {
		return []float64{0, 1, -1}
	}
	return []float64{0, math.Sqrt2 / 2, -math.Sqrt2 / 2, math.Sqrt2, -math.Sqrt2}
}

// outputMatrix is Aᵀ: the powers of the points. Of the algorithm for 2x2 the
// signs of infinity are turned in both matrices, as Lavin and Gray have it.
func outputMatrix(side int) [][]float64 {
	a := make([][]float64, side)
	for i := range a {
		for _, p := range points(side) {
			a[i] = append(a[i], math.Pow(p, float64(i)))
		}
		a[i] = append(a[i], 0)
	}
	a[side-1][side+1] = 1
	if side == 2 {
		a[1][3] = -1
	}
	return a
}

// inputMatrix is Bᵀ: for every point the coefficients of the product of
// (x - p) over the other points, and for infinity over all.
func inputMatrix(side int) [][]float64 {
	ps := points(side)
	var b [][]float64
	for skip := range len(ps) + 1 {
		row := make([]float64, side+2)
		row[0] = 1
		for i, p := range ps {
			if i == skip {
				continue
			}
			for j := side + 1; j > 0; j-- {
				row[j] = row[j-1] - p*row[j]
			}
			row[0] *= -p
		}
		b = append(b, row)
	}
	if side == 2 {
		for i, sign := range []float64{-1, 1, 1, -1} {
			for j := range b[i] {
				b[i][j] *= sign
			}
		}
	}
	return b
}

// both returns m·x·mᵀ for a square x.
func both(m [][]float64, x []float64) []float64 {
	n := len(m[0])
	y := make([]float64, len(m)*len(m))
	for i := range m {
		for j := range m {
			for k := range n {
				for l := range n {
					y[i*len(m)+j] += m[i][k] * x[k*n+l] * m[j][l]
				}
			}
		}
	}
	return y
}

// TestWinogradWeights: weights, products and outputs together are a
// convolution, and a bias by way of the ones reaches every output.
func TestWinogradWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	for _, side := range winogradSides {
		t.Run(fmt.Sprint(side), func(t *testing.T) {
			n := side + 2
			var g [9]float32
			for i := range g {
				g[i] = r.Float32()*2 - 1
			}
			d := make([]float64, n*n)
			for i := range d {
				d[i] = r.Float64()*2 - 1
			}
			u2, u4 := ref.WinogradWeights2(&g), ref.WinogradWeights4(&g)
			u, ones := u2[:], ref.WinogradOnes2[:]
			if side == 4 {
				u, ones = u4[:], ref.WinogradOnes4[:]
			}
			v := both(inputMatrix(side), d)
			for i := range v {
				v[i] = v[i]*float64(u[i]) + 10*float64(ones[i/n])*float64(ones[i%n])
			}
			for i, got := range both(outputMatrix(side), v) {
				want := 10.0
				for k, w := range g {
					want += float64(w) * d[(i/side+k/3)*n+i%side+k%3]
				}
				if math.Abs(got-want) > 1e-5 {
					t.Errorf("output %d is %v, want %v", i, got, want)
				}
			}
		})
	}
}
