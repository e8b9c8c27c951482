package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestRequests compares the numbers, and with them the sizes of the structures,
// with what a C compiler makes of linux/videodev2.h.
func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		name              string
		got, want, narrow uint32 // narrow: of systems with 32 bits and times of 32 bits
	}{
		{"QUERYCAP", reqQuerycap, 0x80685600, 0x80685600}, {"ENUM_FMT", reqEnumFmt, 0xc0405602, 0xc0405602}, {"G_FMT", reqGFmt, 0xc0d05604, 0xc0cc5604},
		{"S_FMT", reqSFmt, 0xc0d05605, 0xc0cc5605}, {"REQBUFS", reqReqbufs, 0xc0145608, 0xc0145608}, {"QUERYBUF", reqQuerybuf, 0xc0585609, 0xc0445609},
		{"QBUF", reqQbuf, 0xc058560f, 0xc044560f}, {"DQBUF", reqDqbuf, 0xc0585611, 0xc0445611}, {"STREAMON", reqStreamon, 0x40045612, 0x40045612},
		{"STREAMOFF", reqStreamoff, 0x40045613, 0x40045613}, {"S_PARM", reqSParm, 0xc0cc5616, 0xc0cc5616}, {"G_CTRL", reqGCtrl, 0xc008561b, 0xc008561b},
		{"S_CTRL", reqSCtrl, 0xc008561c, 0xc008561c}, {"QUERYCTRL", reqQueryctrl, 0xc0445624, 0xc0445624},
		{"ENUM_FRAMESIZES", reqFramesizes, 0xc02c564a, 0xc02c564a}, {"ENUM_FRAMEINTERVALS", reqIntervals, 0xc034564b, 0xc034564b},
	} {
		want := tc.want
		if strconv.IntSize == 32 {
			want = tc.narrow
		}
		if tc.got != want {
			t.Errorf("VIDIOC_%s is %#x, want %#x", tc.name, tc.got, want)
		}
	}
	var b v4l2Buffer
	var f v4l2Format
	if strconv.IntSize == 64 {
		for name, pair := range map[string][2]uintptr{"timestamp": {unsafe.Offsetof(b.timestamp), 24}, "sequence": {unsafe.Offsetof(b.sequence), 56},
			"m": {unsafe.Offsetof(b.offset), 64}, "length": {unsafe.Offsetof(b.length), 72}, "pix": {unsafe.Offsetof(f.pix), 8}} {
			if pair[0] != pair[1] {
				t.Errorf("%s lies at %d, want %d", name, pair[0], pair[1])
			}
		}
	}
}

// gadget is a device driver of the test. It answers ioctls as the kernel's
// documentation demands and as uvcvideo does.
type gadget struct {
	card    string
	driver  string
	caps    uint32
	formats []string // fourcc
	sizes   [][2]uint32
	rates   []uint32
	errs    map[uint32]error // of requests
	widen   uint32           // bytes of padding a row gets
	settle  [2]uint32        // the size that S_FMT gives, where it is not the one asked for
	pace    uint32           // frames a second that S_PARM gives, where it is not the rate asked for
	frames  []gadgetFrame

	pix      v4l2PixFormat
	interval v4l2Fract
	memory   [4][]byte
	queued   []uint32
	on       bool
	mapped   int
	closed   bool
	controls map[uint32]int32
	polls    int
}

// gadgetFrame is what one VIDIOC_DQBUF gives.
type gadgetFrame struct {
	data     []byte
	flags    uint32
	sequence uint32
	age      time.Duration
	err      error
	index    uint32 // added to the buffer's
	empty    bool   // poll reports nothing
}

var gadgetControls = []v4l2Queryctrl{
	{id: 0x980001, kind: 6, name: [32]byte{'U', 's', 'e', 'r'}}, // a class
	{id: 0x980900, kind: 1, name: [32]byte{'B', 'r', 'i', 'g', 'h', 't', 'n', 'e', 's', 's'}, minimum: -64, maximum: 64, step: 1, def: 0},
	{id: 0x98090c, kind: 2, name: [32]byte{'W', 'h', 'i', 't', 'e', ' ', 'B', '.', ',', ' ', 'A', 'u', 't', 'o'}, maximum: 1, step: 1, def: 1},
	{id: 0x98091a, kind: 1, name: [32]byte{'G', 'o', 'n', 'e'}, flags: 1},
}

