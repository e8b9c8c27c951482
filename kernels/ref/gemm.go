package ref

import "unsafe"

// The tile of F32Gemm and F32Igemm.
const (
	F32MR = 4
	F32NR = 4
)

// F32Gemm computes one tile of a matrix product for panels of F32NR columns.
func F32Gemm(a *GemmF32) { F32GemmNR(a, F32NR) }

// F32Igemm computes one tile of an implicit GEMM for panels of F32NR columns.
func F32Igemm(a *GemmF32) { F32IgemmNR(a, F32NR) }

// F32GemmNR is F32Gemm for panels of nr columns, a multiple of 4, and any M.
func F32GemmNR(a *GemmF32, nr int) {
	for n := 0; n < a.N; n += 4 {
		for m := 0; m < a.M; m += 2 {
			second := min(m+1, a.M-1)
			acc := startTile(a, n)
			dotTile(&acc, unsafe.Add(a.A, m*a.AStride), unsafe.Add(a.A, second*a.AStride), a.W, nr+n, nr, a.K)
			storeTile(a, &acc, m, n)
		}
	}
}

// F32IgemmNR is F32Igemm for panels of nr columns, a multiple of 4, and any M.
func F32IgemmNR(a *GemmF32, nr int) {
	offsets := unsafe.Slice(a.Offsets, a.M*a.Taps)
	for n := 0; n < a.N; n += 4 {
		for m := 0; m < a.M; m += 2 {
			second := min(m+1, a.M-1)
			acc := startTile(a, n)
			for t := range a.Taps {
				x0 := tapStart(a.A, a.Zero, offsets[m*a.Taps+t])
				x1 := tapStart(a.A, a.Zero, offsets[second*a.Taps+t])
				dotTile(&acc, x0, x1, a.W, (1+t*a.K)*nr+n, nr, a.K)
			}
			storeTile(a, &acc, m, n)
		}
	}
}

// tapStart resolves one entry of an offset table.
func tapStart(base, zero unsafe.Pointer, offset int32) unsafe.Pointer {
	if offset < 0 {
		return zero
	}
	return unsafe.Add(base, int(offset))
}

// tile holds two rows of four columns.
type tile [2][4]float32

// startTile returns the biases of columns n to n+3 in both rows.
func startTile(a *GemmF32, n int) tile {
	b := *(*[4]float32)(unsafe.Add(a.W, 4*n))
	return tile{b, b}
}

// dotTile adds n products to each of the eight sums. The weights are elements
// first, first+stride and so on of w.
func dotTile(acc *tile, x0, x1, w unsafe.Pointer, first, stride, n int) {
	a0, a1, a2, a3 := acc[0][0], acc[0][1], acc[0][2], acc[0][3]
	b0, b1, b2, b3 := acc[1][0], acc[1][1], acc[1][2], acc[1][3]
	for k := range n {
		u := *(*float32)(unsafe.Add(x0, 4*k))
		v := *(*float32)(unsafe.Add(x1, 4*k))
		r := (*[4]float32)(unsafe.Add(w, 4*(first+k*stride)))
		a0 += float32(u * r[0])
		a1 += float32(u * r[1])
		a2 += float32(u * r[2])
		a3 += float32(u * r[3])
		b0 += float32(v * r[0])
		b1 += float32(v * r[1])
		b2 += float32(v * r[2])
		b3 += float32(v * r[3])
	}
	*acc = tile{{a0, a1, a2, a3}, {b0, b1, b2, b3}}
}

// storeTile adds the residual, clamps and writes the part of a tile at row m,
// column n that lies inside M x N.
func storeTile(a *GemmF32, acc *tile, m, n int) {
	cols := min(4, a.N-n)
	for i := range min(2, a.M-m) {
		c := unsafe.Add(a.C, (m+i)*a.CStride+4*n)
		for j := range cols {
			x := acc[i][j]
			if a.Res != nil {
				x += *(*float32)(unsafe.Add(a.Res, (m+i)*a.ResStride+4*(n+j)))
			}
			*(*float32)(unsafe.Add(c, 4*j)) = clamp(x, a.Min, a.Max)
		}
	}
}

// clamp limits x to lo..hi and keeps a NaN.
func clamp(x, lo, hi float32) float32 {
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return x
}
