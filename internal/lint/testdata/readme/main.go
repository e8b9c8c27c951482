// Command readme prints the objects in a picture: readme MODEL.onnx PICTURE.jpg
package main

import (
	"context"
	"fmt"
	"image/jpeg"
	"log"
	"os"

	"github.com/edgecam/edgecam/sdk"
)

func main() {
	model := must(sdk.Load(os.Args[1]))
	detector := must(model.NewDetector(sdk.DetectorConfig{MinScore: 0.5}))
	picture := must(jpeg.Decode(must(os.Open(os.Args[2]))))
	for _, d := range must(detector.Detect(context.Background(), picture)) {
		fmt.Printf("%s %.2f at %v\n", detector.Label(d.Class), d.Score, d.Box)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
