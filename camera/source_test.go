package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// copyTo copies golden files into dir.
func copyTo(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// all reads src to its end: "name index" of each frame, and "!name" of each
// *FrameError.
func all(t *testing.T, src Source) (got []string, last error) {
	t.Helper()
	var f Frame
	for range 1000 {
		err := src.Read(context.Background(), &f)
		var bad *FrameError
		switch {
		case err == nil:
			got = append(got, fmt.Sprintf("%s %d", filepath.Base(f.Source), f.Index))
		case errors.As(err, &bad):
			got = append(got, "!"+filepath.Base(bad.Source))
		default:
			return got, err
		}
	}
	t.Fatal("no end")
	return nil, nil
}

func TestOpenFolderAndGlob(t *testing.T) {
	dir := t.TempDir()
	copyTo(t, dir, "tiny_3x2.jpg", "rgb.png", "gray.png", "scene_420.jpg", "clip.avi")
	for name, text := range map[string]string{"a.jpg": "", "notes.txt": "no image", ".hidden.jpg": "x", "sub.jpg.bak": "x", "z.bmp": "BM"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "more.png"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ uri, want string }{
		{dir, "!a.jpg,gray.png 0,rgb.png 0,scene_420.jpg 0,tiny_3x2.jpg 0,!z.bmp"},
		{dir + "/", "!a.jpg,gray.png 0,rgb.png 0,scene_420.jpg 0,tiny_3x2.jpg 0,!z.bmp"},
		{filepath.Join(dir, "[rs]*"), "rgb.png 0,scene_420.jpg 0"},
		{filepath.Join(dir, "rgb.png"), "rgb.png 0"},
		{filepath.Join(dir, "clip.avi"), "clip.avi 0,clip.avi 1,clip.avi 2,clip.avi 3,clip.avi 4"},
	} {
		src, err := Open(tc.uri)
		if err != nil {
			t.Fatal(err)
		}
		got, last := all(t, src)
		if strings.Join(got, ",") != tc.want || !errors.Is(last, io.EOF) {
			t.Errorf("%s: %v, %v", tc.uri, got, last)
		}
		if n := src.(Sized).Len(); n != len(got) {
			t.Errorf("%s: Len %d, %d frames", tc.uri, n, len(got))
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
		if err := src.Read(context.Background(), new(Frame)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: read after close: %v", tc.uri, err)
		}
	}
	src, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := src.Read(ctx, new(Frame)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled read: %v", err)
	}
}

func TestFramePathsAreAsGiven(t *testing.T) {
	dir := t.TempDir()
	copyTo(t, dir, "rgb.png")
	t.Chdir(filepath.Dir(dir))
	base := "./" + filepath.Base(dir)
	src, err := Open(base)
	if err != nil {
		t.Fatal(err)
	}
	var f Frame
	if err := src.Read(context.Background(), &f); err != nil || f.Source != base+"/rgb.png" || f.Time.IsZero() {
		t.Errorf("source %q at %v, %v", f.Source, f.Time, err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, data string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	empty := filepath.Join(dir, "none")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	noVideo := ErrFormat
	if _, err := exec.LookPath("ffmpeg"); err != nil && OpenCV() == "" {
		noVideo = ErrUnsupported
	}
	for _, tc := range []struct {
		uri  string
		want error
		text string
	}{
		{"", ErrNotFound, ""},
		{filepath.Join(dir, "missing.jpg"), ErrNotFound, "missing.jpg"},
		{"tets:", ErrNotFound, "test: is a rendered scene"},
		{filepath.Join(dir, "*.gif"), ErrNotFound, "*.gif"},
		{filepath.Join(dir, "[.gif"), ErrNotFound, "pattern"},
		{empty, ErrNotFound, "no image"},
		{file("empty.jpg", ""), ErrFormat, "empty.jpg"},
		{file("text.jpg", "hello"), ErrFormat, "text.jpg"},
		{file("movie.mp4", "\x00\x00\x00\x18ftypmp42"), noVideo, "ffmpeg"},
		{file("short.avi", "RIFF\x00\x00\x00\x00AVI "), ErrFormat, "without a video stream"},
		{"v4l2src ! videoconvert ! filesink location=x", ErrNotFound, "v4l2src !"},
		{"rtspsrc location=rtsp://user:secret@host/ ! appsink", ErrNotFound, "user"},
		{"ftp://user:secret@host/stream", ErrUnsupported, "user"},
		{"http://user:sec/ret@host/stream", ErrSyntax, "user"},
	} {
		src, err := Open(tc.uri)
		if src != nil || !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
			t.Errorf("%q: %v, want %v naming %q", tc.uri, err, tc.want, tc.text)
		}
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("password shown: %v", err)
		}
	}
}

func TestNotPermitted(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	p := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(p, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(p); !errors.Is(err, ErrNotPermitted) {
		t.Error(err)
	}
}

func TestAVI(t *testing.T) {
	src, err := Open(golden + "/clip.avi")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	want := wanted(t, "clip.avi")
	var f Frame
	for i := range 5 {
		if err := src.Read(context.Background(), &f); err != nil || f.Index != i || f.Source != golden+"/clip.avi" {
			t.Fatalf("frame %d of %s: %v", f.Index, f.Source, err)
		}
		compare(t, &f, want, i*f.Height, 3)
	}
	if err := src.Read(context.Background(), &f); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func chunk(id string, data ...[]byte) []byte {
	body := bytes.Join(data, nil)
	b := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func list(id string, chunks ...[]byte) []byte {
	name := "LIST"
	if id == "AVI " || id == "AVIX" {
		name = "RIFF"
	}
	return chunk(name, append([][]byte{[]byte(id)}, chunks...)...)
}

// header makes the header list of a file with an audio stream before the video.
func header(codec string, frames uint32) []byte {
	audio := append([]byte("auds"), make([]byte, 52)...)
	video := append([]byte("vidsMJPG"), make([]byte, 48)...)
	binary.LittleEndian.PutUint32(video[32:], frames)
	format := make([]byte, 40)
	copy(format[16:], codec)
	return list("hdrl", chunk("avih", make([]byte, 56)),
		list("strl", chunk("strh", audio), chunk("strf", make([]byte, 18))),
		list("strl", chunk("strh", video), chunk("strf", format), chunk("indx", make([]byte, 24))))
}

// TestAVIShapes reads recordings as other programs write them.
func TestAVIShapes(t *testing.T) {
	jpg, err := os.ReadFile(golden + "/tiny_5x4.jpg")
	if err != nil {
		t.Fatal(err)
	}
	odd := append(bytes.Clone(jpg), 0)
	if len(odd)%2 == 0 {
		odd = odd[:len(jpg)]
	}
	pic, audio := chunk("01dc", odd), chunk("00wb", []byte("sound"))
	bad := chunk("01dc", []byte("\xff\xd8\xff garbage"))
	h := header("MJPG", 3)
	plainFile := list("AVI ", h, chunk("JUNK", make([]byte, 5)), list("movi", audio, pic, pic, pic), chunk("idx1", make([]byte, 48)))
	unfinished := bytes.Clone(plainFile)
	binary.LittleEndian.PutUint32(unfinished[4:], 0)
	for _, tc := range []struct {
		name   string
		data   []byte
		frames string
		n      int
		err    error
	}{
		{"plain", plainFile, "x 0,x 1,x 2", 3, io.EOF},
		{"lower-case codec", list("AVI ", header("mjpg", 0), list("movi", pic)), "x 0", 0, io.EOF},
		{"rec lists", list("AVI ", h, list("movi", list("rec ", audio, pic), list("rec ", pic, audio))), "x 0,x 1", 3, io.EOF},
		{"OpenDML", append(list("AVI ", h, list("movi", chunk("ix01", make([]byte, 33)), pic)), list("AVIX", list("movi", pic, pic))...), "x 0,x 1,x 2", 3, io.EOF},
		{"dropped frame", list("AVI ", h, list("movi", pic, chunk("01dc"), pic)), "x 0,x 1", 3, io.EOF},
		{"damaged frame", list("AVI ", h, list("movi", pic, bad, pic)), "x 0,!x,x 2", 3, io.EOF},
		{"other streams only", list("AVI ", h, list("movi", chunk("02dc", jpg), audio)), "", 3, io.EOF},
		{"text behind the end", append(bytes.Clone(plainFile), "trailer"...), "x 0,x 1,x 2", 3, io.EOF},
		{"unfinished", unfinished, "x 0,x 1,x 2", 3, io.EOF},
		{"cut in a frame", plainFile[:bytes.Index(plainFile, []byte("movi"))+4+len(audio)+len(pic)+70], "x 0", 3, io.ErrUnexpectedEOF},
		{"cut in a chunk header", plainFile[:bytes.Index(plainFile, []byte("movi"))+4+len(audio)+len(pic)+5], "x 0", 3, io.ErrUnexpectedEOF},
		{"cut between frames", plainFile[:bytes.Index(plainFile, []byte("movi"))+4+len(audio)+2*len(pic)], "x 0,x 1", 3, io.ErrUnexpectedEOF},
		{"cut in the index", plainFile[:len(plainFile)-9], "x 0,x 1,x 2", 3, io.ErrUnexpectedEOF},
		{"no chunk", list("AVI ", h, list("movi", pic, make([]byte, 40))), "x 0", 3, ErrFormat},
		{"absurd length", list("AVI ", header("MJPG", 1<<32-1), list("movi", pic)), "x 0", 0, io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, err := newAVI(bytes.NewReader(tc.data), int64(len(tc.data)), "x")
			if err != nil {
				t.Fatal(err)
			}
			got, last := all(t, src)
			if strings.Join(got, ",") != tc.frames || !errors.Is(last, tc.err) || src.Len() != tc.n {
				t.Errorf("%v, then %v; Len %d", got, last, src.Len())
			}
			if again := src.Read(context.Background(), new(Frame)); !errors.Is(again, tc.err) {
				t.Errorf("the end does not stay: %v", again)
			}
			if !errors.Is(tc.err, io.EOF) && !strings.Contains(last.Error(), "byte ") {
				t.Errorf("error without a place: %v", last)
			}
		})
	}
}

func TestAVIHeaderErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		data []byte
		want error
		text string
	}{
		{"other codec", list("AVI ", header("H264", 3), list("movi")), ErrFormat, "H264"},
		{"no video", list("AVI ", list("hdrl", chunk("avih", make([]byte, 56))), list("movi")), ErrFormat, "video stream"},
		{"short header", list("AVI ", list("hdrl", chunk("strh", []byte("vids")))), ErrFormat, "4 bytes"},
		{"cut header", list("AVI ", header("MJPG", 3))[:240], io.ErrUnexpectedEOF, "cut off"},
	} {
		if _, err := newAVI(bytes.NewReader(tc.data), int64(len(tc.data)), "x"); !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
			t.Errorf("%s: %v, want %v naming %q", tc.name, err, tc.want, tc.text)
		}
	}
}

func FuzzAVI(f *testing.F) {
	jpg, err := os.ReadFile(golden + "/tiny_3x2.jpg")
	if err != nil {
		f.Fatal(err)
	}
	whole := list("AVI ", header("MJPG", 2), list("movi", list("rec ", chunk("01dc", jpg)), chunk("01dc", jpg)))
	f.Add(whole)
	f.Add(whole[:len(whole)-9])
	f.Add(append(bytes.Clone(whole), list("AVIX", list("movi", chunk("01dc", jpg)))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		src, err := newAVI(bytes.NewReader(data), int64(len(data)), "x")
		if err != nil {
			return
		}
		var frame Frame
		for range len(data)/8 + 2 { // each frame takes a chunk header
			err := src.Read(context.Background(), &frame)
			var bad *FrameError
			if err != nil && !errors.As(err, &bad) {
				return
			}
		}
		t.Fatal("more frames than the file can hold")
	})
}
