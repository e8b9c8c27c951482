package op

import (
	"math"

	"github.com/edgecam/edgecam/kernels"
)

// reduceF32 is a prepared reduction of float32, a list of passes: each reduces
// one axis, or a piece of it. Vectors run across what lies inside of that axis,
// or, where that is short, across several of its elements at once. What a pass
// adds up and in which order depends on shapes alone; sums are sums of sums.
type reduceF32 struct {
	kind    ReduceKind
	count   int // elements of one result
	kern    *kernels.Set
	join    func(dst, a, b []float32)
	in, out []float32
	between *Between
	scratch *Scratch
}

// reduceLanes is how many elements vectors run across; reduceBlock is how many
// rows one sum adds up.
const (
	reduceLanes = 512
	reduceBlock = 64
)

// reducePass reduces [a,g,b] to [a,parts,b]: rows of each part of g, but for
// the last one.
type reducePass struct {
	*reduceF32
	a, g, b     int
	parts, rows int
	from, to    int // places in the memory between passes; -1: the operator's input, its output
}

// reduceAxis is an extent of the input, neighbours joined.
type reduceAxis struct {
	n    int
	gone bool
}

// steps returns the passes over axes of which set are reduced; nil where there
// is nothing to do for vectors.
func (r *Reduce) steps(env *Env, shape []int, set []bool, count int) []Step {
	out := env.Out[0].Elems()
	if r.Kind == ReduceLogSumExp || count < 2 || out == 0 {
		return nil
	}
	f := &reduceF32{kind: r.Kind, count: count, kern: env.Kernels, in: env.In[0].F32(), out: env.Out[0].F32()}
	switch r.Kind {
	case ReduceMax:
		f.join = env.Kernels.F32Binary[kernels.Max]
	case ReduceMin:
		f.join = env.Kernels.F32Binary[kernels.Min]
	case ReduceProd:
		f.join = env.Kernels.F32Binary[kernels.Mul]
	default:
		f.join = env.Kernels.F32Binary[kernels.Add]
	}
	var axes []reduceAxis
	for i, d := range shape {
		axes = append(axes, reduceAxis{d, set[i]})
	}
	passes, room := f.passes(axes)
	f.scratch = env.Scratch(3 * reduceLanes * 4)
	if room > 0 {
		f.between = env.between(room * 4)
	}
	var steps []Step
	for _, p := range passes {
		perTile, piece := p.tiling()
		pieces := (p.b + piece - 1) / piece
		units := p.a * p.parts
		steps = append(steps, Step{
			Kernel: "f32_reduce", Tiles: (units + perTile - 1) / perTile * pieces, Cost: p.a * p.g * p.b / 4,
			Run: func(worker, tile int) {
				lo, from := tile/pieces*perTile, tile%pieces*piece
				p.run(worker, lo, min(lo+perTile, units), from, min(from+piece, p.b))
			},
		})
	}
	return steps
}

