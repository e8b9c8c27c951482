package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/edgecam/edgecam/internal/roofline"
	"github.com/edgecam/edgecam/sdk"
)

// roof is a machine with round numbers: 100 GFLOP/s, tiles of 6x16.
var roof = &roofline.Machine{Kernels: "avx2", Threads: 1, Peak: 100, TileRows: 6, TileColumns: 16, Functions: map[string]float64{"SiLU": 0.5},
	Levels: []roofline.Level{{Name: "L1", Bytes: 32 << 10, Rate: 200}, {Name: "L2", Bytes: 512 << 10, Rate: 100}, {Name: "L3", Bytes: 32 << 20, Rate: 50}, {Name: "memory", Rate: 10}}}

// product is a step of m x n x k multiply-adds that took a time.
func product(layer, m, n, k int, best time.Duration, bytes int64) sdk.StepTime {
	return sdk.StepTime{Layer: layer, Node: "conv", Op: "Conv", Kernel: "avx2 gemm", Shape: "1x1x1x1", Time: 10 * best, Best: best,
		MACs: int64(m) * int64(n) * int64(k), Bytes: bytes, Rows: m, Columns: n, Depth: k}
}

func TestLayers(t *testing.T) {
	us := time.Microsecond
	steps := []sdk.StepTime{
		{Layer: 0, Node: "stem", Op: "Conv", Kernel: "pad rows", Time: 40 * us, Best: 2 * us},
		product(0, 600, 160, 500, 1198*us, 100_000),                                                                       // 96 MFLOP: 960 us at best
		{Layer: 1, Node: "pool", Op: "MaxPool", Kernel: "avx2 maxpool", Time: 1000 * us, Best: 80 * us, Bytes: 2_000_000}, // 40 us at 50 GB/s
		product(2, 60, 16, 1000, 400*us, 1_000_000),                                                                       // 19.2 us of multiply-adds, 20 us of L3
	}
	layers := layersOf(steps, 10, roof)
	if len(layers) != 3 {
		t.Fatalf("%d layers, want 3", len(layers))
	}
	for i, want := range []struct {
		kernel, bound    string
		ms, best, gflops float64
		gbps, of, share  float64
		steps            int
	}{
		{"avx2 gemm", "fma", 1.202, 1.2, 80, 0.083, 0.8, 0.71429, 2},
		{"avx2 maxpool", "L3", 0.1, 0.08, 0, 25, 0.5, 0.04762, 0},
		{"avx2 gemm", "L3", 0.4, 0.4, 4.8, 2.5, 0.05, 0.23810, 0},
	} {
		l := layers[i]
		if l.Kernel != want.kernel || l.Bound != want.bound || l.Millis != want.ms || l.Best != want.best || l.GFLOPS != want.gflops || l.GBPS != want.gbps ||
			l.Attainable != want.of || l.Share != want.share || len(l.Steps) != want.steps {
			t.Errorf("layer %d is %+v, want %+v", i, l, want)
		}
	}
	e := judge(layers, roof)
	// 960 + 40 + 20 us of 1680.
	if e.Layers != 2 || e.Good != 0 || len(e.Slow) != 2 || e.Attainable != 0.6071 || e.GFLOPS != 58.286 {
		t.Errorf("efficiency is %+v", e)
	}
	var out bytes.Buffer
	o := output{stdout: &out}
	if err := printLayers(o, layers, roof); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1.2000  71.4     80.0    0.1    80 % fma Conv        gemm +1        600x160x500     conv",
		"0.0800   4.8        -   25.0    50 % L3  MaxPool     maxpool        ",
		"1.6800 100.0     58.3    1.8    61 %     all layers",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the profile lacks %q:\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(line) > 101 {
			t.Errorf("longer than 100 characters: %s", line)
		}
	}
}

