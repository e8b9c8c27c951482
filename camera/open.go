package camera

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options say how a source is opened. The zero value is good.
type Options struct {
	// Timeout is how long a live source may take to answer before Open fails with
	// ErrLost. A camera, and a stream that is decoded by FFmpeg, has five times as
	// long for its first frame: the one has to start, the other to wait for a key
	// frame. 0 is 2 seconds.
	Timeout time.Duration
	// FrameTimeout is how long a live source may take from one frame to the next
	// before Read fails with ErrLost; the first one has that long too, where it is
	// more than Timeout allows. A camera that sends a picture every hour needs more
	// than an hour. 0 is as long as Timeout.
	FrameTimeout time.Duration
}

func (o Options) timeout() time.Duration {
	if o.Timeout <= 0 {
		return 2 * time.Second
	}
	return o.Timeout
}

// frame returns the time from one frame to the next.
func (o Options) frame() time.Duration {
	if o.FrameTimeout <= 0 {
		return o.timeout()
	}
	return o.FrameTimeout
}

// firstFrame returns the time that a source has which has to start or to wait
// for a key frame.
func (o Options) firstFrame() time.Duration { return max(5*o.timeout(), o.frame()) }

// IsLive reports whether uri, as Open takes it, names a camera or a stream: it
// goes on whether it is read or not, so it is for [OpenLive]. It is false for
// files, folders, globs and test:, of which no frame is lost, and for what Open
// refuses by its spelling. Nothing is opened.
func IsLive(uri string) bool {
	if info, err := os.Stat(uri); err == nil && (info.IsDir() || info.Mode().IsRegular()) {
		return false
	}
	t, err := parseTarget(uri)
	return err == nil && (t.kind == deviceTarget || t.kind == csiTarget || t.kind == streamTarget)
}

// Open opens what uri names with default options. See [Options.Open].
func Open(uri string) (Source, error) { return Options{}.Open(uri) }

// Open opens what uri names: an image, a folder (its images sorted by name,
// not those of folders inside it), a video file, a glob pattern of images, or
//
//	0                       the first camera of the system, as /dev/video0
//	/dev/v4l/by-id/...      a camera by its name, which stays over a restart
//	csi:0                   a Raspberry Pi's camera connector
//	http://host/video       Motion JPEG, or whatever FFmpeg reads
//	rtsp://user:pw@host/ch1 an IP camera
//	test:                   a rendered scene, see TestScene
//
// A camera takes ?size=640x480&rate=30&format=MJPEG behind it, test: takes size,
// rate and frames. A name that exists in the file system is taken for that, and
// what is neither that nor spelled like one of these is a file that does not
// exist: nothing is ever handed on as a command or a pipeline.
//
// It fails at once where nothing can ever be read; an image of a folder that
// turns out to be damaged is a *FrameError from Read.
func (o Options) Open(uri string) (Source, error) {
	info, err := os.Stat(uri)
	switch {
	case err == nil && info.IsDir():
		return openFolder(uri)
	case err == nil && info.Mode().IsRegular():
		return o.openFile(uri, info.Size())
	}
	t, bad := parseTarget(uri)
	switch {
	case bad != nil:
		return nil, bad
	case t.kind != noTarget:
		return o.openLive(t)
	case err == nil:
		return nil, fmt.Errorf("camera: %s: %w: neither a file nor a folder", t.name, ErrUnsupported)
	case strings.ContainsAny(uri, "*?["):
		return openGlob(uri)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; if it is not meant as a file: cameras are written 0, /dev/video0 or csi:0, streams http://... or rtsp://..., and test: is a rendered scene",
			pathError(t.name, err))
	}
	return nil, pathError(t.name, err)
}

// openLive opens a camera, a stream or the scene.
func (o Options) openLive(t target) (Source, error) {
	if t.kind == sceneTarget {
		return openScene(t)
	}
	if strings.HasPrefix(t.uri, "http") {
		return o.openHTTP(t)
	}
	return o.openDecoder(t)
}

