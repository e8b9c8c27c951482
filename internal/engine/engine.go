// Package engine turns a lowered graph into a session: it plans every buffer
// in one arena, prepares the steps, and runs them on the worker pool of the
// process.
//
// It does not rewrite graphs (package pass does) and knows operators only by
// the interfaces of package op.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// slack is how much memory kernels may read, and not use, behind what they were
// given.
const slack = 64

// ErrClosed is returned by Run after Close.
var ErrClosed = errors.New("session is closed")

// ErrBusy is returned by Run while another Run of the same session is under
// way.
var ErrBusy = errors.New("session is already running: use one session per goroutine")

// DefaultMemoryLimit bounds the arena, and each folded constant, where no
// other limit is given.
const DefaultMemoryLimit = 1 << 30

// Options configures a session. The zero value works.
type Options struct {
	Threads     int          // workers, the caller included, at most GOMAXPROCS; 0: the performance cores, at most the whole ones of a quota
	NoSpin      bool         // helpers sleep between steps instead of spinning: slower, cooler; set by itself where Threads exceeds a quota
	MemoryLimit int          // bytes of the arena; 0: DefaultMemoryLimit
	Kernels     *kernels.Set // nil: kernels.Select
	Profile     bool         // time every step
	Cache       *Cache       // packed weights shared with other sessions of the model; nil: none
}

// Cache holds packed weights and offset tables that the sessions of one model
// share. It is safe for concurrent use; the zero value is ready.
type Cache struct {
	mu      sync.Mutex
	entries map[any]*cacheEntry
	room    []byte // for packed weights
	expect  int    // bytes of weights that nobody has packed yet
}

type cacheEntry struct {
	once  sync.Once
	value any
}

func (c *Cache) get(key any, build func() any) any {
	c.mu.Lock()
	if c.entries == nil {
		c.entries = map[any]*cacheEntry{}
	}
	e := c.entries[key]
	if e == nil {
		e = &cacheEntry{}
		c.entries[key] = e
	}
	c.mu.Unlock()
	e.once.Do(func() { e.value = build() })
	return e.value
}

// expects tells how much weights the first session will pack.
func (c *Cache) expects(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.expect = bytes
	}
}

// maxRoom is the most memory that is set aside for packed weights at a time.
const maxRoom = 4 << 20

// weights returns n zeroed elements that stay for as long as the cache does.
// Those of all layers lie together, so that much memory has few pages.
func (c *Cache) weights(n int) []float32 {
	size := (4*n + align - 1) &^ (align - 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expect -= size
	switch {
	case n == 0:
		return nil
	case size > maxRoom/2:
		return floats(tensor.Alloc(size), n)
	case size > len(c.room):
		c.room = tensor.Alloc(max(size, min(c.expect+size, maxRoom)))
	}
	b := c.room[:size]
	c.room = c.room[size:]
	return floats(b, n)
}

func floats(b []byte, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)[:n:n]
}

// Port is an input or output of a session.
type Port struct {
	Name string
	Type tensor.Type
}

// step is one prepared part of a node, or a node that evaluates itself.
type step struct {
	op.Step
	node    *graph.Node
	time    time.Duration // of all runs
	best    time.Duration // of the fastest run
	dynamic *dynamicStep
	eval    op.Evaluator
	in, out []*tensor.Tensor
}

// Session runs one lowered graph. It owns an arena and is used by one
// goroutine at a time; sessions of the same graph may run concurrently.
type Session struct {
	mu      sync.Mutex
	g       *graph.Graph
	opt     Options
	arena   []byte
	tensors map[*graph.Value]*tensor.Tensor
	inputs  map[string]*tensor.Tensor
	outputs map[string]*tensor.Tensor
	steps   []step
	scratch op.Scratch
	between op.Between
	handed  int // bytes of between
	weights int
	closed  bool
}

// New plans and prepares a session for a lowered graph. Every error of a
// model shows here; Run reports only cancellation and contents that no plan
// can foresee, such as an index out of range.
func New(g *graph.Graph, opt Options) (s *Session, err error) {
	defer recovered("planning", &err)
	if opt.Kernels == nil {
		if opt.Kernels, err = kernels.Select(); err != nil {
			return nil, err
		}
	}
	opt.share(runtime.GOMAXPROCS(0), performanceCores(), Quota())
	if opt.MemoryLimit <= 0 {
		opt.MemoryLimit = DefaultMemoryLimit
	}
	if opt.Cache == nil {
		opt.Cache = &Cache{}
	}
	s = &Session{g: g, opt: opt, inputs: map[string]*tensor.Tensor{}, outputs: map[string]*tensor.Tensor{}}
	p, err := plan(g, opt.MemoryLimit)
	if err != nil {
		return nil, err
	}
	s.arena = tensor.Alloc(p.size + slack)
	s.tensors = p.bind(s.arena)
	for _, v := range g.Inputs {
		s.inputs[v.Name] = s.tensors[v]
		if v.Const != nil {
			copy(s.tensors[v].Data, v.Const.Bytes())
		}
	}
	for _, v := range g.Outputs {
		t := s.tensors[v]
		if v.Const != nil {
			t = v.Const.Clone()
		}
		s.outputs[v.Name] = t
	}
	counted := map[*tensor.Tensor]bool{}
	packed := 0
	for _, n := range g.Nodes {
		_, product := n.Op.(op.Counter)
		for _, v := range n.In {
			if v != nil && v.Const != nil && !counted[v.Const] {
				counted[v.Const] = true
				s.weights += len(v.Const.Bytes())
				if product {
					packed += len(v.Const.Bytes())
				}
			}
		}
	}
	opt.Cache.expects(packed + packed/8) // panels are padded
	if err := s.prepareAll(); err != nil {
		return nil, err
	}
	s.scratch.Buf = tensor.Alloc(s.scratch.Stride*opt.Threads + slack)
	s.between.Buf = tensor.Alloc(s.handed)
	return s, nil
}

