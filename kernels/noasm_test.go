//go:build noasm

package kernels_test

const noasm = true
