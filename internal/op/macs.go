package op

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/kernels"
)

// MACs implements Counter.
func (c *Conv) MACs(in, out []*graph.Value) int64 {
	return elems64(out[0]) * int64(in[1].Type.Shape[1:].Elems())
}

// MACs implements Counter.
func (c *ConvTranspose) MACs(in, out []*graph.Value) int64 {
	return elems64(in[0]) * int64(in[1].Type.Shape[1:].Elems())
}

// MACs implements Counter.
func (c *ConvNHWC) MACs(in, out []*graph.Value) int64 {
	return elems64(out[0]) * int64(in[1].Type.Shape[1:].Elems())
}

func elems64(v *graph.Value) int64 { return int64(v.Type.Shape.Elems()) }

// Activation implements Activated.
func (c *ConvNHWC) Activation() string {
	switch {
	case c.Act.HasUnary:
		return unaryNames[c.Act.Unary]
	case c.Act.Slope != nil:
		return "PRelu"
	}
	return ""
}

// unaryNames names the functions of which there are kernels.
var unaryNames = [kernels.NumUnary]string{
	kernels.Clamp:       "Clip",
	kernels.LeakyRelu:   "LeakyRelu",
	kernels.Sigmoid:     "Sigmoid",
	kernels.SiLU:        "SiLU",
	kernels.HardSigmoid: "HardSigmoid",
	kernels.HardSwish:   "HardSwish",
	kernels.Tanh:        "Tanh",
	kernels.Exp:         "Exp",
	kernels.Erf:         "Erf",
	kernels.Gelu:        "Gelu",
	kernels.Affine:      "Affine",
}
