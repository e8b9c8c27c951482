package op

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// Preparer is implemented by operators that do better than Eval. Prepare runs
// once per session with every buffer in place; it packs weights, chooses
// kernels and returns the steps to run in order. Nil steps without an error
// mean that Eval serves.
type Preparer interface {
	Prepare(env *Env) ([]Step, error)
}

// Pitcher is implemented by prepared operators that accept rows of the last
// axis at a Pitch (see tensor.Tensor), so that channel concatenation and
// splitting cost nothing.
type Pitcher interface {
	Pitched() (in, out bool)
}

// Counter is implemented by operators made of multiply-adds.
type Counter interface {
	// MACs returns how many, for inputs and outputs of these types.
	MACs(in, out []*graph.Value) int64
}

// Activated is implemented by operators that apply a function to each element of
// their result.
type Activated interface {
	// Activation names the function; "" where it costs nothing, as a clamp.
	Activation() string
}

// Step is one part of an operator's execution: Tiles independent pieces of
// work that may run in any order on any worker. It cannot fail and allocates
// nothing.
type Step struct {
	Kernel string // the micro-kernel, for profiles
	Tiles  int
	Cost   int // estimated multiply-adds or element operations of the whole step
	// Run computes one tile. Workers are numbered from 0 to Env.Threads-1.
	Run func(worker, tile int)
}

// Env is what Prepare may use.
type Env struct {
	In, Out []*tensor.Tensor // bound to their memory; nil where absent
	Const   []bool           // per input: its contents are final
	Kernels *kernels.Set
	Threads int
	// Shared returns the value made by build for key, once per model: packed
	// weights and offset tables are shared between sessions. The key must
	// name everything that build depends on.
	Shared func(key any, build func() any) any
	// Room returns n zeroed elements for packed weights, for a build function
	// that is given to Shared; nil: they come from the heap.
	Room func(n int) []float32
	// Scratch returns a handle on n bytes for each worker, valid while a
	// step runs; steps share the memory.
	Scratch func(n int) *Scratch
	// Between returns a handle on n bytes, 64-byte aligned, that one step of a
	// node leaves to its next. Nodes share the memory. Nil: each has its own.
	Between func(n int) *Between
}

// between returns memory that one step leaves to the next.
func (e *Env) between(n int) *Between {
	if e.Between == nil {
		return &Between{make([]byte, n)}
	}
	return e.Between(n)
}

// Between is memory that the steps of one node hand on.
type Between struct {
	Buf []byte // set when the session is complete; it may be longer than was asked for
}

// pack returns n zeroed elements for packed weights.
func (e *Env) pack(n int) []float32 {
	if e.Room == nil {
		return make([]float32, n)
	}
	return e.Room(n)
}

// Scratch is memory that workers may use while a step runs.
type Scratch struct {
	Buf    []byte // of all workers; set when the session is complete
	Stride int
}

// For returns the part of one worker, 64-byte aligned, at least as long as
// was asked for.
func (s *Scratch) For(worker int) []byte { return s.Buf[worker*s.Stride : (worker+1)*s.Stride] }