func code(fourcc string) uint32 {
	return uint32(fourcc[0]) | uint32(fourcc[1])<<8 | uint32(fourcc[2])<<16 | uint32(fourcc[3])<<24
}

func (g *gadget) node() *node {
	return &node{
		ioctl: g.ioctl,
		poll: func(int) (bool, error) {
			g.polls++
			if len(g.frames) > 0 && g.frames[0].empty {
				g.frames = g.frames[1:]
				return false, nil
			}
			if len(g.frames) == 0 {
				time.Sleep(time.Millisecond)
			}
			return len(g.frames) > 0, nil
		},
		mmap: func(offset int64, length int) ([]byte, error) {
			g.mapped++
			g.memory[offset/1000] = make([]byte, length)
			return g.memory[offset/1000], nil
		},
		munmap: func([]byte) error { g.mapped--; return nil },
		close:  func() error { g.closed = true; return nil },
	}
}

func (g *gadget) ioctl(request uint32, arg unsafe.Pointer) error {
	if err := g.errs[request]; err != nil {
		return err
	}
	switch request {
	case reqQuerycap:
		c := (*v4l2Capability)(arg)
		copy(c.card[:], g.card)
		copy(c.driver[:], g.driver)
		c.capabilities, c.deviceCaps = 0xffffffff, g.caps
	case reqEnumFmt:
		d := (*v4l2Fmtdesc)(arg)
		if int(d.index) >= len(g.formats) {
			return unix.EINVAL
		}
		d.pixelformat = code(g.formats[d.index])
	case reqFramesizes:
		s := (*v4l2Frmsize)(arg)
		if int(s.index) >= len(g.sizes) {
			return unix.EINVAL
		}
		s.kind = sizeDiscrete
		copy(s.size[:], g.sizes[s.index][:])
	case reqIntervals:
		v := (*v4l2Frmival)(arg)
		if int(v.index) >= len(g.rates) {
			return unix.EINVAL
		}
		v.kind, v.interval[0] = sizeDiscrete, v4l2Fract{1, g.rates[v.index]}
	case reqSFmt:
		f := (*v4l2Format)(arg)
		if g.settle[0] > 0 {
			f.pix.width, f.pix.height = g.settle[0], g.settle[1]
		}
		step := map[uint32]uint32{code("YUYV"): 2, code("NV12"): 1, code("GREY"): 1}[f.pix.pixelformat]
		f.pix.bytesperline = f.pix.width*step + g.widen
		f.pix.sizeimage = 2 * (f.pix.width*2 + g.widen) * f.pix.height
		g.pix = f.pix
	case reqGFmt:
		(*v4l2Format)(arg).pix = g.pix
	case reqSParm:
		g.interval = (*v4l2Streamparm)(arg).interval
		if g.pace > 0 {
			(*v4l2Streamparm)(arg).interval = v4l2Fract{1, g.pace}
		}
	case reqReqbufs:
		(*v4l2Requestbuffers)(arg).count = 4
	case reqQuerybuf:
		b := (*v4l2Buffer)(arg)
		b.length = g.pix.sizeimage
		b.offset[0] = b.index * 1000
	case reqQbuf:
		g.queued = append(g.queued, (*v4l2Buffer)(arg).index)
	case reqDqbuf:
		return g.dequeue((*v4l2Buffer)(arg))
	case reqStreamon, reqStreamoff:
		g.on = request == reqStreamon
	default:
		return g.control(request, arg)
	}
	return nil
}

