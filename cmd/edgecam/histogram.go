package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// bucket counts runs of about the same time. Buckets end at powers of
// 2^(1/16) milliseconds, so those of two runs of the program can be compared and
// added; empty ones are left out.
type bucket struct {
	Millis float64 `json:"ms"` // the upper end, itself included
	Runs   int     `json:"runs"`
}

const perOctave = 16

// histogram sorts times into buckets, the fastest first.
func histogram(times []time.Duration) []bucket {
	counts := map[int]int{}
	for _, t := range times {
		ms := float64(max(t, 1)) / float64(time.Millisecond)
		counts[int(math.Ceil(perOctave*math.Log2(ms)))]++
	}
	keys := make([]int, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	list := make([]bucket, len(keys))
	for i, k := range keys {
		list[i] = bucket{round(math.Exp2(float64(k)/perOctave), 6), counts[k]}
	}
	return list
}

// printHistogram prints a bar for each bucket; one that holds any run has a
// dot at least.
func printHistogram(o output, list []bucket) error {
	most, all := 0, 0
	for _, b := range list {
		most, all = max(most, b.Runs), all+b.Runs
	}
	const width = 60
	sum := 0
	for _, b := range list {
		sum += b.Runs
		bar := strings.Repeat("#", b.Runs*width/most)
		if bar == "" {
			bar = "."
		}
		if err := o.line("<= %9.4f ms %8d %7.2f %%  %s", b.Millis, b.Runs, 100*float64(sum)/float64(all), bar); err != nil {
			return err
		}
	}
	return nil
}

// quantilesOf summarises times.
func quantilesOf(times []time.Duration) quantiles {
	ms := make([]float64, len(times))
	var sum float64
	for i, t := range times {
		ms[i] = millis(t)
		sum += ms[i]
	}
	slices.Sort(ms)
	at := func(q float64) float64 { return ms[min(int(q*float64(len(ms))), len(ms)-1)] }
	median := ms[len(ms)/2]
	if len(ms)%2 == 0 {
		median = (median + ms[len(ms)/2-1]) / 2
	}
	median = round(median, 4)
	return quantiles{Min: ms[0], Median: median, Mean: round(sum/float64(len(ms)), 4), P50: median, P90: at(0.9), P95: at(0.95), P99: at(0.99), Max: ms[len(ms)-1]}
}

func (q quantiles) String() string {
	return fmt.Sprintf("min %.3f ms, mean %.3f, p50 %.3f, p90 %.3f, p99 %.3f, max %.3f", q.Min, q.Mean, q.P50, q.P90, q.P99, q.Max)
}
