package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgecam/edgecam/internal/op"
)

// The functions below build files by hand, well formed or not.

func msg(parts ...[]byte) []byte { return slices.Concat(parts...) }

func sub(num protowire.Number, parts ...[]byte) []byte { return appendBytes(nil, num, msg(parts...)) }

func str(num protowire.Number, s string) []byte { return appendBytes(nil, num, []byte(s)) }

func num(n protowire.Number, v int64) []byte { return appendVarint(nil, n, v) }

// file is a model of IR version 8 and operator set 17 around graph fields.
func file(fields ...[]byte) []byte {
	return msg(num(modelIRVersion, 8), sub(modelOpset, num(opsetVersion, 17)), sub(modelGraph, fields...))
}

// value is a float32 ValueInfoProto under the given graph field.
func value(field protowire.Number, name string, dims ...int64) []byte {
	var shape []byte
	for _, d := range dims {
		shape = append(shape, sub(shapeDim, num(dimValue, d))...)
	}
	return sub(field, str(valueName, name), sub(valueType, sub(typeTensor, num(tensorTypeElem, 1), sub(tensorTypeShape, shape))))
}

func node(typ, in, out string) []byte {
	return sub(graphNode, str(nodeInput, in), str(nodeOutput, out), str(nodeOpType, typ))
}

func initializer(name string, typ int64, parts ...[]byte) []byte {
	return sub(graphInitializer, str(tensorName, name), num(tensorDataType, typ), msg(parts...))
}

var (
	in  = value(graphInput, "x", 2)
	out = value(graphOutput, "y", 2)
	abs = node("Abs", "x", "y")
)

