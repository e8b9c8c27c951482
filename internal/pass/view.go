package pass

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// part is one factor of an axis: size steps, stride elements of the base
// apart.
type part struct{ size, stride int }

// view describes a value as a rearrangement of another value's elements:
// element [i0, i1, ...] lies at offset plus, for each axis, the position that
// its parts give it, the outermost part first. Transposes, splits, slices and
// most reshapes only change the view; elements move when an operator needs
// them in an order that no view of them has.
type view struct {
	base   *graph.Value // dense, in the lowered graph
	offset int
	axes   [][]part
}

// denseView is the view of a base by its own shape.
func denseView(base *graph.Value) view {
	v := view{base: base}
	for a, st := range base.Type.Shape.Strides() {
		v.axes = append(v.axes, axisParts(part{base.Type.Shape[a], st}))
	}
	return v
}

// axisParts joins parts that follow each other without a gap, and drops those
// of size one.
func axisParts(parts ...part) []part {
	var out []part
	for _, p := range parts {
		if p.size == 1 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].stride == p.size*p.stride {
			out[n-1] = part{out[n-1].size * p.size, p.stride}
			continue
		}
		out = append(out, p)
	}
	return out
}

func (v view) shape() tensor.Shape {
	s := make(tensor.Shape, len(v.axes))
	for a, ps := range v.axes {
		s[a] = 1
		for _, p := range ps {
			s[a] *= p.size
		}
	}
	return s
}

// transpose permutes the axes: axis i of the result is axis perm[i].
func (v view) transpose(perm []int) view {
	w := view{base: v.base, offset: v.offset, axes: make([][]part, len(perm))}
	for i, a := range perm {
		w.axes[i] = v.axes[a]
	}
	return w
}

// reshape gives the same elements, in the same order, another shape. It
// reports false where a factor would have to be cut unevenly.
func (v view) reshape(shape []int) (view, bool) {
	var all []part
	for _, ps := range v.axes {
		all = append(all, ps...)
	}
	all = axisParts(all...)
	w := view{base: v.base, offset: v.offset, axes: make([][]part, len(shape))}
	if tensor.Shape(shape).Elems() == 0 {
		return w, false
	}
	for a, d := range shape {
		var ps []part
		for d > 1 {
			if len(all) == 0 {
				return w, false
			}
			p := all[0]
			switch {
			case d%p.size == 0:
				ps, all, d = append(ps, p), all[1:], d/p.size
			case p.size%d == 0:
				rest := p.size / d
				ps = append(ps, part{d, p.stride * rest})
				all = append([]part{{rest, p.stride}}, all[1:]...)
				d = 1
			default:
				return w, false
			}
		}
		w.axes[a] = axisParts(ps...)
	}
	return w, len(all) == 0
}

// slice takes n elements of an axis, step apart, from start on. It reports
// false where the axis has several parts that the slice would cut.
func (v view) slice(axis, start, step, n int) (view, bool) {
	w := view{base: v.base, offset: v.offset, axes: slices.Clone(v.axes)}
	ps := v.axes[axis]
	size := 1
	for _, p := range ps {
		size *= p.size
	}
	switch {
	case n == size && start == 0 && step == 1:
		return w, true
	case n == 0:
		return w, false
	case len(ps) == 0: // one element, taken once
		return w, n == 1
	case len(ps) == 1:
		w.offset += start * ps[0].stride
		w.axes[axis] = axisParts(part{n, step * ps[0].stride})
		return w, true
	}
	// A run that lies within one step of the outer part.
	inner := size / ps[0].size
	if step == 1 && start/inner == (start+n-1)/inner {
		w.offset += start / inner * ps[0].stride
		w.axes[axis] = ps[1:]
		return w.slice(axis, start%inner, 1, n)
	}
	// Whole steps of the outer part.
	if step == 1 && start%inner == 0 && n%inner == 0 {
		w.offset += start / inner * ps[0].stride
		w.axes[axis] = axisParts(append([]part{{n / inner, ps[0].stride}}, ps[1:]...)...)
		return w, true
	}
	return w, false
}

// dense reports whether the view's elements, with its axes in the order perm,
// are all those of the base in the order of memory.
func (v view) dense(perm []int) bool {
	expect := 1
	for _, a := range slices.Backward(perm) {
		for _, p := range slices.Backward(v.axes[a]) {
			if p.stride != expect {
				return false
			}
			expect *= p.size
		}
	}
	return v.offset == 0 && expect == v.base.Type.Shape.Elems()
}

// order returns the permutation of axes in which the view is dense, if there
// is one. An axis of extent one stands in front of those that follow it in
// the shape.
func (v view) order() ([]int, bool) {
	strides := make([]int, len(v.axes))
	next := 0
	for a := len(v.axes) - 1; a >= 0; a-- {
		switch len(v.axes[a]) {
		case 0:
			strides[a] = next
		case 1:
			strides[a] = v.axes[a][0].stride
			next = max(next, strides[a])
		default:
			return nil, false
		}
	}
	perm := identityPerm(len(v.axes))
	slices.SortStableFunc(perm, func(a, b int) int { return strides[b] - strides[a] })
	return perm, v.dense(perm)
}

// channelSlice reports whether the view, with its axes in the order perm,
// takes a run of elements from each row of its base's last axis.
func (v view) channelSlice(perm []int) (start, n int, ok bool) {
	shape := v.base.Type.Shape
	if len(shape) == 0 {
		return 0, 0, false
	}
	row := shape[len(shape)-1]
	outer := perm[:max(len(perm)-1, 0)]
	var last []part // none where the view is a scalar
	if len(perm) > 0 {
		last = v.axes[perm[len(perm)-1]]
	}
	switch {
	case len(last) > 1 || len(last) == 1 && last[0].stride != 1:
		return 0, 0, false
	case len(last) == 1:
		n = last[0].size
	default:
		n = 1
	}
	expect := row
	for _, a := range slices.Backward(outer) {
		for _, p := range slices.Backward(v.axes[a]) {
			if p.stride != expect {
				return 0, 0, false
			}
			expect *= p.size
		}
	}
	return v.offset, n, v.offset+n <= row && expect == shape.Elems()
}

// identityPerm returns 0, 1, ..., n-1.
func identityPerm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

// permute returns s in the order perm.
func permute(s []int, perm []int) []int {
	out := make([]int, len(perm))
	for i, a := range perm {
		out[i] = s[a]
	}
	return out
}
