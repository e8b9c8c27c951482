package quant

import (
	"context"
	"errors"

	"github.com/edgecam/edgecam/internal/graph"
)

// Apply returns the quantized form of a portable float graph, a plain ONNX
// graph of operator set 13 or later that keeps the names of inputs and
// outputs, their declared types and the metadata, and a report. The graph g is
// left as it was.
//
// Errors wrap ErrNoSamples, ErrQuantized, ErrNothing, ErrNaN, the errors of
// samples, or those of package pass.
func Apply(ctx context.Context, g *graph.Graph, samples Samples, c Config) (*graph.Graph, *Report, error) {
	return nil, nil, errors.New("not yet")
}
