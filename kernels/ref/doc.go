// Package ref computes every kernel slot in plain Go. It is compiled
// everywhere, runs where no assembly does, and is the truth in every test of
// the assembly. It also defines the argument structs and the weight layouts
// that all rungs share.
//
// Products are rounded before they are added, because a fused multiply-add is
// a slow call on CPUs without one; the assembly fuses, so float32 results
// agree within a bound that grows with the number of terms, not bit for bit.
//
// It does not choose kernels, check the contents of argument structs, or
// start goroutines.
package ref