func (g *gadget) dequeue(b *v4l2Buffer) error {
	if len(g.frames) == 0 || len(g.queued) == 0 || !g.on {
		return unix.EAGAIN
	}
	f := g.frames[0]
	g.frames = g.frames[1:]
	if f.err != nil {
		return f.err
	}
	b.index = g.queued[0] + f.index
	copy(g.memory[g.queued[0]], f.data)
	g.queued = g.queued[1:]
	b.bytesused, b.flags, b.sequence = uint32(len(f.data)), f.flags, f.sequence
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return err
	}
	b.timestamp = unix.NsecToTimeval(ts.Nano() - int64(f.age))
	return nil
}

func (g *gadget) control(request uint32, arg unsafe.Pointer) error {
	switch request {
	case reqQueryctrl:
		q := (*v4l2Queryctrl)(arg)
		for _, c := range gadgetControls {
			if c.id > q.id&^uint32(nextControl) {
				*q = c
				return nil
			}
		}
	case reqGCtrl:
		c := (*v4l2Control)(arg)
		c.value = g.controls[c.id]
		return nil
	case reqSCtrl:
		c := (*v4l2Control)(arg)
		g.controls[c.id] = c.value
		return nil
	}
	return unix.EINVAL
}

func newGadget() *gadget {
	return &gadget{card: "Test Cam", driver: "uvcvideo", caps: capCapture | capStreaming, formats: []string{"H264", "MJPG", "YUYV", "NV12", "GREY"},
		sizes: [][2]uint32{{4, 2}, {8, 2}}, rates: []uint32{30, 15}, errs: map[uint32]error{}, controls: map[uint32]int32{}}
}

// start opens the gadget as uri asks for.
func (g *gadget) start(t *testing.T, uri string) (Source, error) {
	t.Helper()
	target, err := parseTarget(uri)
	if err != nil {
		t.Fatal(err)
	}
	return startDevice(target, Options{Timeout: 200 * time.Millisecond}, g.node())
}

