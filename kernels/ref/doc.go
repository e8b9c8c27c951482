// Package ref computes every kernel slot in plain Go. It is compiled
// everywhere, runs where no assembly does, and is the truth in every test of
// the assembly. It also defines the argument structs that all rungs share.
//
// It does not choose kernels, pack weights for a shape, or start goroutines.
package ref
