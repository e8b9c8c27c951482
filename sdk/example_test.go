package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"os"

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
