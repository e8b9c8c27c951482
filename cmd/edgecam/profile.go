package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/edgecam/edgecam/internal/roofline"
	"github.com/edgecam/edgecam/sdk"
)

// layerTime is one node of the network as it runs, with all its steps, and a
// line of bench --profile --json. Best times are sums of each step's fastest
// run.
type layerTime struct {
	Node   string  `json:"node"`
	Op     string  `json:"op"`
	Kernel string  `json:"kernel"` // of the step that takes longest
	Shape  string  `json:"shape"`
	Millis float64 `json:"ms"`      // mean of the runs
	Best   float64 `json:"best_ms"` // of the fastest run
	Share  float64 `json:"share"`   // of all best times
	MACs   int64   `json:"macs"`
	Bytes  int64   `json:"bytes"` // inputs, constants and outputs, each once
	// The matrix product that a layer of multiply-adds amounts to.
	Rows    int `json:"rows,omitempty"`
	Columns int `json:"columns,omitempty"`
	Depth   int `json:"depth,omitempty"`
	// Activation is the function, other than a clamp, that is applied to the result.
	Activation string `json:"activation,omitempty"`
	// Known where the machine was measured.
	GFLOPS     float64 `json:"gflops,omitempty"`
	GBPS       float64 `json:"gbps"`
	Attainable float64 `json:"of_attainable,omitempty"` // share of the attainable peak
	Bound      string  `json:"bound,omitempty"`         // what the peak is bound by: fma, or a level of the memory
	Steps      []step  `json:"steps,omitempty"`         // where there are several

	best, least time.Duration
}

// step is a part of a layer.
type step struct {
	Kernel string  `json:"kernel"`
	Best   float64 `json:"best_ms"`
}

// layersOf joins the steps of a profile to layers. m is nil where the machine
// was not measured.
func layersOf(steps []sdk.StepTime, runs int, m *roofline.Machine) []layerTime {
	var layers []layerTime
	var total time.Duration
	for len(steps) > 0 {
		n := 1
		for n < len(steps) && steps[n].Layer == steps[0].Layer {
			n++
		}
		l := joinSteps(steps[:n], runs)
		if m != nil {
			least, by := m.Bound(2*l.MACs, l.Bytes)
			l.least, l.Bound = least, by
			l.Attainable = round(ratio(least, l.best), 4)
		}
		total += l.best
		layers, steps = append(layers, l), steps[n:]
	}
	for i := range layers {
		layers[i].Share = round(ratio(layers[i].best, total), 5)
	}
	return layers
}

