//go:build !noasm

package arm64

import "github.com/edgecam/edgecam/kernels/ref"

// JPEGIDCT transforms blocks of coefficients to samples, side by side.
func JPEGIDCT(dst []byte, stride int, coef []int16) { inverse(jpegIDCTNEON, dst, stride, coef, 8) }

// JPEGIDCT4 transforms blocks of coefficients to 4x4 samples, side by side.
func JPEGIDCT4(dst []byte, stride int, coef []int16) { inverse(jpegIDCT4NEON, dst, stride, coef, 4) }

// JPEGIDCT2 transforms blocks of coefficients to 2x2 samples, side by side.
func JPEGIDCT2(dst []byte, stride int, coef []int16) { inverse(jpegIDCT2NEON, dst, stride, coef, 2) }

// inverse applies a kernel that makes size samples along both sides of a block.
func inverse(kernel func(dst *byte, stride int, coef *int16, blocks int), dst []byte, stride int, coef []int16, size int) {
	const most = 1 << 8 // blocks of one call, below 50 µs
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
	if n < 10 {
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
	jpegUpsampleH2V1NEON(&dst[2], &src[1], (n-2)/8)
	jpegUpsampleH2V1NEON(&dst[2*(n-9)], &src[n-9], 1)
}

// JPEGUpsampleH2V2 doubles a row of samples that is mixed with another one.
func JPEGUpsampleH2V2(dst, near, far []byte) {
	n := len(near)
	if n < 10 {
		ref.JPEGUpsampleH2V2(dst, near, far)
		return
	}
	dst, far = dst[:2*n], far[:n]
	var end [4]byte
	ref.JPEGUpsampleH2V2(end[:], near[:2], far[:2])
	copy(dst, end[:2])
	ref.JPEGUpsampleH2V2(end[:], near[n-2:], far[n-2:])
	copy(dst[2*n-2:], end[2:])
	jpegUpsampleH2V2NEON(&dst[2], &near[1], &far[1], (n-2)/8)
	jpegUpsampleH2V2NEON(&dst[2*(n-9)], &near[n-9], &far[n-9], 1)
}

// JPEGToRGB turns YCbCr to packed red, green, blue.
func JPEGToRGB(dst, y, cb, cr []byte) {
	n := len(y)
	if n < 8 {
		ref.JPEGToRGB(dst, y, cb, cr)
		return
	}
	cb, cr, dst = cb[:n], cr[:n], dst[:3*n]
	jpegToRGBNEON(&dst[0], &y[0], &cb[0], &cr[0], n/8)
	if n%8 != 0 {
		at := n - 8
		jpegToRGBNEON(&dst[3*at], &y[at], &cb[at], &cr[at], 1)
	}
}