// passes chooses the passes, the longest axis first, and how many elements they
// leave each other.
func (f *reduceF32) passes(axes []reduceAxis) (list []*reducePass, room int) {
	from := -1
	for {
		axes = joinAxes(axes)
		at := -1
		for i, x := range axes {
			if x.gone && (at < 0 || x.n > axes[at].n) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		p := &reducePass{reduceF32: f, a: 1, g: axes[at].n, b: 1, parts: 1, rows: axes[at].n, from: from, to: room}
		for i, x := range axes {
			if i < at {
				p.a *= x.n
			} else if i > at {
				p.b *= x.n
			}
		}
		if p.a*((p.b+reduceLanes-1)/reduceLanes) < 16 && p.g*p.b > 2*rowTile {
			p.rows = max(4, rowTile/p.b)
			p.parts = (p.g + p.rows - 1) / p.rows
		}
		axes[at] = reduceAxis{p.parts, p.parts > 1}
		from = room
		room += (p.a*p.parts*p.b + 15) &^ 15
		list = append(list, p)
	}
	last := list[len(list)-1]
	room, last.to = last.to, -1
	return list, room
}

// joinAxes joins neighbours of a kind and drops extents of one.
func joinAxes(axes []reduceAxis) (out []reduceAxis) {
	for _, x := range axes {
		if n := len(out); n > 0 && out[n-1].gone == x.gone && x.n != 1 {
			out[n-1].n *= x.n
		} else if x.n != 1 {
			out = append(out, x)
		}
	}
	return out
}

// tiling returns how many results of rows a tile has, and how many columns of
// them: less than all only of a single one.
func (p *reducePass) tiling() (perTile, piece int) {
	if p.rows*p.b > rowTile && p.b > reduceLanes {
		return 1, max(reduceLanes, rowTile/p.rows&^15)
	}
	return max(1, rowTile/(p.rows*p.b)), p.b
}

// run computes columns from to to of results lo to hi.
func (p *reducePass) run(worker, lo, hi, from, to int) {
	src, dst := p.in, p.out
	if p.from >= 0 {
		src = bytesF32(p.between.Buf)[p.from:]
	}
	if p.to >= 0 {
		dst = bytesF32(p.between.Buf)[p.to:]
	}
	buf := bytesF32(p.scratch.For(worker))
	square := p.from < 0 // elements of the input, not sums of them
	for u := lo; u < hi; u++ {
		row, rows := u*p.g, p.rows
		if p.parts > 1 {
			first := u % p.parts * p.rows
			row, rows = u/p.parts*p.g+first, min(p.rows, p.g-first)
		}
		x := src[row*p.b:]
		if y := dst[u*p.b:]; p.b < 16 && rows*p.b < 128 && (p.b > 1 || p.kind != ReduceMax) {
			p.short(y[:p.b], x[:rows*p.b], buf, square)
		} else {
			p.columns(y[:p.b], x[:rows*p.b], from, to, buf, square)
		}
	}
	if p.to < 0 {
		p.finish(dst[lo*p.b+from : (hi-1)*p.b+to])
	}
}

// short reduces rows of few elements to y without vectors.
func (f *reduceF32) short(y, x, buf []float32, first bool) {
	if first && f.maps() {
		f.mapped(buf[:len(x)], x)
		x = buf[:len(x)]
	}
	b := len(y)
	if b == 1 && f.sums() {
		y[0] = lineSum(x)
		return
	}
	for j, s := range x[:b] {
		switch f.kind {
		case ReduceMax:
			for i := j + b; i < len(x); i += b {
				s = max(s, x[i])
			}
		case ReduceMin:
			for i := j + b; i < len(x); i += b {
				s = min(s, x[i])
			}
		case ReduceProd:
			for i := j + b; i < len(x); i += b {
				s *= x[i]
			}
		default:
			for i := j + b; i < len(x); i += b {
				s += x[i]
			}
		}
		y[j] = s
	}
}

// sums reports whether elements are added up.
func (f *reduceF32) sums() bool {
	return f.kind != ReduceMax && f.kind != ReduceMin && f.kind != ReduceProd
}

// lineSum adds up eight sums, which do not wait for each other.
func lineSum(x []float32) (sum float32) {
	var a, b, c, d, e, f, g, h float32
	for ; len(x) >= 8; x = x[8:] {
		a += x[0]
		b += x[1]
		c += x[2]
		d += x[3]
		e += x[4]
		f += x[5]
		g += x[6]
		h += x[7]
	}
	for _, v := range x {
		sum += v
	}
	return sum + ((a + e) + (b + f) + ((c + g) + (d + h)))
}

// columns reduces columns from to to of rows as long as y.
func (f *reduceF32) columns(y, x []float32, from, to int, buf []float32, first bool) {
	b := len(y)
	g := len(x) / b
	if b == 1 && f.kind == ReduceMax {
		y[0] = f.kern.F32Max(x)
		return
	}
	m := min(reduceLanes/b, g/2)
	if m < 2 {
		for ; from < to; from += reduceLanes {
			end := min(from+reduceLanes, to)
			f.fold(y[from:end], x[from:], b, g, buf, first)
		}
		return
	}
	// Several rows side by side, which are then reduced among themselves.
	acc, buf := buf[:m*b], buf[reduceLanes:]
	f.fold(acc, x, m*b, g/m, buf, first)
	if rest := x[g/m*m*b:]; len(rest) > 0 {
		if first && f.maps() {
			f.mapped(buf[:len(rest)], rest)
			rest = buf[:len(rest)]
		}
		f.join(acc[:len(rest)], acc[:len(rest)], rest)
	}
	for m > 1 {
		half := (m + 1) / 2
		low := acc[:(m-half)*b]
		f.join(low, low, acc[half*b:m*b])
		m = half
	}
	copy(y, acc)
}

// fold reduces n rows of x, stride apart, to one.
func (f *reduceF32) fold(y, x []float32, stride, n int, buf []float32, first bool) {
	tmp, square := buf[:len(y)], buf[reduceLanes:][:len(y)]
	first = first && f.maps()
	for r := 0; r < n; r += reduceBlock {
		acc, end := y, min(r+reduceBlock, n)
		if r > 0 {
			acc = tmp
		}
		i := r + 1
		switch row := x[r*stride:][:len(y)]; {
		case first:
			f.mapped(acc, row)
		case i < end:
			f.join(acc, row, x[i*stride:][:len(y)])
			i++
		default:
			copy(acc, row)
		}
		for ; i < end; i++ {
			row := x[i*stride:][:len(y)]
			if first {
				f.mapped(square, row)
				row = square
			}
			f.join(acc, acc, row)
		}
		if r > 0 {
			f.join(y, y, acc)
		}
	}
}

// maps reports whether a function of the elements is reduced.
func (f *reduceF32) maps() bool {
	return f.kind == ReduceL1 || f.kind == ReduceL2 || f.kind == ReduceSumSquare
}

// mapped applies that function.
func (f *reduceF32) mapped(dst, x []float32) {
	if f.kind != ReduceL1 {
		f.kern.F32Binary[kernels.Mul](dst, x, x)
		return
	}
	for i, v := range x {
		dst[i] = math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
	}
}

// finish applies what a kind does to the reduced.
func (f *reduceF32) finish(y []float32) {
	switch f.kind {
	case ReduceMean:
		f.kern.F32BinaryScalar[kernels.Div](y, y, float32(f.count))
	case ReduceL2:
		for i, v := range y {
			y[i] = float32(math.Sqrt(float64(v)))
		}
	case ReduceLogSum:
		for i, v := range y {
			y[i] = float32(math.Log(float64(v)))
		}
	}
}
