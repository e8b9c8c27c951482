package pass

import (
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Widen turns a bound graph whose convolutions or matrix products are in
// float16 into one that computes in float32 throughout: no CPU here adds up
// products in float16 as fast, and ONNX Runtime widens them, too. Only inputs
// and outputs keep their type. Intermediate results are not rounded to
// float16. Other graphs, and those with an operator that has no float32 form,
// are returned as they are.
func Widen(g *graph.Graph) *graph.Graph {
	if !slices.ContainsFunc(g.Nodes, multipliesHalf) {
		return g
	}
	w := widener{
		new:    &graph.Graph{Name: g.Name, Opsets: g.Opsets, Metadata: g.Metadata, Inputs: g.Inputs},
		values: map[*graph.Value]*graph.Value{}, outputs: map[*graph.Value]bool{},
	}
	for _, v := range g.Outputs {
		w.outputs[v] = true
	}
	for _, n := range g.Nodes {
		if w.node(n) != nil {
			return g
		}
	}
	for _, v := range g.Outputs {
		nv, err := w.output(v)
		if err != nil {
			return g
		}
		w.new.Outputs = append(w.new.Outputs, nv)
	}
	return w.new
}

func isHalf(v *graph.Value) bool { return v != nil && v.Type.DType == tensor.Float16 }

func multipliesHalf(n *graph.Node) bool {
	switch n.Op.(type) {
	case *op.Conv, *op.ConvTranspose, *op.MatMul, *op.Gemm:
		return isHalf(n.In[0])
	}
	return false
}

// widener carries the state of Widen.
type widener struct {
	new     *graph.Graph
	values  map[*graph.Value]*graph.Value // old to new, those of float16 as float32
	outputs map[*graph.Value]bool
}

// cast adds a conversion.
func (w *widener) cast(v *graph.Value, to tensor.DType, name string) (*graph.Value, error) {
	outs, err := w.new.Add(&op.Cast{To: to}, graph.Node{Name: name, Type: "Cast", In: []*graph.Value{v}}, name)
	if err != nil {
		return nil, err
	}
	return outs[0], nil
}

// get returns the new form of a value.
func (w *widener) get(v *graph.Value) (*graph.Value, error) {
	nv := w.values[v]
	if nv != nil {
		return nv, nil
	}
	nv = v // inputs and constants are shared
	if isHalf(v) {
		var err error
		if v.Const != nil {
			nv = graph.NewConst(v.Name, wide(v.Const))
		} else if nv, err = w.cast(v, tensor.Float32, v.Name+"/wide"); err != nil {
			return nil, err
		}
	}
	w.values[v] = nv
	return nv, nil
}

// wide converts a constant.
func wide(t *tensor.Tensor) *tensor.Tensor {
	f := tensor.New(tensor.Float32, t.Shape...)
	for i := range f.F32() {
		f.F32()[i] = float32(t.Float(i))
	}
	return f
}

func (w *widener) node(n *graph.Node) error {
	m := *n
	m.In = make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		var err error
		if v == nil {
			continue
		}
		if m.In[i], err = w.get(v); err != nil {
			return err
		}
	}
	o := n.Op
	if c, ok := o.(*op.Cast); ok && c.To == tensor.Float16 {
		o = &op.Cast{To: tensor.Float32}
	}
	names := make([]string, len(n.Out))
	for i, v := range n.Out {
		if v == nil {
			continue
		}
		names[i] = v.Name
		if isHalf(v) && w.outputs[v] {
			names[i] += "/wide"
		}
	}
	outs, err := w.new.Add(o, m, names...)
	if err != nil {
		return err
	}
	for i, v := range n.Out {
		if v == nil {
			continue
		}
		nv := outs[i]
		nv.Bound, nv.Dynamic = v.Bound, v.Dynamic
		if isHalf(nv) {
			if nv, err = w.cast(nv, tensor.Float32, v.Name+"/wide"); err != nil {
				return err
			}
		}
		w.values[v] = nv
	}
	return nil
}

// output returns an output with the type that the file declares.
func (w *widener) output(v *graph.Value) (*graph.Value, error) {
	if !isHalf(v) || v.Const != nil {
		if nv := w.values[v]; nv != nil {
			return nv, nil
		}
		return v, nil
	}
	nv, err := w.get(v)
	if err != nil {
		return nil, err
	}
	return w.cast(nv, tensor.Float16, v.Name)
}
