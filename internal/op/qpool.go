package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// QLinearAveragePool is AveragePool on an 8-bit tensor, or GlobalAveragePool
// where Global is set: the integer sum times xs/(ys·count), in float32,
// rounded half to even. With ChannelsLast x is [N,D...,C].
//
// Inputs: x, xs, xz, ys, yz; zero points may be nil.
type QLinearAveragePool struct {
	AveragePool
	Global       bool
	ChannelsLast bool
}

// QLinearSoftmax is Softmax on an 8-bit tensor, in float64 on the real
// numbers. Before operator set 13 the input is a matrix: the axes before Axis
// by those behind.
//
// Inputs: x, xs, xz (or nil), ys, yz.
type QLinearSoftmax struct {
	Axis   int
	Matrix bool
}

func newQLinearAveragePool(n *graph.Node, _ int) (graph.Op, error) {
	w, err := newPool(n)
	return &QLinearAveragePool{
		AveragePool:  AveragePool{w, n.Attrs.Int("count_include_pad", 0) != 0},
		ChannelsLast: n.Attrs.Int("channels_last", 0) != 0,
	}, err
}

func newQLinearGlobalAveragePool(n *graph.Node, _ int) (graph.Op, error) {
	return &QLinearAveragePool{Global: true, ChannelsLast: n.Attrs.Int("channels_last", 0) != 0}, nil
}

func newQLinearSoftmax(n *graph.Node, _ int) (graph.Op, error) {
	old := n.Attrs.Int("opset", 13) < 13
	def := -1
	if old {
		def = 1
	}
	return &QLinearSoftmax{n.Attrs.Int("axis", def), old}, nil
}

// fitted returns the geometry of the pooling, with the channels and the
// distances between channels and between elements of a channel.
func (q *QLinearAveragePool) fitted(x tensor.Shape) (g Geometry, channels, channel, pixel int, err error) {
	if len(x) < 3 {
		return g, 0, 0, 0, fmt.Errorf("input %v has no spatial axis: %w", x, ErrShape)
	}
	spatial, channels := x[2:], x[1]
	pixel = 1
	channel = spatial.Elems()
	if q.ChannelsLast {
		spatial, channels = x[1:len(x)-1], x[len(x)-1]
		channel, pixel = 1, channels
	}
	if !q.Global {
		g, err = q.fit(spatial, q.Kernel)
		return g, channels, channel, pixel, err
	}
	n := spatial.Elems()
	if n == 0 || n > maxWindow {
		return g, 0, 0, 0, fmt.Errorf("input %v: %w", x, ErrShape)
	}
	one := [3]int{1, 1, 1}
	g = Geometry{In: [3]int{1, 1, n}, Kernel: [3]int{1, 1, n}, Out: one, Stride: one, Dilation: one}
	return g, channels, channel, pixel, nil
}

// Infer implements graph.Op.
func (q *QLinearAveragePool) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 5); err != nil {
		return nil, err
	}
	d, err := same8(in, 3, 0)
	if err != nil {
		return nil, err
	}
	x := in[0].Type.Shape
	g, _, _, _, err := q.fitted(x)
	if err != nil {
		return nil, err
	}
	y := x.Clone()
	spatial := y[2:]
	if q.ChannelsLast {
		spatial = y[1 : len(y)-1]
	}
	for i := range spatial {
		spatial[i] = 1
		if !q.Global {
			spatial[i] = g.Out[3-len(spatial)+i]
		}
	}
	return []tensor.Type{{DType: d, Shape: y}}, nil
}

// Eval implements Evaluator.
func (q *QLinearAveragePool) Eval(in, out []*tensor.Tensor) error {
	_, channels, _, _, err := q.fitted(in[0].Shape)
	if err == nil {
		q.planes(in, out[0], 0, in[0].Shape[0]*channels)
	}
	return err
}

