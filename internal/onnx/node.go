package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
)

// Field numbers of NodeProto.
const (
	nodeInput     = 1
	nodeOutput    = 2
	nodeName      = 3
	nodeOpType    = 4
	nodeAttribute = 5
	nodeDoc       = 6
	nodeDomain    = 7
)

// Field numbers of AttributeProto.
const (
	attrName    = 1
	attrFloat   = 2
	attrInt     = 3
	attrString  = 4
	attrTensor  = 5
	attrGraph   = 6
	attrFloats  = 7
	attrInts    = 8
	attrStrings = 9
	attrType    = 20
)

// maxAttrKind is the largest AttributeProto.AttributeType.
const maxAttrKind = 14

// maxAttrs bounds the attributes of one node; operators have a few dozen.
const maxAttrs = 256

// attrFields gives the field that holds the value of each interpreted kind,
// 0 for the others.
var attrFields = [maxAttrKind + 1]protowire.Number{
	graph.AttrFloat: attrFloat, graph.AttrInt: attrInt, graph.AttrString: attrString, graph.AttrTensor: attrTensor,
	graph.AttrFloats: attrFloats, graph.AttrInts: attrInts, graph.AttrStrings: attrStrings,
}

// node decodes everything of a NodeProto but its inputs, and names its
// outputs.
func (d *decoder) node(b []byte) (*graph.Node, error) {
	attrs, err := count(b, nodeAttribute)
	if err != nil {
		return nil, err
	}
	outs, err := count(b, nodeOutput)
	if err != nil {
		return nil, err
	}
	if attrs > maxAttrs {
		return nil, malformed("it has %d attributes", attrs)
	}
	if err := d.spend(int(unsafe.Sizeof(graph.Node{})) + attrs*int(unsafe.Sizeof(graph.Attr{})) + outs*8 + entryCost); err != nil {
		return nil, err
	}
	n := &graph.Node{}
	if attrs > 0 {
		n.Attrs = make(graph.Attrs, 0, attrs)
	}
	if outs > 0 {
		n.Out = make([]*graph.Value, 0, outs)
	}
	r := reader{in: b}
	for r.next() {
		switch r.num {
		case nodeInput, nodeOutput, nodeAttribute: // need the name for errors
		case nodeName:
			n.Name = r.str()
		case nodeOpType:
			n.Type = r.str()
		case nodeDomain:
			n.Domain = r.str()
		case nodeDoc:
			n.Doc = r.str()
		default:
			n.Extra = append(n.Extra, r.raw...)
		}
	}
	if r.err == nil && n.Type == "" {
		r.err = malformed("it has no operator type")
	}
	if r.err == nil && outs == 0 {
		r.err = malformed("it has no output")
	}
	if r.err != nil {
		return n, r.err
	}
	r = reader{in: b}
	for r.next() {
		switch r.num {
		case nodeOutput:
			v, err := d.output(n, r.bytes())
			if err != nil {
				return n, err
			}
			n.Out = append(n.Out, v)
		case nodeAttribute:
			a, err := d.attr(r.bytes())
			if err == nil && n.Attrs.Has(a.Name) {
				err = malformed("it is given twice")
			}
			if err != nil {
				return n, fmt.Errorf("attribute %q: %w", a.Name, err)
			}
			n.Attrs = append(n.Attrs, a)
		}
	}
	return n, r.err
}

// output makes the value for an output of n; nil for one that is not wanted.
func (d *decoder) output(n *graph.Node, name []byte) (*graph.Value, error) {
	if len(name) == 0 {
		return nil, nil
	}
	v, err := d.value(name)
	if err != nil {
		return nil, err
	}
	v.Node, v.Untyped = n, true
	return v, nil
}

// inputs resolves the inputs of a node once all values are known.
func (d *decoder) inputs(n *graph.Node, b []byte) error {
	ins, err := count(b, nodeInput)
	if err != nil || ins == 0 {
		return err
	}
	if err := d.spend(ins * 8); err != nil {
		return err
	}
	n.In = make([]*graph.Value, 0, ins)
	r := reader{in: b}
	for r.next() {
		if r.num != nodeInput {
			continue
		}
		v, name := (*graph.Value)(nil), r.bytes()
		if len(name) > 0 {
			if v = d.values[string(name)]; v == nil {
				return d.missing(fmt.Sprintf("input %d", len(n.In)), name)
			}
		}
		n.In = append(n.In, v)
	}
	return r.err
}

// missing describes a tensor that nothing defines.
func (d *decoder) missing(what string, name []byte) error {
	if d.isSparse(name) {
		return fmt.Errorf("%s, %q, is a sparse initializer: %w: export it dense", what, name, op.ErrUnsupported)
	}
	return malformed("%s, %q, is neither an input or initializer of the graph nor the output of a node", what, name)
}

// attr decodes an AttributeProto.
func (d *decoder) attr(b []byte) (a graph.Attr, err error) {
	r := reader{in: b}
	var first graph.AttrKind // files of the first IR versions give no type
	for r.next() {
		switch r.num {
		case attrName:
			a.Name = r.str()
		case attrType:
			kind := r.int()
			if kind < 0 || kind > maxAttrKind {
				return a, malformed("unknown attribute type %d", kind)
			}
			a.Kind = graph.AttrKind(kind)
		case attrGraph:
			first = graph.AttrGraph
		}
		for kind, field := range attrFields {
			if field == r.num {
				first = graph.AttrKind(kind)
			}
		}
	}
	if a.Kind == 0 {
		a.Kind = first
	}
	switch {
	case r.err != nil:
		return a, r.err
	case a.Name == "":
		return a, malformed("it has no name")
	case a.Kind == 0:
		return a, malformed("it has neither type nor value")
	}
	field := attrFields[a.Kind]
	if field == 0 {
		a.Raw = bytes.Clone(b)
		return a, nil
	}
	return a, d.attrValue(&a, b, field)
}

