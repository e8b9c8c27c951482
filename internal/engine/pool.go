package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/kernels"
)

// serialCost is the work, in multiply-adds, below which a step is not worth
// sharing: about half a microsecond. Sharing a short step also leaves its
// output where the next step's workers look for it.
const serialCost = 1 << 14

// parkAfter is how long an idle helper spins behind the end of a frame before
// it sleeps. Within a frame it spins until the frame ends.
const parkAfter = 50 * time.Microsecond

// pool is the one worker pool of the process. Its helpers serve one Run at a
// time; a Run that finds them taken computes on its caller.
//
// Every worker has a span of a step's tiles, the same fraction of every step,
// so that it finds what it wrote in its own cache; who is done with its own
// takes tiles from the far end of another's. A span is one word: a 16-bit epoch
// that names the step, the number of helpers that may take part, the end, and
// the next tile. A helper that comes late finds another epoch or no tile left,
// so it can never run a tile of a step that is over, nor one of a smaller crew
// than the one it was woken for; a helper that is not scheduled at all costs
// nothing, since the others take its tiles.
type pool struct {
	owner   sync.Mutex // held by the Run that has the helpers
	helpers []*helper
	active  atomic.Bool  // a frame is under way and helpers spin
	noSpin  atomic.Bool  // helpers sleep as soon as no tile is left
	limit   atomic.Int32 // helpers that may take part in it
	step    atomic.Pointer[op.Step]
	failure atomic.Pointer[error]
	epoch   uint64
	_       [cacheLine]byte
	done    atomic.Int32
	_       [cacheLine]byte
	spans   [maxHelpers + 1]span
}

// span is what is left of a worker's tiles, apart from all others' in memory.
type span struct {
	word atomic.Uint64
	_    [cacheLine]byte
}

const (
	tileBits   = 20
	tileMask   = 1<<tileBits - 1
	crewBits   = 8
	maxHelpers = 1<<crewBits - 1
	cacheLine  = 128 // processors fetch lines of 64 bytes in pairs
)

// helper is one goroutine of the pool.
type helper struct {
	id     int // its worker number, from 1
	wake   chan struct{}
	parked atomic.Bool
}

var workers pool

// crew is the pool as one Run sees it: alone is set where it has no helpers.
type crew struct {
	p     *pool
	alone bool
	spin  bool
}

// enter takes the helpers for a frame and wakes them.
func (p *pool) enter(threads int, noSpin bool) crew {
	if threads <= 1 || !p.owner.TryLock() {
		return crew{p: p, alone: true}
	}
	threads = min(threads, maxHelpers+1)
	for len(p.helpers) < threads-1 {
		h := &helper{id: len(p.helpers) + 1, wake: make(chan struct{}, 1)}
		h.parked.Store(true)
		p.helpers = append(p.helpers, h)
		go p.serve(h)
	}
	p.limit.Store(int32(threads - 1))
	p.noSpin.Store(noSpin)
	c := crew{p: p, spin: !noSpin}
	if c.spin {
		p.active.Store(true)
		c.wake()
	}
	return c
}

// leave gives the helpers back.
func (c crew) leave() {
	if c.alone {
		return
	}
	c.p.active.Store(false)
	c.p.owner.Unlock()
}

// wake wakes the helpers that sleep.
func (c crew) wake() {
	for _, h := range c.p.helpers[:c.p.limit.Load()] {
		if h.parked.Load() {
			select {
			case h.wake <- struct{}{}:
			default:
			}
		}
	}
}

// run computes every tile of a step.
func (c crew) run(s *op.Step) error {
	if c.alone || s.Tiles < 2 || s.Cost < serialCost {
		for t := range s.Tiles {
			s.Run(0, t)
		}
		return nil
	}
	p := c.p
	p.done.Store(0)
	p.step.Store(s)
	p.epoch++ // only its low bits are kept
	crew := uint64(p.limit.Load())
	head := (p.epoch<<crewBits | crew) << (2 * tileBits)
	tiles := uint64(min(s.Tiles, tileMask))
	for w := range crew + 1 {
		p.spans[w].word.Store(head | tiles*(w+1)/(crew+1)<<tileBits | tiles*w/(crew+1))
	}
	if !c.spin {
		c.wake()
	}
	p.work(0, int(crew)+1)
	for i := 0; int(p.done.Load()) < int(tiles); i++ {
		relax(i)
	}
	for t := tileMask; t < s.Tiles; t++ { // beyond what a word can count
		s.Run(0, t)
	}
	if f := p.failure.Swap(nil); f != nil {
		return *f
	}
	return nil
}

// work claims and computes the tiles of a worker, and then those that others
// have not come to. It returns whether it found any.
func (p *pool) work(worker, crew int) bool {
	n := p.drain(worker, worker)
	for i := 1; i < crew; i++ {
		n += p.drain(worker, (worker+i)%crew)
	}
	if n > 0 {
		p.done.Add(n)
	}
	return n > 0
}

// drain computes what it can claim of the span of a worker: the first tile of
// its own, the last of another's. It returns how many it claimed.
func (p *pool) drain(worker, owner int) (n int32) {
	at := &p.spans[owner].word
	for {
		w := at.Load()
		next, end := w&tileMask, w>>tileBits&tileMask
		if next >= end || worker > int(w>>(2*tileBits)&maxHelpers) {
			return n
		}
		tile, left := next, w+1
		if worker != owner {
			tile, left = end-1, w-1<<tileBits
		}
		if !at.CompareAndSwap(w, left) {
			continue
		}
		n++
		// The step cannot change before this tile is counted.
		p.tile(p.step.Load(), worker, int(tile))
	}
}

// tile computes one tile. A panic becomes an error of the Run.
func (p *pool) tile(s *op.Step, worker, tile int) {
	defer p.guard()
	s.Run(worker, tile)
}

func (p *pool) guard() {
	if r := recover(); r != nil {
		err := fmt.Errorf("internal error in a kernel: %v (please report it with the model)", r)
		p.failure.Store(&err)
	}
}

// serve is the life of a helper: sleep, spin while a frame is under way, and
// for a moment after it, sleep again.
func (p *pool) serve(h *helper) {
	for {
		<-h.wake
		h.parked.Store(false)
		idle, since := 0, time.Now()
		for {
			if p.work(h.id, int(p.limit.Load())+1) {
				idle, since = 0, time.Now()
				continue
			}
			idle++
			if p.noSpin.Load() || idle%64 == 0 && !p.wanted(h) && time.Since(since) > parkAfter {
				break
			}
			relax(idle)
		}
		h.parked.Store(true)
		// A frame may have started between the last look and the store.
		if p.wanted(h) {
			select {
			case h.wake <- struct{}{}:
			default:
			}
		}
	}
}

// wanted reports whether a frame is under way that a helper takes part in.
func (p *pool) wanted(h *helper) bool { return p.active.Load() && int32(h.id) <= p.limit.Load() }

// relax waits a moment without giving up the processor, and now and then
// lets other goroutines run.
func relax(i int) {
	if i&1023 == 1023 {
		runtime.Gosched()
		return
	}
	kernels.Pause()
}

// performanceCores returns how many processors belong to the fastest kind of
// core of this machine.
func performanceCores() int {
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/cpu_capacity")
	top, count := 0, 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		c, err := strconv.Atoi(strings.TrimSpace(string(b)))
		switch {
		case err != nil || c < top:
		case c > top:
			top, count = c, 1
		default:
			count++
		}
	}
	if count == 0 {
		return runtime.NumCPU()
	}
	return count
}
