package sdk

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/npy"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/tensor"
)

// The element types of tensors. Float16 and BFloat16 have no Go type; read
// and write them with Tensor.Float and Tensor.SetFloat.
const (
	Float32  = tensor.Float32
	Float64  = tensor.Float64
	Float16  = tensor.Float16
	BFloat16 = tensor.BFloat16
	Int8     = tensor.Int8
	Int16    = tensor.Int16
	Int32    = tensor.Int32
	Int64    = tensor.Int64
	Uint8    = tensor.Uint8
	Uint16   = tensor.Uint16
	Uint32   = tensor.Uint32
	Uint64   = tensor.Uint64
	Bool     = tensor.Bool
	Int4     = tensor.Int4
	Uint4    = tensor.Uint4
)

// NewTensor returns a tensor of zeros. It fails on negative extents and on
// more than 1 GiB.
func NewTensor(d DType, shape ...int) (*Tensor, error) {
	if err := tensor.Shape(shape).Check(d, engine.DefaultMemoryLimit); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShape, err)
	}
	return tensor.New(d, shape...), nil
}

// ReadTensor reads a tensor from a file in NumPy's .npy format, or from an
// ONNX TensorProto in a .pb file.
func ReadTensor(path string) (*Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var t *Tensor
	if strings.EqualFold(filepath.Ext(path), ".pb") {
		_, t, err = onnx.DecodeTensor(data)
	} else {
		t, err = npy.Read(bytes.NewReader(data))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// WriteNPY writes a tensor in NumPy's .npy format. Int4 and Uint4, which NumPy
// does not have, are written as Int8 and Uint8; BFloat16 is refused.
func WriteNPY(w io.Writer, t *Tensor) error { return npy.Write(w, t) }
