package ref

import "math"

// The kernels of this file turn rows of bytes into rows of a model's input.
// They work with OpenCV's whole numbers, so that every rung gives the same bits.

// TapU8 is one pixel of a row that is resized: its left source pixel starts at
// byte At, and the weights of it and of the next one are A and B, 2048 in all.
type TapU8 struct {
	At   int32
	A, B uint16
}

// OrderU8 says which bytes are the channels of two neighbouring pixels: those of
// channel c are Order[4c] and Order[4c+2] bytes after the place of the left
// one, below 8. The other elements are 0x80.
type OrderU8 [16]uint8

// NewOrderU8 returns the order of pixels that are step bytes apart and have their
// channels at these bytes.
func NewOrderU8(channels [3]int, step int) OrderU8 {
	var o OrderU8
	for i := range o {
		o[i] = 0x80
	}
	for c, at := range channels {
		o[4*c], o[4*c+2] = uint8(at), uint8(at+step)
	}
	return o
}

// NormF32 normalises bytes: channel c of value v becomes
//
//	x := float32(v) - Sub[c]                          exact
//	fma(x, Scale[c], fma(x, Fine[c], Shift[c]))       = (v - mean) / deviation
//
// The four lists repeat the three channels eight times. Value has the results.
type NormF32 struct {
	Sub, Scale, Fine, Shift [24]float32
	Value                   [3][256]float32
}

// NewNormF32 makes the constants. Scale + Fine is 1/deviation and Sub + Shift·deviation
// the mean, so that results are those of float64, rounded once, in all but a few
// of a million cases, which have the next number.
func NewNormF32(mean, deviation [3]float64) *NormF32 {
	n := &NormF32{}
	for i := range n.Sub {
		c := i % 3
		inverse := 1 / deviation[c]
		n.Sub[i] = float32(math.Round(mean[c]*(1<<13)) / (1 << 13)) // so that x has at most 24 bits
		n.Scale[i] = float32(inverse)
		n.Fine[i] = float32(inverse - float64(n.Scale[i]))
		n.Shift[i] = float32((float64(n.Sub[i]) - mean[c]) / deviation[c])
	}
	for c := range n.Value {
		for v := range n.Value[c] {
			x := float64(float32(v) - n.Sub[c])
			low := float32(float64(x*float64(n.Fine[c])) + float64(n.Shift[c]))
			n.Value[c][v] = float32(float64(x*float64(n.Scale[c])) + float64(low))
		}
	}
	return n
}

// U8Taps resizes a row along x: channel c of pixel i, with 7 fractional bits, is
//
//	dst[4i+c] = (left·A + right·B) >> 4
//
// of the channels that order picks, and dst[4i+3] = 0. The eight bytes from
// each At on must be in src.
func U8Taps(dst []uint16, src []byte, order *OrderU8, taps []TapU8) {
	r0, r1, r2 := order[0]&7, order[4]&7, order[8]&7
	s0, s1, s2 := order[2]&7, order[6]&7, order[10]&7
	for i := range taps {
		t := &taps[i]
		p := (*[8]byte)(src[t.At:])
		a, b := uint32(t.A), uint32(t.B)
		d := (*[4]uint16)(dst[4*i:])
		d[0] = uint16((uint32(p[r0])*a + uint32(p[s0])*b) >> 4)
		d[1] = uint16((uint32(p[r1])*a + uint32(p[s1])*b) >> 4)
		d[2] = uint16((uint32(p[r2])*a + uint32(p[s2])*b) >> 4)
		d[3] = 0
	}
}

// mixU8 weighs two numbers with 7 fractional bits as OpenCV does.
func mixU8(u, v uint16, a, b uint32) uint8 {
	return uint8((uint32(u)*a>>16 + uint32(v)*b>>16 + 2) >> 2)
}

// U8Planes weighs two rows that U8Taps made, of len(d0) pixels, by a and b, 2048
// in all, and writes the normalised channels to a plane each:
//
//	dc[i] = Value[c][(up[4i+c]·a>>16 + down[4i+c]·b>>16 + 2) >> 2]
func U8Planes(d0, d1, d2 []float32, up, down []uint16, a, b int, norm *NormF32) {
	d1, d2 = d1[:len(d0)], d2[:len(d0)]
	x, y := uint32(a), uint32(b)
	for i := range d0 {
		u, v := (*[4]uint16)(up[4*i:]), (*[4]uint16)(down[4*i:])
		d0[i] = norm.Value[0][mixU8(u[0], v[0], x, y)]
		d1[i] = norm.Value[1][mixU8(u[1], v[1], x, y)]
		d2[i] = norm.Value[2][mixU8(u[2], v[2], x, y)]
	}
}

