package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/internal/roofline"
	"github.com/edgecam/edgecam/sdk"
)

// benchmark is the last line of edgecam bench --json. Times are in
// milliseconds.
type benchmark struct {
	Model          string      `json:"model"`
	Threads        int         `json:"threads"`
	Runs           int         `json:"runs"`
	Millis         quantiles   `json:"ms"`
	LoadMillis     float64     `json:"load_ms"`
	ArenaBytes     int         `json:"arena_bytes"`
	WeightBytes    int         `json:"weight_bytes"`
	RSSGrowthBytes int64       `json:"rss_growth_bytes"`
	Kernels        string      `json:"kernels"`
	MACs           int64       `json:"macs"`
	Int8Coverage   float64     `json:"int8_coverage"`
	KeptFloat      []keptFloat `json:"kept_float"` // of a model that runs in int8 elsewhere
	Histogram      []bucket    `json:"histogram"`
	Peaks          *peaks      `json:"peaks,omitempty"`      // with --profile
	Efficiency     *efficiency `json:"efficiency,omitempty"` // with --profile
	Compare        *benchDiff  `json:"compare,omitempty"`
}

type quantiles struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Mean   float64 `json:"mean"`
	P50    float64 `json:"p50"` // the median
	P90    float64 `json:"p90"`
	P95    float64 `json:"p95"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// peaks is what was measured of the machine.
type peaks struct {
	GFLOPS float64     `json:"gflops"`
	Levels []peakLevel `json:"bandwidth"`
}

type peakLevel struct {
	Level string  `json:"level"`
	Bytes int     `json:"bytes,omitempty"` // it holds
	GBPS  float64 `json:"gbps"`
}

// benchDiff compares with an earlier run: times divided by the earlier ones.
type benchDiff struct {
	With   string  `json:"with"`
	Min    float64 `json:"min_ratio"`
	Median float64 `json:"median_ratio"`
}

// benchFlags are the flags of edgecam bench.
type benchFlags struct {
	model, compare string
	shapes         []string
	threads, runs  int
	duration       time.Duration
	profile, json  bool
	histogram      bool
}

func newBench(o output) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench -m MODEL",
		Short: "Time a model on this machine",
		Long: `Times a model on this machine, on uniform random inputs in [0,1) (integer inputs
are zero). A run starts at inputs in the file's layout and ends with all outputs
in theirs. Symbolic sizes are 1 for the batch and 320 elsewhere unless --shape
gives them.

With --profile, the peaks of the machine are measured first, and each layer is
given as a share of what it could attain: min(peak of multiply-adds, bandwidth x
operations per byte), with the bandwidth of the smallest cache that holds the
bytes it touches. A Winograd layer counts the multiply-adds that it avoids.

rss_growth_bytes is the resident memory after the first run less that before
loading; it is known on Linux only.`,
		Example: `  edgecam bench -m model.onnx --threads 1
  edgecam bench -m model.onnx --shape images=1x3x640x640 --profile
  edgecam bench -m model.onnx --runs 10000 --histogram
  edgecam bench -m model.onnx --json > old.json; edgecam bench -m model.onnx --compare old.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBench(cmd.Context(), o, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "ONNX `file`")
	fl.StringArrayVar(&f.shapes, "shape", nil, "size of an input, as `NAME=1x3x320x320`; may be repeated")
	fl.IntVar(&f.threads, "threads", 0, "workers; 0: the performance cores")
	fl.DurationVar(&f.duration, "duration", 3*time.Second, "how long to measure")
	fl.IntVar(&f.runs, "runs", 0, "how many runs to measure, instead of a duration")
	fl.BoolVar(&f.profile, "profile", false, "print the time of every layer and how near it comes to the peak")
	fl.BoolVar(&f.histogram, "histogram", false, "print how many runs took how long")
	fl.StringVar(&f.compare, "compare", "", "`file` with the output of an earlier bench --json")
	fl.BoolVar(&f.json, "json", false, "print JSON; the last line is the result")
	return c
}

