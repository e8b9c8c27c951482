package pass

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels/ref"
)

// quantization is what turns real numbers into 8-bit numbers and back: one scale
// and one zero point.
type quantization struct {
	scale float32
	zero  int32
}

// The scales of activations with which products and quotients of three stay
// normal numbers of float32. Others are no model's, and left alone.
const (
	leastScale = 1e-12
	mostScale  = 1e12
)

// one returns the scale and the zero point of a QuantizeLinear or
// DequantizeLinear that has one of each, constant, with a sensible scale.
func one(in []*graph.Value, block int) (q quantization, ok bool) {
	s, z := in[1], optional(in, 2)
	if block != 0 || s.Const == nil || s.Type.DType != tensor.Float32 || s.Const.Elems() != 1 || z != nil && z.Const == nil {
		return q, false
	}
	q.scale = s.Const.F32()[0]
	if z != nil {
		q.zero = int32(z.Const.Int(0))
	}
	return q, q.scale >= leastScale && q.scale <= mostScale
}

// dequantizedFrom returns the uint8 value that v is the real form of.
func dequantizedFrom(v *graph.Value) (x *graph.Value, q quantization, ok bool) {
	if v == nil || v.Node == nil || v.Dynamic {
		return nil, q, false
	}
	d, ok := v.Node.Op.(*op.DequantizeLinear)
	if !ok || v.Type.DType != tensor.Float32 {
		return nil, q, false
	}
	x = v.Node.In[0]
	q, ok = one(v.Node.In, d.Block)
	return x, q, ok && x.Type.DType == tensor.Uint8 && x.Const == nil
}

