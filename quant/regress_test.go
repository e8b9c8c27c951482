package quant

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

// calm makes a panic an error of the test, so that others run.
func calm(t *testing.T) {
	t.Helper()
	if e := recover(); e != nil {
		t.Errorf("panic: %v", e)
	}
}

// Names inside of what the quantizer runs have nothing to do with those of inputs.
func TestAnyInputName(t *testing.T) {
	defer calm(t)
	for _, name := range []string{"x", "y", "t", "q1", "s1", "w1"} {
		s := newSketch(3, 8, 6, 6) // rows of 72 numbers are multiplied by a session
		pieces["conv"](s)
		s.Graph.Inputs[0].Name = name
		var list []Sample
		for p, err := range pictures(4, 1, 1, 3, 6, 6) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, inputs(name, p.Inputs["image"].Clone()))
		}
		if _, _, err := Apply(context.Background(), s.head(), fixed(list...), Config{}); err != nil {
			t.Errorf("input %q: %v", name, err)
		}
	}
}

// A value that was always zero has no distribution to compare.
func TestDeadValue(t *testing.T) {
	for _, m := range Methods {
		t.Run(string(m), func(t *testing.T) {
			defer calm(t)
			s := newSketch(3, 4, 4, 4)
			s.conv(4, 1, 1)
			copy(s.v.Node.In[2].Const.F32(), []float32{-100, -100, -100, -100})
			s.node("Relu", nil)
			apply(t, s.head(), pictures(4, 1, 1, 3, 4, 4), Config{Method: m})
		})
	}
}

// A layer whose result is read elsewhere, too, is not changed, whatever stands
// between.
func TestFoldingBehindOthers(t *testing.T) {
	for _, op := range []string{"Identity", "Dropout"} {
		s := start(3, 3, 4, 4)
		y := s.conv(4, 3, 1)
		s.node(op, nil)
		s.norm()
		same(t, s.Output(s.Node("Add", nil, s.v, y)), pictures(2, 1, 1, 3, 4, 4))
		s = start(3, 3, 4, 4)
		y = s.conv(4, 3, 1)
		s.node(op, nil)
		s.norm()
		same(t, s.Output(s.v, y), pictures(2, 1, 1, 3, 4, 4))
	}
}

// Several nodes go into one layer, in every run.
func TestFoldingAll(t *testing.T) {
	for range 10 {
		s := start(3, 3, 4, 4)
		s.conv(4, 3, 1)
		s.node("Identity", nil)
		s.norm()
		s.node("Mul", nil, s.Scalar(2))
		s.node("Add", nil, s.random(0, 1, 4, 1, 1))
		if got := types(same(t, s.Output(s.v), pictures(2, 1, 1, 3, 4, 4))); got != "Conv" {
			t.Fatalf("%s, want Conv", got)
		}
	}
}

// Values of one axis have no channels to scale, also where they become pictures.
func TestVectors(t *testing.T) {
	for name, matrix := range map[string]bool{"Gemm": false, "MatMul": true} {
		t.Run(name, func(t *testing.T) {
			defer calm(t)
			s := newSketch(1, 8, 6, 6)
			x := s.conv(8, 3, 1)
			s.node("GlobalAveragePool", nil)
			if matrix {
				s.node("Squeeze", nil)
				s.node("MatMul", nil, s.filters(8, 8))
			} else {
				s.node("Flatten", nil)
				s.node("Gemm", nil, s.filters(8, 8), s.random(0, 1, 8))
				s.node("Squeeze", nil)
			}
			s.node("Sigmoid", nil)
			s.node("Reshape", nil, s.Ints(1, 8, 1, 1))
			s.node("Mul", nil, x)
			s.conv(8, 3, 1)
			apply(t, s.head(), pictures(4, 1, 1, 3, 6, 6), Config{})
		})
	}
}

// Channels of volumes are scaled by what the whole channel reaches.
func TestVolumes(t *testing.T) {
	b := optest.NewNet(17)
	v := b.Input("image", tensor.Float32, 1, 2, 3, 4, 4)
	w := b.Weights(4, 2, 1, 1, 1)
	for i := range 4 { // two small channels
		w.Const.F32()[i] /= 10
	}
	v = b.Node("Clip", nil, b.Node("Conv", nil, v, w), b.Scalar(0), b.Scalar(6))
	v = b.Node("Conv", nil, v, b.Weights(4, 4, 1, 1, 1))
	var list []Sample
	for k := range 4 {
		s := filled(0, 1, 2, 3, 4, 4)
		for i := range s.Inputs["image"].F32() {
			x := float32((i*7919+k*31)%201-100) / 20
			if i/16%3 == 0 { // the first plane is faint
				x /= 10
			}
			s.Inputs["image"].F32()[i] = x
		}
		list = append(list, s)
	}
	equalized(t, b.Output(v), fixed(list...), fixed(list...))
}

// A sample may hold no tensor under a name.
func TestSampleWithoutTensor(t *testing.T) {
	defer calm(t)
	for _, list := range [][]Sample{
		{inputs("image", (*tensor.Tensor)(nil))},
		{filled(1, 1, 3, 4, 4), inputs("image", (*tensor.Tensor)(nil))},
	} {
		if _, _, err := Apply(context.Background(), small(), fixed(list...), Config{}); err == nil {
			t.Error("no error")
		}
	}
}

// A channel without weights gives its bias, however large the steps of the input.
func TestDeadChannel(t *testing.T) {
	for _, xscale := range []float32{1e-4, 0.02, 1, 50} {
		l := layerOf(t, 0)
		clear(l.weights.F32()[:l.weights.Elems()/l.channels])
		l.bias[0] = 0.3
		l.roundWeights(xscale)
		b, s := l.intBias(xscale)
		if got := float64(tensor.View[int32](b)[0]) * float64(s.F32()[0]); math.Abs(got-0.3) > 0.001 {
			t.Errorf("input in steps of %v: bias 0.3 became %v", xscale, got)
		}
	}
}

// A logarithm of zero behind the last layer is no number that can be compared; the
// report can still be written.
func TestInfiniteOutput(t *testing.T) {
	s := newSketch(1, 4, 4, 4)
	s.conv(4, 3, 1)
	s.node("Relu", nil)
	s.node("Log", nil)
	_, rep := apply(t, s.Output(s.v), pictures(4, 1, 1, 3, 4, 4), Config{})
	if math.IsNaN(rep.SQNR) {
		t.Error("SQNR is NaN")
	}
	if _, err := json.Marshal(rep); err != nil {
		t.Error(err)
	}
}
