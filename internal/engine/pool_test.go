package engine_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/op"
)

// TestMain fails the package where a test leaves goroutines behind. The
// helpers of a pool live as long as the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/edgecam/edgecam/internal/engine.(*pool).serve"))
}

// processors sets GOMAXPROCS for a test.
func processors(t testing.TB, n int) {
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// counted is a step that counts how often each tile runs, and notes workers
// that are not there.
type counted struct {
	op.Step
	tiles    []atomic.Int32
	threads  int
	stranger atomic.Int32
}

func newCounted(tiles, cost, threads int) *counted {
	c := &counted{tiles: make([]atomic.Int32, tiles), threads: threads}
	c.Step = op.Step{Kernel: "count", Tiles: tiles, Cost: cost, Run: func(worker, tile int) {
		c.tiles[tile].Add(1)
		if worker < 0 || worker >= threads {
			c.stranger.Store(int32(worker) + 1)
		}
	}}
	return c
}

// verify reports a tile that did not run exactly once.
func (c *counted) verify() error {
	for i := range c.tiles {
		if n := c.tiles[i].Load(); n != 1 {
			return fmt.Errorf("tile %d of %d ran %d times", i, len(c.tiles), n)
		}
	}
	if w := c.stranger.Load(); w != 0 {
		return fmt.Errorf("worker %d took part in a frame of %d", w-1, c.threads)
	}
	return nil
}

// TestPoolRunsEveryTileOnce draws frames of short steps for one pool that is
// used with changing numbers of workers, spinning and not.
func TestPoolRunsEveryTileOnce(t *testing.T) {
	processors(t, 4)
	var p engine.Pool
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 20).Draw(t, "frames") {
			threads, noSpin := rapid.IntRange(1, 9).Draw(t, "threads"), rapid.Bool().Draw(t, "nospin")
			var steps []*op.Step
			var counts []*counted
			for range rapid.IntRange(0, 8).Draw(t, "steps") {
				c := newCounted(rapid.IntRange(0, 300).Draw(t, "tiles"), rapid.SampledFrom([]int{0, engine.SerialCost}).Draw(t, "cost"), threads)
				counts, steps = append(counts, c), append(steps, &c.Step)
			}
			if err := p.Frame(threads, noSpin, steps...); err != nil {
				t.Fatal(err)
			}
			for _, c := range counts {
				if err := c.verify(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestPoolShared has frames of several goroutines fight for one pool: those
// that do not get the helpers run alone, and no helper strays from a large
// crew into a small one.
func TestPoolShared(t *testing.T) {
	processors(t, 4)
	var p engine.Pool
	frames := 3000
	if testing.Short() {
		frames = 300
	}
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := range frames {
				threads := []int{2, 8, 3}[(g+i)%3]
				c := newCounted(2+i%13, engine.SerialCost, threads)
				if err := p.Frame(threads, i%5 == 0, &c.Step); err != nil {
					t.Error(err)
				}
				if err := c.verify(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestPoolManyTiles(t *testing.T) {
	processors(t, 2)
	var p engine.Pool
	c := newCounted(1<<20+7, engine.SerialCost, 2) // more than a word counts
	if err := p.Frame(2, false, &c.Step); err != nil {
		t.Fatal(err)
	}
	if err := c.verify(); err != nil {
		t.Fatal(err)
	}
}

// TestPoolPanic has a tile panic: the frame fails, every other tile runs, and
// the pool is as good as before.
func TestPoolPanic(t *testing.T) {
	processors(t, 4)
	var p engine.Pool
	for i := range 50 {
		c := newCounted(20, engine.SerialCost, 4)
		bad := c.Step
		bad.Run = func(worker, tile int) {
			c.Run(worker, tile)
			if tile == i%20 {
				panic("a tile went wrong")
			}
		}
		err := p.Frame(4, i%2 == 0, &bad)
		if err == nil || !strings.Contains(err.Error(), "a tile went wrong") || !strings.Contains(err.Error(), "internal error") {
			t.Fatalf("got %v, want an error that quotes the panic", err)
		}
		if err := c.verify(); err != nil {
			t.Fatal(err)
		}
		after := newCounted(20, engine.SerialCost, 4)
		if err := p.Frame(4, false, &after.Step); err != nil {
			t.Fatalf("the frame after a panic: %v", err)
		}
		if err := after.verify(); err != nil {
			t.Fatal(err)
		}
	}
}
