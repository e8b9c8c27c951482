package onnx

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

func withMeta(shape tensor.Shape, kv ...string) *graph.Graph {
	g := &graph.Graph{Outputs: []*graph.Value{{Name: "out", Type: tensor.Type{DType: tensor.Float32, Shape: shape}}}}
	for i := 0; i < len(kv); i += 2 {
		g.Metadata = append(g.Metadata, graph.Property{Key: kv[i], Value: kv[i+1]})
	}
	return g
}

func TestCard(t *testing.T) {
	const doc = `{"schema":"edgecam.card/1.3","task":"detect","labels":["a","b"],
		"preprocess":{"preset":"yolox","size":[416,320],"mean":[0,0,0],"std":[1,1,1],"color":"bgr","layout":"nchw","place":"letterbox-topleft","pad":114,"gamma":{"x":1}},
		"decoder":"yolox","lineage":[{"step":"import","source":"m.onnx","by":"someone"}],"future":[1,{"deep":true}]}`
	g := withMeta(nil, "before", "1", CardKey, doc, "after", "2")
	c, err := ReadCard(g)
	if err != nil {
		t.Fatal(err)
	}
	want := &Card{
		Schema: "edgecam.card/1.3", Task: "detect", Labels: []string{"a", "b"}, Decoder: "yolox",
		Preprocess: &Preprocess{
			Preset: "yolox", Size: []int{416, 320}, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1},
			Color: "bgr", Layout: "nchw", Place: "letterbox-topleft", Pad: 114,
			Extra: map[string]json.RawMessage{"gamma": json.RawMessage(`{"x":1}`)},
		},
		Lineage: []Origin{{Step: "import", Source: "m.onnx", Extra: map[string]json.RawMessage{"by": json.RawMessage(`"someone"`)}}},
		Extra:   map[string]json.RawMessage{"future": json.RawMessage(`[1,{"deep":true}]`)},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Fatal(diff)
	}
	c.Lineage = append(c.Lineage, Origin{Step: "quantize"})
	if err := c.Write(g); err != nil {
		t.Fatal(err)
	}
	if len(g.Metadata) != 3 || g.Metadata[1].Key != CardKey {
		t.Fatalf("metadata are %v", g.Metadata)
	}
	var before, after map[string]any
	if err := errors.Join(json.Unmarshal([]byte(doc), &before), json.Unmarshal([]byte(g.Meta(CardKey)), &after)); err != nil {
		t.Fatal(err)
	}
	before["lineage"] = append(before["lineage"].([]any), map[string]any{"step": "quantize"})
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestCardOfNothing(t *testing.T) {
	g := withMeta(nil)
	if c, err := ReadCard(g); c != nil || err != nil {
		t.Errorf("a model without metadata has the card %v, %v", c, err)
	}
	if err := (&Card{Extra: map[string]json.RawMessage{"x": json.RawMessage("1")}}).Write(g); err != nil {
		t.Fatal(err)
	}
	if s := g.Meta(CardKey); s != `{"schema":"edgecam.card/1","x":1}` {
		t.Errorf("card is %s", s)
	}
	if c, err := ReadCard(g); err != nil || c.Schema != "edgecam.card/1" {
		t.Errorf("card is %v, %v", c, err)
	}
}

func TestBadCard(t *testing.T) {
	for doc, says := range map[string]string{
		``:                                     "JSON",
		`[]`:                                   "cannot unmarshal",
		`{}`:                                   "schema",
		`{"schema":"other/1"}`:                 "other/1",
		`{"schema":"edgecam.card/"}`:           "edgecam.card/1",
		`{"schema":"edgecam.card/2","task":7}`: "edgecam.card/2",
		`{"schema":"edgecam.card/10"}`:         "edgecam.card/10",
		`{"schema":"edgecam.card/1","task":7}`: "task",
		`{"schema":"edgecam.card/1","preprocess":{"size":[0,5]}}`:                  "size",
		`{"schema":"edgecam.card/1","preprocess":{"size":[5]}}`:                    "size",
		`{"schema":"edgecam.card/1","preprocess":{"std":[1,0,1]}}`:                 "std",
		`{"schema":"edgecam.card/1","preprocess":{"std":[1,1,1],"mean":[1]}}`:      "mean",
		`{"schema":"edgecam.card/1","preprocess":{"pad":300}}`:                     "pad",
		`{"schema":"edgecam.card/1","preprocess":{"color":"cmyk"}}`:                "cmyk",
		`{"schema":"edgecam.card/1","preprocess":{"layout":"chwn"}}`:               "chwn",
		`{"schema":"edgecam.card/1","preprocess":{"place":"somewhere"}}`:           "somewhere",
		`{"schema":"edgecam.card/1","lineage":` + strings.Repeat("[", 20000) + "}": "exceeded max depth",
	} {
		if _, err := ReadCard(withMeta(nil, CardKey, doc)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v", doc, err)
		}
	}
	g := withMeta(nil)
	if err := (&Card{Preprocess: &Preprocess{Size: []int{1}}}).Write(g); err == nil || len(g.Metadata) != 0 {
		t.Errorf("a bad card is written: %v", err)
	}
}