// U8Pixels is U8Planes with the channels of a pixel together, of len(dst)/3
// pixels.
func U8Pixels(dst []float32, up, down []uint16, a, b int, norm *NormF32) {
	x, y := uint32(a), uint32(b)
	for i := range len(dst) / 3 {
		u, v, d := (*[4]uint16)(up[4*i:]), (*[4]uint16)(down[4*i:]), (*[3]float32)(dst[3*i:])
		d[0] = norm.Value[0][mixU8(u[0], v[0], x, y)]
		d[1] = norm.Value[1][mixU8(u[1], v[1], x, y)]
		d[2] = norm.Value[2][mixU8(u[2], v[2], x, y)]
	}
}

// U8YUYV converts len(src)/4 groups Y0 Cb Y1 Cr to two pixels red, green, blue,
// 0 each, with OpenCV's BT.601 of limited range:
//
//	luma = max(Y-16, 0)·1220542
//	R = (luma + 1673527·(Cr-128) + 2¹⁹) >> 20
//	G = (luma - 409993·(Cb-128) - 852492·(Cr-128) + 2¹⁹) >> 20
//	B = (luma + 2116026·(Cb-128) + 2¹⁹) >> 20, limited to bytes
func U8YUYV(dst, src []byte) {
	for i := range len(src) / 4 {
		s := (*[4]byte)(src[4*i:])
		limited((*[8]byte)(dst[8*i:]), s[0], s[2], s[1], s[3])
	}
}

// U8NV12 is U8YUYV for len(luma)/2 groups with Cb Cr in a row of their own.
func U8NV12(dst, luma, chroma []byte) {
	for i := range len(luma) / 2 {
		y, c := (*[2]byte)(luma[2*i:]), (*[2]byte)(chroma[2*i:])
		limited((*[8]byte)(dst[8*i:]), y[0], y[1], c[0], c[1])
	}
}

func limited(dst *[8]byte, y0, y1, cb, cr byte) {
	const half = 1<<19 + raised<<20
	u, v := int32(cb)-128, int32(cr)-128
	red, green, blue := half+1673527*v, half-409993*u-852492*v, half+2116026*u
	luma := max(0, int32(y0)-16) * 1220542
	dst[0], dst[1], dst[2], dst[3] = clamped[(luma+red)>>20&1023], clamped[(luma+green)>>20&1023], clamped[(luma+blue)>>20&1023], 0
	luma = max(0, int32(y1)-16) * 1220542
	dst[4], dst[5], dst[6], dst[7] = clamped[(luma+red)>>20&1023], clamped[(luma+green)>>20&1023], clamped[(luma+blue)>>20&1023], 0
}

// raised keeps sums of luma and chroma from being negative.
const raised = 384

// clamped are the bytes nearest to numbers that are raised, in a table because
// noise makes a branch miss every other time.
var clamped = func() (t [1024]uint8) {
	for i := range t {
		t[i] = uint8(min(max(i-raised, 0), 255))
	}
	return t
}()

// SpanU8 is one pixel of a row that shrinks: N > 0 pixels of the source, from byte
// At on, with the weights from number W on.
type SpanU8 struct{ At, N, W int32 }

const halfSpan = 1 << 21

// U8SpanX shrinks a row along x as Pillow does, with weights of 22 bits:
//
//	dst[4i+c] = (2²¹ + Σk src[At + k·step + channels[c]]·weights[W+k]) >> 22
//
// and dst[4i+3] is any byte. channels are below 3, and the four bytes from each
// pixel on must be in src.
func U8SpanX(dst, src []byte, channels *[3]int, step int, spans []SpanU8, weights []int32) {
	c0, c1, c2 := channels[0]&3, channels[1]&3, channels[2]&3
	for i := range spans {
		s := &spans[i]
		r, g, b := int32(halfSpan), int32(halfSpan), int32(halfSpan)
		at := int(s.At)
		for _, w := range weights[s.W:][:s.N] {
			p := (*[4]byte)(src[at:])
			r, g, b = r+int32(p[c0])*w, g+int32(p[c1])*w, b+int32(p[c2])*w
			at += step
		}
		d := (*[4]byte)(dst[4*i:])
		d[0], d[1], d[2], d[3] = byte(r>>22), byte(g>>22), byte(b>>22), 0
	}
}

// U8SpanY does the same along y, with the 7 fractional bits of U8Taps: rows holds
// rows of len(dst) bytes at the places at, one for each weight.
//
//	dst[j] = (2²¹ + Σk rows[at[k]+j]·weights[k]) >> 22 << 7
//
// Sums stay below 256·2²².
func U8SpanY(dst []uint16, rows []byte, at, weights []int32) {
	for j := range dst {
		sum := int32(halfSpan)
		for k, w := range weights {
			sum += int32(rows[int(at[k])+j]) * w
		}
		dst[j] = uint16(sum>>22) << 7
	}
}
