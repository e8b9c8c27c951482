package camera

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"

	"golang.org/x/image/webp"
)

// studio is a picture of VP8: Y from 16 to 235, which image.YCbCr does not say.
type studio struct{ *image.YCbCr }

func decodeWebP(data []byte) (image.Image, int, error) {
	c, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: WebP: %w", ErrFormat, err)
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return nil, 0, err
	}
	turn := 1
	for i := 12; i+8 <= len(data); {
		n := int64(binary.LittleEndian.Uint32(data[i+4:]))
		if n > int64(len(data)-i-8) {
			break
		}
		body := data[i+8 : i+8+int(n)]
		switch string(data[i : i+4]) {
		case "EXIF":
			turn = exifOrientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		case "ANMF":
			return nil, 0, fmt.Errorf("%w: WebP: animated; `ffmpeg -i IN -frames:v 1 OUT.png` takes a picture out of it", ErrFormat)
		}
		i += 8 + int(n) + int(n&1)
	}
	img, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: WebP: %w", ErrFormat, err)
	}
	switch m := img.(type) {
	case *image.YCbCr:
		return studio{m}, turn, nil
	case *image.NYCbCrA:
		return studio{&m.YCbCr}, turn, nil
	}
	return img, turn, nil
}

// setStudio converts 4:2:0 as libwebp does, bit for bit: its "fancy" upsampling,
// which rounds otherwise than libjpeg's, and its colour arithmetic with 6
// fractional bits.
func (f *Frame) setStudio(m *image.YCbCr) {
	w := (f.Width + 1) / 2
	last := (f.Height+1)/2 - 1
	for y := range f.Height {
		near := y / 2
		far := min(max(near-1+2*(y&1), 0), last)
		a, b := near*m.CStride, far*m.CStride
		studioRow(f.Pix[y*f.Stride:][:3*f.Width], m.Y[y*m.YStride:][:f.Width], m.Cb[a:a+w], m.Cr[a:a+w], m.Cb[b:b+w], m.Cr[b:b+w])
	}
}

// studioRow converts a row of luma between two rows of chroma, the nearer one
// first. Each sample of chroma is 9/16 of the nearest one, 3/16 of its two
// neighbours and 1/16 of the furthest, rounded as libwebp's upsampling.c.
func studioRow(dst, luma, u, v, farU, farV []byte) {
	for x := range luma {
		at := x / 2
		side := min(max(at-1+2*(x&1), 0), len(u)-1)
		if x == 0 || x == len(luma)-1 && x&1 == 1 { // no neighbour beside
			studioPixel(dst[3*x:3*x+3], int32(luma[x]), (3*int32(u[at])+int32(farU[at])+2)>>2, (3*int32(v[at])+int32(farV[at])+2)>>2)
			continue
		}
		studioPixel(dst[3*x:3*x+3], int32(luma[x]),
			blend(int32(u[at]), int32(u[side]), int32(farU[at]), int32(farU[side])),
			blend(int32(v[at]), int32(v[side]), int32(farV[at]), int32(farV[side])))
	}
}

// blend weighs the nearest sample, its neighbours in the row and in the column,
// and the one opposite.
func blend(near, row, column, opposite int32) int32 {
	return ((near+row+column+opposite+8+2*(row+column))>>3 + near) >> 1
}

// studioPixel converts one pixel: R = 1.164 (Y-16) + 1.596 (V-128), and so on.
func studioPixel(dst []byte, y, u, v int32) {
	y = y * 19077 >> 8
	dst[0] = studioByte(y + v*26149>>8 - 14234)
	dst[1] = studioByte(y - u*6419>>8 - v*13320>>8 + 8708)
	dst[2] = studioByte(y + u*33050>>8 - 17685)
}

func studioByte(v int32) byte { return byte(min(max(v>>6, 0), 255)) }
