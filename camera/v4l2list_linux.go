package camera

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

func (n *node) capability() (v4l2Capability, error) {
	var c v4l2Capability
	err := n.ioctl(reqQuerycap, unsafe.Pointer(&c))
	return c, err
}

// unfit says what a device is that cannot be read as a camera, "" if it can.
func (c *v4l2Capability) unfit() string {
	caps := c.capabilities
	if caps&capDeviceCaps != 0 {
		caps = c.deviceCaps // of this node; the other ones are of all nodes of the device
	}
	switch driver := text(c.driver[:]); {
	case caps&capM2M != 0, strings.HasPrefix(driver, "bcm2835-isp"), strings.HasPrefix(driver, "bcm2835-codec"), strings.HasPrefix(driver, "pispbe"):
		return "a converter (" + driver + "), not a camera"
	case caps&capCapture == 0 && caps&capMPlane != 0:
		return "a camera with planes apart (" + driver + "), which only libcamera reads: use csi:0"
	case caps&capCapture == 0:
		return "a node without pictures (" + driver + ")"
	case caps&capStreaming == 0:
		return "a camera without streaming I/O (" + driver + ")"
	}
	return ""
}

// text returns a string that ends with a zero byte.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.ToValidUTF8(s, "?")
}

// modes lists what the device offers in formats that are read, and the code of
// each format. Rates of sizes in steps are those of w x h, or near 640x480.
func (n *node) modes(w, h int) ([]Mode, map[string]uint32) {
	if w == 0 {
		w, h = 640, 480
	}
	var list []Mode
	codes := map[string]uint32{}
	for i := range uint32(64) {
		d := v4l2Fmtdesc{index: i, kind: typeCapture}
		if n.ioctl(reqEnumFmt, unsafe.Pointer(&d)) != nil {
			break
		}
		for _, f := range fourcc {
			if f.code == d.pixelformat && codes[f.format] == 0 {
				codes[f.format] = f.code
				list = append(list, n.sizes(f.format, f.code, w, h)...)
			}
		}
	}
	return list, codes
}

func (n *node) sizes(format string, code uint32, w, h int) []Mode {
	var list []Mode
	for i := range uint32(256) {
		s := v4l2Frmsize{index: i, pixelformat: code}
		if n.ioctl(reqFramesizes, unsafe.Pointer(&s)) != nil {
			break
		}
		m := Mode{Format: format}
		v := s.size
		if s.kind == sizeDiscrete {
			m.Width, m.Height = int(v[0]), int(v[1])
		} else {
			m.Min, m.Width, m.Height = [2]int{int(v[0]), int(v[3])}, int(v[1]), int(v[4])
			m.Step = [2]int{max(1, int(v[2])), max(1, int(v[5]))}
		}
		if m.Width < 1 || m.Height < 1 || m.Width > 1<<15 || m.Height > 1<<15 || m.Min[0] < 0 || m.Min[1] < 0 {
			continue
		}
		rw, rh := m.nearest(w, h)
		m.Rates = n.rates(code, rw, rh)
		list = append(list, m)
		if s.kind != sizeDiscrete {
			break
		}
	}
	if len(list) == 0 { // a driver that does not list sizes: ask what it makes of this one
		f := v4l2Format{kind: typeCapture}
		if n.ioctl(reqGFmt, unsafe.Pointer(&f)) == nil && f.pix.width > 0 && f.pix.height > 0 {
			list = append(list, Mode{Format: format, Width: int(f.pix.width), Height: int(f.pix.height)})
		}
	}
	return list
}

// rates lists frames per second, falling. Of a range it gives the usual ones.
func (n *node) rates(code uint32, w, h int) []float64 {
	var list []float64
	for i := range uint32(64) {
		v := v4l2Frmival{index: i, pixelformat: code, width: uint32(w), height: uint32(h)}
		if n.ioctl(reqIntervals, unsafe.Pointer(&v)) != nil {
			break
		}
		fastest := v.interval[0].rate()
		if fastest > 0 {
			list = append(list, fastest)
		}
		if v.kind != sizeDiscrete {
			for _, r := range []float64{120, 60, 30, 25, 20, 15, 10, 5, 1} {
				if r < fastest && r >= v.interval[1].rate() {
					list = append(list, r)
				}
			}
			break
		}
	}
	slices.SortFunc(list, func(a, b float64) int { return cmp.Compare(b, a) })
	return slices.Compact(list)
}