// TestUltralytics reads metadata as ultralytics.engine.exporter and YOLOv5's
// export.py write them: str() of Python's values.
func TestUltralytics(t *testing.T) {
	three := `{0: 'person', 1: "it's", 2: 'caf\xe9 \u4eba\n"'}`
	cases := []struct {
		name          string
		shape         tensor.Shape
		meta          []string
		task, decoder string
		size          []int
		place         string
	}{
		{"yolov8", tensor.Shape{1, 7, 8400}, []string{"task", "detect", "stride", "32", "imgsz", "[480, 640]"}, "detect", "yolov8", []int{640, 480}, "letterbox-centre"},
		{"dynamic", tensor.Shape{-1, 7, -1}, []string{"task", "detect", "stride", "32", "imgsz", "[640, 640]"}, "detect", "yolov8", []int{640, 640}, "letterbox-centre"},
		{"yolov5", tensor.Shape{1, 25200, 8}, []string{"stride", "32"}, "detect", "yolov5", nil, "letterbox-centre"},
		{"suppressed", tensor.Shape{1, 300, 6}, []string{"task", "detect", "stride", "32"}, "detect", "", nil, "letterbox-centre"},
		{"both fit", tensor.Shape{1, 7, 8}, []string{"task", "detect", "stride", "32"}, "detect", "", nil, "letterbox-centre"},
		{"classify", tensor.Shape{1, 3}, []string{"task", "classify", "stride", "1", "imgsz", "[224, 224]"}, "classify", "", []int{224, 224}, "crop"},
		{"segment", tensor.Shape{1, 39, 8400}, []string{"task", "segment", "stride", "32", "imgsz", "640"}, "segment", "", nil, "letterbox-centre"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card, err := ReadCard(withMeta(c.shape, append(c.meta, "names", three)...))
			if err != nil || card == nil {
				t.Fatal(card, err)
			}
			if diff := cmp.Diff([]string{"person", "it's", "café 人\n\""}, card.Labels); diff != "" {
				t.Error(diff)
			}
			p := card.Preprocess
			if card.Task != c.task || card.Decoder != c.decoder || p == nil || p.Place != c.place || !cmp.Equal(p.Size, c.size) || p.Color != "rgb" || p.Std[0] != 255 {
				t.Errorf("card is %+v, %+v", card, p)
			}
			if err := card.Write(withMeta(nil)); err != nil {
				t.Error(err)
			}
		})
	}
	// With one class the 300 rows of 6 could be YOLOv5's.
	if card, _ := ReadCard(withMeta(tensor.Shape{1, 300, 6}, "names", "{0: 'a'}", "stride", "32")); card == nil || card.Decoder != "" {
		t.Errorf("card is %+v", card)
	}
	g := withMeta(nil, "names", three, "stride", "32", CardKey, `{"schema":"edgecam.card/1","task":"own"}`)
	if card, err := ReadCard(g); err != nil || card.Task != "own" {
		t.Errorf("edgecam's card does not come first: %v, %v", card, err)
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string][]string{
		`{0: 'a', 1: 'b'}`:         {"a", "b"},
		`{1: 'b', 0: 'a'}`:         {"a", "b"},
		`{0:'a',1:'b',}`:           {"a", "b"},
		`{"0": "a", "1": "b"}`:     {"a", "b"},
		`['a', "b'c"]`:             {"a", "b'c"},
		` { 0 : 'a:,}{' } `:        {"a:,}{"},
		`{0: 'a\\b\'c\U0001f600'}`: {`a\b'c😀`},
		`{0: ''}`:                  {""},
		`{}`:                       {},
	} {
		if got, err := parseNames(in); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		``, `{`, `person,car`, `{0: 'a'`, `{0: 'a]`, `{1: 'a'}`, `{0: 'a', 2: 'b'}`, `{-1: 'a'}`, `{0: a}`, `{0 'a'}`, `{0: 'a' 1: 'b'}`,
		`{99999999: 'a'}`, `{0: 'a\'}`, `{0: 'a\x4'}`, `{0: 'a\ud800'}`, `{0: 'a\q'}`, `[1, 2]`, `['a'`, `{0: }`, `{:}`, `{'a'}`,
	} {
		if got, err := parseNames(in); err == nil {
			t.Errorf("%s: %q", in, got)
		}
	}
}
