package ref

import "unsafe"

// F32Dwconv computes a run of output pixels of a depthwise convolution.
func F32Dwconv(a *DwconvF32) {
	offsets := unsafe.Slice(a.Offsets, a.Pixels*a.Taps)
	bias := unsafe.Slice((*float32)(a.W), a.C)
	for p := range a.Pixels {
		out := unsafe.Slice((*float32)(unsafe.Add(a.Out, p*a.OutStride)), a.C)
		copy(out, bias)
		for t, off := range offsets[p*a.Taps : (p+1)*a.Taps] {
			in := unsafe.Slice((*float32)(tapStart(a.In, a.Zero, off)), a.C)
			w := unsafe.Slice((*float32)(unsafe.Add(a.W, (t+1)*a.WStride)), a.C)
			for c := range out {
				out[c] += float32(in[c] * w[c])
			}
		}
		for c, x := range out {
			out[c] = clamp(x, a.Min, a.Max)
		}
	}
}

// F32MaxPool computes a run of output pixels of a maximum pooling. A NaN in
// the window gives NaN.
func F32MaxPool(a *PoolF32) {
	offsets := unsafe.Slice(a.Offsets, a.Pixels*a.Taps)
	for p := range a.Pixels {
		out := unsafe.Slice((*float32)(unsafe.Add(a.Out, p*a.OutStride)), a.C)
		first := true
		for _, off := range offsets[p*a.Taps : (p+1)*a.Taps] {
			if off < 0 {
				continue
			}
			in := unsafe.Slice((*float32)(unsafe.Add(a.In, int(off))), a.C)
			if first {
				copy(out, in)
				first = false
				continue
			}
			for c, x := range in {
				if x > out[c] || x != x {
					out[c] = x
				}
			}
		}
	}
}

// F32AvgPool computes a run of output pixels of an average pooling: the sum
// over the taps inside the image, in order, times the scale of the pixel.
func F32AvgPool(a *PoolF32) {
	offsets := unsafe.Slice(a.Offsets, a.Pixels*a.Taps)
	scale := unsafe.Slice(a.Scale, a.Pixels)
	for p := range a.Pixels {
		out := unsafe.Slice((*float32)(unsafe.Add(a.Out, p*a.OutStride)), a.C)
		clear(out)
		for _, off := range offsets[p*a.Taps : (p+1)*a.Taps] {
			if off < 0 {
				continue
			}
			in := unsafe.Slice((*float32)(unsafe.Add(a.In, int(off))), a.C)
			for c, x := range in {
				out[c] += x
			}
		}
		for c := range out {
			out[c] *= scale[p]
		}
	}
}
