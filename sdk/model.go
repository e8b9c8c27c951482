package sdk

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Tensor is an array of elements in row-major order.
type Tensor = tensor.Tensor

// Type is an element type with the extents of all axes; an unknown extent is
// negative.
type Type = tensor.Type

// DType is the type of a tensor's elements.
type DType = tensor.DType

// Port is an input or output of a model or session.
type Port struct {
	Name string
	Type Type
	// Dims names the symbolic extents, "" for a fixed or nameless one; nil
	// where every extent is fixed.
	Dims []string
	// Untyped marks a port whose number of axes is not declared.
	Untyped bool
	// Optional marks an input that has a default in the file.
	Optional bool
}

// String prints the port as in x float32[batch x 3 x 320 x 320].
func (p Port) String() string {
	if p.Untyped {
		return fmt.Sprintf("%s %v[of any shape]", p.Name, p.Type.DType)
	}
	dims := make([]string, len(p.Type.Shape))
	for i, d := range p.Type.Shape {
		switch {
		case d >= 0:
			dims[i] = fmt.Sprint(d)
		case i < len(p.Dims) && p.Dims[i] != "":
			dims[i] = p.Dims[i]
		default:
			dims[i] = "?"
		}
	}
	separator := "x"
	if slices.ContainsFunc(p.Dims, func(name string) bool { return name != "" }) {
		separator = " x "
	}
	return fmt.Sprintf("%s %v[%s]", p.Name, p.Type.DType, strings.Join(dims, separator))
}

// Model is a loaded model. It is immutable and safe for concurrent use.
type Model struct {
	path  string
	graph *graph.Graph // portable

	mu   sync.Mutex
	last *program
}

// program is a lowered graph with what its sessions share.
type program struct {
	key   string
	graph *graph.Graph
	cache engine.Cache
}

// Load reads a model from an ONNX file. The error wraps ErrFormat where the
// file cannot be read as one, and is an *UnsupportedError that lists all
// nodes that cannot run where there are any.
func Load(path string) (*Model, error) {
	g, err := onnx.Open(path)
	if err != nil {
		return nil, err
	}
	if ps := pass.Unsupported(g); len(ps) > 0 {
		return nil, fmt.Errorf("%s: %w", path, &UnsupportedError{Problems: ps})
	}
	return &Model{path: path, graph: g}, nil
}

// Inputs lists the inputs as the file declares them.
func (m *Model) Inputs() []Port { return ports(m.graph.Inputs) }

// Outputs lists the outputs as the file declares them.
func (m *Model) Outputs() []Port { return ports(m.graph.Outputs) }

func ports(vs []*graph.Value) []Port {
	ps := make([]Port, len(vs))
	for i, v := range vs {
		ps[i] = Port{Name: v.Name, Type: v.Type, Dims: v.Dims, Untyped: v.Untyped, Optional: v.Const != nil}
	}
	return ps
}

// Metadata returns an entry of the file's metadata, "" if there is none.
func (m *Model) Metadata(key string) string { return m.graph.Meta(key) }

// compile makes an engine session, and gives the lowered graph that it runs.
func (m *Model) compile(c SessionConfig) (*graph.Graph, *engine.Session, error) {
	p, err := m.program(c)
	if err != nil {
		return nil, nil, err
	}
	s, err := engine.New(p.graph, engine.Options{Threads: c.Threads, NoSpin: c.NoSpin, MemoryLimit: c.MemoryLimit, Profile: c.Profile, Cache: &p.cache})
	return p.graph, s, err
}

// program lowers the model for a configuration. The last result is kept, so
// that sessions of the same sizes share packed weights.
func (m *Model) program(c SessionConfig) (*program, error) {
	key := fmt.Sprint(c.Shapes, c.MemoryLimit)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != nil && m.last.key == key && len(c.Values) == 0 {
		return m.last, nil
	}
	g, err := pass.Compile(m.graph, pass.Options{Shapes: c.Shapes, Values: c.Values, Limit: c.MemoryLimit})
	if err != nil {
		return nil, err
	}
	p := &program{key: key, graph: g}
	if len(c.Values) == 0 {
		m.last = p
	}
	return p, nil
}

