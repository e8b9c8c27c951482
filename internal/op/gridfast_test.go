package op_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// TestThreadsSameBits runs reductions and samplings on one and on three
// workers.
func TestThreadsSameBits(t *testing.T) {
	type row struct {
		o  graph.Op
		in []*tensor.Tensor
	}
	var rows []row
	for _, c := range preparedCases() {
		if r, ok := c.o.(*op.Reduce); ok {
			rows = append(rows, row{r, c.in})
		}
	}
	for _, mode := range []string{"linear", "nearest", "cubic"} {
		rows = append(rows, row{&op.GridSample{Mode: mode, Padding: "zeros"}, []*tensor.Tensor{wave(0, 2, 5, 9, 8), wave(0, 2, 17, 19, 2)}})
	}
	for _, set := range kernels.Available() {
		for _, c := range rows {
			var want *tensor.Tensor
			for _, threads := range []int{1, 3} {
				out, err := bind(c.o, 1, c.in...)
				if err != nil {
					t.Fatal(err)
				}
				env := netEnv(c.in, out, set, true)
				env.Threads = threads
				runSteps(t, c.o, env)
				if want == nil {
					want = out[0]
				} else if !bytes.Equal(out[0].Bytes(), want.Bytes()) {
					t.Errorf("%s: %s of %v: three workers give other bits", set.Name, fmt.Sprintf("%T %+v", c.o, c.o), c.in[0].Type())
				}
			}
		}
	}
}

// TestGridSamplePrepared compares the steps with Eval, also far outside of the
// image.
func TestGridSamplePrepared(t *testing.T) {
	for _, set := range kernels.Available() {
		for _, mode := range []string{"linear", "nearest", "cubic"} {
			for _, padding := range []string{"zeros", "border", "reflection"} {
				o := &op.GridSample{Mode: mode, Padding: padding}
				grid := wave(.4, 2, 17, 19, 2)
				for i := range grid.F32() {
					grid.F32()[i] /= 3
				}
				in := []*tensor.Tensor{wave(0, 2, 5, 9, 8), grid}
				want, err := bind(o, 1, in...)
				if err != nil {
					t.Fatal(err)
				}
				if err := o.Eval(in, want); err != nil {
					t.Fatal(err)
				}
				got, _ := bind(o, 1, in...)
				runSteps(t, o, netEnv(in, got, set, true))
				if err := optest.Compare(got[0], want[0], 2e-6, 2e-6, 0); err != nil {
					t.Errorf("%s: %s, %s: %v", set.Name, mode, padding, err)
				}
			}
		}
	}
}

// TestGridSampleSkipsOutside puts infinity where points outside of the image
// would be if they were clamped to it: they count as zeros.
func TestGridSampleSkipsOutside(t *testing.T) {
	x := tensor.New(tensor.Float32, 1, 1, 2, 2)
	for i := range x.F32() {
		x.F32()[i] = float32(math.Inf(1))
	}
	grid := tensor.From(tensor.Float32, []float32{9, 9, -9, 0}, 1, 1, 2, 2)
	o := &op.GridSample{Mode: "linear", Padding: "zeros"}
	in := []*tensor.Tensor{x, grid}
	got, err := bind(o, 1, in...)
	if err != nil {
		t.Fatal(err)
	}
	runSteps(t, o, netEnv(in, got, kernels.Ref(), true))
	for i, v := range got[0].F32() {
		if v != 0 {
			t.Errorf("point %d is %v", i, v)
		}
	}
}
