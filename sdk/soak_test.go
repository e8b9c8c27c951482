package sdk_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// resident returns the process's resident memory in bytes, 0 where the system
// does not tell it this way.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Fscan(bytes.NewReader(b), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// usage is a line of the table: what is held after so many frames.
type usage struct {
	frames     int
	heap       uint64 // in use after a collection
	rss        int64
	mallocs    uint64 // since the start of the process
	goroutines int
}

func measure(frames int) usage {
	debug.FreeOSMemory() // it collects, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{frames, m.HeapAlloc, resident(), m.Mallocs, runtime.NumGoroutine()}
}

func shut(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// counter takes lines and keeps none.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(bytes.Count(b, []byte("\n")))
	return len(b), nil
}

// TestSoak takes frames from the rendered scene through a Live and a Pipeline
// to lines of JSON, and demands that memory and goroutines stay as they are
// after the first. EDGECAM_SOAK is the number of frames:
//
//	EDGECAM_SOAK=100000 go test ./sdk -run TestSoak -v -timeout 1h
func TestSoak(t *testing.T) {
	uri, rows := "test:?size=160x120&rate=1000", []int{1000, 2500, 5000}
	if testing.Short() {
		rows = []int{200, 500, 1000} // the race detector is slow
	}
	if text := os.Getenv("EDGECAM_SOAK"); text != "" {
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil || n < 1000 {
			t.Fatalf("EDGECAM_SOAK=%s: want a number of frames, 1000 at least", text)
		}
		uri, rows = "test:?rate=1000", []int{n / 100, n / 10, n / 2, n}
	}
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	live := camera.OpenLive(uri, camera.Options{}, camera.LiveConfig{})
	defer shut(t, live)
	var lines counter
	var table []usage
	at := 0
	row := sdk.SinkFunc(func(context.Context, *sdk.Result) error {
		if at++; at == rows[len(table)] {
			table = append(table, measure(at))
		}
		return nil
	})
	p := sdk.Pipeline{Source: live, Detector: d, Sinks: []sdk.Sink{sdk.JSONLines(&lines), row}, Frames: rows[len(rows)-1]}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%8s %12s %12s %11s %18s\n", "frames", "heap in use", "RSS", "goroutines", "allocations/frame")
	first := table[0]
	for i, u := range table {
		each := "-"
		if i > 0 {
			each = fmt.Sprintf("%.1f", float64(u.mallocs-table[i-1].mallocs)/float64(u.frames-table[i-1].frames))
		}
		fmt.Fprintf(&b, "%8d %8.2f MiB %8.2f MiB %11d %18s\n", u.frames, float64(u.heap)/(1<<20), float64(u.rss)/(1<<20), u.goroutines, each)
		if u.heap > first.heap+1<<20 || u.rss > first.rss+16<<20 || u.goroutines != first.goroutines {
			t.Errorf("after %d frames %+v, after %d %+v", u.frames, u, first.frames, first)
		}
	}
	s, c := p.Stats(), live.Stats()
	fmt.Fprintf(&b, "%s: %d frames came, %d were dropped for newer ones, %d were read and detected in", uri, c.Frames, s.Drops, s.Frames)
	t.Log(b.String())
	if s.Frames != rows[len(rows)-1] || int(lines) != s.Frames || s.Damaged != 0 || c.LastError != nil || c.Reconnects != 0 || c.Frames < uint64(s.Frames+s.Drops) {
		t.Errorf("%+v, %+v, %d lines", s, c, lines)
	}
}

// TestPipelineAllocatesNothing counts between two frames far apart.
func TestPipelineAllocatesNothing(t *testing.T) {
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{MaxSessions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	src, err := camera.Open("test:?size=64x48&frames=300")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var before, after runtime.MemStats
	at := 0
	count := sdk.SinkFunc(func(context.Context, *sdk.Result) error {
		switch at++; at {
		case 100:
			runtime.ReadMemStats(&before)
		case 300:
			runtime.ReadMemStats(&after)
		}
		return nil
	})
	p := sdk.Pipeline{Source: src, Detector: d, Sinks: []sdk.Sink{count}}
	if err := p.Run(t.Context()); err != nil || at != 300 {
		t.Fatal(at, err)
	}
	if n := after.Mallocs - before.Mallocs; n >= 200 {
		t.Errorf("%d allocations in 200 frames", n)
	}
}

// TestPipelineCountsWithLive adds what a Live has left out.
func TestPipelineCountsWithLive(t *testing.T) {
	d, err := load(t, "squares.onnx").NewDetector(sdk.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	bad := &camera.FrameError{Err: camera.ErrFormat}
	src := &script{steps: []error{bad, nil, nil, bad, nil}}
	l := camera.NewLive(func() (camera.Source, error) { return src, nil }, camera.LiveConfig{})
	defer shut(t, l)
	p := sdk.Pipeline{Source: l, Detector: d}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats(); s.Damaged != 2 || s.Frames+s.Drops != 3 || s.Frames < 1 {
		t.Errorf("%+v", s)
	}
}
