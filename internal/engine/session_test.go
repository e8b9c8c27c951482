package engine_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// hook is an operator that copies its input and calls a function.
type hook struct{ run func() error }

func (h *hook) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return []tensor.Type{in[0].Type}, nil
}

func (h *hook) Eval(in, out []*tensor.Tensor) error {
	copy(out[0].Data, in[0].Bytes())
	return h.run()
}

// hooks is a session of one node for each function.
func hooks(t *testing.T, fs ...func() error) *engine.Session {
	t.Helper()
	g := &graph.Graph{}
	v := &graph.Value{Name: "x", Type: tensor.Of(tensor.Float32, 2)}
	g.Inputs = append(g.Inputs, v)
	for _, f := range fs {
		out, err := g.Add(&hook{f}, graph.Node{Type: "Hook", In: []*graph.Value{v}}, v.Name+"'")
		if err != nil {
			t.Fatal(err)
		}
		v = out[0]
	}
	g.Outputs = append(g.Outputs, v)
	s, err := engine.New(g, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCancellation(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ran := 0
	s := hooks(t, func() error { ran++; cancel(); return nil }, func() error { ran++; return nil })
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) || ran != 1 {
		t.Errorf("canceled by the first of two steps: %v after %d steps", err, ran)
	}
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) || ran != 1 {
		t.Errorf("canceled before: %v after %d steps", err, ran)
	}
	if err := s.Run(context.Background()); err != nil || ran != 3 {
		t.Errorf("with another context: %v after %d steps", err, ran)
	}
}

func TestBusyAndClosed(t *testing.T) {
	started, release := make(chan bool), make(chan bool)
	s := hooks(t, func() error { started <- true; <-release; return nil })
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	<-started
	if err := s.Run(context.Background()); !errors.Is(err, engine.ErrBusy) {
		t.Errorf("a second Run: got %v, want ErrBusy", err)
	}
	closed := make(chan bool)
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
		t.Error("Close did not wait for the Run under way")
	default:
	}
	release <- true
	if err := <-done; err != nil {
		t.Errorf("the first Run: %v", err)
	}
	<-closed
	if err := s.Run(context.Background()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Run after Close: got %v, want ErrClosed", err)
	}
	s.Close() // once more does no harm
}

func TestErrorsOfSteps(t *testing.T) {
	fail := errors.New("no such element")
	s := hooks(t, func() error { return fail })
	if err := s.Run(context.Background()); !errors.Is(err, fail) || !strings.Contains(err.Error(), `"x'" (Hook)`) {
		t.Errorf("got %v, want the operator's error and the node", err)
	}
	broken := true
	s = hooks(t, func() error {
		if broken {
			panic("it broke")
		}
		return nil
	})
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "internal error while running: it broke") {
		t.Errorf("got %v, want an error that quotes the panic", err)
	}
	broken = false
	if err := s.Run(context.Background()); err != nil {
		t.Errorf("the Run after a panic: %v", err)
	}
}

// mixed is a net of many kinds of steps, large enough that they are shared
// between workers.
func mixed(t testing.TB) *graph.Graph {
	b := optest.NewNet(13)
	same := func(n, group int64) graph.Attrs {
		return graph.Attrs{optest.AttrInts("pads", n, n, n, n), optest.AttrInt("group", group)}
	}
	x := b.Input("x", tensor.Float32, 1, 3, 96, 96)
	stem := b.Node("Relu", nil, b.Node("Conv", graph.Attrs{optest.AttrInts("strides", 2, 2), optest.AttrInts("pads", 1, 1, 1, 1)}, x, b.Weights(24, 3, 3, 3), b.Weights(24)))
	y := b.Node("Conv", same(1, 24), stem, b.Weights(24, 1, 3, 3))
	y = b.Node("Mul", nil, y, b.Node("Sigmoid", nil, y))
	y = b.Node("Add", nil, b.Node("Conv", same(0, 1), y, b.Weights(24, 24, 1, 1)), stem)
	half := b.Nodes("Split", 2, graph.Attrs{optest.AttrInt("axis", 1)}, y)
	y = b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, half[0], b.Node("Conv", same(2, 2), half[1], b.Weights(12, 6, 5, 5)))
	pool := graph.Attrs{optest.AttrInts("kernel_shape", 3, 3), optest.AttrInts("strides", 2, 2), optest.AttrInts("pads", 1, 1, 1, 1)}
	y = b.Node("Add", nil, b.Node("MaxPool", pool, y), b.Node("AveragePool", pool, y))
	y = b.Node("Resize", graph.Attrs{optest.AttrString("mode", "linear")}, y, nil, b.Floats(1, 1, 2, 2))
	y = b.Node("Softmax", graph.Attrs{optest.AttrInt("axis", 1)}, b.Node("Exp", nil, b.Node("Tanh", nil, y)))
	flat := b.Node("Reshape", nil, y, b.Ints(24, 48*48))
	g := b.Output(y, b.Node("MatMul", nil, flat, b.Weights(48*48, 40)), b.Node("ReduceMax", graph.Attrs{optest.AttrInts("axes", 1)}, y))
	lowered, err := pass.Compile(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return lowered
}

