package camera

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fourcc gives the formats that are read the code of V4L2; the second one of
// MJPEG is what some drivers call it.
var fourcc = []struct {
	format string
	code   uint32
}{
	{"YUYV", 'Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24}, {"NV12", 'N' | 'V'<<8 | '1'<<16 | '2'<<24}, {"GRAY8", 'G' | 'R'<<8 | 'E'<<16 | 'Y'<<24},
	{"MJPEG", 'M' | 'J'<<8 | 'P'<<16 | 'G'<<24}, {"MJPEG", 'J' | 'P'<<8 | 'E'<<16 | 'G'<<24},
}

// v4l2 reads a capture device in buffers that the driver shares.
//
// The API: "Video for Linux API" of the kernel's documentation, in single-planar
// streaming I/O.
type v4l2 struct {
	name    string
	node    *node
	first   time.Duration // that it has to start
	timeout time.Duration // for each frame
	rate    float64       // frames a second, 0 if unknown
	closing atomic.Bool
	mu      sync.Mutex // held by Read, so that Close takes the buffers away only between two
	pix     v4l2PixFormat
	format  Format
	memory  [][]byte
	buf     v4l2Buffer
	last    uint32 // number of the last frame, as the driver counts
	index   int
	waiting time.Time // since when a Read waits, zero if none does
	raw     Frame
	err     error
}

// openDevice opens a V4L2 device and starts it.
func openDevice(t target, o Options) (Source, error) {
	n, err := openNode(t.path)
	if err != nil {
		return nil, deviceError(t.name, t.path, "open", err)
	}
	return startDevice(t, o, n)
}

func startDevice(t target, o Options, n *node) (Source, error) {
	d := &v4l2{name: t.name, node: n, first: o.firstFrame(), timeout: o.frame(), index: -1}
	if err := d.start(t); err != nil {
		_ = d.release() // err is what matters
		return nil, err
	}
	return d, nil
}

func (d *v4l2) start(t target) error {
	caps, err := d.node.capability()
	if err != nil {
		return deviceError(t.name, t.path, "VIDIOC_QUERYCAP", err)
	}
	if why := caps.unfit(); why != "" {
		return fmt.Errorf("camera: %s: v4l2: %w: it is %s; `edgecam cameras` lists what can be opened", t.name, ErrUnsupported, why)
	}
	modes, codes := d.node.modes(t.width, t.height)
	c, err := choose(t, modes)
	if err != nil {
		return err
	}
	if err := d.set(t, c, codes[c.format]); err != nil {
		return err
	}
	for _, v := range t.controls {
		if err := d.node.setControl(v); err != nil {
			return fmt.Errorf("camera: %s: v4l2: control.%s=%d: %w: %w; `edgecam cameras` lists the controls and their limits", t.name, v.name, v.value, ErrUnsupported, err)
		}
	}
	if err := d.share(); err != nil {
		return deviceError(t.name, t.path, "buffers", err)
	}
	kind := uint32(typeCapture)
	if err := d.node.ioctl(reqStreamon, unsafe.Pointer(&kind)); err != nil {
		return deviceError(t.name, t.path, "VIDIOC_STREAMON", err)
	}
	return nil
}

// set sets format, size and rate and takes note of what the driver makes of it.
func (d *v4l2) set(t target, c choice, code uint32) error {
	f := v4l2Format{kind: typeCapture, pix: v4l2PixFormat{width: uint32(c.width), height: uint32(c.height), pixelformat: code}}
	if err := d.node.ioctl(reqSFmt, unsafe.Pointer(&f)); err != nil {
		return deviceError(t.name, t.path, "VIDIOC_S_FMT", err)
	}
	d.pix = f.pix
	d.format = map[string]Format{"YUYV": YUYV, "NV12": NV12, "GRAY8": GRAY8, "MJPEG": mjpeg}[c.format]
	w, h := int(f.pix.width), int(f.pix.height)
	if f.pix.pixelformat != code || w < 1 || h < 1 || w > 1<<15 || h > 1<<15 || t.width > 0 && (w != c.width || h != c.height) {
		return fmt.Errorf("camera: %s: v4l2: %w: the driver gives %dx%d for %dx%d in %s; leave size and format out, or take another one",
			t.name, ErrUnsupported, w, h, c.width, c.height, c.format)
	}
	if row, _ := d.format.row(w, h); int(f.pix.bytesperline) < row {
		d.pix.bytesperline = uint32(row) // drivers leave it 0
	}
	if c.rate > 0 {
		// Devices without a settable rate refuse this, and go on with their own.
		p := v4l2Streamparm{kind: typeCapture, interval: v4l2Fract{1000, uint32(c.rate*1000 + 0.5)}}
		if d.node.ioctl(reqSParm, unsafe.Pointer(&p)) == nil {
			d.rate = sane(p.interval.rate())
		}
	}
	return nil
}

// share maps the driver's buffers and queues them.
func (d *v4l2) share() error {
	r := v4l2Requestbuffers{count: 4, kind: typeCapture, memory: memoryMmap}
	if err := d.node.ioctl(reqReqbufs, unsafe.Pointer(&r)); err != nil {
		return err
	}
	if r.count < 1 || r.count > 64 {
		return fmt.Errorf("the driver gives %d buffers", r.count)
	}
	for i := range r.count {
		d.buf = v4l2Buffer{index: i, kind: typeCapture, memory: memoryMmap}
		if err := d.node.ioctl(reqQuerybuf, unsafe.Pointer(&d.buf)); err != nil {
			return err
		}
		memory, err := d.node.mmap(int64(d.buf.offset[0]), int(d.buf.length))
		if err != nil {
			return err
		}
		d.memory = append(d.memory, memory)
		if err := d.queue(i); err != nil {
			return err
		}
	}
	return nil
}

func (d *v4l2) queue(index uint32) error {
	d.buf = v4l2Buffer{index: index, kind: typeCapture, memory: memoryMmap}
	return d.node.ioctl(reqQbuf, unsafe.Pointer(&d.buf))
}

// Backend says v4l2.
func (d *v4l2) Backend() string { return "v4l2" }

// Rate is what the driver was set to.
func (d *v4l2) Rate() float64 { return d.rate }

func (d *v4l2) Read(ctx context.Context, f *Frame) error {
	if d.format != mjpeg {
		return d.readPacket(ctx, f)
	}
	if err := d.readPacket(ctx, &d.raw); err != nil {
		return err
	}
	return d.raw.decode(f)
}

// readPacket is Read without decoding.
func (d *v4l2) readPacket(ctx context.Context, f *Frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	err := d.wait(ctx)
	if err == nil {
		d.waiting = time.Time{}
		err = d.take(f)
	}
	if err != nil && frameError(err) == nil && ctx.Err() == nil {
		d.err = err
	}
	return err
}

// wait dequeues the next buffer into d.buf.
func (d *v4l2) wait(ctx context.Context) error {
	if d.waiting.IsZero() {
		d.waiting = time.Now()
	}
	for {
		if d.closing.Load() {
			return errClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		limit := d.timeout
		if d.index < 0 {
			limit = d.first
		}
		left := limit - time.Since(d.waiting)
		if left <= 0 {
			return fmt.Errorf("camera: %s: v4l2: %w: no frame for %v; unplug the camera and plug it in again, or use a lower rate or size; %s", d.name, ErrLost, limit, slower)
		}
		// A poll cannot be woken by a context, so it is a short one.
		ready, err := d.node.poll(int(min(left, 50*time.Millisecond)/time.Millisecond) + 1)
		if err != nil {
			return d.gone("poll", err)
		}
		if !ready {
			continue
		}
		d.buf = v4l2Buffer{kind: typeCapture, memory: memoryMmap}
		err = d.node.ioctl(reqDqbuf, unsafe.Pointer(&d.buf))
		switch {
		case err == nil && int(d.buf.index) < len(d.memory):
			return nil
		case err == nil:
			return d.gone("VIDIOC_DQBUF", fmt.Errorf("buffer %d of %d", d.buf.index, len(d.memory)))
		case errors.Is(err, unix.EAGAIN):
			// Ready without a frame is an error state. Do not spin in it.
			time.Sleep(time.Millisecond)
		default:
			return d.gone("VIDIOC_DQBUF", err)
		}
	}
}

// take copies the dequeued buffer to f and gives it back to the driver.
func (d *v4l2) take(f *Frame) error {
	b := d.buf
	skipped := int(int32(b.sequence - d.last))
	if d.index < 0 || skipped < 1 || skipped > 1<<16 { // some drivers do not count
		skipped = 1
	}
	d.last = b.sequence
	d.index += skipped
	f.Source, f.Index, f.Time = d.name, d.index, b.time()
	err := d.copy(f, d.memory[b.index], int(b.bytesused))
	if b.flags&flagError != 0 {
		err = fmt.Errorf("%w: the frame was damaged on its way from the camera", ErrFormat)
	}
	if fatal := d.queue(b.index); fatal != nil {
		return d.gone("VIDIOC_QBUF", fatal)
	}
	if err != nil {
		if changed := d.changed(); changed != nil {
			return changed
		}
		return &FrameError{Source: d.name, Index: d.index, Err: err}
	}
	return nil
}

// copy packs the first n bytes of a buffer into f.
func (d *v4l2) copy(f *Frame, memory []byte, n int) error {
	memory = memory[:min(max(n, 0), len(memory))]
	if d.format == mjpeg {
		f.Format = mjpeg
		f.grow(len(memory))
		copy(f.Pix, memory)
		return nil
	}
	f.shape(int(d.pix.width), int(d.pix.height), d.format)
	row, rows := d.format.row(f.Width, f.Height)
	stride := int(d.pix.bytesperline)
	if len(memory) < (rows-1)*stride+row {
		return fmt.Errorf("%w: %d bytes of a frame of %d", ErrFormat, len(memory), (rows-1)*stride+row)
	}
	if stride == row {
		copy(f.Pix, memory)
		return nil
	}
	for y := range rows {
		copy(f.Pix[y*row:][:row], memory[y*stride:])
	}
	return nil
}

// changed asks the driver whether the picture has another size than at the start.
func (d *v4l2) changed() error {
	f := v4l2Format{kind: typeCapture}
	if err := d.node.ioctl(reqGFmt, unsafe.Pointer(&f)); err != nil || f.pix.width == d.pix.width && f.pix.height == d.pix.height {
		return nil
	}
	return fmt.Errorf("camera: %s: v4l2: %w: the picture changed from %dx%d to %dx%d; open it again", d.name, ErrLost,
		d.pix.width, d.pix.height, f.pix.width, f.pix.height)
}

// gone is the error of a device that was open.
func (d *v4l2) gone(call string, err error) error {
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("camera: %s: v4l2: %w: it was unplugged: %s: %w", d.name, ErrLost, call, err)
	}
	return fmt.Errorf("camera: %s: v4l2: %w: %s: %w", d.name, ErrLost, call, err)
}

// time returns when the buffer was filled. Drivers give it by the monotonic
// clock; where they do not, it is now.
func (b *v4l2Buffer) time() time.Time {
	now := time.Now()
	var ts unix.Timespec
	if b.flags&flagClock != flagMonotonic || unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return now
	}
	age := time.Duration(ts.Nano() - b.timestamp.Nano())
	if age < 0 || age > time.Minute {
		return now
	}
	return now.Add(-age)
}

