package kernels_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// q8Case is one call of Q8Gemm, or of Q8Igemm where taps is not zero.
type q8Case struct {
	m, n, k, taps int
	whole         bool // weights of -128, for the slots that take them
	float         bool
	extreme       bool // the largest numbers only
	at            place
}

// raw returns a buffer for n bytes and where in it they start: at the end of
// their region, or misaligned by one element of size bytes.
func (m *memory) raw(n, size int, at place) (buffer []byte, from int) {
	if at == oddStart {
		from, at = size, atStart
	}
	f := m.floats((from+n+3)/4, at)
	buffer = unsafe.Slice((*byte)(ptr(f)), 4*len(f))
	if at == atEnd {
		from = len(buffer) - n
	}
	return buffer, from
}

// elements returns the address of a copy of x as int16 or, unless wide, as
// uint8. Nothing behind the last element can be read.
func (m *memory) elements(x []uint8, wide bool, at place) unsafe.Pointer {
	size := 1
	if wide {
		size = 2
	}
	b, from := m.raw(len(x)*size, size, at)
	for i, v := range x {
		b[from+i*size] = v
		if wide {
			b[from+i*size+1] = 0
		}
	}
	return unsafe.Pointer(&b[from])
}

// offsets returns the address of a copy of a table.
func (m *memory) offsets(table []int32) *int32 {
	f := m.floats(len(table), atEnd)
	copy(unsafe.Slice((*int32)(ptr(f)), len(f)), table)
	return (*int32)(ptr(f))
}

// panel returns the address of zeroed memory of some bytes, for pack to fill.
func (m *memory) panel(size int, at place, pack func(dst []byte)) unsafe.Pointer {
	f := m.floats(size/4, at)
	clear(f)
	pack(unsafe.Slice((*byte)(ptr(f)), size))
	return ptr(f)
}

// requant is how sums become results.
type requant struct {
	scale     []float32
	bias      []int32
	min, max  float32
	zero      int32 // added to rounded results
	zeroPoint uint8 // of the input
	float     bool
}

// newRequant chooses factors for columns of sums of some terms: so that the
// results spread over the range and beyond, or such that many lie half-way
// between two integers.
func newRequant(r *rand.Rand, columns, terms int, float, extreme bool) requant {
	q := requant{zero: r.Int32N(256), zeroPoint: uint8(r.IntN(256)), float: float}
	if extreme {
		q.zeroPoint = uint8(255 * r.IntN(2))
	}
	typical := 8000 * math.Sqrt(float64(terms))
	if extreme {
		typical = 32000 * float64(terms)
	}
	for range columns {
		q.bias = append(q.bias, r.Int32N(1<<15)-1<<14)
		scale := 200 / typical * math.Exp2(r.Float64()*3-1.5)
		if r.IntN(2) == 0 {
			scale = math.Exp2(math.Round(math.Log2(scale)))
		}
		q.scale = append(q.scale, float32(scale))
	}
	if r.IntN(8) == 0 {
		// Sums wrap around.
		q.bias[r.IntN(columns)] = math.MaxInt32 - r.Int32N(2)
		q.bias[r.IntN(columns)] = math.MinInt32 + r.Int32N(2)
	}
	q.min, q.max = float32(-q.zero), float32(255-q.zero)
	if float {
		q.min, q.max = -inf, inf
	}
	switch r.IntN(4) {
	case 0:
		q.min = 0
		if !float {
			q.zero = r.Int32N(2) * 128
			q.max = float32(255 - q.zero)
		}
	case 1:
		q.max = min(q.max, 20.25)
		q.min = max(min(q.min, q.max), -100.5)
		if !float {
			q.min, q.max = float32(math.Ceil(float64(q.min))), float32(math.Floor(float64(q.max)))
		}
	}
	return q
}

// size returns the bytes of a result.
func (q *requant) size() int {
	if q.float {
		return 4
	}
	return 1
}

// flag returns Float of the argument structs.
func (q *requant) flag() int32 {
	if q.float {
		return 1
	}
	return 0
}

