package quant

import "github.com/edgecam/edgecam/internal/graph"

// Report says what quantization did to a model. Signal-to-noise ratios (SQNR)
// are in decibels, 10·log10(Σx²/Σ(x-q)²), at most 100; the larger, the better.
type Report struct {
	Samples int     `json:"samples"` // calibrated on
	SQNR    float64 `json:"sqnr"`    // of all outputs together
	// Agree is the share of samples, 0 to 1, with the largest element of the
	// first output at the same place as in float; -1 where the model is no
	// classifier.
	Agree     float64 `json:"agree"`
	SizeRatio float64 `json:"size_ratio"` // bytes of constants after and before
	Quantized int     `json:"quantized"`  // layers with 8-bit weights
	// Coverage is the share of multiply-adds, 0 to 1, in layers with 8-bit
	// weights.
	Coverage float64 `json:"coverage"`

	Corrected bool `json:"corrected"` // weights were rounded and biases shifted layer by layer
	Equalized int  `json:"equalized"` // activations whose channels were scaled

	Before float64 `json:"before,omitempty"` // what Config.Eval measured of the float model
	After  float64 `json:"after,omitempty"`  // and of the quantized one
	// Drop is the loss in points that MaxDrop limits: of Eval, or else of the
	// agreement.
	Drop float64 `json:"drop"`

	Layers      []Layer      `json:"layers"`
	Activations []Activation `json:"activations"`
	Warnings    []string     `json:"warnings,omitempty"`
}

// Layer is one convolution or matrix product of the model.
type Layer struct {
	Node      string `json:"node"`
	Op        string `json:"op"`
	MACs      int64  `json:"macs"`
	KeptFloat bool   `json:"kept_float"`
	Reason    string `json:"reason,omitempty"` // why it is kept float
	// WeightSQNR is that of the weights; ActivationSQNR that of the rounding
	// of the layer's input, OutputSQNR that of the rounding of its output, 0
	// where these are not quantized.
	WeightSQNR     float64 `json:"weight_sqnr"`
	ActivationSQNR float64 `json:"activation_sqnr"`
	OutputSQNR     float64 `json:"output_sqnr"`
	Guarded        int     `json:"guarded,omitempty"` // output channels whose scale was raised so that the bias fits 32 bits
	// SQNR of the model's outputs with this layer alone quantized: its
	// weights, its input, both. 0 where Config.Sensitivity is not set.
	WeightOnly     float64 `json:"weight_only,omitempty"`
	ActivationOnly float64 `json:"activation_only,omitempty"`
	Both           float64 `json:"both,omitempty"`
}

// Activation is one tensor that is quantized while the model runs.
type Activation struct {
	Value  string  `json:"value"`
	Method Method  `json:"method"` // that chose the range; "fixed" for functions with a known one, "shared" where it comes from Source
	Source string  `json:"source,omitempty"`
	Min    float64 `json:"min"` // seen in calibration
	Max    float64 `json:"max"`
	Lo     float64 `json:"lo"` // of the quantized range
	Hi     float64 `json:"hi"`
	Scale  float64 `json:"scale"`
	Zero   int     `json:"zero"`
	// ClipRate is the share of values outside Lo and Hi in calibration.
	ClipRate float64 `json:"clip_rate"`
	SQNR     float64 `json:"sqnr"`
	// Histogram counts the values in 64 equal parts of Min to Max.
	Histogram []int64 `json:"histogram,omitempty"`
}

// fill completes the report.
func (p *plan) fill(rep *Report, g, q *graph.Graph, r *runner) {
	rep.Samples = r.count
	rep.Warnings = append(p.warn(r.count), rep.Warnings...)
	rep.SizeRatio = float64(constBytes(q)) / float64(max(constBytes(g), 1))
	var all, done int64
	for _, l := range p.layers {
		e := l.report
		e.Node, e.Op, e.MACs, e.Reason, e.KeptFloat = l.node.Name, l.node.Type, l.macs, l.float, l.float != ""
		if e.Node == "" {
			e.Node = l.node.Out[0].Name
		}
		all += l.macs
		if !e.KeptFloat {
			rep.Quantized++
			done += l.macs
			e.WeightSQNR, e.Guarded = l.weightSQNR(), l.guarded
			e.ActivationSQNR = p.noiseOf(l.node.In[0])
			e.OutputSQNR = p.outputNoise(l)
		}
		rep.Layers = append(rep.Layers, e)
	}
	rep.Coverage = float64(done) / float64(max(all, 1))
	for _, a := range p.acts {
		e := Activation{Value: a.value.Name, Method: a.method, Lo: a.lo, Hi: a.hi, Scale: float64(a.scale), Zero: a.zero}
		if s := a.root(); s != a {
			e.Source = s.value.Name
		}
		if a.obs != nil {
			e.Min, e.Max, e.ClipRate, e.Histogram = a.obs.min, a.obs.max, a.obs.clipped(a.lo, a.hi), a.obs.summary()
			e.SQNR = p.noiseOf(a.value)
		}
		rep.Activations = append(rep.Activations, e)
	}
}

// noiseOf returns the SQNR of the rounding of a value.
func (p *plan) noiseOf(v *graph.Value) float64 {
	a := p.of[v]
	for a != nil && a.obs == nil && v.Node != nil {
		v = v.Node.In[0] // moved
		a = p.of[v]
	}
	if a == nil || a.obs == nil {
		return 0
	}
	return decibels(a.obs.power(), a.obs.noise(a.lo, a.hi))
}

// outputNoise is noiseOf for what a layer makes, behind its limits.
func (p *plan) outputNoise(l *layer) float64 {
	v := l.node.Out[0]
	if p.of[v] == nil && len(p.users[v]) == 1 && classOf(p.users[v][0]) == bounds {
		v = p.users[v][0].Out[0]
	}
	return p.noiseOf(v)
}

// constBytes returns the size of all constants.
func constBytes(g *graph.Graph) int {
	sum := 0
	for _, v := range g.Inits {
		sum += v.Type.Bytes()
	}
	for _, n := range g.Nodes {
		if a := n.Attrs.Get("value"); n.Type == "Constant" && a != nil && a.Tensor != nil {
			sum += len(a.Tensor.Bytes())
		}
	}
	return sum
}