// recovered turns a panic into an error: no panic of an operator may leave
// the package.
func recovered(doing string, err *error) {
	if r := recover(); r != nil {
		buf := make([]byte, 2048)
		buf = buf[:runtime.Stack(buf, false)]
		*err = fmt.Errorf("internal error while %s: %v (please report it with the model)\n%s", doing, r, buf)
	}
}

// bound returns the tensors of values, constants included.
func (s *Session) bound(vs []*graph.Value) []*tensor.Tensor {
	ts := make([]*tensor.Tensor, len(vs))
	for i, v := range vs {
		switch {
		case v == nil:
		case v.Const != nil && s.tensors[v] == nil:
			ts[i] = v.Const
		default:
			ts[i] = s.tensors[v]
		}
	}
	return ts
}

// prepareAll prepares the nodes and joins their steps in order. Most of the
// work is packing weights: all processors do it, the largest first.
func (s *Session) prepareAll() error {
	nodes := s.g.Nodes
	steps, errs := make([][]step, len(nodes)), make([]error, len(nodes))
	order := make([]int, len(nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(constBytes(nodes[b]), constBytes(nodes[a])) })
	var next atomic.Int32
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(nodes)) {
		wg.Go(func() {
			for at := int(next.Add(1)) - 1; at < len(order); at = int(next.Add(1)) - 1 {
				i := order[at]
				steps[i], errs[i] = s.prepare(nodes[i])
			}
		})
	}
	wg.Wait()
	for i, n := range nodes {
		if errs[i] != nil {
			return fmt.Errorf("node %s: %w", n.Label(), errs[i])
		}
		s.steps = append(s.steps, steps[i]...)
	}
	return nil
}

// constBytes returns the size of the constants that a node reads.
func constBytes(n *graph.Node) (sum int) {
	for _, v := range n.In {
		if v != nil && v.Const != nil {
			sum += v.Type.Bytes()
		}
	}
	return sum
}

// prepare returns the steps of a node.
func (s *Session) prepare(n *graph.Node) (out []step, err error) {
	defer recovered("preparing", &err)
	ins, outs := s.bound(n.In), s.bound(n.Out)
	if dynamicNode(n) {
		return []step{newDynamicStep(n, ins, outs)}, nil
	}
	if p, ok := n.Op.(op.Preparer); ok {
		env := &op.Env{In: ins, Out: outs, Kernels: s.opt.Kernels, Threads: s.opt.Threads, Shared: s.opt.Cache.get, Room: s.opt.Cache.weights, Scratch: s.scratchFor, Between: s.betweenFor}
		for _, v := range n.In {
			env.Const = append(env.Const, v != nil && v.Const != nil)
		}
		steps, err := p.Prepare(env)
		if err != nil {
			return nil, err
		}
		if steps != nil {
			for _, st := range steps {
				out = append(out, step{Step: st, node: n})
			}
			return out, nil
		}
	}
	e, ok := n.Op.(op.Evaluator)
	if !ok {
		return nil, fmt.Errorf("%T has no evaluation: %w", n.Op, op.ErrUnsupported)
	}
	return []step{{Step: op.Step{Kernel: "reference", Tiles: 1}, node: n, eval: e, in: ins, out: outs}}, nil
}

// scratchFor makes room for n bytes in every worker's scratch memory. The
// handle is filled when all steps are prepared.
func (s *Session) scratchFor(n int) *op.Scratch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scratch.Stride = max(s.scratch.Stride, (n+63)&^63)
	return &s.scratch
}

// betweenFor makes room for n bytes between the steps of a node, as scratchFor
// does.
func (s *Session) betweenFor(n int) *op.Between {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handed = max(s.handed, n)
	return &s.between
}

// Inputs lists the inputs with their types.
func (s *Session) Inputs() []Port { return ports(s.g.Inputs) }

// Outputs lists the outputs with their types. Extents of a data-dependent
// output are upper bounds.
func (s *Session) Outputs() []Port { return ports(s.g.Outputs) }

func ports(vs []*graph.Value) []Port {
	ps := make([]Port, len(vs))
	for i, v := range vs {
		ps[i] = Port{v.Name, v.Type}
	}
	return ps
}

// Input returns the tensor to fill before Run, nil if there is no input of
// that name. Its contents stay until they are overwritten by the caller.
func (s *Session) Input(name string) *tensor.Tensor { return s.inputs[name] }

