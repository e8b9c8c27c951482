// Package npy reads and writes NumPy's .npy files, format versions 1 to 3.
//
// It knows neither archives of them (.npz) nor structured, string or object
// arrays. bfloat16, which NumPy does not have, is refused; int4 and uint4 are
// written as int8 and uint8. The format is NEP 1.
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/edgecam/edgecam/internal/tensor"
)

// ErrFormat is wrapped by errors about data that are not a .npy file that
// this package reads.
var ErrFormat = errors.New("not a readable .npy file")

const (
	magic     = "\x93NUMPY"
	maxHeader = 64 << 10
	piece     = 4 << 20 // elements are read in pieces, so that a header alone allocates no more
)

// codes are NumPy's type codes behind the byte order.
var codes = map[string]tensor.DType{
	"f4": tensor.Float32, "f8": tensor.Float64, "f2": tensor.Float16, "b1": tensor.Bool,
	"i1": tensor.Int8, "i2": tensor.Int16, "i4": tensor.Int32, "i8": tensor.Int64,
	"u1": tensor.Uint8, "u2": tensor.Uint16, "u4": tensor.Uint32, "u8": tensor.Uint64,
}

// header matches the dictionary that NumPy writes, keys in any order.
var (
	descr   = regexp.MustCompile(`'descr': *'([<>|=])([a-z][0-9]+)'`)
	fortran = regexp.MustCompile(`'fortran_order': *(True|False)`)
	extents = regexp.MustCompile(`'shape': *\(([0-9L, ]*)\)`)
)

// Read reads one array; what follows it in r stays unread. Fortran order and
// big-endian elements are converted.
func Read(r io.Reader) (*tensor.Tensor, error) {
	var pre [12]byte
	if _, err := io.ReadFull(r, pre[:10]); err != nil || string(pre[:6]) != magic {
		return nil, fmt.Errorf("the first bytes are not those of a .npy file: %w", ErrFormat)
	}
	size := int(binary.LittleEndian.Uint16(pre[8:]))
	switch pre[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, pre[10:]); err != nil {
			return nil, fmt.Errorf("the header is cut short: %w", ErrFormat)
		}
		size = int(min(binary.LittleEndian.Uint32(pre[8:]), maxHeader+1))
	default:
		return nil, fmt.Errorf("format version %d.%d: %w", pre[6], pre[7], ErrFormat)
	}
	if size > maxHeader {
		return nil, fmt.Errorf("the header is longer than %d bytes: %w", maxHeader, ErrFormat)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("the header is cut short: %w", ErrFormat)
	}
	t, big, columns, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("header %.200q: %w: %w", strings.TrimSpace(string(text)), err, ErrFormat)
	}
	if err := readData(r, t); err != nil {
		return nil, fmt.Errorf("%v: %w", t.Type(), err)
	}
	if big {
		swap(t.Bytes(), t.DType.Size())
	}
	if t.DType == tensor.Bool {
		for i, v := range t.Data {
			t.SetInt(i, int64(v))
		}
	}
	if columns {
		return fromColumns(t), nil
	}
	return t, nil
}

// parse reads the dictionary of a header. The tensor has no data yet.
func parse(s string) (t *tensor.Tensor, big, columns bool, err error) {
	d, f, e := descr.FindStringSubmatch(s), fortran.FindStringSubmatch(s), extents.FindStringSubmatch(s)
	if d == nil || f == nil || e == nil {
		return nil, false, false, errors.New("want 'descr' of a plain type, 'fortran_order' and 'shape'")
	}
	t = &tensor.Tensor{DType: codes[d[2]], Shape: tensor.Shape{}}
	if t.DType == tensor.Invalid {
		return nil, false, false, fmt.Errorf("element type %s is not supported", d[1]+d[2])
	}
	for _, field := range strings.Split(e[1], ",") {
		field = strings.TrimSuffix(strings.TrimSpace(field), "L")
		if field == "" {
			continue
		}
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, false, false, err
		}
		t.Shape = append(t.Shape, n)
	}
	return t, d[1] == ">", f[1] == "True", t.Shape.Check(t.DType, math.MaxInt/2)
}

// readData reads the elements in pieces: a short file costs only its own
// size, whatever its header claims.
func readData(r io.Reader, t *tensor.Tensor) error {
	n := t.Shape.Elems() * t.DType.Size()
	var buf []byte
	for len(buf) < n {
		have := len(buf)
		// Memory of a tensor is aligned for every element type.
		next := tensor.New(tensor.Uint8, min(n, max(piece, 2*have))).Data
		copy(next, buf)
		if _, err := io.ReadFull(r, next[have:]); err != nil {
			return fmt.Errorf("%d bytes of elements are needed, there are fewer (%w): %w", n, err, ErrFormat)
		}
		buf = next
	}
	t.Data = buf
	return nil
}

// swap reverses the bytes of every element.
func swap(b []byte, size int) {
	for ; len(b) >= size && size > 1; b = b[size:] {
		slices.Reverse(b[:size])
	}
}

// fromColumns returns t, whose elements stand in Fortran order, in row-major
// order.
func fromColumns(t *tensor.Tensor) *tensor.Tensor {
	out, size := tensor.New(t.DType, t.Shape...), t.DType.Size()
	at := make([]int, len(t.Shape)) // index of the element
	for i := range t.Elems() {
		from, step := 0, size
		for k, extent := range t.Shape {
			from += at[k] * step
			step *= extent
		}
		copy(out.Data[i*size:][:size], t.Data[from:])
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < t.Shape[k] {
				break
			}
			at[k] = 0
		}
	}
	return out
}

// Write writes t in C order, little-endian, in format version 1.
func Write(w io.Writer, t *tensor.Tensor) error {
	var code string
	switch t.DType {
	case tensor.Int4:
		code = "i1"
	case tensor.Uint4:
		code = "u1"
	default:
		for c, d := range codes {
			if d == t.DType {
				code = c
			}
		}
	}
	if code == "" {
		return fmt.Errorf("NumPy has no element type %v: cast it to float32 first", t.DType)
	}
	order := "<"
	if t.DType.Size() == 1 {
		order = "|"
	}
	shape := ""
	for _, n := range t.Shape {
		shape += strconv.Itoa(n) + ", "
	}
	if len(t.Shape) > 1 {
		shape = strings.TrimSuffix(shape, ", ")
	} else {
		shape = strings.TrimSuffix(shape, " ")
	}
	text := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", order, code, shape)
	// The elements start at a multiple of 64, the header ends with a newline.
	pad := 63 - (10+len(text))%64
	head := binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(text)+pad+1))
	head = append(head, text+strings.Repeat(" ", pad)+"\n"...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(t.Bytes())
	return err
}
