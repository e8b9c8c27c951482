package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// want compares a tensor with the three numbers that the generator of the
// golden files gives to every type.
func want(t *testing.T, x *tensor.Tensor, d tensor.DType) {
	t.Helper()
	numbers := []float64{1, -2, 3}
	switch {
	case d == tensor.Bool:
		numbers = []float64{1, 0, 1}
	case d.IsUnsigned():
		numbers[1] = 0
	}
	if x == nil || x.DType != d || !x.Shape.Equal(tensor.Shape{3}) {
		t.Fatalf("tensor is %v, want %v[3]", x, d)
	}
	for i, w := range numbers {
		if v := x.Float(i); v != w {
			t.Errorf("%v element %d is %v, want %v", d, i, v, w)
		}
	}
}

var typeNames = map[string]tensor.DType{
	"float": tensor.Float32, "double": tensor.Float64, "float16": tensor.Float16, "bfloat16": tensor.BFloat16,
	"int8": tensor.Int8, "int16": tensor.Int16, "int32": tensor.Int32, "int64": tensor.Int64,
	"uint8": tensor.Uint8, "uint16": tensor.Uint16, "uint32": tensor.Uint32, "uint64": tensor.Uint64,
	"bool": tensor.Bool, "int4": tensor.Int4, "uint4": tensor.Uint4,
}

func TestTypes(t *testing.T) {
	g := roundTrip(t, golden(t, "types.onnx"))
	seen := map[string]*graph.Value{}
	for _, v := range g.Inits {
		seen[v.Name] = v
	}
	for name, d := range typeNames {
		want(t, seen["raw_"+name].Const, d)
		want(t, seen["field_"+name].Const, d)
	}
	if s := seen["scalar"].Const; len(s.Shape) != 0 || s.Float(0) != 2.5 {
		t.Errorf("scalar is %v", s)
	}
	if e := seen["empty"].Const; !e.Shape.Equal(tensor.Shape{0, 4}) || len(e.Bytes()) != 0 {
		t.Errorf("empty tensor is %v", e)
	}
}

