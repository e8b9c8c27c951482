package pass

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ndhwc is the order of channels-last axes of a volume in terms of ONNX's.
var ndhwc = []int{0, 2, 3, 4, 1}

// untouched reports whether a window steps along axis a without touching its
// neighbours.
func untouched(g *op.Geometry, a int) bool {
	return g.Kernel[a] == 1 && g.Stride[a] == 1 && g.Begin[a] == 0 && g.Out[a] == g.In[a]
}

// slabs returns a view [N,C,D,H,W] as the images [N·A,C,...] of spatial axis a.
func slabs(x view, a int) (view, bool) {
	perm := []int{0, 2 + a, 1}
	for i := range 3 {
		if i != a {
			perm = append(perm, 2+i)
		}
	}
	x = x.transpose(perm)
	s := x.shape()
	return x.reshape([]int{s[0] * s[1], s[2], s[3], s[4]})
}

// volume records a bound value [N,C,D,H,W] whose images along axis a lie
// channels last in value.
func (l *lowerer) volume(v, value *graph.Value, a int) {
	s, t := v.Type.Shape, value.Type.Shape
	w, _ := denseView(value).reshape([]int{s[0], s[2+a], t[1], t[2], t[3]})
	l.set(v, w.transpose([][]int{{0, 4, 1, 2, 3}, {0, 4, 2, 1, 3}, {0, 4, 2, 3, 1}}[a]))
}

// conv3d lowers a three-dimensional convolution with constant weights to
// two-dimensional ones. The slabs along an axis that the kernel does not touch
// are images of their own. Else an image of each output slab holds the input
// slabs that it sees, as further channels; those of a convolution in groups are
// convolved one after the other and summed.
func (l *lowerer) conv3d(n *graph.Node, o *op.Conv) (bool, error) {
	x, w, bias := n.In[0], n.In[1], optional(n.In, 2)
	s := x.Type.Shape
	if len(s) != 5 || x.Type.DType != tensor.Float32 || w.Const == nil || bias != nil && bias.Const == nil {
		return false, nil
	}
	g, err := o.Geometry(s, w.Type.Shape)
	if err != nil {
		return false, err
	}
	c := conv3d{l: l, n: n, o: o, g: &g}
	if bias != nil {
		c.bias = graph.NewConst(bias.Name, bias.Const)
	}
	for a := range 3 {
		if !untouched(&g, a) {
			continue
		}
		images, ok := slabs(l.get(x).view, a)
		if !ok {
			return false, nil
		}
		v, err := l.realize(&lowered{from: x, view: images}, nhwc)
		if err != nil {
			return false, err
		}
		return true, c.last(v, w, a, nil)
	}
	return true, c.taps()
}

// conv3d carries the lowering of one three-dimensional convolution.
type conv3d struct {
	l    *lowerer
	n    *graph.Node
	o    *op.Conv
	g    *op.Geometry
	bias *graph.Value // nil where a convolution has added it
}

// conv returns the convolution of images along axis a, and its weights.
func (c *conv3d) conv(w *graph.Value, a int) (*op.ConvNHWC, *graph.Value) {
	across := [][2]int{{1, 2}, {0, 2}, {0, 1}}[a] // the axes of the images
	g := op.Geometry{}
	for i, from := range []int{a, across[0], across[1]} {
		g.In[i], g.Out[i], g.Kernel[i], g.Stride[i] = c.g.In[from], c.g.Out[from], c.g.Kernel[from], c.g.Stride[from]
		g.Dilation[i], g.Begin[i], g.End[i] = c.g.Dilation[from], c.g.Begin[from], c.g.End[from]
	}
	w = c.l.usedTaps(w, &g)
	return convNHWC(&g, c.o), w
}

// last adds the convolution of images along axis a that makes the output, plus
// sum, with what follows it.
func (c *conv3d) last(images, w *graph.Value, a int, sum *graph.Value) error {
	l := c.l
	conv, w := c.conv(w, a)
	out, res := c.n.Out[0], (*graph.Value)(nil)
	if sum == nil {
		out, res = l.absorb(c.n, conv, w.Type.Shape[0], true)
	}
	if res != nil {
		r, ok := slabs(l.get(res).view, a)
		if !ok { // a view of parts that do not join
			p, err := l.plain(res)
			if err != nil {
				return err
			}
			r, _ = slabs(denseView(p), a)
		}
		var err error
		if sum, err = l.realize(&lowered{from: res, view: r}, nhwc); err != nil {
			return err
		}
	} else if sum != nil {
		conv.ResLast = c.depthwise(w)
	}
	v, err := l.add(conv, "Conv", c.n.Name, out.Name, images, w, c.bias, sum)
	if err != nil {
		return err
	}
	l.volume(out, v, a)
	return nil
}

// depthwise reports whether each channel has its own kernel: a residual is then
// added last.
func (c *conv3d) depthwise(w *graph.Value) bool {
	return c.o.Group > 1 && w.Type.Shape[0] == c.o.Group && w.Type.Shape[1] == 1
}

