package ref

import (
	"math"
	"unsafe"
)

// The minimal filtering algorithms of Winograd as Lavin and Gray use them for
// convolutions (Fast Algorithms for Convolutional Neural Networks, 2015), for
// outputs of 4x4 and 2x2 and a kernel of 3x3. A polynomial is evaluated at 0, ±p, ±q
// and infinity, or at 0, ±1 and infinity. With p·q = 1 the transforms need few
// products, and p = √½, q = √2 round least: over 512 channels of unit variance
// the largest error was 3.3e-6 of the largest output, where the usual points
// 1 and 2 gave 1.1e-5, ½ and 1 gave 1.5e-5, and direct summation 2.5e-6.
const (
	winogradP = math.Sqrt2 / 2
	winogradQ = math.Sqrt2
)

// F32WinogradIn4 is the input transform for 4x4 outputs.
func F32WinogradIn4(a *WinogradInF32) {
	var d [6][6]float32
	pixels := unsafe.Slice(a.Pixels, a.Tiles*36)
	for t := range a.Tiles {
		for c := range a.C {
			for i, p := range pixels[t*36 : t*36+36] {
				d[i/6][i%6] = *(*float32)(unsafe.Add(pixelAt(a.In, a.Zero, p, a.InStride), 4*c))
			}
			for j := range 6 {
				d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], d[5][j] = winogradIn6(d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], d[5][j])
			}
			out := unsafe.Add(a.Out, t*a.OutStride+4*c)
			for i := range 6 {
				r := &d[i]
				r[0], r[1], r[2], r[3], r[4], r[5] = winogradIn6(r[0], r[1], r[2], r[3], r[4], r[5])
				for j, v := range r {
					*(*float32)(unsafe.Add(out, (i*6+j)*a.PlaneStride)) = v
				}
			}
		}
	}
}

// F32WinogradIn2 is the input transform for 2x2 outputs.
func F32WinogradIn2(a *WinogradInF32) {
	var d [4][4]float32
	pixels := unsafe.Slice(a.Pixels, a.Tiles*16)
	for t := range a.Tiles {
		for c := range a.C {
			for i, p := range pixels[t*16 : t*16+16] {
				d[i/4][i%4] = *(*float32)(unsafe.Add(pixelAt(a.In, a.Zero, p, a.InStride), 4*c))
			}
			for j := range 4 {
				d[0][j], d[1][j], d[2][j], d[3][j] = d[0][j]-d[2][j], d[1][j]+d[2][j], d[2][j]-d[1][j], d[1][j]-d[3][j]
			}
			out := unsafe.Add(a.Out, t*a.OutStride+4*c)
			for i := range 4 {
				r := &d[i]
				r[0], r[1], r[2], r[3] = r[0]-r[2], r[1]+r[2], r[2]-r[1], r[1]-r[3]
				for j, v := range r {
					*(*float32)(unsafe.Add(out, (i*4+j)*a.PlaneStride)) = v
				}
			}
		}
	}
}

// F32WinogradOut4 is the output transform for 4x4 outputs.
func F32WinogradOut4(a *WinogradOutF32) {
	var d [6][6]float32
	var y [16]float32
	for t := range a.Tiles {
		for c := range a.C {
			in := unsafe.Add(a.In, t*a.InStride+4*c)
			for i := range 36 {
				d[i/6][i%6] = *(*float32)(unsafe.Add(in, i*a.PlaneStride))
			}
			for j := range 6 {
				d[0][j], d[1][j], d[2][j], d[3][j] = winogradOut6(d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], d[5][j])
			}
			for i := range 4 {
				r := &d[i]
				y[i*4], y[i*4+1], y[i*4+2], y[i*4+3] = winogradOut6(r[0], r[1], r[2], r[3], r[4], r[5])
			}
			winogradStore(a, y[:], t, c)
		}
	}
}

// F32WinogradOut2 is the output transform for 2x2 outputs.
func F32WinogradOut2(a *WinogradOutF32) {
	var d [4][4]float32
	var y [4]float32
	for t := range a.Tiles {
		for c := range a.C {
			in := unsafe.Add(a.In, t*a.InStride+4*c)
			for i := range 16 {
				d[i/4][i%4] = *(*float32)(unsafe.Add(in, i*a.PlaneStride))
			}
			for j := range 4 {
				d[0][j], d[1][j] = d[0][j]+d[1][j]+d[2][j], d[1][j]-d[2][j]-d[3][j]
			}
			for i := range 2 {
				r := &d[i]
				y[i*2], y[i*2+1] = r[0]+r[1]+r[2], r[1]-r[2]-r[3]
			}
			winogradStore(a, y[:], t, c)
		}
	}
}

