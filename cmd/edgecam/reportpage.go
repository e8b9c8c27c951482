package main

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgecam/edgecam/quant"
)

// writeReportPage writes the report as one page that needs no network.
func writeReportPage(path string, r *quantization) error {
	kept := slices.DeleteFunc(slices.Clone(r.Layers), func(l quantizedLayer) bool { return !l.KeptFloat })
	var b bytes.Buffer
	err := reportPageTemplate.Execute(&b, map[string]any{
		"R": r, "Name": filepath.Base(r.Out), "Style": template.CSS(pageStyle), "Kept": kept, "On": r.Measured.onWhat(), "Speed": r.speed(),
		"NoisePlot": noisePlot(r.Layers), "TimePlot": timePlot(r.Layers), "Int8": r.layersInt8(), "Megabytes": bytesString(r.Bytes[1]),
		"Slower": r.Millis[1] > r.Millis[0], "Memory": bytesString(r.PeakRSS)})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, b.Bytes())
}

// The colours of plots.
const (
	firstColour  = "#2f6db3"
	secondColour = "#e08a1e"
)

// plot is a picture of bars in groups of two, drawn as SVG.
type plot struct {
	b             strings.Builder
	height, width float64 // of the area of bars
	top           float64 // value at the upper edge
}

// The margins of a plot.
const (
	plotLeft   = 46
	plotTop    = 24
	plotBottom = 14
	plotStep   = 14 // from layer to layer
)

// newPlot starts a plot of n groups with values up to most.
func newPlot(n int, most float64, unit, first, second string) *plot {
	p := &plot{height: 170, width: float64(max(n, 10) * plotStep), top: niceTop(most)}
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" role="img">`, p.width+plotLeft+10, p.height+plotTop+plotBottom)
	for i := range 5 {
		v := p.top * float64(i) / 4
		y := plotTop + p.height - p.height*float64(i)/4
		fmt.Fprintf(&p.b, `<line x1="%d" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#e1e6ed"/><text x="%d" y="%.1f" text-anchor="end">%.3g</text>`, plotLeft, plotLeft+p.width, y, y, plotLeft-5, y+4, v)
	}
	for i, label := range []string{first, second} {
		x := plotLeft + 180*i
		fmt.Fprintf(&p.b, `<rect x="%d" y="4" width="10" height="10" fill="%s"/><text x="%d" y="13">%s (%s)</text>`, x, []string{firstColour, secondColour}[i], x+14, template.HTMLEscapeString(label), unit)
	}
	return p
}

// niceTop rounds up to one, two or five times a power of ten.
func niceTop(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 4, 5, 8} {
		if m*p >= v {
			return m * p
		}
	}
	return 10 * p
}

// bars draws the two bars of group i, with a text that shows under the pointer.
func (p *plot) bars(i int, values [2]float64, title string) {
	x := plotLeft + i*plotStep
	fmt.Fprintf(&p.b, `<g><title>%s</title><rect x="%d" y="%d" width="%d" height="%.0f" fill="transparent"/>`, template.HTMLEscapeString(title), x, plotTop, plotStep, p.height)
	for k, v := range values {
		h := p.height * min(1, max(0, v/p.top))
		fmt.Fprintf(&p.b, `<rect x="%d" y="%.1f" width="5" height="%.1f" fill="%s"/>`, x+1+6*k, plotTop+p.height-h, h, []string{firstColour, secondColour}[k])
	}
	p.b.WriteString(`</g>`)
}

// end returns the SVG.
func (p *plot) end() template.HTML {
	return template.HTML(p.b.String() + "</svg>") //nolint:gosec // texts were escaped when they were written
}

// noisePlot shows the signal to noise ratio of weights and input of each layer.
func noisePlot(layers []quantizedLayer) template.HTML {
	p := newPlot(len(layers), 60, "dB", "weights", "input")
	for i, l := range layers {
		p.bars(i, [2]float64{l.Weights, l.Activation}, fmt.Sprintf("%s: weights %s dB, input %s dB", l.Node, decibels(l.Weights), decibels(l.Activation)))
	}
	return p.end()
}

// timePlot shows the time of each layer.
func timePlot(layers []quantizedLayer) template.HTML {
	most := 0.0
	for _, l := range layers {
		most = max(most, l.Millis[0], l.Millis[1])
	}
	p := newPlot(len(layers), most, "ms", "float", "int8")
	for i, l := range layers {
		p.bars(i, l.Millis, fmt.Sprintf("%s: float %s ms, int8 %s ms", l.Node, layerMillis(l.Millis[0]), layerMillis(l.Millis[1])))
	}
	return p.end()
}

// histogramPlot shows how the values of an activation are spread, on a scale of
// logarithms, and which of them the quantized range holds.
func histogramPlot(a quant.Activation) template.HTML {
	const width, height = 192, 30
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" role="img">`, width, height)
	most := 1.0
	for _, n := range a.Histogram {
		most = max(most, math.Log1p(float64(n)))
	}
	span := a.Max - a.Min
	at := func(v float64) float64 {
		if !(span > 0) {
			return 0
		}
		return width * min(1, max(0, (v-a.Min)/span))
	}
	fmt.Fprintf(&b, `<rect x="%.1f" width="%.1f" height="%d" fill="#dcebfa"/>`, at(a.Lo), at(a.Hi)-at(a.Lo), height)
	step := float64(width) / float64(max(1, len(a.Histogram)))
	for i, n := range a.Histogram {
		h := height * math.Log1p(float64(n)) / most
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, float64(i)*step, height-h, step, h, firstColour)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // it holds numbers only
}

