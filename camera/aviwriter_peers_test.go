//go:build peers

package camera

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// readers prints, for each back end of OpenCV, the rate and the number of frames
// of the header, and for each frame read the mean of red.
const readers = `
import cv2, sys
for api in (cv2.CAP_FFMPEG, cv2.CAP_OPENCV_MJPEG)[:len(sys.argv) - 2]: # OpenCV's own reader needs the index
    v = cv2.VideoCapture(sys.argv[1], api)
    assert v.isOpened(), api
    rate, n = v.get(cv2.CAP_PROP_FPS), v.get(cv2.CAP_PROP_FRAME_COUNT)
    reds = []
    while True:
        ok, f = v.read()
        if not ok: break
        reds.append(f[:, :, 2].mean())
    print(sys.argv[1], v.getBackendName(), rate, n, [round(r) for r in reds])
    assert len(reds) == int(sys.argv[2]), reds
    assert all(abs(r - (40 + 20 * i)) < 4 for i, r in enumerate(reds)), reds
    if len(sys.argv) > 3: assert abs(rate - float(sys.argv[3])) < 0.01 and n == len(reds), (rate, n)
`

// TestAVIWriterPeers has FFmpeg and OpenCV read what AVIWriter wrote, to its end
// and, by FFmpeg, without it.
func TestAVIWriterPeers(t *testing.T) {
	env := os.Getenv("EDGECAM_PEERS")
	if env == "" {
		home, _ := os.UserHomeDir()
		env = filepath.Join(home, ".cache", "edgecam-peers")
	}
	python := filepath.Join(env, "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no Python with OpenCV: %v (set EDGECAM_PEERS)", err)
	}
	for _, c := range []struct {
		name    string
		w, h, n int
		rate    float64
		end     bool
		args    []string
	}{
		{"25", 64, 48, 6, 25, true, []string{"6", "25"}},
		{"2997", 66, 35, 5, 29.97, true, []string{"5", "29.97"}},
		{"cut", 64, 48, 6, 10, false, []string{"6"}},
	} {
		path := filepath.Join(t.TempDir(), c.name+".avi")
		writeClip(t, path, c.w, c.h, c.n, c.rate, c.end)
		b, err := exec.Command(python, append([]string{"-c", readers, path}, c.args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		t.Logf("%s", b)
	}
}
