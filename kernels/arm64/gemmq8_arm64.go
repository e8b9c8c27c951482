//go:build !noasm

package arm64

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// The tile of Q8Gemm, Q8Igemm, Q8GemmAny and Q8IgemmAny.
const (
	Q8MR = 2
	Q8NR = 8
	Q8KR = 8
)

// The tile of Q8GemmDot and Q8IgemmDot.
const (
	Q8MRDot = 4
	Q8NRDot = 16
	Q8KRDot = 4
)

// Q8Gemm computes rows of a product of 8-bit matrices whose weights are not
// -128; see ref.GemmQ8. The caller bounds the length of a call.
func Q8Gemm(a *ref.GemmQ8) {
	checkQ8(a, Q8NR)
	q8GemmNEON2x8(a)
}

// Q8Igemm computes rows of an implicit GEMM of 8-bit numbers whose weights are
// not -128; see ref.GemmQ8.
func Q8Igemm(a *ref.GemmQ8) {
	checkQ8(a, Q8NR)
	q8IgemmNEON2x8(a)
}

// Q8GemmAny is Q8Gemm for weights of -128, too.
func Q8GemmAny(a *ref.GemmQ8) {
	checkQ8(a, Q8NR)
	q8GemmAnyNEON2x8(a)
}

// Q8IgemmAny is Q8Igemm for weights of -128, too.
func Q8IgemmAny(a *ref.GemmQ8) {
	checkQ8(a, Q8NR)
	q8IgemmAnyNEON2x8(a)
}

// Q8GemmDot computes rows of a product of 8-bit matrices with dot products; see
// ref.GemmQ8. The caller bounds the length of a call.
func Q8GemmDot(a *ref.GemmQ8) {
	checkQ8(a, Q8NRDot)
	if a.N <= Q8NRDot/2 {
		q8GemmDot4x8(a)
	} else {
		q8GemmDot4x16(a)
	}
}

// Q8IgemmDot computes rows of an implicit GEMM of 8-bit numbers with dot
// products; see ref.GemmQ8.
func Q8IgemmDot(a *ref.GemmQ8) {
	checkQ8(a, Q8NRDot)
	if a.N <= Q8NRDot/2 {
		q8IgemmDot4x8(a)
	} else {
		q8IgemmDot4x16(a)
	}
}

// checkQ8 panics where there are no rows or too many columns, which is a mistake
// of the caller.
func checkQ8(a *ref.GemmQ8, nr int) {
	_, _ = unsafe.Slice((*byte)(a.C), a.M)[0], unsafe.Slice((*byte)(a.C), nr+1)[a.N]
}
