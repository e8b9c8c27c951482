//go:build gocv

package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gocv.io/x/gocv"
	"golang.org/x/sys/unix"
)

// Properties of VideoCapture that gocv has no name for; OpenCV takes them only
// when it opens a source.
const (
	capOpenTimeout gocv.VideoCaptureProperties = 53 // CAP_PROP_OPEN_TIMEOUT_MSEC
	capReadTimeout gocv.VideoCaptureProperties = 54 // CAP_PROP_READ_TIMEOUT_MSEC
)

// openCV opens t with OpenCV, each kind of target with the one backend that is
// for it, so that no name is ever tried as a pipeline. The result is false for
// what OpenCV cannot open and another source might, which then tries, or says
// better why not. An error with true is final.
func openCV(t target, o Options) (src Source, ok bool, err error) {
	var s *cvSource
	switch t.kind {
	case videoTarget:
		return openVideo(t)
	case streamTarget:
		return openStream(t, o)
	case deviceTarget:
		if len(t.controls) > 0 || t.format == "NV12" || t.format == "GRAY8" {
			return nil, false, nil // OpenCV has no names for the controls and would convert the formats
		}
		s, ok = capture(t, "v4l2", t.path, gocv.VideoCaptureV4L2, deviceParams(t))
	case csiTarget:
		jetson := isJetson("/proc/device-tree/compatible")
		plugin := "libcamera"
		if jetson {
			plugin = "nvarguscamerasrc"
		}
		pipeline, known := csiPipeline(t, jetson)
		if known && has(gocv.VideoCaptureGstreamer) && havePlugins(plugin, "videoconvert*", "app") {
			return openPipeline(t, o, pipeline)
		}
	}
	if !ok {
		return nil, false, nil
	}
	return live(t, o, s), true, nil
}

func openVideo(t target) (Source, bool, error) {
	if !has(gocv.VideoCaptureFFmpeg) {
		return nil, false, nil
	}
	path, err := filepath.Abs(t.path)
	if err != nil {
		return nil, true, pathError(t.name, err)
	}
	// With file: FFmpeg cannot take a file's name for one of its protocols.
	s, ok := capture(t, "ffmpeg", "file:"+path, gocv.VideoCaptureFFmpeg, timeouts(time.Minute, time.Minute))
	if !ok {
		return explain(fmt.Errorf("camera: %s: opencv/ffmpeg: %w: there is no video in it that FFmpeg can decode", t.name, ErrFormat))
	}
	if err := checkSize(int(s.capture.Get(gocv.VideoCaptureFrameWidth)), int(s.capture.Get(gocv.VideoCaptureFrameHeight))); err != nil {
		_ = s.Close() // err is what matters
		return nil, true, fmt.Errorf("camera: %s: opencv/ffmpeg: %w", t.name, err)
	}
	if n := s.capture.Get(gocv.VideoCaptureFrameCount); n > 0 && n < 1<<31 {
		s.frames = int(n)
	}
	return s, true, nil
}

// opening is held while OpenCV's FFmpeg opens a stream, which it does one at a
// time: waiting for another one is no fault of the server.
var opening sync.Mutex

// openStream asks an RTSP server for an answer before OpenCV does, so that one
// that hangs does not hold up the others. One that answers may take longer than
// that until its first key frame.
func openStream(t target, o Options) (Source, bool, error) {
	if !has(gocv.VideoCaptureFFmpeg) {
		return nil, false, nil
	}
	if _, err := exec.LookPath("ffmpeg"); err == nil && o.frame() > 5*o.timeout() {
		return nil, false, nil // it would keep the others from being opened until its first frames have come
	}
	limit := max(o.timeout(), o.frame())
	if strings.HasPrefix(t.uri, "rtsp") {
		u, err := url.Parse(t.uri)
		if err != nil {
			return nil, true, fmt.Errorf("camera: %s: %w", t.name, ErrSyntax)
		}
		if err := greet(t, u, o.timeout()); err != nil {
			return nil, true, err
		}
		limit = o.firstFrame()
	}
	opening.Lock()
	start := time.Now()
	s, ok := capture(t, "ffmpeg", t.uri, gocv.VideoCaptureFFmpeg, timeouts(limit, o.frame()))
	took := time.Since(start)
	opening.Unlock()
	switch {
	case ok:
		return live(t, o, s), true, nil
	case took >= limit:
		return nil, true, fmt.Errorf("camera: %s: opencv/ffmpeg: %w: no video within %v; %s", t.name, ErrLost, limit, slower)
	}
	return explain(fmt.Errorf("camera: %s: opencv/ffmpeg: %w: the server gives no video; check the path, the user and the password", t.name, ErrNotFound))
}

// explain leaves what OpenCV did not open to the program ffmpeg where there is
// one, because OpenCV never says what is wrong. otherwise is the error without it.
func explain(otherwise error) (Source, bool, error) {
	if _, err := exec.LookPath("ffmpeg"); err == nil {
		return nil, false, nil
	}
	return nil, true, otherwise
}

