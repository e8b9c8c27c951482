//go:build linux || darwin

package onnx

import (
	"os"
	"syscall"
)

// mapped gives the contents of an open file to use, which must not keep them.
// Where the file can be mapped nothing is copied, and none of it stays in
// memory afterwards.
func mapped(f *os.File, size int64, use func(data []byte) error) error {
	if size == 0 || int64(int(size)) != size {
		return unmapped(f, size, use)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return unmapped(f, size, use) // not every file system can
	}
	err = guarded(data, use)
	if e := syscall.Munmap(data); err == nil {
		err = e
	}
	return err
}
