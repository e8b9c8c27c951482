package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
)

// Field numbers of ModelProto, OperatorSetIdProto and StringStringEntryProto.
const (
	modelIRVersion       = 1
	modelProducer        = 2
	modelProducerVersion = 3
	modelDomain          = 4
	modelVersion         = 5
	modelDoc             = 6
	modelGraph           = 7
	modelOpset           = 8
	modelMetadata        = 14

	opsetDomain  = 1
	opsetVersion = 2

	entryKey   = 1
	entryValue = 2
)

// Field numbers of GraphProto.
const (
	graphNode        = 1
	graphName        = 2
	graphInitializer = 5
	graphDoc         = 10
	graphInput       = 11
	graphOutput      = 12
	graphValueInfo   = 13
	graphSparse      = 15

	sparseValues = 1
)

// keyModel and keyGraph are the keys of graph.Graph.Extra.
const (
	keyModel = "model"
	keyGraph = "graph"
)

// The versions that are read: of the format, and of the ai.onnx operators.
const (
	minIRVersion = 3
	minOpset     = 1
	maxOpset     = 28
)

// Nodes, values and attributes take more memory than the few bytes that
// encode them. All of a file together may take this many times its size, and
// this much in any case.
const (
	memoryPerByte = 16
	memoryFree    = 8 << 20

	entryCost = 64 // of a map entry or an element of a growing slice
	maxOpsets = 256
)

// decoder holds the state of decoding one model.
type decoder struct {
	opt     Option
	g       *graph.Graph
	body    []byte // the GraphProto
	values  map[string]*graph.Value
	outputs map[*graph.Value]bool
	files   map[string]*externalFile
	budget  int64  // bytes that structures may still take
	lent    bool   // the bytes of the file are there for this call only
	room    []byte // of a file that is lent, for the weights
}

func newDecoder(data []byte, opt Option) *decoder {
	return &decoder{
		opt: opt, values: map[string]*graph.Value{}, outputs: map[*graph.Value]bool{}, files: map[string]*externalFile{},
		budget: memoryFree + memoryPerByte*int64(len(data)),
	}
}

// spend accounts for n bytes of structures.
func (d *decoder) spend(n int) error {
	if d.budget -= int64(n); d.budget < 0 {
		return malformed("it holds far more nodes, values or attributes than a model of its size")
	}
	return nil
}

// value makes a value with a name that must be new.
func (d *decoder) value(name []byte) (*graph.Value, error) {
	if v := d.values[string(name)]; v != nil {
		switch {
		case v.Node != nil:
			return nil, malformed("name %q is already an output of node %s", name, v.Node.Label())
		case v.Const != nil:
			return nil, malformed("name %q is already an initializer", name)
		}
		return nil, malformed("name %q is already an input of the graph", name)
	}
	if err := d.spend(int(unsafe.Sizeof(graph.Value{})) + len(name) + entryCost); err != nil {
		return nil, err
	}
	v := &graph.Value{Name: string(name)}
	d.values[v.Name] = v
	return v, nil
}

// model decodes a ModelProto.
func (d *decoder) model(data []byte) error {
	d.g = &graph.Graph{}
	props, err := count(data, modelMetadata)
	if err != nil {
		return err
	}
	if err := d.spend(props * int(unsafe.Sizeof(graph.Property{}))); err != nil {
		return err
	}
	if props > 0 {
		d.g.Metadata = make([]graph.Property, 0, props)
	}
	seen := false
	r := reader{in: data}
	for r.next() {
		switch r.num {
		case modelIRVersion:
			d.g.IRVersion = r.int()
		case modelProducer:
			d.g.Producer = r.str()
		case modelProducerVersion:
			d.g.ProducerVersion = r.str()
		case modelDomain:
			d.g.Domain = r.str()
		case modelVersion:
			d.g.ModelVersion = r.int()
		case modelDoc:
			d.g.ModelDoc = r.str()
		case modelGraph:
			if seen {
				return malformed("it holds two graphs")
			}
			d.body, seen = r.bytes(), true
		case modelOpset:
			if err := d.opset(r.bytes()); err != nil {
				return err
			}
		case modelMetadata:
			p, err := entry(r.bytes())
			if err != nil {
				return fmt.Errorf("metadata: %w", err)
			}
			d.g.Metadata = append(d.g.Metadata, p)
		default:
			keep(&d.g.Extra, keyModel, r.raw)
		}
	}
	switch {
	case r.err != nil:
		return r.err
	case !seen:
		return malformed("it holds no graph")
	case d.g.IRVersion < minIRVersion:
		return malformed("IR version %d: versions from %d are read", d.g.IRVersion, minIRVersion)
	case len(d.g.Opsets) == 0:
		return malformed("it imports no operator set")
	}
	return d.graph()
}

