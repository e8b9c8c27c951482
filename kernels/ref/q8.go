package ref

import (
	"math"
	"unsafe"
)

// The tile of Q8Gemm and Q8Igemm of this package: rows, columns, and how many
// steps of K lie together.
const (
	Q8MR = 4
	Q8NR = 8
	Q8KR = 4
)

// Q8Slack is how many elements behind the K of a row of A, a tap or Zero a
// kernel for 8-bit numbers may read. It does not use them.
const Q8Slack = 16

// GemmQ8 holds the arguments of some rows of a product of 8-bit matrices, one
// panel of columns wide. With the int32 sum
//
//	s = bias[n] + Σt Σk (A(m,t)[k] - flip)·W[t][k][n]
//
// it writes, for m < M and n < N,
//
//	C[m][n] = uint8(round(clamp(float32(s)·scale[n], Min, Max)) + Zero)
//
// rounded half to even, the product rounded to float32; or, where Float is not
// 0, the float32 number clamp(float32(s)·scale[n], Min, Max). Min and Max keep
// the result inside 0..255 in the first case. Sums wrap around.
//
// A holds uint8, or, where Wide of the rung's set is true, the same numbers as
// int16. flip is the rung's Flip: 0 or 128; packing folds it, and the zero
// point of A, into the bias. Q8Gemm reads row m of A at A + m·AStride and ignores Offsets,
// ZeroA and Taps (one tap). Q8Igemm reads tap t of row m at A + Offsets[m·Taps+t],
// or at ZeroA where that offset is negative.
//
// Strides and offsets are in bytes. M is any positive number and N at most the
// rung's NR; nothing outside the M rows of N columns is written; of A up to
// Q8Slack elements behind the named ones may be read. The caller bounds M·K·Taps, so that a
// call stays short. The kernels may leave A, Offsets, C and M changed.
type GemmQ8 struct {
	A        unsafe.Pointer
	ZeroA    unsafe.Pointer // at least K elements, all of them A's zero point
	Offsets  *int32         // M x Taps
	W        unsafe.Pointer // one packed panel, as PackPanel of MatrixQ8 makes it
	C        unsafe.Pointer
	AStride  int
	CStride  int
	M, N     int
	K, Taps  int
	Min, Max float32
	Zero     int32
	Float    int32
	_        apart
}

// Skip moves the arguments of Q8Gemm, or those of Q8Igemm, past the first
// rows, which must be fewer than M.
func (a *GemmQ8) Skip(rows int, igemm bool) {
	a.M -= rows
	if igemm {
		a.Offsets = (*int32)(unsafe.Add(unsafe.Pointer(a.Offsets), rows*a.Taps*4))
	} else {
		a.A = unsafe.Add(a.A, rows*a.AStride)
	}
	a.C = unsafe.Add(a.C, rows*a.CStride)
}

// TileQ8 tells how a rung's kernels want a matrix of 8-bit weights packed: in
// panels of NR columns, KR steps of K together, for input from which they
// subtract Flip.
type TileQ8 struct {
	MR, NR, KR int
	Flip       int32
	Wide       bool // A holds int16
}

// MatrixQ8 tells where the 8-bit weights of a product lie: row t·K+c, column j
// is Data[t·Tap + c·Row + j·Col], for Taps taps of K rows each and N columns.
type MatrixQ8 struct {
	Data          []int8
	Taps, K, N    int
	Tap, Row, Col int
	Bias          []int32   // N, in units of the sums; nil: zeros
	Scale         []float32 // N
	Zero          int32     // the zero point of A
}

// PanelLen returns the bytes of one panel: NR int32 biases, NR float32 scales,
// then for every tap K rounded up to KR rows of NR weights, KR rows together:
// weight (t, k, n) is byte ((t·K'/KR + k/KR)·NR + n)·KR + k%KR, K' the rounded K.
func (m *MatrixQ8) PanelLen(t TileQ8) int {
	return 8*t.NR + m.Taps*roundUp(m.K, t.KR)*t.NR
}

// Panels returns the number of panels.
func (m *MatrixQ8) Panels(t TileQ8) int { return (m.N + t.NR - 1) / t.NR }

