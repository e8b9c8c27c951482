package op

import (
	"math"

	"github.com/edgecam/edgecam/internal/tensor"
)

// gridPoints is how many points of a grid are placed at a time.
const gridPoints = 128

// gridTaps are the elements of a channel that some points take, n for each, and
// their weights. An element outside of the image is below 0.
type gridTaps struct {
	n  int
	at [gridPoints * 16]int32
	w  [gridPoints * 16]float32
}

// place finds the taps of points lo to hi of a grid over images of h by w
// elements.
func (t *gridTaps) place(g *GridSample, grid []float32, lo, hi, h, w int) {
	k := 0
	for p := lo; p < hi; p++ {
		v, u := g.neighbours(grid[2*p+1], h), g.neighbours(grid[2*p], w)
		for a := range v.n {
			for b := range u.n {
				t.at[k], t.w[k] = -1, float32(v.w[a]*u.w[b])
				if v.i[a] >= 0 && u.i[b] >= 0 {
					t.at[k] = int32(v.i[a]*w + u.i[b])
				}
				k++
			}
		}
		t.n = v.n * u.n
	}
}

// steps returns the step for an image and a grid of float32: the taps of a
// point are found once for all channels.
func (g *GridSample) steps(env *Env) []Step {
	x, grid, y := env.In[0], env.In[1].F32(), env.Out[0]
	h, w, channels := x.Shape[2], x.Shape[3], x.Shape[1]
	per := y.Shape[2:].Elems()
	src, dst, taps := x.F32(), y.F32(), make([]gridTaps, env.Threads)
	pieces := (per + gridPoints - 1) / gridPoints
	return []Step{{Kernel: "gridsample", Tiles: y.Shape[0] * pieces, Cost: y.Shape[0] * per * (40 + 4*channels), Run: func(worker, tile int) {
		t, image := &taps[worker], tile/pieces
		lo := tile % pieces * gridPoints
		hi := min(lo+gridPoints, per)
		t.place(g, grid, image*per+lo, image*per+hi, h, w)
		for c := image * channels; c < (image+1)*channels; c++ {
			t.sum(dst[c*per+lo:c*per+hi], src[c*h*w:(c+1)*h*w])
		}
	}}}
}

// sum computes the points of one channel x.
func (t *gridTaps) sum(y, x []float32) {
	at, w := t.at[:len(y)*t.n], t.w[:len(y)*t.n]
	for p := range y {
		var s float32
		if t.n == 4 {
			a, b := (*[4]int32)(at[4*p:]), (*[4]float32)(w[4*p:])
			if a[0]|a[1]|a[2]|a[3] >= 0 {
				y[p] = b[0]*x[a[0]] + b[1]*x[a[1]] + (b[2]*x[a[2]] + b[3]*x[a[3]])
				continue
			}
		}
		for k := p * t.n; k < (p+1)*t.n; k++ {
			if at[k] >= 0 {
				s += w[k] * x[at[k]]
			}
		}
		y[p] = s
	}
}

// fast reports whether steps serves.
func (g *GridSample) fast(in []*tensor.Tensor) bool {
	x := in[0]
	return len(x.Shape) == 4 && x.DType == tensor.Float32 && in[1].DType == tensor.Float32 && x.Shape[2]*x.Shape[3] <= math.MaxInt32
}
