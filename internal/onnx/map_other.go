//go:build !linux && !darwin

package onnx

import "os"

// mapped gives the contents of an open file to use, which must not keep them.
func mapped(f *os.File, size int64, use func(data []byte) error) error {
	return unmapped(f, size, use)
}
