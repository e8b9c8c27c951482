//go:build amd64 || arm64

package kernels

// Pause tells the processor that the caller spins: it waits some tens of
// cycles and saves power.
func Pause()
