//go:build noasm || !(amd64 || arm64)

package kernels

// machine returns the rungs above ref: none without assembly.
func machine(Set) []*Set { return nil }
