package vision

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// tensors makes outputs of data: a byte for the number of axes, one for each
// extent, one for the name, until the last quarter, which fills the elements.
func tensors(data []byte) []Output {
	names := []string{"", "logits", "pred_boxes", "hm", "wh", "reg", "cls_8", "scores", "boxes", "output0"}
	fillers := data[len(data)*3/4:]
	head := data[:len(data)*3/4]
	var outs []Output
	total := 0
	for len(head) > 0 && len(outs) < 12 {
		axes := int(head[0] % 5)
		if len(head) < axes+2 {
			break
		}
		o := Output{Name: names[int(head[1+axes])%len(names)]}
		for _, e := range head[1 : 1+axes] {
			// One byte for extents from -1 on that models have.
			o.Shape = append(o.Shape, []int{-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 20, 32, 39, 64, 84, 85, 235, 252, 336, 1000, math.MaxInt32}[int(e)%23])
		}
		n := elems(o.Shape)
		if n > 0 && total+n < 1<<18 {
			total += n
			o.Data = make([]float32, n)
			for i := range o.Data {
				if len(fillers) >= 4 {
					at := i * 4 % (len(fillers) - 3)
					o.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(fillers[at:]))
				}
			}
		}
		outs = append(outs, o)
		head = head[2+axes:]
	}
	return outs
}

// FuzzOutputs feeds every preset outputs of any shape and any value: nothing may
// panic, boxes are finite numbers, scores are above the threshold.
func FuzzOutputs(f *testing.F) {
	f.Add([]byte("\x03\x02\x0e\x10\x09\x04\x02\x0d\x0b\x0b\x09 0123456789abcdef"), uint8(64), uint8(64))
	f.Add([]byte{3, 2, 8, 16, 0, 0, 0, 63, 0, 0, 128, 63}, uint8(64), uint8(64))
	f.Add([]byte{3, 2, 12, 6, 1, 3, 2, 12, 5, 2, 0, 0, 0, 63, 0, 0}, uint8(64), uint8(64))
	f.Add([]byte{4, 2, 4, 11, 11, 3, 4, 2, 3, 11, 11, 4, 4, 2, 3, 11, 11, 5, 1, 2, 3, 4, 5, 6, 7}, uint8(64), uint8(64))
	f.Add([]byte{4, 2, 3, 13, 13, 0, 9, 9, 9, 9}, uint8(32), uint8(32))
	f.Add([]byte{2, 2, 21, 1, 1, 2, 3, 4, 255, 127}, uint8(8), uint8(8))
	f.Fuzz(func(t *testing.T, data []byte, width, height uint8) {
		outs := tensors(data)
		w, h := int(width), int(height)
		if p, err := Recognise(w, h, outs); err != nil && !errors.Is(err, ErrPreset) || err == nil && p.Name == "" {
			t.Fatal(p.Name, err)
		}
		for _, p := range presets {
			switch p.Task {
			case Detect:
				if d, err := NewDecoder(p, w, h, outs); err == nil {
					checkDecoder(t, d, outs)
				}
			case Classify:
				if c, err := NewClassifier(p, outs); err == nil {
					top, err := c.Decode(nil, outs, 3)
					if err == nil && len(top) > 3 {
						t.Fatal(top)
					}
				}
			case Segment:
				if s, err := NewSegmenter(p, w, h, outs); err == nil {
					var m Mask
					if err := s.Decode(&m, outs, Transform{0.5, 0.25, 3, 0}, 9, 7); err == nil && len(m.Pix) != 63 {
						t.Fatal(len(m.Pix))
					}
				}
			}
		}
	})
}

// checkDecoder demands finite boxes, scores above the threshold and classes that
// exist. Data of another size than the shapes say is an error.
func checkDecoder(t *testing.T, d *Decoder, outs []Output) {
	t.Helper()
	tr := Transform{0.5, 0.25, 3, 0}
	dets, err := d.Decode(nil, outs, tr, 0.3)
	if err != nil {
		if !errors.Is(err, errOutputs) {
			t.Fatal(err)
		}
		return
	}
	for i := range dets {
		b := dets[i].Box
		if sum := float64(b.X0) + float64(b.Y0) + float64(b.X1) + float64(b.Y1); math.IsNaN(sum) || math.IsInf(sum, 0) ||
			!(dets[i].Score > 0.3) || dets[i].Class < 0 || dets[i].Class >= d.Classes() {
			t.Fatalf("%s: %+v", d.preset.Name, dets[i])
		}
	}
	if err := d.Masks(NMS(dets, 0.5), outs, tr, 50, 40); err != nil && !errors.Is(err, errOutputs) {
		t.Fatal(err)
	}
}

// FuzzValues feeds each decoder outputs of its shapes with any values.
func FuzzValues(f *testing.F) {
	var decoders []*Decoder
	var outputs [][]Output
	keep := func(preset string, outs []Output) {
		p, err := FindPreset(preset)
		if err != nil {
			f.Fatal(err)
		}
		d, err := NewDecoder(p, 64, 64, outs)
		if err != nil {
			f.Fatal(err)
		}
		decoders, outputs = append(decoders, d), append(outputs, outs)
		f.Add(uint8(len(decoders)-1), []byte{0, 0, 0, 63, 0, 0, 192, 127, 0, 0, 128, 255})
	}
	for _, c := range readGolden[decodeCase](f, "decode") {
		keep(c.Preset, c.outputs())
	}
	for _, c := range readGolden[maskCase](f, "masks") {
		keep(c.Preset, c.outputs())
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		if len(data) < 4 {
			return
		}
		i, at := int(which)%len(decoders), 0
		for _, o := range outputs[i] {
			for k := range o.Data {
				o.Data[k] = math.Float32frombits(binary.LittleEndian.Uint32(data[at%(len(data)-3):]))
				at += 4
			}
		}
		checkDecoder(t, decoders[i], outputs[i])
	})
}
