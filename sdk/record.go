package sdk

import (
	"math"
	"time"
)

// Record is one frame's detections in the form of edgecam detect --json; it
// marshals to one JSON object.
type Record struct {
	Schema          string   `json:"schema"` // edgecam.detection/1
	Source          string   `json:"source"`
	Frame           int      `json:"frame"`
	Width           int      `json:"width"`
	Height          int      `json:"height"`
	InferenceMillis float64  `json:"inference_ms"`
	Objects         []Object `json:"objects"` // never nil, also where nothing was found
}

// Object is one detection of a Record.
type Object struct {
	Label   string     `json:"label"`
	ClassID int        `json:"class_id"`
	Score   float64    `json:"score"`
	Box     [4]float64 `json:"box"` // x, y, width, height in pixels of the source frame
}

// Record returns the result as a record. Scores have five decimals, boxes two.
func (r *Result) Record() Record {
	size := r.Frame.Size()
	rec := Record{Schema: "edgecam.detection/1", Source: r.Frame.Source, Frame: r.Frame.Index, Width: size.X, Height: size.Y,
		InferenceMillis: round(float64(r.Inference)/float64(time.Millisecond), 3), Objects: make([]Object, len(r.Detections))}
	for i, x := range r.Detections {
		rec.Objects[i] = Object{Label: r.Detector.Label(x.Class), ClassID: x.Class, Score: round(float64(x.Score), 5), Box: [4]float64{
			round(float64(x.Box.X0), 2), round(float64(x.Box.Y0), 2), round(float64(x.Box.Width()), 2), round(float64(x.Box.Height()), 2)}}
	}
	return rec
}

// round rounds to some decimals.
func round(x float64, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(x*p) / p
}
