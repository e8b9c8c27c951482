package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// sizeLimit bounds every output of a data-movement operator, in bytes.
const sizeLimit = 1 << 30

// typed returns the one output type with these extents, or an error where it
// is too large.
func typed(d tensor.DType, shape tensor.Shape) ([]tensor.Type, error) {
	if err := shape.Check(d, sizeLimit); err != nil {
		return nil, fmt.Errorf("output: %w: %w", err, ErrShape)
	}
	return []tensor.Type{{DType: d, Shape: shape.Clone()}}, nil
}

// satMul multiplies numbers that are not negative and stops at the largest.
func satMul(a, b int) int {
	if a != 0 && b > math.MaxInt/a {
		return math.MaxInt
	}
	return a * b
}

// integers is a list of numbers from an attribute or from the contents of an
// input, whichever there is.
type integers struct {
	attr []int
	t    *tensor.Tensor
}

func (l integers) len() int {
	if l.t != nil {
		return l.t.Elems()
	}
	return len(l.attr)
}

// at returns element i, held within the range of an int so that "to the end"
// keeps its meaning on machines of 32 bits.
func (l integers) at(i int) int {
	if l.t != nil {
		return int(min(max(l.t.Int(i), math.MinInt), math.MaxInt))
	}
	return l.attr[i]
}

// all returns a copy of the list.
func (l integers) all() []int {
	out := make([]int, l.len())
	for i := range out {
		out[i] = l.at(i)
	}
	return out
}

// contents returns the known contents of inputs first and up, in their
// places; absent inputs stay nil.
func contents(in []*graph.Value, first int) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, len(in))
	for i := first; i < len(in); i++ {
		if in[i] == nil {
			continue
		}
		t, err := known(in, i)
		if err != nil {
			return nil, err
		}
		out[i] = t
	}
	return out, nil
}

// settled reports whether inputs 1 and up are final, so that a step may
// rely on them.
func settled(env *Env) bool {
	for i := 1; i < len(env.In); i++ {
		if env.In[i] != nil && !env.Const[i] {
			return false
		}
	}
	return true
}

// intInput rejects an input, where it is present, that does not hold
// integers.
func intInput(in []*graph.Value, i int) error {
	if v := opt(in, i); v != nil && !v.Type.DType.IsInt() {
		return fmt.Errorf("input %d, %q, holds %v, want integers: %w", i, v.Name, v.Type.DType, ErrUnsupported)
	}
	return nil
}

// axesSet resolves a list of axes against a rank into a set of flags; an axis
// that is named twice is an error.
func axesSet(axes integers, rank int) (set [2 * tensor.MaxRank]bool, err error) {
	for i := range axes.len() {
		a, err := axis(axes.at(i), rank)
		if err != nil {
			return set, err
		}
		if set[a] {
			return set, fmt.Errorf("axis %d is named twice: %w", a, ErrShape)
		}
		set[a] = true
	}
	return set, nil
}
