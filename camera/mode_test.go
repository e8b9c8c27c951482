package camera

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// uvc is a webcam as most are: YUYV is slow at large sizes.
var uvc = []Mode{
	{Format: "MJPEG", Width: 640, Height: 480, Rates: []float64{30, 15}},
	{Format: "MJPEG", Width: 1280, Height: 720, Rates: []float64{60, 30, 15}},
	{Format: "YUYV", Width: 640, Height: 480, Rates: []float64{30, 24, 15}},
	{Format: "YUYV", Width: 1280, Height: 720, Rates: []float64{10, 5}},
	{Format: "YUYV", Width: 320, Height: 240, Rates: []float64{30}},
}

// steps is a sensor that scales to any size.
var steps = []Mode{
	{Format: "NV12", Width: 2592, Height: 1944, Min: [2]int{32, 32}, Step: [2]int{16, 8}},
	{Format: "YUYV", Width: 2592, Height: 1944, Min: [2]int{32, 32}, Step: [2]int{2, 2}, Rates: []float64{90, 60, 30, 1}},
}

func TestChoose(t *testing.T) {
	both := append([]Mode{{Format: "GRAY8", Width: 640, Height: 480, Rates: []float64{120}}, {Format: "NV12", Width: 640, Height: 480, Rates: []float64{29.97}}}, uvc...)
	for _, tc := range []struct {
		name  string
		modes []Mode
		ask   string
		want  choice
	}{
		{"raw where the rate allows", uvc, "0", choice{"YUYV", 640, 480, 30}},
		{"compressed where it does not", uvc, "0?size=1280x720", choice{"MJPEG", 1280, 720, 30}},
		{"a low rate lets raw through", uvc, "0?size=1280x720&rate=10", choice{"YUYV", 1280, 720, 10}},
		{"a lower one too", uvc, "0?size=1280x720&rate=4", choice{"YUYV", 1280, 720, 5}},
		{"the next higher rate", uvc, "0?rate=20", choice{"YUYV", 640, 480, 24}},
		{"a high rate", uvc, "0?size=1280x720&rate=50", choice{"MJPEG", 1280, 720, 60}},
		{"more than there is", uvc, "0?size=1280x720&rate=100", choice{"MJPEG", 1280, 720, 60}},
		{"format asked for", uvc, "0?format=MJPEG", choice{"MJPEG", 640, 480, 30}},
		{"format before rate", uvc, "0?size=1280x720&format=YUYV", choice{"YUYV", 1280, 720, 10}},
		{"YUYV before NV12", both, "0", choice{"YUYV", 640, 480, 30}},
		{"NV12 on demand, 29.97 is 30", both, "0?format=NV12&rate=30", choice{"NV12", 640, 480, 29.97}},
		{"gray is no answer to a rate", both, "0?rate=100", choice{"YUYV", 640, 480, 30}},
		{"gray on demand", both, "0?format=GRAY8", choice{"GRAY8", 640, 480, 120}},
		{"only gray", both[:1], "0", choice{"GRAY8", 640, 480, 120}},
		{"nearest to 640x480", []Mode{uvc[1], uvc[4], {Format: "YUYV", Width: 800, Height: 448, Rates: []float64{20}}}, "0", choice{"YUYV", 800, 448, 20}},
		{"steps", steps, "0", choice{"YUYV", 640, 480, 30}},
		{"steps, size", steps, "0?size=1280x720", choice{"YUYV", 1280, 720, 30}},
		{"steps, no rates known", steps[:1], "0?size=1280x720", choice{"NV12", 1280, 720, 0}},
		{"steps below 640x480", []Mode{{Format: "NV12", Width: 330, Height: 250, Min: [2]int{10, 10}, Step: [2]int{16, 16}}}, "0", choice{"NV12", 330, 250, 0}},
	} {
		target, err := parseTarget(tc.ask)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := choose(target, tc.modes); err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v, want %+v", tc.name, got, err, tc.want)
		}
	}
}

func TestChooseErrors(t *testing.T) {
	for _, tc := range []struct {
		modes []Mode
		ask   string
		text  string
	}{
		{nil, "0", "YUYV, NV12, MJPEG"},
		{uvc, "0?format=NV12", "it gives MJPEG, YUYV"},
		{uvc, "0?size=1920x1080", "640x480, 1280x720, 320x240"},
		{uvc, "0?size=320x240&format=MJPEG", "640x480, 1280x720"},
		{steps, "0?size=641x480", "32x32 to 2592x1944 in steps of 16x8"},
		{steps, "0?size=4000x3000", "2592x1944"},
	} {
		target, err := parseTarget(tc.ask)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := choose(target, tc.modes); !errors.Is(err, ErrUnsupported) || !strings.Contains(fmt.Sprint(err), tc.text) {
			t.Errorf("%s: %v, want one naming %q", tc.ask, err, tc.text)
		}
	}
}
