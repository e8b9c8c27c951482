package op_test

import (
	"fmt"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// TestDensePrepared compares the tiles of MatMul and Gemm with Eval, which
// accumulates in float64, around the extents of kernel tiles.
func TestDensePrepared(t *testing.T) {
	var cases []golden
	add := func(o graph.Op, shapes ...[]int) {
		c := golden{op: o}
		for i, s := range shapes {
			c.in = append(c.in, wave(float64(i), s...))
		}
		cases = append(cases, c)
	}
	for _, m := range []int{1, 2, 7, 33} {
		for _, n := range []int{1, 15, 16, 50, 129} {
			add(&op.MatMul{}, []int{m, 20}, []int{20, n})
			add(&op.Gemm{Alpha: 0.5, Beta: 2, TransB: true}, []int{m, 9}, []int{n, 9}, []int{n})
			add(&op.Gemm{Alpha: 1, Beta: 0.5, TransA: true}, []int{9, m}, []int{9, n}, []int{m, 1})
			add(&op.Gemm{Alpha: 2, Beta: 1, TransA: true, TransB: true}, []int{9, m}, []int{n, 9}, []int{m, n})
			add(&op.Gemm{Alpha: 1, Beta: 1}, []int{m, 9}, []int{9, n}, []int{})
			add(&op.Gemm{Alpha: 3, Beta: 0}, []int{m, 9}, []int{9, n}, []int{n})
		}
	}
	add(&op.MatMul{}, []int{1, 1280}, []int{1280, 1000}) // columns are shared out
	add(&op.MatMul{}, []int{300, 700}, []int{700, 40})
	add(&op.MatMul{}, []int{2, 3, 5, 8}, []int{8, 6})
	add(&op.MatMul{}, []int{5, 8}, []int{2, 3, 8, 6})
	add(&op.MatMul{}, []int{2, 1, 5, 8}, []int{1, 3, 8, 17})
	add(&op.MatMul{}, []int{8}, []int{3, 8, 17})
	add(&op.MatMul{}, []int{3, 4, 8}, []int{8})
	add(&op.MatMul{}, []int{3, 0}, []int{0, 2})
	add(&op.MatMul{}, []int{0, 3}, []int{3, 2})
	for _, c := range cases {
		name := fmt.Sprintf("%T", c.op)
		for _, x := range c.in {
			name += " " + x.Shape.String()
		}
		c.want = make([]*tensor.Tensor, 1)
		c.want = c.outputs(t)
		if err := c.op.(op.Evaluator).Eval(c.in, c.want); err != nil {
			t.Fatal(err)
		}
		for _, set := range kernels.Available() {
			for _, constant := range []bool{true, false} {
				env := netEnv(c.in, c.outputs(t), set, constant)
				runSteps(t, c.op, env)
				if err := optest.Compare(env.Out[0], c.want[0], 1e-4, 1e-4, 0); err != nil {
					t.Errorf("%s, %s, constant %v: %v", name, set.Name, constant, err)
				}
			}
		}
	}
}

// TestDenseAllocs runs prepared steps, packing included, again and again.
func TestDenseAllocs(t *testing.T) {
	c := golden{op: &op.Gemm{Alpha: 2, Beta: 1, TransA: true}, want: make([]*tensor.Tensor, 1)}
	c.in = []*tensor.Tensor{wave(0, 40, 30), wave(1, 40, 50), wave(2, 30, 50)}
	env := netEnv(c.in, c.outputs(t), kernels.Best(), false)
	scratch := &op.Scratch{}
	env.Scratch = func(n int) *op.Scratch {
		scratch.Stride = (n + 63) &^ 63
		scratch.Buf = make([]byte, scratch.Stride*env.Threads)
		return scratch
	}
	steps, err := c.op.(op.Preparer).Prepare(env)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(5, func() {
		for _, s := range steps {
			for tile := range s.Tiles {
				s.Run(0, tile)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