// havePlugins reports whether GStreamer has all plugins of these names, which
// may be patterns. OpenCV would wait forever for a pipeline without its source.
func havePlugins(names ...string) bool {
	dirs := append(filepath.SplitList(os.Getenv("GST_PLUGIN_PATH")), "/usr/lib/*/gstreamer-1.0", "/usr/lib/gstreamer-1.0",
		"/usr/local/lib/*/gstreamer-1.0", "/usr/local/lib/gstreamer-1.0")
	return !slices.ContainsFunc(names, func(name string) bool {
		return !slices.ContainsFunc(dirs, func(dir string) bool {
			files, err := filepath.Glob(filepath.Join(dir, "libgst"+name+".so"))
			return err == nil && len(files) > 0
		})
	})
}

// openPipeline gives up on a camera that does not start, which GStreamer waits
// for as long as it takes.
func openPipeline(t target, o Options, pipeline string) (Source, bool, error) {
	limit := o.firstFrame()
	opened := make(chan *cvSource)
	late := make(chan struct{})
	go func() {
		s, ok := capture(t, "gstreamer", pipeline, gocv.VideoCaptureGstreamer, nil)
		if !ok {
			s = nil
		}
		select {
		case opened <- s:
		case <-late:
			if ok {
				_ = s.Close() // nobody waits for it
			}
		}
	}()
	select {
	case s := <-opened:
		if s == nil {
			return nil, false, nil
		}
		return live(t, o, s), true, nil
	case <-time.After(limit):
		close(late)
		return nil, true, fmt.Errorf("camera: %s: opencv/gstreamer: %w: the camera does not start within %v; does another program use it?", t.name, ErrLost, limit)
	}
}

// timeouts are the parameters for how long opening, and then each frame, may take.
func timeouts(open, read time.Duration) []gocv.VideoCaptureProperties {
	ms := func(d time.Duration) gocv.VideoCaptureProperties {
		return gocv.VideoCaptureProperties(min(max(d.Milliseconds(), 1), 1<<31-1))
	}
	return []gocv.VideoCaptureProperties{capOpenTimeout, ms(open), capReadTimeout, ms(read)}
}

// deviceParams asks a device for format, size and rate; the format comes first,
// because it decides about the others.
func deviceParams(t target) []gocv.VideoCaptureProperties {
	code := map[string]string{"YUYV": "YUYV", "MJPEG": "MJPG"}[t.format]
	p := []gocv.VideoCaptureProperties{gocv.VideoCaptureConvertRGB, 1}
	if code != "" {
		p = append(p, gocv.VideoCaptureFOURCC, gocv.VideoCaptureProperties(code[0])|gocv.VideoCaptureProperties(code[1])<<8|
			gocv.VideoCaptureProperties(code[2])<<16|gocv.VideoCaptureProperties(code[3])<<24)
	}
	if t.width > 0 {
		p = append(p, gocv.VideoCaptureFrameWidth, gocv.VideoCaptureProperties(t.width), gocv.VideoCaptureFrameHeight, gocv.VideoCaptureProperties(t.height))
	}
	if t.rate > 0 {
		p = append(p, gocv.VideoCaptureFPS, gocv.VideoCaptureProperties(max(1, int(t.rate+0.5))))
	}
	return p
}

// isJetson reports whether the board's device tree names an Nvidia Tegra.
func isJetson(compatible string) bool {
	b, err := os.ReadFile(compatible)
	return err == nil && strings.Contains(string(b), "nvidia,tegra")
}

// csiPipeline returns the GStreamer pipeline of a board's camera, made of this
// text and of checked numbers alone. It is false where there is none: on a
// Raspberry Pi libcamerasrc knows cameras by path, not by number, so only the
// first can be had.
func csiPipeline(t target, jetson bool) (string, bool) {
	caps := ""
	if t.width > 0 {
		caps += fmt.Sprintf(",width=%d,height=%d", t.width, t.height)
	}
	if t.rate > 0 {
		caps += fmt.Sprintf(",framerate=%d/1000", int(t.rate*1000+0.5))
	}
	// The newest frame alone waits in the sink.
	const end = " ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
	switch {
	case t.format != "" && t.format != "NV12":
		return "", false
	case jetson:
		return fmt.Sprintf("nvarguscamerasrc sensor-id=%d ! video/x-raw(memory:NVMM),format=NV12%s ! nvvidconv ! video/x-raw,format=BGRx", t.index, caps) + end, true
	case t.index == 0:
		return "libcamerasrc ! video/x-raw,format=NV12" + caps + end, true
	}
	return "", false
}

// OpenCV describes the OpenCV that this build reads with: its version and those
// of its backends that are used. It is "" in a build without the tag gocv.
func OpenCV() string {
	var names []string
	for _, b := range []struct {
		name string
		api  gocv.VideoCaptureAPI
	}{{"ffmpeg", gocv.VideoCaptureFFmpeg}, {"gstreamer", gocv.VideoCaptureGstreamer}, {"v4l2", gocv.VideoCaptureV4L2}} {
		if has(b.api) {
			names = append(names, b.name)
		}
	}
	return gocv.OpenCVVersion() + ": " + strings.Join(names, ", ")
}

