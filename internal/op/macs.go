package op

import "github.com/edgecam/edgecam/internal/graph"

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
		return c.Act.Unary.String()
	case c.Act.Slope != nil:
		return "PRelu"
	}
	return ""
}
