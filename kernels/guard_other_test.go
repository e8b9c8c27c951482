//go:build !linux

package kernels_test

import "testing"

// newRegion returns size bytes. Only Linux has guard pages around them.
func newRegion(_ testing.TB, size int) []byte { return make([]byte, size) }