// has reports whether OpenCV was built with a backend.
func has(api gocv.VideoCaptureAPI) bool { return gocv.VideoRegistry.HasBackend(api) }

// cvSource reads through one backend of OpenCV.
type cvSource struct {
	name, backend string
	file          bool // ends, rather than being lost
	frames        int  // that the header promises, 0 if unknown
	rate          float64
	index         int // of the next frame
	err           error
	capture       *gocv.VideoCapture
	mat           gocv.Mat
}

// capture opens uri with one backend, and reports whether that went well. An
// OpenCV before 4.10 refuses every parameter for GStreamer.
func capture(t target, backend, uri string, api gocv.VideoCaptureAPI, params []gocv.VideoCaptureProperties) (*cvSource, bool) {
	if !has(api) {
		return nil, false
	}
	var vc *gocv.VideoCapture
	var err error
	if params == nil {
		vc, err = gocv.VideoCaptureFileWithAPI(uri, api)
	} else {
		vc, err = gocv.VideoCaptureFileWithAPIParams(uri, api, params)
	}
	if err != nil { // it says no more than uri, and with it a password
		_ = vc.Close()
		return nil, false
	}
	return &cvSource{name: t.name, backend: "opencv/" + backend, file: t.kind == videoTarget, rate: sane(vc.Get(gocv.VideoCaptureFPS)),
		capture: vc, mat: gocv.NewMat()}, true
}

// Backend says what the source is read through.
func (s *cvSource) Backend() string { return s.backend }

func (s *cvSource) Len() int { return s.frames }

// Rate is CAP_PROP_FPS.
func (s *cvSource) Rate() float64 { return s.rate }

// Read copies the frame once, from OpenCV's memory to f.
func (s *cvSource) Read(ctx context.Context, f *Frame) error {
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	switch ok := s.capture.Read(&s.mat) && !s.mat.Empty(); {
	case ok:
		s.err = s.take(f)
	case !s.file:
		s.err = fmt.Errorf("camera: %s: %s: %w: it gives no more frames", s.name, s.backend, ErrLost)
	case s.index == 0:
		s.err = fmt.Errorf("camera: %s: %s: %w: not one frame could be decoded", s.name, s.backend, ErrFormat)
	default:
		s.err = io.EOF
	}
	return s.err
}

// take makes f the frame that OpenCV holds.
func (s *cvSource) take(f *Frame) error {
	now := time.Now()
	w, h, format := s.mat.Cols(), s.mat.Rows(), BGR24
	switch s.mat.Type() {
	case gocv.MatTypeCV8UC3:
	case gocv.MatTypeCV8UC1:
		format = GRAY8
	default:
		return fmt.Errorf("camera: %s: %s: frame %d: %w: pixels of OpenCV's type %d, want one or three channels of 8 bits",
			s.name, s.backend, s.index, ErrFormat, s.mat.Type())
	}
	if err := checkSize(w, h); err != nil {
		return fmt.Errorf("camera: %s: %s: frame %d: %w", s.name, s.backend, s.index, err)
	}
	pix, err := s.mat.DataPtrUint8()
	if err != nil {
		return fmt.Errorf("camera: %s: %s: frame %d: %w: %w", s.name, s.backend, s.index, ErrFormat, err)
	}
	f.shape(w, h, format)
	copy(f.Pix, pix)
	f.Source, f.Index, f.Time = s.name, s.index, now
	if s.backend == "opencv/v4l2" {
		f.Time = now.Add(-s.age())
	}
	s.index++
	return nil
}

// age returns how long ago the driver stamped the frame, or 0 where its clock
// is not the monotonic one.
func (s *cvSource) age() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	age := time.Duration(ts.Nano()) - time.Duration(s.capture.Get(gocv.VideoCapturePosMsec)*1e6)
	if age < 0 || age > 10*time.Second {
		return 0
	}
	return age
}

// Close frees OpenCV's memory.
func (s *cvSource) Close() error {
	if s.capture == nil {
		return nil
	}
	s.err = errClosed
	err := errors.Join(s.capture.Close(), s.mat.Close())
	s.capture = nil
	return err
}

// cvFeed reads a camera or a stream. OpenCV cannot be interrupted: by feed a
// Read ends all the same.
type cvFeed struct {
	*feed
	source *cvSource
	grace  time.Duration // that Close waits for OpenCV
	once   sync.Once
}

func live(t target, o Options, s *cvSource) *cvFeed {
	next := func(f *Frame) error { return s.Read(context.Background(), f) }
	f := &cvFeed{feed: newFeed(t, s.backend, o.frame(), next, func() {}), source: s, grace: o.timeout()}
	f.rate = s.rate
	return f
}

// Close waits for the frame that OpenCV reads, and leaves the rest to a
// goroutine where that takes longer than an answer may.
func (s *cvFeed) Close() error {
	var err error
	s.once.Do(func() {
		s.end()
		free := func() error { <-s.done; return s.source.Close() }
		select {
		case <-s.done:
			err = free()
		case <-time.After(s.grace):
			go func() { _ = free() }()
		}
	})
	return err
}
