package op

import (
	"math"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// resizePlan holds the tables of a Resize of one shape. Axes before the first
// resized one are merged: there are outer blocks.
type resizePlan struct {
	y       tensor.Shape
	outer   int
	axes    []resizeTable // of a block
	nearest bool
	value   float64 // outside the image
	fill    []byte  // one element of that value
	scratch int     // float64s that a block needs
	cost    int     // operations of a block
}

// resizeTable tells how each output position of an axis is made: as the sum of
// taps input positions times weights.
type resizeTable struct {
	in, out, taps int
	index         []int32 // out x taps, inside the image; -1 first: outside
	weight        []float64
	plain         bool
}

func (r *Resize) plan(in []*tensor.Tensor) (*resizePlan, error) {
	all, err := r.axes(in[0].Shape, func(i int) (*tensor.Tensor, error) { return opt(in, i), nil })
	if err != nil {
		return nil, err
	}
	p := &resizePlan{outer: 1, nearest: r.Mode == "nearest", value: r.Outside}
	fill := tensor.New(in[0].DType)
	fill.SetFloat(0, r.Outside)
	p.fill = fill.Bytes()
	first := 0
	for ; first < len(all)-1 && all[first].plain(); first++ {
		p.outer *= all[first].in
	}
	for i := range all {
		p.y = append(p.y, all[i].out)
		if i >= first {
			p.axes = append(p.axes, r.table(&all[i]))
		}
	}
	// Axes are resized from the last to the first.
	size, out := 1, 1
	for i := range p.axes {
		size *= p.axes[i].in
		out *= p.axes[i].out
	}
	widest := size
	for i := len(p.axes) - 1; i >= 0; i-- {
		t := &p.axes[i]
		size = size / max(t.in, 1) * t.out
		widest = max(widest, size)
		p.cost += size * t.taps
	}
	if p.nearest {
		p.cost = out
	} else {
		p.scratch = 2 * widest
	}
	return p, nil
}

// table builds the table of an axis.
func (r *Resize) table(a *resizeAxis) resizeTable {
	t := resizeTable{in: a.in, out: a.out, taps: 1, plain: a.plain()}
	switch {
	case t.plain || r.Mode == "nearest":
	case r.Antialias:
		r.antialiasTable(a, &t)
		return t
	case r.Mode == "linear":
		t.taps = 2
	default:
		t.taps = 4
	}
	t.index, t.weight = make([]int32, t.out*t.taps), make([]float64, t.out*t.taps)
	for o := range t.out {
		index, weight := t.index[o*t.taps:][:t.taps], t.weight[o*t.taps:][:t.taps]
		x := float32(o)
		if !t.plain {
			x = r.source(a, o)
		}
		if r.Coord == "tf_crop_and_resize" && (x < 0 || x > float32(a.in-1)) {
			index[0] = -1
			continue
		}
		if t.taps == 1 {
			weight[0] = 1
			index[0] = int32(max(0, min(r.round(x, a.scale), float64(a.in-1))))
			continue
		}
		base := math.Floor(float64(x))
		r.weights(float64(x)-base, weight)
		sum := 0.0
		for k := range index {
			i := base + float64(k-t.taps/2+1)
			if r.Exclude && (i < 0 || i >= float64(a.in)) {
				weight[k] = 0
			}
			sum += weight[k]
			index[k] = int32(max(0, min(i, float64(a.in-1))))
		}
		if r.Exclude && sum != 0 {
			for k := range weight {
				weight[k] /= sum
			}
		}
	}
	return t
}

// source returns the input coordinate of output position o. It computes in
// float32, as ONNX Runtime does, since nearest neighbours depend on the
// rounding. Where scales are given, align_corners takes the length before it
// is rounded to whole elements, as ONNX's reference does.
func (r *Resize) source(a *resizeAxis, o int) float32 {
	x, n, m := float32(o), float32(a.in), float32(a.out)
	switch r.Coord {
	case "asymmetric":
		return x / a.scale
	case "tf_half_pixel_for_nn":
		return (x + 0.5) / a.scale
	case "align_corners":
		if a.length == 1 || a.out == 1 {
			return 0
		}
		return x * (n - 1) / (a.length - 1)
	case "tf_crop_and_resize":
		if a.out == 1 {
			return 0.5 * (a.from + a.to) * (n - 1)
		}
		return float32(a.from*(n-1)) + float32(x*(a.to-a.from)*(n-1))/(m-1)
	case "pytorch_half_pixel":
		if a.out == 1 {
			return 0
		}
	case "half_pixel_symmetric":
		offset := n / 2 * (1 - m/(a.scale*n))
		return offset + (x+0.5)/a.scale - 0.5
	}
	return (x+0.5)/a.scale - 0.5
}

// round picks the nearest neighbour of an input coordinate.
func (r *Resize) round(x, scale float32) float64 {
	v := float64(x)
	switch r.Nearest {
	case "round_prefer_floor":
		return math.Ceil(v - 0.5)
	case "round_prefer_ceil":
		return math.Floor(v + 0.5)
	case "floor":
		return math.Floor(v)
	case "ceil":
		return math.Ceil(v)
	}
	if scale < 1 {
		return math.Ceil(v)
	}
	return math.Trunc(v)
}

// weights sets the weights of 2 or 4 neighbours of a point at distance f
// behind the one before it.
func (r *Resize) weights(f float64, w []float64) {
	if len(w) == 2 {
		w[0], w[1] = 1-f, f
		return
	}
	for k := range w {
		w[k] = keys(math.Abs(f-float64(k-1)), r.CubicA)
	}
}

// keys is the cubic convolution kernel of R. Keys, "Cubic convolution
// interpolation for digital image processing", 1981.
func keys(x, a float64) float64 {
	switch {
	case x <= 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((a*x-5*a)*x+8*a)*x - 4*a
	}
	return 0
}

// antialiasTable builds the table of an axis with a filter that widens as the
// axis shrinks. Weights outside the image go to its border, unless they are
// excluded.
func (r *Resize) antialiasTable(a *resizeAxis, t *resizeTable) {
	stretch := math.Max(1, 1/float64(a.scale))
	support := stretch
	if r.Mode == "cubic" {
		support *= 2
	}
	t.taps = min(int(math.Ceil(support))*2+1, max(a.in, 1))
	t.index, t.weight = make([]int32, t.out*t.taps), make([]float64, t.out*t.taps)
	for o := range t.out {
		x := float64(r.source(a, o))
		index, weight := t.index[o*t.taps:][:t.taps], t.weight[o*t.taps:][:t.taps]
		if r.Coord == "tf_crop_and_resize" && (x < 0 || x > float64(a.in-1)) {
			index[0] = -1
			continue
		}
		lo, hi := math.Floor(x+0.5-support+0.5), math.Floor(x+0.5+support+0.5)
		start := max(0, min(int(lo), a.in-t.taps))
		sum := 0.0
		for i := lo; i < hi; i++ {
			inside := max(0, min(i, float64(a.in-1)))
			if r.Exclude && i != inside {
				continue
			}
			d := math.Abs(i-x) / stretch
			w := math.Max(0, 1-d)
			if r.Mode == "cubic" {
				w = keys(d, r.CubicA)
			}
			if k := int(inside) - start; k >= 0 && k < t.taps {
				weight[k] += w
			}
			sum += w
		}
		for k := range index {
			index[k] = int32(start + k)
			if sum != 0 {
				weight[k] /= sum
			}
		}
	}
}

// run computes blocks lo to hi.
func (p *resizePlan) run(x, y *tensor.Tensor, lo, hi int, scratch []float64) {
	if y.Elems() == 0 {
		return
	}
	if p.nearest {
		p.gather(x, y, lo, hi)
		return
	}
	in, out := x.Elems()/max(p.outer, 1), y.Elems()/max(p.outer, 1)
	a, b := scratch[:len(scratch)/2], scratch[len(scratch)/2:]
	for block := lo; block < hi; block++ {
		loadFloats(x, block*in, a[:in])
		src, dst, size := a, b, in
		inner := 1
		for i := len(p.axes) - 1; i >= 0; i-- {
			t := &p.axes[i]
			if !t.plain {
				pre := size / (t.in * inner)
				t.pass(src, dst, pre, inner, p.value)
				size = pre * t.out * inner
				src, dst = dst, src
			}
			inner *= t.out
		}
		if !y.DType.IsFloat() {
			settle(src[:out], y.DType)
		}
		storeFloats(y, block*out, src[:out])
	}
}

// pass resizes the middle axis of [pre, in, inner].
func (t *resizeTable) pass(src, dst []float64, pre, inner int, value float64) {
	for p := range pre {
		s := src[p*t.in*inner:][:t.in*inner]
		for o := range t.out {
			d := dst[(p*t.out+o)*inner:][:inner]
			index, weight := t.index[o*t.taps:][:t.taps], t.weight[o*t.taps:][:t.taps]
			if index[0] < 0 {
				for j := range d {
					d[j] = value
				}
				continue
			}
			clear(d)
			for k, i := range index {
				w := weight[k]
				if w == 0 {
					continue
				}
				for j, v := range s[int(i)*inner:][:inner] {
					d[j] += v * w
				}
			}
		}
	}
}

// settle turns interpolated values into elements of an integer type: like ONNX
// Runtime, by cutting off their fraction as float32.
func settle(v []float64, d tensor.DType) {
	lo, hi := math.Inf(-1), math.Inf(1)
	switch d {
	case tensor.Int8:
		lo, hi = math.MinInt8, math.MaxInt8
	case tensor.Uint8:
		lo, hi = 0, math.MaxUint8
	}
	for i := range v {
		v[i] = max(lo, min(math.Trunc(float64(float32(v[i]))), hi))
	}
}

// gather computes blocks of nearest neighbours.
func (p *resizePlan) gather(x, y *tensor.Tensor, lo, hi int) {
	in, out := x.Elems()/max(p.outer, 1), y.Elems()/max(p.outer, 1)
	size := y.DType.Size()
	for block := lo; block < hi; block++ {
		p.gatherAxis(0, x.Data[block*in*size:(block+1)*in*size], y.Data[block*out*size:(block+1)*out*size], size, p.fill)
	}
}

// gatherAxis copies the elements, each of size bytes, of axis a and those
// behind it.
func (p *resizePlan) gatherAxis(a int, src, dst []byte, size int, fill []byte) {
	t := &p.axes[a]
	if t.out == 0 || len(dst) == 0 {
		return
	}
	in, out := len(src)/t.in, len(dst)/t.out
	for o, i := range t.index {
		d := dst[o*out:][:out]
		switch {
		case i < 0:
			for j := 0; j < len(d); j += size {
				copy(d[j:], fill)
			}
		case o > 0 && t.index[o-1] == i:
			copy(d, dst[(o-1)*out:][:out])
		case a < len(p.axes)-1:
			p.gatherAxis(a+1, src[int(i)*in:][:in], d, size, fill)
		case size == 4:
			*(*[4]byte)(d) = *(*[4]byte)(src[int(i)*4:])
		default:
			copy(d, src[int(i)*size:][:size])
		}
	}
}

// Neighbours is one axis of a Resize that needs at most two input positions
// for each output position o: x[I0[o]] + (x[I1[o]]-x[I0[o]])·T[o].
type Neighbours struct {
	In     int
	I0, I1 []int
	T      []float32
}

// Neighbours returns the tables of all axes for a node's inputs, or false
// where the interpolation is of another kind. Infer has accepted the inputs.
func (r *Resize) Neighbours(in []*graph.Value) ([]Neighbours, bool) {
	if r.Mode == "cubic" || r.Antialias || r.Coord == "tf_crop_and_resize" {
		return nil, false
	}
	all, err := r.axes(in[0].Type.Shape, func(i int) (*tensor.Tensor, error) {
		if v := opt(in, i); v != nil {
			return v.Known(), nil
		}
		return nil, nil
	})
	if err != nil {
		return nil, false
	}
	tables := make([]Neighbours, len(all))
	for i := range all {
		t := r.table(&all[i])
		n := Neighbours{In: t.in, I0: make([]int, t.out), I1: make([]int, t.out), T: make([]float32, t.out)}
		for o := range t.out {
			n.I0[o], n.I1[o] = int(t.index[o*t.taps]), int(t.index[(o+1)*t.taps-1])
			if t.taps == 2 {
				n.T[o] = float32(t.weight[2*o+1])
			}
		}
		tables[i] = n
	}
	return tables, true
}

// scratchF64 returns n float64s of a worker's scratch memory.
func scratchF64(s *Scratch, worker, n int) []float64 {
	if n == 0 {
		return nil
	}
	b := s.For(worker)[:n*8]
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
