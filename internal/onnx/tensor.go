package onnx

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Field numbers of TensorProto.
const (
	tensorDims         = 1
	tensorDataType     = 2
	tensorFloatData    = 4
	tensorInt32Data    = 5
	tensorStringData   = 6
	tensorInt64Data    = 7
	tensorName         = 8
	tensorRawData      = 9
	tensorDoubleData   = 10
	tensorUint64Data   = 11
	tensorExternalData = 13
	tensorDataLocation = 14
)

// elemTypes are the values of TensorProto.DataType: its name in errors, the
// element type, and the field that holds elements where raw_data does not.
var elemTypes = [...]struct {
	name  string
	dtype tensor.DType
	field protowire.Number
}{
	0:  {"undefined", tensor.Invalid, 0},
	1:  {"float32", tensor.Float32, tensorFloatData},
	2:  {"uint8", tensor.Uint8, tensorInt32Data},
	3:  {"int8", tensor.Int8, tensorInt32Data},
	4:  {"uint16", tensor.Uint16, tensorInt32Data},
	5:  {"int16", tensor.Int16, tensorInt32Data},
	6:  {"int32", tensor.Int32, tensorInt32Data},
	7:  {"int64", tensor.Int64, tensorInt64Data},
	8:  {"string", tensor.Invalid, 0},
	9:  {"bool", tensor.Bool, tensorInt32Data},
	10: {"float16", tensor.Float16, tensorInt32Data},
	11: {"float64", tensor.Float64, tensorDoubleData},
	12: {"uint32", tensor.Uint32, tensorUint64Data},
	13: {"uint64", tensor.Uint64, tensorUint64Data},
	14: {"complex64", tensor.Invalid, 0},
	15: {"complex128", tensor.Invalid, 0},
	16: {"bfloat16", tensor.BFloat16, tensorInt32Data},
	17: {"float8e4m3fn", tensor.Invalid, 0},
	18: {"float8e4m3fnuz", tensor.Invalid, 0},
	19: {"float8e5m2", tensor.Invalid, 0},
	20: {"float8e5m2fnuz", tensor.Invalid, 0},
	21: {"uint4", tensor.Uint4, tensorInt32Data},
	22: {"int4", tensor.Int4, tensorInt32Data},
	23: {"float4e2m1", tensor.Invalid, 0},
	24: {"float8e8m0", tensor.Invalid, 0},
	25: {"uint2", tensor.Invalid, 0},
	26: {"int2", tensor.Invalid, 0},
	27: {"float6e2m3", tensor.Invalid, 0},
	28: {"float6e3m2", tensor.Invalid, 0},
}

// elemType returns the element type of a TensorProto.DataType number, Invalid
// where there is none, and the number's name for errors.
func elemType(n int64) (tensor.DType, string) {
	if n < 0 || n >= int64(len(elemTypes)) {
		return tensor.Invalid, "number " + strconv.FormatInt(n, 10)
	}
	return elemTypes[n].dtype, elemTypes[n].name
}

// DataType returns the number that ONNX gives to an element type
// (TensorProto.DataType), 0 where it has none.
func DataType(d tensor.DType) int64 {
	for n, e := range elemTypes {
		if e.dtype == d {
			return int64(n)
		}
	}
	return 0
}

