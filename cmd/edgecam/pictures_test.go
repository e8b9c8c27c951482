package main

import (
	"encoding/json"
	"image"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgecam/edgecam/sdk"
)

const pictures = "../../docs/pictures/"

// realModel returns the path of a real model, or skips the test.
func realModel(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("EDGECAM_ASSETS")
	if dir == "" {
		dir = "../../../shared"
	}
	path := filepath.Join(dir, "models", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the model is not here: %v (EDGECAM_ASSETS names the folder)", err)
	}
	return path
}

// TestPictures runs the commands of docs/tasks.md and demands what ONNX Runtime
// gives.
func TestPictures(t *testing.T) {
	var want struct {
		YOLOX, FastestDet []sdk.Object
		MobileNet         []topClass
	}
	b, err := os.ReadFile(tasks + "pictures.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil || len(want.YOLOX) != 2 || len(want.FastestDet) != 3 || len(want.MobileNet) != 5 {
		t.Fatal(want, err)
	}
	for _, c := range []struct {
		model, conf string
		want        []sdk.Object
	}{{"yolox/yolox_nano.onnx", "0.4", want.YOLOX}, {"fastestdet/FastestDet.onnx", "0.6", want.FastestDet}} {
		t.Run(c.model, func(t *testing.T) {
			r := execute(t, "detect", "-m", realModel(t, c.model), "-s", pictures+"coffee.jpg", "--conf", c.conf, "--json")
			lines := decodeLines[sdk.Record](t, r.stdout)
			if r.code != 0 || len(lines) != 1 || !sameObjects(lines[0].Objects, c.want) {
				t.Errorf("code %d: %s%swant %+v", r.code, r.stdout, r.stderr, c.want)
			}
		})
	}
	t.Run("mobilenet", func(t *testing.T) {
		r := execute(t, "classify", "-m", realModel(t, "mobilenetv2/mobilenet_v2.onnx"), "-s", pictures+"chelsea.jpg", "--json")
		lines := decodeLines[classification](t, r.stdout)
		if r.code != 0 || len(lines) != 1 || len(lines[0].Top) != 5 {
			t.Fatalf("code %d: %s%s", r.code, r.stdout, r.stderr)
		}
		for i, x := range lines[0].Top {
			if w := want.MobileNet[i]; x.ClassID != w.ClassID || math.Abs(x.Score-w.Score) > 1e-3 {
				t.Errorf("place %d: %+v, want %+v", i, x, w)
			}
		}
	})
	t.Run("sinet", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "mask.png")
		if r := execute(t, "segment", "-m", realModel(t, "sinet/SINet_Softmax.onnx"), "-s", pictures+"astronaut.jpg", "-o", out); r.code != 0 {
			t.Fatal(r.code, r.stderr)
		}
		both, either := 0, 0
		got, wantMask := decodePNG(t, out).(*image.Paletted), decodePNG(t, tasks+"astronaut-mask.png")
		size := wantMask.Bounds()
		if got.Bounds() != size {
			t.Fatalf("the mask is of %v, want %v", got.Bounds(), size)
		}
		for y := range size.Dy() {
			for x := range size.Dx() {
				g, _, _, _ := wantMask.At(x, y).RGBA()
				a, b := got.ColorIndexAt(x, y) == 1, g > 0
				if a && b {
					both++
				}
				if a || b {
					either++
				}
			}
		}
		iou := float64(both) / float64(either)
		t.Logf("IoU of the masks %.5f", iou)
		if !(iou >= 0.999) {
			t.Errorf("IoU of the person's mask with ONNX Runtime's is %.5f, want 0.999", iou)
		}
	})
}
