package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Window is the sliding window of a convolution or pooling over one to three
// spatial axes, as a file gives it. A nil list means 1 for every axis, or 0
// for Pads; a nil Kernel is that of the weights.
type Window struct {
	Kernel    []int
	Strides   []int
	Dilations []int
	Pads      []int  // the beginnings of all axes, then the ends
	AutoPad   string // NOTSET, VALID, SAME_UPPER or SAME_LOWER
	Ceil      bool   // round the number of windows up, not down
}

// Geometry is a Window fitted to an input. It always has three axes, depth,
// height and width; those that a 1-D or 2-D operator does not have come first,
// with extents of 1. End is the padding that was asked for: with Ceil the last
// window may reach past it.
type Geometry struct {
	In, Out                  [3]int
	Kernel, Stride, Dilation [3]int
	Begin, End               [3]int
}

// maxWindow bounds extents, strides and pads, so that positions fit a 32-bit int.
const maxWindow = 1 << 28

// newWindow decodes the attributes that convolutions and poolings share.
func newWindow(n *graph.Node) (Window, error) {
	w := Window{
		Kernel:    intList(n, "kernel_shape"),
		Strides:   intList(n, "strides"),
		Dilations: intList(n, "dilations"),
		Pads:      intList(n, "pads"),
		AutoPad:   n.Attrs.String("auto_pad", "NOTSET"),
		Ceil:      n.Attrs.Int("ceil_mode", 0) != 0,
	}
	for _, l := range []struct {
		name string
		v    []int
		min  int
	}{{"kernel_shape", w.Kernel, 1}, {"strides", w.Strides, 1}, {"dilations", w.Dilations, 1}, {"pads", w.Pads, 0}} {
		for _, v := range l.v {
			if v < l.min || v > maxWindow {
				return w, fmt.Errorf("attribute %s: %v is not a list of numbers of at least %d: %w", l.name, l.v, l.min, ErrUnsupported)
			}
		}
	}
	switch w.AutoPad {
	case "":
		w.AutoPad = "NOTSET"
	case "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER":
	default:
		return w, fmt.Errorf("attribute auto_pad: %q: %w", w.AutoPad, ErrUnsupported)
	}
	return w, nil
}

// intList returns an attribute that is a list, nil where it is absent or
// empty.
func intList(n *graph.Node, name string) []int {
	if l := n.Attrs.Ints(name); len(l) > 0 {
		return l
	}
	return nil
}

// lists reports lists that do not have one entry for each of rank axes.
func (w *Window) lists(rank int) error {
	if rank < 1 || rank > 3 {
		return fmt.Errorf("%d spatial axes, want 1 to 3: %w", rank, ErrUnsupported)
	}
	for _, l := range []struct {
		name string
		v    []int
		n    int
	}{{"kernel_shape", w.Kernel, rank}, {"strides", w.Strides, rank}, {"dilations", w.Dilations, rank}, {"pads", w.Pads, 2 * rank}} {
		if l.v != nil && len(l.v) != l.n {
			return fmt.Errorf("attribute %s: %v has %d entries, want %d: %w", l.name, l.v, len(l.v), l.n, ErrShape)
		}
	}
	return nil
}

// at returns entry i of a list that may be nil.
func at(list []int, i, def int) int {
	if list == nil {
		return def
	}
	return list[i]
}

// base returns the geometry of an input without padding and outputs: extents,
// kernel, strides and dilations, on the last len(in) axes. kernel serves where
// the window has none.
func (w *Window) base(in, kernel []int) (Geometry, error) {
	one := [3]int{1, 1, 1}
	g := Geometry{In: one, Out: one, Kernel: one, Stride: one, Dilation: one}
	if err := w.lists(len(in)); err != nil {
		return g, err
	}
	if w.Kernel != nil {
		kernel = w.Kernel
	}
	if len(kernel) != len(in) {
		return g, fmt.Errorf("a kernel of %d axes for %d spatial axes: %w", len(kernel), len(in), ErrShape)
	}
	for i := range in {
		a := 3 - len(in) + i
		g.In[a], g.Kernel[a] = in[i], kernel[i]
		g.Stride[a], g.Dilation[a] = at(w.Strides, i, 1), at(w.Dilations, i, 1)
		g.Begin[a], g.End[a] = at(w.Pads, i, 0), at(w.Pads, len(in)+i, 0)
		if in[i] > maxWindow || kernel[i] > maxWindow || kernel[i] < 1 {
			return g, fmt.Errorf("spatial axis %d: extent %d, window %d: %w", i, in[i], kernel[i], ErrShape)
		}
	}
	return g, nil
}

// fit places the window over the spatial extents in. Where the window has no
// kernel of its own, kernel is that of the weights.
//
// Out is floor((In+Begin+End-((Kernel-1)·Dilation+1)) / Stride) + 1, or the
// ceiling without the windows that would start in the padding at the end;
// with SAME padding it is ceil(In/Stride).
func (w *Window) fit(in, kernel []int) (Geometry, error) {
	g, err := w.base(in, kernel)
	if err != nil {
		return g, err
	}
	for a := 3 - len(in); a < 3; a++ {
		n, s := int64(g.In[a]), int64(g.Stride[a])
		reach := int64(g.Kernel[a]-1)*int64(g.Dilation[a]) + 1
		begin, end := int64(g.Begin[a]), int64(g.End[a])
		switch w.AutoPad {
		case "VALID":
			begin, end = 0, 0
		case "SAME_UPPER", "SAME_LOWER":
			total := max(0, ((n+s-1)/s-1)*s+reach-n)
			begin, end = total/2, total-total/2
			if w.AutoPad == "SAME_LOWER" {
				begin, end = end, begin
			}
		}
		space := n + begin + end - reach
		if space < 0 || n < 1 || begin+end > maxWindow {
			return g, fmt.Errorf("spatial axis %d: a window of %d does not fit extent %d with padding %d and %d: %w",
				a-3+len(in), reach, n, begin, end, ErrShape)
		}
		out := space/s + 1
		if w.Ceil && space%s != 0 && out*s < n+begin {
			out++
		}
		g.Begin[a], g.End[a], g.Out[a] = int(begin), int(end), int(out)
	}
	return g, nil
}

// outShape returns leading followed by the output extents of rank axes.
func (g *Geometry) outShape(rank int, leading ...int) tensor.Shape {
	return append(tensor.Shape(leading), g.Out[3-rank:]...)
}

// elems returns the product of three extents.
func elems(e [3]int) int { return e[0] * e[1] * e[2] }

// flat merges the spatial axes into one where every window is one element, so
// that loops over rows are long.
func (g *Geometry) flat() {
	one := [3]int{1, 1, 1}
	if g.Kernel != one || g.Stride != one || g.Begin != [3]int{} || g.End != [3]int{} || g.In != g.Out {
		return
	}
	g.In = [3]int{1, 1, elems(g.In)}
	g.Out = g.In
}

// taps returns the kernel positions along axis a that hit the input for
// output position o, from k0 up to k1, and the input index of position 0,
// which may be negative.
func (g *Geometry) taps(a, o int) (start, k0, k1 int) {
	d := g.Dilation[a]
	start = o*g.Stride[a] - g.Begin[a]
	if start < 0 {
		k0 = (-start + d - 1) / d
	}
	if start < g.In[a] {
		k1 = min(g.Kernel[a], (g.In[a]-start+d-1)/d)
	}
	return start, min(k0, g.Kernel[a]), k1
}
