package ref

// The inverse DCT of libjpeg's jidctint.c (Loeffler, Ligtenberg and Moschytz,
// ICASSP 1989): 13 fractional bits of the constants, 2 more between the passes.
const (
	idct0298 = 2446  // 0.298631336
	idct0390 = 3196  // 0.390180644
	idct0541 = 4433  // 0.541196100
	idct0765 = 6270  // 0.765366865
	idct0899 = 7373  // 0.899976223
	idct1175 = 9633  // 1.175875602
	idct1501 = 12299 // 1.501321110
	idct1847 = 15137 // 1.847759065
	idct1961 = 16069 // 1.961570560
	idct2053 = 16819 // 2.053119869
	idct2562 = 20995 // 2.562915447
	idct3072 = 25172 // 3.072711026
)

// JPEGIDCT transforms len(coef)/64 blocks of 8x8 coefficients, dequantized and
// row by row, to samples: block i fills columns 8i to 8i+7 of the eight rows of
// dst, which are stride bytes apart. It sets coef to zero. Results are those of
// libjpeg's JDCT_ISLOW where coefficients are below 2048; beyond, sums of two
// wrap at 16 bits and what passes between the passes is limited to 16 bits.
func JPEGIDCT(dst []byte, stride int, coef []int16) {
	for ; len(coef) >= 64; coef = coef[64:] {
		idct((*[64]int16)(coef), dst, stride)
		clear(coef[:64])
		dst = dst[min(8, len(dst)):]
	}
}

func idct(b *[64]int16, dst []byte, stride int) {
	for x := range 8 {
		c := b[x:]
		if c[8]|c[16]|c[24]|c[32]|c[40]|c[48]|c[56] == 0 { // common
			v := narrow(int32(c[0]) << 2)
			c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56] = v, v, v, v, v, v, v, v
			continue
		}
		v0, v1, v2, v3, v4, v5, v6, v7 := idctPass(c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56], 1<<10)
		c[0], c[8], c[16], c[24] = narrow(v0>>11), narrow(v1>>11), narrow(v2>>11), narrow(v3>>11)
		c[32], c[40], c[48], c[56] = narrow(v4>>11), narrow(v5>>11), narrow(v6>>11), narrow(v7>>11)
	}
	for y := range 8 {
		c := (*[8]int16)(b[8*y:])
		row := (*[8]byte)(dst[y*stride:])
		v0, v1, v2, v3, v4, v5, v6, v7 := idctPass(c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], 1<<17)
		row[0], row[1], row[2], row[3] = sample(v0>>18), sample(v1>>18), sample(v2>>18), sample(v3>>18)
		row[4], row[5], row[6], row[7] = sample(v4>>18), sample(v5>>18), sample(v6>>18), sample(v7>>18)
	}
}

// idctPass transforms a line of eight and adds round.
func idctPass(x0, x1, x2, x3, x4, x5, x6, x7 int16, round int32) (y0, y1, y2, y3, y4, y5, y6, y7 int32) {
	z2, z3 := int32(x2), int32(x6)
	z1 := (z2 + z3) * idct0541
	e2 := z1 - z3*idct1847
	e3 := z1 + z2*idct0765
	e0 := int32(x0+x4)<<13 + round
	e1 := int32(x0-x4)<<13 + round
	a, b, c, d := e0+e3, e1+e2, e1-e2, e0-e3

	v1, v3, v5, v7 := int32(x1), int32(x3), int32(x5), int32(x7)
	z1, z2 = (v7+v1)*-idct0899, (v5+v3)*-idct2562
	z3, z4 := int32(x7+x3), int32(x5+x1)
	z5 := (z3 + z4) * idct1175
	z3, z4 = z5-z3*idct1961, z5-z4*idct0390
	o3 := v7*idct0298 + z1 + z3
	o2 := v5*idct2053 + z2 + z4
	o1 := v3*idct3072 + z2 + z3
	o0 := v1*idct1501 + z1 + z4
	return a + o0, b + o1, c + o2, d + o3, d - o3, c - o2, b - o1, a - o0
}

// The constants of libjpeg's jidctred.c, with 13 fractional bits.
const (
	half0211 = 1730  // 0.211164243
	half0509 = 4176  // 0.509795579
	half0601 = 4926  // 0.601344887
	half0899 = 7373  // 0.899976223
	half1061 = 8697  // 1.061594337
	half1451 = 11893 // 1.451774981
	half2172 = 17799 // 2.172734803
	half2562 = 20995 // 2.562915447

	quarter0720 = 5906  // 0.720959822
	quarter0850 = 6967  // 0.850430095
	quarter1272 = 10426 // 1.272758580
	quarter3624 = 29692 // 3.624509785
)

// JPEGIDCT4 is JPEGIDCT at half the size: block i fills columns 4i to 4i+3 of
// four rows, as libjpeg's jpeg_idct_4x4.
func JPEGIDCT4(dst []byte, stride int, coef []int16) {
	for ; len(coef) >= 64; coef = coef[64:] {
		b := (*[64]int16)(coef)
		var work [32]int16
		for x := range 8 {
			if x == 4 { // does not count
				continue
			}
			v := half([8]int16{b[x], b[8+x], b[16+x], b[24+x], 0, b[40+x], b[48+x], b[56+x]}, 12)
			for y, s := range v {
				work[8*y+x] = s
			}
		}
		for y := range 4 {
			row := dst[y*stride:][:4]
			for x, s := range half([8]int16(work[8*y:]), 19) {
				row[x] = sample(int32(s))
			}
		}
		clear(b[:])
		dst = dst[min(4, len(dst)):]
	}
}

