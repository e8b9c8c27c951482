// Package kernels is the table of micro-kernels: one Set for each rung of the
// instruction-set ladder, and the choice of the best rung for this CPU.
//
// It does not know operators or graphs, and never starts a goroutine: callers
// cut work into tiles and call slots on each.
package kernels

import "github.com/edgecam/edgecam/kernels/ref"

// Unary names an elementwise float32 function with up to two parameters.
type Unary int

// The elementwise functions. p and q are the parameters.
const (
	Clamp       Unary = iota // min(max(x, p), q); a NaN stays NaN
	LeakyRelu                // x < 0 ? p·x : x
	Sigmoid                  // 1/(1+exp(-x))
	SiLU                     // x·sigmoid(p·x), p = 1 for SiLU
	HardSigmoid              // min(max(p·x+q, 0), 1)
	HardSwish                // x·min(max(p·x+q, 0), 1); p = 1/6, q = 1/2 for HardSwish
	Tanh
	Exp
	Erf
	Gelu   // x·(1+erf(x/√2))/2
	Affine // p·x+q, rounded after the product
	NumUnary
)

// Binary names an elementwise float32 function of two operands.
type Binary int

// The binary functions. Min and Max return NaN where either operand is NaN.
const (
	Add Binary = iota
	Sub
	Mul
	Div
	Min
	Max
	PRelu // a < 0 ? a·b : a
	NumBinary
)

// Winograd names a minimal filtering algorithm for 3x3 kernels by its tile of
// outputs.
type Winograd int

// The algorithms.
const (
	Winograd2 Winograd = iota // 2x2 outputs from 4x4 pixels
	Winograd4                 // 4x4 outputs from 6x6 pixels
	NumWinograd
)

// Set is one rung's table of micro-kernels. No slot is ever nil: a rung
// starts as a copy of the one below it and replaces what it does better.
type Set struct {
	Name string // the rung, as EDGECAM_KERNELS spells it

	// F32Gemm and F32Igemm compute rows of up to F32NR columns, in tiles of
	// F32MR rows; see ref.GemmF32. Weights are packed for F32NR by
	// ref.PackGemmF32.
	F32Gemm, F32Igemm func(*ref.GemmF32)
	F32MR, F32NR      int

	// F32WinogradIn and F32WinogradOut are the transforms before and behind the
	// products of a Winograd convolution.
	F32WinogradIn  [NumWinograd]func(*ref.WinogradInF32)
	F32WinogradOut [NumWinograd]func(*ref.WinogradOutF32)

	F32Dwconv  func(*ref.DwconvF32)
	F32MaxPool func(*ref.PoolF32)
	F32AvgPool func(*ref.PoolF32)

	// F32Unary sets dst[i] = f(src[i]); the slices have one length and are
	// the same or do not overlap.
	F32Unary [NumUnary]func(dst, src []float32, p, q float32)
	// F32Binary sets dst[i] = f(a[i], b[i]); dst may be a or b.
	F32Binary [NumBinary]func(dst, a, b []float32)
	// F32BinaryScalar sets dst[i] = f(a[i], b); dst may be a.
	F32BinaryScalar [NumBinary]func(dst, a []float32, b float32)
	// F32Lerp sets dst[i] = a[i] + (b[i]-a[i])·t; dst may be a or b.
	F32Lerp func(dst, a, b []float32, t float32)
	// F32Norm sets dst[i] = (a[i]+r[i])·scale[i] + shift[i], times slope[i]
	// where that is negative, every product and sum rounded. r and slope are
	// nil where they have no part; dst may be a or r.
	F32Norm func(dst, a, r, scale, shift, slope []float32)
	// F32Zip interleaves runs of n elements, the second gap behind the first:
	//
	//	dst[r·dstRow+2·i] = src[r·srcRow+i], dst[r·dstRow+2·i+1] = src[r·srcRow+gap+i]
	//
	// for each of the rows; F32Even sets dst[r·dstRow+i] = src[r·srcRow+2·i].
	// dst and src do not overlap; nothing is negative.
	F32Zip  func(dst, src []float32, n, rows, dstRow, srcRow, gap int)
	F32Even func(dst, src []float32, n, rows, dstRow, srcRow int)
	// F32Max returns the largest element of a slice that is not empty; NaN
	// where there is one.
	F32Max func(a []float32) float32
	// F32ExpSum sets dst[i] = exp(src[i]-shift) and returns the sum; dst may
	// be src.
	F32ExpSum func(dst, src []float32, shift float32) float32

	// Q8Gemm and Q8Igemm compute rows of up to Q8.NR columns of a product of 8-bit
	// matrices, whose weights are packed for Q8 and are not -128; see ref.GemmQ8.
	// Q8GemmAny and Q8IgemmAny take weights of -128, too. Every slot for 8-bit
	// numbers gives the same bits on every rung.
	Q8Gemm, Q8Igemm       func(*ref.GemmQ8)
	Q8GemmAny, Q8IgemmAny func(*ref.GemmQ8)
	Q8                    ref.TileQ8

	// Q8Dwconv takes weights in groups of Q8DwconvGroup taps; see ref.PackDwconvQ8.
	Q8Dwconv      func(*ref.DwconvQ8)
	Q8DwconvGroup int

	// Poolings, elementwise functions and conversions of uint8; see the
	// functions of ref.
	U8MaxPool    func(*ref.PoolQ8)
	U8AvgPool    func(*ref.PoolQ8)
	U8Add, U8Mul func(dst, a, b []uint8, p *ref.BinaryU8)
	U8Table      func(dst, src []uint8, table *[256]uint8)
	F32ToU8      func(dst []uint8, src []float32, scale float32, zero int32)
	U8ToF32      func(dst []float32, src []uint8, scale float32, zero int32)
	U8ToI16      func(dst []int16, src []uint8)

	// F32Peak does as many multiply-adds for each of rounds as keep the units
	// of one core busy, without memory, and returns how many it did in all. It
	// serves to measure the machine.
	F32Peak func(rounds int) int

	// The parts of JPEG decoding, with the same bits on every rung where
	// coefficients are below 2048; see the functions of ref.
	JPEGIDCT         func(dst []byte, stride int, coef []int16)
	JPEGIDCT4        func(dst []byte, stride int, coef []int16)
	JPEGIDCT2        func(dst []byte, stride int, coef []int16)
	JPEGIDCT1        func(dst []byte, stride int, coef []int16)
	JPEGUpsampleH2V1 func(dst, src []byte)
	JPEGUpsampleH2V2 func(dst, near, far []byte)
	JPEGToRGB        func(dst, y, cb, cr []byte)

	// The way of a row of a frame to a row of a model's input, with the same bits
	// on every rung; see the functions of ref.
	U8YUYV   func(dst, src []byte)
	U8NV12   func(dst, luma, chroma []byte)
	U8Taps   func(dst []uint16, src []byte, order *ref.OrderU8, taps []ref.TapU8)
	U8Planes func(d0, d1, d2 []float32, up, down []uint16, a, b int, norm *ref.NormF32)
	U8Pixels func(dst []float32, up, down []uint16, a, b int, norm *ref.NormF32)
	U8SpanX  func(dst, src []byte, channels *[3]int, step int, spans []ref.SpanU8, weights []int32)
	U8SpanY  func(dst []uint16, rows []byte, at, weights []int32)
}

