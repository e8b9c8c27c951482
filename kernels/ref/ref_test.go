package ref

import (
	"math"
	"slices"
	"testing"
	"unsafe"
)

func ptr(f []float32) unsafe.Pointer { return unsafe.Pointer(&f[0]) }

var inf = float32(math.Inf(1))

// A 3 x 5 times 5 x 6 product in integers, worked out in Python:
// A = arange(15).reshape(3, 5) - 7; B = arange(30).reshape(5, 6) % 7 - 3;
// A @ B + arange(6).
var gemmWant = [3][6]float32{
	{-11, 7, 18, 22, 19, -5},
	{4, 12, 13, 7, -6, -5},
	{19, 17, 8, -8, -31, -5},
}

func gemmOperands(nr int) (a, w []float32) {
	for i := range 15 {
		a = append(a, float32(i-7))
	}
	b := make([]float32, 30)
	for i := range b {
		b[i] = float32(i%7 - 3)
	}
	return a, PackGemmF32(Matrix{Data: b, Taps: 1, K: 5, N: 6, Row: 6, Col: 1}, []float32{0, 1, 2, 3, 4, 5}, nr)
}

func TestGemmPanels(t *testing.T) {
	for _, nr := range []int{4, 8, 16} {
		a, w := gemmOperands(nr)
		var c [3][6]float32
		for n := 0; n < 6; n += nr {
			F32GemmNR(&GemmF32{
				A: ptr(a), W: unsafe.Pointer(&w[n/nr*6*nr]), C: unsafe.Pointer(&c[0][n]), AStride: 20, CStride: 24,
				M: 3, N: min(nr, 6-n), K: 5, Taps: 1, Min: -inf, Max: inf,
			}, nr)
		}
		if c != gemmWant {
			t.Errorf("panels of %d: got %v, want %v", nr, c, gemmWant)
		}
	}
}

// TestIgemm takes the five terms as taps of one channel; one tap of the last
// row lies outside.
func TestIgemm(t *testing.T) {
	a, w := gemmOperands(8)
	offsets := make([]int32, 15)
	for i := range offsets {
		offsets[i] = int32(4 * i)
	}
	offsets[14] = -1
	zero := []float32{0}
	var c [3][6]float32
	F32IgemmNR(&GemmF32{
		A: ptr(a), Zero: ptr(zero), Offsets: &offsets[0], W: ptr(w), C: unsafe.Pointer(&c[0][0]), CStride: 24,
		M: 3, N: 6, K: 1, Taps: 5, Min: -inf, Max: inf,
	}, 8)
	want := gemmWant
	for n := range 6 {
		want[2][n] -= a[14] * float32((24+n)%7-3)
	}
	if c != want {
		t.Errorf("got %v, want %v", c, want)
	}
}

func TestResidualAndClamp(t *testing.T) {
	a, w := gemmOperands(4)
	res := []float32{1, 2, 3, 4}
	c := make([]float32, 5)
	F32Gemm(&GemmF32{
		A: ptr(a), W: ptr(w), C: ptr(c), Res: ptr(res), AStride: 20, CStride: 16, ResStride: 16,
		M: 1, N: 4, K: 5, Taps: 1, Min: -10, Max: 25,
	})
	if want := []float32{-10, 9, 21, 25, 0}; !slices.Equal(c, want) {
		t.Errorf("got %v, want %v", c, want)
	}
}

// TestWindow slides over three pixels of three channels, the second tap of the
// second output outside.
func TestWindow(t *testing.T) {
	in := []float32{1, -2, 3, 4, 5, -6, -7, 8, 9}
	offsets := []int32{0, 12, 24, -1}
	w := make([]float32, PackedDwconvF32Len(2, 3))
	PackDwconvF32(w, func(tap, c int) float32 { return float32(10*tap + c + 1) }, []float32{0.5, 0.25, 0}, 2, 3)
	zero, scale := make([]float32, 3), []float32{0.5, 1}
	out := make([]float32, 7) // a gap of one between the pixels

	F32Dwconv(&DwconvF32{
		In: ptr(in), Zero: ptr(zero), Offsets: &offsets[0], W: ptr(w), Out: ptr(out), OutStride: 16,
		WStride: 4 * DwconvWidth(3), Pixels: 2, Taps: 2, C: 3, Min: -50, Max: 50,
	})
	if want := []float32{45.5, 50, -50, 0, -6.5, 16.25, 27}; !slices.Equal(out, want) {
		t.Errorf("depthwise: got %v, want %v", out, want)
	}
	p := PoolF32{
		In: ptr(in), Offsets: &offsets[0], Scale: &scale[0], Out: ptr(out), OutStride: 16, Pixels: 2, Taps: 2, C: 3,
	}
	F32MaxPool(&p)
	if want := []float32{4, 5, 3, 0, -7, 8, 9}; !slices.Equal(out, want) {
		t.Errorf("maximum: got %v, want %v", out, want)
	}
	F32AvgPool(&p)
	if want := []float32{2.5, 1.5, -1.5, 0, -7, 8, 9}; !slices.Equal(out, want) {
		t.Errorf("average: got %v, want %v", out, want)
	}
}