// opset decodes an OperatorSetIdProto.
func (d *decoder) opset(b []byte) error {
	var o graph.Opset
	r := reader{in: b}
	for r.next() {
		switch r.num {
		case opsetDomain:
			o.Domain = r.str()
		case opsetVersion:
			o.Version = r.int()
		}
	}
	if r.err != nil {
		return fmt.Errorf("operator set: %w", r.err)
	}
	if o.Version < 0 || o.Version > 1<<30 {
		return malformed("version %d of operator set %q", o.Version, o.Domain)
	}
	if o.Domain == "" || o.Domain == "ai.onnx" {
		if o.Version > maxOpset {
			return fmt.Errorf("operator set %d is newer than %d, the last that is known: %w: export with opset_version=17", o.Version, maxOpset, op.ErrUnsupported)
		}
		if o.Version < minOpset {
			return malformed("operator set %d", o.Version)
		}
	}
	if len(d.g.Opsets) >= maxOpsets {
		return malformed("it imports more than %d operator sets", maxOpsets)
	}
	for _, p := range d.g.Opsets {
		if p.Domain == o.Domain {
			return malformed("operator set %q is imported twice", o.Domain)
		}
	}
	d.g.Opsets = append(d.g.Opsets, o)
	return nil
}

// entry decodes a StringStringEntryProto.
func entry(b []byte) (p graph.Property, err error) {
	r := reader{in: b}
	for r.next() {
		switch r.num {
		case entryKey:
			p.Key = r.str()
		case entryValue:
			p.Value = r.str()
		}
	}
	return p, r.err
}

// graph decodes the GraphProto in several walks, because its fields may stand
// in any order: definitions first, then what refers to them.
func (d *decoder) graph() error {
	for _, walk := range []func(r *reader, i int) error{d.define, d.defineNode, d.refer, d.describe} {
		r, i := reader{in: d.body}, map[protowire.Number]int{}
		for r.next() {
			if err := walk(&r, i[r.num]); err != nil {
				return err
			}
			i[r.num]++
		}
		if r.err != nil {
			return fmt.Errorf("graph: %w", r.err)
		}
	}
	if len(d.g.Outputs) == 0 {
		return malformed("the graph has no outputs")
	}
	for _, n := range d.g.Nodes {
		if (n.Domain == "" || n.Domain == "ai.onnx") && d.g.Opset("") == 0 {
			return malformed("node %s: the model does not import the ai.onnx operator set", n.Label())
		}
	}
	if d.g.IRVersion < unlistedInits && !allListed(d.g) {
		d.g.IRVersion = unlistedInits // as it is written, since nothing earlier may hold this graph
	}
	return sortNodes(d.g)
}

// define reads field i of its kind where it defines an input, or the graph
// itself. Initializers must find the inputs, so they wait for the next walk.
func (d *decoder) define(r *reader, i int) error {
	switch r.num {
	case graphName:
		d.g.Name = r.str()
	case graphDoc:
		d.g.Doc = r.str()
	case graphInput:
		if err := d.input(r.bytes()); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	case graphNode, graphInitializer, graphOutput, graphValueInfo:
	default:
		keep(&d.g.Extra, keyGraph, r.raw)
	}
	return r.err
}

// input decodes the ValueInfoProto of a graph input.
func (d *decoder) input(b []byte) error {
	name, err := valueInfoName(b)
	if err != nil {
		return err
	}
	v, err := d.value(name)
	if err != nil {
		return err
	}
	vi, err := decodeValueInfo(b)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if vi.typ.other != "" {
		return fmt.Errorf("%q: %s: %w", name, vi.typ.other, op.ErrUnsupported)
	}
	vi.apply(v)
	d.g.Inputs = append(d.g.Inputs, v)
	return nil
}

// defineNode reads initializers, nodes and the names of their outputs.
func (d *decoder) defineNode(r *reader, i int) error {
	switch r.num {
	case graphInitializer:
		return d.initializer(r.bytes(), i)
	case graphNode:
		n, err := d.node(r.bytes())
		if err != nil && n != nil {
			return fmt.Errorf("node %d %s: %w", i, n.Label(), err)
		}
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		d.g.Nodes = append(d.g.Nodes, n)
	}
	return r.err
}

