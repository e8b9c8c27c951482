package pass_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/pass"
)

// moves says how many copies into another order may stand between the first
// and the last convolution of a model. Models that are not listed have none.
var moves = map[string]int{
	// 13 units of ShuffleNetV2 take the even and the odd channels apart. Every
	// second channel is no run of memory, and each half feeds a convolution
	// and a concatenation.
	"FastestDet.onnx":                     26,
	"FastestDet_int8_qdq_perchannel.onnx": 26,
	"FastestDet_int8_qop_perchannel.onnx": 26,
	// 16 channel shuffles between two groups: one copy for each half of 13.
	// The 3 at the end of a stage are read whole, by reordered weights.
	"nanodet_m.onnx": 26,
	// A maximum over channels written as a pooling over transposed axes costs
	// one copy there and one back. 10 channel shuffles go into weights.
	"SINet_Softmax.onnx": 2,
}

func TestNoTransposeBetweenConvolutions(t *testing.T) {
	assets := os.Getenv("EDGECAM_ASSETS")
	if assets == "" {
		assets = filepath.Join("..", "..", "..", "shared") // beside the repository
	}
	files, _ := filepath.Glob(filepath.Join(assets, "models", "*", "*.onnx"))
	if len(files) == 0 {
		t.Skip("no models: set EDGECAM_ASSETS to the assets folder")
	}
	for _, f := range files {
		g, err := onnx.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		lowered, err := pass.Compile(g, pass.Options{Shapes: squares(g)})
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		if got := movesBetween(lowered); got != moves[name] {
			t.Errorf("%s: %d copies between convolutions, want %d", name, got, moves[name])
		}
	}
}

// squares fixes open extents: a batch of one, 320 rows and columns.
func squares(g *graph.Graph) map[string][]int {
	out := map[string][]int{}
	for _, v := range g.Inputs {
		s := v.Type.Shape.Clone()
		for i, d := range s {
			switch {
			case d < 0 && i == 0:
				s[i] = 1
			case d < 0:
				s[i] = 320
			}
		}
		out[v.Name] = s
	}
	return out
}

func movesBetween(g *graph.Graph) int {
	seen, since, between := false, 0, 0
	for _, n := range g.Nodes {
		switch n.Op.(type) {
		case *op.ConvNHWC, *op.Conv, *op.ConvQ8:
			seen, between = true, between+since
			since = 0
		case *op.StridedCopy, *op.Transpose:
			if seen {
				since++
			}
		}
	}
	return between
}
