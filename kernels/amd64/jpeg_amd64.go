//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// JPEGIDCT transforms blocks of coefficients to samples, side by side.
func JPEGIDCT(dst []byte, stride int, coef []int16) { inverse(jpegIDCTAVX2, dst, stride, coef, 8) }

// JPEGIDCT4 transforms blocks of coefficients to 4x4 samples, side by side.
func JPEGIDCT4(dst []byte, stride int, coef []int16) { inverse(jpegIDCT4AVX2, dst, stride, coef, 4) }

// JPEGIDCT2 transforms blocks of coefficients to 2x2 samples, side by side.
func JPEGIDCT2(dst []byte, stride int, coef []int16) { inverse(jpegIDCT2AVX2, dst, stride, coef, 2) }

// inverse applies a kernel that makes size samples along both sides of a block.
func inverse(kernel func(dst *byte, stride int, coef *int16, blocks int), dst []byte, stride int, coef []int16, size int) {
	const most = 1 << 10 // blocks of one call, some 20 µs
	for len(coef) >= 64 {
		n := min(len(coef)/64, most)
		_ = dst[(size-1)*stride+size*n-1]
		kernel(&dst[0], stride, &coef[0], n)
		dst, coef = dst[size*n:], coef[64*n:]
	}
}

// JPEGUpsampleH2V1 doubles a row of samples.
func JPEGUpsampleH2V1(dst, src []byte) {
	n := len(src)
	if n < 18 {
		ref.JPEGUpsampleH2V1(dst, src)
		return
	}
	dst = dst[:2*n]
	// The ends, which have no neighbour, by the reference.
	var end [4]byte
	ref.JPEGUpsampleH2V1(end[:], src[:2])
	copy(dst, end[:2])
	ref.JPEGUpsampleH2V1(end[:], src[n-2:])
	copy(dst[2*n-2:], end[2:])
	jpegUpsampleH2V1AVX2(&dst[2], &src[1], (n-2)/16)
	jpegUpsampleH2V1AVX2(&dst[2*(n-17)], &src[n-17], 1)
}

// JPEGUpsampleH2V2 doubles a row of samples that is mixed with another one.
func JPEGUpsampleH2V2(dst, near, far []byte) {
	n := len(near)
	if n < 18 {
		ref.JPEGUpsampleH2V2(dst, near, far)
		return
	}
	dst, far = dst[:2*n], far[:n]
	var end [4]byte
	ref.JPEGUpsampleH2V2(end[:], near[:2], far[:2])
	copy(dst, end[:2])
	ref.JPEGUpsampleH2V2(end[:], near[n-2:], far[n-2:])
	copy(dst[2*n-2:], end[2:])
	jpegUpsampleH2V2AVX2(&dst[2], &near[1], &far[1], (n-2)/16)
	jpegUpsampleH2V2AVX2(&dst[2*(n-17)], &near[n-17], &far[n-17], 1)
}

// JPEGToRGB turns YCbCr to packed red, green, blue.
func JPEGToRGB(dst, y, cb, cr []byte) {
	n := len(y)
	if n < 32 {
		ref.JPEGToRGB(dst, y, cb, cr)
		return
	}
	cb, cr, dst = cb[:n], cr[:n], dst[:3*n]
	jpegToRGBAVX2(&dst[0], &y[0], &cb[0], &cr[0], n/32)
	if n%32 != 0 {
		at := n - 32
		jpegToRGBAVX2(&dst[3*at], &y[at], &cb[at], &cr[at], 1)
	}
}
