package camera

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestSceneBoxes compares boxes with where the colours are.
func TestSceneBoxes(t *testing.T) {
	for _, tc := range []struct {
		uri  string
		w, h int
	}{{"test:", 640, 480}, {"test:?size=32x32", 32, 32}, {"test:?size=97x41", 97, 41}, {"test:?size=64x300", 64, 300}} {
		src := open(t, tc.uri)
		var f Frame
		moved := [3]bool{}
		for index := range 200 {
			if err := src.Read(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
			if f.Width != tc.w || f.Height != tc.h || f.Index != index || f.Source != tc.uri || f.Check() != nil {
				t.Fatalf("%s: frame %d of %s is %dx%d", tc.uri, f.Index, f.Source, f.Width, f.Height)
			}
			want := TestScene(index, tc.w, tc.h)
			first := TestScene(0, tc.w, tc.h)
			for i, got := range coloured(&f) {
				got.Label = want[i].Label
				if got != want[i] {
					t.Fatalf("%s: frame %d: pixels of %+v, TestScene says %+v", tc.uri, index, got, want[i])
				}
				moved[i] = moved[i] || got != first[i]
			}
		}
		if moved != [3]bool{true, true, true} {
			t.Errorf("%s: stands still: %v", tc.uri, moved)
		}
	}
}

// coloured finds the boxes of red, green and blue pixels.
func coloured(f *Frame) (boxes [3]SceneObject) {
	for i := range boxes {
		boxes[i] = SceneObject{X0: f.Width, Y0: f.Height}
	}
	for y := range f.Height {
		for x := range f.Width {
			p := f.Pix[y*f.Stride+3*x:][:3]
			for i, v := range p {
				if v >= 200 {
					b := &boxes[i]
					b.X0, b.Y0, b.X1, b.Y1 = min(b.X0, x), min(b.Y0, y), max(b.X1, x+1), max(b.Y1, y+1)
				}
			}
		}
	}
	return boxes
}

func TestSceneIsTheSameInEveryRun(t *testing.T) {
	a, b := open(t, "test:?size=64x48&frames=3"), open(t, "test:?size=64x48")
	var fa, fb, first Frame
	for range 3 {
		if err := errors.Join(a.Read(context.Background(), &fa), b.Read(context.Background(), &fb)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fa.Pix, fb.Pix) || bytes.Equal(fa.Pix, first.Pix) {
			t.Errorf("frame %d differs from that of another run, or is the one before", fa.Index)
		}
		first.Pix = bytes.Clone(fa.Pix)
	}
	if err := a.Read(context.Background(), &fa); !errors.Is(err, io.EOF) || a.(Sized).Len() != 3 {
		t.Errorf("%v after %d frames", err, a.(Sized).Len())
	}
}

func TestSceneRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, err := Open("test:?size=32x32&rate=25")
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		var f Frame
		start := time.Now()
		read := func() time.Duration {
			if err := src.Read(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		for i := range 5 {
			if got, want := read(), time.Duration(i)*40*time.Millisecond; got != want {
				t.Errorf("frame %d after %v, want %v", i, got, want)
			}
		}
		time.Sleep(time.Second) // late: one at once, then the old pace
		if got := read(); got != 1160*time.Millisecond {
			t.Errorf("late frame after %v", got)
		}
		if got := read(); got != 1200*time.Millisecond {
			t.Errorf("the one after it after %v", got)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := src.Read(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if got := read(); got != 1240*time.Millisecond {
			t.Errorf("frame after a cancelled read after %v", got)
		}
	})
}

func TestSceneAllocatesNothing(t *testing.T) {
	src := open(t, "test:?size=64x48&rate=1000")
	var f Frame
	ctx := context.Background()
	if n := testing.AllocsPerRun(50, func() {
		if err := src.Read(ctx, &f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// TestLongRun reads frames through a Live without a pause: memory and
// goroutines stay as they were. TestSoak of package sdk has a pipeline besides.
func TestLongRun(t *testing.T) {
	const frames = 5_000
	l := OpenLive("test:?size=64x48", Options{}, LiveConfig{})
	defer shut(t, l)
	var f Frame
	read := func(n int) {
		for last := -1; f.Index < n; last = f.Index {
			if err := l.Read(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
			if f.Index <= last || time.Since(f.Time) > time.Minute {
				t.Fatalf("frame %d of %v after frame %d", f.Index, f.Time, last)
			}
		}
	}
	measure := func() (heap uint64, goroutines int) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	read(100)
	heap, goroutines := measure()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read(frames)
	runtime.ReadMemStats(&after)
	heap2, goroutines2 := measure()
	if heap2 > heap+256<<10 || goroutines2 > goroutines {
		t.Errorf("heap %d -> %d bytes, goroutines %d -> %d after %d frames", heap, heap2, goroutines, goroutines2, frames)
	}
	if n := after.Mallocs - before.Mallocs; n > uint64(frames/100) {
		t.Errorf("%d allocations in %d frames", n, frames)
	}
	if s := l.Stats(); s.Frames < uint64(frames) || s.LastError != nil || !s.Connected {
		t.Errorf("%+v", s)
	}
}
