//go:build linux || darwin

package onnx

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
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
	err = guarded(f, data, use)
	if e := syscall.Munmap(data); err == nil {
		err = e
	}
	return err
}

// guarded calls use with the mapped contents of a file. Where the file becomes
// shorter meanwhile, so that part of them is no longer there, it returns an
// error.
func guarded(f *os.File, data []byte, use func(data []byte) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		_, fault := r.(runtime.Error)
		if info, e := f.Stat(); !fault || e == nil && info.Size() >= int64(len(data)) {
			panic(r)
		}
		err = fmt.Errorf("the file changed while it was read: %w", io.ErrUnexpectedEOF)
	}()
	return use(data)
}
