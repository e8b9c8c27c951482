// Package onnx reads and writes ONNX models and tensors: protobuf's wire
// format on one side, graph.Graph on the other. It also reads and writes the
// model card in a model's metadata.
//
// It does not judge operators, infer types or change a graph: an operator
// that nobody computes is read like any other, Constant nodes stay nodes, and
// what is not interpreted here (functions, subgraphs, annotations, unknown
// fields) is carried from input to output. Reading what was written gives the
// same Graph again.
//
// Elements are little-endian in files and are taken as they are, so the
// package serves little-endian machines.
package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2/maybe"

	"github.com/edgecam/edgecam/internal/graph"
)

// ErrFormat is wrapped by errors about data that are not a well-formed ONNX
// model, and about graphs that none can hold.
var ErrFormat = errors.New("not a valid ONNX model")

// maxFile is the largest file that protobuf allows.
const maxFile = math.MaxInt32

// Option says what a model may refer to outside its own bytes.
type Option struct {
	// Root is the folder that external data are read from; nil refuses them.
	Root *os.Root
}

// Decode reads a ModelProto. The graph may share data, which must not change
// afterwards. It allocates at most a small multiple of len(data), and of the
// size of the external files that the model names.
//
// Errors wrap ErrFormat, or op.ErrUnsupported for a well-formed model with
// element types, inputs or an operator set version that edgecam does not
// know.
func Decode(data []byte, opt Option) (*graph.Graph, error) {
	d := newDecoder(data, opt)
	if err := d.decode(data); err != nil {
		return nil, err
	}
	return d.g, nil
}

func (d *decoder) decode(data []byte) error {
	if err := sniff(data); err != nil {
		return err
	}
	return d.model(data)
}

// Open reads the model in a file, with external data from the same folder. The
// graph shares nothing with the file, which may change afterwards.
// Errors name the file; beside those of Decode they wrap those of package os.
func Open(path string) (*graph.Graph, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	defer f.Close()
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	defer root.Close()
	var d *decoder
	err = mapped(f, size, func(data []byte) error {
		d = newDecoder(data, Option{Root: root})
		d.lent = true
		return d.decode(data)
	})
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	return d.g, nil
}

// openFile opens a regular file of at most maxFile bytes.
func openFile(path string) (f *os.File, size int64, err error) {
	// Opening a pipe would wait for its writer, so ask first.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, malformed("%s is not a regular file", path)
	}
	if info.Size() > maxFile {
		return nil, 0, malformed("%s: %w: move the weights to external data", path, errTooLarge)
	}
	f, err = os.Open(path)
	return f, info.Size(), err
}

// unmapped is mapped for systems and files that cannot be mapped: it reads the
// file.
func unmapped(f *os.File, size int64, use func(data []byte) error) error {
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return err
	}
	return use(data)
}

// Save writes g to a file, as Encode does, with all weights in it. On systems
// that can replace a file atomically an error leaves the old file as it was.
func Save(path string, g *graph.Graph) error {
	data, err := Encode(g)
	if err != nil {
		return fmt.Errorf("model %s: %w", path, err)
	}
	if err := maybe.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("model %s is not saved: %w", path, err)
	}
	return nil
}