func TestBad(t *testing.T) {
	dims := func(d ...int64) (b []byte) {
		for _, v := range d {
			b = append(b, num(tensorDims, v)...)
		}
		return b
	}
	raw := func(n int) []byte { return appendBytes(nil, tensorRawData, make([]byte, n)) }
	cases := []struct {
		name string
		data []byte
		is   error
		says []string
	}{
		{"empty", nil, ErrFormat, []string{"empty"}},
		{"text", []byte("hello, this is no model"), ErrFormat, nil},
		{"zip", []byte("PK\x03\x04 and so on"), ErrFormat, []string{"export it to ONNX"}},
		{"tflite", []byte("\x1c\x00\x00\x00TFL3....."), ErrFormat, []string{"edgecam convert"}},
		{"lfs", []byte("version https://git-lfs.github.com/spec/v1\n"), ErrFormat, []string{"git lfs pull"}},
		{"jpeg", []byte("\xff\xd8\xff\xe0\x00\x10JFIF"), ErrFormat, nil},
		{"no graph", msg(num(1, 8), sub(8, num(2, 17))), ErrFormat, []string{"no graph"}},
		{"two graphs", msg(file(in, abs, out), sub(modelGraph)), ErrFormat, []string{"two graphs"}},
		{"no IR version", msg(sub(8, num(2, 17)), sub(7, in, abs, out)), ErrFormat, []string{"IR version"}},
		{"no operator set", msg(num(1, 8), sub(7, in, abs, out)), ErrFormat, []string{"no operator set"}},
		{"new operator set", msg(num(1, 8), sub(8, num(2, 29)), sub(7, in, abs, out)), op.ErrUnsupported, []string{"29", "28", "opset_version"}},
		{"operator set 0", msg(num(1, 8), sub(8, num(2, 0)), sub(7, in, abs, out)), ErrFormat, nil},
		{"operator set twice", msg(num(1, 8), sub(8, num(2, 9)), sub(8, num(2, 17)), sub(7, in, abs, out)), ErrFormat, []string{"twice"}},
		{"other operator set", msg(num(1, 8), sub(8, str(1, "x"), num(2, 1)), sub(7, in, abs, out)), ErrFormat, []string{"ai.onnx"}},
		{"no outputs", file(in, abs), ErrFormat, []string{"no outputs"}},
		{"output of nothing", file(in, abs, value(graphOutput, "other", 2)), ErrFormat, []string{`"other"`, "output 0"}},
		{"output twice", file(in, abs, out, out), ErrFormat, []string{`"y"`, "twice"}},
		{"output without name", file(in, abs, value(graphOutput, "", 2)), ErrFormat, []string{"no name"}},
		{"missing tensor", file(in, node("Abs", "lost", "y"), out), ErrFormat, []string{`"lost"`, "Abs", "node 0"}},
		{"cycle", file(in, node("Abs", "b", "a"), node("Neg", "a", "b"), node("Abs", "b", "y"), out), ErrFormat, []string{"cycle", `"`, "node"}},
		{"own input", file(in, node("Abs", "y", "y"), out), ErrFormat, []string{"cycle", `"y"`}},
		{"input twice", file(in, in, abs, out), ErrFormat, []string{`"x"`, "input"}},
		{"output name of an input", file(in, node("Abs", "x", "x"), out), ErrFormat, []string{`"x"`, "input"}},
		{"two producers", file(in, abs, node("Neg", "x", "y"), out), ErrFormat, []string{`"y"`, "Abs", "Neg"}},
		{"initializer twice", file(initializer("w", 3, dims(1), raw(1)), initializer("w", 3, dims(1), raw(1)), in, abs, out), ErrFormat, []string{`"w"`}},
		{"initializer without name", file(initializer("", 3, dims(1), raw(1)), in, abs, out), ErrFormat, []string{"no name"}},
		{"initializer and node", file(initializer("y", 3, dims(1), raw(1)), in, abs, out), ErrFormat, []string{`"y"`, "initializer"}},
		{"initializer unlike input", file(initializer("x", 3, dims(2), raw(2)), in, abs, out), ErrFormat, []string{"int8", "float32"}},
		{"no operator", file(in, sub(graphNode, str(nodeInput, "x"), str(nodeOutput, "y")), out), ErrFormat, []string{"operator type"}},
		{"no node output", file(in, sub(graphNode, str(nodeOpType, "Abs")), abs, out), ErrFormat, []string{"no output"}},
		{"negative extent", file(value(graphInput, "x", -2), abs, out), ErrFormat, []string{`"x"`, "-2"}},
		{"overflowing extents", file(value(graphInput, "x", 1<<40, 1<<40), abs, out), ErrFormat, []string{`"x"`}},
		{"rank 9", file(value(graphInput, "x", 1, 1, 1, 1, 1, 1, 1, 1, 1), abs, out), op.ErrUnsupported, []string{`"x"`, "rank 9"}},
		{"sequence input", file(sub(graphInput, str(1, "x"), sub(2, sub(4))), abs, out), op.ErrUnsupported, []string{`"x"`, "sequence"}},
		{"map input", file(sub(graphInput, str(1, "x"), sub(2, sub(5))), abs, out), op.ErrUnsupported, []string{`"x"`, "map"}},
		{"optional input", file(sub(graphInput, str(1, "x"), sub(2, sub(9))), abs, out), op.ErrUnsupported, []string{`"x"`, "optional"}},
		{"string input", file(sub(graphInput, str(1, "x"), sub(2, sub(1, num(1, 8)))), abs, out), op.ErrUnsupported, []string{`"x"`, "string"}},
		{"unknown element type", file(initializer("w", 99, dims(1), raw(1)), in, abs, out), op.ErrUnsupported, []string{`"w"`, "99"}},
		{"no element type", file(initializer("w", 0, dims(1), raw(1)), in, abs, out), ErrFormat, []string{`"w"`}},
		{"float8 weights", file(initializer("w", 17, dims(1), raw(1)), in, abs, out), op.ErrUnsupported, []string{`"w"`, "float8e4m3fn"}},
		{"no weights", file(initializer("w", 1, dims(4, 4)), in, abs, out), ErrFormat, []string{`"w"`, "float32[4x4]", "weights"}},
		{"empty raw_data", file(initializer("w", 1, dims(4), raw(0)), in, abs, out), ErrFormat, []string{`"w"`, "weights"}},
		{"huge extent", file(initializer("w", 1, dims(1<<50), raw(4)), in, abs, out), ErrFormat, []string{`"w"`}},
		{"overflowing tensor", file(initializer("w", 1, dims(1<<32, 1<<32, 2), raw(4)), in, abs, out), ErrFormat, []string{`"w"`}},
		{"negative tensor", file(initializer("w", 1, dims(-1), raw(4)), in, abs, out), ErrFormat, []string{`"w"`, "negative"}},
		{"too little data", file(initializer("w", 1, dims(3), raw(8)), in, abs, out), ErrFormat, []string{"12", "8"}},
		{"too much data", file(initializer("w", 22, dims(3), raw(3)), in, abs, out), ErrFormat, []string{"2 bytes"}},
		{"too few elements", file(initializer("w", 1, dims(3), appendFloat(nil, tensorFloatData, 1)), in, abs, out), ErrFormat, []string{"3", "1"}},
		{"elements of other width", file(initializer("w", 1, dims(1), num(tensorFloatData, 1)), in, abs, out), ErrFormat, []string{"wire type"}},
		{"name is a number", file(in, sub(graphNode, num(nodeName, 1)), abs, out), ErrFormat, []string{"wire type"}},
		{"attribute without type", file(in, sub(graphNode, str(4, "Abs"), str(2, "y"), str(1, "x"), sub(5, str(1, "a"))), out), ErrFormat, []string{`"a"`, "Abs"}},
		{"attribute twice", file(in, sub(graphNode, str(4, "Abs"), str(2, "y"), str(1, "x"), sub(5, str(1, "a"), num(3, 1)), sub(5, str(1, "a"), num(3, 1))), out), ErrFormat, []string{`"a"`, "twice"}},
		{"attribute of type 99", file(in, sub(graphNode, str(4, "Abs"), str(2, "y"), str(1, "x"), sub(5, str(1, "a"), num(20, 99))), out), ErrFormat, []string{"99"}},
		{"string attribute tensor", file(in, sub(graphNode, str(4, "Abs"), str(2, "y"), str(1, "x"), sub(5, str(1, "a"), num(20, 4), sub(5, num(2, 8)))), out), op.ErrUnsupported, []string{`"a"`, "string"}},
		{"group without end", msg(file(in, abs, out), []byte{99<<3&0x7f | 3}), ErrFormat, nil},
		{"deep groups", msg(file(in, abs, out), bytes.Repeat([]byte{0x0b}, 1<<16)), ErrFormat, nil},
		{"sparse initializer", file(in, node("Abs", "s", "y"), out, sub(graphSparse, sub(sparseValues, str(tensorName, "s")))), op.ErrUnsupported, []string{`"s"`, "sparse"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.data, Option{})
			if !errors.Is(err, c.is) {
				t.Fatalf("error is %v", err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error does not say %s: %v", s, err)
				}
			}
		})
	}
}