// PackPanel lays out columns p·NR to p·NR+NR in dst, which is zeroed, has
// PanelLen bytes and is aligned for int32.
func (m *MatrixQ8) PackPanel(dst []byte, p int, t TileQ8) {
	n0 := p * t.NR
	cols := min(t.NR, m.N-n0)
	bias := unsafe.Slice((*int32)(unsafe.Pointer(&dst[0])), 2*t.NR)
	w, k4 := dst[8*t.NR:], roundUp(m.K, t.KR)
	for j := range cols {
		sum := int32(0)
		for tap := range m.Taps {
			from, to := tap*m.Tap+(n0+j)*m.Col, tap*k4*t.NR+j*t.KR
			for k := 0; k < m.K; k += t.KR {
				for i := range min(t.KR, m.K-k) {
					v := m.Data[from]
					w[to+i] = byte(v)
					sum += int32(v)
					from += m.Row
				}
				to += t.NR * t.KR
			}
		}
		bias[j] = sum * (t.Flip - m.Zero)
		if m.Bias != nil {
			bias[j] += m.Bias[n0+j]
		}
		bias[t.NR+j] = int32(math.Float32bits(m.Scale[n0+j]))
	}
}

// Pack packs all panels, one behind the other, into dst, which is zeroed and
// has PanelLen bytes for each.
func (m *MatrixQ8) Pack(dst []byte, t TileQ8) {
	size := m.PanelLen(t)
	for p := range m.Panels(t) {
		m.PackPanel(dst[p*size:(p+1)*size], p, t)
	}
}

func roundUp(n, step int) int { return (n + step - 1) / step * step }

// Q8Gemm computes rows of a product for panels of Q8NR columns.
func Q8Gemm(a *GemmQ8) {
	for m := range a.M {
		q8Row(a, m, func(int) unsafe.Pointer { return unsafe.Add(a.A, m*a.AStride) }, 1)
	}
}

// Q8Igemm computes rows of an implicit GEMM for panels of Q8NR columns.
func Q8Igemm(a *GemmQ8) {
	offsets := unsafe.Slice(a.Offsets, a.M*a.Taps)
	for m := range a.M {
		q8Row(a, m, func(t int) unsafe.Pointer { return tapStart(a.A, a.ZeroA, offsets[m*a.Taps+t]) }, a.Taps)
	}
}

// q8Row computes row m, whose taps start where at says.
func q8Row(a *GemmQ8, m int, at func(tap int) unsafe.Pointer, taps int) {
	head := unsafe.Slice((*int32)(a.W), 2*Q8NR)
	groups := roundUp(a.K, Q8KR) / Q8KR
	w := unsafe.Slice((*int8)(unsafe.Add(a.W, 8*Q8NR)), taps*groups*Q8KR*Q8NR)
	var acc [Q8NR]int32
	copy(acc[:], head)
	for t := range taps {
		x := unsafe.Slice((*uint8)(at(t)), a.K)
		for k, v := range x {
			row := w[(t*groups+k/Q8KR)*Q8NR*Q8KR+k%Q8KR:]
			for n := range acc {
				acc[n] += int32(v) * int32(row[n*Q8KR])
			}
		}
	}
	for n := range a.N {
		f := clamp(float32(float32(acc[n])*math.Float32frombits(uint32(head[Q8NR+n]))), a.Min, a.Max)
		if a.Float != 0 {
			*(*float32)(unsafe.Add(a.C, m*a.CStride+4*n)) = f
		} else {
			*(*uint8)(unsafe.Add(a.C, m*a.CStride+n)) = Q8Round(f, a.Zero)
		}
	}
}

// Q8Round rounds half to even and adds a zero point; the result is in 0..255.
func Q8Round(f float32, zero int32) uint8 {
	return uint8(int32(math.RoundToEven(float64(f))) + zero)
}