var reportPageTemplate = template.Must(template.New("report").Funcs(pageFuncs).Funcs(template.FuncMap{
	"db": decibels, "layerms": layerMillis, "why": keptWhy, "histogram": histogramPlot,
	"short": func(v float64) string { return fmt.Sprintf("%.4g", v) },
	"times": count,
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Name}}: quantization report</title><style>{{.Style}}</style></head>
<body>
<h1>{{.Name}}</h1>
<p class="quiet">The int8 form of {{.R.Model}}, calibrated on {{.R.Samples}} images, method {{.R.Method}}{{if .R.Corrected}}, rounded and corrected layer by layer{{end}}{{if .R.Equalized}}, channels of {{.R.Equalized}} activations equalized{{end}}, in {{printf "%.1f" .R.Seconds}} s and {{.Memory}}.</p>
<div class="big">
<div><b>{{percent .R.Agree}}</b><small>agreement with float<br>{{percent (index .R.Interval 0)}} – {{percent (index .R.Interval 1)}} (95 %)<br>on {{.On}}</small></div>
<div><b{{if .Slower}} class="bad"{{else}} class="good"{{end}}>{{.Speed}}</b><small>float {{ms (index .R.Millis 0)}}, int8 {{ms (index .R.Millis 1)}}<br>{{.R.Threads}} threads, kernels {{.R.Kernels}}</small></div>
<div><b>{{printf "%.2f" .R.SizeRatio}} x</b><small>of the float file:<br>{{.Megabytes}}</small></div>
<div><b>{{percent .R.Coverage}}</b><small>of the multiply-adds in int8<br>{{.Int8}} of {{len .R.Layers}} layers</small></div>
<div><b>{{printf "%.1f" .R.SQNR}} dB</b><small>signal to noise<br>of the outputs</small></div>
{{if eq .R.Measured.Task "detect"}}<div><b>{{index .R.Measured.Boxes 1}} / {{index .R.Measured.Boxes 0}}</b><small>boxes found<br>int8 / float</small></div>{{end}}
</div>
{{range .R.Missed}}<p class="note bad">The gate of --max-drop was missed: {{.}}</p>{{end}}
{{range .R.Warnings}}<p class="note">{{.}}</p>{{end}}
<h2>Signal to noise of each layer</h2>
<p class="quiet">Of the rounding of its weights and of its input; the higher, the better. Below 15 dB a layer is worth a look. A layer without bars is float.</p>
<div class="scroll">{{.NoisePlot}}</div>
<h2>Time of each layer on this machine</h2>
<p class="quiet">Of its fastest run. A layer without a bar has become part of another.</p>
<div class="scroll">{{.TimePlot}}</div>
<h2>What stays float, and why</h2>
{{if .Kept}}<table><tr><th>layer</th><th class="left">op</th><th>multiply-adds</th><th class="left">why</th></tr>
{{range .Kept}}<tr><td>{{.Node}}</td><td class="left">{{.Op}}</td><td>{{times .MACs}}</td><td class="left">{{why .}}</td></tr>
{{end}}</table>{{else}}<p>No layer.</p>{{end}}
<h2>Layers</h2>
<div class="scroll"><table><tr><th>layer</th><th class="left">op</th><th>multiply-adds</th><th>weights dB</th><th>input dB</th><th>output dB</th><th>alone dB</th><th>float ms</th><th>int8 ms</th></tr>
{{range .R.Layers}}<tr><td>{{.Node}}</td><td class="left">{{.Op}}</td><td>{{times .MACs}}</td>{{if .KeptFloat}}<td colspan="4" class="left">float: {{why .}}</td>{{else}}<td>{{db .Weights}}</td><td>{{db .Activation}}</td><td>{{db .Output}}</td><td>{{db .Alone}}</td>{{end}}<td>{{layerms (index .Millis 0)}}</td><td>{{layerms (index .Millis 1)}}</td></tr>
{{end}}</table></div>
<h2>Activations</h2>
<p class="quiet">How often each value was seen (logarithms), and in light blue the range that int8 holds; the rest is clipped.</p>
<div class="scroll"><table><tr><th>value</th><th class="left">method</th><th>seen</th><th>range</th><th>clipped</th><th>dB</th><th>scale</th><th>zero</th><th class="left">values</th></tr>
{{range .R.Activations}}<tr><td>{{.Value}}</td><td class="left">{{.Method}}{{with .Source}} from {{.}}{{end}}</td><td>{{short .Min}} … {{short .Max}}</td><td>{{short .Lo}} … {{short .Hi}}</td><td>{{percent .ClipRate}}</td><td>{{db .SQNR}}</td><td>{{short .Scale}}</td><td>{{.Zero}}</td><td class="left">{{if .Histogram}}{{histogram .}}{{end}}</td></tr>
{{end}}</table></div>
</body></html>
`))
