//go:build !noasm

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/edgecam/edgecam/kernels/amd64"
)

// machine returns the rungs above ref that this CPU can run, each made from
// the one below.
func machine(s Set) []*Set {
	var rungs []*Set
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) {
		avx2(&s)
		rungs = append(rungs, new(s))
	}
	return rungs
}

// avx2 replaces what AVX2 and FMA3 do better.
func avx2(s *Set) {
	s.Name = "avx2"
	s.F32Gemm, s.F32Igemm = amd64.F32Gemm, amd64.F32Igemm
	s.F32MR, s.F32NR = amd64.F32MR, amd64.F32NR
	s.F32Dwconv = amd64.F32Dwconv
	s.F32MaxPool, s.F32AvgPool = amd64.F32MaxPool, amd64.F32AvgPool
}