// put writes the result for the sum s, which has no bias yet, of column n.
func (q *requant) put(dst []byte, n int, s int64) {
	f := float32(int32(s+int64(q.bias[n]))) * q.scale[n]
	if f < q.min {
		f = q.min
	}
	if f > q.max {
		f = q.max
	}
	if q.float {
		binary.NativeEndian.PutUint32(dst, math.Float32bits(f))
		return
	}
	dst[0] = uint8(math.RoundToEven(float64(f)) + float64(q.zero))
}

// input returns n random elements.
func input(r *rand.Rand, n int, extreme bool) []uint8 {
	x := make([]uint8, n)
	for i := range x {
		x[i] = uint8(r.IntN(256))
		if extreme {
			x[i] = 255
		}
	}
	return x
}

// weights returns n random weights, none of them below least. Those that are
// extreme are the same, the largest or those with the largest low half.
func weights(r *rand.Rand, n int, least int8, extreme bool) []int8 {
	w := make([]int8, n)
	big := []int8{least, 127, -120, 120, 8, -8}[r.IntN(6)]
	for i := range w {
		w[i] = max(int8(r.IntN(256)-128), least)
		if extreme {
			w[i] = big
		}
	}
	return w
}

// checkQ8 runs a call and compares the whole buffer of its results, and what
// lies between them, with want.
func checkQ8(mem *memory, got, want []byte, from, stride, size int, call func()) error {
	if err := mem.run(call); err != nil {
		return err
	}
	for i := range want {
		if at := i - from; got[i] != want[i] {
			first := i - max(at, 0)%size
			last := min(first+size, len(want))
			return fmt.Errorf("row %d, byte %d of the results is %v, want %v", at/stride, at%stride, got[first:last], want[first:last])
		}
	}
	return nil
}

func runQ8Gemm(t *testing.T, mem *memory, r *rand.Rand, s *kernels.Set, c q8Case) {
	t.Helper()
	mem.reset()
	taps, distinct, least := max(c.taps, 1), c.m, int8(-127)
	if c.taps > 0 {
		distinct += 2
	}
	slot := map[[2]bool]func(*ref.GemmQ8){
		{false, false}: s.Q8Gemm, {true, false}: s.Q8Igemm, {false, true}: s.Q8GemmAny, {true, true}: s.Q8IgemmAny,
	}[[2]bool{c.taps > 0, c.whole}]
	if c.whole {
		least = -128
	}
	q := newRequant(r, c.n, c.k*taps, c.float, c.extreme)
	aStride := c.k + r.IntN(4)
	a := input(r, (distinct-1)*aStride+c.k+ref.Q8Slack, c.extreme)
	zero := input(r, c.k+ref.Q8Slack, c.extreme)
	for i := range c.k {
		zero[i] = q.zeroPoint
	}
	w := weights(r, taps*c.k*c.n, least, c.extreme)
	elem := 1
	if s.Q8.Wide {
		elem = 2
	}
	cStride := (c.n + cPad) * q.size()
	got, from := mem.raw((c.m-1)*cStride+c.n*q.size(), q.size(), c.at)
	want := bytes.Clone(got)
	offsets := make([]int32, c.m*taps)
	for m := range c.m {
		sums := make([]int64, c.n)
		for tap := range taps {
			row := m
			if c.taps > 0 {
				row = r.IntN(distinct+1) - 1
			}
			x := zero
			offsets[m*taps+tap] = int32(row * aStride * elem)
			if row < 0 {
				offsets[m*taps+tap] = -1 - r.Int32N(100)
			} else {
				x = a[row*aStride:]
			}
			for k := range c.k {
				v := int64(x[k]) - int64(q.zeroPoint)
				for n := range sums {
					sums[n] += v * int64(w[(tap*c.k+k)*c.n+n])
				}
			}
		}
		for n, sum := range sums {
			q.put(want[from+m*cStride+n*q.size():], n, sum)
		}
	}
	matrix := ref.MatrixQ8{
		Data: w, Taps: taps, K: c.k, N: c.n, Tap: c.k * c.n, Row: c.n, Col: 1,
		Bias: q.bias, Scale: q.scale, Zero: int32(q.zeroPoint),
	}
	args := ref.GemmQ8{
		A: mem.elements(a, s.Q8.Wide, c.at), ZeroA: mem.elements(zero, s.Q8.Wide, c.at), Offsets: mem.offsets(offsets),
		W: mem.panel(matrix.PanelLen(s.Q8), c.at, func(dst []byte) { matrix.Pack(dst, s.Q8) }),
		C: unsafe.Pointer(&got[from]), AStride: aStride * elem, CStride: cStride,
		M: c.m, N: c.n, K: c.k, Taps: taps, Min: q.min, Max: q.max, Zero: q.zero, Float: q.flag(),
	}
	if err := checkQ8(mem, got, want, from, cStride, q.size(), func() { slot(&args) }); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
}

