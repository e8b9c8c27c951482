//go:build gocv && matprofile

package camera

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"gocv.io/x/gocv"
)

// TestNoMatLeaks opens, reads and closes sources, and asks gocv for the Mats
// that nobody closed.
func TestNoMatLeaks(t *testing.T) {
	stream := "rtsp://" + rtspServer{frames: 1e6}.serve(t) + "/"
	silent := "rtsp://" + rtspServer{silent: true}.serve(t) + "/"
	before := gocv.MatProfile.Count()
	opened := 0
	for range 3 {
		for _, uri := range []string{filepath.Join(golden, "moving.mp4"), stream, silent, filepath.Join(golden, "clip.avi"), "/dev/video250", "csi:0"} {
			src, err := Options{Timeout: 300 * time.Millisecond}.Open(uri)
			if err != nil {
				continue
			}
			opened++
			var f Frame
			for range 5 { // the video is closed before its end
				if err := src.Read(context.Background(), &f); err != nil {
					t.Errorf("%s: %v", uri, err)
				}
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if opened < 9 {
		t.Errorf("%d sources were opened, want 9", opened)
	}
	if n := gocv.MatProfile.Count(); n != before {
		var b bytes.Buffer
		_ = gocv.MatProfile.WriteTo(&b, 1)
		t.Errorf("%d Mats are left:\n%s", n-before, &b)
	}
	m := gocv.NewMat() // the profile does see one that is open
	if n := gocv.MatProfile.Count(); n != before+1 {
		t.Errorf("the profile counts %d Mats, want %d", n, before+1)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
