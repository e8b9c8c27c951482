package roofline

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgecam/edgecam/kernels"
)

// slice is how long one measurement should take: short, so that of many some
// are not disturbed, and long against the clock and the start of the threads.
const slice = 300 * time.Microsecond

// together runs f on a number of threads at the same time and returns the time
// from the first start to the last end. Threads that are early spin: to yield
// could put two of them on one processor.
func together(threads int, f func(worker int)) time.Duration {
	var ready atomic.Int32
	starts, ends := make([]time.Time, threads), make([]time.Time, threads)
	work := func(w int) {
		ready.Add(1)
		for int(ready.Load()) < threads {
		}
		starts[w] = time.Now()
		f(w)
		ends[w] = time.Now()
	}
	var wg sync.WaitGroup
	for w := 1; w < threads; w++ {
		wg.Go(func() { work(w) })
	}
	work(0)
	wg.Wait()
	first, last := starts[0], ends[0]
	for w := range threads {
		if starts[w].Before(first) {
			first = starts[w]
		}
		if ends[w].After(last) {
			last = ends[w]
		}
	}
	return max(last.Sub(first), 1)
}

// best returns the highest rate of run within a budget, in units of work for a
// nanosecond of all threads. run does its work a number of times on one thread.
func best(threads int, budget time.Duration, work float64, run func(worker, times int)) float64 {
	times, rate := 1, 0.0
	for end := time.Now().Add(budget); ; {
		d := together(threads, func(w int) { run(w, times) })
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
	together(threads, func(w int) { // each touched first by the thread that uses it
		buffers[w] = make([]float32, 3*n)
		for i := range buffers[w] {
			buffers[w][i] = 1
		}
	})
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