// taps lowers a convolution along depth, too.
func (c *conv3d) taps() error {
	l, g, s := c.l, c.g, c.n.In[0].Type.Shape
	from, to := meeting(g, 0)
	x, err := l.realize(l.get(c.n.In[0]), ndhwc)
	if err != nil {
		return err
	}
	// Slabs in front of the first and behind the last.
	begin := max(0, g.Begin[0]-from*g.Dilation[0])
	first := begin - (g.Begin[0] - from*g.Dilation[0]) // the slab of the first tap of output 0
	end := max(0, first+(g.Out[0]-1)*g.Stride[0]+(to-1-from)*g.Dilation[0]+1-begin-s[2])
	if begin+end > 0 {
		pad := &op.Pad{Amounts: []int{0, begin, 0, 0, 0, 0, end, 0, 0, 0}}
		if x, err = l.add(pad, "Pad", c.n.Name, l.name(c.n.Name, "padded"), x); err != nil {
			return err
		}
	}
	channels, slab := s[1], s[1]*s[3]*s[4]
	images := func(first, taps int) (*graph.Value, error) {
		y, err := l.add(&op.StridedCopy{
			Shape:   []int{s[0], g.Out[0], s[3] * s[4], taps, channels},
			Offset:  first * slab,
			Strides: []int{x.Type.Shape[1] * slab, g.Stride[0] * slab, channels, g.Dilation[0] * slab, 1},
		}, "StridedCopy", c.n.Name, l.name(c.n.Name, "slabs"), x)
		if err != nil {
			return nil, err
		}
		shape := []int{s[0] * g.Out[0], s[3], s[4], taps * channels}
		return l.add(&op.View{Shape: shape}, "View", c.n.Name, l.name(c.n.Name, "images"), y)
	}
	if c.o.Group == 1 {
		v, err := images(first, to-from)
		if err != nil {
			return err
		}
		return c.last(v, c.weights(from, to), 0, nil)
	}
	var sum *graph.Value
	for t := from; t < to; t++ {
		v, err := images(first+(t-from)*g.Dilation[0], 1)
		if err != nil {
			return err
		}
		w := c.weights(t, t+1)
		if t == to-1 {
			return c.last(v, w, 0, sum)
		}
		conv, w := c.conv(w, 0)
		conv.ResLast = sum != nil && c.depthwise(w)
		if sum, err = l.add(conv, "Conv", c.n.Name, l.name(c.n.Name, "sum"), v, w, c.bias, sum); err != nil {
			return err
		}
		c.bias = nil
	}
	return nil
}

// weights returns the taps along depth from from to to as input channels:
// [O,taps·C,kh,kw].
func (c *conv3d) weights(from, to int) *graph.Value {
	w := c.n.In[1]
	s := w.Type.Shape
	t := tensor.New(tensor.Float32, s[0], (to-from)*s[1], s[3], s[4])
	src, dst, n := w.Const.F32(), t.F32(), s[3]*s[4]
	for o := range s[0] {
		for d := from; d < to; d++ {
			for ch := range s[1] {
				at := ((o*s[1]+ch)*s[2] + d) * n
				copy(dst[:n], src[at:])
				dst = dst[n:]
			}
		}
	}
	return graph.NewConst(c.l.name(w.Name, "depth"), t)
}

// pool3d lowers poolings of volumes: of rows and columns, then of depth.
func (l *lowerer) pool3d(n *graph.Node) (bool, error) {
	s := n.In[0].Type.Shape
	if len(s) != 5 || n.In[0].Type.DType != tensor.Float32 || len(n.Out) > 1 && n.Out[1] != nil {
		return false, nil
	}
	var g op.Geometry
	var err error
	largest, includePad := false, false
	switch p := n.Op.(type) {
	case *op.MaxPool:
		largest = true
		g, err = p.Geometry(s)
	case *op.AveragePool:
		if dequantized(n.In[0]) {
			return false, nil
		}
		includePad = p.CountPad
		g, err = p.Geometry(s)
	case *op.GlobalPool:
		return l.globalPool3d(n, p)
	default:
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v, err := l.realize(l.get(n.In[0]), ndhwc)
	if err != nil {
		return false, err
	}
	depth := op.Geometry{
		In: [3]int{1, s[2], g.Out[1] * g.Out[2]}, Out: [3]int{1, g.Out[0], g.Out[1] * g.Out[2]},
		Kernel: [3]int{1, g.Kernel[0], 1}, Stride: [3]int{1, g.Stride[0], 1}, Dilation: [3]int{1, g.Dilation[0], 1},
		Begin: [3]int{0, g.Begin[0], 0}, End: [3]int{0, g.End[0], 0},
	}
	for i, step := range []struct {
		shape []int
		g     *op.Geometry
	}{
		{[]int{s[0] * s[2], s[3], s[4], s[1]}, &g},
		{[]int{s[0], s[2], g.Out[1] * g.Out[2], s[1]}, &depth},
	} {
		if i == 1 && untouched(&g, 0) {
			break
		}
		if v, err = l.add(&op.View{Shape: step.shape}, "View", n.Name, l.name(n.Name, "images"), v); err != nil {
			return false, err
		}
		if v, err = l.add(poolNHWC(step.g, largest, includePad), n.Type, n.Name, l.name(n.Name, "pooled"), v); err != nil {
			return false, err
		}
	}
	w, _ := denseView(v).reshape([]int{s[0], g.Out[0], g.Out[1], g.Out[2], s[1]})
	l.set(n.Out[0], w.transpose([]int{0, 4, 1, 2, 3}))
	return true, nil
}

// globalPool3d pools a volume as an image whose rows are those of all slabs.
func (l *lowerer) globalPool3d(n *graph.Node, p *op.GlobalPool) (bool, error) {
	s := n.In[0].Type.Shape
	rows, ok := l.get(n.In[0]).view.reshape([]int{s[0], s[1], s[2] * s[3], s[4]})
	if !ok || p.Mode == "lp" {
		return false, nil
	}
	v, err := l.realize(&lowered{from: n.In[0], view: rows}, nhwc)
	if err != nil {
		return false, err
	}
	if v, err = l.add(&op.GlobalPoolNHWC{Max: p.Mode == "max"}, n.Type, n.Name, n.Out[0].Name, v); err != nil {
		return false, err
	}
	w, _ := denseView(v).reshape([]int{s[0], s[1], 1, 1, 1})
	l.set(n.Out[0], w)
	return true, nil
}
