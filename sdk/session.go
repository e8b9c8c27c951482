package sdk

import (
	"context"
	"fmt"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/kernels"
)

// SessionConfig says how a session runs. The zero value works for a model
// whose inputs have fixed sizes.
type SessionConfig struct {
	// Shapes gives the size of inputs by name. It is needed for inputs with
	// symbolic sizes, and must agree with the sizes that are fixed.
	Shapes map[string][]int
	// Values gives the contents of inputs on which sizes inside the model
	// depend, such as the target size of a Resize. A session computes with
	// these contents only.
	Values map[string]*Tensor
	// Threads is the number of workers, the caller included, at most
	// GOMAXPROCS; 0 means the performance cores, and under a CPU quota at most
	// its whole processors. See CPUQuota.
	Threads int
	// NoSpin lets workers sleep between the steps of a run instead of
	// spinning: slower and cooler. Where Threads exceeds a CPU quota they
	// always do.
	NoSpin bool
	// MemoryLimit bounds the session's memory for activations, and each
	// folded constant, in bytes; 0 means 1 GiB.
	MemoryLimit int
	// Profile times every step; see Session.Profile.
	Profile bool
}

// Session is a model made ready to run at fixed sizes. It serves one
// goroutine at a time.
type Session struct {
	model  *Model
	config SessionConfig
	graph  *graph.Graph // lowered
	s      *engine.Session
}

// Kept is a convolution or matrix product that computes in float32, and why
// that of a quantized model does; Why is "" where the node is not quantized.
type Kept = pass.Kept

// StepTime is one line of a profile: a step with its node, operator,
// micro-kernel, output shape, time and multiply-adds.
type StepTime = engine.StepTime

// Stats describes the resources of a session.
type Stats struct {
	Threads      int     // workers that a run may use
	Kernels      string  // the rung of the kernel ladder in use
	ArenaBytes   int     // memory for activations
	WeightBytes  int     // memory of the constants that are read
	MACs         int64   // multiply-adds of convolutions and matrix products
	Int8Coverage float64 // share of MACs done by int8 kernels
}

// NewSession plans the memory, packs the weights where no session of this
// model did before, and prepares every step. Apart from cancellation and
// contents that no plan can foresee (an index out of range), every error
// shows here and not in Run.
func (m *Model) NewSession(c SessionConfig) (*Session, error) {
	g, s, err := m.compile(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	return &Session{m, c, g, s}, nil
}

// Replan makes the session run at other sizes: another batch, another
// picture, or other Values. Tensors that Input and Output returned before are
// no longer used. On an error the session stays as it was.
func (s *Session) Replan(shapes map[string][]int, values map[string]*Tensor) error {
	c := s.config
	c.Shapes, c.Values = shapes, values
	n, err := s.model.NewSession(c)
	if err != nil {
		return err
	}
	s.s.Close()
	*s = *n
	return nil
}

// Inputs lists the inputs with their sizes in this session.
func (s *Session) Inputs() []Port { return sessionPorts(s.s.Inputs()) }

// Outputs lists the outputs with their sizes in this session. Where a size
// depends on contents it is an upper bound.
func (s *Session) Outputs() []Port { return sessionPorts(s.s.Outputs()) }

func sessionPorts(in []engine.Port) []Port {
	ports := make([]Port, len(in))
	for i, p := range in {
		ports[i] = Port{Name: p.Name, Type: p.Type}
	}
	return ports
}

// Input returns the tensor to fill before Run, in the layout that the file
// declares, or nil if the model has no input of that name. Contents stay
// until they are overwritten, so an input that does not change is filled once.
func (s *Session) Input(name string) *Tensor { return s.s.Input(name) }

// Output returns the tensor that Run fills, in the layout that the file
// declares, or nil if the model has no output of that name. It is valid until
// the next Run, and has its actual sizes after one.
func (s *Session) Output(name string) *Tensor { return s.s.Output(name) }

// Run computes the outputs from the inputs. It allocates nothing. When ctx is
// done it returns ctx's error within one step.
func (s *Session) Run(ctx context.Context) error { return s.s.Run(ctx) }

// Profile returns the steps in order of execution, with the time spent in
// each since the session was made or ResetProfile was called. Times are zero
// unless SessionConfig.Profile is set.
func (s *Session) Profile() []StepTime { return s.s.Profile() }

// ResetProfile sets all times of the profile to zero.
func (s *Session) ResetProfile() { s.s.ResetProfile() }

// Stats describes the resources that the session uses.
func (s *Session) Stats() Stats {
	st := Stats{Threads: s.s.Threads(), Kernels: s.s.Kernels(), ArenaBytes: s.s.ArenaBytes(), WeightBytes: s.s.WeightBytes(), MACs: s.s.MACs()}
	st.Int8Coverage = int8Coverage(s.s.Profile())
	return st
}

// KeptFloat lists the convolutions and matrix products that compute in float32,
// in order of execution. It is empty for a model that runs in int8 throughout, and
// for a float model it is all of them.
func (s *Session) KeptFloat() []Kept {
	_, _, kept := pass.Coverage(s.graph)
	return kept
}

// Close makes further runs fail. It waits for one that is under way.
func (s *Session) Close() { s.s.Close() }

// Kernels returns the rung of the kernel ladder that sessions use, and all
// that this CPU can run, lowest first. It fails where the environment variable
// EDGECAM_KERNELS names a rung that there is not.
func Kernels() (rung string, all []string, err error) {
	set, err := kernels.Select()
	if err != nil {
		return "", nil, err
	}
	for _, s := range kernels.Available() {
		all = append(all, s.Name)
	}
	return set.Name, all, nil
}

// CPUQuota returns how many processors the control group of this process lets
// it use, a fraction of one for less, and 0 where there is no limit or it is not
// known.
func CPUQuota() float64 { return engine.Quota() }
