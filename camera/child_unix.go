//go:build unix

package camera

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt from the terminal away from cmd, which is ours
// to end, and lets kill reach what it has started.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// kill ends cmd and what it has started. A program that has ended already is none.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()                              // marks it as killed even if the group is gone
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the others of its group
}