// Output returns the tensor that Run fills, nil if there is no output of that
// name. It is valid until the next Run; its Shape holds actual extents.
func (s *Session) Output(name string) *tensor.Tensor { return s.outputs[name] }

// ArenaBytes returns the size of the planned arena.
func (s *Session) ArenaBytes() int { return len(s.arena) }

// WeightBytes returns the size of the constants that nodes read.
func (s *Session) WeightBytes() int { return s.weights }

// Threads returns the number of workers a Run uses at most.
func (s *Session) Threads() int { return s.opt.Threads }

// Kernels returns the name of the rung in use.
func (s *Session) Kernels() string { return s.opt.Kernels.Name }

// Close makes further Runs fail. It waits for one under way.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// Run computes the outputs from the inputs. It allocates nothing. The context
// is looked at between steps.
func (s *Session) Run(ctx context.Context) (err error) {
	if !s.mu.TryLock() {
		return ErrBusy
	}
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	defer recovered("running", &err)
	crew := workers.enter(s.opt.Threads, s.opt.NoSpin)
	defer crew.leave()
	done := ctx.Done()
	for i := range s.steps {
		if done != nil {
			select {
			case <-done:
				return ctx.Err()
			default:
			}
		}
		st := &s.steps[i]
		var start time.Time
		if s.opt.Profile {
			start = time.Now()
		}
		switch {
		case st.dynamic != nil:
			err = st.dynamic.run()
		case st.eval != nil:
			err = st.eval.Eval(st.in, st.out)
		default:
			err = crew.run(&st.Step)
		}
		if err != nil {
			return fmt.Errorf("node %s: %w", st.node.Label(), err)
		}
		if s.opt.Profile {
			d := time.Since(start)
			st.time += d
			if st.best == 0 || d < st.best {
				st.best = max(d, 1)
			}
		}
	}
	return nil
}

// StepTime is one line of a profile. The steps of one node follow each other
// and have the same Layer, a number that counts from 0; what describes the
// whole node stands at the last of them and is zero at the others.
type StepTime struct {
	Layer            int
	Node, Op, Kernel string
	Shape            string        // of the first output
	Time, Best       time.Duration // of all runs, and of the fastest run of this step
	Int8             bool          // its multiply-adds are of 8-bit integers
	MACs             int64         // of the node
	Bytes            int64         // of the node's inputs, constants and outputs, each counted once
	// Rows, Columns and Depth are the extents of the matrix product that a
	// node of multiply-adds amounts to: output pixels, output channels,
	// multiply-adds for each output.
	Rows, Columns, Depth int
	Activation           string // that the node applies to its result, where that takes time
}

// Profile returns the time spent in each step since the session was made or
// the last ResetProfile, in order of execution.
func (s *Session) Profile() []StepTime {
	ps := make([]StepTime, len(s.steps))
	layer := -1
	for i := range s.steps {
		st := &s.steps[i]
		if i == 0 || s.steps[i-1].node != st.node {
			layer++
		}
		ps[i] = StepTime{Layer: layer, Node: st.node.Name, Op: st.node.Type, Kernel: st.Kernel, Time: st.time, Best: st.best}
		for _, v := range slices.Backward(st.node.Out) {
			if v != nil {
				ps[i].Shape = v.Type.Shape.String()
			}
		}
		if i+1 == len(s.steps) || s.steps[i+1].node != st.node {
			ps[i].count(st.node)
		}
	}
	return ps
}

// count fills in what describes a whole node.
func (p *StepTime) count(n *graph.Node) {
	values := slices.Concat(n.In, n.Out)
	for i, v := range values {
		if v != nil && !slices.Contains(values[:i], v) {
			p.Bytes += int64(v.Type.Shape.Elems() * v.Type.DType.Size())
		}
	}
	if a, ok := n.Op.(op.Activated); ok {
		p.Activation = a.Activation()
	}
	m, ok := n.Op.(op.Counter)
	if !ok || len(n.Out) == 0 || n.Out[0] == nil {
		return
	}
	p.MACs = m.MACs(n.In, n.Out)
	_, p.Int8 = n.Op.(op.Quantized)
	shape := n.Out[0].Type.Shape
	if elems := shape.Elems(); p.MACs > 0 && elems > 0 && len(shape) > 0 {
		p.Columns = shape[len(shape)-1]
		p.Rows, p.Depth = elems/p.Columns, int(p.MACs)/elems
	}
}

// ResetProfile sets all times of the profile to zero.
func (s *Session) ResetProfile() {
	for i := range s.steps {
		s.steps[i].time, s.steps[i].best = 0, 0
	}
}

// MACs returns the multiply-adds of the convolutions and matrix products.
func (s *Session) MACs() int64 { return MACs(s.g) }

// MACs returns the multiply-adds of the convolutions and matrix products of a
// bound or lowered graph.
func MACs(g *graph.Graph) int64 {
	var sum int64
	for _, n := range g.Nodes {
		if m, ok := n.Op.(op.Counter); ok {
			sum += m.MACs(n.In, n.Out)
		}
	}
	return sum
}
