package roofline

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cache is a data cache of the first processor.
type cache struct {
	level, bytes int
	sharers      int // processors that share it
}

// common stands in where the system does not tell: any core of ten years has
// as much.
var common = []cache{{1, 32 << 10, 1}, {2, 512 << 10, 1}}

// caches lists the data caches that Linux reports below root, the smallest
// level first.
func caches(root fs.FS) []cache {
	const dir = "sys/devices/system/cpu/cpu0/cache"
	names, err := fs.Glob(root, dir+"/index*")
	if err != nil {
		return common
	}
	var found []cache
	for _, name := range names {
		text := func(file string) string {
			b, err := fs.ReadFile(root, path.Join(name, file))
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(b))
		}
		level, err := strconv.Atoi(text("level"))
		c := cache{level, sizeOf(text("size")), cpus(text("shared_cpu_list"))}
		if err == nil && c.bytes > 0 && text("type") != "Instruction" && !slices.ContainsFunc(found, func(f cache) bool { return f.level == level }) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return common
	}
	slices.SortFunc(found, func(a, b cache) int { return a.level - b.level })
	return found
}

// sizeOf reads 512K or 32M, and returns 0 for anything else.
func sizeOf(s string) int {
	unit := 1
	switch {
	case strings.HasSuffix(s, "K"):
		unit = 1 << 10
	case strings.HasSuffix(s, "M"):
		unit = 1 << 20
	}
	n, err := strconv.Atoi(strings.TrimRight(s, "KM"))
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n * unit
}

// cpus counts the processors of a list as 0-3,8.
func cpus(list string) int {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		lo, hi, ok := strings.Cut(part, "-")
		if !ok {
			hi = lo
		}
		a, errA := strconv.Atoi(lo)
		b, errB := strconv.Atoi(hi)
		if errA == nil && errB == nil && b >= a {
			n += b - a + 1
		}
	}
	return max(n, 1)
}
