package tensor_test

import (
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/internal/tensor"
)

func TestAlloc(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 4096, 2<<20 - 1, 2 << 20, 5<<20 + 3} {
		b := tensor.Alloc(n)
		if len(b) != n || cap(b) != n {
			t.Fatalf("Alloc(%d): length %d, capacity %d", n, len(b), cap(b))
		}
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(b))); at%64 != 0 || n >= 2<<20 && at%(2<<20) != 0 {
			t.Errorf("Alloc(%d) starts at %x", n, at)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("Alloc(%d): byte %d is %d", n, i, b[i])
			}
			b[i] = 1
		}
	}
}