func bytesFrom(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func TestV4L2Frames(t *testing.T) {
	for _, tc := range []struct {
		uri    string
		widen  uint32
		format Format
		size   int
	}{
		{"0?size=4x2", 0, YUYV, 16}, {"0?size=4x2", 5, YUYV, 16}, {"0?size=4x2&format=NV12", 0, NV12, 12}, {"0?size=4x2&format=NV12", 4, NV12, 12},
		{"0?size=4x2&format=GRAY8", 3, GRAY8, 8},
	} {
		g := newGadget()
		g.widen = tc.widen
		src, err := g.start(t, tc.uri)
		if err != nil {
			t.Fatal(err)
		}
		stride := g.pix.bytesperline
		want := bytesFrom(7, tc.size)
		row, rows := tc.format.row(4, 2)
		padded := make([]byte, rows*int(stride))
		for y := range rows {
			copy(padded[y*int(stride):], want[y*row:(y+1)*row])
		}
		g.frames = []gadgetFrame{{data: padded, sequence: 5, flags: flagMonotonic, age: time.Second}, {empty: true}, {data: padded, sequence: 6}, {data: padded, sequence: 9}}
		var f Frame
		for i, index := range []int{0, 1, 4} { // two frames were lost in the driver
			if err := src.Read(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
			age := time.Since(f.Time)
			if !bytes.Equal(f.Pix, want) || f.Format != tc.format || f.Width != 4 || f.Height != 2 || f.Index != index || f.Source != tc.uri || f.Check() != nil {
				t.Errorf("%s: %+v", tc.uri, f)
			}
			if i == 0 && (age < time.Second || age > time.Minute) || i > 0 && age > time.Minute {
				t.Errorf("%s: frame %d is %v old", tc.uri, i, age)
			}
		}
		if !g.on || g.mapped != 4 || len(g.queued) != 4 || g.interval != (v4l2Fract{1000, 30000}) || Backend(src) != "v4l2" {
			t.Errorf("%s: on %v, %d mapped, %v queued, interval %v", tc.uri, g.on, g.mapped, g.queued, g.interval)
		}
		if err := src.Close(); err != nil || g.on || g.mapped != 0 || !g.closed {
			t.Errorf("%s: closed with %v: on %v, %d mapped, closed %v", tc.uri, err, g.on, g.mapped, g.closed)
		}
		if err := src.Read(context.Background(), &f); !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	}
}

// TestV4L2Rate believes the driver, not what it was asked for.
func TestV4L2Rate(t *testing.T) {
	for _, tc := range []struct {
		change func(*gadget)
		want   float64
	}{
		{func(*gadget) {}, 15}, {func(g *gadget) { g.pace = 12 }, 12}, {func(g *gadget) { g.errs[reqSParm] = unix.ENOTTY }, 0}, {func(g *gadget) { g.rates = nil }, 0},
	} {
		g := newGadget()
		tc.change(g)
		if got := opened(t)(g.start(t, "0?rate=15")).(Rated).Rate(); got != tc.want {
			t.Errorf("%v, want %v", got, tc.want)
		}
	}
}

func TestV4L2Pictures(t *testing.T) {
	a, b := jpegs(t)
	g := newGadget()
	g.settle = [2]uint32{640, 480} // room for the pictures
	g.sizes = [][2]uint32{{640, 480}}
	src := opened(t)(g.start(t, "0?format=MJPEG"))
	g.frames = []gadgetFrame{{data: a}, {data: []byte("\xff\xd8\xff no"), sequence: 1}, {data: nil, sequence: 2}, {data: b, sequence: 3}}
	if got, err := sizes(src); got != "3x2@0 ! ! 5x4@3" || !errors.Is(err, ErrLost) {
		t.Errorf("%s, %v", got, err)
	}
}

// TestV4L2BadFrames loses one frame of many without an end.
func TestV4L2BadFrames(t *testing.T) {
	g := newGadget()
	src := opened(t)(g.start(t, "0?size=4x2&format=YUYV"))
	whole := bytesFrom(0, 16)
	g.frames = []gadgetFrame{{data: whole}, {data: whole[:9]}, {data: whole, flags: flagError}, {err: unix.EAGAIN}, {data: whole}}
	if got, err := sizes(src); got != "4x2@0 ! ! 4x2@3" || !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "no frame for 200ms") {
		t.Errorf("%s, %v", got, err)
	}
}

func TestV4L2Ends(t *testing.T) {
	whole := bytesFrom(0, 16)
	for _, tc := range []struct {
		name   string
		change func(*gadget)
		text   string
	}{
		{"unplugged", func(g *gadget) { g.frames = append(g.frames, gadgetFrame{err: unix.ENODEV}) }, "unplugged"},
		{"fails", func(g *gadget) { g.frames = append(g.frames, gadgetFrame{err: unix.EIO}) }, "input/output error"},
		{"stalls", func(*gadget) {}, "no frame for 200ms"},
		{"stalls with errors", func(g *gadget) { g.frames = slices.Repeat([]gadgetFrame{{err: unix.EAGAIN}}, 9) }, "no frame for 200ms"},
		{"takes no buffer back", func(g *gadget) {
			g.frames, g.errs[reqQbuf] = append(g.frames, gadgetFrame{data: whole}), unix.ENODEV
		}, "VIDIOC_QBUF"},
		{"changes its size", func(g *gadget) {
			g.frames, g.pix.width = append(g.frames, gadgetFrame{data: whole[:8]}), 2
		}, "from 4x2 to 2x2"},
		{"gives a buffer that is none", func(g *gadget) { g.frames = append(g.frames, gadgetFrame{data: whole, index: 9}) }, "of 4"},
	} {
		g := newGadget()
		src := opened(t)(g.start(t, "0?size=4x2"))
		g.frames = []gadgetFrame{{data: whole}}
		if err := src.Read(context.Background(), new(Frame)); err != nil {
			t.Fatal(err)
		}
		tc.change(g)
		for range 2 {
			if err := src.Read(context.Background(), new(Frame)); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: %v", tc.name, err)
			}
		}
	}
}

