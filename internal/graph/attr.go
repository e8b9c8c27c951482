package graph

import (
	"math"

	"github.com/edgecam/edgecam/internal/tensor"
)

// AttrKind tells which field of an Attr is set; the numbers are ONNX's.
type AttrKind int

// The attribute kinds of ONNX that edgecam interprets. Any other kind is kept
// in Raw and written back unchanged.
const (
	AttrFloat   AttrKind = 1
	AttrInt     AttrKind = 2
	AttrString  AttrKind = 3
	AttrTensor  AttrKind = 4
	AttrGraph   AttrKind = 5
	AttrFloats  AttrKind = 6
	AttrInts    AttrKind = 7
	AttrStrings AttrKind = 8
)

// Attr is one attribute of a node.
type Attr struct {
	Name    string
	Kind    AttrKind
	Float   float32
	Int     int64
	String  string
	Tensor  *tensor.Tensor
	Floats  []float32
	Ints    []int64
	Strings []string
	Raw     []byte // the encoded AttributeProto of a kind that is not interpreted (subgraphs)
	Extra   []byte // fields of the file's AttributeProto that an interpreted kind leaves over
}

// Attrs holds a node's attributes in file order.
type Attrs []Attr

// Get returns the attribute of that name, or nil.
func (a Attrs) Get(name string) *Attr {
	for i := range a {
		if a[i].Name == name {
			return &a[i]
		}
	}
	return nil
}

// Int returns an integer attribute, or def where it is absent.
func (a Attrs) Int(name string, def int) int {
	if x := a.Get(name); x != nil && x.Kind == AttrInt {
		return held(x.Int)
	}
	return def
}

// Float returns a float attribute, or def where it is absent.
func (a Attrs) Float(name string, def float32) float32 {
	if x := a.Get(name); x != nil && x.Kind == AttrFloat {
		return x.Float
	}
	return def
}

// String returns a string attribute, or def where it is absent.
func (a Attrs) String(name, def string) string {
	if x := a.Get(name); x != nil && x.Kind == AttrString {
		return x.String
	}
	return def
}

// Ints returns a copy of an integer-list attribute, or nil where it is absent.
func (a Attrs) Ints(name string) []int {
	x := a.Get(name)
	if x == nil || x.Kind != AttrInts {
		return nil
	}
	out := make([]int, len(x.Ints))
	for i, v := range x.Ints {
		out[i] = held(v)
	}
	return out
}

// held returns v, or the nearest int where that has 32 bits, so that "to the
// end" keeps its meaning.
func held(v int64) int { return int(min(max(v, math.MinInt), math.MaxInt)) }

// Floats returns a float-list attribute, or nil where it is absent.
func (a Attrs) Floats(name string) []float32 {
	if x := a.Get(name); x != nil && x.Kind == AttrFloats {
		return x.Floats
	}
	return nil
}

// Has reports whether the attribute is present.
func (a Attrs) Has(name string) bool { return a.Get(name) != nil }
