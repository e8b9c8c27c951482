package camera

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// openCSI reads a camera at a Raspberry Pi's CSI connector through the program
// rpicam-vid: such a camera gives raw sensor data, and only libcamera's
// pipeline makes pictures of it.
func openCSI(t target, o Options) (Source, error) {
	if t.format == "YUYV" {
		return nil, fmt.Errorf("camera: %s: %w: format=YUYV, a CSI camera gives NV12, GRAY8 or MJPEG", t.name, ErrUnsupported)
	}
	if t.width == 0 {
		t.width, t.height = 640, 480
	}
	if t.rate == 0 {
		t.rate = 30
	}
	args, compressed := csiArgs(t)
	if compressed && t.format != "" && t.format != "MJPEG" {
		return nil, fmt.Errorf("camera: %s: %w: size=%dx%d, without compression the width is a multiple of 64 and the height even", t.name, ErrSyntax, t.width, t.height)
	}
	c, err := startChild(t, []string{"rpicam-vid", "libcamera-vid"}, args, "", "`sudo apt install rpicam-apps` on a Raspberry Pi has it")
	if err != nil {
		return nil, err
	}
	read := func(f *Frame) error { return nextJPEG(c.r, f) }
	if !compressed {
		read = (&planar{r: c.r, width: t.width, height: t.height, gray: t.format == "GRAY8"}).next
	}
	s := newFeed(t, "rpicam", o.frame(), func(f *Frame) error {
		err := read(f)
		f.Time = time.Now()
		if err == nil || frameError(err) != nil {
			return t.lost("rpicam", err)
		}
		said := c.verdict()
		if said == nil {
			said = errors.New("rpicam-vid ended")
		}
		return fmt.Errorf("camera: %s: rpicam: %w: %w; `rpicam-vid --list-cameras` shows what is connected", t.name, meaning(said.Error(), ErrLost), said)
	}, c.stop)
	s.rate = t.rate
	if err := s.first(o.firstFrame()); err != nil {
		return nil, err
	}
	return s, nil
}

// csiArgs returns rpicam-vid's arguments, and whether it gives JPEG pictures:
// where that is asked for, or where rows would be padded by an amount that
// differs between boards.
func csiArgs(t target) (args []string, compressed bool) {
	codec := "yuv420"
	if t.format == "MJPEG" || t.width%64 != 0 || t.height%2 != 0 {
		codec = "mjpeg"
	}
	rate := strconv.FormatFloat(math.Round(t.rate*100)/100, 'f', -1, 64)
	return []string{"--camera", strconv.Itoa(t.index), "--timeout", "0", "--nopreview", "--width", strconv.Itoa(t.width), "--height", strconv.Itoa(t.height),
		"--framerate", rate, "--codec", codec, "--flush", "--output", "-"}, codec == "mjpeg"
}

// planar reads frames of three planes, Y, Cb and Cr, the latter two of half the
// width and height.
type planar struct {
	r             *bufio.Reader
	width, height int
	gray          bool
	chroma        []byte
}

func (p *planar) next(f *Frame) error {
	luma := p.width * p.height
	if p.chroma == nil {
		p.chroma = make([]byte, luma/2)
	}
	f.shape(p.width, p.height, NV12)
	if n, err := io.ReadFull(p.r, f.Pix[:luma]); err != nil {
		if n == 0 {
			return err
		}
		return unexpected(err)
	}
	if _, err := io.ReadFull(p.r, p.chroma); err != nil {
		return unexpected(err)
	}
	if p.gray {
		f.shape(p.width, p.height, GRAY8)
		return nil
	}
	cb, cr, both := p.chroma[:luma/4], p.chroma[luma/4:], f.Pix[luma:]
	for i, v := range cb {
		both[2*i], both[2*i+1] = v, cr[i]
	}
	return nil
}