// unsigned makes the input of a DequantizeLinear uint8: int8 numbers have one
// machine form with them.
func unsigned(s *simplifier, n *graph.Node) (*graph.Value, error) {
	d, ok := n.Op.(*op.DequantizeLinear)
	if !ok || n.In[0].Const != nil || n.In[0].Type.DType != tensor.Int8 || n.Out[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	q, ok := one(n.In, d.Block)
	if !ok {
		return nil, nil
	}
	x, err := s.flip(n.In[0])
	if err != nil {
		return nil, err
	}
	q.zero += 128
	return s.real(n, x, q)
}

// realForm is what makes two DequantizeLinear the same, or two QuantizeLinear.
type realForm struct {
	x *graph.Value
	q quantization
}

// shareReal makes one of the DequantizeLinear nodes that a value has for each of
// its readers, so that what reads several of them is seen to be a function of one
// number. What it returns is uint8 already.
func shareReal(s *simplifier, n *graph.Node) (*graph.Value, error) {
	d, ok := n.Op.(*op.DequantizeLinear)
	if !ok || n.In[0].Const != nil || n.In[0].Type.DType != tensor.Uint8 || n.Out[0].Type.DType != tensor.Float32 {
		return nil, nil
	}
	q, ok := one(n.In, d.Block)
	if !ok {
		return nil, nil
	}
	return s.real(n, n.In[0], q)
}

// real returns the real form of a uint8 value in place of a node's result.
func (s *simplifier) real(n *graph.Node, x *graph.Value, q quantization) (*graph.Value, error) {
	f := realForm{x, q}
	if v := s.reals[f]; v != nil {
		s.uses[v] += s.count[n.Out[0]]
		return v, nil
	}
	v, err := s.dequantize(n.Out[0].Name, x, q)
	s.reals[f] = v
	return v, err
}

// flip returns an int8 value as uint8, or the other way round.
func (s *simplifier) flip(v *graph.Value) (*graph.Value, error) {
	if v.Node != nil {
		if _, ok := v.Node.Op.(*op.FlipSign); ok {
			return v.Node.In[0], nil
		}
	}
	return s.made(&op.FlipSign{}, "FlipSign", v.Name, v)
}

// made adds a node with a name of its own.
func (s *simplifier) made(o graph.Op, typ, from string, in ...*graph.Value) (*graph.Value, error) {
	s.serial++
	name := fmt.Sprintf("%s/%s.%d", from, typ, s.serial)
	outs, err := s.new.Add(o, graph.Node{Name: name, Type: typ, In: in}, name)
	if err != nil {
		return nil, err
	}
	s.uses[outs[0]] = 1
	return outs[0], nil
}

// dequantize returns the real form of a uint8 value.
func (s *simplifier) dequantize(name string, x *graph.Value, q quantization) (*graph.Value, error) {
	scale, zero := q.constants(name)
	return s.made(&op.DequantizeLinear{Axis: 1}, "DequantizeLinear", name, x, scale, zero)
}

// constants returns the scale and the zero point of uint8 numbers as inputs.
func (q quantization) constants(name string) (scale, zero *graph.Value) {
	z := tensor.New(tensor.Uint8)
	z.SetInt(0, int64(q.zero))
	return graph.NewConst(name+"/scale", tensor.From(tensor.Float32, []float32{q.scale})), graph.NewConst(name+"/zero", z)
}

// moves reports a node that only moves elements of its first input, or takes
// their maximum, so that a monotonic function of one number may be applied
// before it as well as behind it.
func moves(n *graph.Node) bool {
	switch o := n.Op.(type) {
	case *op.Reshape, *op.Flatten, *op.Squeeze, *op.Unsqueeze, *op.Transpose, *op.Slice, *op.DepthToSpace, *op.SpaceToDepth:
	case *op.MaxPool:
		if len(n.Out) > 1 && n.Out[1] != nil {
			return false
		}
	case *op.Gather:
		if n.In[1].Const == nil {
			return false
		}
	case *op.Resize:
		if o.Mode != "nearest" || o.Coord == "tf_crop_and_resize" { // which may look outside the image
			return false
		}
	default:
		return false
	}
	return !dynamic(n)
}

// moveQuantized moves 8-bit numbers instead of the real ones they stand for.
func moveQuantized(s *simplifier, n *graph.Node) (*graph.Value, error) {
	if c, ok := n.Op.(*op.Concat); ok {
		return s.joinQuantized(n, c)
	}
	sp, splits := n.Op.(*op.Split)
	if len(n.In) == 0 {
		return nil, nil
	}
	x, q, ok := dequantizedFrom(n.In[0])
	if !ok || !splits && !moves(n) {
		return nil, nil
	}
	if !splits {
		y, err := s.made(n.Op, n.Type, n.Name, append([]*graph.Value{x}, n.In[1:]...)...)
		if err != nil {
			return nil, err
		}
		return s.dequantize(n.Out[0].Name, y, q)
	}
	names := make([]string, len(n.Out))
	for i := range names {
		s.serial++
		names[i] = fmt.Sprintf("%s/part.%d", n.Name, s.serial)
	}
	outs, err := s.new.Add(sp, graph.Node{Name: names[0], Type: n.Type, In: append([]*graph.Value{x}, n.In[1:]...)}, names...)
	if err != nil {
		return nil, err
	}
	var first *graph.Value
	for i, v := range outs {
		r, err := s.dequantize(names[i], v, q)
		if err != nil {
			return nil, err
		}
		s.uses[v] = 1
		if i == 0 {
			first = r
		} else if n.Out[i] != nil {
			s.values[n.Out[i]] = r
			s.uses[r] = s.count[n.Out[i]]
		}
	}
	return first, nil
}

// joinQuantized concatenates 8-bit numbers of one scale and zero point.
func (s *simplifier) joinQuantized(n *graph.Node, c *op.Concat) (*graph.Value, error) {
	in := make([]*graph.Value, len(n.In))
	var first quantization
	for i, v := range n.In {
		x, q, ok := dequantizedFrom(v)
		if !ok || i > 0 && q != first {
			return nil, nil
		}
		in[i], first = x, q
	}
	y, err := s.made(c, n.Type, n.Name, in...)
	if err != nil {
		return nil, err
	}
	return s.dequantize(n.Out[0].Name, y, first)
}

// quantize moves a QuantizeLinear to 8 bits as far back as it can go: through
// what only moves numbers, into a table behind a function of 8-bit numbers, and
// away where it undoes a DequantizeLinear.
func quantize(s *simplifier, n *graph.Node) (*graph.Value, error) {
	o, ok := n.Op.(*op.QuantizeLinear)
	to := n.Out[0].Type.DType
	if !ok || to != tensor.Uint8 && to != tensor.Int8 || n.In[0].Type.DType != tensor.Float32 || n.In[0].Const != nil {
		return nil, nil
	}
	q, ok := one(n.In, o.Block)
	if !ok {
		return nil, nil
	}
	if to == tensor.Int8 {
		q.zero += 128
	}
	v, err := s.quantized(n.In[0], q)
	if err != nil || to == tensor.Uint8 {
		return v, err
	}
	return s.made(&op.FlipSign{}, "FlipSign", n.Out[0].Name, v)
}

// quantized returns v as uint8.
func (s *simplifier) quantized(v *graph.Value, q quantization) (*graph.Value, error) {
	if x, from, ok := dequantizedFrom(v); ok {
		if from == q {
			return x, nil
		}
		return s.made(&op.TableU8{Table: requantize(from, q)}, "TableU8", v.Name, x)
	}
	if n := v.Node; n != nil && s.uses[v] == 1 {
		if x, table, err := gated(n, q); x != nil || err != nil {
			if err != nil {
				return nil, err
			}
			return s.made(&op.TableU8{Table: table}, "TableU8", v.Name, x)
		}
		if x, table, err := s.function(v, q); x != nil || err != nil {
			if err != nil {
				return nil, err
			}
			return s.made(&op.TableU8{Table: table}, "TableU8", v.Name, x)
		}
		_, joins := n.Op.(*op.Concat)
		if (joins || moves(n)) && !slices.ContainsFunc(n.In, func(x *graph.Value) bool { return x != nil && x.Dynamic }) {
			in := slices.Clone(n.In)
			for i, x := range in {
				if i > 0 && !joins {
					break
				}
				var err error
				if in[i], err = s.quantized(x, q); err != nil {
					return nil, err
				}
			}
			return s.made(n.Op, n.Type, n.Name, in...)
		}
	}
	if v.Const != nil {
		t := tensor.New(tensor.Uint8, v.Type.Shape...)
		ref.F32ToU8(t.Data, v.Const.F32(), q.scale, q.zero)
		return s.constant(v.Name, t), nil
	}
	f := realForm{v, q}
	if x := s.codes[f]; x != nil {
		s.uses[x]++
		return x, nil
	}
	scale, zero := q.constants(v.Name)
	x, err := s.made(&op.QuantizeLinear{Axis: 1, To: tensor.Uint8}, "QuantizeLinear", v.Name, v, scale, zero)
	s.codes[f] = x
	return x, err
}

// requantize returns the table from one quantization to another.
func requantize(from, to quantization) *[256]uint8 {
	var codes, out [256]uint8
	var reals [256]float32
	for i := range codes {
		codes[i] = uint8(i)
	}
	ref.U8ToF32(reals[:], codes[:], from.scale, from.zero)
	ref.F32ToU8(out[:], reals[:], to.scale, to.zero)
	return &out
}

// function returns the uint8 value that v is a function of, element by element,
// and the table of that function with the result quantized by q.
func (s *simplifier) function(v *graph.Value, q quantization) (*graph.Value, *[256]uint8, error) {
	var nodes []*graph.Node
	at := v
	for {
		x, from, ok := dequantizedFrom(at)
		if ok && len(nodes) > 0 {
			t, err := tabulate(nodes, from, q)
			return x, t, err
		}
		n := at.Node
		if ok || n == nil || at != v && s.uses[at] != 1 || !pointwise(n) {
			return nil, nil, nil
		}
		nodes = append(nodes, n)
		at = n.In[operandOf(n)]
	}
}

// gated returns the uint8 value and the table of a node that joins it with a
// function of itself, such as x·sigmoid(x) with a quantized sigmoid.
func gated(n *graph.Node, q quantization) (*graph.Value, *[256]uint8, error) {
	b, ok := n.Op.(*op.Binary)
	if !ok || b.Legacy || dynamic(n) {
		return nil, nil, nil
	}
	x, left := reals(n.In[0])
	y, right := reals(n.In[1])
	if x == nil || x != y {
		return nil, nil, nil
	}
	z := tensor.New(tensor.Float32, 256)
	if err := b.Eval([]*tensor.Tensor{left, right}, []*tensor.Tensor{z}); err != nil {
		return nil, nil, err
	}
	var table [256]uint8
	ref.F32ToU8(table[:], z.F32(), q.scale, q.zero)
	return x, &table, nil
}

// reals returns the uint8 value that v is a function of, and the number for each
// of its 256.
func reals(v *graph.Value) (*graph.Value, *tensor.Tensor) {
	x, q, ok := dequantizedFrom(v)
	if !ok {
		return nil, nil
	}
	var codes [256]uint8
	for i := range codes {
		codes[i] = uint8(i)
	}
	if n := x.Node; n != nil {
		if t, ok := n.Op.(*op.TableU8); ok {
			x, codes = n.In[0], *t.Table
		}
	}
	t := tensor.New(tensor.Float32, 256)
	ref.U8ToF32(t.F32(), codes[:], q.scale, q.zero)
	return x, t
}

// pointwise reports a node that computes each element of its result from the
// same element of one operand.
func pointwise(n *graph.Node) bool {
	at := operandOf(n)
	if dynamic(n) || at < 0 || !n.In[at].Type.Shape.Equal(n.Out[0].Type.Shape) || n.Out[0].Type.DType != tensor.Float32 {
		return false
	}
	switch o := n.Op.(type) {
	case *op.Unary, *op.Clip:
		return true
	case *op.Binary:
		return !o.Legacy
	}
	return false
}

// operandOf returns the position of the only input that is not a constant
// number, -1 where there is more than one.
func operandOf(n *graph.Node) int {
	at := -1
	for i, v := range n.In {
		if v == nil || v.Const != nil && v.Const.Elems() == 1 {
			continue
		}
		if v.Const != nil || at >= 0 {
			return -1
		}
		at = i
	}
	return at
}

// tabulate applies nodes, the last first, to all 256 numbers.
func tabulate(nodes []*graph.Node, from, to quantization) (*[256]uint8, error) {
	x := tensor.New(tensor.Float32, 256)
	var codes, out [256]uint8
	for i := range codes {
		codes[i] = uint8(i)
	}
	ref.U8ToF32(x.F32(), codes[:], from.scale, from.zero)
	for _, n := range slices.Backward(nodes) {
		in := make([]*tensor.Tensor, len(n.In))
		for i, v := range n.In {
			if v != nil && i != operandOf(n) {
				in[i] = v.Const.Reshaped()
			}
		}
		in[operandOf(n)] = x
		y := tensor.New(tensor.Float32, 256)
		e, ok := n.Op.(op.Evaluator)
		if !ok {
			return nil, fmt.Errorf("node %s: %w", n.Label(), op.ErrUnsupported)
		}
		if err := e.Eval(in, []*tensor.Tensor{y}); err != nil {
			return nil, err
		}
		x = y
	}
	ref.F32ToU8(out[:], x.F32(), to.scale, to.zero)
	return &out, nil
}
