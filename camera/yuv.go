package camera

import "image"

// ToRGBA converts the pixels into dst, which it returns. A dst of another size,
// or nil, is replaced by a new image. YUYV and NV12 are taken for ITU-R BT.601
// of limited range, which cameras give and OpenCV and libv4l assume:
//
//	R = 1.164 (Y-16)                 + 1.596 (Cr-128)
//	G = 1.164 (Y-16) - 0.391 (Cb-128) - 0.813 (Cr-128)
//	B = 1.164 (Y-16) + 2.018 (Cb-128)
//
// with Y below 16 taken for 16, every chroma sample used for its two or four
// pixels as it is, and OpenCV's fixed point of 20 bits, so that results are
// equal to cv::cvtColor's. f must pass Check.
func (f *Frame) ToRGBA(dst *image.RGBA) *image.RGBA {
	r := image.Rect(0, 0, f.Width, f.Height)
	if dst == nil || dst.Rect != r {
		dst = image.NewRGBA(r)
	}
	for y := range f.Height {
		src := f.Pix[y*f.Stride:]
		out := dst.Pix[y*dst.Stride:][:4*f.Width]
		switch f.Format {
		case RGB24:
			threeToRGBA(out, src, 0, 2)
		case BGR24:
			threeToRGBA(out, src, 2, 0)
		case GRAY8:
			for x, v := range src[:f.Width] {
				p := out[4*x : 4*x+4]
				p[0], p[1], p[2], p[3] = v, v, v, 0xff
			}
		case YUYV:
			for len(out) > 0 {
				g := src[:4]
				n := min(8, len(out))
				pairToRGBA(out[:n], g[0], g[2], g[1], g[3])
				src, out = src[4:], out[n:]
			}
		case NV12:
			chroma := f.Pix[(f.Height+y/2)*f.Stride:]
			for len(out) > 0 {
				n := min(8, len(out))
				second := src[0]
				if n == 8 {
					second = src[1]
				}
				pairToRGBA(out[:n], src[0], second, chroma[0], chroma[1])
				out = out[n:]
				if len(out) > 0 {
					src, chroma = src[2:], chroma[2:]
				}
			}
		}
	}
	return dst
}

func threeToRGBA(out, src []byte, first, last int) {
	for len(src) >= 3 && len(out) >= 4 {
		out[0], out[1], out[2], out[3] = src[first], src[1], src[last], 0xff
		src, out = src[3:], out[4:]
	}
}

// pairToRGBA writes one pixel, or two, of one chroma sample.
func pairToRGBA(out []byte, y0, y1, cb, cr byte) {
	const half = 1 << 19
	u, v := int32(cb)-128, int32(cr)-128
	red, green, blue := half+1673527*v, half-409993*u-852492*v, half+2116026*u
	for _, y := range [2]byte{y0, y1} {
		if len(out) < 4 {
			return
		}
		luma := max(0, int32(y)-16) * 1220542
		out[0], out[1], out[2], out[3] = clamp(luma+red), clamp(luma+green), clamp(luma+blue), 0xff
		out = out[4:]
	}
}

// clamp drops 20 fractional bits.
func clamp(v int32) byte { return byte(min(max(v>>20, 0), 255)) }
