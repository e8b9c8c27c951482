package npy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/tensor"
)

func file(t testing.TB, name string) []byte {
	data, err := os.ReadFile(filepath.Join("testdata", name+".npy"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRead reads what NumPy wrote; the generator script says which values.
func TestRead(t *testing.T) {
	for code, dtype := range codes {
		for _, order := range []string{"little", "big"} {
			if code[1] == '1' && order == "big" {
				continue
			}
			t.Run(code+"_"+order, func(t *testing.T) {
				got, err := Read(bytes.NewReader(file(t, code+"_"+order)))
				if err != nil {
					t.Fatal(err)
				}
				if got.DType != dtype || !got.Shape.Equal(tensor.Shape{2, 3}) {
					t.Fatalf("got %v", got.Type())
				}
				for i := range 6 {
					want := float64(i)
					switch {
					case code == "b1":
						want = float64(i % 2)
					case code[0] != 'u':
						want -= 2
					}
					if v := got.Float(i); v != want {
						t.Errorf("element %d is %v, want %v", i, v, want)
					}
				}
			})
		}
	}
}

func TestReadForms(t *testing.T) {
	seq := []float64{-2, -1, 0, 1, 2, 3}
	cases := []struct {
		name  string
		shape tensor.Shape
		want  []float64
	}{
		{"fortran_f4", tensor.Shape{2, 3}, seq},
		{"fortran_big_i2", tensor.Shape{2, 3}, seq},
		{"version2_f4", tensor.Shape{2, 3}, seq},
		{"version3_f4", tensor.Shape{2, 3}, seq},
		{"vector_f4", tensor.Shape{6}, seq},
		{"scalar_f4", tensor.Shape{}, []float64{1.5}},
		{"empty_f4", tensor.Shape{0, 3}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(bytes.NewReader(file(t, c.name)))
			if err != nil {
				t.Fatal(err)
			}
			if !got.Shape.Equal(c.shape) {
				t.Fatalf("shape %v, want %v", got.Shape, c.shape)
			}
			for i, want := range c.want {
				if v := got.Float(i); v != want {
					t.Errorf("element %d is %v, want %v", i, v, want)
				}
			}
		})
	}
}

// TestWrite expects the very bytes that NumPy writes.
func TestWrite(t *testing.T) {
	names := []string{"scalar_f4", "vector_f4", "empty_f4"}
	for code := range codes {
		names = append(names, code+"_little")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			want := file(t, name)
			x, err := Read(bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := Write(&got, x); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("wrote\n%q, NumPy\n%q", got.Bytes(), want)
			}
		})
	}
}

func TestWriteFourBits(t *testing.T) {
	for dtype, code := range map[tensor.DType]tensor.DType{tensor.Int4: tensor.Int8, tensor.Uint4: tensor.Uint8} {
		x := tensor.New(dtype, 2)
		x.SetInt(0, 7)
		x.SetInt(1, 9)
		var buf bytes.Buffer
		if err := Write(&buf, x); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if got.DType != code || got.Int(0) != 7 || got.Int(1) != x.Int(1) {
			t.Errorf("%v is written as %v %v", dtype, got.DType, got.Ints())
		}
	}
	err := Write(&bytes.Buffer{}, tensor.New(tensor.BFloat16, 1))
	if err == nil || !strings.Contains(err.Error(), "bfloat16") {
		t.Errorf("bfloat16: %v", err)
	}
}

// doc returns a version 1 file with the given dictionary and data.
func doc(dict, data string) []byte {
	return fmt.Appendf(nil, "%s\x01\x00%c%c%s%s", magic, 0, 0, dict, data)
}

func withLength(b []byte, n int) []byte {
	b[8], b[9] = byte(n), byte(n>>8)
	return b
}

func TestReadBad(t *testing.T) {
	dict := func(descr, shape string) []byte {
		d := "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }\n"
		return withLength(doc(d, "12345678"), len(d))
	}
	cases := map[string][]byte{
		"empty":           nil,
		"other format":    []byte("PK\x03\x04 and more bytes"),
		"version 9":       append([]byte(magic+"\x09\x00\x10\x00"), make([]byte, 64)...),
		"long header":     append([]byte(magic+"\x02\x00\xff\xff\xff\x7f"), make([]byte, 64)...),
		"string":          file(t, "string"),
		"complex":         file(t, "complex"),
		"structured":      file(t, "structured"),
		"no dictionary":   withLength(doc("nothing here", ""), 12),
		"huge shape":      dict("'<f4'", "(1099511627776,)"),
		"overflow":        dict("'<f4'", "(4294967296, 4294967296, 2)"),
		"beyond an int":   dict("'<f4'", "(99999999999999999999,)"),
		"negative extent": dict("'<f4'", "(-1,)"),
		"rank 9":          dict("'<f4'", "(1,1,1,1,1,1,1,1,2)"),
		"words in shape":  dict("'<f4'", "(2 3)"),
		"too few bytes":   dict("'<f4'", "(3,)"),
		"unknown type":    dict("'<f3'", "(2,)"),
	}
	whole := file(t, "f4_little")
	for n := range len(whole) {
		cases[fmt.Sprintf("cut at %d", n)] = whole[:n]
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Read(bytes.NewReader(data))
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrFormat) {
				t.Errorf("error is %v", err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 2*piece {
				t.Errorf("%d bytes are allocated", n)
			}
		})
	}
}

func TestReadLarge(t *testing.T) {
	x := tensor.New(tensor.Uint16, 3*piece/2)
	for i := range x.Elems() {
		x.SetInt(i, int64(i))
	}
	var buf bytes.Buffer
	if err := Write(&buf, x); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), x.Bytes()) {
		t.Error("the elements differ")
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"f4_little", "fortran_big_i2", "version2_f4", "scalar_f4", "string"} {
		f.Add(file(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := Read(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		var buf bytes.Buffer
		if err := Write(&buf, x); err != nil {
			t.Fatal(err)
		}
		y, err := Read(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if x.DType != y.DType || !x.Shape.Equal(y.Shape) || !bytes.Equal(x.Bytes(), y.Bytes()) {
			t.Fatalf("%v became %v", x.Type(), y.Type())
		}
		if x.Elems() > 0 && math.IsInf(x.Float(0), 0) && !math.IsInf(y.Float(0), 0) {
			t.Fatal("an infinity is lost")
		}
	})
}
