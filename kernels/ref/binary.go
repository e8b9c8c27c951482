package ref

// F32Add sets dst[i] = a[i] + b[i].
func F32Add(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = x + b[i]
	}
}

// F32AddScalar sets dst[i] = a[i] + b.
func F32AddScalar(dst, a []float32, b float32) {
	for i, x := range a {
		dst[i] = x + b
	}
}

// F32Sub sets dst[i] = a[i] - b[i].
func F32Sub(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = x - b[i]
	}
}

// F32SubScalar sets dst[i] = a[i] - b.
func F32SubScalar(dst, a []float32, b float32) {
	for i, x := range a {
		dst[i] = x - b
	}
}

// F32Mul sets dst[i] = a[i] · b[i].
func F32Mul(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = x * b[i]
	}
}

// F32MulScalar sets dst[i] = a[i] · b.
func F32MulScalar(dst, a []float32, b float32) {
	for i, x := range a {
		dst[i] = x * b
	}
}

// F32Div sets dst[i] = a[i] / b[i].
func F32Div(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = x / b[i]
	}
}

// F32DivScalar sets dst[i] = a[i] / b.
func F32DivScalar(dst, a []float32, b float32) {
	for i, x := range a {
		dst[i] = x / b
	}
}

// F32Minimum sets dst[i] = min(a[i], b[i]), NaN where either is.
func F32Minimum(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = min(x, b[i])
	}
}

// F32MinimumScalar sets dst[i] = min(a[i], b), NaN where either is.
func F32MinimumScalar(dst, a []float32, b float32) {
	for i, x := range a {
		dst[i] = min(x, b)
	}
}

// F32Maximum sets dst[i] = max(a[i], b[i]), NaN where either is.
func F32Maximum(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = max(x, b[i])
	}
}

// F32MaximumScalar sets dst[i] = max(a[i], b), NaN where either is.
func F32MaximumScalar(dst, a []float32, b float32) {
	for i, x := range a {
		dst[i] = max(x, b)
	}
}

// F32PRelu sets dst[i] = a[i]·b[i] where a[i] < 0, otherwise a[i].
func F32PRelu(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = prelu(x, b[i])
	}
}

// F32PReluScalar sets dst[i] = a[i]·b where a[i] < 0, otherwise a[i].
func F32PReluScalar(dst, a []float32, b float32) {
	for i, x := range a {
		dst[i] = prelu(x, b)
	}
}

// F32Lerp sets dst[i] = a[i] + (b[i]-a[i])·t, the product rounded.
func F32Lerp(dst, a, b []float32, t float32) {
	for i, x := range a {
		dst[i] = x + float32((b[i]-x)*t)
	}
}

// F32Norm sets dst[i] = (a[i]+r[i])·scale[i] + shift[i], times slope[i] where
// that is negative, every product and sum rounded. r and slope are nil where
// they have no part.
func F32Norm(dst, a, r, scale, shift, slope []float32) {
	for i, v := range a {
		if r != nil {
			v += r[i]
		}
		v = float32(v*scale[i]) + shift[i]
		if slope != nil {
			v = prelu(v, slope[i])
		}
		dst[i] = v
	}
}

// F32Zip interleaves runs of n elements, the second gap behind the first:
// dst[r·dstRow+2·i] = src[r·srcRow+i] and dst[r·dstRow+2·i+1] =
// src[r·srcRow+gap+i] for each of the rows.
func F32Zip(dst, src []float32, n, rows, dstRow, srcRow, gap int) {
	for r := range rows {
		a := src[r*srcRow:][:gap+n]
		for i := range n {
			pair := dst[r*dstRow+2*i:][:2]
			pair[0], pair[1] = a[i], a[gap+i]
		}
	}
}

// F32Even sets dst[r·dstRow+i] = src[r·srcRow+2·i] for each of the rows of n
// elements.
func F32Even(dst, src []float32, n, rows, dstRow, srcRow int) {
	for r := range rows {
		d := dst[r*dstRow:][:n]
		for i := range d {
			d[i] = src[r*srcRow+2*i]
		}
	}
}

func prelu(x, slope float32) float32 {
	if x < 0 {
		return x * slope
	}
	return x
}
