// Package sdk runs ONNX vision models: load a model, run tensors through it,
// find objects in pictures and camera frames, tell what they show, or the class
// of every pixel.
//
//	m, err := sdk.Load("detector.onnx")
//	det, err := m.NewDetector(sdk.DetectorConfig{Preset: "yolox", MinScore: 0.4})
//	dets, err := det.Detect(ctx, img) // boxes in pixels of img
//
// A Model is immutable and may be shared by any number of goroutines. A
// Session holds the memory of one run and serves one goroutine at a time; the
// sessions of a model share its packed weights. A Detector, Classifier or
// Segmenter keeps as many sessions as it needs and may be called from several
// goroutines. A Pipeline takes frame after frame from a source to sinks.
//
// Raw frames are read where they lie, without a copy: a camera.Frame holds RGB,
// BGR, gray, YUYV or NV12 pixels with any stride. AppendFrame, ClassifyFrame and
// SegmentFrame give their results in the caller's memory and allocate nothing in
// the long run.
//
// Configurations are plain structs whose zero value works. A context can
// interrupt whatever computes for long. The package never logs and never
// panics on bad input: errors name the place, the cause and the next step,
// and wrap one of the Err values.
//
// The package does no arithmetic of its own and opens no camera (package camera
// does); what it draws is boxes and masks on a caller's picture.
package sdk
