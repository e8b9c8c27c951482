package onnx

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// roundTrip decodes, encodes and decodes again; both graphs must be equal and
// both encodings the same bytes.
func roundTrip(t *testing.T, data []byte) *graph.Graph {
	t.Helper()
	g, err := Decode(data, Option{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(first, Option{})
	if err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	// Node of a value leads back into the graph; producers checks it instead.
	opts := cmp.Options{cmpopts.EquateNaNs(), cmp.Comparer(sameTensor), cmpopts.IgnoreFields(graph.Value{}, "Node")}
	if diff := cmp.Diff(g, again, opts); diff != "" {
		t.Fatalf("read, written and read again (-first +second):\n%.3000s", diff)
	}
	producers(t, again)
	second, err := Encode(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Fatal("the second writing differs from the first")
	}
	return g
}

// producers checks that values point to the nodes that produce them and that
// these stand before the consumers.
func producers(t *testing.T, g *graph.Graph) {
	t.Helper()
	seen := map[*graph.Node]bool{}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil && v.Node != nil && !seen[v.Node] {
				t.Fatalf("node %s stands before the producer of %q", n.Label(), v.Name)
			}
		}
		for _, v := range n.Out {
			if v != nil && v.Node != n {
				t.Fatalf("%q does not point to its producer %s", v.Name, n.Label())
			}
		}
		seen[n] = true
	}
}

// sameTensor spares cmp from walking weights element by element.
func sameTensor(a, b *tensor.Tensor) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.DType == b.DType && a.Shape.Equal(b.Shape) && bytes.Equal(a.Bytes(), b.Bytes())
}

// assets returns the folder of shared test material, or skips.
func assets(t *testing.T) string {
	dir := os.Getenv("EDGECAM_ASSETS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "models")); err != nil {
		t.Skipf("no folder of assets: %v (set EDGECAM_ASSETS)", err)
	}
	return dir
}

func TestRoundTripAssets(t *testing.T) {
	n := 0
	err := filepath.WalkDir(filepath.Join(assets(t), "models"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".onnx") {
			return err
		}
		n++
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, data)
		})
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("%d models, %v", n, err)
	}
}
