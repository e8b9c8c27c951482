package roofline

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgecam/edgecam/kernels"
)

func TestBound(t *testing.T) {
	m := &Machine{Peak: 100, TileRows: 6, TileColumns: 16, Levels: []Level{{"L1", 1000, 400}, {"L2", 10000, 200}, {"memory", 0, 10}}}
	for _, c := range []struct {
		flop, bytes int64
		want        time.Duration
		by          string
	}{
		{100_000, 1000, 1000, "fma"},     // 2.5 ns of traffic
		{0, 1000, 2, "L1"},               // 1000 bytes at 400 a nanosecond
		{100, 1001, 5, "L2"},             // 1 ns of multiply-adds
		{1_000_000, 10000, 10000, "fma"}, // 50 ns of traffic
		{1_000_000, 200_000, 20_000, "memory"},
		{0, 0, 0, "fma"},
	} {
		if got, by := m.Bound(c.flop, c.bytes); got != c.want || by != c.by {
			t.Errorf("Bound(%d, %d) = %v by %s, want %v by %s", c.flop, c.bytes, got, by, c.want, c.by)
		}
	}
	for _, c := range []struct {
		rows, columns int
		want          float64
	}{{6, 16, 1}, {3, 16, 0.5}, {12, 8, 0.5}, {7, 17, 7. * 17 / (12 * 32)}} {
		if got := m.Fill(c.rows, c.columns); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Fill(%d, %d) = %v, want %v", c.rows, c.columns, got, c.want)
		}
	}
}

func TestCaches(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	const dir = "sys/devices/system/cpu/cpu0/cache/"
	root := fstest.MapFS{}
	for name, c := range map[string][4]string{
		"index0": {"1", "Data", "32K", "0"},
		"index1": {"1", "Instruction", "64K", "0"},
		"index3": {"3", "Unified", "32M", "0-3,8-9"},
		"index2": {"2", "Unified", "512K", "0,8"},
		"index4": {"4", "Unified", "", "0"}, // a size that is not told
	} {
		for i, f := range []string{"level", "type", "size", "shared_cpu_list"} {
			root[dir+name+"/"+f] = file(c[i])
		}
	}
	want := []cache{{1, 32 << 10, 1}, {2, 512 << 10, 2}, {3, 32 << 20, 6}}
	if got := caches(root); !slices.Equal(got, want) {
		t.Errorf("caches are %v, want %v", got, want)
	}
	if got := caches(fstest.MapFS{}); !slices.Equal(got, common) {
		t.Errorf("caches of an unknown system are %v, want %v", got, common)
	}
}

func TestMeasure(t *testing.T) {
	counts := []int{1, 2}
	if testing.Short() {
		counts = counts[1:]
	}
	for _, set := range kernels.Available() {
		for _, threads := range counts {
			m, err := Measure(set.Name, threads, 10*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if m.Threads != min(threads, runtime.GOMAXPROCS(0)) || m.Kernels != set.Name || !(m.Peak > 0) || m.TileRows != set.F32MR || m.TileColumns != set.F32NR {
				t.Errorf("%s: %+v", set.Name, m)
			}
			for f := range kernels.NumUnary {
				if !(m.Functions[f.String()] > 0) {
					t.Errorf("%s: %v has rate %v", set.Name, f, m.Functions[f.String()])
				}
			}
			for i, l := range m.Levels {
				last := i == len(m.Levels)-1
				if !(l.Rate > 0) || (l.Bytes == 0) != last || (l.Name == "memory") != last {
					t.Errorf("%s: level %d is %+v", set.Name, i, l)
				}
				if i > 0 && (m.Levels[i-1].Rate < l.Rate || !last && m.Levels[i-1].Bytes > l.Bytes) {
					t.Errorf("%s: %+v is below %+v", set.Name, l, m.Levels[i-1])
				}
			}
		}
	}
	if _, err := Measure("mmx", 1, time.Millisecond); err == nil {
		t.Error("a rung that does not exist is measured")
	}
}