// winogradStore writes the outputs of a tile and a channel.
func winogradStore(a *WinogradOutF32, y []float32, t, c int) {
	pixels := unsafe.Slice(a.Pixels, (t+1)*len(y))[t*len(y):]
	for i, p := range pixels {
		if p < 0 {
			continue
		}
		v := y[i]
		if a.Res != nil {
			v += *(*float32)(unsafe.Add(a.Res, int(p)*a.ResStride+4*c))
		}
		*(*float32)(unsafe.Add(a.Out, int(p)*a.OutStride+4*c)) = clamp(v, a.Min, a.Max)
	}
}

// pixelAt resolves one entry of a table of pixels.
func pixelAt(base, zero unsafe.Pointer, pixel int32, stride int) unsafe.Pointer {
	if pixel < 0 {
		return zero
	}
	return unsafe.Add(base, int(pixel)*stride)
}

// winogradIn6 is Bᵀ·x for the points 0, p, -p, q, -q and infinity.
func winogradIn6(x0, x1, x2, x3, x4, x5 float32) (_, _, _, _, _, _ float32) {
	pe, po := x4-2*x2, winogradP*(x3-2*x1)
	qe, qo := x4-float32(.5*x2), winogradQ*(x3-float32(.5*x1))
	return x0 + (x4 - float32(2.5*x2)), pe + float32(po), pe - float32(po), qe + float32(qo), qe - float32(qo), x1 + (x5 - float32(2.5*x3))
}

// winogradOut6 is Aᵀ·x for the same points.
func winogradOut6(x0, x1, x2, x3, x4, x5 float32) (_, _, _, _ float32) {
	ps, pd := x1+x2, float32(winogradP*(x1-x2))
	qs, qd := x3+x4, float32(winogradQ*(x3-x4))
	return x0 + ps + qs, pd + qd, float32(.5*ps) + 2*qs, x5 + float32(.5*pd) + 2*qd
}

// WinogradOnes4 and WinogradOnes2 are solutions x of Aᵀ·x = 1: a bias of b is
// the same as b·x·xᵀ added to the products.
var (
	WinogradOnes4 = [6]float32{1: (1 + winogradQ) / 3, 2: (1 - winogradQ) / 3, 3: (1 + winogradP) / 6, 4: (1 - winogradP) / 6}
	WinogradOnes2 = [4]float32{1: 1}
)

// WinogradWeights4 is G·g·Gᵀ of one 3x3 kernel g for 4x4 outputs: the 36
// factors of V, rounded once.
func WinogradWeights4(g *[9]float32) (u [36]float32) {
	var t [6][3]float64
	for j := range 3 {
		t[0][j], t[1][j], t[2][j], t[3][j], t[4][j], t[5][j] = winogradG6(float64(g[j]), float64(g[3+j]), float64(g[6+j]))
	}
	for i := range 6 {
		a, b, c, d, e, f := winogradG6(t[i][0], t[i][1], t[i][2])
		*(*[6]float32)(u[i*6:]) = [6]float32{float32(a), float32(b), float32(c), float32(d), float32(e), float32(f)}
	}
	return u
}

// winogradG6 is G·g for the points 0, p, -p, q, -q and infinity.
func winogradG6(g0, g1, g2 float64) (_, _, _, _, _, _ float64) {
	pe, po := (g0+.5*g2)*(-1/1.5), g1*(-winogradP/1.5)
	qe, qo := (g0+2*g2)*(1./6), g1*(winogradQ/6)
	return g0, pe + po, pe - po, qe + qo, qe - qo, g2
}

// WinogradWeights2 is G·g·Gᵀ of one 3x3 kernel g for 2x2 outputs: the 16
// factors of V.
func WinogradWeights2(g *[9]float32) (u [16]float32) {
	var t [4][3]float64
	for j := range 3 {
		a, b, c := float64(g[j]), float64(g[3+j]), float64(g[6+j])
		t[0][j], t[1][j], t[2][j], t[3][j] = a, (a+b+c)/2, (a-b+c)/2, c
	}
	for i := range 4 {
		a, b, c := t[i][0], t[i][1], t[i][2]
		*(*[4]float32)(u[i*4:]) = [4]float32{float32(a), float32((a + b + c) / 2), float32((a - b + c) / 2), float32(c)}
	}
	return u
}