// DecodeTensor reads a TensorProto, as .pb files of operator cases hold it.
// The tensor may share data. External data is refused. Errors wrap ErrFormat,
// or op.ErrUnsupported for an element type that edgecam does not have.
func DecodeTensor(data []byte) (name string, t *tensor.Tensor, err error) {
	d := newDecoder(data, Option{})
	name, t, _, err = d.tensor(data)
	if err != nil {
		return name, nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return name, t, nil
}

// EncodeTensor writes a TensorProto with its elements in raw_data.
func EncodeTensor(name string, t *tensor.Tensor) ([]byte, error) {
	head, raw, err := tensorParts(name, t)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return append(head, raw...), nil
}

// tensor decodes a TensorProto. left holds the fields that are not
// interpreted. The name is valid even where there is an error.
func (d *decoder) tensor(b []byte) (name string, t *tensor.Tensor, left []byte, err error) {
	var typ, location int64
	var raw []byte
	r := reader{in: b}
	for r.next() {
		switch r.num {
		case tensorDims, tensorFloatData, tensorInt32Data, tensorInt64Data, tensorDoubleData, tensorUint64Data, tensorExternalData:
		case tensorDataType:
			typ = r.int()
		case tensorName:
			name = r.str()
		case tensorRawData:
			raw = r.bytes()
		case tensorDataLocation:
			location = r.int()
		default:
			left = append(left, r.raw...)
		}
	}
	if r.err != nil {
		return name, nil, nil, r.err
	}
	if typ == 0 {
		return name, nil, nil, malformed("it has no element type")
	}
	dtype, typeName := elemType(typ)
	if dtype == tensor.Invalid {
		return name, nil, nil, fmt.Errorf("element type %s: %w", typeName, op.ErrUnsupported)
	}
	shape, err := tensorShape(b, dtype)
	if err != nil {
		return name, nil, nil, err
	}
	switch {
	case location == 1:
		t, err = d.external(b, dtype, shape)
	case raw != nil:
		if d.lent {
			raw, err = d.own(raw)
		}
		if err == nil {
			t, err = fromRaw(dtype, shape, raw)
		}
	default:
		t, err = fromField(dtype, shape, b, elemTypes[typ].field)
	}
	return name, t, left, err
}

// tensorShape reads the extents of a TensorProto. Their product is known to
// fit an int, counted in bytes.
func tensorShape(b []byte, dtype tensor.DType) (tensor.Shape, error) {
	rank, err := scalars(b, tensorDims, protowire.VarintType, nil)
	if err != nil {
		return nil, err
	}
	if rank > tensor.MaxRank {
		return nil, fmt.Errorf("rank %d is more than %d: %w", rank, tensor.MaxRank, op.ErrUnsupported)
	}
	shape, fits := make(tensor.Shape, 0, rank), true
	_, err = scalars(b, tensorDims, protowire.VarintType, func(v uint64) {
		fits = fits && v <= math.MaxInt
		shape = append(shape, int(v))
	})
	if err != nil {
		return nil, err
	}
	if !fits {
		return nil, malformed("an extent is negative or too large: %v", []int(shape))
	}
	if err := shape.Check(dtype, maxBytes); err != nil {
		return nil, malformed("%w", err)
	}
	return shape, nil
}

// maxBytes bounds the size of a tensor, so that sums of a few cannot overflow.
const maxBytes = math.MaxInt / 2

// rawBytes returns the bytes that the elements take in a file.
func rawBytes(dtype tensor.DType, elems int) int {
	if dtype == tensor.Int4 || dtype == tensor.Uint4 {
		return elems/2 + elems%2
	}
	return elems * dtype.Size()
}

// noData describes a tensor without elements where its shape asks for some.
func noData(dtype tensor.DType, shape tensor.Shape) error {
	return malformed("%v has no data: the file holds the graph without its weights; export it again with them", tensor.Type{DType: dtype, Shape: shape})
}

// own copies elements out of a file that is only lent. Those of all
// initializers have room in one piece.
func (d *decoder) own(raw []byte) ([]byte, error) {
	if d.room == nil {
		n, err := d.roomForInits()
		if err != nil {
			return nil, err
		}
		if d.room = tensor.Alloc(n); n == 0 {
			d.room = []byte{}
		}
	}
	n := len(raw)
	if n > len(d.room) { // of an attribute
		return append(tensor.Alloc(n)[:0], raw...), nil
	}
	copied := d.room[:n:n]
	d.room = d.room[min(roomFor(n), len(d.room)):]
	copy(copied, raw)
	return copied, nil
}

// roomFor returns what n bytes take where the next start at a cache line.
func roomFor(n int) int { return (n + 63) &^ 63 }

// roomForInits returns what the elements in the raw_data of all initializers
// take.
func (d *decoder) roomForInits() (n int, err error) {
	g := reader{in: d.body}
	for g.next() {
		if g.num != graphInitializer {
			continue
		}
		t := reader{in: g.b}
		for t.next() {
			if t.num == tensorRawData {
				n += roomFor(len(t.b))
			}
		}
		if t.err != nil {
			return 0, t.err
		}
	}
	return n, g.err
}

// fromRaw makes a tensor of little-endian elements. It shares raw where the
// elements need no change and are aligned.
func fromRaw(dtype tensor.DType, shape tensor.Shape, raw []byte) (*tensor.Tensor, error) {
	n := shape.Elems()
	if want := rawBytes(dtype, n); len(raw) != want {
		if len(raw) == 0 {
			return nil, noData(dtype, shape)
		}
		return nil, malformed("%v needs %d bytes of raw_data, there are %d", tensor.Type{DType: dtype, Shape: shape}, want, len(raw))
	}
	aligned := len(raw) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(raw)))%uintptr(dtype.Size()) == 0
	if aligned && dtype != tensor.Bool && dtype != tensor.Int4 && dtype != tensor.Uint4 {
		return &tensor.Tensor{DType: dtype, Shape: shape, Data: raw}, nil
	}
	t := tensor.New(dtype, shape...)
	switch dtype {
	case tensor.Bool:
		for i, v := range raw {
			t.SetInt(i, int64(v))
		}
	case tensor.Int4, tensor.Uint4:
		for i := range n {
			t.SetInt(i, int64(raw[i/2]>>(i%2*4)))
		}
	default:
		copy(t.Data, raw)
	}
	return t, nil
}

