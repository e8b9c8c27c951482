//go:build linux || darwin

package onnx

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestShrinkingFile reads behind the end of a file that was cut off after it
// was mapped.
func TestShrinkingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := 0
	err = mapped(f, 1<<20, func(data []byte) error {
		if err := os.Truncate(path, 0); err != nil {
			return err
		}
		for _, b := range data {
			sum += int(b)
		}
		return nil
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, sum %d", err, sum)
	}
}

// TestGuardLetsOthersPass checks that a fault of another kind is not taken for
// a change of the file.
func TestGuardLetsOthersPass(t *testing.T) {
	f, err := os.Open("map_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer func() {
		if _, ok := recover().(runtime.Error); !ok {
			t.Error("no runtime error")
		}
	}()
	at := 1
	err = mapped(f, 1, func(data []byte) error { data[at]++; return nil })
	t.Error("no panic, but", err)
}

// TestOpenKeepsNothing changes a file in place after it was opened.
func TestOpenKeepsNothing(t *testing.T) {
	weights := bytes.Repeat([]byte{1, 2, 3, 4}, 100)
	path := filepath.Join(t.TempDir(), "m.onnx")
	data := file(in, abs, out,
		initializer("w", 3, num(tensorDims, 400), appendBytes(nil, tensorRawData, weights)),
		initializer("none", 3, num(tensorDims, 0), appendBytes(nil, tensorRawData, nil)),
		initializer("v", 1, num(tensorDims, 100), appendBytes(nil, tensorRawData, weights)),
		initializer("b", 9, num(tensorDims, 4), appendBytes(nil, tensorRawData, []byte{0, 1, 2, 0})))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, len(data))); err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := map[string][]byte{"w": weights, "none": {}, "v": weights, "b": {0, 1, 1, 0}}
	for _, v := range g.Inits {
		if got := v.Const.Bytes(); !bytes.Equal(got, want[v.Name]) {
			t.Errorf("%s: %v", v.Name, got)
		}
	}
	if len(g.Inits) != len(want) {
		t.Error(len(g.Inits), "initializers")
	}
}
