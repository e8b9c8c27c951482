package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/edgecam/edgecam/quant"
	"github.com/edgecam/edgecam/sdk"
)

// quantization is the last line of edgecam quantize --json.
type quantization struct {
	Out       string           `json:"out"`
	SizeRatio float64          `json:"size_ratio"` // of the files
	SQNR      float64          `json:"sqnr_db"`    // of the outputs
	Agree     float64          `json:"agree"`      // with the float model
	Layers    []quantizedLayer `json:"layers"`
	Seconds   float64          `json:"seconds"`
	PeakRSS   int64            `json:"peak_rss_bytes"`

	Model       string             `json:"model"`
	Method      string             `json:"method"`
	Samples     int                `json:"samples"`
	Bytes       [2]int64           `json:"bytes"`      // of the files, float and int8
	Interval    [2]float64         `json:"interval95"` // of Agree
	Measured    measurement        `json:"measured"`
	Millis      [2]float64         `json:"ms"` // the fastest run, float and int8
	Threads     int                `json:"threads"`
	Kernels     string             `json:"kernels"`
	Coverage    float64            `json:"int8_coverage"` // share of the multiply-adds, on this machine
	Activations []quant.Activation `json:"activations"`
	Equalized   int                `json:"equalized"`
	Corrected   bool               `json:"corrected"`
	Warnings    []string           `json:"warnings"`
	Broken      []string           `json:"broken,omitempty"`
	MaxDrop     float64            `json:"max_drop,omitempty"`
	Missed      []string           `json:"missed,omitempty"` // why the gate of --max-drop was missed
}

// measurement says what the agreement was measured on.
type measurement struct {
	Images int    `json:"images"`
	Apart  bool   `json:"held_out"` // none of them was calibrated on
	Task   string `json:"task"`
	Boxes  [2]int `json:"boxes"` // of detectors, found by float and int8
}

// quantizedLayer is one layer of a report.
type quantizedLayer struct {
	Node      string `json:"node"`
	Op        string `json:"op"`
	MACs      int64  `json:"macs"`
	KeptFloat bool   `json:"kept_float"`
	Reason    string `json:"reason,omitempty"`
	// SQNR is that of the rounding of the weights and of the input together.
	SQNR       float64    `json:"sqnr_db"`
	Weights    float64    `json:"weight_sqnr_db"`
	Activation float64    `json:"activation_sqnr_db"`
	Output     float64    `json:"output_sqnr_db"`
	Alone      float64    `json:"alone_sqnr_db,omitempty"` // of the model's outputs with this layer alone in int8
	Millis     [2]float64 `json:"ms"`                      // on this machine, float and int8; 0 where the layer has become part of another
}

// judge measures the int8 model beside the float one.
func (q *quantizer) judge(ctx context.Context, quantized *sdk.Model, report *quant.Report) (*quantization, error) {
	r := &quantization{Model: q.f.model, Method: q.f.method, Samples: report.Samples, SQNR: round(report.SQNR, 3), Activations: report.Activations,
		Equalized: report.Equalized, Corrected: report.Corrected, Broken: q.images.broken, MaxDrop: q.f.maxDrop,
		Layers: []quantizedLayer{}, Warnings: append(append([]string{}, q.imageWarnings()...), report.Warnings...)}
	a, boxes, err := q.agreement(ctx, quantized)
	if err != nil {
		return nil, err
	}
	low, high := a.Interval95()
	r.Agree, r.Interval = round(a.Mean(), 5), [2]float64{round(low, 5), round(high, 5)}
	r.Measured = measurement{Images: a.Images(), Apart: q.apart, Task: q.reader.Task(), Boxes: boxes}
	times, err := q.time(ctx, quantized, r)
	if err != nil {
		return nil, err
	}
	for _, l := range report.Layers {
		r.Layers = append(r.Layers, quantizedLayer{Node: l.Node, Op: l.Op, MACs: l.MACs, KeptFloat: l.KeptFloat, Reason: l.Reason,
			SQNR: round(together(l.WeightSQNR, l.ActivationSQNR), 3), Weights: round(l.WeightSQNR, 3), Activation: round(l.ActivationSQNR, 3),
			Output: round(l.OutputSQNR, 3), Alone: round(l.Both, 3), Millis: [2]float64{round(times[0][l.Node], 5), round(times[1][l.Node], 5)}})
	}
	r.warn()
	return r, nil
}

// together adds two noises, given in dB below the same signal; 0 is none.
func together(a, b float64) float64 {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return -10 * math.Log10(math.Pow(10, -a/10)+math.Pow(10, -b/10))
}

// warn says in words what a person must know, and what the gate does not allow.
func (r *quantization) warn() {
	say := func(gate bool, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		r.Warnings = append(r.Warnings, text)
		if gate && r.MaxDrop > 0 {
			r.Missed = append(r.Missed, text)
		}
	}
	if r.MaxDrop > 0 && 100*(1-r.Agree) > r.MaxDrop+1e-9 {
		say(true, "%.2f %% of the agreement with float is lost, %g %% are allowed", 100*(1-r.Agree), r.MaxDrop)
	}
	if r.Millis[1] > r.Millis[0] {
		say(true, "the int8 model is slower than the float one on this machine (kernels %s): %.2f ms instead of %.2f", r.Kernels, r.Millis[1], r.Millis[0])
	}
	if b := r.Measured.Boxes; b[0] > 0 && 2*b[1] < b[0] {
		say(true, "the int8 model has lost its detections: it finds %d boxes where the float one finds %d", b[1], b[0])
	}
	if r.Measured.Task == sdkDetect && r.Measured.Boxes[0] == 0 {
		say(false, "the float model finds no object in the %d images that were measured: give images that show some, or check --preset", r.Measured.Images)
	}
	if !r.Measured.Apart {
		say(false, "with fewer than %d images none is held out: the agreement was measured on images that were calibrated on", fewHeldOut)
	}
}

