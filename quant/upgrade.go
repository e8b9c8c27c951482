package quant

import (
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// upgrade rewrites m, a copy of n with new inputs, as operator set 13 spells
// it.
func (c *canonicalizer) upgrade(n *graph.Node, m *graph.Node) error {
	switch n.Type {
	case "Squeeze", "Unsqueeze", "ReduceSum":
		c.toInput(m, 1, "axes")
	case "Split":
		c.toInput(m, 1, "split")
	case "Clip":
		if c.opset < 11 {
			c.floatToInput(m, 1, "min")
			c.floatToInput(m, 2, "max")
		}
	case "Pad":
		if c.opset < 11 {
			c.toInput(m, 1, "pads")
			c.floatToInput(m, 2, "value")
		}
	case "Slice":
		if c.opset < 10 {
			c.toInput(m, 1, "starts")
			c.toInput(m, 2, "ends")
			c.toInput(m, 3, "axes")
		}
	case "TopK":
		if k := m.Attrs.Get("k"); k != nil {
			m.In = append(m.In, c.constant(c.old.Name+"/k", tensor.From(tensor.Int64, []int64{k.Int}, 1)))
			m.Attrs = without(m.Attrs, "k")
		}
	case "Scatter":
		m.Type = "ScatterElements"
	case "Upsample":
		return c.upsample(m)
	case "Resize":
		if c.opset < 11 {
			return c.upsample(m)
		}
	case "Softmax", "LogSoftmax", "Hardmax":
		return c.softmax(n, m)
	case "Gemm":
		m.Attrs = without(m.Attrs, "broadcast")
	case "BatchNormalization":
		if m.Attrs.Int("spatial", 1) == 0 {
			return errOld
		}
		m.Attrs = without(m.Attrs, "spatial")
	}
	return nil
}

func without(a graph.Attrs, name string) graph.Attrs {
	return slices.DeleteFunc(a, func(x graph.Attr) bool { return x.Name == name })
}

// toInput makes a list attribute input i.
func (c *canonicalizer) toInput(m *graph.Node, i int, name string) {
	a := m.Attrs.Get(name)
	if a == nil {
		return
	}
	v := c.constant(m.Name+"/"+name, tensor.From(tensor.Int64, a.Ints, len(a.Ints)))
	m.Attrs = without(m.Attrs, name)
	setInput(m, i, v)
}

// floatToInput makes a number attribute input i.
func (c *canonicalizer) floatToInput(m *graph.Node, i int, name string) {
	a := m.Attrs.Get(name)
	if a == nil {
		return
	}
	v := c.constant(m.Name+"/"+name, tensor.From(tensor.Float32, []float32{a.Float}))
	m.Attrs = without(m.Attrs, name)
	setInput(m, i, v)
}

func setInput(m *graph.Node, i int, v *graph.Value) {
	for len(m.In) <= i {
		m.In = append(m.In, nil)
	}
	m.In[i] = v
}

// upsample turns the enlargement of sets before 11 into a Resize with their
// coordinates.
func (c *canonicalizer) upsample(m *graph.Node) error {
	var scales *graph.Value
	switch a := m.Attrs.Get("scales"); {
	case a != nil:
		scales = c.constant(m.Name+"/scales", tensor.From(tensor.Float32, a.Floats, len(a.Floats)))
	case len(m.In) > 1 && m.In[1] != nil:
		scales = m.In[1]
	default:
		return fmt.Errorf("enlargement without scales %w", errOld)
	}
	mode := m.Attrs.String("mode", "nearest")
	m.Type, m.In = "Resize", []*graph.Value{m.In[0], nil, scales}
	m.Attrs = graph.Attrs{
		{Name: "mode", Kind: graph.AttrString, String: mode},
		{Name: "coordinate_transformation_mode", Kind: graph.AttrString, String: "asymmetric"},
		{Name: "nearest_mode", Kind: graph.AttrString, String: "floor"},
	}
	return nil
}

// softmax makes the axes explicit over which sets before 13 sum: all from axis
// on, together.
func (c *canonicalizer) softmax(n, m *graph.Node) error {
	shape := c.types[n.In[0].Name].Shape
	if shape == nil {
		return fmt.Errorf("input of unknown rank %w", errOld)
	}
	axis := m.Attrs.Int("axis", 1)
	if axis < 0 {
		axis += len(shape)
	}
	m.Attrs = graph.Attrs{{Name: "axis", Kind: graph.AttrInt, Int: int64(axis)}}
	if axis >= len(shape)-1 || shape[axis+1:].Elems() == 1 {
		return nil
	}
	x := m.In[0]
	size := c.add(graph.Node{Name: c.fresh(m.Name + "/shape"), Type: "Shape", In: []*graph.Value{x}}, c.fresh(x.Name+"/shape"))[0]
	flat := c.add(graph.Node{Name: c.fresh(m.Name + "/flatten"), Type: "Flatten", In: []*graph.Value{x},
		Attrs: graph.Attrs{{Name: "axis", Kind: graph.AttrInt, Int: int64(axis)}}}, c.fresh(x.Name+"/flat"))[0]
	m.Attrs[0].Int, m.In = 1, []*graph.Value{flat}
	y := c.add(*m, c.fresh(x.Name+"/"+m.Type))[0]
	*m = graph.Node{Name: c.fresh(m.Name + "/reshape"), Type: "Reshape", In: []*graph.Value{y, size}}
	return nil
}