// Ref returns the lowest rung: plain Go, on every CPU.
func Ref() *Set {
	return &Set{
		Name:     "ref",
		F32Gemm:  ref.F32Gemm,
		F32Igemm: ref.F32Igemm,
		F32MR:    ref.F32MR,
		F32NR:    ref.F32NR,
		F32WinogradIn: [NumWinograd]func(*ref.WinogradInF32){
			Winograd2: ref.F32WinogradIn2, Winograd4: ref.F32WinogradIn4,
		},
		F32WinogradOut: [NumWinograd]func(*ref.WinogradOutF32){
			Winograd2: ref.F32WinogradOut2, Winograd4: ref.F32WinogradOut4,
		},
		F32Dwconv:  ref.F32Dwconv,
		F32MaxPool: ref.F32MaxPool,
		F32AvgPool: ref.F32AvgPool,
		F32Unary: [NumUnary]func(dst, src []float32, p, q float32){
			Clamp:       ref.F32Clamp,
			LeakyRelu:   ref.F32LeakyRelu,
			Sigmoid:     ref.F32Sigmoid,
			SiLU:        ref.F32SiLU,
			HardSigmoid: ref.F32HardSigmoid,
			HardSwish:   ref.F32HardSwish,
			Tanh:        ref.F32Tanh,
			Exp:         ref.F32Exp,
			Erf:         ref.F32Erf,
			Gelu:        ref.F32Gelu,
			Affine:      ref.F32Affine,
		},
		F32Binary: [NumBinary]func(dst, a, b []float32){
			Add: ref.F32Add, Sub: ref.F32Sub, Mul: ref.F32Mul, Div: ref.F32Div,
			Min: ref.F32Minimum, Max: ref.F32Maximum, PRelu: ref.F32PRelu,
		},
		F32BinaryScalar: [NumBinary]func(dst, a []float32, b float32){
			Add: ref.F32AddScalar, Sub: ref.F32SubScalar, Mul: ref.F32MulScalar, Div: ref.F32DivScalar,
			Min: ref.F32MinimumScalar, Max: ref.F32MaximumScalar, PRelu: ref.F32PReluScalar,
		},
		F32Lerp:   ref.F32Lerp,
		F32Norm:   ref.F32Norm,
		F32Zip:    ref.F32Zip,
		F32Even:   ref.F32Even,
		F32Max:    ref.F32Max,
		F32ExpSum: ref.F32ExpSum,
		F32Peak:   ref.F32Peak,

		Q8Gemm: ref.Q8Gemm, Q8Igemm: ref.Q8Igemm, Q8GemmAny: ref.Q8Gemm, Q8IgemmAny: ref.Q8Igemm,
		Q8:       ref.TileQ8{MR: ref.Q8MR, NR: ref.Q8NR, KR: ref.Q8KR},
		Q8Dwconv: ref.Q8Dwconv, Q8DwconvGroup: 1,
		U8MaxPool: ref.U8MaxPool,
		U8AvgPool: ref.U8AvgPool,
		U8Add:     ref.U8Add,
		U8Mul:     ref.U8Mul,
		U8Table:   ref.U8Table,
		F32ToU8:   ref.F32ToU8,
		U8ToF32:   ref.U8ToF32,
		U8ToI16:   ref.U8ToI16,

		JPEGIDCT:         ref.JPEGIDCT,
		JPEGIDCT4:        ref.JPEGIDCT4,
		JPEGIDCT2:        ref.JPEGIDCT2,
		JPEGIDCT1:        ref.JPEGIDCT1,
		JPEGUpsampleH2V1: ref.JPEGUpsampleH2V1,
		JPEGUpsampleH2V2: ref.JPEGUpsampleH2V2,
		JPEGToRGB:        ref.JPEGToRGB,

		U8YUYV:   ref.U8YUYV,
		U8NV12:   ref.U8NV12,
		U8Taps:   ref.U8Taps,
		U8Planes: ref.U8Planes,
		U8Pixels: ref.U8Pixels,
		U8SpanX:  ref.U8SpanX,
		U8SpanY:  ref.U8SpanY,
	}
}