// initializer decodes a TensorProto that is a value of the graph.
func (d *decoder) initializer(b []byte, i int) error {
	name, t, left, err := d.tensor(b)
	if err == nil && name == "" {
		err = malformed("it has no name")
	}
	if err != nil {
		return fmt.Errorf("initializer %d %q: %w", i, name, err)
	}
	v := d.values[name]
	if v == nil || v.Const != nil || v.Node != nil {
		if v, err = d.value([]byte(name)); err != nil {
			return fmt.Errorf("initializer %d: %w", i, err)
		}
	} else if v.Type.DType != t.DType && v.Type.DType != 0 {
		return malformed("initializer %q is %v, but the input of that name is %v", name, t.DType, v.Type.DType)
	}
	if err := d.spend(int(unsafe.Sizeof(*t))); err != nil {
		return err
	}
	v.Const, v.Type, v.Dims, v.Untyped = t, t.Type(), nil, false
	dropType(v)
	keep(&v.Extra, keyTensor, left)
	d.g.Inits = append(d.g.Inits, v)
	return nil
}

// refer resolves what names other values: inputs of nodes, graph outputs.
func (d *decoder) refer(r *reader, i int) error {
	switch r.num {
	case graphNode:
		if err := d.inputs(d.g.Nodes[i], r.bytes()); err != nil {
			return fmt.Errorf("node %d %s: %w", i, d.g.Nodes[i].Label(), err)
		}
	case graphOutput:
		if err := d.outputInfo(r.bytes()); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	return r.err
}

// outputInfo decodes the ValueInfoProto of a graph output.
func (d *decoder) outputInfo(b []byte) error {
	name, err := valueInfoName(b)
	if err != nil {
		return err
	}
	v := d.values[string(name)]
	if v == nil {
		return d.missing("the tensor", name)
	}
	if d.outputs[v] {
		return malformed("%q is listed twice", name)
	}
	d.outputs[v] = true
	if v.Node != nil {
		vi, err := decodeValueInfo(b)
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		vi.apply(v)
	}
	d.g.Outputs = append(d.g.Outputs, v)
	return nil
}

// describe reads the types of intermediate values. An entry for a value that
// the graph does not have is carried along.
func (d *decoder) describe(r *reader, i int) error {
	if r.num != graphValueInfo {
		return nil
	}
	name, err := valueInfoName(r.bytes())
	if err != nil {
		return fmt.Errorf("value_info %d: %w", i, err)
	}
	v := d.values[string(name)]
	switch {
	case v == nil:
		keep(&d.g.Extra, keyGraph, r.raw)
		return nil
	case v.Doc != "" || v.Extra[keyValue] != nil || v.Const == nil && (!v.Untyped || v.Type.DType != 0):
		return nil // described by an earlier entry, or as an input or output
	}
	vi, err := decodeValueInfo(r.b)
	if err != nil {
		return fmt.Errorf("value_info %d, %q: %w", i, name, err)
	}
	vi.apply(v)
	return nil
}

// isSparse reports whether a sparse initializer has this name.
func (d *decoder) isSparse(name []byte) bool {
	for r := (reader{in: d.body}); r.next(); {
		if r.num != graphSparse {
			continue
		}
		for s := (reader{in: r.b}); s.next(); {
			if s.num != sparseValues {
				continue
			}
			for t := (reader{in: s.b}); t.next(); {
				if t.num == tensorName && bytes.Equal(t.b, name) {
					return true
				}
			}
		}
	}
	return false
}

// malformed returns an error that wraps ErrFormat.
func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrFormat)...)
}

// sniff recognises files of other formats that are taken for ONNX models.
func sniff(data []byte) error {
	switch {
	case len(data) == 0:
		return malformed("the file is empty")
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return malformed("this is a zip archive, perhaps a PyTorch checkpoint: export it to ONNX first")
	case len(data) >= 8 && string(data[4:8]) == "TFL3":
		return malformed("this is a TensorFlow Lite model: turn it into ONNX with edgecam convert")
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return malformed("this is a pointer of Git LFS: fetch the file itself with git lfs pull")
	}
	return nil
}

var errTooLarge = errors.New("more than 2 GiB, which protobuf cannot hold")