// TestV4L2ComesBack pulls a camera's plug, and puts it in again later.
func TestV4L2ComesBack(t *testing.T) {
	n := 0
	l := NewLive(func() (Source, error) {
		n++
		if n == 2 || n == 3 {
			return Open("/dev/v4l/by-id/usb-None")
		}
		g := newGadget()
		src, err := g.start(t, "0?size=4x2")
		g.frames = []gadgetFrame{{data: bytesFrom(0, 16)}, {data: bytesFrom(1, 16)}, {err: unix.ENODEV}}
		return src, err
	}, LiveConfig{MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond, Retries: 3})
	defer shut(t, l)
	var f Frame
	for last := -1; l.Stats().Reconnects < 2; last = f.Index {
		if err := l.Read(context.Background(), &f); err != nil || f.Index <= last {
			t.Fatalf("frame %d after %d: %v", f.Index, last, err)
		}
	}
	if s := l.Stats(); !errors.Is(s.LastError, ErrLost) || l.Backend() != "v4l2" {
		t.Errorf("%+v of %s", s, l.Backend())
	}
}

func TestV4L2OpenErrors(t *testing.T) {
	for _, tc := range []struct {
		name, uri string
		change    func(*gadget)
		want      error
		text      string
	}{
		{"busy", "0", func(g *gadget) { g.errs[reqSFmt] = unix.EBUSY }, ErrBusy, "fuser -v /dev/video0"},
		{"busy at the start", "0", func(g *gadget) { g.errs[reqStreamon] = unix.EBUSY }, ErrBusy, "fuser"},
		{"busy buffers", "0", func(g *gadget) { g.errs[reqReqbufs] = unix.EBUSY }, ErrBusy, "fuser"},
		{"no bandwidth", "0", func(g *gadget) { g.errs[reqStreamon] = unix.ENOSPC }, ErrBusy, "USB"},
		{"no video device", "0", func(g *gadget) { g.errs[reqQuerycap] = unix.ENOTTY }, ErrUnsupported, "not a video device"},
		{"unplugged", "0", func(g *gadget) { g.errs[reqStreamon] = unix.ENODEV }, ErrNotFound, "edgecam cameras"},
		{"metadata", "1", func(g *gadget) { g.caps = 0x04a00000 }, ErrUnsupported, "without pictures"},
		{"planes", "0", func(g *gadget) { g.caps = capMPlane | capStreaming }, ErrUnsupported, "csi:0"},
		{"converter", "10", func(g *gadget) { g.driver = "bcm2835-isp" }, ErrUnsupported, "converter"},
		{"memory to memory", "10", func(g *gadget) { g.caps |= capM2M }, ErrUnsupported, "converter"},
		{"read only by read", "0", func(g *gadget) { g.caps = capCapture }, ErrUnsupported, "streaming"},
		{"Bayer", "0", func(g *gadget) { g.formats = []string{"pRAA"} }, ErrUnsupported, "csi:0"},
		{"size", "0?size=9x9", func(*gadget) {}, ErrUnsupported, "4x2, 8x2"},
		{"another size", "0?size=4x2", func(g *gadget) { g.settle = [2]uint32{8, 2} }, ErrUnsupported, "8x2 for 4x2"},
		{"control", "0?control.zoom=1", func(*gadget) {}, ErrUnsupported, "no such control"},
		{"control's limit", "0?control.brightness=65", func(*gadget) {}, ErrUnsupported, "-64 to 64"},
		{"control's error", "0?control.brightness=1", func(g *gadget) { g.errs[reqSCtrl] = unix.EIO }, ErrUnsupported, "control.brightness=1"},
	} {
		g := newGadget()
		tc.change(g)
		src, err := g.start(t, tc.uri)
		if src != nil || !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
			t.Errorf("%s: %v, want %v naming %q", tc.name, err, tc.want, tc.text)
		}
		if g.mapped != 0 || !g.closed || g.on {
			t.Errorf("%s: %d mapped, closed %v, on %v", tc.name, g.mapped, g.closed, g.on)
		}
	}
	for err, want := range map[error]error{unix.EACCES: ErrNotPermitted, unix.EPERM: ErrNotPermitted, unix.ENOENT: ErrNotFound, unix.ENXIO: ErrNotFound, unix.EIO: ErrLost} {
		if got := deviceError("0", "/dev/video0", "open", err); !errors.Is(got, want) {
			t.Errorf("%v: %v", err, got)
		}
	}
	if err := deviceError("0", "/dev/video0", "open", unix.EACCES); !strings.Contains(err.Error(), "usermod -aG video") {
		t.Error(err)
	}
	if err := deviceError("0", "/dev/video0", "open", unix.EPERM); !strings.Contains(err.Error(), "--device /dev/video0") {
		t.Error(err)
	}
	for uri, want := range map[string]error{"250": ErrNotFound, "/dev/v4l/by-id/usb-None": ErrNotFound, "/dev/null": ErrUnsupported, "v4l2:/etc/passwd": ErrUnsupported} {
		if _, err := Open(uri); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", uri, err, want)
		}
	}
}