// Prepare implements Preparer: channels in parallel.
func (q *QLinearAveragePool) Prepare(env *Env) ([]Step, error) {
	in, y := env.In, env.Out[0]
	g, channels, _, _, err := q.fitted(in[0].Shape)
	return split("qlinearpool", in[0].Shape[0]*channels, elems(g.Out)*elems(g.Kernel), func(_, lo, hi int) {
		q.planes(in, y, lo, hi)
	}), err
}

// planes computes planes lo to hi of the [N·C] planes.
func (q *QLinearAveragePool) planes(in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	qx, qy := quant8Of(in, 1, 2, y.DType), quant8Of(in, 3, 4, y.DType)
	g, channels, channel, pixel, _ := q.fitted(in[0].Shape)
	n := elems(g.Out)
	for p := lo; p < hi; p++ {
		image, c := p/channels, p%channels
		x := in[0].Data[image*channels*elems(g.In)+c*channel:]
		out := c * n
		if q.ChannelsLast {
			out = c
		}
		dst := y.Data[image*channels*n+out:]
		for o := range n {
			od, oh, ow := o/(g.Out[1]*g.Out[2]), o/g.Out[2]%g.Out[1], o%g.Out[2]
			sum, count := qx.window(x, &g, pixel, od, oh, ow)
			if q.CountPad && !q.Global {
				count = g.padded(0, od) * g.padded(1, oh) * g.padded(2, ow)
			}
			dst[o*pixel] = qy.settle(float32(sum) * (qx.scale / float32(qy.scale*float32(max(count, 1)))))
		}
	}
}

// window sums the stored numbers, less the zero point, of a window and counts
// them.
func (q *quant8) window(x []byte, g *Geometry, pixel, od, oh, ow int) (sum int32, count int) {
	d0, da, db := g.taps(0, od)
	h0, ha, hb := g.taps(1, oh)
	w0, wa, wb := g.taps(2, ow)
	for kd := da; kd < db; kd++ {
		for kh := ha; kh < hb; kh++ {
			i := ((d0+kd*g.Dilation[0])*g.In[1]+h0+kh*g.Dilation[1])*g.In[2] + w0
			for kw := wa; kw < wb; kw++ {
				sum += q.stored(x[(i+kw*g.Dilation[2])*pixel])
			}
		}
	}
	count = max(0, db-da) * max(0, hb-ha) * max(0, wb-wa)
	return sum - q.zero*int32(count), count
}

// Infer implements graph.Op.
func (q *QLinearSoftmax) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 5); err != nil {
		return nil, err
	}
	d, err := same8(in, 3, 0)
	if err == nil {
		_, err = axis(q.Axis, len(in[0].Type.Shape))
	}
	return []tensor.Type{{DType: d, Shape: in[0].Type.Shape.Clone()}}, err
}

// Eval implements Evaluator.
func (q *QLinearSoftmax) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0]
	a, err := axis(q.Axis, len(x.Shape))
	if err != nil {
		return err
	}
	outer, n, inner := x.Shape[:a].Elems(), x.Shape[a], x.Shape[a+1:].Elems()
	if q.Matrix {
		n, inner = n*inner, 1
	}
	qx, qy := quant8Of(in, 1, 2, x.DType), quant8Of(in, 3, 4, x.DType)
	// Entry i is exp of the real distance between the largest and a byte.
	var table [256]float64
	for i := range table {
		table[i] = exp(-float64(float64(i) * float64(qx.scale)))
	}
	for o := range outer {
		for k := range inner {
			at := o*n*inner + k
			top, sum := int32(math.MinInt32), 0.0
			for i := range n {
				top = max(top, qx.stored(x.Data[at+i*inner]))
			}
			for i := range n {
				sum += table[top-qx.stored(x.Data[at+i*inner])]
			}
			for i := range n {
				v := table[top-qx.stored(x.Data[at+i*inner])] / sum
				y.Data[at+i*inner] = qy.settle(float32(v / float64(qy.scale)))
			}
		}
	}
	return nil
}
