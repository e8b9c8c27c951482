package quant

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// small is a net of two layers for pictures of 4x4.
func small() *graph.Graph {
	s := newSketch(3, 4, 4, 4)
	pieces["conv"](s)
	return s.head()
}

// inputs is a sample of inputs by name.
func inputs(list ...any) Sample {
	s := Sample{Name: "odd one", Inputs: map[string]*tensor.Tensor{}}
	for i := 0; i < len(list); i += 2 {
		s.Inputs[list[i].(string)] = list[i+1].(*tensor.Tensor)
	}
	return s
}

func TestErrors(t *testing.T) {
	good := filled(0.5, 1, 3, 4, 4)
	picture := func(d tensor.DType, shape ...int) Sample { return inputs("image", tensor.New(d, shape...)) }
	two := func() *graph.Graph {
		s := newSketch(3, 4, 4, 4)
		s.node("Add", nil, s.Input("more", tensor.Float32, 1, 4, 1, 1))
		return s.head()
	}
	for _, c := range []struct {
		name    string
		build   func() *graph.Graph
		samples Samples
		config  Config
		want    error
		says    []string
	}{
		{name: "no samples", samples: fixed(), want: ErrNoSamples},
		{name: "nil samples", want: ErrNoSamples},
		{name: "unknown method", samples: fixed(good), config: Config{Method: "best"}, says: []string{`"best"`, "minmax"}},
		{name: "empty sample", samples: fixed(Sample{Name: "odd one"}), want: pass.ErrInput, says: []string{"odd one"}},
		{name: "empty sample later", samples: fixed(good, Sample{Name: "odd one"}), want: pass.ErrInput, says: []string{"odd one"}},
		{name: "another input", samples: fixed(inputs("picture", tensor.New(tensor.Float32, 1, 3, 4, 4))), want: pass.ErrInput, says: []string{"picture"}},
		{name: "another input later", samples: fixed(good, inputs("picture", tensor.New(tensor.Float32, 1, 3, 4, 4))), want: pass.ErrInput, says: []string{"odd one", `"image"`}},
		{name: "one of two inputs", build: two, samples: fixed(good), want: pass.ErrInput, says: []string{`"more"`}},
		{name: "another shape", samples: fixed(picture(tensor.Float32, 1, 3, 5, 4)), want: pass.ErrInput, says: []string{"1x3x5x4"}},
		{name: "another shape later", samples: fixed(good, picture(tensor.Float32, 1, 3, 5, 4)), want: pass.ErrInput, says: []string{"odd one", "1x3x5x4", "1x3x4x4"}},
		{name: "another rank", samples: fixed(good, picture(tensor.Float32, 3, 4, 4)), want: pass.ErrInput, says: []string{"odd one"}},
		{name: "another type", samples: fixed(picture(tensor.Uint8, 1, 3, 4, 4)), want: pass.ErrInput, says: []string{"odd one", "uint8"}},
		{name: "another type later", samples: fixed(good, picture(tensor.Float64, 1, 3, 4, 4)), want: pass.ErrInput, says: []string{"odd one", "float64"}},
		{name: "everything skipped", samples: fixed(good), config: Config{Skip: []string{"Conv", "Gemm"}}, want: ErrNothing},
		{name: "no layers", build: func() *graph.Graph {
			s := start(1, 3, 4, 4)
			return s.Output(s.node("Relu", nil))
		}, samples: fixed(good), want: ErrNothing},
		{name: "weights that are not constant", build: func() *graph.Graph {
			s := start(1, 3, 4, 4)
			return s.Output(s.node("MatMul", nil, s.v))
		}, samples: fixed(good), want: ErrNothing},
		{name: "NaN among the weights", build: func() *graph.Graph {
			g := small()
			g.Nodes[0].In[1].Const.F32()[5] = float32(math.NaN())
			return g
		}, samples: fixed(good), want: ErrNaN, says: []string{"weights", "element 5"}},
		{name: "infinite bias", build: func() *graph.Graph {
			g := small()
			g.Nodes[0].In[2].Const.F32()[1] = float32(math.Inf(-1))
			return g
		}, samples: fixed(good), want: ErrNaN, says: []string{"weights", "element 1"}},
		{name: "operators that are not known", build: func() *graph.Graph {
			s := newSketch(3, 4, 4, 4)
			return s.Output(s.node("Frobnicate", nil))
		}, samples: fixed(good), says: []string{"Frobnicate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			build := c.build
			if build == nil {
				build = small
			}
			q, rep, err := Apply(context.Background(), build(), c.samples, c.config)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || q != nil || rep != nil {
				t.Fatalf("%v, want %v; a graph: %v", err, c.want, q != nil)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%v, want it to say %s", err, s)
				}
			}
		})
	}
}