// depths are numbers of steps of a sum around every group and unrolling.
func depths() []int {
	var k []int
	for i := 1; i <= 40; i++ {
		k = append(k, i)
	}
	return append(k, 47, 61, 64, 67, 97, 127, 128, 131, 257)
}

func TestQ8Gemm(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(21, 22))
		mr, nr, all := s.Q8.MR, s.Q8.NR, depths()
		for m := 1; m <= 2*mr+1; m++ {
			for n := 1; n <= nr; n++ {
				for i := range 8 {
					k := all[(7*m+5*n+9*i)%len(all)]
					runQ8Gemm(t, mem, r, s, q8Case{m: m, n: n, k: k, whole: i%4 > 1, float: i%2 > 0, at: place((m + n + i) % int(numPlaces))})
				}
			}
		}
		for i, k := range all {
			for _, m := range []int{1, 2, mr, mr + 1, 2*mr + 1} {
				for _, n := range []int{1, nr / 2, nr - 1, nr} {
					runQ8Gemm(t, mem, r, s, q8Case{m: m, n: n, k: k, whole: i%2 > 0, at: place((m + n + i) % int(numPlaces))})
				}
			}
		}
		for _, k := range []int{1, 2, 3, 4, 5, 7, 8, 16, 31, 64, 512, 1027} {
			for i := range 8 {
				at := place((i + k) % int(numPlaces))
				runQ8Gemm(t, mem, r, s, q8Case{m: mr, n: nr, k: k, whole: i%2 > 0, float: i%4 > 1, extreme: true, at: at})
			}
		}
	})
}

func TestQ8Igemm(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(23, 24))
		mr, nr, i := s.Q8.MR, s.Q8.NR, 0
		for m := 1; m <= 2*mr+1; m++ {
			for _, n := range []int{1, 2, nr/2 - 1, nr / 2, nr/2 + 1, nr - 1, nr} {
				for _, taps := range []int{1, 2, 3, 4, 9, 25} {
					for _, k := range []int{1, 2, 3, 4, 5, 8, 13, 24, 33} {
						if i++; i%3 > 0 && m < 2*mr {
							continue
						}
						at := place((m + n + k) % int(numPlaces))
						runQ8Gemm(t, mem, r, s, q8Case{m: m, n: n, k: k, taps: taps, whole: i%2 > 0, float: i%5 == 0, extreme: i%7 == 0, at: at})
					}
				}
			}
		}
	})
}

