package vision

import (
	"math"
	"strings"
)

// fitDETR finds logits and boxes by the ends of their names.
func (d *Decoder) fitDETR(outs []Output) {
	logits, boxes := -1, -1
	for i := range outs {
		switch {
		case strings.HasSuffix(outs[i].Name, "logits"):
			logits = i
		case strings.HasSuffix(outs[i].Name, "boxes"):
			boxes = i
		}
	}
	if logits < 0 || boxes < 0 || len(outs[boxes].Shape) != 3 {
		return
	}
	n := outs[boxes].Shape[1]
	width, ok := rows(outs[boxes].Shape, n)
	if !ok || width != 4 {
		return
	}
	if d.classes, ok = rows(outs[logits].Shape, n); !ok {
		return
	}
	d.decode = (*Decoder).rtdetr
	if d.preset.Name == "detr" {
		if d.classes--; d.classes < 1 {
			d.decode = nil
			return
		}
		d.decode = (*Decoder).detr
	}
	d.take(outs, logits)
	d.take(outs, boxes)
}

// detr decodes queries: the softmax of their logits, the last of which is for no
// object, and boxes of centre and size as fractions of the input.
//
// Carion and others, "End-to-End Object Detection with Transformers", 2020.
func (d *Decoder) detr(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	n := d.classes + 1
	for i := 0; n*i < len(data[0]); i++ {
		r := data[0][n*i:][:n]
		class, top := highest(r[:d.classes])
		sum := 0.0
		for _, v := range r {
			sum += math.Exp(float64(v) - float64(top))
		}
		if score := float32(1 / sum); score > minScore {
			dst = d.query(dst, data[1][4*i:][:4], t, class, score)
		}
	}
	return dst
}

// rtdetr decodes queries as detr does, with a sigmoid for each class and no class
// for no object. A query may be an object of several classes.
//
// Zhao and others, "DETRs Beat YOLOs on Real-time Object Detection", 2023.
func (d *Decoder) rtdetr(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	// Compared as logits, and again as scores, because most are far below.
	limit := float32(math.Log(float64(minScore)/(1-float64(minScore)))) - 1e-3
	for i, v := range data[0] {
		if v <= limit {
			continue
		}
		if score := float32(sigmoid(v)); score > minScore {
			dst = d.query(dst, data[1][4*(i/d.classes):][:4], t, i%d.classes, score)
		}
	}
	return dst
}

// query adds the box of a query.
func (d *Decoder) query(dst []Detection, b []float32, t Transform, class int, score float32) []Detection {
	cx, cy := float64(b[0])*float64(d.width), float64(b[1])*float64(d.height)
	w, h := float64(b[2])*float64(d.width), float64(b[3])*float64(d.height)
	if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
		dst = add(dst, class, score, box)
	}
	return dst
}

// fitCenterNet finds the heads by name, or takes them in the order of the paper's
// code.
func (d *Decoder) fitCenterNet(outs []Output) {
	if len(outs) != 2 && len(outs) != 3 {
		return
	}
	at := [3]int{0, 1, len(outs) - 1}
	for i := range outs {
		s := outs[i].Shape
		if len(s) != 4 || s[0] != 1 || s[1] < 1 || s[2] < 1 || s[3] < 1 || 4*s[2] != d.height || 4*s[3] != d.width {
			return
		}
		switch name := outs[i].Name; {
		case strings.Contains(name, "hm") || strings.Contains(name, "heatmap"):
			at[0] = i
		case strings.Contains(name, "wh") || strings.Contains(name, "size"):
			at[1] = i
		case strings.Contains(name, "reg") || strings.Contains(name, "offset"):
			at[2] = i
		}
	}
	heads := at[:len(outs)]
	for k, i := range heads {
		if k > 0 && outs[i].Shape[1] != 2 || k > 0 && i == heads[k-1] || k == 2 && i == heads[0] {
			return
		}
	}
	for _, i := range heads {
		d.take(outs, i)
	}
	d.classes = outs[at[0]].Shape[1]
	d.decode = (*Decoder).centernet
}

// centernet decodes maps of stride 4: a heat map for each class, whose peaks
// among their eight neighbours are centres of objects, the objects' sizes, and
// what centres lie beside the cell's corner, one half where the model does not
// say; sizes and offsets in cells. Heat maps are probabilities, or logits where
// one of their values is negative: an export ends before or after the sigmoid,
// and the logits of an empty scene are all negative.
//
// Zhou and others, "Objects as Points", 2019.
func (d *Decoder) centernet(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	w, h := d.width/4, d.height/4
	heat, size := data[0], data[1]
	logits := false
	for _, v := range heat {
		logits = logits || v < 0
	}
	limit := minScore
	if logits {
		limit = float32(math.Log(float64(minScore)/(1-float64(minScore)))) - 1e-3
	}
	for i, v := range heat {
		if v <= limit || v != v {
			continue
		}
		cell := i % (w * h)
		x, y := cell%w, cell/w
		plane := heat[i-cell:][:w*h]
		peak := true
		for ny := max(y-1, 0); ny <= min(y+1, h-1); ny++ {
			for nx := max(x-1, 0); nx <= min(x+1, w-1); nx++ {
				peak = peak && !(plane[ny*w+nx] > v)
			}
		}
		score := v
		if logits {
			score = float32(sigmoid(v))
		}
		if !peak || !(score > minScore) {
			continue
		}
		dx, dy := 0.5, 0.5
		if len(data) == 3 {
			dx, dy = float64(data[2][cell]), float64(data[2][w*h+cell])
		}
		cx, cy := (float64(x)+dx)*4, (float64(y)+dy)*4
		bw, bh := float64(size[cell])*4, float64(size[w*h+cell])*4
		if box, ok := t.box(cx-bw/2, cy-bh/2, cx+bw/2, cy+bh/2); ok {
			dst = add(dst, i/(w*h), score, box)
		}
	}
	return dst
}
