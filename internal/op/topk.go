package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// TopK returns the K largest (or smallest) elements along Axis, best first,
// and their indices; of equal ones the first counts more, and NaN is larger
// than any number. K is the attribute before opset 10 and input 1 later, when
// the field is -1. Where that is not known at planning the upper bound is the
// extent of the axis.
type TopK struct {
	Axis    int // may be negative
	K       int
	Largest bool
}

func newTopK(n *graph.Node, opset int) (graph.Op, error) {
	t := &TopK{Axis: n.Attrs.Int("axis", -1), K: -1, Largest: n.Attrs.Int("largest", 1) != 0}
	if opset >= 10 {
		return t, nil
	}
	if t.K = n.Attrs.Int("k", -1); t.K < 0 {
		return nil, fmt.Errorf("attribute k is missing or negative: %w", ErrShape)
	}
	return t, nil
}

// Infer implements graph.Op.
func (t *TopK) Infer(in []*graph.Value) ([]tensor.Type, error) {
	n := 1
	if t.K < 0 {
		n = 2
	}
	if err := args(in, n, n); err != nil {
		return nil, err
	}
	x := in[0].Type
	at, err := axis(t.Axis, len(x.Shape))
	if err != nil {
		return nil, err
	}
	k := x.Shape[at]
	switch {
	case t.K >= 0:
		k = t.K
	case in[1].Type.Shape.Elems() != 1 || !in[1].Type.DType.IsInt():
		return nil, fmt.Errorf("k is %v, want one integer: %w", in[1].Type, ErrShape)
	case in[1].Known() != nil:
		k = integers{t: in[1].Known()}.at(0)
	}
	if k < 0 || k > x.Shape[at] {
		return nil, fmt.Errorf("k is %d for axis %d of %v: %w", k, at, x, ErrShape)
	}
	shape := x.Shape.Clone()
	shape[at] = k
	types, err := typed(x.DType, shape)
	return append(types, tensor.Of(tensor.Int64, shape...)), err
}

// DataDependent reports whether k is an input that is not constant.
func (t *TopK) DataDependent(in []*graph.Value) bool {
	k := opt(in, 1)
	return t.K < 0 && k != nil && k.Const == nil
}

// topRows is the work of a TopK: rows of n elements that lie inner apart.
type topRows struct {
	x          *tensor.Tensor
	value, idx *tensor.Tensor // nil where not wanted
	rows, n, k int
	inner      int
	smallest   bool
	size       int
}

func (t *TopK) rows(in, out []*tensor.Tensor) (r topRows, err error) {
	at, err := axis(t.Axis, len(in[0].Shape))
	if err != nil {
		return r, err
	}
	s := in[0].Shape
	r = topRows{x: in[0], value: out[0], idx: opt(out, 1), n: s[at], k: t.K, inner: s[at+1:].Elems(), smallest: !t.Largest, size: in[0].DType.Size()}
	r.rows = s[:at].Elems() * r.inner
	if t.K < 0 {
		r.k = integers{t: in[1]}.at(0)
	}
	if r.k < 0 || r.k > r.n {
		return r, fmt.Errorf("k is %d for an axis of %d: %w", r.k, r.n, ErrShape)
	}
	for _, o := range out {
		if o != nil {
			o.Shape[at] = r.k
		}
	}
	return r, nil
}

// Eval allocates its heap.
func (t *TopK) Eval(in, out []*tensor.Tensor) error {
	r, err := t.rows(in, out)
	if err != nil {
		return err
	}
	h := topHeap{key: make([]uint64, r.k), at: make([]uint64, r.k)}
	for i := range r.rows {
		r.row(h, i)
	}
	return nil
}

// Prepare gives each tile some rows, where k is final.
func (t *TopK) Prepare(env *Env) ([]Step, error) {
	if !settled(env) {
		return nil, nil
	}
	r, err := t.rows(env.In, env.Out)
	if err != nil || r.rows == 0 || r.k == 0 {
		return nil, err
	}
	scratch := env.Scratch(16 * r.k)
	rows := max(1, tileElems/r.n)
	return []Step{{Kernel: "topk", Tiles: (r.rows + rows - 1) / rows, Cost: 4 * r.rows * r.n, Run: func(worker, tile int) {
		buf := bytesAs[uint64](scratch.For(worker))
		h := topHeap{key: buf[:r.k], at: buf[r.k : 2*r.k]}
		for i := tile * rows; i < min((tile+1)*rows, r.rows); i++ {
			r.row(h, i)
		}
	}}}, nil
}

// row selects from row i.
func (r *topRows) row(h topHeap, i int) {
	first := i/r.inner*r.n*r.inner + i%r.inner
	var f32 []float32
	if r.x.DType == tensor.Float32 {
		f32 = r.x.F32()
	}
	n := 0
	for j := range r.n {
		var key int64
		if f32 != nil {
			key = floatKey(float64(f32[first+j*r.inner]))
		} else {
			key = sortKey(r.x, first+j*r.inner)
		}
		if r.smallest {
			key = ^key
		}
		// The bias turns the order of int64 into that of uint64.
		if u := uint64(key) ^ (1 << 63); n < r.k {
			h.push(n, u, uint64(j))
			n++
		} else if n > 0 && u > h.key[0] {
			h.sink(n, u, uint64(j))
		}
	}
	to := i/r.inner*r.k*r.inner + i%r.inner
	for n > 0 {
		n--
		j := int(h.at[0])
		h.sink(n, h.key[n], h.at[n])
		if r.value != nil {
			put(r.value.Data, to+n*r.inner, r.x.Data, first+j*r.inner, r.size)
		}
		if r.idx != nil {
			r.idx.I64()[to+n*r.inner] = int64(j)
		}
	}
}

// topHeap is a binary heap with the worst candidate at the root: the one of
// the smallest key and, among equal ones, the largest index.
type topHeap struct{ key, at []uint64 }

func (h topHeap) worse(key, at uint64, j int) bool {
	return key < h.key[j] || key == h.key[j] && at > h.at[j]
}

// push adds a candidate to a heap of n.
func (h topHeap) push(n int, key, at uint64) {
	i := n
	for i > 0 && h.worse(key, at, (i-1)/2) {
		p := (i - 1) / 2
		h.key[i], h.at[i] = h.key[p], h.at[p]
		i = p
	}
	h.key[i], h.at[i] = key, at
}

// sink replaces the root of a heap of n by a candidate.
func (h topHeap) sink(n int, key, at uint64) {
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h.worse(h.key[c+1], h.at[c+1], c) {
			c++
		}
		if h.worse(key, at, c) {
			break
		}
		h.key[i], h.at[i] = h.key[c], h.at[c]
		i = c
	}
	if i < n {
		h.key[i], h.at[i] = key, at
	}
}
