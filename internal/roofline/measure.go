package roofline

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgecam/edgecam/kernels"
)

// slice is how long one measurement should take: short, so that of many some
// are not disturbed, and long against the clock and the start of the threads.
const slice = 300 * time.Microsecond

// gang is a number of threads that do the same at the same time, again and
// again. Between rounds they spin: to be woken takes longer than a measurement,
// and to yield could put two of them on one processor.
type gang struct {
	round, done  atomic.Int64
	stop         atomic.Bool
	times        int
	starts, ends []time.Time
	wg           sync.WaitGroup
}

// newGang starts the threads but for the caller's own, which is worker 0.
func newGang(threads int, run func(worker, times int)) *gang {
	g := &gang{starts: make([]time.Time, threads), ends: make([]time.Time, threads)}
	for w := 1; w < threads; w++ {
		g.wg.Go(func() {
			for next := int64(1); ; next++ {
				for g.round.Load() < next {
				}
				if g.stop.Load() {
					return
				}
				g.work(w, run)
			}
		})
	}
	return g
}

func (g *gang) work(w int, run func(worker, times int)) {
	g.starts[w] = time.Now()
	run(w, g.times)
	g.ends[w] = time.Now()
	g.done.Add(1)
}

// measure runs a round and returns the time from the first start to the last
// end.
func (g *gang) measure(times int, run func(worker, times int)) time.Duration {
	g.times = times
	g.done.Store(0)
	g.round.Add(1)
	g.work(0, run)
	for int(g.done.Load()) < len(g.starts) {
	}
	first, last := slices.MinFunc(g.starts, time.Time.Compare), slices.MaxFunc(g.ends, time.Time.Compare)
	return max(last.Sub(first), 1)
}

// end lets the threads return.
func (g *gang) end() {
	g.stop.Store(true)
	g.round.Add(1)
	g.wg.Wait()
}

// best returns the highest rate of run within a budget, in units of work for a
// nanosecond of all threads. run does its work a number of times on one thread.
func best(threads int, budget time.Duration, work float64, run func(worker, times int)) float64 {
	g := newGang(threads, run)
	defer g.end()
	times, rate := 1, 0.0
	for end := time.Now().Add(budget); ; {
		d := g.measure(times, run)
		rate = max(rate, work*float64(times)*float64(threads)/float64(d))
		switch {
		case time.Now().After(end):
			return rate
		case d < slice && times < 1<<30:
			times = int(float64(times)*min(2, 1.2*float64(slice)/float64(d))) + 1
		}
	}
}

// peak returns the GFLOP/s of all threads.
func peak(set *kernels.Set, threads int, budget time.Duration) float64 {
	const rounds = 1024
	return best(threads, budget, 2*float64(set.F32Peak(rounds)), func(_, times int) { set.F32Peak(rounds * times) })
}

// traffic returns the GB/s of all threads over buffers of a number of bytes in
// all: the faster of c = a + b, with two reads for each write, and of the
// largest element, which only reads.
func traffic(set *kernels.Set, threads, bytes int, budget time.Duration) float64 {
	n := max(bytes/threads/4/3, 64)
	buffers := make([][]float32, threads)
	for w := range buffers {
		buffers[w] = make([]float32, 3*n)
		for i := range buffers[w] {
			buffers[w][i] = 1
		}
	}
	add := best(threads, budget/2, 12*float64(n), func(w, times int) {
		a, b, c := buffers[w][:n], buffers[w][n:2*n], buffers[w][2*n:]
		for range times {
			set.F32Binary[kernels.Add](c, a, b)
		}
	})
	read := best(threads, budget/2, 12*float64(n), func(w, times int) {
		for range times {
			set.F32Max(buffers[w])
		}
	})
	return max(add, read)
}

// function returns the billions of elements a second that all threads apply a
// function to, with operands in L1.
func function(set *kernels.Set, f kernels.Unary, threads int, budget time.Duration) float64 {
	const n = 2048
	buffers := make([][]float32, threads)
	for w := range buffers {
		buffers[w] = make([]float32, 2*n)
		for i := range buffers[w] {
			buffers[w][i] = float32(i%64) / 8
		}
	}
	return best(threads, budget, n, func(w, times int) {
		for range times {
			set.F32Unary[f](buffers[w][:n], buffers[w][n:], 1, 6)
		}
	})
}
