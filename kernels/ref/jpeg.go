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
	var work [64]int16
	for x := range 8 {
		v := idctPass([8]int16{b[x], b[8+x], b[16+x], b[24+x], b[32+x], b[40+x], b[48+x], b[56+x]}, 11)
		for y, s := range v {
			work[8*y+x] = s
		}
	}
	for y := range 8 {
		row := dst[y*stride:][:8]
		for x, s := range idctPass([8]int16(work[8*y:]), 18) {
			row[x] = byte(min(max(int32(s)+128, 0), 255))
		}
	}
}

// idctPass transforms a line and drops shift bits.
func idctPass(v [8]int16, shift uint) [8]int16 {
	half := int32(1) << (shift - 1)
	z2, z3 := int32(v[2]), int32(v[6])
	e2 := z2*idct0541 + z3*(idct0541-idct1847)
	e3 := z2*(idct0541+idct0765) + z3*idct0541
	e0 := int32(v[0]+v[4])<<13 + half
	e1 := int32(v[0]-v[4])<<13 + half
	even := [4]int32{e0 + e3, e1 + e2, e1 - e2, e0 - e3}

	a, b := int32(v[7]+v[3]), int32(v[5]+v[1])
	z3 = a*(idct1175-idct1961) + b*idct1175
	z4 := a*idct1175 + b*(idct1175-idct0390)
	v1, v3, v5, v7 := int32(v[1]), int32(v[3]), int32(v[5]), int32(v[7])
	odd := [4]int32{
		v7*-idct0899 + v1*(idct1501-idct0899) + z4,
		v5*-idct2562 + v3*(idct3072-idct2562) + z3,
		v5*(idct2053-idct2562) + v3*-idct2562 + z4,
		v7*(idct0298-idct0899) + v1*-idct0899 + z3,
	}
	var out [8]int16
	for i, e := range even {
		out[i] = narrow((e + odd[i]) >> shift)
		out[7-i] = narrow((e - odd[i]) >> shift)
	}
	return out
}

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