func TestNaNSurvives(t *testing.T) {
	nan := float32(math.NaN())
	for name, f := range map[string]func(dst, src []float32, p, q float32){
		"Clamp": F32Clamp, "LeakyRelu": F32LeakyRelu, "Sigmoid": F32Sigmoid, "SiLU": F32SiLU,
		"HardSigmoid": F32HardSigmoid, "HardSwish": F32HardSwish, "Tanh": F32Tanh, "Exp": F32Exp, "Affine": F32Affine,
	} {
		x := []float32{nan}
		if f(x, x, 0, 1); x[0] == x[0] {
			t.Errorf("%s of NaN is %v", name, x[0])
		}
	}
	one, x := []float32{1}, []float32{nan}
	dst := make([]float32, 1)
	for name, f := range map[string]func(dst, a, b []float32){"Min": F32Minimum, "Max": F32Maximum} {
		if f(dst, x, one); dst[0] == dst[0] {
			t.Errorf("%s of NaN and 1 is %v", name, dst[0])
		}
		if f(dst, one, x); dst[0] == dst[0] {
			t.Errorf("%s of 1 and NaN is %v", name, dst[0])
		}
	}
	if m := F32Max([]float32{1, nan, 3}); m == m {
		t.Errorf("largest of 1, NaN, 3 is %v", m)
	}
}

// TestBinary fixes the meaning of every operation by numbers.
func TestBinary(t *testing.T) {
	a, b := []float32{-6, 6, 0}, []float32{4, -1.5, 2}
	for _, c := range []struct {
		name   string
		f      func(dst, a, b []float32)
		scalar func(dst, a []float32, b float32)
		want   []float32
	}{
		{"Add", F32Add, F32AddScalar, []float32{-2, 4.5, 2}},
		{"Sub", F32Sub, F32SubScalar, []float32{-10, 7.5, -2}},
		{"Mul", F32Mul, F32MulScalar, []float32{-24, -9, 0}},
		{"Div", F32Div, F32DivScalar, []float32{-1.5, -4, 0}},
		{"Min", F32Minimum, F32MinimumScalar, []float32{-6, -1.5, 0}},
		{"Max", F32Maximum, F32MaximumScalar, []float32{4, 6, 2}},
		{"PRelu", F32PRelu, F32PReluScalar, []float32{-24, 6, 0}},
	} {
		dst := make([]float32, 3)
		if c.f(dst, a, b); !slices.Equal(dst, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, dst, c.want)
		}
		for i := range a {
			if c.scalar(dst[:1], a[i:i+1], b[i]); dst[0] != c.want[i] {
				t.Errorf("%s with a number: got %v, want %v", c.name, dst[0], c.want[i])
			}
		}
	}
	dst := make([]float32, 3)
	if F32Lerp(dst, a, b, 0.25); !slices.Equal(dst, []float32{-3.5, 4.125, 0.5}) {
		t.Errorf("Lerp: got %v, want -3.5, 4.125, 0.5", dst)
	}
	if sum := F32ExpSum(dst, []float32{1, 2, -inf}, 2); math.Abs(float64(sum)-1.3678794) > 1e-6 || dst[2] != 0 {
		t.Errorf("ExpSum: got %v and %v, want 1.3678794", sum, dst)
	}
}

// TestPackLayouts packs one matrix of 2 taps of 3 rows and 5 columns from
// every order that its elements may lie in.
func TestPackLayouts(t *testing.T) {
	value := func(tap, row, col int) float32 { return float32(100*tap + 10*row + col + 1) }
	bias := []float32{1, 2, 3, 4, 5}
	for _, m := range []Matrix{
		{Tap: 15, Row: 5, Col: 1},
		{Tap: 3, Row: 1, Col: 6},
		{Tap: 1, Row: 2, Col: 6},
		{Tap: 5, Row: 10, Col: 1},
		{Tap: 15, Row: 5, Col: 1, Scale: []float64{2, 0.5, -1, 1, 0}},
		{Tap: 3, Row: 1, Col: 6, Scale: []float64{2, 0.5, -1, 1, 0}},
	} {
		m.Taps, m.K, m.N, m.Data = 2, 3, 5, make([]float32, 30)
		for i := range 30 {
			tap, row, col := i/15, i/5%3, i%5
			m.Data[tap*m.Tap+row*m.Row+col*m.Col] = value(tap, row, col)
		}
		got := PackGemmF32(m, bias, 4)
		if len(got) != 2*7*4 {
			t.Fatalf("%d elements, want 2 panels of 7 rows of 4", len(got))
		}
		for i, v := range got {
			panel, row, col := i/28, i/4%7, i%4+i/28*4
			want := float32(0)
			switch {
			case col >= 5:
			case row == 0:
				want = bias[col]
			default:
				want = value((row-1)/3, (row-1)%3, col)
				if m.Scale != nil {
					want *= float32(m.Scale[col])
				}
			}
			if v != want {
				t.Errorf("strides %d %d %d: panel %d, row %d, column %d is %v, want %v", m.Tap, m.Row, m.Col, panel, row, col, v, want)
			}
		}
	}
}