// runQ8Dwconv runs output pixels whose taps lie at the entries of table, in
// numbers of pixels; negative entries are outside the image.
func runQ8Dwconv(t *testing.T, mem *memory, r *rand.Rand, s *kernels.Set, c windowCase, table []int32, float, extreme bool) {
	t.Helper()
	mem.reset()
	q := newRequant(r, c.c, c.taps, float, extreme)
	pitch, pixels := c.c+r.IntN(3), int32(0)
	for _, o := range table {
		pixels = max(pixels, o+1)
	}
	in := input(r, int(pixels)*pitch+ref.Q8Slack, extreme)[pitch-c.c:]
	zero := input(r, c.c+ref.Q8Slack, extreme)
	for i := range c.c {
		zero[i] = q.zeroPoint
	}
	w := weights(r, c.taps*c.c, -128, extreme)
	stride := (c.c + cPad) * q.size()
	got, from := mem.raw(max(0, c.pixels*stride-cPad*q.size()), q.size(), c.at)
	want := bytes.Clone(got)
	offsets := make([]int32, c.pixels*c.taps)
	for p := range c.pixels {
		for ch := range c.c {
			sum := int64(0)
			for tap := range c.taps {
				i := p*c.taps + tap
				x := zero
				if offsets[i] = table[i]; table[i] >= 0 {
					offsets[i] = table[i] * int32(pitch)
					x = in[offsets[i]:]
				}
				sum += (int64(x[ch]) - int64(q.zeroPoint)) * int64(w[tap*c.c+ch])
			}
			q.put(want[from+p*stride+ch*q.size():], ch, sum)
		}
	}
	args := ref.DwconvQ8{
		In: mem.elements(in, false, c.at), ZeroA: mem.elements(zero, false, c.at), Offsets: mem.offsets(offsets),
		W: mem.panel(ref.PackedDwconvQ8Len(c.taps, c.c, s.Q8DwconvGroup), c.at, func(dst []byte) {
			at := func(tap, ch int) int8 { return w[tap*c.c+ch] }
			ref.PackDwconvQ8(dst, at, q.bias, q.scale, c.taps, c.c, s.Q8DwconvGroup, int32(q.zeroPoint))
		}),
		Out: unsafe.Add(unsafe.Pointer(unsafe.SliceData(got)), from), OutStride: stride,
		Pixels: c.pixels, Taps: c.taps, C: c.c, Min: q.min, Max: q.max, Zero: q.zero, Float: q.flag(),
	}
	if err := checkQ8(mem, got, want, from, stride, q.size(), func() { s.Q8Dwconv(&args) }); err != nil {
		t.Fatalf("%+v, float %v: %v", c, float, err)
	}
}

func TestQ8Dwconv(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(25, 26))
		many := []windowCase{{2, 511, 5, atEnd, false}, {3, 512, 37, atEnd, false}, {2, 513, 33, atStart, false}, {3, 600, 17, atEnd, false}}
		for i, c := range append(windowCases(), many...) {
			for j := range 3 {
				table := make([]int32, c.pixels*c.taps)
				for k := range table {
					table[k] = r.Int32N(6)
					if r.IntN(3) == 0 {
						table[k] = -1 - r.Int32N(1000)
					}
				}
				runQ8Dwconv(t, mem, r, s, c, table, (i+j)%3 == 0, j == 2)
			}
		}
	})
}

// TestQ8DwconvImage runs windows that overlap from pixel to pixel, as rungs may
// use, over parts of rows and across their ends.
func TestQ8DwconvImage(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(27, 28))
		for _, im := range []image{{5, 9, 3, 1}, {5, 17, 3, 2}, {5, 9, 5, 1}, {5, 17, 5, 2}, {5, 12, 3, 3}, {3, 4, 7, 1}, {2, 2, 13, 1}} {
			all, taps := im.offsets(1), im.side*im.side
			for i := range all {
				if all[i] > 0 {
					all[i] /= 4 // they are in bytes of float32
				}
			}
			for i, channels := range []int{1, 3, 8, 15, 16, 17, 24, 32, 37, 51} {
				for pixels := 1; pixels <= min(len(all)/taps, 18); pixels++ {
					c := windowCase{pixels: pixels, taps: taps, c: channels, at: place((i + pixels) % int(numPlaces))}
					table := slices.Clone(all[r.IntN(len(all)/taps-pixels+1)*taps:][:pixels*taps])
					if pixels%3 == 0 {
						// Overlapping but for one tap.
						table[r.IntN(len(table))] = r.Int32N(int32(im.h * im.w))
					}
					runQ8Dwconv(t, mem, r, s, c, table, pixels%4 == 0, false)
				}
			}
		}
	})
}

func TestU8ToI16(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		mem := newMemory(t)
		r := rand.New(rand.NewPCG(29, 30))
		for n := range 131 {
			for at := range numPlaces {
				mem.reset()
				src := input(r, n, false)
				got, from := mem.raw(2*n, 2, at)
				want := bytes.Clone(got)
				for i, x := range src {
					binary.NativeEndian.PutUint16(want[from+2*i:], uint16(x))
				}
				b, start := mem.raw(n, 1, at)
				copy(b[start:], src)
				dst := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(got)), from)), n)
				err := checkQ8(mem, got, want, from, 2*n+1, 2, func() { s.U8ToI16(dst, b[start:start+n]) })
				if err != nil {
					t.Fatalf("%d elements: %v", n, err)
				}
			}
		}
	})
}