// joinSteps makes a layer of the steps of one node.
func joinSteps(steps []sdk.StepTime, runs int) layerTime {
	last := steps[len(steps)-1]
	l := layerTime{Node: last.Node, Op: last.Op, Shape: last.Shape, MACs: last.MACs, Bytes: last.Bytes,
		Rows: last.Rows, Columns: last.Columns, Depth: last.Depth, Activation: last.Activation}
	var mean, longest time.Duration
	for _, s := range steps {
		mean += s.Time / time.Duration(max(runs, 1))
		l.best += s.Best
		if s.Best >= longest {
			longest, l.Kernel = s.Best, s.Kernel
		}
		if len(steps) > 1 {
			l.Steps = append(l.Steps, step{s.Kernel, millis(s.Best)})
		}
	}
	l.Millis, l.Best = millis(mean), millis(l.best)
	if l.best > 0 {
		l.GFLOPS, l.GBPS = round(2*float64(l.MACs)/float64(l.best), 3), round(float64(l.Bytes)/float64(l.best), 3)
	}
	return l
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

// printLayers prints a line for each layer in order of execution, the sums by
// operator and the sum of all, 100 characters wide.
func printLayers(o output, layers []layerTime, m *roofline.Machine) error {
	if err := o.line("%9s %5s %8s %6s %7s %-3s %-11s %-14s %-15s %s", "ms", "%", "GFLOP/s", "GB/s", "of peak", "by", "op", "kernel", "size", "node"); err != nil {
		return err
	}
	all := layerTime{Node: "all layers"}
	byOp := map[string]*layerTime{}
	for _, l := range layers {
		sum := byOp[l.Op]
		if sum == nil {
			sum = &layerTime{Node: "all " + l.Op}
			byOp[l.Op] = sum
		}
		sum.add(l)
		all.add(l)
		size, kernel := l.Shape, l.Kernel
		if l.MACs > 0 {
			size = fmt.Sprintf("%dx%dx%d", l.Rows, l.Columns, l.Depth)
		}
		if m != nil { // the rung stands above
			kernel = strings.TrimPrefix(kernel, m.Kernels+" ")
		}
		if n := len(l.Steps); n > 1 {
			kernel = fmt.Sprintf("%s +%d", tail(kernel, 11), n-1)
		}
		err := o.line("%s %-11s %-14s %-15s %s", l.numbers(m), tail(l.Op, 11), tail(kernel, 14), tail(size, 15), tail(l.Node, 13))
		if err != nil {
			return err
		}
	}
	sums := make([]*layerTime, 0, len(byOp)+1)
	for _, s := range byOp {
		sums = append(sums, s)
	}
	slices.SortFunc(sums, func(a, b *layerTime) int { return cmp.Or(cmp.Compare(b.best, a.best), cmp.Compare(a.Node, b.Node)) })
	for _, s := range append(sums, &all) {
		if err := o.line("%s %s", s.numbers(m), s.Node); err != nil {
			return err
		}
	}
	return nil
}

// add adds a layer to a sum. What a sum could reach is the sum of the least
// times; a layer that does less work than is counted helps no other.
func (l *layerTime) add(x layerTime) {
	l.MACs += x.MACs
	l.Bytes += x.Bytes
	l.Share += x.Share
	l.best += x.best
	l.least += min(x.least, x.best)
	l.Best = millis(l.best)
	l.GFLOPS, l.GBPS = 2*float64(l.MACs)/float64(max(l.best, 1)), float64(l.Bytes)/float64(max(l.best, 1))
	l.Attainable = ratio(l.least, l.best)
}

// numbers returns the first columns of a line.
func (l *layerTime) numbers(m *roofline.Machine) string {
	flops, of := "-", "-"
	if l.MACs > 0 {
		flops = fmt.Sprintf("%.1f", l.GFLOPS)
	}
	if m != nil {
		of = fmt.Sprintf("%.0f %%", 100*l.Attainable)
	}
	return fmt.Sprintf("%9.4f %5.1f %8s %6.1f %7s %-3.3s", l.Best, l.Share*100, flops, l.GBPS, of, l.Bound)
}

// tail returns the last n characters of s, the first of them a dot where some
// are cut off.
func tail(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}

// What a layer must have to be judged as a matrix product, and reach.
const (
	gemmDepth, gemmRows = 128, 32
	gemmGoal            = 0.85
)

// slowLayer is a matrix product that stays below its peak.
type slowLayer struct {
	Node       string  `json:"node"`
	Size       string  `json:"size"`
	Attainable float64 `json:"of_attainable"`
	Why        string  `json:"why"`
}

// efficiency says how near the matrix products of a net come to the peak.
type efficiency struct {
	GFLOPS     float64     `json:"gflops"`        // of all layers
	Attainable float64     `json:"of_attainable"` // of all layers: the sum of their least times by that of their best
	Layers     int         `json:"gemm_layers"`   // K >= 128 and 32 rows or more
	Good       int         `json:"gemm_layers_85_percent"`
	Winograd   int         `json:"gemm_layers_winograd"` // of the good ones, which avoid multiply-adds that are counted
	Slow       []slowLayer `json:"gemm_layers_below"`
}

// judge picks the matrix products.
func judge(layers []layerTime, m *roofline.Machine) *efficiency {
	e, all := &efficiency{Slow: []slowLayer{}}, layerTime{}
	for _, l := range layers {
		all.add(l)
		switch {
		case l.Depth < gemmDepth || l.Rows < gemmRows:
			continue
		case l.Attainable >= gemmGoal:
			e.Good++
			if strings.Contains(l.Kernel, "winograd") {
				e.Winograd++
			}
		default:
			e.Slow = append(e.Slow, slowLayer{l.Node, fmt.Sprintf("%dx%dx%d", l.Rows, l.Columns, l.Depth), l.Attainable, l.why(m)})
		}
		e.Layers++
	}
	e.GFLOPS, e.Attainable = round(all.GFLOPS, 3), round(all.Attainable, 4)
	return e
}

// why says what keeps a product from its peak, as far as the numbers tell: two
// reasons at most, the weightiest first.
func (l *layerTime) why(m *roofline.Machine) string {
	var why []string
	if l.Bound != "fma" {
		why = append(why, "bound by "+l.Bound)
	}
	if fill := m.Fill(l.Rows, l.Columns); fill < 0.95 {
		what := fmt.Sprintf("%d columns", l.Columns)
		if l.Rows < 20*m.TileRows && m.Fill(l.Rows, m.TileColumns) < m.Fill(m.TileRows, l.Columns) {
			what = fmt.Sprintf("%d rows", l.Rows)
		}
		why = append(why, fmt.Sprintf("%s fill %.0f %% of %dx%d tiles", what, 100*fill, m.TileRows, m.TileColumns))
	}
	var aside float64
	for _, s := range l.Steps {
		if s.Kernel != l.Kernel {
			aside += s.Best
		}
	}
	if aside > 0.05*l.Best {
		why = append(why, fmt.Sprintf("%.0f %% goes to other steps", 100*aside/l.Best))
	}
	if rate := m.Functions[l.Activation]; rate > 0 {
		if share := float64(l.Rows*l.Columns) / rate / float64(max(l.best, 1)); share > 0.05 {
			why = append(why, fmt.Sprintf("%s takes %.0f %%", l.Activation, 100*share))
		}
	} else if l.Activation != "" {
		why = append(why, l.Activation+" is not counted")
	}
	if m.Threads > 1 && l.best < 50*time.Microsecond {
		why = append(why, fmt.Sprintf("%.0f µs: short for %d threads", l.Best*1000, m.Threads))
	}
	if level := m.Level(l.Bytes); len(why) == 0 && level.Name != "L1" && level.Name != "L2" {
		why = append(why, fmt.Sprintf("%s come from %s", bytesString(l.Bytes), level.Name))
	}
	if len(why) == 0 {
		return "the numbers do not tell"
	}
	return strings.Join(why[:min(len(why), 2)], "; ")
}

// printPeaks says what was measured and how.
func printPeaks(o output, m *roofline.Machine) error {
	var levels []string
	for _, l := range m.Levels {
		text := l.Name
		if l.Bytes > 0 {
			text += " (" + bytesString(int64(l.Bytes)) + ")"
		}
		levels = append(levels, fmt.Sprintf("%s %.0f", text, l.Rate))
	}
	for _, line := range []string{
		fmt.Sprintf("peaks, threads %d, kernels %s: %.1f GFLOP/s; GB/s by what a layer touches:", m.Threads, m.Kernels, m.Peak),
		strings.Join(levels, ", "),
		"measured just now, the fastest of many short loops: multiply-adds in registers; c = a + b or max(a)",
		"over half of what a level holds. FLOP = 2 x multiply-adds; ms = the fastest run. Above 100 %: parts",
		"of a concatenation that lie in place, multiply-adds that Winograd avoids",
	} {
		if err := o.line("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// printEfficiency prints the summary.
func printEfficiency(o output, e *efficiency) error {
	if e.Layers == 0 {
		return o.line("no matrix product with K >= %d and %d rows or more", gemmDepth, gemmRows)
	}
	by := ""
	if e.Winograd > 0 {
		by = fmt.Sprintf(", %d by Winograd", e.Winograd)
	}
	err := o.line("products with K >= %d and %d rows or more: %d of %d reach %.0f %% of the attainable peak%s", gemmDepth, gemmRows, e.Good, e.Layers, 100*gemmGoal, by)
	if err != nil {
		return err
	}
	for _, s := range e.Slow {
		if err := o.line("  %3.0f %% %-15s %-13s %s", 100*s.Attainable, s.Size, tail(s.Node, 13), s.Why); err != nil {
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
