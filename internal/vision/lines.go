package vision

import (
	"encoding/binary"

	"github.com/edgecam/edgecam/camera"
)

// The three channels of a pixel are computed at once, each in a lane of an
// uint64. Frames that are not packed are red, green, blue.
//
// 255 times weights of 2048 in all take 19 bits, the width of a lane. Of these
// the upper 15 are kept, and multiplied again they take 26, so that the outer two
// lanes do not meet and end with the 64th bit.
const (
	lane  = 19
	outer = 1 | 1<<(2*lane) // a bit for each of the outer lanes
	each  = outer | 1<<lane // a bit for each lane
)

// lines gives the rows of a frame, of each row some columns.
type lines struct {
	frame *camera.Frame
	cols  []int32  // in rising order, some twice
	px    []uint64 // a pixel for each
	dense bool     // cols are 0, 1, 2 and so on
}

// fit makes room for the columns.
func (l *lines) fit() {
	l.dense = true
	for i, c := range l.cols {
		l.dense = l.dense && int(c) == i
	}
	if cap(l.px) < len(l.cols) {
		l.px = make([]uint64, len(l.cols))
	}
	l.px = l.px[:len(l.cols)]
}

// row returns the columns of row y, which stand until the next call. The colours
// are those of camera.Frame.ToRGBA.
func (l *lines) row(y int) []uint64 {
	f := l.frame
	px, src := l.px[:len(l.cols)], f.Pix[y*f.Stride:]
	switch f.Format {
	case camera.GRAY8:
		for i, c := range l.cols {
			px[i] = uint64(src[c]) * each
		}
	case camera.YUYV:
		last, chroma := int32(-1), ycc{}
		for i, c := range l.cols {
			if c>>1 != last {
				last = c >> 1
				chroma.set(src[4*last+1], src[4*last+3])
			}
			px[i] = chroma.pixel(src[2*c])
		}
	case camera.NV12:
		last, chroma, uv := int32(-1), ycc{}, f.Pix[(f.Height+y/2)*f.Stride:]
		for i, c := range l.cols {
			if c>>1 != last {
				last = c >> 1
				chroma.set(uv[2*last], uv[2*last+1])
			}
			px[i] = chroma.pixel(src[c])
		}
	default:
		i := 0
		if l.dense {
			i = spread(px, src)
		}
		for ; i < len(px); i++ {
			s := src[3*l.cols[i]:][:3]
			px[i] = uint64(s[0]) | uint64(s[1])<<lane | uint64(s[2])<<(2*lane)
		}
	}
	return px
}

// spread puts packed pixels into lanes, two at once while there are eight bytes,
// and says how many.
func spread(px []uint64, src []byte) int {
	n := 0
	for rest := px; len(rest) >= 2 && len(src) >= 8; rest, src = rest[2:], src[6:] {
		v := binary.LittleEndian.Uint64(src)
		rest[0] = v&0xff | v&0xff00<<(lane-8) | v&0xff0000<<(2*lane-16)
		rest[1] = v>>24&0xff | v&0xff00000000>>(32-lane) | v&0xff0000000000>>(40-2*lane)
		n += 2
	}
	return n
}

// ycc is the part of a colour that chroma makes, with 20 fractional bits, and
// raised so that no sum with luma is negative.
type ycc struct{ red, green, blue int32 }

const raised = 384

func (c *ycc) set(cb, cr byte) {
	const half = 1<<19 + raised<<20
	u, v := int32(cb)-128, int32(cr)-128
	c.red, c.green, c.blue = half+1673527*v, half-409993*u-852492*v, half+2116026*u
}

// pixel adds luma.
func (c *ycc) pixel(y byte) uint64 {
	luma := max(0, int32(y)-16) * 1220542
	r, g, b := (luma+c.red)>>20, (luma+c.green)>>20, (luma+c.blue)>>20
	return uint64(clamped[r&1023]) | uint64(clamped[g&1023])<<lane | uint64(clamped[b&1023])<<(2*lane)
}

// clamped are the bytes nearest to numbers that are raised, in a table because
// noise makes a branch miss every other time.
var clamped = func() (t [1024]uint8) {
	for i := range t {
		t[i] = uint8(min(max(i-raised, 0), 255))
	}
	return t
}()