func (d *v4l2) Close() error {
	d.closing.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = errClosed
	return d.release()
}

// release stops the device and gives its memory back.
func (d *v4l2) release() error {
	if d.node == nil {
		return nil
	}
	n := d.node
	d.node = nil
	kind := uint32(typeCapture)
	// A device that is gone cannot be stopped.
	_ = n.ioctl(reqStreamoff, unsafe.Pointer(&kind))
	var err error
	for _, m := range d.memory {
		err = errors.Join(err, n.munmap(m))
	}
	d.memory = nil
	return errors.Join(err, n.close())
}

// deviceError explains why a device cannot be opened or started.
func deviceError(name, path, call string, err error) error {
	sentinel, next := ErrLost, "unplug the camera and plug it in again"
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		sentinel, next = ErrNotFound, "no such camera is connected; `edgecam cameras` lists those that are"
	case errors.Is(err, unix.EPERM): // the owner and the group have no part in it
		sentinel, next = ErrNotPermitted, "the system forbids it; start a container with `--device "+path+"`, a service with DeviceAllow="+path
	case errors.Is(err, fs.ErrPermission):
		sentinel, next = ErrNotPermitted, "the user is not in the group video: `sudo usermod -aG video $USER`, then log in again"
	case errors.Is(err, unix.EBUSY):
		sentinel, next = ErrBusy, "another program uses the camera; `fuser -v "+path+"` names it"
	case errors.Is(err, unix.ENOSPC):
		sentinel, next = ErrBusy, "the USB bus has no room for it beside the other cameras: take a smaller size, format=MJPEG, or another port"
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL) && call == "VIDIOC_QUERYCAP":
		sentinel, next = ErrUnsupported, "it is not a video device"
	}
	return fmt.Errorf("camera: %s: v4l2: %w: %s: %w; %s", name, sentinel, call, err, next)
}
