package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// still makes a picture whose colour tells its number.
func still(w, h, n int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = byte(40+20*n), byte(i/4%w*255/w), byte(200-20*n), 255
	}
	return img
}

// writeClip writes n frames to path, the middle one compressed beforehand, and
// closes the video if told to.
func writeClip(t *testing.T, path string, w, h, n int, rate float64, end bool) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := NewAVIWriter(f, w, h, rate)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := a.Write(still(w, h, i)); err != nil {
			t.Fatal(err)
		}
	}
	if end {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if err := a.Write(still(w, h, 0)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
	}
}

// readClip demands n frames of the colours of still.
func readClip(t *testing.T, path string, w, h, n int) (Source, error) {
	t.Helper()
	src, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	var f Frame
	for i := range n {
		if err := src.Read(context.Background(), &f); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if f.Width != w || f.Height != h || f.Index != i {
			t.Fatalf("frame %d: %dx%d, index %d", i, f.Width, f.Height, f.Index)
		}
		p := f.Pix[h/2*f.Stride+3*(w/2):]
		if d := int(p[0]) - (40 + 20*i); max(d, -d) > 12 {
			t.Errorf("frame %d: red %d, want %d", i, p[0], 40+20*i)
		}
	}
	return src, src.Read(context.Background(), &f)
}

func TestAVIWriter(t *testing.T) {
	for _, c := range []struct {
		w, h, n int
		rate    float64
	}{{48, 32, 5, 25}, {33, 17, 7, 29.97}, {16, 16, 0, 1}} {
		t.Run(fmt.Sprintf("%dx%d", c.w, c.h), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "clip.avi")
			writeClip(t, path, c.w, c.h, c.n, c.rate, true)
			src, err := readClip(t, path, c.w, c.h, c.n)
			if !errors.Is(err, io.EOF) {
				t.Errorf("after the last frame: %v", err)
			}
			if s, ok := src.(Sized); !ok || s.Len() != c.n {
				t.Errorf("the header says %d frames", s.Len())
			}
			checkRIFF(t, path, c.n)
		})
	}
}

// checkRIFF walks the file: every size must lead to the next chunk, and every
// entry of the index to a frame.
func checkRIFF(t *testing.T, path string, frames int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if string(data[:4]) != "RIFF" || int(le.Uint32(data[4:])) != len(data)-8 {
		t.Fatalf("RIFF of %d bytes in a file of %d", le.Uint32(data[4:]), len(data))
	}
	var seen []string
	movi := 0
	var index []byte
	var walk func(at, end int)
	walk = func(at, end int) {
		for at < end {
			id, n := string(data[at:at+4]), int(le.Uint32(data[at+4:]))
			seen = append(seen, id)
			if at+8+n > end {
				t.Fatalf("%s at byte %d ends behind its list", id, at)
			}
			switch id {
			case "LIST":
				if string(data[at+8:at+12]) == "movi" {
					movi = at + 8
				}
				walk(at+12, at+8+n)
			case "idx1":
				index = data[at+8 : at+8+n]
			}
			at += 8 + n + n&1
		}
	}
	walk(12, len(data))
	if len(seen) != 6+frames+1 || len(index) != 16*frames {
		t.Fatalf("chunks %v, index of %d bytes", seen, len(index))
	}
	for ; len(index) > 0; index = index[16:] {
		at := movi + int(le.Uint32(index[8:]))
		if string(data[at:at+4]) != "00dc" || le.Uint32(data[at+4:]) != le.Uint32(index[12:]) {
			t.Errorf("entry %v leads to %q", index[:16], data[at:at+4])
		}
	}
}

// A program that dies leaves every frame that was written.
func TestAVIWriterWithoutClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clip.avi")
	writeClip(t, path, 48, 32, 4, 10, false)
	if _, err := readClip(t, path, 48, 32, 4); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readClip(t, path, 48, 32, 3); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a frame cut in half: %v", err)
	}
}

// A video may begin in the middle of a file.
func TestAVIWriterAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "two")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("before"); err != nil {
		t.Fatal(err)
	}
	a, err := NewAVIWriter(f, 16, 8, 5)
	if err != nil {
		t.Fatal(err)
	}
	jpg, err := os.ReadFile(golden + "/tiny_5x4.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.WriteJPEG(jpg); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("behind"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data, found := bytes.CutSuffix(data, []byte("behind"))
	if !found || !bytes.HasPrefix(data, []byte("before")) || !bytes.Contains(data, jpg) {
		t.Fatal("what stood around the video is damaged")
	}
	if err := os.WriteFile(path, data[6:], 0o600); err != nil {
		t.Fatal(err)
	}
	checkRIFF(t, path, 1)
}

// full fails once it holds n bytes.
type full struct{ n, at int64 }

func (f *full) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		f.at = offset
	}
	return f.at, nil
}

func (f *full) Write(b []byte) (int, error) {
	if f.at+int64(len(b)) > f.n {
		return 0, fs.ErrInvalid
	}
	f.at += int64(len(b))
	return len(b), nil
}

func TestAVIWriterErrors(t *testing.T) {
	for _, c := range []struct {
		w, h int
		rate float64
	}{{0, 8, 5}, {8, -1, 5}, {70000, 8, 5}, {60000, 60000, 5}, {8, 8, 0}, {8, 8, 1e9}} {
		if _, err := NewAVIWriter(&full{n: 1 << 20}, c.w, c.h, c.rate); err == nil {
			t.Errorf("%v passes", c)
		}
	}
	if _, err := NewAVIWriter(&full{n: 100}, 8, 8, 5); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a full disk: %v", err)
	}
	a, err := NewAVIWriter(&full{n: 1 << 40}, 16, 8, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(image.NewUniform(color.Black)); err == nil {
		t.Error("a picture without end passes")
	}
	if err := a.Write(still(8, 16, 0)); err == nil {
		t.Error("a picture of another size passes")
	}
	if err := a.WriteJPEG([]byte("GIF89a")); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	big := append([]byte{0xff, 0xd8, 0xff}, make([]byte, 1<<24)...)
	n := 0
	for err == nil && n < 1000 {
		if err = a.WriteJPEG(big); err == nil {
			n++
		}
	}
	if !errors.Is(err, ErrTooLarge) || n != 127 {
		t.Errorf("%d frames of 16 MiB, then %v", n, err)
	}
	if err := a.Write(still(16, 8, 0)); err != nil {
		t.Errorf("a small frame behind: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	a, err = NewAVIWriter(&full{n: 300}, 16, 8, 5)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the failure is final
		if err := a.Write(still(16, 8, 0)); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("a full disk: %v", err)
		}
	}
	if err := a.Close(); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Close on a full disk: %v", err)
	}
}

func TestAVIWriterQuality(t *testing.T) {
	var sizes []int64
	for _, q := range []int{30, 90} {
		f := &full{n: 1 << 30}
		a, err := NewAVIWriter(f, 64, 48, 5)
		if err != nil {
			t.Fatal(err)
		}
		a.Quality = q
		if err := a.Write(still(64, 48, 3)); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, f.at)
	}
	if sizes[0] >= sizes[1] {
		t.Errorf("%d bytes at 30, %d at 90", sizes[0], sizes[1])
	}
}
