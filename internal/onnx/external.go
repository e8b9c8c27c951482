package onnx

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// externalFile is a file with weights beside the model.
type externalFile struct {
	size int64
	left int64 // bytes that may still be read from it
}

// external reads the elements of a TensorProto whose data_location is
// EXTERNAL. Its external_data entries give a location relative to the model's
// folder, and an offset and length in bytes.
func (d *decoder) external(b []byte, dtype tensor.DType, shape tensor.Shape) (*tensor.Tensor, error) {
	need := int64(rawBytes(dtype, shape.Elems()))
	var location string
	offset, length := int64(0), need
	r := reader{in: b}
	for r.next() {
		if r.num != tensorExternalData {
			continue
		}
		p, err := entry(r.bytes())
		if err == nil {
			switch p.Key {
			case "location":
				location = p.Value
			case "offset":
				offset, err = position(p)
			case "length":
				length, err = position(p)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("external data: %w", err)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if length != need {
		return nil, malformed("external data: %v needs %d bytes, %q gives a length of %d", tensor.Type{DType: dtype, Shape: shape}, need, location, length)
	}
	raw, err := d.readExternal(location, offset, length)
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	return fromRaw(dtype, shape, raw)
}

// position parses an offset or a length.
func position(p graph.Property) (int64, error) {
	n, err := strconv.ParseInt(p.Value, 10, 64)
	if err != nil || n < 0 {
		return 0, malformed("%s is %q", p.Key, p.Value)
	}
	return n, nil
}

// readExternal reads part of a file under the model's folder. Tensors may
// share parts, but all together may not ask for more than twice the file:
// otherwise a small file could fill the memory.
func (d *decoder) readExternal(location string, offset, length int64) ([]byte, error) {
	if d.opt.Root == nil {
		return nil, malformed("the weights are in another file, %q, and no folder is given for it", location)
	}
	path := filepath.FromSlash(location)
	if !filepath.IsLocal(path) {
		return nil, malformed("location %q is not inside the model's folder", location)
	}
	f := d.files[path]
	if f == nil {
		info, err := d.opt.Root.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("%w: it belongs beside the model", err)
		}
		if !info.Mode().IsRegular() {
			return nil, malformed("%q is not a regular file", location)
		}
		f = &externalFile{size: info.Size(), left: 2 * info.Size()}
		d.files[path] = f
	}
	if offset > f.size || length > f.size-offset {
		return nil, malformed("%q has %d bytes, %d from offset %d are asked for", location, f.size, length, offset)
	}
	if f.left -= length; f.left < 0 {
		return nil, malformed("tensors ask for more than twice the %d bytes of %q", f.size, location)
	}
	file, err := d.opt.Root.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw := tensor.New(tensor.Uint8, int(length)).Data // aligned for every element type
	if _, err := file.ReadAt(raw, offset); err != nil && (err != io.EOF || length > 0) {
		return nil, fmt.Errorf("%s: %w", location, err)
	}
	return raw, nil
}
