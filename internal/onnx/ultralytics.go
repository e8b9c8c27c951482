package onnx

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgecam/edgecam/internal/graph"
)

// maxLabels bounds the class indices that metadata may name.
const maxLabels = 1 << 16

// ultralyticsCard reads the metadata of Ultralytics' exporters: names, a
// Python dictionary or list, and task, imgsz and stride (YOLOv5 writes names
// and stride only). It returns nil where the metadata are not theirs; entries
// that do not parse are left out, since no contract of ours covers them.
func ultralyticsCard(g *graph.Graph) *Card {
	names, err := parseNames(g.Meta("names"))
	if err != nil || len(names) == 0 || g.Meta("stride") == "" && g.Meta("task") == "" {
		return nil
	}
	c := &Card{Schema: cardSchema + cardMajor, Task: g.Meta("task"), Labels: names}
	family := detectFamily(g, len(names))
	if c.Task == "" && family == "yolov5" {
		c.Task = "detect"
	}
	if c.Task == "detect" {
		c.Decoder = family
	}
	p := &Preprocess{
		Preset: c.Decoder, Size: parseSize(g.Meta("imgsz")), Color: "rgb", Layout: "nchw",
		Mean: []float64{0, 0, 0}, Std: []float64{255, 255, 255},
	}
	switch c.Task {
	case "detect", "segment", "pose", "obb":
		p.Place, p.Pad = "letterbox-centre", 114
		c.Preprocess = p
	case "classify":
		p.Place = "crop"
		c.Preprocess = p
	}
	return c
}

// detectFamily tells from the shape of the first output how boxes are
// decoded: [batch, 4+classes, boxes] is YOLOv8's and its successors',
// [batch, boxes, 5+classes] YOLOv5's. It returns "" where neither or both
// fit, as for the 300 rows of exports that hold the suppression of overlaps.
func detectFamily(g *graph.Graph, classes int) string {
	if len(g.Outputs) == 0 {
		return ""
	}
	s := g.Outputs[0].Type.Shape
	if len(s) != 3 {
		return ""
	}
	final := s[1] == 300
	v8 := s[1] == 4+classes && !(final && s[2] == 6)
	v5 := s[2] == 5+classes && !final
	switch {
	case v8 && !v5:
		return "yolov8"
	case v5 && !v8:
		return "yolov5"
	}
	return ""
}

// parseSize reads "[height, width]" and returns width and height, nil where
// it is something else.
func parseSize(s string) []int {
	s, open := strings.CutPrefix(strings.TrimSpace(s), "[")
	s, closed := strings.CutSuffix(s, "]")
	h, w, two := strings.Cut(s, ",")
	height, err1 := strconv.Atoi(strings.TrimSpace(h))
	width, err2 := strconv.Atoi(strings.TrimSpace(w))
	if !open || !closed || !two || err1 != nil || err2 != nil || min(height, width) < 1 || max(height, width) > 1<<16 {
		return nil
	}
	return []int{width, height}
}

var errLiteral = errors.New("not a Python dictionary or list of names")

// parseNames reads {0: 'person', 1: "it's"} or ['person', "it's"]. The keys
// of a dictionary must be 0 to n-1, in any order.
func parseNames(s string) ([]string, error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 {
		return nil, errLiteral
	}
	dict := s[0] == '{'
	end := map[byte]byte{'{': '}', '[': ']'}[s[0]]
	if end == 0 || s[len(s)-1] != end {
		return nil, errLiteral
	}
	byKey := map[int]string{}
	for s = strings.TrimSpace(s[1 : len(s)-1]); s != ""; {
		key := len(byKey)
		if dict {
			k, rest, ok := strings.Cut(s, ":")
			n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(k), `'"`))
			if !ok || err != nil || n < 0 || n >= maxLabels {
				return nil, errLiteral
			}
			key, s = n, strings.TrimSpace(rest)
		}
		name, rest, err := pythonString(s)
		if err != nil {
			return nil, err
		}
		byKey[key] = name
		s = strings.TrimSpace(rest)
		if s == "" {
			break
		}
		if s[0] != ',' {
			return nil, errLiteral
		}
		s = strings.TrimSpace(s[1:])
	}
	names := make([]string, len(byKey))
	for k, name := range byKey {
		if k >= len(names) {
			return nil, errLiteral
		}
		names[k] = name
	}
	return names, nil
}

// pythonString reads a string literal as repr writes it and returns what
// follows it.
func pythonString(s string) (value, rest string, err error) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", "", errLiteral
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), s[i+1:], nil
		case s[i] != '\\':
			b.WriteByte(s[i])
			continue
		case i+1 == len(s):
			return "", "", errLiteral
		}
		i++
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]
		plain := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '\'': '\'', '"': '"'}[s[i]]
		switch {
		case plain != 0:
			b.WriteByte(plain)
		case digits == 0 || i+digits >= len(s):
			return "", "", errLiteral
		default:
			n, err := strconv.ParseUint(s[i+1:i+1+digits], 16, 32)
			if err != nil || !utf8.ValidRune(rune(n)) {
				return "", "", errLiteral
			}
			b.WriteRune(rune(n))
			i += digits
		}
	}
	return "", "", errLiteral
}