func runBench(ctx context.Context, o output, f benchFlags) error {
	given, err := parseShapes(f.shapes)
	if err != nil {
		return err
	}
	switch {
	case f.threads < 0:
		return usage("--threads %d: give 0 or more", f.threads)
	case f.runs < 0:
		return usage("--runs %d: give 1 or more, or 0 to measure for --duration", f.runs)
	case f.duration <= 0:
		return usage("--duration %v: give a positive duration, as 3s", f.duration)
	}
	var old *benchmark
	if f.compare != "" {
		if old, err = readBenchmark(f.compare); err != nil {
			return err
		}
	}
	before, start := residentBytes(), time.Now()
	m, err := load(f.model)
	if err != nil {
		return err
	}
	shapes, err := m.Shapes(given)
	if err != nil {
		return usage("--shape: %w", err)
	}
	s, err := newSession(m, sdk.SessionConfig{Shapes: shapes, Values: zeroIntegers(m, shapes), Threads: f.threads, Profile: f.profile})
	if err != nil {
		return err
	}
	defer s.Close()
	r := benchmark{Model: f.model, LoadMillis: millis(time.Since(start))}
	fillRandom(s)
	if err := s.Run(ctx); err != nil {
		return err
	}
	if after := residentBytes(); before > 0 && after > before {
		r.RSSGrowthBytes = after - before
	}
	st := s.Stats()
	var roof *roofline.Machine
	if f.profile {
		if roof, err = roofline.Measure(st.Kernels, st.Threads, measureBudget); err != nil {
			return err
		}
	}
	s.ResetProfile()
	times, err := measure(ctx, s, f.runs, f.duration)
	if err != nil {
		return err
	}
	r.Threads, r.Runs, r.Millis, r.Histogram = st.Threads, len(times), quantilesOf(times), histogram(times)
	r.ArenaBytes, r.WeightBytes, r.Kernels, r.MACs, r.Int8Coverage = st.ArenaBytes, st.WeightBytes, st.Kernels, st.MACs, st.Int8Coverage
	r.KeptFloat = keptFloats(s.KeptFloat(), st.Int8Coverage)
	if old != nil {
		r.Compare = &benchDiff{With: f.compare, Min: round(r.Millis.Min/old.Millis.Min, 4), Median: round(r.Millis.Median/old.Millis.Median, 4)}
	}
	if f.profile {
		layers := layersOf(s.Profile(), len(times), roof)
		r.Efficiency = judge(layers, roof)
		r.Peaks = &peaks{GFLOPS: round(roof.Peak, 2)}
		for _, l := range roof.Levels {
			r.Peaks.Levels = append(r.Peaks.Levels, peakLevel{l.Name, l.Bytes, round(l.Rate, 2)})
		}
		if err := reportProfile(o, layers, roof, r.Efficiency, f.json); err != nil {
			return err
		}
	}
	if f.json {
		return o.json(r)
	}
	return printBenchmark(o, &r, f.histogram)
}

// measureBudget is how long the peaks of the machine are measured.
const measureBudget = time.Second

// reportProfile prints what --profile asks for.
func reportProfile(o output, layers []layerTime, m *roofline.Machine, e *efficiency, asJSON bool) error {
	if asJSON {
		for _, l := range layers {
			if err := o.json(l); err != nil {
				return err
			}
		}
		return nil
	}
	if err := printPeaks(o, m); err != nil {
		return err
	}
	if err := printLayers(o, layers, m); err != nil {
		return err
	}
	return printEfficiency(o, e)
}

// measure runs the session a number of times, or where that is 0 for a
// duration, at least once, and returns the times of the runs.
func measure(ctx context.Context, s *sdk.Session, runs int, d time.Duration) ([]time.Duration, error) {
	times := make([]time.Duration, 0, max(runs, 1<<12))
	more := func(end time.Time) bool {
		if runs > 0 {
			return len(times) < runs
		}
		return len(times) == 0 || time.Now().Before(end)
	}
	for end := time.Now().Add(d); more(end); {
		t := time.Now()
		if err := s.Run(ctx); err != nil {
			return nil, err
		}
		times = append(times, time.Since(t))
	}
	return times, nil
}