func TestV4L2Controls(t *testing.T) {
	g := newGadget()
	opened(t)(g.start(t, "0?control.brightness=-12&control.white_b_auto=0"))
	if d := cmp.Diff(map[uint32]int32{0x980900: -12, 0x98090c: 0}, g.controls); d != "" {
		t.Error(d)
	}
	d := Device{}
	if !d.inspect(g.node()) {
		t.Fatal("no camera")
	}
	want := Device{Name: "Test Cam", Controls: []Control{{Name: "brightness", Min: -64, Max: 64, Step: 1, Value: -12}, {Name: "white_b_auto", Max: 1, Step: 1, Default: 1}}}
	for _, f := range []string{"MJPEG", "YUYV", "NV12", "GRAY8"} {
		want.Modes = append(want.Modes, Mode{Format: f, Width: 4, Height: 2, Rates: []float64{30, 15}}, Mode{Format: f, Width: 8, Height: 2, Rates: []float64{30, 15}})
	}
	if d := cmp.Diff(want, d); d != "" {
		t.Error(d)
	}
}

// TestV4L2Close ends a Read that waits.
func TestV4L2Close(t *testing.T) {
	g := newGadget()
	target, err := parseTarget("0")
	if err != nil {
		t.Fatal(err)
	}
	src, err := startDevice(target, Options{Timeout: time.Hour}, g.node())
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() { read <- src.Read(context.Background(), new(Frame)) }()
	time.Sleep(5 * time.Millisecond)
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	src = opened(t)(newGadget().start(t, "0"))
	if err := src.Read(ctx, new(Frame)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestV4L2AllocatesNothing(t *testing.T) {
	g := newGadget()
	src := opened(t)(g.start(t, "0?size=4x2"))
	g.frames = slices.Repeat([]gadgetFrame{{data: bytesFrom(0, 16), flags: flagMonotonic}}, 200)
	var f Frame
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		if err := src.Read(ctx, &f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestListDevices(t *testing.T) {
	dev := t.TempDir()
	for _, name := range []string{"video10", "video2", "video", "videotape"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ids := filepath.Join(dev, "v4l", "by-id")
	if err := os.MkdirAll(ids, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../video10", filepath.Join(ids, "usb-Cam-index0")); err != nil {
		t.Fatal(err)
	}
	list, err := listDevices(dev)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	// They are files, so that is what is said; the first is named by its path.
	if list[0].Source != filepath.Join(dev, "video2") || list[1].Source != filepath.Join(ids, "usb-Cam-index0") || list[1].Path != filepath.Join(dev, "video10") ||
		!errors.Is(list[0].Err, ErrUnsupported) {
		t.Errorf("%+v", list)
	}
}

// TestRealDevice reads from a camera where one is connected.
func TestRealDevice(t *testing.T) {
	list, err := List()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(d Device) bool { return d.Backend == "v4l2" && d.Err == nil })
	if i < 0 {
		t.Skip("no V4L2 camera is connected, and the kernel module vivid, which would make one, is not loaded: `sudo modprobe vivid`")
	}
	src, err := Open("v4l2:" + list[i].Path)
	if errors.Is(err, ErrBusy) {
		t.Skipf("%v", err)
	}
	src = opened(t)(src, err)
	var f Frame
	for range 3 {
		if err := src.Read(context.Background(), &f); err != nil || f.Check() != nil {
			t.Fatalf("%v, %v", err, f.Check())
		}
	}
}
