package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

func TestQuota(t *testing.T) {
	const two, one = "sys/fs/cgroup/", "sys/fs/cgroup/cpu/"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"no control groups", nil, 0},
		{"version 2 without a limit", map[string]string{"proc/self/cgroup": "0::/\n", two + "cpu.max": "max 100000\n"}, 0},
		{"version 2, of a container", map[string]string{"proc/self/cgroup": "0::/\n", two + "cpu.max": "150000 100000\n"}, 1.5},
		{"version 2, lowest of the path", map[string]string{"proc/self/cgroup": "0::/system.slice/edgecam.service\n", two + "system.slice/cpu.max": "50000 100000\n",
			two + "system.slice/edgecam.service/cpu.max": "200000 100000\n"}, 0.5},
		{"version 1", map[string]string{"proc/self/cgroup": "3:memory:/x\n2:cpu,cpuacct:/docker/1\n0::/\n", one + "docker/1/cpu.cfs_quota_us": "380000\n",
			one + "docker/1/cpu.cfs_period_us": "100000\n", one + "cpu.cfs_quota_us": "-1\n", one + "cpu.cfs_period_us": "100000\n"}, 3.8},
		{"version 1 of other controllers", map[string]string{"proc/self/cgroup": "3:cpuset:/\n", one + "cpu.cfs_quota_us": "100000\n", one + "cpu.cfs_period_us": "100000\n"}, 0},
		{"damaged", map[string]string{"proc/self/cgroup": "nonsense\n0::/\n", two + "cpu.max": "many\n"}, 0},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := quota(root); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		threads, procs, cores int
		quota                 float64
		want                  int
		noSpin                bool
	}{
		{0, 8, 8, 0, 8, false},
		{0, 8, 4, 0, 4, false}, // four of eight are fast
		{0, 2, 8, 0, 2, false}, // GOMAXPROCS
		{0, 4, 4, 3.8, 3, false},
		{0, 2, 4, 1, 1, false}, // Go has two threads at least
		{0, 2, 4, 0.5, 1, true},
		{2, 2, 4, 0.5, 2, true}, // asked for
		{3, 4, 4, 3, 3, false},
		{3, 4, 4, 0, 3, false},
		{9, 4, 4, 0, 4, false},
	} {
		o := Options{Threads: c.threads}
		o.share(c.procs, c.cores, c.quota)
		if o.Threads != c.want || o.NoSpin != c.noSpin {
			t.Errorf("%+v: %d threads, NoSpin %v", c, o.Threads, o.NoSpin)
		}
	}
	o := Options{NoSpin: true}
	if o.share(4, 4, 0); !o.NoSpin {
		t.Error("a session that shall not spin does")
	}
}

// TestQuotaOfTheKernel starts itself in a control group that has half a
// processor.
func TestQuotaOfTheKernel(t *testing.T) {
	const child = "EDGECAM_TEST_QUOTA"
	if os.Getenv(child) != "" {
		var o Options
		o.share(runtime.GOMAXPROCS(0), runtime.NumCPU(), Quota())
		fmt.Printf("quota %v, %d workers, %v\n", Quota(), o.Threads, runtime.GOMAXPROCS(0) <= 2)
		return
	}
	if err := exec.Command(os.Args[0], "-test.run", "^$").Run(); err != nil {
		t.Skipf("the test cannot start itself, as under an emulator: %v", err)
	}
	dir, why := halfProcessor(t)
	if why != nil {
		t.Skipf("no control group can be made here: %v", why)
	}
	cmd := exec.Command("sh", "-c", `echo $$ > "$0" && exec "$1" -test.run '^TestQuotaOfTheKernel$'`, filepath.Join(dir, "cgroup.procs"), os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1", "GOMAXPROCS=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "quota 0.5, 1 workers, true\n") {
		t.Errorf("in a control group with half a processor: %v\n%s", err, out)
	}
}

// halfProcessor makes a control group of version 1 or 2.
func halfProcessor(t *testing.T) (dir string, err error) {
	for parent, limits := range map[string]map[string]string{
		"/sys/fs/cgroup/cpu": {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"},
		"/sys/fs/cgroup":     {"cpu.max": "50000 100000"},
	} {
		if _, err = os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
			continue
		}
		if dir, err = os.MkdirTemp(parent, "edgecam-test-"); err != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) }) //nolint:errcheck // the kernel keeps a group that is in use
		for name, value := range limits {
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), []byte(value), 0)
			}
		}
		if err == nil {
			return dir, nil
		}
	}
	if err == nil {
		err = os.ErrNotExist
	}
	return "", err
}