// DwconvQ8 holds the arguments of one run of output pixels of a depthwise
// convolution of 8-bit numbers over channels-last data. With
//
//	s = bias[c] + Σt In(p,t)[c]·W[t][c]
//
// Out is made of s as C is in GemmQ8. In(p,t) starts at In + Offsets[p·Taps+t]
// bytes, or at ZeroA where that offset is negative. Rows of the input may be
// read up to Q8Slack bytes behind C. Out and the input do not overlap: a kernel
// may compute a pixel twice.
type DwconvQ8 struct {
	In        unsafe.Pointer
	ZeroA     unsafe.Pointer // at least C zero points
	Offsets   *int32         // Pixels x Taps
	W         unsafe.Pointer // as PackDwconvQ8 makes it
	Out       unsafe.Pointer
	OutStride int // bytes between output pixels
	Pixels    int
	Taps      int
	C         int
	Min, Max  float32
	Zero      int32
	Float     int32
	_         apart
}

// PackedDwconvQ8Len returns the bytes that PackDwconvQ8 fills.
func PackedDwconvQ8Len(taps, channels, group int) int {
	size := 2
	if group == 4 {
		size = 1
	}
	return DwconvWidth(channels) * (8 + roundUp(taps, group)*size)
}

// PackDwconvQ8 lays out the weights of a depthwise convolution of 8-bit
// numbers, every row DwconvWidth(channels) wide with zeros at the end: a row of
// int32 biases, into which the zero point of the input is folded, a row of
// float32 scales, then the weights, as many taps together for each channel as
// group says: weight (t, c) is element (t/group·width + c)·group + t%group, an
// int16 for groups of 1, an int8 for groups of 4; groups of 2 have an order of
// their own, see packDwconvPairs. Missing taps are zeros.
// dst is zeroed and aligned for int32; a nil bias means zeros.
func PackDwconvQ8(dst []byte, w func(tap, c int) int8, bias []int32, scale []float32, taps, channels, group int, zero int32) {
	if group == 2 {
		packDwconvPairs(dst, w, bias, scale, taps, channels, zero)
		return
	}
	width := DwconvWidth(channels)
	head := unsafe.Slice((*int32)(unsafe.Pointer(&dst[0])), 2*width)
	wide := unsafe.Slice((*int16)(unsafe.Pointer(&dst[8*width])), (len(dst)-8*width)/2)
	for c := range channels {
		sum := int32(0)
		for t := range taps {
			v := w(t, c)
			sum += int32(v)
			at := (t/group*width+c)*group + t%group
			if group == 4 {
				dst[8*width+at] = byte(v)
			} else {
				wide[at] = int16(v)
			}
		}
		head[c] = -sum * zero
		if bias != nil {
			head[c] += bias[c]
		}
		head[width+c] = int32(math.Float32bits(scale[c]))
	}
}

// Q8Dwconv is the depthwise convolution for weights in groups of 1.
func Q8Dwconv(a *DwconvQ8) {
	width := DwconvWidth(a.C)
	head := unsafe.Slice((*int32)(a.W), 2*width)
	w := unsafe.Slice((*int16)(unsafe.Add(a.W, 8*width)), a.Taps*width)
	offsets := unsafe.Slice(a.Offsets, a.Pixels*a.Taps)
	for p := range a.Pixels {
		out := unsafe.Add(a.Out, p*a.OutStride)
		for c := range a.C {
			acc := head[c]
			for t := range a.Taps {
				x := *(*uint8)(unsafe.Add(tapStart(a.In, a.ZeroA, offsets[p*a.Taps+t]), c))
				acc += int32(x) * int32(w[t*width+c])
			}
			f := clamp(float32(float32(acc)*math.Float32frombits(uint32(head[width+c]))), a.Min, a.Max)
			if a.Float != 0 {
				*(*float32)(unsafe.Add(out, 4*c)) = f
			} else {
				*(*uint8)(unsafe.Add(out, c)) = Q8Round(f, a.Zero)
			}
		}
	}
}

// PoolQ8 holds the arguments of one run of output pixels of a pooling of uint8
// over channels-last data, over the taps whose offset is not negative. U8MaxPool
// takes the maximum (a pixel has at least one tap). U8AvgPool writes, for n taps of sum s,
//
//	round(clamp(float32(s - n·ZeroA)·Scale[p], Min, Max)) + Zero
//
// rounded half to even; the sums stay below 2^31. Up to Q8Slack bytes behind the
// C of an input pixel may be read. Out and the input do not overlap.
type PoolQ8 struct {
	In        unsafe.Pointer
	Offsets   *int32   // Pixels x Taps, bytes; negative: outside the image
	Scale     *float32 // Pixels; U8AvgPool only
	Out       unsafe.Pointer
	OutStride int
	Pixels    int
	Taps      int
	C         int
	ZeroA     int32
	Zero      int32
	Min, Max  float32
	_         apart
}

