package op

import "encoding/binary"

// pairedBytes is paired for elements of one byte, eight at a time.
func (m *move) pairedBytes(dst, src []byte) bool {
	col, row := m.n-1, m.n-2
	switch {
	case col < 0 || m.dst[col] != 1 || m.elems() == 0:
		return false
	case m.src[col] == 2:
		o, rows, dstRow, srcRow := m.rows(1)
		for ; o.more; o.next() {
			for r := range rows {
				n := m.ext[col]
				evenBytes(dst[o.d+r*dstRow:][:n], src[o.s+r*srcRow:][:2*n-1])
			}
		}
		return true
	case row >= 0 && m.ext[col] == 2 && m.dst[row] == 2 && m.src[row] == 1 && m.src[col] >= 0:
		o, rows, dstRow, srcRow := m.rows(2)
		for ; o.more; o.next() {
			for r := range rows {
				n, from := m.ext[row], o.s+r*srcRow
				zipBytes(dst[o.d+r*dstRow:][:2*n], src[from:][:n], src[from+m.src[col]:][:n])
			}
		}
		return true
	}
	return false
}

// evenBytes sets dst[i] = src[2i].
func evenBytes(dst, src []byte) {
	i := 0
	for ; i+8 <= len(dst) && 2*i+16 <= len(src); i += 8 {
		lo, hi := packEven(binary.LittleEndian.Uint64(src[2*i:])), packEven(binary.LittleEndian.Uint64(src[2*i+8:]))
		binary.LittleEndian.PutUint64(dst[i:], lo|hi<<32)
	}
	for ; i < len(dst); i++ {
		dst[i] = src[2*i]
	}
}

// packEven moves the even bytes of a word into its low half.
func packEven(x uint64) uint64 {
	x &= 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return (x | x>>16) & 0xffffffff
}

// zipBytes sets dst[2i] = a[i] and dst[2i+1] = b[i].
func zipBytes(dst, a, b []byte) {
	i := 0
	for ; i+4 <= len(a); i += 4 {
		x, y := spreadBytes(binary.LittleEndian.Uint32(a[i:])), spreadBytes(binary.LittleEndian.Uint32(b[i:]))
		binary.LittleEndian.PutUint64(dst[2*i:], x|y<<8)
	}
	for ; i < len(a); i++ {
		dst[2*i], dst[2*i+1] = a[i], b[i]
	}
}

// spreadBytes moves the bytes of a word to the even bytes of a longer one.
func spreadBytes(w uint32) uint64 {
	x := uint64(w)
	x = (x | x<<16) & 0x0000ffff0000ffff
	return (x | x<<8) & 0x00ff00ff00ff00ff
}
