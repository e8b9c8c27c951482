//go:build !amd64 && !arm64

package kernels

import "runtime"

// Pause lets another goroutine run.
func Pause() { runtime.Gosched() }
