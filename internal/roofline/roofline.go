// Package roofline measures what the processor can do at most, multiply-adds
// and traffic with every level of the memory, and bounds by that how fast a
// computation can be.
//
// It does not know operators or layers, and measures float32 only.
package roofline

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/edgecam/edgecam/kernels"
)

// Level is one level of the memory as the threads see it together.
type Level struct {
	Name  string  // L1, L2, L3, or memory
	Bytes int     // it holds, for all threads; 0 for memory, where there is no bound
	Rate  float64 // GB/s of all threads
}

// Machine is what was measured.
type Machine struct {
	Kernels     string  // the rung of the kernel ladder
	Threads     int     // that worked at the same time
	Peak        float64 // GFLOP/s of all threads; a multiply-add is two
	Levels      []Level // the fastest first; the last is memory
	TileRows    int     // of the matrix kernel
	TileColumns int
	// Functions is how many elements all threads apply a function to, in
	// billions a second, with operands in L1. Names are those of kernels.Unary.
	Functions map[string]float64
}

// Measure times the loops of a rung on a number of threads, at most
// GOMAXPROCS, for about budget in all, and keeps the fastest of many short measurements. It fails where the
// CPU lacks the rung.
func Measure(rung string, threads int, budget time.Duration) (*Machine, error) {
	set, err := kernels.Named(rung)
	if err != nil {
		return nil, fmt.Errorf("measuring the peak: %w", err)
	}
	threads = min(max(threads, 1), runtime.GOMAXPROCS(0))
	m := &Machine{Kernels: rung, Threads: threads, TileRows: set.F32MR, TileColumns: set.F32NR}
	for _, c := range caches(os.DirFS("/")) {
		m.Levels = append(m.Levels, Level{Name: fmt.Sprintf("L%d", c.level), Bytes: c.bytes * ((threads + c.sharers - 1) / c.sharers)})
	}
	m.Levels = append(m.Levels, Level{Name: "memory"})
	each := budget / time.Duration(len(m.Levels)+2)
	m.Peak = peak(set, threads, each)
	for i := range m.Levels {
		m.Levels[i].Rate = traffic(set, threads, m.buffer(i), each)
	}
	m.Functions = map[string]float64{}
	for f := range kernels.NumUnary {
		m.Functions[f.String()] = function(set, f, threads, each/time.Duration(kernels.NumUnary))
	}
	// A level is as fast as those below it, which are read through it.
	for i := len(m.Levels) - 2; i >= 0; i-- {
		m.Levels[i].Rate = max(m.Levels[i].Rate, m.Levels[i+1].Rate)
	}
	return m, nil
}

// Bounds of the buffer that is too large for every cache.
const (
	leastMemory = 64 << 20
	mostMemory  = 192 << 20
)

// buffer returns the bytes of all threads' buffers to measure a level with:
// half of what it holds, or four times what the largest cache holds.
func (m *Machine) buffer(i int) int {
	if b := m.Levels[i].Bytes; b > 0 {
		return b / 2
	}
	largest := 0
	if i > 0 {
		largest = m.Levels[i-1].Bytes
	}
	return min(max(4*largest, leastMemory), mostMemory)
}

// Level returns the fastest level that holds a number of bytes.
func (m *Machine) Level(bytes int64) Level {
	for _, l := range m.Levels[:len(m.Levels)-1] {
		if bytes <= int64(l.Bytes) {
			return l
		}
	}
	return m.Levels[len(m.Levels)-1]
}

// Bound returns the least time in which the machine can do flop floating-point
// operations on bytes that it touches once, and the name of what bounds it: fma
// or a level of the memory. The rate that belongs to it, flop by time, is the
// attainable peak min(Peak, Rate·flop/bytes).
func (m *Machine) Bound(flop, bytes int64) (time.Duration, string) {
	l := m.Level(bytes)
	compute, memory := float64(flop)/m.Peak, float64(bytes)/l.Rate
	if compute >= memory {
		return time.Duration(compute), "fma"
	}
	return time.Duration(memory), l.Name
}

// Fill returns how much of the tiles of the matrix kernel a product of rows x
// columns fills, as a fraction of 1.
func (m *Machine) Fill(rows, columns int) float64 {
	up := func(n, tile int) int { return (n + tile - 1) / tile * tile }
	return float64(rows*columns) / float64(up(rows, m.TileRows)*up(columns, m.TileColumns))
}
