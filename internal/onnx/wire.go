package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// reader steps through the fields of one encoded message. It allocates
// nothing: everything it hands out is part of the message. The first error
// sticks and ends the steps.
type reader struct {
	in  []byte
	num protowire.Number
	typ protowire.Type
	v   uint64 // of a varint or fixed-size field
	b   []byte // of a length-delimited field
	raw []byte // tag and value
	err error
}

// next moves to the next field. It returns false at the end and on an error.
func (r *reader) next() bool {
	if r.err != nil || len(r.in) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(r.in)
	if n < 0 {
		r.fail(n)
		return false
	}
	rest := r.in[n:]
	var m int
	switch typ {
	case protowire.VarintType:
		r.v, m = protowire.ConsumeVarint(rest)
	case protowire.Fixed32Type:
		var v uint32
		v, m = protowire.ConsumeFixed32(rest)
		r.v = uint64(v)
	case protowire.Fixed64Type:
		r.v, m = protowire.ConsumeFixed64(rest)
	case protowire.BytesType:
		r.b, m = protowire.ConsumeBytes(rest)
	default:
		m = protowire.ConsumeFieldValue(num, typ, rest)
	}
	if m < 0 {
		r.fail(m)
		return false
	}
	r.num, r.typ = num, typ
	r.raw, r.in = r.in[:n+m], rest[m:]
	return true
}

func (r *reader) fail(code int) {
	r.err = malformed("%w (is the file complete?)", protowire.ParseError(code))
}

// want reports whether the field has wire type t, and otherwise fails.
func (r *reader) want(t protowire.Type) bool {
	if r.err == nil && r.typ != t {
		r.err = malformed("field %d has wire type %d, want %d", r.num, r.typ, t)
	}
	return r.err == nil
}

// bytes returns the contents of a length-delimited field, shared.
func (r *reader) bytes() []byte {
	if !r.want(protowire.BytesType) {
		return nil
	}
	return r.b[:len(r.b):len(r.b)]
}

// str returns a copy of the contents of a length-delimited field.
func (r *reader) str() string { return string(r.bytes()) }

// int returns a varint field.
func (r *reader) int() int64 {
	if !r.want(protowire.VarintType) {
		return 0
	}
	return int64(r.v)
}

// float returns a fixed32 field.
func (r *reader) float() float32 {
	if !r.want(protowire.Fixed32Type) {
		return 0
	}
	return math.Float32frombits(uint32(r.v))
}

// count returns how many times a field occurs in a message.
func count(msg []byte, num protowire.Number) (n int, err error) {
	r := reader{in: msg}
	for r.next() {
		if r.num == num {
			n++
		}
	}
	return n, r.err
}

// scalars calls f for each element of a repeated field of scalars, packed or
// not, in order. f may be nil. It returns the number of elements.
func scalars(msg []byte, num protowire.Number, typ protowire.Type, f func(uint64)) (n int, err error) {
	r := reader{in: msg}
	for r.next() {
		if r.num != num {
			continue
		}
		if r.typ != protowire.BytesType {
			if r.want(typ) {
				n++
				if f != nil {
					f(r.v)
				}
			}
			continue
		}
		m, err := packed(r.b, typ, f)
		if err != nil {
			return n, fmt.Errorf("field %d: %w", num, err)
		}
		n += m
	}
	return n, r.err
}

// packed walks the elements of one packed field.
func packed(b []byte, typ protowire.Type, f func(uint64)) (n int, err error) {
	for len(b) > 0 {
		var v uint64
		var m int
		switch typ {
		case protowire.Fixed32Type:
			var w uint32
			w, m = protowire.ConsumeFixed32(b)
			v = uint64(w)
		case protowire.Fixed64Type:
			v, m = protowire.ConsumeFixed64(b)
		default:
			v, m = protowire.ConsumeVarint(b)
		}
		if m < 0 {
			return n, malformed("%w (is the file complete?)", protowire.ParseError(m))
		}
		if n++; f != nil {
			f(v)
		}
		b = b[m:]
	}
	return n, nil
}

// The functions below append one field; those for strings and integers leave
// out the default, as protobuf does.

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return appendVarint(b, num, v)
}

// appendVarint appends an integer that is present even where it is zero.
func appendVarint(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

// appendBytes appends a length-delimited field, present even where empty.
func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendFloat(b []byte, num protowire.Number, v float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), math.Float32bits(v))
}