// U8MaxPool is the maximum over windows; see PoolQ8.
func U8MaxPool(a *PoolQ8) {
	q8Pool(a, func(_, top, _, _ int32) uint8 { return uint8(top) })
}

// U8AvgPool is the mean over windows; see PoolQ8.
func U8AvgPool(a *PoolQ8) {
	scale := unsafe.Slice(a.Scale, a.Pixels)
	q8Pool(a, func(p, _, sum, n int32) uint8 {
		return Q8Round(clamp(float32(float32(sum-n*a.ZeroA)*scale[p]), a.Min, a.Max), a.Zero)
	})
}

func q8Pool(a *PoolQ8, result func(p, top, sum, n int32) uint8) {
	offsets := unsafe.Slice(a.Offsets, a.Pixels*a.Taps)
	for p := range a.Pixels {
		for c := range a.C {
			var top, sum, n int32
			for _, o := range offsets[p*a.Taps : (p+1)*a.Taps] {
				if o >= 0 {
					x := int32(*(*uint8)(unsafe.Add(a.In, int(o)+c)))
					top, sum, n = max(top, x), sum+x, n+1
				}
			}
			*(*uint8)(unsafe.Add(a.Out, p*a.OutStride+c)) = result(int32(p), top, sum, n)
		}
	}
}

// BinaryU8 holds what a sum or product of uint8 tensors needs beside them: zero points,
// factors, and the bounds of the result less Zero.
type BinaryU8 struct {
	A, B     float32 // U8Mul uses A only
	ZeroA    int32
	ZeroB    int32
	Zero     int32
	Min, Max float32
	_        int32
}

// U8Add sets
//
//	dst[i] = round(clamp(float32(a[i]-ZeroA)·A + float32(b[i]-ZeroB)·B, Min, Max)) + Zero
//
// every product and the sum rounded to float32, then half to even. The slices
// have one length; dst may be a or b.
func U8Add(dst, a, b []uint8, p *BinaryU8) {
	for i, x := range a {
		f := float32(float32(int32(x)-p.ZeroA)*p.A) + float32(float32(int32(b[i])-p.ZeroB)*p.B)
		dst[i] = Q8Round(clamp(f, p.Min, p.Max), p.Zero)
	}
}

// U8Mul sets
//
//	dst[i] = round(clamp(float32((a[i]-ZeroA)·(b[i]-ZeroB))·A, Min, Max)) + Zero
//
// rounded half to even. The slices have one length; dst may be a or b.
func U8Mul(dst, a, b []uint8, p *BinaryU8) {
	for i, x := range a {
		f := float32(float32((int32(x)-p.ZeroA)*(int32(b[i])-p.ZeroB)) * p.A)
		dst[i] = Q8Round(clamp(f, p.Min, p.Max), p.Zero)
	}
}

// U8Table sets dst[i] = table[src[i]]; dst may be src.
func U8Table(dst, src []uint8, table *[256]uint8) {
	for i, x := range src {
		dst[i] = table[x]
	}
}

// F32ToU8 sets dst[i] = clamp(round(src[i]/scale) + zero, 0, 255), the quotient
// in float32, rounded half to even; a NaN gives 0.
func F32ToU8(dst []uint8, src []float32, scale float32, zero int32) {
	lo, hi := float32(-zero), float32(255-zero)
	for i, x := range src {
		f := x / scale
		if !(f >= lo) {
			f = lo
		}
		dst[i] = Q8Round(min(f, hi), zero)
	}
}

// U8ToF32 sets dst[i] = float32(src[i]-zero)·scale.
func U8ToF32(dst []float32, src []uint8, scale float32, zero int32) {
	for i, x := range src {
		dst[i] = float32(int32(x)-zero) * scale
	}
}

// U8ToI16 sets dst[i] = src[i].
func U8ToI16(dst []int16, src []uint8) {
	for i, x := range src {
		dst[i] = int16(x)
	}
}
