package pass

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// focusChannels bounds the channels of an image whose interleaved samples a
// convolution reads in place: those of a picture. With more of them the copy
// costs little beside the convolution.
const focusChannels = 4

// samples says which pixels of an image a value holds: those at start + i·step
// of each spatial axis, all channels.
type samples struct {
	image                      *graph.Value
	startH, startW, step, h, w int
}

// samplesOf resolves a chain of slices over the spatial axes.
func samplesOf(v *graph.Value) (samples, bool) {
	s := samples{image: v, h: v.Type.Shape[2], w: v.Type.Shape[3]}
	stepH, stepW := 1, 1
	for s.image.Node != nil {
		slice, ok := s.image.Node.Op.(*op.Slice)
		if !ok {
			break
		}
		in := s.image.Node.In
		starts, steps, _, err := slice.Resolve(in)
		if err != nil || len(starts) != 4 || in[0].Type.Shape[0] != v.Type.Shape[0] || in[0].Type.Shape[1] != v.Type.Shape[1] || steps[2] < 1 || steps[3] < 1 {
			return s, false
		}
		s.startH, s.startW = starts[2]+s.startH*steps[2], starts[3]+s.startW*steps[3]
		stepH, stepW = stepH*steps[2], stepW*steps[3]
		s.image = in[0]
	}
	s.step = stepH
	return s, stepH == stepW
}

// focus turns a convolution over the interleaved samples of a picture, which
// slices gathered as channels (the Focus block of YOLOv5 and YOLOX), into one
// with a larger kernel and stride over the picture itself: the same
// multiplications without the copies. Picture and weights may be 8-bit numbers.
func focus(s *simplifier, n *graph.Node) (*graph.Value, error) {
	o, ok := n.Op.(*op.Conv)
	if !ok || len(n.In[0].Type.Shape) != 4 {
		return nil, nil
	}
	gathered, dequantized, quantized := dequantizedFrom(n.In[0])
	if !quantized {
		gathered = n.In[0]
	}
	if gathered.Node == nil || s.uses[n.In[0]] != 1 || s.uses[gathered] != 1 {
		return nil, nil
	}
	concat, ok := gathered.Node.Op.(*op.Concat)
	if !ok || o.Group != 1 || concat.Axis != 1 && concat.Axis != -3 {
		return nil, nil
	}
	weights, from := n.In[1], []*graph.Value(nil)
	if d := n.In[1].Node; d != nil {
		q, ok := d.Op.(*op.DequantizeLinear)
		if !ok || q.Block != 0 || q.Axis != 0 && d.In[1].Type.Shape.Elems() != 1 {
			return nil, nil
		}
		weights, from = d.In[0], d.In[1:]
	}
	if weights.Const == nil {
		return nil, nil
	}
	parts := gathered.Node.In
	first, ok := samplesOf(parts[0])
	if !ok || first.step < 2 || len(parts) != first.step*first.step {
		return nil, nil
	}
	image, step := first.image, first.step
	shape := image.Type.Shape
	channels := shape[1]
	g, err := o.Geometry(n.In[0].Type.Shape, weights.Type.Shape)
	if err != nil || channels > focusChannels || shape[2] != first.h*step || shape[3] != first.w*step || g.Dilation[1] != 1 || g.Dilation[2] != 1 {
		return nil, err
	}
	outputs, kh, kw := weights.Type.Shape[0], g.Kernel[1], g.Kernel[2]
	w := tensor.New(weights.Type.DType, outputs, channels, kh*step, kw*step)
	size := weights.Type.DType.Size()
	seen := map[samples]bool{}
	for i, p := range parts {
		at, ok := samplesOf(p)
		if !ok || at.image != image || at.step != step || at.startH >= step || at.startW >= step || seen[at] {
			return nil, nil
		}
		seen[at] = true
		for c := range channels {
			for out := range outputs {
				for u := range kh {
					for v := range kw {
						from := ((out*len(parts)+i)*channels+c)*kh*kw + u*kw + v
						to := ((out*channels+c)*kh*step+u*step+at.startH)*kw*step + v*step + at.startW
						copy(w.Data[to*size:][:size], weights.Const.Data[from*size:][:size])
					}
				}
			}
		}
	}
	each := func(v [3]int) []int { return []int{v[1] * step, v[2] * step} }
	c := &op.Conv{Filter: op.Filter{Group: 1, Window: op.Window{AutoPad: "NOTSET",
		Kernel: each(g.Kernel), Strides: each(g.Stride), Pads: append(each(g.Begin), each(g.End)...)}}}
	in := append([]*graph.Value{image, s.constant(weights.Name, w)}, n.In[2:]...)
	if quantized {
		if in[0], err = s.dequantize(n.In[0].Name, image, dequantized); err != nil {
			return nil, err
		}
	}
	if from != nil {
		d := n.In[1].Node
		if in[1], err = s.made(d.Op, d.Type, n.In[1].Name, append([]*graph.Value{in[1]}, from...)...); err != nil {
			return nil, err
		}
	}
	return s.add(n, c, n.Type, in...)
}
