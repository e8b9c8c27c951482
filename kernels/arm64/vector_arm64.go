//go:build !noasm

package arm64

// F32Add sets dst[i] = a[i] + b[i].
func F32Add(dst, a, b []float32) { binary(f32AddNEON, dst, a, b) }

// F32AddScalar sets dst[i] = a[i] + b.
func F32AddScalar(dst, a []float32, b float32) { scalar(f32AddScalarNEON, dst, a, b) }

// F32Sub sets dst[i] = a[i] - b[i].
func F32Sub(dst, a, b []float32) { binary(f32SubNEON, dst, a, b) }

// F32SubScalar sets dst[i] = a[i] - b.
func F32SubScalar(dst, a []float32, b float32) { scalar(f32SubScalarNEON, dst, a, b) }

// F32Mul sets dst[i] = a[i] · b[i].
func F32Mul(dst, a, b []float32) { binary(f32MulNEON, dst, a, b) }

// F32MulScalar sets dst[i] = a[i] · b.
func F32MulScalar(dst, a []float32, b float32) { scalar(f32MulScalarNEON, dst, a, b) }

// F32Div sets dst[i] = a[i] / b[i].
func F32Div(dst, a, b []float32) { binary(f32DivNEON, dst, a, b) }

// F32DivScalar sets dst[i] = a[i] / b.
func F32DivScalar(dst, a []float32, b float32) { scalar(f32DivScalarNEON, dst, a, b) }

// F32Minimum sets dst[i] = min(a[i], b[i]), NaN where either is.
func F32Minimum(dst, a, b []float32) { binary(f32MinimumNEON, dst, a, b) }

// F32MinimumScalar sets dst[i] = min(a[i], b), NaN where either is.
func F32MinimumScalar(dst, a []float32, b float32) { scalar(f32MinimumScalarNEON, dst, a, b) }

// F32Maximum sets dst[i] = max(a[i], b[i]), NaN where either is.
func F32Maximum(dst, a, b []float32) { binary(f32MaximumNEON, dst, a, b) }

// F32MaximumScalar sets dst[i] = max(a[i], b), NaN where either is.
func F32MaximumScalar(dst, a []float32, b float32) { scalar(f32MaximumScalarNEON, dst, a, b) }

// F32PRelu sets dst[i] = a[i]·b[i] where a[i] < 0, otherwise a[i].
func F32PRelu(dst, a, b []float32) { binary(f32PReluNEON, dst, a, b) }

// F32PReluScalar sets dst[i] = a[i]·b where a[i] < 0, otherwise a[i].
func F32PReluScalar(dst, a []float32, b float32) { scalar(f32PReluScalarNEON, dst, a, b) }

// binary calls f on parts of the slices.
func binary(f func(dst, a, b *float32, n int), dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for len(a) > 0 {
		n := min(len(a), callLen)
		f(&dst[0], &a[0], &b[0], n)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
}

// scalar calls f on parts of the slices.
func scalar(f func(dst, a *float32, b float32, n int), dst, a []float32, b float32) {
	dst = dst[:len(a)]
	for len(a) > 0 {
		n := min(len(a), callLen)
		f(&dst[0], &a[0], b, n)
		dst, a = dst[n:], a[n:]
	}
}

// F32Lerp sets dst[i] = a[i] + (b[i]-a[i])·t, the product rounded.
func F32Lerp(dst, a, b []float32, t float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for len(a) > 0 {
		n := min(len(a), callLen)
		f32LerpNEON(&dst[0], &a[0], &b[0], t, n)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
}

// F32Norm sets dst[i] = (a[i]+r[i])·scale[i] + shift[i], times slope[i] where
// that is negative, every product and sum rounded. r and slope are nil where
// they have no part.
func F32Norm(dst, a, r, scale, shift, slope []float32) {
	end := len(a)
	dst, scale, shift = dst[:end], scale[:end], shift[:end]
	if r != nil {
		r = r[:end]
	}
	if slope != nil {
		slope = slope[:end]
	}
	for i := 0; i < end; i += callLen {
		n := min(end-i, callLen)
		switch {
		case r == nil && slope == nil:
			f32NormNEON(&dst[i], &a[i], &scale[i], &shift[i], n)
		case r == nil:
			f32NormPReluNEON(&dst[i], &a[i], &scale[i], &shift[i], &slope[i], n)
		case slope == nil:
			f32SumNormNEON(&dst[i], &a[i], &r[i], &scale[i], &shift[i], n)
		default:
			f32SumNormPReluNEON(&dst[i], &a[i], &r[i], &scale[i], &shift[i], &slope[i], n)
		}
	}
}

// F32Zip interleaves runs of n elements, the second gap behind the first:
// dst[r·dstRow+2·i] = src[r·srcRow+i] and dst[r·dstRow+2·i+1] =
// src[r·srcRow+gap+i] for each of the rows.
func F32Zip(dst, src []float32, n, rows, dstRow, srcRow, gap int) {
	for r := range rows {
		d, s := dst[r*dstRow:][:2*n], src[r*srcRow:][:gap+n]
		for i := 0; i < n; i += callLen {
			f32ZipNEON(&d[2*i], &s[i], &s[gap+i], min(n-i, callLen))
		}
	}
}

// F32Even sets dst[r·dstRow+i] = src[r·srcRow+2·i] for each of the rows of n
// elements. Nothing behind the last element is read.
func F32Even(dst, src []float32, n, rows, dstRow, srcRow int) {
	for r := range rows {
		d, s := dst[r*dstRow:][:n], src[r*srcRow:][:max(2*n-1, 0)]
		for i := 0; i < n; i += callLen {
			f32EvenNEON(&d[i], &s[2*i], min(n-i, callLen))
		}
	}
}

// F32Max returns the largest element of a slice that is not empty, NaN where
// there is one.
func F32Max(a []float32) float32 {
	m := a[0]
	for len(a) > 0 {
		n := min(len(a), callLen)
		m = max(m, f32MaxNEON(&a[0], n))
		a = a[n:]
	}
	return m
}
