package pass

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// indexed is a tensor of element addresses, the naive counterpart of a view.
type indexed struct {
	shape tensor.Shape
	at    []int
}

func (x indexed) get(idx []int) int {
	p := 0
	for a, st := range x.shape.Strides() {
		p += idx[a] * st
	}
	return x.at[p]
}

// each builds an indexed tensor of a shape from a function of the index.
func each(shape tensor.Shape, f func(idx []int) int) indexed {
	x := indexed{shape: shape}
	idx := make([]int, len(shape))
	for range shape.Elems() {
		x.at = append(x.at, f(idx))
		for a := len(shape) - 1; a >= 0; a-- {
			if idx[a]++; idx[a] < shape[a] {
				break
			}
			idx[a] = 0
		}
	}
	return x
}

// addresses lists the elements of a view in the order perm.
func addresses(v view, perm []int) indexed {
	shape := tensor.Shape(permute(v.shape(), perm))
	return each(shape, func(idx []int) int {
		at := v.offset
		for i, a := range perm {
			rest := idx[i]
			inner := 1
			for _, p := range v.axes[a] {
				inner *= p.size
			}
			for _, p := range v.axes[a] {
				inner /= p.size
				at += rest / inner * p.stride
				rest %= inner
			}
		}
		return at
	})
}

func drawShape(t *rapid.T) tensor.Shape {
	return rapid.SliceOfN(rapid.SampledFrom([]int{1, 2, 3, 4, 6}), 1, 4).Draw(t, "shape")
}

// TestViewAgainstIndices applies random chains of rearrangements to a view and
// to a plain table of addresses: every element must agree after every step,
// and dense, order and channelSlice must tell the truth about memory.
func TestViewAgainstIndices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := drawShape(t)
		base := graph.NewConst("base", tensor.New(tensor.Float32, shape...))
		v := denseView(base)
		k := 0
		x := each(shape, func([]int) int { k++; return k - 1 })
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			old := x
			switch rapid.SampledFrom([]string{"transpose", "reshape", "slice"}).Draw(t, "op") {
			case "transpose":
				perm := rapid.Permutation(identityPerm(len(old.shape))).Draw(t, "perm")
				v = v.transpose(perm)
				x = each(permute(old.shape, perm), func(idx []int) int {
					at := make([]int, len(idx))
					for i, a := range perm {
						at[a] = idx[i]
					}
					return old.get(at)
				})
			case "reshape":
				to := factors(t, old.shape.Elems())
				w, ok := v.reshape(to)
				if !ok {
					continue
				}
				v, x = w, indexed{to, old.at}
			case "slice":
				if len(old.shape) == 0 {
					continue
				}
				a := rapid.IntRange(0, len(old.shape)-1).Draw(t, "axis")
				d := old.shape[a]
				start := rapid.IntRange(0, d-1).Draw(t, "start")
				step := rapid.SampledFrom([]int{1, 1, 2, -1}).Draw(t, "step")
				most := (d - start + step - 1) / step
				if step < 0 {
					most = start + 1
				}
				n := rapid.IntRange(1, most).Draw(t, "n")
				w, ok := v.slice(a, start, step, n)
				if !ok {
					continue
				}
				v = w
				to := old.shape.Clone()
				to[a] = n
				x = each(to, func(idx []int) int {
					at := append([]int{}, idx...)
					at[a] = start + idx[a]*step
					return old.get(at)
				})
			}
			check(t, v, x)
		}
	})
}

func check(t *rapid.T, v view, x indexed) {
	if !v.shape().Equal(x.shape) {
		t.Fatalf("shape %v, want %v", v.shape(), x.shape)
	}
	got := addresses(v, identityPerm(len(x.shape)))
	for i := range x.at {
		if got.at[i] != x.at[i] {
			t.Fatalf("element %d is at %d, want %d", i, got.at[i], x.at[i])
		}
	}
	perm := rapid.Permutation(identityPerm(len(x.shape))).Draw(t, "order")
	if ordered, ok := v.order(); ok {
		perm = ordered
	}
	in := addresses(v, perm)
	if dense := isRun(in.at, v.base.Type.Shape.Elems()); dense != v.dense(perm) {
		t.Fatalf("dense in order %v: %v, is %v", perm, v.dense(perm), dense)
	}
	if start, n, ok := v.channelSlice(perm); ok {
		last := v.base.Type.Shape[len(v.base.Type.Shape)-1]
		for i, at := range in.at {
			if want := i/n*last + start + i%n; at != want {
				t.Fatalf("slice %d+%d: element %d is at %d, want %d", start, n, i, at, want)
			}
		}
	}
}

func isRun(at []int, n int) bool {
	for i, p := range at {
		if p != i {
			return false
		}
	}
	return len(at) == n
}

// factors draws a shape with n elements.
func factors(t *rapid.T, n int) tensor.Shape {
	var s tensor.Shape
	for n > 1 && len(s) < 4 {
		var ds []int
		for d := 1; d <= n; d++ {
			if n%d == 0 {
				ds = append(ds, d)
			}
		}
		d := rapid.SampledFrom(ds).Draw(t, "factor")
		s, n = append(s, d), n/d
	}
	if n == 1 && rapid.Bool().Draw(t, "no more") {
		return s // perhaps a scalar
	}
	return append(s, n)
}
