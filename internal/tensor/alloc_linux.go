package tensor

import "syscall"

// useHugePages asks for huge pages behind b, which is made of whole ones. A
// system that has none does as ever.
func useHugePages(b []byte) {
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
}