// openDecoder opens what OpenCV opens in a build with it, and what else is
// opened through the operating system or another program.
func (o Options) openDecoder(t target) (Source, error) {
	if src, ok, err := openCV(t, o); ok {
		return src, err
	}
	switch t.kind {
	case deviceTarget:
		return openDevice(t, o)
	case csiTarget:
		return openCSI(t, o)
	}
	return openFFmpeg(t, o)
}

func (o Options) openFile(path string, size int64) (Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	var head [12]byte
	n, err := f.ReadAt(head[:], 0)
	if n == 0 && err != nil {
		f.Close()
		if size == 0 {
			return nil, fmt.Errorf("camera: %s: %w: the file is empty", path, ErrFormat)
		}
		return nil, pathError(path, err)
	}
	if n == len(head) && string(head[:4]) == "RIFF" && string(head[8:]) == "AVI " {
		a, err := newAVI(f, size, path)
		if err == nil {
			a.closer = f
			return a, nil
		}
		f.Close()
		if !errors.Is(err, errCodec) {
			return nil, err
		}
		return o.openVideo(path, err)
	}
	f.Close()
	switch {
	case sniff(head[:n]) != unknownKind:
		return &images{paths: []string{path}}, nil
	case isVideo(head[:n]):
		return o.openVideo(path, nil)
	}
	return nil, fmt.Errorf("camera: %s: %w: no image and no video that is known; `ffmpeg -i IN -c:v mjpeg -q:v 3 -an out.avi` converts a video", path, ErrFormat)
}

// openVideo leaves a video to a decoder for it. other is what to say where
// there is none.
func (o Options) openVideo(path string, other error) (Source, error) {
	src, err := o.openDecoder(target{kind: videoTarget, name: path, path: path, index: -1})
	if other != nil && errors.Is(err, ErrUnsupported) {
		return nil, other
	}
	return src, err
}

// isVideo reports whether a file begins like a video of a usual kind. What does
// not is never given to a decoder: some read text files as lists of others.
func isVideo(head []byte) bool {
	if len(head) < 12 {
		return false
	}
	switch string(head[4:8]) {
	case "ftyp", "moov", "mdat", "wide", "free", "skip": // MP4, QuickTime
		return true
	}
	for _, magic := range []string{"\x1a\x45\xdf\xa3", "\x00\x00\x01\xba", "\x00\x00\x01\xb3", "\x00\x00\x00\x01", "\x00\x00\x01\x67", "FLV\x01",
		"OggS", "\x30\x26\xb2\x75", "G@\x00", "G@\x11", "YUV4MPEG2 ", "DKIF"} { // Matroska, MPEG, H.264, FLV, Ogg, ASF, MPEG-TS, Y4M, IVF
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// openFolder lists the images of a folder. Paths keep the folder as the caller
// spelled it.
func openFolder(dir string) (Source, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, pathError(dir, err)
	}
	prefix := dir
	if !os.IsPathSeparator(dir[len(dir)-1]) {
		prefix += string(os.PathSeparator)
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && isImageName(e.Name()) {
			paths = append(paths, prefix+e.Name())
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("camera: %s: %w: the folder holds no image (%s)", dir, ErrNotFound, imageNames)
	}
	return &images{paths: paths}, nil
}

func openGlob(pattern string) (Source, error) {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("camera: %s: %w: %w; a name with one of *?[\\ in it needs a \\ before that", redactURI(pattern), ErrNotFound, err)
	}
	var paths []string
	for _, m := range matches {
		if isImageName(m) {
			paths = append(paths, m)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("camera: %s: %w: no image (%s) matches", redactURI(pattern), ErrNotFound, imageNames)
	}
	return &images{paths: paths}, nil
}

// pathError gives an error of the file system its place and its sentinel.
func pathError(path string, err error) error {
	return fmt.Errorf("camera: %s: %w", path, fileError(err))
}