func TestTensorFiles(t *testing.T) {
	for name, d := range typeNames {
		got, x, err := DecodeTensor(golden(t, "field_"+name+".pb"))
		if err != nil || got != "t" {
			t.Fatalf("%s: name %q, %v", name, got, err)
		}
		want(t, x, d)
		b, err := EncodeTensor(got, x)
		if err != nil {
			t.Fatal(err)
		}
		got, y, err := DecodeTensor(b)
		if err != nil || got != "t" {
			t.Fatalf("%s again: name %q, %v", name, got, err)
		}
		want(t, y, d)
	}
	for _, name := range []string{"string", "float8"} {
		if _, _, err := DecodeTensor(golden(t, name+".pb")); !errors.Is(err, op.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := DecodeTensor(nil); !errors.Is(err, ErrFormat) {
		t.Errorf("empty file: %v", err)
	}
}

// TestUnpacked reads the elements of repeated fields one by one, as writers
// may leave them.
func TestUnpacked(t *testing.T) {
	three := appendVarint(nil, tensorDims, 3)
	ints := func(field protowire.Number, typ int64) []byte {
		b := appendVarint(slices.Clone(three), tensorDataType, typ)
		for _, v := range []int64{1, -2, 3} {
			b = appendVarint(b, field, v)
		}
		return b
	}
	floats := appendVarint(slices.Clone(three), tensorDataType, 1)
	doubles := appendVarint(slices.Clone(three), tensorDataType, 11)
	for _, v := range []float64{1, -2, 3} {
		floats = appendFloat(floats, tensorFloatData, float32(v))
		doubles = protowire.AppendFixed64(protowire.AppendTag(doubles, tensorDoubleData, protowire.Fixed64Type), math.Float64bits(v))
	}
	for d, b := range map[tensor.DType][]byte{
		tensor.Int64: ints(tensorInt64Data, 7), tensor.Int32: ints(tensorInt32Data, 6), tensor.Int8: ints(tensorInt32Data, 3),
		tensor.Float32: floats, tensor.Float64: doubles,
	} {
		_, x, err := DecodeTensor(b)
		if err != nil {
			t.Errorf("%v: %v", d, err)
			continue
		}
		want(t, x, d)
	}
	// Packed extents, which no writer of ONNX makes but protobuf allows.
	b := appendBytes(nil, tensorDims, []byte{3})
	b = appendVarint(b, tensorDataType, 3)
	_, x, err := DecodeTensor(appendBytes(b, tensorRawData, []byte{1, 0xfe, 3}))
	if err != nil {
		t.Fatal(err)
	}
	want(t, x, tensor.Int8)
}

// TestShared checks that aligned weights are not copied and others are.
func TestShared(t *testing.T) {
	for shift := range 8 {
		head := appendVarint(appendVarint(nil, tensorDims, 2), tensorDataType, 1)
		head = appendString(head, tensorName, strings.Repeat("n", shift+1))
		data := appendBytes(head, tensorRawData, binary.LittleEndian.AppendUint64(nil, 0x3f8000003f800000))
		data = append(make([]byte, 0, 64), data...)
		_, x, err := DecodeTensor(data)
		if err != nil {
			t.Fatal(err)
		}
		if f := x.F32(); f[0] != 1 || f[1] != 1 {
			t.Errorf("shift %d: %v", shift, f)
		}
		data[len(data)-1] = 0
		aligned := (len(data)-8)%4 == 0
		if changed := x.F32()[1] != 1; changed != aligned {
			t.Errorf("shift %d: memory is shared %v, aligned %v", shift, changed, aligned)
		}
	}
}

func TestInitializersAmongInputs(t *testing.T) {
	g := roundTrip(t, golden(t, "ir3.onnx"))
	if g.IRVersion != 3 || g.Opset("") != 7 {
		t.Errorf("IR %d, operator set %d", g.IRVersion, g.Opset(""))
	}
	if len(g.Inputs) != 2 || len(g.Inits) != 1 || g.Inputs[1] != g.Inits[0] || g.Nodes[0].In[1] != g.Inits[0] {
		t.Fatal("w is not one value that is both input and initializer")
	}
	want(t, g.Inits[0].Const, tensor.Float32)
}

func TestSort(t *testing.T) {
	g := roundTrip(t, golden(t, "unsorted.onnx"))
	var names []string
	for _, n := range g.Nodes {
		names = append(names, n.Name)
	}
	if diff := cmp.Diff([]string{"first", "middle", "last"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestShapes(t *testing.T) {
	g := roundTrip(t, golden(t, "shapes.onnx"))
	cases := []struct {
		shape   tensor.Shape
		dims    []string
		untyped bool
	}{
		{tensor.Shape{-1, 3, -1, -1}, []string{"n", "", "height", "width"}, false},
		{tensor.Shape{-1, 3}, nil, false},
		{nil, nil, true},
		{tensor.Shape{}, nil, false},
	}
	for i, c := range cases {
		for _, v := range []*graph.Value{g.Inputs[i], g.Outputs[i]} {
			if diff := cmp.Diff(c.shape, v.Type.Shape); diff != "" || !slices.Equal(c.dims, v.Dims) || v.Untyped != c.untyped || v.Type.DType != tensor.Float32 {
				t.Errorf("%s: %v %q %v", v.Name, v.Type, v.Dims, v.Untyped)
			}
		}
	}
}

func TestAttributes(t *testing.T) {
	g := roundTrip(t, golden(t, "attributes.onnx"))
	n := g.Nodes[0]
	if n.Domain != "unknown.domain" || n.Type != "Any" || g.Opset("unknown.domain") != 3 || len(n.Out) != 2 || n.Out[1] != nil {
		t.Errorf("node is %+v", n)
	}
	want(t, n.Attrs.Get("t").Tensor, tensor.Int8)
	n.Attrs.Get("t").Tensor = nil
	expect := map[string]graph.Attr{
		"f": {Kind: graph.AttrFloat, Float: 1.5}, "i": {Kind: graph.AttrInt, Int: -7}, "s": {Kind: graph.AttrString, String: "text"},
		"t": {Kind: graph.AttrTensor}, "floats": {Kind: graph.AttrFloats, Floats: []float32{0.5, -1}},
		"ints": {Kind: graph.AttrInts, Ints: []int64{3, -1, 1 << 40}}, "strings": {Kind: graph.AttrStrings, Strings: []string{"a", "", "c"}},
		"zero": {Kind: graph.AttrInt}, "none": {Kind: graph.AttrString}, "no_ints": {Kind: graph.AttrInts, Ints: []int64{}},
	}
	if len(n.Attrs) != len(expect) {
		t.Errorf("there are %d attributes, want %d", len(n.Attrs), len(expect))
	}
	for _, a := range n.Attrs {
		e := expect[a.Name]
		e.Name = a.Name
		if diff := cmp.Diff(e, a); diff != "" {
			t.Errorf("attribute %s:\n%s", a.Name, diff)
		}
	}
}

// TestExtras checks that what is not interpreted is still there after a
// round trip.
func TestExtras(t *testing.T) {
	data := golden(t, "extras.onnx")
	g := roundTrip(t, data)
	if g.Doc != "doc of graph" || g.ModelDoc != "doc of model" || g.ModelVersion != 7 || g.Domain != "org.example" ||
		g.Producer != "onnx_files" || g.ProducerVersion != "1.2" || g.Meta("k") != "v" || len(g.Metadata) != 2 {
		t.Errorf("model is %+v", g)
	}
	if x := g.Inputs[0]; x.Doc != "doc of x" || x.Dims[0] != "batch" || x.Type.String() != "float32[?x3]" {
		t.Errorf("input is %+v", x)
	}
	if g.Nodes[0].Doc != "doc of abs" || g.Nodes[0].Out[0].Type.String() != "float32[?x3]" {
		t.Errorf("first node is %+v", g.Nodes[0])
	}
	if c := g.Nodes[1]; c.Type != "Constant" || c.Attrs.Get("value").Tensor.Int(0) != 1 || c.Out[0].Const != nil {
		t.Errorf("Constant is %+v", c)
	}
	if a := g.Nodes[2].Attrs.Get("then_branch"); a.Kind != graph.AttrGraph || len(a.Raw) == 0 {
		t.Errorf("subgraph is %+v", a)
	}
	if in := g.Nodes[4].In; len(in) != 3 || in[1] != nil || in[2] != g.Inits[0] {
		t.Errorf("inputs of Clip are %v", in)
	}
	written, err := Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	// These words stand in parts of the file that Graph has no place for.
	for _, word := range []string{"IMAGE", "DATA_BATCH", "doc of high", "name of c", "of_nothing", "Twice", "then", "SCALE_TENSOR", "sparse"} {
		if a, b := bytes.Count(data, []byte(word)), bytes.Count(written, []byte(word)); a == 0 || a != b {
			t.Errorf("%q stood %d times in the file and stands %d times in what is written", word, a, b)
		}
	}
	if a, b := bytes.Count(data, []byte("mk")), bytes.Count(written, []byte("mk")); a != 4 || b != 4 {
		t.Errorf("there were %d metadata entries of parts, there are %d", a, b)
	}
	// A type that has changed takes the place of the one that was carried.
	x := g.Inputs[0]
	x.Type, x.Dims = tensor.Of(tensor.Float32, 1, 3), nil
	if written, err = Encode(g); err != nil {
		t.Fatal(err)
	}
	if g, err = Decode(written, Option{}); err != nil || g.Inputs[0].Type.String() != "float32[1x3]" {
		t.Errorf("the changed type is %v, %v", g.Inputs[0].Type, err)
	}
}

func TestExternalData(t *testing.T) {
	g, err := Open(filepath.Join("testdata", "external.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, g.Inits[0].Const, tensor.Float32)
	want(t, g.Inits[1].Const, tensor.Int64)
	path := filepath.Join(t.TempDir(), "inside.onnx")
	if err := Save(path, g); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	want(t, again.Inits[0].Const, tensor.Float32)
	want(t, again.Inits[1].Const, tensor.Int64)
	if _, err := Decode(golden(t, "external.onnx"), Option{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "external.bin") {
		t.Errorf("without a folder: %v", err)
	}
}

// TestEncodeErrors gives Encode graphs that nobody could read.
func TestEncodeErrors(t *testing.T) {
	cases := map[string]func(g *graph.Graph){
		"no outputs":     func(g *graph.Graph) { g.Outputs = nil },
		"operator set":   func(g *graph.Graph) { g.Opsets = nil },
		"older than":     func(g *graph.Graph) { g.IRVersion = 2 },
		"used twice":     func(g *graph.Graph) { g.Nodes[0].Out[0].Name = "x" },
		"no name":        func(g *graph.Graph) { g.Inputs[0].Name = "" },
		"no contents":    func(g *graph.Graph) { g.Inits[0].Const = nil },
		"listed twice":   func(g *graph.Graph) { g.Inits = append(g.Inits, g.Inits[0]) },
		"not among":      func(g *graph.Graph) { g.Nodes[0].In[0] = &graph.Value{Name: "other"} },
		"no node":        func(g *graph.Graph) { g.Outputs[0] = &graph.Value{Name: "other"} },
		"unsupported":    func(g *graph.Graph) { g.Inits[0].Const = &tensor.Tensor{} },
		"bytes of data":  func(g *graph.Graph) { g.Inits[0].Const = &tensor.Tensor{DType: tensor.Int8, Shape: tensor.Shape{9}} },
		"has no tensor":  func(g *graph.Graph) { g.Nodes[0].Attrs = graph.Attrs{{Name: "t", Kind: graph.AttrTensor}} },
		"encoded form":   func(g *graph.Graph) { g.Nodes[0].Attrs = graph.Attrs{{Name: "t", Kind: graph.AttrGraph}} },
		"it has no name": func(g *graph.Graph) { g.Nodes[0].Attrs = graph.Attrs{{Kind: graph.AttrInt}} },
	}
	for word, spoil := range cases {
		g, err := Decode(golden(t, "ir3.onnx"), Option{})
		if err != nil {
			t.Fatal(err)
		}
		spoil(g)
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := Save(path, g); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a file is left behind (%v)", word, err)
		}
	}
}

// TestIRVersion checks the version of graphs that an older one cannot hold,
// and of graphs that name none.
func TestIRVersion(t *testing.T) {
	g, err := Decode(golden(t, "ir3.onnx"), Option{})
	if err != nil {
		t.Fatal(err)
	}
	g.Inputs = g.Inputs[:1]
	for from, to := range map[int64]int64{3: 4, 7: 7, 0: 8} {
		g.IRVersion = from
		data, err := Encode(g)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(data, Option{})
		if err != nil || again.IRVersion != to {
			t.Errorf("IR version %d is written as %d, want %d (%v)", from, again.IRVersion, to, err)
		}
	}
}
