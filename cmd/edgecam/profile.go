package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/edgecam/edgecam/sdk"
)

// profileLine is one step in bench --profile --json.
type profileLine struct {
	Node   string  `json:"node"`
	Op     string  `json:"op"`
	Kernel string  `json:"kernel"`
	Shape  string  `json:"shape"`
	Millis float64 `json:"ms"` // mean of the runs
	Share  float64 `json:"share"`
	MACs   int64   `json:"macs"`
}

// printProfile prints the mean time of every step in order of execution, and
// for people also the sums by operator.
func printProfile(o output, steps []sdk.StepTime, runs int, asJSON bool) error {
	var total time.Duration
	for _, s := range steps {
		total += s.Time
	}
	share := func(t time.Duration) float64 { return float64(t) / float64(max(total, 1)) }
	mean := func(t time.Duration) float64 { return millis(t / time.Duration(max(runs, 1))) }
	byOp := map[string]time.Duration{}
	for _, s := range steps {
		byOp[s.Op] += s.Time
		var err error
		if asJSON {
			err = o.json(profileLine{s.Node, s.Op, s.Kernel, s.Shape, mean(s.Time), round(share(s.Time), 5), s.MACs})
		} else {
			rate := 0.0
			if s.Time > 0 {
				rate = float64(s.MACs) * float64(runs) / float64(s.Time.Nanoseconds())
			}
			err = o.line("%9.4f ms %5.1f %% %7.1f GMAC/s  %-20s %-24s %-16s %s", mean(s.Time), share(s.Time)*100, rate, s.Op, s.Kernel, s.Shape, s.Node)
		}
		if err != nil {
			return err
		}
	}
	if asJSON {
		return nil
	}
	ops := make([]string, 0, len(byOp))
	for op := range byOp {
		ops = append(ops, op)
	}
	slices.SortFunc(ops, func(a, b string) int { return cmp.Or(cmp.Compare(byOp[b], byOp[a]), cmp.Compare(a, b)) })
	for _, op := range ops {
		if err := o.line("%9.4f ms %5.1f %% all %s", mean(byOp[op]), share(byOp[op])*100, op); err != nil {
			return err
		}
	}
	return nil
}

// round rounds to a number of decimals.
func round(v float64, decimals int) float64 {
	p := math.Pow(10, float64(decimals))
	return math.Round(v*p) / p
}
