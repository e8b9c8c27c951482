package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Dropout is the identity outside training: output 0 copies input 0, output 1
// is a mask of ones. Where input 2, training_mode, is true, an element is kept
// with probability 1 - ratio (input 1, 0.5 by default) and scaled by
// 1/(1 - ratio), else 0. The random numbers are those of NumPy's
// RandomState(seed), as in the definition of ONNX; no seed is 0.
type Dropout struct {
	Seed     uint32
	MaskLike bool // the mask has the input's type, as in operator sets before 10, not Bool
}

func newDropout(n *graph.Node, opset int) (graph.Op, error) {
	return &Dropout{Seed: uint32(n.Attrs.Int("seed", 0)), MaskLike: opset < 10}, nil
}

// Infer implements graph.Op.
func (o *Dropout) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 3); err != nil {
		return nil, err
	}
	if err := floatType(in[0]); err != nil {
		return nil, err
	}
	for _, v := range in[1:] {
		if v != nil && v.Type.Shape.Elems() != 1 {
			return nil, fmt.Errorf("input %q is %v, want a scalar: %w", v.Name, v.Type, ErrShape)
		}
	}
	t := in[0].Type
	mask := tensor.Bool
	if o.MaskLike {
		mask = t.DType
	}
	out, err := typed(t.DType, t.Shape)
	return append(out, tensor.Type{DType: mask, Shape: t.Shape.Clone()}), err
}

// InPlace implements InPlacer.
func (o *Dropout) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (o *Dropout) Eval(in, out []*tensor.Tensor) error {
	ratio := 0.
	if mode := opt(in, 2); mode != nil && mode.Int(0) != 0 {
		ratio = .5
		if t := opt(in, 1); t != nil {
			ratio = t.Float(0)
		}
	}
	if !(ratio >= 0 && ratio < 1) {
		return fmt.Errorf("dropout ratio %v is outside 0 to 1", ratio)
	}
	if mask := opt(out, 1); mask != nil {
		for i := range mask.Elems() {
			mask.SetInt(i, 1)
		}
	}
	if ratio == 0 {
		copy(out[0].Bytes(), in[0].Bytes())
		return nil
	}
	var r mersenne
	r.seed(o.Seed)
	for i := range in[0].Elems() {
		if r.float() >= ratio {
			out[0].SetFloat(i, in[0].Float(i)/(1-ratio))
			continue
		}
		out[0].SetFloat(i, 0)
		set(out, 1, i, 0)
	}
	return nil
}

// mersenne is the MT19937 generator of Matsumoto and Nishimura (1998).
type mersenne struct {
	state [624]uint32
	next  int
}

func (m *mersenne) seed(s uint32) {
	for i := range m.state {
		m.state[i] = s
		s = 1812433253*(s^s>>30) + uint32(i) + 1
	}
	m.next = len(m.state)
}

// float returns a number from 0 up to 1 with 53 random bits.
func (m *mersenne) float() float64 {
	hi, lo := m.word()>>5, m.word()>>6
	return (float64(hi)*(1<<26) + float64(lo)) / (1 << 53)
}

func (m *mersenne) word() uint32 {
	s := &m.state
	if m.next == len(s) {
		for i := range s {
			y := s[i]&(1<<31) | s[(i+1)%len(s)]&(1<<31-1)
			s[i] = s[(i+397)%len(s)] ^ y>>1 ^ y&1*0x9908b0df
		}
		m.next = 0
	}
	y := s[m.next]
	m.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}
