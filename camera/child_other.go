//go:build !unix

package camera

import "os/exec"

func ownGroup(*exec.Cmd) {}

// kill ends cmd. A program that has ended already is none.
func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
