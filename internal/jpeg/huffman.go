package jpeg

// lookBits is how many bits of a code, with those of the number behind it, are
// looked up at once.
const lookBits = 10

// table decodes one Huffman code. An entry of look is
//
//	value<<16 | size<<12 | run<<8 | bits
//
// where run is the zeros before the coefficient, or 15 for sixteen, and size the
// bits of its number. value is not 0 where all fits into the bits looked up; bits
// are then to drop with the number, otherwise without it. An entry is 0 where the
// code is longer.
type table struct {
	look [1 << lookBits]uint32
	// limit[n] is the first code of more than n bits, set left in 16 bits;
	// start[n] plus a code of n bits is its place in values.
	limit  [17]uint32
	start  [17]int32
	values [256]uint8
}

// tables reads a segment of Huffman tables.
func (d *Decoder) tables(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return false
		}
		total := 0
		for _, n := range b[1:17] {
			total += int(n)
		}
		if total == 0 || total > 256 || len(b) < 17+total {
			return false
		}
		id := b[0]>>4*4 + b[0]&15
		if !d.huff[id].make([16]byte(b[1:17]), b[17:17+total], id < 4) {
			return false
		}
		d.given[id] = true
		b = b[17+total:]
	}
	return true
}

// make fills the table. It refuses more codes than bits can tell apart, and
// numbers that no 8-bit picture has.
func (t *table) make(counts [16]byte, values []byte, dc bool) bool {
	t.look = [1 << lookBits]uint32{}
	copy(t.values[:], values)
	code, k := uint32(0), 0
	for n := 1; n <= 16; n++ {
		t.start[n] = int32(k) - int32(code)
		for range counts[n-1] {
			v := values[k]
			if dc && v > 11 || !dc && v&15 > 10 || code >= 1<<n {
				return false
			}
			if n <= lookBits {
				t.fill(code<<(lookBits-n), n, v)
			}
			code++
			k++
		}
		t.limit[n] = code << (16 - n)
		code <<= 1
	}
	return true
}

// fill sets the entries from first on that start with a code of n bits.
func (t *table) fill(first uint32, n int, symbol byte) {
	run, size := uint32(symbol>>4), int(symbol&15)
	for i := first; i < first+1<<(lookBits-n); i++ {
		e := uint32(size)<<12 | run<<8
		if size > 0 && n+size <= lookBits {
			e |= uint32(extend(i>>(lookBits-n-size)&(1<<size-1), uint(size)))<<16 | uint32(n+size)
		} else {
			e |= uint32(n)
		}
		t.look[i] = e
	}
}

// long decodes a code that is not in look and starts with the 16 bits of c. n is
// 0 where there is none.
func (t *table) long(c uint32) (symbol byte, n uint) {
	for n = lookBits + 1; n <= 16; n++ {
		if c < t.limit[n] {
			return t.values[uint8(int32(c>>(16-n))+t.start[n])], n
		}
	}
	return 0, 0
}

// extend makes the number that size bits stand for (figure F.12 of ISO/IEC
// 10918-1).
func extend(bits uint32, size uint) int32 {
	if bits>>(size-1) == 0 {
		return int32(bits) - 1<<size + 1
	}
	return int32(bits)
}

// StandardHuffman is a DHT segment with the tables of ISO/IEC 10918-1 annex
// K.3, which Motion JPEG frames without tables of their own are coded with.
var StandardHuffman = standardHuffman()

func standardHuffman() []byte {
	tables := []struct {
		class  byte
		counts string // codes of 1 to 16 bits
		values string
	}{
		{0x00, "\x00\x01\x05\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
		{0x10, "\x00\x02\x01\x03\x03\x02\x04\x03\x05\x05\x04\x04\x00\x00\x01\x7d",
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08\x23\x42\xb1\xc1\x15\x52\xd1\xf0" +
				"\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49" +
				"\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89" +
				"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5" +
				"\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
				"\xf9\xfa"},
		{0x01, "\x00\x03\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
		{0x11, "\x00\x02\x01\x02\x04\x04\x03\x04\x07\x05\x04\x04\x00\x01\x02\x77",
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91\xa1\xb1\xc1\x09\x23\x33\x52\xf0" +
				"\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48" +
				"\x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87" +
				"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3" +
				"\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
				"\xf9\xfa"},
	}
	segment := []byte{0xff, 0xc4, 0, 0}
	for _, t := range tables {
		segment = append(append(append(segment, t.class), t.counts...), t.values...)
	}
	n := len(segment) - 2
	segment[2], segment[3] = byte(n>>8), byte(n)
	return segment
}