// TestGood takes what looks odd but is allowed.
func TestGood(t *testing.T) {
	for name, data := range map[string][]byte{
		"pass-through":      file(in, value(graphOutput, "x", 2)),
		"unknown extent -1": file(value(graphInput, "x", -1), abs, out),
		"zero extent":       file(value(graphInput, "x", 0), abs, out),
		"no type":           file(sub(graphInput, str(valueName, "x")), abs, sub(graphOutput, str(valueName, "y"))),
		"sequence output":   file(in, abs, sub(graphOutput, str(1, "y"), sub(2, sub(4)))),
		"attribute by value": file(in, sub(graphNode, str(4, "Abs"), str(2, "y"), str(1, "x"),
			sub(5, str(1, "a"), num(3, 1)), sub(5, str(1, "b"), appendFloat(nil, 2, 1))), out),
		"zero-size tensor": file(in, abs, out, initializer("w", 1, num(tensorDims, 0), num(tensorDims, 1<<40))),
		"unlisted in IR 3": msg(num(1, 3), sub(8, num(2, 7)), sub(7, in, abs, out, initializer("w", 3, appendBytes(nil, tensorRawData, []byte{1})))),
		"optional output":  file(in, sub(graphNode, str(4, "Abs"), str(2, ""), str(2, "y"), str(1, "x"), str(1, "")), out),
		"unknown fields":   msg(file(in, abs, out, str(99, "kept"), num(98, 7)), str(97, "kept"), []byte{0x4b, 0x4c}),
		"group":            msg([]byte{0xfb, 0x07, 0xfc, 0x07}, file(in, abs, out)),
		"odd input of an initializer": file(sub(graphInput, str(1, "x"), sub(2, str(6, "denotation"), sub(1, num(1, 1)))), abs, out,
			initializer("x", 1, num(tensorDims, 1), appendFloat(nil, tensorFloatData, 1))),
		"attribute fields before the tensor": file(in, sub(graphNode, str(4, "Abs"), str(2, "y"), str(1, "x"),
			sub(5, str(1, "a"), str(99, "before"), sub(5, num(2, 3), str(8, "t"), appendBytes(nil, 9, []byte{1})), str(98, "after"), num(20, 4))), out),
	} {
		t.Run(name, func(t *testing.T) { roundTrip(t, data) })
	}
}

