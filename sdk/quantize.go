package sdk

import (
	"context"
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/quant"
)

// Quantize returns the int8 form of a float model, calibrated on samples, and
// a report of what became of every layer. The model is left as it was; the
// metadata goes over. It is deterministic and stops soon after ctx is done.
//
// Errors wrap quant.ErrNoSamples, quant.ErrQuantized, quant.ErrNothing,
// quant.ErrNaN, or are those of samples.
func (m *Model) Quantize(ctx context.Context, samples quant.Samples, c quant.Config) (*Model, *quant.Report, error) {
	g, report, err := quant.Apply(ctx, m.graph, samples, c)
	if err != nil {
		return nil, report, fmt.Errorf("quantizing %s: %w", m.path, err)
	}
	if ps := pass.Unsupported(g); len(ps) > 0 {
		return nil, report, fmt.Errorf("quantizing %s: %w", m.path, &UnsupportedError{Problems: ps})
	}
	return &Model{path: m.path + " (int8)", graph: g}, report, nil
}

// MeasureModel makes of a measure of models, in points from 0 to 100, one of
// the graphs that quant.Config.Eval is given.
func MeasureModel(f func(context.Context, *Model) (float64, error)) func(context.Context, *graph.Graph) (float64, error) {
	return func(ctx context.Context, g *graph.Graph) (float64, error) {
		return f(ctx, &Model{path: "candidate", graph: g})
	}
}

// InputName returns the name of the model's picture input.
func (r *Reader) InputName() string {
	for _, p := range r.model.Inputs() {
		if !p.Optional {
			return p.Name
		}
	}
	return ""
}

// Card returns the card of the reader's model, completed by how the reader
// feeds and reads it: with it the model needs no preset to be named.
func (r *Reader) Card() (*Card, error) {
	c, err := r.model.Card()
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &Card{}
	}
	full := *c
	if full.Task == "" && !r.raw {
		full.Task = r.Task()
	}
	if full.Preprocess == nil || r.preset != "" {
		full.Preprocess = &onnx.Preprocess{Preset: r.chosen.Name}
	}
	if full.Decoder == "" && !r.raw || r.preset != "" {
		full.Decoder = r.chosen.Name
	}
	return &full, nil
}

// WithCard returns the model with another card.
func (m *Model) WithCard(c *Card) (*Model, error) {
	g := *m.graph
	if err := c.Write(&g); err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	return &Model{path: m.path, graph: &g}, nil
}

// Save writes the model to an ONNX file, with all weights in it. On systems
// that can replace a file atomically an error leaves an old file as it was.
func (m *Model) Save(path string) error { return onnx.Save(path, m.graph) }
