package quant

import (
	"context"
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// runner feeds samples to graphs.
type runner struct {
	samples Samples
	shapes  map[string][]int // of the first sample
	count   int              // of samples, known after the first run
	config  Config
}

// newRunner looks at the first sample.
func newRunner(samples Samples, c Config) (*runner, error) {
	if samples == nil {
		return nil, fmt.Errorf("%w: give a folder of images or a source of frames", ErrNoSamples)
	}
	r := &runner{samples: samples, config: c}
	for s, err := range samples {
		if err != nil {
			return nil, err
		}
		r.shapes = map[string][]int{}
		for name, t := range s.Inputs {
			if t == nil {
				return nil, fmt.Errorf("sample %q: input %q is missing: %w", s.Name, name, pass.ErrInput)
			}
			r.shapes[name] = t.Shape.Clone()
		}
		return r, nil
	}
	return nil, fmt.Errorf("%w: give a folder of images or a source of frames", ErrNoSamples)
}

// session compiles a graph with other outputs.
func (r *runner) session(g *graph.Graph, outputs []*graph.Value) (*engine.Session, error) {
	h := *g
	if outputs != nil {
		h.Outputs = outputs
	}
	shapes := map[string][]int{}
	for _, v := range g.Inputs {
		if s := r.shapes[v.Name]; s != nil && open(v) {
			shapes[v.Name] = s
		}
	}
	low, err := pass.Compile(&h, pass.Options{Shapes: shapes})
	if err != nil {
		return nil, err
	}
	return engine.New(low, engine.Options{Threads: r.config.Threads})
}

// open reports whether a model leaves the size of an input to its samples.
func open(v *graph.Value) bool {
	return v.Untyped || slices.ContainsFunc(v.Type.Shape, func(d int) bool { return d < 0 })
}

// run feeds at most limit samples (0: all) to a session.
func (r *runner) run(ctx context.Context, s *engine.Session, stage string, limit int, each func(i int, sample Sample) error) error {
	total := r.count
	if limit > 0 && (total == 0 || limit < total) {
		total = limit
	}
	i, at := 0, 0
	for sample, err := range r.samples {
		if err != nil {
			return err
		}
		if limit > 0 && i >= limit {
			break
		}
		at++
		if limit > 0 && limit < r.count && at*limit/r.count == (at-1)*limit/r.count {
			continue
		}
		if err := feed(s, sample); err != nil {
			return err
		}
		if err := s.Run(ctx); err != nil {
			return fmt.Errorf("sample %q: %w", sample.Name, err)
		}
		if err := each(i, sample); err != nil {
			return err
		}
		i++
		r.config.Progress(stage, i, total)
	}
	if limit == 0 {
		r.count = i
	}
	return nil
}

// feed copies a sample into a session's inputs.
func feed(s *engine.Session, sample Sample) error {
	for _, p := range s.Inputs() {
		t := sample.Inputs[p.Name]
		to := s.Input(p.Name)
		switch {
		case t == nil && to != nil && sample.Inputs != nil && len(sample.Inputs) > 0:
			return fmt.Errorf("sample %q has no input %q: %w", sample.Name, p.Name, pass.ErrInput)
		case t == nil:
			return fmt.Errorf("sample %q is empty: %w", sample.Name, pass.ErrInput)
		case t.DType != p.Type.DType || !t.Shape.Equal(p.Type.Shape):
			return fmt.Errorf("sample %q: input %q is %v, the first sample had %v: %w", sample.Name, p.Name, t.Type(), p.Type, pass.ErrInput)
		}
		copy(to.Bytes(), t.Bytes())
	}
	return nil
}

// groups splits values so that those of one group take at most limit bytes.
func groups(values []*graph.Value, types map[string]tensor.Type, limit int) [][]*graph.Value {
	var out [][]*graph.Value
	room := 0
	for _, v := range values {
		size := types[v.Name].Bytes()
		if len(out) == 0 || size > room {
			out, room = append(out, nil), limit
		}
		out[len(out)-1] = append(out[len(out)-1], v)
		room -= size
	}
	return out
}

// observe runs the graph on all samples and hands over the contents of values,
// group by group.
func (r *runner) observe(ctx context.Context, g *graph.Graph, types map[string]tensor.Type, values []*graph.Value, stage string, limit int, each func(i int, s Sample, v *graph.Value, x *tensor.Tensor) error) error {
	var inputs, made []*graph.Value
	for _, v := range values {
		if v.Node == nil {
			inputs = append(inputs, v)
		} else {
			made = append(made, v)
		}
	}
	parts := groups(made, types, r.config.Memory*2/3)
	if len(parts) == 0 {
		parts = append(parts, g.Outputs[:1])
	}
	for _, part := range parts {
		s, err := r.session(g, part)
		if err != nil {
			return err
		}
		err = r.run(ctx, s, stage, limit, func(i int, sample Sample) error {
			for _, v := range inputs {
				if err := each(i, sample, v, sample.Inputs[v.Name]); err != nil {
					return err
				}
			}
			for _, v := range part {
				if len(made) == 0 {
					break
				}
				if err := each(i, sample, v, s.Output(v.Name)); err != nil {
					return err
				}
			}
			return nil
		})
		s.Close()
		if err != nil {
			return err
		}
		inputs = nil
	}
	return nil
}