// Info describes a model, whether it can run or not.
type Info struct {
	Opset           int    // of ai.onnx
	Producer        string // with its version
	Inputs, Outputs []Port
	Ops             map[string]int // how often each operator occurs
	Params          int64          // elements of weights: constants but for int64 and bool, which are shapes and indices
	Metadata        map[string]string
	Unsupported     []Problem // what cannot run; the fields below are zero if there is any
	Shapes          map[string][]int
	Stats           Stats  // at the sizes of Shapes
	KeptFloat       []Kept // see Session.KeptFloat
	PlanError       error  // why no session could be made at these sizes, nil otherwise
}

// Inspect reads a model and describes it; one that cannot run is described
// too. Symbolic sizes are set to 1 for the batch and to 320 elsewhere.
func Inspect(path string) (*Info, error) {
	g, err := onnx.Open(path)
	if err != nil {
		return nil, err
	}
	info := &Info{Opset: g.Opset(""), Producer: strings.TrimSpace(g.Producer + " " + g.ProducerVersion),
		Inputs: ports(g.Inputs), Outputs: ports(g.Outputs), Ops: map[string]int{}, Metadata: map[string]string{}, Unsupported: pass.Unsupported(g)}
	for _, p := range g.Metadata {
		info.Metadata[p.Key] = p.Value
	}
	counted := map[*tensor.Tensor]bool{}
	count := func(t *tensor.Tensor) {
		if t != nil && !counted[t] && t.DType != tensor.Int64 && t.DType != tensor.Bool {
			counted[t] = true
			info.Params += int64(t.Elems())
		}
	}
	for _, v := range g.Inits {
		count(v.Const)
	}
	for _, n := range g.Nodes {
		name := n.Type
		if n.Domain != "" {
			name = n.Domain + "." + n.Type
		}
		info.Ops[name]++
		if n.Type == "Constant" {
			if a := n.Attrs.Get("value"); a != nil {
				count(a.Tensor)
			}
		}
	}
	if len(info.Unsupported) > 0 {
		return info, nil
	}
	m := &Model{path: path, graph: g}
	if info.Shapes, err = m.Shapes(nil); err != nil {
		info.PlanError = err
		return info, nil
	}
	s, err := m.NewSession(SessionConfig{Shapes: info.Shapes})
	if err != nil {
		info.PlanError = err
		return info, nil
	}
	defer s.Close()
	info.Stats, info.KeptFloat = s.Stats(), s.KeptFloat()
	return info, nil
}

// Shapes completes the sizes of the inputs: those given by name, then those
// that the file fixes, then 1 for a symbolic batch (the first axis) and 320
// for other symbolic sizes. Inputs with a default are left out.
func (m *Model) Shapes(given map[string][]int) (map[string][]int, error) {
	shapes := map[string][]int{}
	for name, s := range given {
		if !slices.ContainsFunc(m.graph.Inputs, func(v *graph.Value) bool { return v.Name == name }) {
			return nil, fmt.Errorf("shape for %q: the model has no such input, it has %s: %w", name, portList(m.Inputs()), ErrInput)
		}
		shapes[name] = s
	}
	for _, p := range m.Inputs() {
		switch {
		case shapes[p.Name] != nil || p.Optional:
			continue
		case p.Untyped:
			return nil, fmt.Errorf("input %s: give its shape: %w", p, ErrInput)
		}
		s := slices.Clone(p.Type.Shape)
		for i, d := range s {
			switch {
			case d >= 0:
			case i == 0:
				s[i] = 1
			default:
				s[i] = 320
			}
		}
		shapes[p.Name] = s
	}
	return shapes, nil
}

// portList prints ports for an error.
func portList(ps []Port) string {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = p.String()
	}
	return strings.Join(names, ", ")
}

// int8Coverage returns the share of the multiply-adds that int8 kernels do.
func int8Coverage(steps []StepTime) float64 {
	var all, done int64
	for _, s := range steps {
		all += s.MACs
		if s.Int8 {
			done += s.MACs
		}
	}
	if all == 0 {
		return 0
	}
	return float64(done) / float64(all)
}
