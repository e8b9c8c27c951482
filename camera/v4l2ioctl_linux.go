package camera

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Structures and numbers of linux/videodev2.h. Structures that hold pointers or
// times differ between 32 and 64 bits; the request numbers, which hold the
// sizes, follow.

type v4l2Capability struct {
	driver       [16]byte
	card         [32]byte
	bus          [32]byte
	version      uint32
	capabilities uint32
	deviceCaps   uint32
	_            [3]uint32
}

type v4l2Fmtdesc struct {
	index, kind, flags uint32
	description        [32]byte
	pixelformat        uint32
	_                  [4]uint32
}

// v4l2PixFormat is the union of v4l2_format for cameras.
type v4l2PixFormat struct {
	width, height, pixelformat, field, bytesperline, sizeimage uint32
	colorspace, priv, flags, encoding, quantization, xfer      uint32
	_                                                          [200 - 48]byte
}

type v4l2Format struct {
	kind uint32
	_    [unsafe.Sizeof(uintptr(0)) - 4]byte
	pix  v4l2PixFormat
}

type v4l2Frmsize struct {
	index, pixelformat, kind uint32
	size                     [6]uint32 // width, height; or min, max, step of width, then of height
	_                        [2]uint32
}

type v4l2Fract struct{ numerator, denominator uint32 }

type v4l2Frmival struct {
	index, pixelformat, width, height, kind uint32
	interval                                [3]v4l2Fract // or min, max, step
	_                                       [2]uint32
}

type v4l2Streamparm struct {
	kind, capability, mode uint32
	interval               v4l2Fract
	_                      [204 - 20]byte
}

type v4l2Requestbuffers struct {
	count, kind, memory, capabilities uint32
	_                                 uint32
}

type v4l2Buffer struct {
	index, kind, bytesused, flags, field uint32
	timestamp                            unix.Timeval
	_                                    [16]byte // timecode
	sequence, memory                     uint32
	offset                               [unsafe.Sizeof(uintptr(0)) / 4]uint32 // of a union; the first word
	length                               uint32
	_                                    [2]uint32
}

type v4l2Queryctrl struct {
	id, kind                    uint32
	name                        [32]byte
	minimum, maximum, step, def int32
	flags                       uint32
	_                           [2]uint32
}

type v4l2Control struct {
	id    uint32
	value int32
}

const (
	typeCapture   = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryMmap    = 1
	capCapture    = 0x1
	capMPlane     = 0x1000
	capM2M        = 0x8000
	capStreaming  = 0x04000000
	capDeviceCaps = 0x80000000
	sizeDiscrete  = 1
	flagError     = 0x40   // of a buffer
	flagClock     = 0xe000 // of a buffer: which clock its time is of
	flagMonotonic = 0x2000
	nextControl   = 0x80000000
	videoMajor    = 81 // of device nodes
)

// request returns the number of an ioctl, asm-generic/ioctl.h.
func request(direction, number, size uintptr) uint32 {
	return uint32(direction<<30 | size<<16 | 'V'<<8 | number)
}

var (
	reqQuerycap   = request(2, 0, unsafe.Sizeof(v4l2Capability{}))
	reqEnumFmt    = request(3, 2, unsafe.Sizeof(v4l2Fmtdesc{}))
	reqGFmt       = request(3, 4, unsafe.Sizeof(v4l2Format{}))
	reqSFmt       = request(3, 5, unsafe.Sizeof(v4l2Format{}))
	reqReqbufs    = request(3, 8, unsafe.Sizeof(v4l2Requestbuffers{}))
	reqQuerybuf   = request(3, 9, unsafe.Sizeof(v4l2Buffer{}))
	reqQbuf       = request(3, 15, unsafe.Sizeof(v4l2Buffer{}))
	reqDqbuf      = request(3, 17, unsafe.Sizeof(v4l2Buffer{}))
	reqStreamon   = request(1, 18, 4)
	reqStreamoff  = request(1, 19, 4)
	reqSParm      = request(3, 22, unsafe.Sizeof(v4l2Streamparm{}))
	reqGCtrl      = request(3, 27, unsafe.Sizeof(v4l2Control{}))
	reqSCtrl      = request(3, 28, unsafe.Sizeof(v4l2Control{}))
	reqQueryctrl  = request(3, 36, unsafe.Sizeof(v4l2Queryctrl{}))
	reqFramesizes = request(3, 74, unsafe.Sizeof(v4l2Frmsize{}))
	reqIntervals  = request(3, 75, unsafe.Sizeof(v4l2Frmival{}))
)

// node is an open device node: the calls into the kernel, so that tests can put
// a device of their own in its place.
type node struct {
	ioctl  func(request uint32, arg unsafe.Pointer) error
	poll   func(milliseconds int) (ready bool, err error)
	mmap   func(offset int64, length int) ([]byte, error)
	munmap func([]byte) error
	close  func() error
}

// openNode opens a device node after it has made sure that this is a video
// device: to open some others changes the machine.
func openNode(path string) (*node, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(st.Rdev) != videoMajor {
		return nil, unix.ENOTTY
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	return &node{
		ioctl: func(request uint32, arg unsafe.Pointer) error {
			for {
				_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
				if errno == 0 {
					return nil
				}
				if errno != unix.EINTR {
					return errno
				}
			}
		},
		poll: func(milliseconds int) (bool, error) {
			n, err := unix.Poll(fds, milliseconds)
			if errors.Is(err, unix.EINTR) {
				return false, nil
			}
			return n > 0, err
		},
		mmap: func(offset int64, length int) ([]byte, error) {
			return unix.Mmap(fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		},
		munmap: unix.Munmap,
		close:  func() error { return os.NewSyscallError("close", unix.Close(fd)) },
	}, nil
}