// TestDamaged cuts a model at every byte and changes every byte of it: an
// error or a graph that can be written, never a panic.
func TestDamaged(t *testing.T) {
	for _, name := range []string{"extras.onnx", "types.onnx"} {
		data := golden(t, name)
		for i := range data {
			if _, err := Decode(data[:i], Option{}); err != nil {
				check1(t, name, i, err)
			}
			for _, flip := range []byte{1, 0x80, 0xff} {
				b := bytes.Clone(data)
				b[i] ^= flip
				g, err := Decode(b, Option{})
				if err != nil {
					check1(t, name, i, err)
				} else if _, err := Encode(g); err != nil {
					t.Errorf("%s, byte %d ^ %#x: what was read cannot be written: %v", name, i, flip, err)
				}
			}
		}
	}
	// A cut inside the graph is always an error.
	data := golden(t, "ir3.onnx")
	for i := range data[:60] {
		if _, err := Decode(data[:i], Option{}); !errors.Is(err, ErrFormat) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func check1(t *testing.T, name string, i int, err error) {
	t.Helper()
	if !errors.Is(err, ErrFormat) && !errors.Is(err, op.ErrUnsupported) {
		t.Errorf("%s, byte %d: %v", name, i, err)
	}
}

// TestMemory decodes files that ask for much more than they hold. All that
// is allocated, also what is freed again, stays below a multiple of the size.
func TestMemory(t *testing.T) {
	const size = 1 << 20
	fill := func(one func(i int) []byte) (b []byte) {
		for i := 0; len(b) < size; i++ {
			b = append(b, one(i)...)
		}
		return b
	}
	same := func(part []byte) []byte { return fill(func(int) []byte { return part }) }
	id := func(i int) string { return fmt.Sprintf("%x", i) }
	attr := func(parts ...[]byte) []byte {
		return file(in, sub(graphNode, str(4, "Abs"), str(1, "x"), str(2, "y"), sub(5, str(1, "a"), msg(parts...))), out)
	}
	var attrs []byte
	for i := range 200 {
		attrs = append(attrs, sub(nodeAttribute, str(attrName, id(i)), num(attrType, 2))...)
	}
	weights := func(typ, n int64, data []byte) []byte {
		return file(in, abs, out, initializer("w", typ, num(tensorDims, n), data))
	}
	cases := map[string][]byte{
		"nodes":           file(in, abs, out, fill(func(i int) []byte { return node("A", "x", id(i)) })),
		"node outputs":    file(in, out, sub(graphNode, str(4, "A"), str(2, "y"), fill(func(i int) []byte { return str(2, id(i)) }))),
		"node inputs":     file(in, out, sub(graphNode, str(4, "A"), str(2, "y"), same(str(1, "")))),
		"empty nodes":     file(in, out, abs, same(sub(graphNode))),
		"attributes":      file(in, out, abs, fill(func(i int) []byte { return sub(graphNode, str(4, "A"), str(2, id(i)), attrs) })),
		"many attributes": file(in, out, sub(graphNode, str(4, "A"), str(2, "y"), fill(func(i int) []byte { return sub(5, str(1, id(i))) }))),
		"graph inputs":    file(abs, in, out, fill(func(i int) []byte { return sub(graphInput, str(1, id(i))) })),
		"outputs":         file(in, abs, fill(func(i int) []byte { return sub(graphOutput, str(1, "y")) })),
		"initializers":    file(in, abs, out, fill(func(i int) []byte { return initializer(id(i), 3, num(1, 0)) })),
		"value infos":     file(in, abs, out, fill(func(i int) []byte { return sub(graphValueInfo, str(1, id(i))) })),
		"metadata":        msg(file(in, abs, out), same(sub(modelMetadata))),
		"operator sets":   msg(file(in, abs, out), fill(func(i int) []byte { return sub(modelOpset, str(1, id(i))) })),
		"unknown fields":  msg(file(in, abs, out), same(num(99, 1))),
		"packed ints":     attr(num(20, 7), appendBytes(nil, attrInts, make([]byte, size))),
		"ints":            attr(num(20, 7), same(num(attrInts, 0))),
		"strings":         attr(num(20, 8), same(str(attrStrings, ""))),
		"packed int64":    weights(7, size, appendBytes(nil, tensorInt64Data, make([]byte, size))),
		"int64":           weights(7, size/2, same(num(tensorInt64Data, 0))),
		"int4":            weights(22, 2*size, appendBytes(nil, tensorRawData, make([]byte, size))),
		"uint64":          weights(13, size, appendBytes(nil, tensorUint64Data, make([]byte, size))),
		"raw floats":      weights(1, size/4, appendBytes(nil, tensorRawData, make([]byte, size))),
		"huge tensor":     weights(1, 1<<40, appendBytes(nil, tensorRawData, make([]byte, size))),
		"huge list":       weights(7, 1<<40, appendBytes(nil, tensorInt64Data, make([]byte, size))),
		"rank":            weights(1, 1, same(num(tensorDims, 1))),
		"rank of a value": file(abs, out, sub(graphInput, str(1, "x"), sub(2, sub(1, num(1, 1), sub(2, same(sub(1))))))),
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			g, err := Decode(data, Option{})
			runtime.ReadMemStats(&after)
			if err == nil && g == nil {
				t.Error("neither graph nor error")
			}
			const times = 32
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(memoryFree+times*len(data)) {
				t.Errorf("%.1f bytes are allocated for each byte of the file (%v)", float64(n)/float64(len(data)), err)
			} else {
				t.Logf("%.1f bytes for each (%v)", float64(n)/float64(len(data)), err)
			}
		})
	}
}