// rate returns frames per second of an interval in seconds, to three places.
func (f v4l2Fract) rate() float64 {
	if f.numerator == 0 {
		return 0
	}
	return float64(uint64(f.denominator)*1000/uint64(f.numerator)) / 1000
}

// controls lists the settings that have a number for their value.
func (n *node) controls() []Control {
	var list []Control
	n.eachControl(func(q *v4l2Queryctrl, c Control) bool {
		v := v4l2Control{id: q.id}
		if n.ioctl(reqGCtrl, unsafe.Pointer(&v)) == nil {
			c.Value = v.value
		}
		list = append(list, c)
		return true
	})
	return list
}

func (n *node) eachControl(yield func(*v4l2Queryctrl, Control) bool) {
	q := v4l2Queryctrl{id: nextControl}
	for range 1024 {
		if n.ioctl(reqQueryctrl, unsafe.Pointer(&q)) != nil {
			return
		}
		const disabled, readOnly, inactive = 1, 4, 16
		switch q.kind {
		case 1, 2, 3, 9: // integer, boolean, menu, integer menu
			c := Control{Name: controlName(text(q.name[:])), Min: q.minimum, Max: q.maximum, Step: q.step, Default: q.def,
				ReadOnly: q.flags&readOnly != 0, Inactive: q.flags&inactive != 0}
			if q.flags&disabled == 0 && !yield(&q, c) {
				return
			}
		}
		q = v4l2Queryctrl{id: q.id | nextControl}
	}
}

// controlName spells a name as v4l2-ctl does: "White Balance, Automatic" is
// white_balance_automatic.
func controlName(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }), "_")
}

// setControl sets the control of that name.
func (n *node) setControl(v controlValue) error {
	err := errors.New("no such control")
	n.eachControl(func(q *v4l2Queryctrl, c Control) bool {
		if c.Name != v.name {
			return true
		}
		if v.value < c.Min || v.value > c.Max {
			err = fmt.Errorf("want %d to %d", c.Min, c.Max)
			return false
		}
		w := v4l2Control{id: q.id, value: v.value}
		err = n.ioctl(reqSCtrl, unsafe.Pointer(&w))
		return false
	})
	return err
}

// listDevices looks at the nodes video* of a folder.
func listDevices(dev string) ([]Device, error) {
	paths, err := filepath.Glob(filepath.Join(dev, "video*"))
	if err != nil {
		return nil, fmt.Errorf("camera: %s: %w", dev, err)
	}
	number := func(path string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "video"))
		if err != nil {
			return -1
		}
		return n
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return number(p) < 0 })
	slices.SortFunc(paths, func(a, b string) int { return number(a) - number(b) })
	links := byID(filepath.Join(dev, "v4l", "by-id"))
	var list []Device
	for _, path := range paths {
		d := Device{Source: path, Backend: "v4l2", Path: path, ByID: links[path]}
		if d.ByID != "" {
			d.Source = d.ByID
		} else if dev == "/dev" {
			d.Source = strconv.Itoa(number(path))
		}
		n, err := openNode(path)
		if err != nil {
			d.Err = deviceError(path, path, "open", err)
			list = append(list, d)
			continue
		}
		if d.inspect(n) {
			list = append(list, d)
		}
		err = n.close()
		if err != nil {
			return list, fmt.Errorf("camera: %s: %w", path, err)
		}
	}
	return list, nil
}

// inspect fills in what the device says, and reports whether it is a camera.
func (d *Device) inspect(n *node) bool {
	caps, err := n.capability()
	if err != nil {
		d.Err = deviceError(d.Path, d.Path, "VIDIOC_QUERYCAP", err)
		return true
	}
	d.Name, d.Bus = text(caps.card[:]), text(caps.bus[:])
	if caps.unfit() != "" {
		return false
	}
	d.Modes, _ = n.modes(0, 0)
	d.Controls = n.controls()
	return len(d.Modes) > 0
}

// byID maps device nodes to the links that name them.
func byID(dir string) map[string]string {
	links := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return links // udev makes the folder with the first camera
	}
	for _, e := range entries {
		link := filepath.Join(dir, e.Name())
		if path, err := filepath.EvalSymlinks(link); err == nil && links[path] == "" {
			links[path] = link
		}
	}
	return links
}