func TestWhy(t *testing.T) {
	ms := time.Millisecond
	two := *roof
	two.Threads = 2
	pad := sdk.StepTime{Node: "conv", Op: "Conv", Kernel: "pad rows", Best: ms / 10}
	silu := product(0, 600, 160, 128, ms, 100_000)
	silu.Activation = "SiLU"
	fast := product(0, 600, 160, 500, 10*ms, 100_000)
	fast.Activation = "SiLU"
	prelu := silu
	prelu.Activation = "PRelu"
	for _, c := range []struct {
		name  string
		m     *roofline.Machine
		steps []sdk.StepTime
		want  string // "" for a layer that is not judged
		of    int
	}{
		{"good", roof, []sdk.StepTime{product(0, 600, 160, 500, ms, 100_000)}, "good", 1},
		{"few rows", roof, []sdk.StepTime{product(0, 31, 160, 500, ms, 100_000)}, "", 0},
		{"shallow", roof, []sdk.StepTime{product(0, 600, 160, 127, ms, 100_000)}, "", 0},
		{"columns", roof, []sdk.StepTime{product(0, 600, 24, 500, ms, 100_000)}, "24 columns fill 75 % of 6x16 tiles", 1},
		{"rows", roof, []sdk.StepTime{product(0, 49, 160, 500, ms, 100_000)}, "49 rows fill 91 % of 6x16 tiles", 1},
		{"memory", roof, []sdk.StepTime{product(0, 60, 16, 1000, ms, 1_000_000)}, "bound by L3", 1},
		{"activation", roof, []sdk.StepTime{silu}, "SiLU takes 19 %", 1},
		{"an activation that hardly counts", roof, []sdk.StepTime{fast}, "the numbers do not tell", 1},
		{"another activation", roof, []sdk.StepTime{prelu}, "PRelu is not counted", 1},
		{"other steps", roof, []sdk.StepTime{pad, product(0, 600, 160, 128, ms, 100_000)}, "9 % goes to other steps", 1},
		{"short", &two, []sdk.StepTime{product(0, 48, 16, 128, 20*time.Microsecond, 10_000)}, "20 µs: short for 2 threads", 1},
		{"far data", roof, []sdk.StepTime{product(0, 600, 160, 500, 2*ms, 1_000_000)}, "976.6 KiB come from L3", 1},
		{"unknown", roof, []sdk.StepTime{product(0, 600, 160, 500, 2*ms, 100_000)}, "the numbers do not tell", 1},
	} {
		e := judge(layersOf(c.steps, 1, c.m), c.m)
		got := ""
		if len(e.Slow) > 0 {
			got = e.Slow[0].Why
		} else if e.Good == 1 {
			got = "good"
		}
		if e.Layers != c.of || got != c.want {
			t.Errorf("%s: %d layers, %q, want %q", c.name, e.Layers, got, c.want)
		}
	}
}

func TestHistogram(t *testing.T) {
	ms := time.Millisecond
	times := []time.Duration{ms, 2 * ms, 2 * ms, 2*ms + 1, ms / 4, 0}
	list := histogram(times)
	runs := 0
	for i, b := range list {
		runs += b.Runs
		if i > 0 && b.Millis <= list[i-1].Millis {
			t.Errorf("bucket %d ends at %v, the one before at %v", i, b.Millis, list[i-1].Millis)
		}
	}
	if runs != len(times) || len(list) != 5 || list[1] != (bucket{0.25, 1}) || list[2] != (bucket{1, 1}) || list[3] != (bucket{2, 2}) || list[4] != (bucket{2.088548, 1}) {
		t.Errorf("buckets %v", list)
	}
	var out bytes.Buffer
	if err := printHistogram(output{stdout: &out}, []bucket{{1, 1000}, {2, 1}}); err != nil {
		t.Fatal(err)
	}
	if want := "<=    1.0000 ms     1000   99.90 %  " + strings.Repeat("#", 60) + "\n<=    2.0000 ms        1  100.00 %  .\n"; out.String() != want {
		t.Errorf("histogram\n%s, want\n%s", &out, want)
	}
}

func TestQuantiles(t *testing.T) {
	times := make([]time.Duration, 1000)
	for i := range times {
		times[(i*7)%1000] = time.Duration(i+1) * time.Millisecond
	}
	if got, want := quantilesOf(times), (quantiles{Min: 1, Median: 500.5, Mean: 500.5, P50: 500.5, P90: 901, P95: 951, P99: 991, Max: 1000}); got != want {
		t.Errorf("quantiles %+v, want %+v", got, want)
	}
}

// TestBenchProfile runs the command: what it prints depends on the machine, so
// only the form is compared.
func TestBenchProfile(t *testing.T) {
	args := []string{"bench", "-m", assets + "squares.onnx", "--threads", "1", "--runs", "25", "--profile"}
	r := execute(t, append(args, "--histogram")...)
	for _, want := range []string{`peaks, threads 1, kernels \w+: [\d.]+ GFLOP/s`, `L1 .* memory \d+`, `all layers`, `p50 [\d.]+, p90 [\d.]+, p99 [\d.]+, max [\d.]+ \(25 runs`, `<= +[\d.]+ ms +\d+ +100.00 %`} {
		if r.code != 0 || !regexp.MustCompile(want).MatchString(r.stdout) {
			t.Errorf("code %d: no %q in\n%s%s", r.code, want, r.stdout, r.stderr)
		}
	}
	for line := range strings.Lines(r.stdout) {
		if utf8.RuneCountInString(line) > 101 && !strings.Contains(line, assets) && !strings.Contains(line, "  load ") {
			t.Errorf("longer than 100 characters: %s", line)
		}
	}
	r = execute(t, append(args, "--json")...)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var last benchmark
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	var best, runs float64
	for _, line := range lines[:len(lines)-1] {
		var l layerTime
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		best += l.Best
	}
	for _, b := range last.Histogram {
		runs += float64(b.Runs)
	}
	// The best times of the layers are parts of different runs, rounded.
	if last.Peaks == nil || last.Peaks.GFLOPS <= 0 || last.Efficiency == nil || last.Runs != 25 || runs != 25 || best <= 0 || best > last.Millis.Min+0.002 {
		t.Errorf("sum of the best times %v, runs %v, last line %s", best, runs, lines[len(lines)-1])
	}
	if r := execute(t, "bench", "-m", assets+"squares.onnx", "--runs", "-1"); r.code != 2 || !strings.Contains(r.stderr, "--runs") {
		t.Errorf("--runs -1: code %d, %s", r.code, r.stderr)
	}
}
