// Package graph is the intermediate representation: a graph of operators on
// named values, in ONNX's words and with ONNX's axes.
//
// One set of types serves three stages. A portable graph is what a file
// holds: attributes as written, types only where the file declares them. A
// bound graph (pass.Bind) has an Op on every node and a complete type on
// every value, and can only be built through Add, which infers types, so an
// ill-typed one cannot exist. A lowered graph (pass.Lower) is a bound graph
// whose nodes may be machine operators with channels-last axes.
//
// The package knows no operator and computes nothing.
package graph

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/tensor"
)

// Graph is a model: its values, its nodes in topological order, and what the
// file says of itself.
type Graph struct {
	Name    string
	Doc     string
	Inputs  []*Value // fed by the caller; one that also has a Const is an initializer with an overridable default
	Outputs []*Value
	Inits   []*Value // values with a Const, in file order; those made by Constant nodes are not among them
	Nodes   []*Node  // producers stand before consumers

	Opsets   []Opset
	Metadata []Property // metadata_props, in file order

	IRVersion       int64
	Producer        string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	ModelDoc        string

	// Extra keeps the parts of a file that edgecam carries from input to
	// output without interpreting them, as encoded protobuf fields:
	// ModelProto fields under "model", GraphProto fields under "graph".
	Extra map[string][]byte
}

// Opset names the version of an operator domain; "" is ai.onnx.
type Opset struct {
	Domain  string
	Version int64
}

// Property is one entry of a model's metadata.
type Property struct{ Key, Value string }

// Value is a tensor that a node produces or a caller feeds.
type Value struct {
	Name string
	Doc  string
	// Type may be unknown in a portable graph: DType Invalid, or negative
	// extents. In a bound graph it is complete.
	Type tensor.Type
	// Untyped marks a portable value whose rank is not declared.
	Untyped bool
	// Dims holds the names of symbolic extents of a portable value, "" for a
	// fixed or nameless one; nil where there is none.
	Dims []string
	// Const is the value itself, where it is known before inference. It is
	// shared and never written.
	Const *tensor.Tensor
	// Dynamic marks a value of a bound graph whose extents or contents
	// depend on data: Type holds upper bounds.
	Dynamic bool
	// Bound is, for a Dynamic value that serves as a shape, the contents it
	// has when every extent is at its upper bound.
	Bound *tensor.Tensor
	// Node produces the value; nil for inputs and initializers.
	Node *Node
	// Extra keeps parts of a file that are not interpreted, as encoded
	// protobuf fields: ValueInfoProto fields under "value" (among them a type
	// that Type cannot say), TensorProto fields of an initializer under
	// "tensor".
	Extra map[string][]byte
}

// Known returns the contents that planning may rely on: Const, or else Bound.
func (v *Value) Known() *tensor.Tensor {
	if v.Const != nil {
		return v.Const
	}
	return v.Bound
}

// Node is one use of an operator.
type Node struct {
	Name   string
	Domain string // "" is ai.onnx
	Type   string // operator type, as "Conv"
	Doc    string
	Attrs  Attrs
	In     []*Value // nil for an optional input that is left out
	Out    []*Value // nil for an optional output that is not wanted
	Op     Op       // nil in a portable graph
	// Note tells, in a lowered graph, why a node of a quantized model computes in
	// float32; "" where there is nothing to tell.
	Note string
	// Extra keeps fields of the file's NodeProto that are not interpreted.
	Extra []byte
}

// Label names the node for errors: its name where it has one, else its first
// output.
func (n *Node) Label() string {
	if n.Name != "" {
		return fmt.Sprintf("%q (%s)", n.Name, n.Type)
	}
	for _, o := range n.Out {
		if o != nil {
			return fmt.Sprintf("producing %q (%s)", o.Name, n.Type)
		}
	}
	return "(" + n.Type + ")"
}

// Op is an operator with its attributes decoded.
type Op interface {
	// Infer returns the types of all outputs from the inputs' complete types
	// and, where a shape depends on them, their Known contents; in[i] is nil
	// for an absent optional input. It must reject whatever Eval cannot
	// compute: wrong number of inputs, types, ranks, attributes.
	Infer(in []*Value) ([]tensor.Type, error)
}

// Opset returns the version of a domain that the graph imports, or 0.
func (g *Graph) Opset(domain string) int {
	if domain == "ai.onnx" {
		domain = ""
	}
	for _, o := range g.Opsets {
		if o.Domain == domain || domain == "" && o.Domain == "ai.onnx" {
			return int(o.Version)
		}
	}
	return 0
}

// Meta returns the value of a metadata entry, "" if there is none.
func (g *Graph) Meta(key string) string {
	for _, p := range g.Metadata {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

// NewConst returns a value that is not produced by a node.
func NewConst(name string, t *tensor.Tensor) *Value {
	return &Value{Name: name, Type: tensor.Type{DType: t.DType, Shape: t.Shape}, Const: t}
}

// Add appends a node to a bound graph and returns its outputs, typed by the
// operator. outs names the outputs; an empty name leaves an optional output
// out (nil). Inputs must be complete.
func (g *Graph) Add(op Op, n Node, outs ...string) ([]*Value, error) {
	n.Op = op
	for _, v := range n.In {
		if v != nil && !v.Type.Known() {
			return nil, fmt.Errorf("node %s: input %q has no complete type: %v", n.Label(), v.Name, v.Type)
		}
	}
	types, err := op.Infer(n.In)
	node := &n
	node.Out = make([]*Value, len(outs))
	if err == nil && len(types) < len(outs) {
		err = fmt.Errorf("%d outputs are named, the operator has %d", len(outs), len(types))
	}
	dynamic := false
	for _, v := range n.In {
		dynamic = dynamic || v != nil && v.Dynamic
	}
	if d, ok := op.(DataDependent); ok && d.DataDependent(n.In) {
		dynamic = true
	}
	for i, name := range outs {
		if name == "" {
			continue
		}
		node.Out[i] = &Value{Name: name, Node: node, Dynamic: dynamic}
		if err == nil {
			node.Out[i].Type = types[i]
		}
	}
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", node.Label(), err)
	}
	g.Nodes = append(g.Nodes, node)
	return node.Out, nil
}

// DataDependent is implemented by operators whose output extents depend on
// the contents of their inputs, such as NonZero. Infer then returns upper
// bounds, and Eval sets the actual extents in the output's Shape.
type DataDependent interface {
	DataDependent(in []*Value) bool
}