// TestLongChain reads a chain of nodes in reverse order, which must neither
// take the stack nor the square of its length.
func TestLongChain(t *testing.T) {
	const n = 20000
	b := msg(in, out)
	for i := n; i > 0; i-- {
		from, to := fmt.Sprint("t", i-1), fmt.Sprint("t", i)
		if i == 1 {
			from = "x"
		}
		if i == n {
			to = "y"
		}
		b = append(b, node("A", from, to)...)
	}
	g, err := Decode(file(b), Option{})
	if err != nil {
		t.Fatal(err)
	}
	producers(t, g)
	if g.Nodes[0].In[0] != g.Inputs[0] || g.Nodes[n-1].Out[0] != g.Outputs[0] {
		t.Error("the chain is not in order")
	}
}

// TestExternalEscape refers to weights outside the model's folder, or to
// parts of a file that are not there.
func TestExternalEscape(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "model")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "sub"), 0o755), os.WriteFile(filepath.Join(top, "secret"), make([]byte, 64), 0o644),
		os.WriteFile(filepath.Join(dir, "w.bin"), make([]byte, 64), 0o644), os.WriteFile(filepath.Join(dir, "sub", "w.bin"), make([]byte, 64), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(top, "secret"), filepath.Join(dir, "link")); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	if err := errors.Join(os.Symlink("w.bin", filepath.Join(dir, "inner")), os.Symlink("..", filepath.Join(dir, "up"))); err != nil {
		t.Fatal(err)
	}
	refer := func(location, offset, length string) []byte {
		entries := sub(tensorExternalData, str(1, "location"), str(2, location))
		if offset != "" {
			entries = append(entries, sub(tensorExternalData, str(1, "offset"), str(2, offset))...)
		}
		if length != "" {
			entries = append(entries, sub(tensorExternalData, str(1, "length"), str(2, length))...)
		}
		return initializer("w", 1, num(tensorDims, 4), num(tensorDataLocation, 1), entries)
	}
	cases := []struct {
		name, location, offset, length string
		ok                             bool
	}{
		{"beside", "w.bin", "", "", true},
		{"at an offset", "w.bin", "48", "16", true},
		{"in a folder inside", "sub/w.bin", "", "", true},
		{"link inside", "inner", "", "", true},
		{"absolute", filepath.Join(dir, "w.bin"), "", "", false},
		{"parent", "../secret", "", "", false},
		{"parent by way of a folder", "sub/../../secret", "", "", false},
		{"link out", "link", "", "", false},
		{"folder link out", "up/secret", "", "", false},
		{"folder", "sub", "", "", false},
		{"no such file", "other.bin", "", "", false},
		{"no location", "", "", "", false},
		{"offset beyond", "w.bin", "49", "", false},
		{"offset overflows", "w.bin", "9223372036854775807", "", false},
		{"offset negative", "w.bin", "-1", "", false},
		{"offset no number", "w.bin", "1e2", "", false},
		{"length short", "w.bin", "", "15", false},
		{"length huge", "w.bin", "", "9223372036854775807", false},
		{"zero byte", "w.bin\x00", "", "", false},
	}
	path := filepath.Join(dir, "m.onnx")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, file(in, abs, out, refer(c.location, c.offset, c.length)), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if (err == nil) != c.ok {
				t.Fatalf("error is %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), `"w"`) || !strings.Contains(err.Error(), path)) {
				t.Errorf("error names neither tensor nor file: %v", err)
			}
		})
	}
	// Many tensors that share one part cannot fill the memory.
	var b []byte
	for i := range 9 {
		b = append(b, bytes.Replace(refer("w.bin", "", ""), []byte("w\x10"), []byte{byte('a' + i), 0x10}, 1)...)
	}
	if err := os.WriteFile(path, file(in, abs, out, b), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("tensors share a part nine times: %v", err)
	}
}

// TestOpenBad gives Open what is no file of a model.
func TestOpenBad(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.onnx")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(f.Truncate(math.MaxInt32+1), f.Close())
	if err != nil {
		t.Skipf("no sparse files: %v", err)
	}
	for path, is := range map[string]error{
		filepath.Join(dir, "none.onnx"): os.ErrNotExist,
		dir:                             ErrFormat,
		big:                             ErrFormat,
	} {
		if _, err := Open(path); !errors.Is(err, is) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestWeightless reads the graphs that come without their weights.
func TestWeightless(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(assets(t), "peers", "graphs", "*.onnx"))
	if err != nil || len(paths) == 0 {
		t.Skipf("no weightless graphs among the assets (%v)", err)
	}
	for _, path := range paths {
		if _, err := Open(path); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "without its weights") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