// attrValue reads the value of an interpreted kind.
func (d *decoder) attrValue(a *graph.Attr, b []byte, field protowire.Number) (err error) {
	switch a.Kind {
	case graph.AttrFloats:
		n, err := scalars(b, field, protowire.Fixed32Type, nil)
		if err != nil {
			return err
		}
		a.Floats = make([]float32, 0, n)
		_, err = scalars(b, field, protowire.Fixed32Type, func(v uint64) {
			a.Floats = append(a.Floats, math.Float32frombits(uint32(v)))
		})
		if err != nil {
			return err
		}
	case graph.AttrInts:
		n, err := scalars(b, field, protowire.VarintType, nil)
		if err != nil {
			return err
		}
		a.Ints = make([]int64, 0, n)
		_, err = scalars(b, field, protowire.VarintType, func(v uint64) { a.Ints = append(a.Ints, int64(v)) })
		if err != nil {
			return err
		}
	case graph.AttrStrings:
		n, err := count(b, field)
		if err != nil {
			return err
		}
		a.Strings = make([]string, 0, n)
	}
	r := reader{in: b}
	for r.next() {
		switch {
		case r.num == attrName || r.num == attrType:
		case r.num != field:
			a.Extra = append(a.Extra, r.raw...)
		case a.Kind == graph.AttrFloat:
			a.Float = r.float()
		case a.Kind == graph.AttrInt:
			a.Int = r.int()
		case a.Kind == graph.AttrString:
			a.String = r.str()
		case a.Kind == graph.AttrStrings:
			a.Strings = append(a.Strings, r.str())
		case a.Kind == graph.AttrTensor:
			err = d.attrTensor(a, r.bytes())
		}
		if err != nil {
			return err
		}
	}
	if r.err == nil && a.Kind == graph.AttrTensor && a.Tensor == nil {
		r.err = malformed("it has no tensor")
	}
	return r.err
}

// attrTensor decodes the tensor of an attribute; its name and documentation
// go to Extra, as a tensor field without data.
func (d *decoder) attrTensor(a *graph.Attr, b []byte) error {
	if a.Tensor != nil {
		return malformed("it has two tensors")
	}
	name, t, left, err := d.tensor(b)
	if err != nil {
		return err
	}
	a.Tensor = t
	if left = append(appendString(nil, tensorName, name), left...); len(left) > 0 {
		// In front, because that is where it is found when read again.
		a.Extra = append(appendBytes(nil, attrTensor, left), a.Extra...)
	}
	return nil
}

// encodeNode returns the NodeProto of n.
func encodeNode(n *graph.Node) ([]byte, error) {
	var b []byte
	for _, v := range n.In {
		b = appendBytes(b, nodeInput, []byte(nameOf(v)))
	}
	for _, v := range n.Out {
		b = appendBytes(b, nodeOutput, []byte(nameOf(v)))
	}
	b = appendString(b, nodeName, n.Name)
	b = appendString(b, nodeOpType, n.Type)
	for i := range n.Attrs {
		a, err := encodeAttr(&n.Attrs[i])
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", n.Attrs[i].Name, err)
		}
		b = appendBytes(b, nodeAttribute, a)
	}
	b = appendString(b, nodeDoc, n.Doc)
	b = appendString(b, nodeDomain, n.Domain)
	return append(b, n.Extra...), nil
}

// nameOf returns the name of a value, "" for an optional one that is absent.
func nameOf(v *graph.Value) string {
	if v == nil {
		return ""
	}
	return v.Name
}

// encodeAttr returns the AttributeProto of a.
func encodeAttr(a *graph.Attr) ([]byte, error) {
	if a.Name == "" {
		return nil, errors.New("it has no name")
	}
	if a.Kind <= 0 || a.Kind > maxAttrKind || attrFields[a.Kind] == 0 {
		if len(a.Raw) == 0 {
			return nil, fmt.Errorf("kind %d has no encoded form", a.Kind)
		}
		return a.Raw, nil
	}
	b := appendString(nil, attrName, a.Name)
	extra := a.Extra
	switch a.Kind {
	case graph.AttrFloat:
		b = appendFloat(b, attrFloat, a.Float)
	case graph.AttrInt:
		b = appendVarint(b, attrInt, a.Int)
	case graph.AttrString:
		b = appendBytes(b, attrString, []byte(a.String))
	case graph.AttrTensor:
		if a.Tensor == nil {
			return nil, errors.New("it has no tensor")
		}
		t, err := EncodeTensor("", a.Tensor)
		if err != nil {
			return nil, err
		}
		extra = nil
		for r := (reader{in: a.Extra}); r.next(); {
			if r.num == attrTensor {
				t = append(t, r.b...)
			} else {
				extra = append(extra, r.raw...)
			}
		}
		b = appendBytes(b, attrTensor, t)
	case graph.AttrFloats:
		for _, v := range a.Floats {
			b = appendFloat(b, attrFloats, v)
		}
	case graph.AttrInts:
		for _, v := range a.Ints {
			b = appendVarint(b, attrInts, v)
		}
	case graph.AttrStrings:
		for _, v := range a.Strings {
			b = appendBytes(b, attrStrings, []byte(v))
		}
	}
	b = appendVarint(b, attrType, int64(a.Kind))
	return append(b, extra...), nil
}