// A model that is quantized, by us or in any other way, is not quantized again.
func TestQuantizedAlready(t *testing.T) {
	q, _ := apply(t, small(), fixed(filled(0.5, 1, 3, 4, 4), filled(1, 1, 3, 4, 4)), Config{})
	_, _, err := Apply(context.Background(), q, pictures(3, 1, 1, 3, 4, 4), Config{})
	if !errors.Is(err, ErrQuantized) {
		t.Errorf("our own: %v", err)
	}
	for _, op := range []string{"QLinearConv", "QLinearAdd", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QGemm", "DequantizeLinear"} {
		s := newSketch(3, 4, 4, 4)
		g := s.Output(s.node(op, nil))
		if _, _, err := Apply(context.Background(), g, pictures(3, 1, 1, 3, 4, 4), Config{}); !errors.Is(err, ErrQuantized) || !strings.Contains(err.Error(), s.v.Node.Name) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// A value that is no number is named with its node and sample, whether channels
// are scaled before or not.
func TestNotANumber(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  float64
		op   string // the first node
		at   string
	}{
		{"NaN in the input", math.NaN(), "", "the input"},
		{"infinity in the input", math.Inf(1), "", "the input"},
		{"logarithm of a negative number", -0.5, "Log", "(Log)"},
		{"logarithm of zero", 0, "Log", "(Log)"},
		{"sums that are too large", 3e38, "", "(Relu)"},
	} {
		for _, plain := range []bool{false, true} {
			s := start(3, 3, 4, 4)
			if c.op != "" {
				s.node(c.op, nil)
			}
			s.conv(4, 3, 1)
			for i := range s.v.Node.In[1].Const.F32() {
				s.v.Node.In[1].Const.F32()[i] = 2
			}
			s.node("Relu", nil)
			pieces["conv"](s)
			odd := filled(0.7, 1, 3, 4, 4)
			odd.Name = "odd one"
			odd.Inputs["image"].F32()[7] = float32(c.bad)
			_, _, err := Apply(context.Background(), s.head(), fixed(filled(0.4, 1, 3, 4, 4), filled(0.9, 1, 3, 4, 4), odd, filled(0.6, 1, 3, 4, 4)), Config{NoEqualize: plain})
			if !errors.Is(err, ErrNaN) || !strings.Contains(err.Error(), `"odd one"`) || !strings.Contains(err.Error(), c.at) {
				t.Errorf("%s, not equalized %v: %v, want %s and the sample", c.name, plain, err, c.at)
			}
		}
	}
}

// failing gives good samples, and an error at one of them in one of the turns.
func failing(turn, at int, err error) Samples {
	turns := 0
	return func(yield func(Sample, error) bool) {
		turns++
		k := 0
		pictures(4, 1, 1, 3, 4, 4)(func(s Sample, none error) bool {
			k++
			if turns == turn && k == at+1 {
				yield(Sample{}, err)
				return false
			}
			return yield(s, none)
		})
	}
}

// An error of the samples comes out, in whichever turn it is.
func TestSamplesFail(t *testing.T) {
	lost := errors.New("the camera is gone")
	all := Config{Sensitivity: true, MaxDrop: 0.1, Eval: func(context.Context, *graph.Graph) (float64, error) { return 50, nil }}
	turns := 0
	counted := func(yield func(Sample, error) bool) {
		turns++
		pictures(4, 1, 1, 3, 4, 4)(yield)
	}
	if _, _, err := Apply(context.Background(), small(), counted, all); err != nil || turns < 6 {
		t.Fatalf("%d turns: %v", turns, err)
	}
	for turn := range turns {
		for _, at := range []int{0, 2} {
			if turn == 0 && at > 0 {
				continue // the first turn ends with the first sample
			}
			if _, _, err := Apply(context.Background(), small(), failing(turn+1, at, lost), all); !errors.Is(err, lost) {
				t.Errorf("turn %d, sample %d: %v", turn, at, err)
			}
		}
	}
}

// A context that is cancelled ends the work at once, in every stage. That no
// goroutine is left is looked at behind all tests.
func TestCancel(t *testing.T) {
	var stages []string
	c := Config{Sensitivity: true, MaxFloat: -1}
	c.Progress = func(stage string, done, total int) {
		if !slices.Contains(stages, stage) {
			stages = append(stages, stage)
		}
		if done < 1 || total != 0 && done > total {
			t.Errorf("%s: %d of %d are done", stage, done, total)
		}
	}
	in := pictures(4, 1, 1, 3, 4, 4)
	if _, _, err := Apply(context.Background(), small(), in, c); err != nil {
		t.Fatal(err)
	}
	if len(stages) < 5 {
		t.Errorf("stages %q", stages)
	}
	for _, last := range stages {
		ctx, cancel := context.WithCancel(context.Background())
		steps := 0
		c.Progress = func(stage string, _, _ int) {
			if stage == last {
				cancel()
			}
			if ctx.Err() != nil {
				steps++
			}
		}
		q, _, err := Apply(ctx, small(), in, c)
		if !errors.Is(err, context.Canceled) || q != nil || steps != 1 {
			t.Errorf("cancelled in stage %q: %v, after %d steps", last, err, steps)
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Apply(ctx, small(), in, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	constant := make([]Sample, 40)
	for i := range constant {
		constant[i] = filled(0.5, 1, 3, 4, 4)
	}
	dead := func() *graph.Graph {
		s := newSketch(3, 4, 4, 4)
		s.conv(4, 1, 1)
		copy(s.v.Node.In[2].Const.F32(), []float32{-1000, -1000, -1000, -1000})
		s.node("Relu", nil)
		s.v.Name = "dead"
		return s.head()
	}
	for _, c := range []struct {
		name    string
		build   func() *graph.Graph
		samples Samples
		want    []string
	}{
		{"few", small, pictures(31, 1, 1, 3, 4, 4), []string{"only 31"}},
		{"enough", small, pictures(32, 1, 1, 3, 4, 4), nil},
		{"one colour", small, fixed(constant...), []string{"one constant"}},
		{"dead value", dead, pictures(32, 1, 1, 3, 4, 4), []string{`"dead" was 0`, `was 0`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, rep := apply(t, c.build(), c.samples, Config{MaxFloat: -1})
			n := 0
			for _, w := range c.want {
				if slices.ContainsFunc(rep.Warnings, func(s string) bool { return strings.Contains(s, w) }) {
					n++
				}
			}
			if n < len(c.want) || len(rep.Warnings) > n {
				t.Errorf("%q, want %q", rep.Warnings, c.want)
			}
		})
	}
}

// Inputs that are not float32, or that nothing reads, are fed as they are.
func TestOtherInputs(t *testing.T) {
	s := newSketch(3, 4, 4, 4)
	index := s.Input("index", tensor.Int64, 4)
	s.Input("unused", tensor.Float32, 2)
	s.node("Gather", graph.Attrs{optest.AttrInt("axis", 1)}, index)
	s.conv(4, 1, 1)
	var list []Sample
	for i := range 4 {
		list = append(list, inputs("image", filled(float32(i+1), 1, 3, 4, 4).Inputs["image"], "unused", tensor.New(tensor.Float32, 2),
			"index", tensor.From(tensor.Int64, []int64{3, int64(i), 0, 1}, 4)))
	}
	g := s.head()
	q, _ := apply(t, g, fixed(list...), Config{})
	if db := sqnr(outputs(t, g, fixed(list...))[0], outputs(t, q, fixed(list...))[0]); db < 20 {
		t.Errorf("%v dB", db)
	}
}