// sdkDetect is what sdk.Reader.Task calls detectors.
const sdkDetect = "detect"

// The bounds of timing two models.
const (
	timingRuns   = 30
	timingBudget = 3 * time.Second
)

// time runs both models in turn and returns the time of each node in ms, of its
// fastest run.
func (q *quantizer) time(ctx context.Context, quantized *sdk.Model, r *quantization) (nodes [2]map[string]float64, err error) {
	var sessions [2]*sdk.Session
	for i, m := range []*sdk.Model{q.float, quantized} {
		s, err := newSession(m, sdk.SessionConfig{Shapes: q.reader.Shapes(), Threads: q.f.threads, Profile: true})
		if err != nil {
			return nodes, err
		}
		defer s.Close()
		fillRandom(s)
		if err := s.Run(ctx); err != nil { // the first touch of the memory
			return nodes, err
		}
		s.ResetProfile()
		sessions[i] = s
	}
	best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
	for end, n := time.Now().Add(timingBudget), 0; n < timingRuns && (n < 3 || time.Now().Before(end)); n++ {
		for i, s := range sessions {
			start := time.Now()
			if err := s.Run(ctx); err != nil {
				return nodes, err
			}
			best[i] = min(best[i], time.Since(start))
		}
	}
	for i, s := range sessions {
		r.Millis[i] = millis(best[i])
		nodes[i] = map[string]float64{}
		for _, step := range s.Profile() {
			nodes[i][step.Node] += step.Best.Seconds() * 1e3
		}
	}
	st := sessions[1].Stats()
	r.Threads, r.Kernels, r.Coverage = st.Threads, st.Kernels, round(st.Int8Coverage, 5)
	return nodes, nil
}

// finish adds what is known when the file is written.
func (r *quantization) finish(model, out string, took time.Duration) {
	r.Out, r.Seconds, r.PeakRSS = out, round(took.Seconds(), 3), peakBytes()
	for i, path := range []string{model, out} {
		if info, err := os.Stat(path); err == nil {
			r.Bytes[i] = info.Size()
		}
	}
	if r.Bytes[0] > 0 {
		r.SizeRatio = round(float64(r.Bytes[1])/float64(r.Bytes[0]), 4)
	}
}

// layersInt8 counts the layers that are in int8.
func (r *quantization) layersInt8() int {
	n := 0
	for _, l := range r.Layers {
		if !l.KeptFloat {
			n++
		}
	}
	return n
}

// onWhat says what the agreement was measured on.
func (m measurement) onWhat() string {
	if m.Apart {
		return fmt.Sprintf("%d images that were not calibrated on", m.Images)
	}
	return fmt.Sprintf("the %d images that were calibrated on", m.Images)
}

// speed says how the times compare.
func (r *quantization) speed() string {
	if r.Millis[1] > r.Millis[0] {
		return fmt.Sprintf("%.2f times as slow", r.Millis[1]/r.Millis[0])
	}
	return fmt.Sprintf("%.2f times as fast", r.Millis[0]/max(r.Millis[1], 1e-6))
}

// printQuantization prints the report as a table.
func printQuantization(o output, r *quantization) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %.2f of the float file; %d of %d layers and %.1f %% of the multiply-adds in int8\n", r.Out, bytesString(r.Bytes[1]), r.SizeRatio,
		r.layersInt8(), len(r.Layers), 100*r.Coverage)
	fmt.Fprintf(&b, "  agreement with float  %.2f %% on %s (95 %% interval %.2f to %.2f %%)\n", 100*r.Agree, r.Measured.onWhat(), 100*r.Interval[0], 100*r.Interval[1])
	if r.Measured.Task == sdkDetect {
		fmt.Fprintf(&b, "  boxes                 float %d, int8 %d\n", r.Measured.Boxes[0], r.Measured.Boxes[1])
	}
	fmt.Fprintf(&b, "  outputs               signal to noise %.1f dB\n", r.SQNR)
	fmt.Fprintf(&b, "  time on this machine  float %.2f ms, int8 %.2f ms: %s (threads %d, kernels %s)\n", r.Millis[0], r.Millis[1], r.speed(), r.Threads, r.Kernels)
	fmt.Fprintf(&b, "  calibrated on         %d images, method %s, in %.1f s, %s resident at most\n", r.Samples, r.Method, r.Seconds, bytesString(r.PeakRSS))
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "  warning: %s\n", w)
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "layer\top\tweights dB\tinput dB\tfloat ms\tint8 ms\tkept float")
	for _, l := range r.Layers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Node, l.Op, decibels(l.Weights), decibels(l.Activation), layerMillis(l.Millis[0]), layerMillis(l.Millis[1]), keptWhy(l))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return o.line("%s", strings.TrimRight(b.String(), "\n"))
}

// decibels prints a ratio, nothing where it is not known.
func decibels(db float64) string {
	if db == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", db)
}

func layerMillis(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", ms)
}

// keptWhy says why a layer is float, "" where it is not.
func keptWhy(l quantizedLayer) string {
	if l.KeptFloat && l.Reason == "" {
		return "yes"
	}
	return l.Reason
}
