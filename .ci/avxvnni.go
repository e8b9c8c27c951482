//go:build linux && amd64

// Command avxvnni runs a program and does for it what a CPU without AVX-VNNI
// cannot: the VEX encoding of VPDPBUSD between registers. It traces the program
// by ptrace; an instruction costs microseconds. "make test-vnni" uses it.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	getRegset, setRegset = 0x4204, 0x4205
	xstate               = 0x202
	exitKill             = 0x100000
	// Where XSAVE's standard format has the state's bits and the vectors' halves.
	stateBits, low, high = 512, 160, 576
)

func main() {
	runtime.LockOSThread() // ptrace belongs to a thread
	emulated, err := trace(os.Args[1:])
	fmt.Fprintf(os.Stderr, "avxvnni: %d instructions emulated\n", emulated)
	if err != nil {
		fmt.Fprintln(os.Stderr, "avxvnni:", err)
		os.Exit(1)
	}
}

// trace runs a command until it exits and returns how many instructions it
// emulated for it.
func trace(args []string) (emulated int, err error) {
	c := exec.Command(args[0], args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := c.Start(); err != nil {
		return 0, err
	}
	main := c.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(main, &status, 0, nil); err != nil {
		return 0, err
	}
	if err := syscall.PtraceSetOptions(main, syscall.PTRACE_O_TRACECLONE|exitKill); err != nil {
		return 0, fmt.Errorf("ptrace: %w", err)
	}
	started := map[int]bool{main: true}
	for pid, signal := main, 0; ; {
		if err := syscall.PtraceCont(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return emulated, err
		}
		for {
			if pid, err = syscall.Wait4(-1, &status, syscall.WALL, nil); err != nil {
				return emulated, err
			}
			if status.Stopped() {
				break
			}
			delete(started, pid) // a later thread may get its number
			if pid == main && (status.Exited() || status.Signaled()) {
				if code := status.ExitStatus(); code != 0 {
					return emulated, fmt.Errorf("exit status %d", code)
				}
				return emulated, nil
			}
		}
		signal = int(status.StopSignal())
		switch {
		case status.StopSignal() == syscall.SIGTRAP:
			signal = 0
		case status.StopSignal() == syscall.SIGSTOP && !started[pid]:
			started[pid], signal = true, 0
		case status.StopSignal() == syscall.SIGILL:
			done, err := emulate(pid)
			if err != nil {
				return emulated, err
			}
			if done {
				emulated++
				signal = 0
			}
		}
	}
}

// emulate executes the instruction at which a thread stopped, if it is
// VPDPBUSD.
func emulate(pid int) (bool, error) {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(pid, &regs); err != nil {
		return false, err
	}
	code := make([]byte, 5)
	if _, err := syscall.PtracePeekText(pid, uintptr(regs.Rip), code); err != nil {
		return false, err
	}
	// VEX in three bytes, map 0F38, W0, prefix 66, two registers.
	if code[0] != 0xc4 || code[1]&0x1f != 2 || code[2]&0x83 != 1 || code[3] != 0x50 || code[4]&0xc0 != 0xc0 {
		return false, nil
	}
	acc := int(^code[1]>>7&1<<3 | code[4]>>3&7)
	w := int(^code[1]>>5&1<<3 | code[4]&7)
	x := int(^code[2] >> 3 & 15)
	state := make([]byte, 1<<14)
	n, err := regset(getRegset, pid, state)
	if err != nil {
		return false, err
	}
	bits := binary.LittleEndian.Uint64(state[stateBits:])
	if bits&4 == 0 {
		clear(state[high : high+256])
	}
	if bits&2 == 0 {
		clear(state[low : low+256])
	}
	binary.LittleEndian.PutUint64(state[stateBits:], bits|6)
	halves := []int{low}
	if code[2]&4 != 0 {
		halves = append(halves, high)
	} else {
		clear(state[high+16*acc:][:16])
	}
	for _, half := range halves {
		for i := 0; i < 16; i += 4 {
			at := state[half+16*acc+i:]
			sum := int32(binary.LittleEndian.Uint32(at))
			for j := range 4 {
				sum += int32(state[half+16*x+i+j]) * int32(int8(state[half+16*w+i+j]))
			}
			binary.LittleEndian.PutUint32(at, uint32(sum))
		}
	}
	if _, err := regset(setRegset, pid, state[:n]); err != nil {
		return false, err
	}
	regs.Rip += uint64(len(code))
	return true, syscall.PtraceSetRegs(pid, &regs)
}

// regset reads or writes the vector registers of a thread.
func regset(request, pid int, state []byte) (int, error) {
	v := syscall.Iovec{Base: &state[0], Len: uint64(len(state))}
	_, _, e := syscall.Syscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(pid), xstate, uintptr(unsafe.Pointer(&v)), 0, 0)
	if e != 0 {
		return 0, fmt.Errorf("vector registers: %w", e)
	}
	return int(v.Len), nil
}