// outputs runs a session and returns copies of its outputs.
func outputs(t testing.TB, s *engine.Session) map[string][]byte {
	t.Helper()
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, p := range s.Outputs() {
		out[p.Name] = bytes.Clone(s.Output(p.Name).Bytes())
	}
	return out
}

func equal(t testing.TB, what string, got, want map[string][]byte) {
	t.Helper()
	for name := range want {
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s: output %q differs", what, name)
		}
	}
}

// TestThreads: results do not depend on the number of threads or on how
// helpers wait, and Run allocates nothing.
func TestThreads(t *testing.T) {
	processors(t, 4)
	g := mixed(t)
	for _, k := range kernels.Available() {
		var want map[string][]byte
		for threads := 1; threads <= 4; threads++ {
			for _, noSpin := range []bool{false, true} {
				s, err := engine.New(g, engine.Options{Kernels: k, Threads: threads, NoSpin: noSpin})
				if err != nil {
					t.Fatal(err)
				}
				if s.Threads() != threads {
					t.Errorf("%d threads, want %d", s.Threads(), threads)
				}
				optest.Fill(s, 5)
				got := outputs(t, s)
				if want == nil {
					want = got
				}
				equal(t, k.Name, got, want)
				if n := testing.AllocsPerRun(2, func() { _ = s.Run(context.Background()) }); n != 0 {
					t.Errorf("%s, %d threads: Run allocates %v times", k.Name, threads, n)
				}
				equal(t, k.Name+", later", outputs(t, s), want)
			}
		}
	}
}

// TestConcurrentSessions runs sessions of one graph and one cache at once, each
// with inputs of its own. They are made at once, too.
func TestConcurrentSessions(t *testing.T) {
	processors(t, 4)
	g, cache := mixed(t), &engine.Cache{}
	fastest := kernels.Available()
	o := engine.Options{Kernels: fastest[len(fastest)-1], Threads: 3, Cache: cache}
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			alone, err := engine.New(g, engine.Options{Kernels: o.Kernels, Threads: 1})
			if err != nil {
				t.Error(err)
				return
			}
			s, err := engine.New(g, o)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range uint64(5) {
				optest.Fill(s, seed<<8+i)
				optest.Fill(alone, seed<<8+i)
				if s.Run(context.Background()) != nil || alone.Run(context.Background()) != nil {
					t.Error("a Run failed")
					return
				}
				for _, p := range s.Outputs() {
					if !bytes.Equal(s.Output(p.Name).Bytes(), alone.Output(p.Name).Bytes()) {
						t.Errorf("seed %d: output %q differs", seed, p.Name)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestContentsOfInputs: Run fails on contents that no plan can foresee, says
// where, and is none the worse for it.
func TestContentsOfInputs(t *testing.T) {
	b := optest.NewNet(13)
	x, at := b.Input("x", tensor.Float32, 4), b.Input("at", tensor.Int64, 2)
	g, err := pass.Compile(b.Output(b.Node("Gather", nil, x, at)), pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.New(g, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	copy(s.Input("x").F32(), []float32{1, 2, 3, 4})
	copy(s.Input("at").I64(), []int64{1, 4})
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "(Gather)") {
		t.Errorf("index 4 of 4: got %v", err)
	}
	copy(s.Input("at").I64(), []int64{1, -1})
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	y := s.Output(g.Outputs[0].Name).F32()
	if y[0] != 2 || y[1] != 4 {
		t.Errorf("got %v, want [2 4]", y)
	}
}

// Weights are never handed out to be overwritten.
func TestConstantOutputIsACopy(t *testing.T) {
	b := optest.NewNet(13)
	w := b.Weights(3)
	b.Output(w, b.Node("Add", nil, b.Input("x", tensor.Float32, 3), w))
	before := w.Const.Clone()
	g, err := pass.Compile(b.Graph, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.New(g, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := s.Output(w.Name)
	if !bytes.Equal(out.Bytes(), before.Bytes()) {
		t.Errorf("got %v, want %v", out.F32(), before.F32())
	}
	out.F32()[0] = 99
	if !bytes.Equal(w.Const.Bytes(), before.Bytes()) {
		t.Error("the caller can overwrite a weight through an output")
	}
}

func TestProfile(t *testing.T) {
	g := mixed(t)
	s, err := engine.New(g, engine.Options{Profile: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	var macs int64
	timed := false
	for _, p := range s.Profile() {
		macs += p.MACs
		timed = timed || p.Time > 0
	}
	// stem, depthwise, pointwise, grouped and the product
	want := int64(48*48*24*27 + 48*48*24*9 + 48*48*24*24 + 48*48*12*6*25 + 24*48*48*40)
	if s.MACs() != want || macs != want {
		t.Errorf("%d multiply-adds, %d in the profile, want %d", s.MACs(), macs, want)
	}
	if !timed {
		t.Error("no step took any time")
	}
	s.ResetProfile()
	for _, p := range s.Profile() {
		if p.Time != 0 {
			t.Errorf("%s: %v after ResetProfile", p.Node, p.Time)
		}
	}
}