// parseShapes reads --shape values: NAME=1x3x320x320.
func parseShapes(flags []string) (map[string][]int, error) {
	shapes := map[string][]int{}
	for _, f := range flags {
		i := strings.LastIndex(f, "=")
		if i < 1 {
			return nil, usage("--shape %q: want NAME=1x3x320x320", f)
		}
		name, dims := f[:i], []int{}
		if f[i+1:] != "scalar" {
			for d := range strings.SplitSeq(f[i+1:], "x") {
				n, err := strconv.Atoi(d)
				if err != nil || n < 0 || n > 1<<30 {
					return nil, usage("--shape %q: %q is not a size; want NAME=1x3x320x320", f, d)
				}
				dims = append(dims, n)
			}
		}
		if _, twice := shapes[name]; twice {
			return nil, usage("--shape: %s is given twice", name)
		}
		shapes[name] = dims
	}
	return shapes, nil
}

// zeroIntegers gives integer inputs their contents, zero, on which sizes may
// depend.
func zeroIntegers(m *sdk.Model, shapes map[string][]int) map[string]*sdk.Tensor {
	values := map[string]*sdk.Tensor{}
	for _, p := range m.Inputs() {
		if s, ok := shapes[p.Name]; ok && !p.Type.DType.IsFloat() {
			if t, err := sdk.NewTensor(p.Type.DType, s...); err == nil {
				values[p.Name] = t
			}
		}
	}
	return values
}

// fillRandom fills floating-point inputs with uniform numbers in [0,1), seed
// 0, and all others with zero.
func fillRandom(s *sdk.Session) {
	rng := rand.New(rand.NewPCG(0, 0))
	for _, p := range s.Inputs() {
		t := s.Input(p.Name)
		if !p.Type.DType.IsFloat() {
			clear(t.Bytes())
			continue
		}
		for i := range t.Elems() {
			t.SetFloat(i, float64(rng.Float32()))
		}
	}
}

// millis returns d in milliseconds, to 0.1 microseconds.
func millis(d time.Duration) float64 { return round(float64(d)/float64(time.Millisecond), 4) }

// residentBytes returns the resident memory of this process, 0 where it is
// not known.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// readBenchmark reads the last line of an earlier bench --json.
func readBenchmark(path string) (*benchmark, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("--compare: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	var old benchmark
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &old); err != nil {
		return nil, usage("--compare %s: the last line is not the result of bench --json: %w", path, err)
	}
	if !(old.Millis.Min > 0 && old.Millis.Median > 0) {
		return nil, usage("--compare %s: the last line has no times: it is not the result of bench --json", path)
	}
	return &old, nil
}

func printBenchmark(o output, r *benchmark, histogram bool) error {
	if histogram {
		if err := printHistogram(o, r.Histogram); err != nil {
			return err
		}
	}
	err := o.line("%s: %v (%d runs, threads %d, kernels %s)", r.Model, r.Millis, r.Runs, r.Threads, r.Kernels)
	if err != nil {
		return err
	}
	rate := ""
	if r.MACs > 0 {
		rate = fmt.Sprintf(" (%.1f GFLOP/s at best, %.0f %% in int8)", 2*float64(r.MACs)/r.Millis.Min/1e6, r.Int8Coverage*100)
	}
	err = o.line("  load %.1f ms, %s multiply-adds%s, arena %s, weights %s, resident growth %s", r.LoadMillis, count(r.MACs), rate,
		bytesString(int64(r.ArenaBytes)), bytesString(int64(r.WeightBytes)), bytesString(r.RSSGrowthBytes))
	if n := len(r.KeptFloat); err == nil && n > 0 {
		err = o.line("  %d nodes in float32; edgecam inspect says which and why", n)
	}
	if err == nil && r.Compare != nil {
		err = o.line("  against %s: min x %.3f, median x %.3f", r.Compare.With, r.Compare.Min, r.Compare.Median)
	}
	return err
}