// half transforms a line to one of half the length and drops shift bits.
func half(v [8]int16, shift uint) [4]int16 {
	v1, v3, v5, v7 := int32(v[1]), int32(v[3]), int32(v[5]), int32(v[7])
	e := int32(v[2])*idct1847 - int32(v[6])*idct0765
	o1 := v7*-half0211 + v5*half1451 - v3*half2172 + v1*half1061
	o0 := v7*-half0509 - v5*half0601 + v3*half0899 + v1*half2562
	first := int32(v[0])<<14 + 1<<(shift-1)
	return [4]int16{
		narrow((first + e + o0) >> shift), narrow((first - e + o1) >> shift),
		narrow((first - e - o1) >> shift), narrow((first + e - o0) >> shift),
	}
}

// JPEGIDCT2 is JPEGIDCT at a quarter of the size: block i fills columns 2i and
// 2i+1 of two rows, as libjpeg's jpeg_idct_2x2.
func JPEGIDCT2(dst []byte, stride int, coef []int16) {
	for ; len(coef) >= 64; coef = coef[64:] {
		b := (*[64]int16)(coef)
		var up, down [8]int16
		for _, x := range [...]int{0, 1, 3, 5, 7} {
			up[x], down[x] = quarter(b[x], b[8+x], b[24+x], b[40+x], b[56+x], 13)
		}
		for y, v := range [2][8]int16{up, down} {
			left, right := quarter(v[0], v[1], v[3], v[5], v[7], 20)
			row := dst[y*stride:][:2]
			row[0], row[1] = sample(int32(left)), sample(int32(right))
		}
		clear(b[:])
		dst = dst[min(2, len(dst)):]
	}
}

// quarter transforms a line to two and drops shift bits.
func quarter(v0, v1, v3, v5, v7 int16, shift uint) (int16, int16) {
	odd := int32(v7)*-quarter0720 + int32(v5)*quarter0850 - int32(v3)*quarter1272 + int32(v1)*quarter3624
	even := int32(v0)<<15 + 1<<(shift-1)
	return narrow((even + odd) >> shift), narrow((even - odd) >> shift)
}

// JPEGIDCT1 is JPEGIDCT at an eighth of the size: sample i is the mean of block i.
func JPEGIDCT1(dst []byte, _ int, coef []int16) {
	for ; len(coef) >= 64; coef = coef[64:] {
		dst[0] = sample((int32(coef[0]) + 4) >> 3)
		clear(coef[:64])
		dst = dst[1:]
	}
}

// sample makes a byte of a number around 0.
func sample(v int32) byte { return byte(min(max(v+128, 0), 255)) }

// narrow limits v to 16 bits.
func narrow(v int32) int16 { return int16(min(max(v, -1<<15), 1<<15-1)) }

// JPEGUpsampleH2V1 doubles a row of samples, 3/4 of the nearer and 1/4 of the
// further one, as h2v1_fancy_upsample of libjpeg's jdsample.c. dst has twice the
// length of src.
func JPEGUpsampleH2V1(dst, src []byte) {
	dst = dst[:2*len(src)]
	for x, v := range src {
		near := 3 * int(v)
		dst[2*x] = byte((near + int(src[max(x-1, 0)]) + 1) >> 2)
		dst[2*x+1] = byte((near + int(src[min(x+1, len(src)-1)]) + 2) >> 2)
	}
}

// JPEGUpsampleH2V2 doubles a row of samples that is first mixed, 3/4 of near and
// 1/4 of far, as h2v2_fancy_upsample of libjpeg's jdsample.c. near and far have
// one length, dst twice as many.
func JPEGUpsampleH2V2(dst, near, far []byte) {
	dst, far = dst[:2*len(near)], far[:len(near)]
	sum := func(x int) int {
		x = min(max(x, 0), len(near)-1)
		return 3*int(near[x]) + int(far[x])
	}
	for x := range near {
		v := 3 * sum(x)
		dst[2*x] = byte((v + sum(x-1) + 8) >> 4)
		dst[2*x+1] = byte((v + sum(x+1) + 7) >> 4)
	}
}

// JPEGToRGB turns YCbCr to packed red, green, blue with 16 fractional bits, as
// libjpeg's jdcolor.c:
//
//	R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb
//
// with 128 taken off Cb and Cr, which are as long as y. dst is three times as long.
func JPEGToRGB(dst, y, cb, cr []byte) {
	const half = 1 << 15
	cb, cr, dst = cb[:len(y)], cr[:len(y)], dst[:3*len(y)]
	for x, v := range y {
		l, b, r := int32(v), int32(cb[x])-128, int32(cr[x])-128
		red := l + (91881*r+half)>>16
		green := l + (-22554*b-46802*r+half)>>16
		blue := l + (116130*b+half)>>16
		if uint32(red|green|blue) > 255 {
			red, green, blue = min(max(red, 0), 255), min(max(green, 0), 255), min(max(blue, 0), 255)
		}
		p := dst[3*x : 3*x+3]
		p[0], p[1], p[2] = byte(red), byte(green), byte(blue)
	}
}
