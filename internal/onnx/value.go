package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Field numbers of ValueInfoProto, TypeProto, TypeProto.Tensor,
// TensorShapeProto and its Dimension.
const (
	valueName = 1
	valueType = 2
	valueDoc  = 3

	typeTensor = 1

	tensorTypeElem  = 1
	tensorTypeShape = 2

	shapeDim = 1

	dimValue = 1
	dimParam = 2
)

// typeKinds names the kinds of TypeProto that are not dense tensors.
var typeKinds = map[protowire.Number]string{4: "sequence", 5: "map", 7: "opaque", 8: "sparse tensor", 9: "optional"}

// keyValue and keyTensor are the keys of graph.Value.Extra.
const (
	keyValue  = "value"
	keyTensor = "tensor"
)

// valueInfo is a decoded ValueInfoProto.
type valueInfo struct {
	doc  string
	typ  typeInfo
	left []byte // fields that are not interpreted, and a type that typ does not say in full
}

// typeInfo is a decoded TypeProto.
type typeInfo struct {
	typ     tensor.Type
	dims    []string
	untyped bool
	// other names what typ cannot say, "" where it is complete; odd is set
	// where the message holds more than that, such as denotations.
	other string
	odd   bool
}

// valueInfoName returns the name in a ValueInfoProto, shared.
func valueInfoName(b []byte) ([]byte, error) {
	var name []byte
	r := reader{in: b}
	for r.next() {
		if r.num == valueName {
			name = r.bytes()
		}
	}
	if r.err == nil && len(name) == 0 {
		r.err = malformed("it has no name")
	}
	return name, r.err
}

func decodeValueInfo(b []byte) (vi valueInfo, err error) {
	var typ, field []byte
	r := reader{in: b}
	for r.next() {
		switch r.num {
		case valueName:
		case valueType:
			typ, field = r.bytes(), r.raw
		case valueDoc:
			vi.doc = r.str()
		default:
			vi.left = append(vi.left, r.raw...)
		}
	}
	if r.err != nil {
		return vi, r.err
	}
	vi.typ, err = decodeType(typ)
	if vi.typ.odd || vi.typ.other != "" {
		vi.left = append(vi.left, field...)
	}
	return vi, err
}

// decodeType reads a TypeProto. Nil stands for a type that is not given.
func decodeType(b []byte) (t typeInfo, err error) {
	t.untyped = true
	var dense []byte
	r := reader{in: b}
	for r.next() {
		switch kind := typeKinds[r.num]; {
		case r.num == typeTensor:
			dense, t.other = r.bytes(), ""
		case kind != "":
			t.other = kind
		default:
			t.odd = true
		}
	}
	if r.err != nil || t.other != "" {
		return t, r.err
	}
	var shape []byte
	r = reader{in: dense}
	for r.next() {
		switch r.num {
		case tensorTypeElem:
			n := r.int()
			var name string
			if t.typ.DType, name = elemType(n); t.typ.DType == tensor.Invalid && n != 0 {
				t.other = "element type " + name
			}
		case tensorTypeShape:
			shape, t.untyped = r.bytes(), false
		default:
			t.odd = true
		}
	}
	if r.err != nil || t.other != "" {
		return typeInfo{untyped: true, other: t.other}, r.err
	}
	if !t.untyped {
		err = t.decodeShape(shape)
	}
	return t, err
}

// decodeShape reads a TensorShapeProto.
func (t *typeInfo) decodeShape(b []byte) error {
	rank, err := count(b, shapeDim)
	if err != nil {
		return err
	}
	if rank > tensor.MaxRank {
		return fmt.Errorf("rank %d is more than %d: %w", rank, tensor.MaxRank, op.ErrUnsupported)
	}
	t.typ.Shape = make(tensor.Shape, 0, rank)
	r := reader{in: b}
	for r.next() {
		if r.num != shapeDim {
			t.odd = true
			continue
		}
		i, extent, name := len(t.typ.Shape), int64(-1), ""
		d := reader{in: r.bytes()}
		for d.next() {
			switch d.num {
			case dimValue: // -1 is how some exporters say unknown
				if extent, name = d.int(), ""; extent < -1 || extent > math.MaxInt {
					return malformed("extent %d of axis %d is negative or too large", extent, i)
				}
			case dimParam:
				extent, name = -1, d.str()
			default:
				t.odd = true
			}
		}
		if d.err != nil {
			return d.err
		}
		t.typ.Shape = append(t.typ.Shape, int(extent))
		if name != "" && t.dims == nil {
			t.dims = make([]string, rank)
		}
		if name != "" {
			t.dims[i] = name
		}
	}
	if r.err != nil {
		return r.err
	}
	known := slices.DeleteFunc(t.typ.Shape.Clone(), func(e int) bool { return e < 0 })
	if err := known.Check(t.typ.DType, maxBytes); err != nil {
		return malformed("%w", err)
	}
	return nil
}

// apply stores what a ValueInfoProto says in v.
func (vi *valueInfo) apply(v *graph.Value) {
	v.Doc = vi.doc
	if v.Const == nil {
		v.Type, v.Dims, v.Untyped = vi.typ.typ, vi.typ.dims, vi.typ.untyped
	}
	keep(&v.Extra, keyValue, vi.left)
	if v.Const != nil {
		dropType(v)
	}
}

// dropType forgets the declared type of an initializer, which has its own.
func dropType(v *graph.Value) {
	fields := v.Extra[keyValue]
	delete(v.Extra, keyValue)
	for r := (reader{in: fields}); r.next(); {
		if r.num != valueType {
			keep(&v.Extra, keyValue, r.raw)
		}
	}
	if len(v.Extra) == 0 {
		v.Extra = nil
	}
}

// keep adds fields that are not interpreted to a map of them.
func keep(m *map[string][]byte, key string, fields []byte) {
	if len(fields) == 0 {
		return
	}
	if *m == nil {
		*m = map[string][]byte{}
	}
	(*m)[key] = append((*m)[key], fields...)
}

// encodeValueInfo returns the ValueInfoProto of v.
func encodeValueInfo(v *graph.Value) []byte {
	b := appendString(nil, valueName, v.Name)
	var typ, left []byte
	r := reader{in: v.Extra[keyValue]}
	for r.next() {
		if r.num != valueType {
			left = append(left, r.raw...)
			continue
		}
		// A type kept from the file stands as long as it says the same.
		was, err := decodeType(r.b)
		if err == nil && was.untyped == v.Untyped && was.typ.DType == v.Type.DType &&
			was.typ.Shape.Equal(v.Type.Shape) && slices.Equal(was.dims, v.Dims) {
			typ = r.raw
		}
	}
	if typ == nil {
		typ = encodeType(v)
	}
	b = append(b, typ...)
	return append(appendString(b, valueDoc, v.Doc), left...)
}

// encodeType returns the type field of a ValueInfoProto, empty where nothing
// is known.
func encodeType(v *graph.Value) []byte {
	if v.Untyped && v.Type.DType == tensor.Invalid {
		return nil
	}
	dense := appendInt(nil, tensorTypeElem, DataType(v.Type.DType))
	if !v.Untyped {
		var shape []byte
		for i, e := range v.Type.Shape {
			var dim []byte
			switch {
			case e >= 0:
				dim = appendVarint(nil, dimValue, int64(e))
			case i < len(v.Dims):
				dim = appendString(nil, dimParam, v.Dims[i])
			}
			shape = appendBytes(shape, shapeDim, dim)
		}
		dense = appendBytes(dense, tensorTypeShape, shape)
	}
	return appendBytes(nil, valueType, appendBytes(nil, typeTensor, dense))
}
