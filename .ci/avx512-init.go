//go:build linux

// Command avx512-init is the first process of the machine that .ci/avx512
// boots: it runs the tests in /list and turns the machine off. The last line
// says whether all passed.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := tests(); err != nil {
		fmt.Println("avx512-init:", err)
	} else {
		fmt.Println("all tests passed")
	}
	const drain = 0x5409 // TCSBRK, which waits for the serial port
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, 1, drain, 1)
	time.Sleep(time.Second)
	fmt.Println(syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF))
}

func tests() error {
	for dir, kind := range map[string]string{"/proc": "proc", "/dev": "devtmpfs", "/tmp": "tmpfs"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(kind, dir, kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err
	}
	for _, flag := range []string{"avx512f", "avx512bw", "avx512dq", "avx512vl"} {
		if !strings.Contains(string(info), " "+flag) {
			return fmt.Errorf("the emulated CPU has no %s: %s", flag, info)
		}
	}
	list, err := os.ReadFile("/list")
	if err != nil {
		return err
	}
	run, err := os.ReadFile("/run")
	if err != nil {
		return err
	}
	var failed error
	for line := range strings.Lines(string(list)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		c := exec.Command("/tests/"+name, "-test.v", "-test.short", "-test.run="+strings.TrimSpace(string(run)), "-test.timeout=0")
		c.Dir, c.Stdout, c.Stderr = dir, os.Stdout, os.Stderr
		c.Env = []string{"EDGECAM_ASSETS=none", "TMPDIR=/tmp", "HOME=/tmp"}
		if err := c.Run(); err != nil {
			failed = fmt.Errorf("%s: %w", name, err)
			fmt.Println("FAIL", failed)
		}
	}
	return failed
}
