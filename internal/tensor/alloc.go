package tensor

import "unsafe"

const (
	cacheLine = 64
	hugePage  = 2 << 20
)

// Alloc returns n zeroed bytes that start at a cache line. Much memory starts
// at a huge page, and the system is asked for such pages: the first use of an
// ordinary page costs as much as reading a few of them.
func Alloc(n int) []byte {
	if n <= 0 {
		return nil
	}
	if n < hugePage {
		return aligned(n, cacheLine)
	}
	b := aligned(n, hugePage)
	useHugePages(b[:n/hugePage*hugePage])
	return b
}

// aligned returns n zeroed bytes at a multiple of align.
func aligned(n, align int) []byte {
	b := make([]byte, n+align)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & uintptr(align-1))
	return b[skip : skip+n : skip+n]
}
