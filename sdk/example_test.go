package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"os"
	"sync"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// Find objects in a picture. The model of this example finds white squares.
func Example() {
	model, err := sdk.Load("../testdata/sdk/squares.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	detector, err := model.NewDetector(sdk.DetectorConfig{Preset: "yolox", Labels: []string{"square"}, MinScore: 0.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer detector.Close()
	file, err := os.Open("../testdata/sdk/squares.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	picture, _, err := image.Decode(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := detector.Detect(context.Background(), picture)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range found {
		fmt.Printf("%s %.2f from (%.0f,%.0f) to (%.0f,%.0f)\n", detector.Label(d.Class), d.Score, d.Box.X0, d.Box.Y0, d.Box.X1, d.Box.Y1)
	}
	// Output: square 0.98 from (64,0) to (128,64)
}

// Run raw tensors. A symbolic batch is fixed when the session is made.
func ExampleModel_NewSession() {
	model, err := sdk.Load("../testdata/sdk/tensors.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range model.Inputs() {
		fmt.Println("input", p)
	}
	// The contents of this input decide the size of an output.
	shape, err := sdk.ReadTensor("../testdata/sdk/tensors_shape.npy")
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := model.NewSession(sdk.SessionConfig{
		Shapes: map[string][]int{"x": {2, 4}},
		Values: map[string]*sdk.Tensor{"shape": shape},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()
	copy(session.Input("x").F32(), []float32{1, 0, 0, 0, 0, 0, 0, 1})
	if err := session.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(session.Output("a/relu:0").F32())
	fmt.Println(session.Output("reshaped").Shape)
	fmt.Println(session.Output("best").I64())
	// Output:
	// input x float32[batch x 4]
	// input shape int64[2]
	// [0 0 0 0.875 0.75 0.625]
	// 3x2
	// [0 0]
}

// A model that cannot run says everything that is missing at once.
func ExampleUnsupportedError() {
	_, err := sdk.Load("../testdata/sdk/unsupported.onnx")
	var missing *sdk.UnsupportedError
	if errors.As(err, &missing) {
		for _, p := range missing.Problems {
			fmt.Println(p.Node, p.Op)
		}
	}
	fmt.Println(errors.Is(err, sdk.ErrUnsupported))
	// Output:
	// first example.Frobnicate
	// third example.Defenestrate
	// true
}

// Read frames from a source and detect in each, with one buffer for all.
func ExampleDetector_DetectFrame() {
	model, err := sdk.Load("../testdata/sdk/squares.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	detector, err := model.NewDetector(sdk.DetectorConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer detector.Close()
	source, err := camera.Open("../testdata/sdk/*.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	ctx := context.Background()
	var frame camera.Frame
	for source.Read(ctx, &frame) == nil {
		found, err := detector.DetectFrame(ctx, &frame)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(frame.Source, len(found))
	}
	fmt.Println(detector.Preset(), detector.Stats().Frames)
	// Output:
	// ../testdata/sdk/squares.png 1
	// yolox 1
}

// Tell what a picture shows. The model of this example knows four colours.
func ExampleClassifier() {
	model, err := sdk.Load("../testdata/tasks/colours.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	classifier, err := model.NewClassifier(sdk.ClassifierConfig{Preset: "imagenet", Labels: []string{"red", "green", "blue", "dark"}, Top: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer classifier.Close()
	picture, err := read("../testdata/tasks/green.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	top, err := classifier.Classify(context.Background(), picture)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range top {
		fmt.Printf("%s %.2f\n", classifier.Label(c.Class), c.Score)
	}
	// Output:
	// green 0.77
	// dark 0.16
}

// read reads a picture.
func read(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	picture, _, err := image.Decode(f)
	return picture, err
}

// Tell the class of every pixel. The model of this example tells the strongest
// of three colours.
func ExampleSegmenter() {
	model, err := sdk.Load("../testdata/tasks/halves.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	segmenter, err := model.NewSegmenter(sdk.SegmenterConfig{Preset: "segment", Labels: []string{"blue", "green", "red"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer segmenter.Close()
	picture, err := read("../testdata/tasks/halves.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	mask, err := segmenter.Segment(context.Background(), picture)
	if err != nil {
		fmt.Println(err)
		return
	}
	width := mask.Rect.Dx()
	for _, x := range []int{0, width - 1} {
		fmt.Println(segmenter.Label(int(mask.Pix[x])))
	}
	// Output:
	// blue
	// red
}

// Take frames from a source to sinks. Of a camera, which OpenLive opens, that
// would be the newest frame each time.
func ExamplePipeline() {
	model, err := sdk.Load("../testdata/sdk/squares.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	detector, err := model.NewDetector(sdk.DetectorConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer detector.Close()
	source, err := camera.Open("../testdata/sdk/*.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	pipeline := sdk.Pipeline{Source: source, Detector: detector, Sinks: []sdk.Sink{
		sdk.SinkFunc(func(_ context.Context, r *sdk.Result) error {
			for _, d := range r.Detections {
				fmt.Printf("%s: %s %.2f\n", r.Frame.Source, detector.Label(d.Class), d.Score)
			}
			return nil
		}),
	}}
	if err := pipeline.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(pipeline.Stats().Frames, "frame")
	// Output:
	// ../testdata/sdk/squares.png: person 0.98
	// 1 frame
}

// Detect in raw pixels where they lie, from several goroutines, each with a
// frame and results of its own.
func ExampleDetector_AppendFrame() {
	model, err := sdk.Load("../testdata/sdk/squares.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	detector, err := model.NewDetector(sdk.DetectorConfig{Threads: 1, MaxSessions: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer detector.Close()
	const width, height = 128, 96
	pixels := make([]byte, width*height) // from anywhere: a camera of your own, shared memory
	for y := range 64 {
		for x := 64; x < width; x++ {
			pixels[y*width+x] = 255
		}
	}
	counts := make([]int, 2)
	var group sync.WaitGroup
	for i := range counts {
		group.Go(func() {
			frame := camera.Frame{Pix: pixels, Width: width, Height: height, Stride: width, Format: camera.GRAY8, Source: "mine"}
			var found []sdk.Detection
			for range 3 {
				var err error
				if found, err = detector.AppendFrame(context.Background(), found, &frame); err != nil {
					fmt.Println(err)
					return
				}
				counts[i] += len(found)
			}
		})
	}
	group.Wait()
	fmt.Println(counts, detector.Stats().Frames)
	// Output: [3 3] 6
}
