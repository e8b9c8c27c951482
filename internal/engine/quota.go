package engine

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Quota returns how many processors the process's control group lets it use, a
// fraction of one for less, and 0 where there is no limit or it is not known.
func Quota() float64 { return quota(os.DirFS("/")) }

// quota reads the lowest limit of the process's group and those above it, of
// version 2 and of version 1, where systemd and container runtimes mount them.
//
// Format: the kernel's Documentation/admin-guide/cgroup-v2.rst and
// Documentation/scheduler/sched-bwc.rst.
func quota(root fs.FS) float64 {
	text := func(name string) string {
		b, err := fs.ReadFile(root, name)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	least := 0.0
	for line := range strings.Lines(text("proc/self/cgroup")) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3) // id:controllers:path
		if len(part) != 3 {
			continue
		}
		two := part[0] == "0"
		if !two && !slices.Contains(strings.Split(part[1], ","), "cpu") {
			continue
		}
		for dir := strings.Trim(part[2], "/"); ; dir = dir[:max(0, strings.LastIndex(dir, "/"))] {
			var limit, period string
			if two {
				limit, period, _ = strings.Cut(text(path.Join("sys/fs/cgroup", dir, "cpu.max")), " ")
			} else {
				limit, period = text(path.Join("sys/fs/cgroup/cpu", dir, "cpu.cfs_quota_us")), text(path.Join("sys/fs/cgroup/cpu", dir, "cpu.cfs_period_us"))
			}
			q, errQ := strconv.ParseFloat(limit, 64) // "max" and -1 stand for none
			p, errP := strconv.ParseFloat(period, 64)
			if errQ == nil && errP == nil && q > 0 && p > 0 && (least == 0 || q/p < least) {
				least = q / p
			}
			if dir == "" {
				break
			}
		}
	}
	return least
}

// share settles the number of workers for procs threads of Go and cores fast
// processors under a quota. A worker that waits for another one spins, and what
// it spends so is taken from the quota: by default there are no more workers
// than whole processors, and where more are asked for they sleep instead.
func (o *Options) share(procs, cores int, quota float64) {
	if o.Threads <= 0 {
		o.Threads = cores
		if quota > 0 {
			o.Threads = min(cores, max(1, int(quota)))
		}
	}
	o.Threads = min(o.Threads, procs)
	if quota > 0 && float64(o.Threads) > quota {
		o.NoSpin = true
	}
}
