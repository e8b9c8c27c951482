package onnx

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/edgecam/edgecam/internal/op"
)

// FuzzDecode decodes anything: no panic, only errors of the two kinds that
// are promised, and what is read can be written and read again to the same
// bytes.
func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.onnx"))
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, p := range paths {
		f.Add(golden(f, filepath.Base(p)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Decode(data, Option{})
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, op.ErrUnsupported) {
				t.Fatalf("error of no promised kind: %v", err)
			}
			return
		}
		first, err := Encode(g)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Decode(first, Option{})
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		second, err := Encode(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Fatal("the second writing differs from the first")
		}
		producers(t, again)
		if card, err := ReadCard(g); err == nil && card != nil {
			if err := card.Write(g); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadCard(g); err != nil {
				t.Fatalf("a card that was written cannot be read: %v", err)
			}
		}
	})
}

// FuzzTensor decodes single tensors, which must come back unchanged.
func FuzzTensor(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.pb"))
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, p := range paths {
		f.Add(golden(f, filepath.Base(p)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name, x, err := DecodeTensor(data)
		if err != nil {
			return
		}
		b, err := EncodeTensor(name, x)
		if err != nil {
			t.Fatal(err)
		}
		again, y, err := DecodeTensor(b)
		if err != nil || again != name || !sameTensor(x, y) {
			t.Fatalf("%q %v became %q %v, %v", name, x, again, y, err)
		}
	})
}