// fromField makes a tensor of the elements in one of the typed fields of a
// TensorProto. Types narrower than the field keep its low bits, float16 and
// bfloat16 are bit patterns, int4 and uint4 come in pairs, low half first.
func fromField(dtype tensor.DType, shape tensor.Shape, b []byte, field protowire.Number) (*tensor.Tensor, error) {
	wire := protowire.VarintType
	switch field {
	case tensorFloatData:
		wire = protowire.Fixed32Type
	case tensorDoubleData:
		wire = protowire.Fixed64Type
	}
	have, err := scalars(b, field, wire, nil)
	if err != nil {
		return nil, err
	}
	n := shape.Elems()
	want, half := n, dtype == tensor.Int4 || dtype == tensor.Uint4
	if half {
		want = rawBytes(dtype, n)
	}
	if have == 0 && want > 0 {
		return nil, noData(dtype, shape)
	}
	if have != want {
		return nil, malformed("%v needs %d elements, there are %d", tensor.Type{DType: dtype, Shape: shape}, want, have)
	}
	t, i := tensor.New(dtype, shape...), 0
	_, err = scalars(b, field, wire, func(v uint64) {
		switch dtype {
		case tensor.Float32:
			tensor.View[uint32](t)[i] = uint32(v)
		case tensor.Float64:
			tensor.View[uint64](t)[i] = v
		case tensor.Float16, tensor.BFloat16:
			tensor.View[uint16](t)[i] = uint16(v)
		case tensor.Int4, tensor.Uint4:
			t.SetInt(i, int64(v&15))
			if i++; i < n {
				t.SetInt(i, int64(v>>4&15))
			}
		default:
			t.SetInt(i, int64(v))
		}
		i++
	})
	return t, err
}

// tensorParts encodes a TensorProto as its leading fields and the elements
// that follow them. raw shares the tensor's memory where it can.
func tensorParts(name string, t *tensor.Tensor) (head, raw []byte, err error) {
	typ := DataType(t.DType)
	if typ == 0 {
		return nil, nil, fmt.Errorf("element type %v: %w", t.DType, op.ErrUnsupported)
	}
	if err := t.Shape.Check(t.DType, maxBytes); err != nil {
		return nil, nil, err
	}
	n := t.Elems()
	if len(t.Data) < n*t.DType.Size() {
		return nil, nil, fmt.Errorf("%v has only %d bytes of data", t.Type(), len(t.Data))
	}
	for _, e := range t.Shape {
		head = appendVarint(head, tensorDims, int64(e))
	}
	head = appendString(appendVarint(head, tensorDataType, typ), tensorName, name)
	if n == 0 { // the checker wants no data field at all
		return head, nil, nil
	}
	raw = t.Bytes()
	if t.DType == tensor.Int4 || t.DType == tensor.Uint4 {
		raw = make([]byte, rawBytes(t.DType, n))
		for i, v := range t.Data[:n] {
			raw[i/2] |= v & 15 << (i % 2 * 4)
		}
	}
	head = protowire.AppendVarint(protowire.AppendTag(head, tensorRawData, protowire.BytesType), uint64(len(raw)))
	return slices.Clip(head), raw, nil
}
