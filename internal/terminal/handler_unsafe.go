//go:build amd64 || arm64 || riscv64

package terminal

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// action is the kernel's struct sigaction: the handler, then flags, restorer and mask in
// an order that differs by architecture and does not matter here.
type action [4]uint64

// handlers returns the addresses of the two signal handlers, which are assembly and know
// nothing of Go. plain writes the signal's number, a byte, into the pipe. So does fault, for
// signals that can be a thread's own fault: then, as si_code tells, the Go runtime's
// handler goes on, at golang.
func handlers(pipe int, golang uintptr) (plain, fault uintptr)

// golangs is the action of the Go runtime for its own signals.
// That of SIGURG is one on every Linux: what its handlers need,
// a stack aside above all, ours need too (os/signal, "Go programs that use cgo").
func golangs() (own action, err error) {
	err = sigaction(unix.SIGURG, nil, &own)
	return own, err
}

// install has the handlers called for a signal, as the Go runtime's own are, and returns
// what was done with it before.
func install(sig unix.Signal, writing int, own action) (before action, err error) {
	plain, fault := handlers(writing, uintptr(own[0]))
	own[0] = uint64(plain)
	if isFault(sig) {
		own[0] = uint64(fault)
	}
	return before, sigaction(sig, &own, &before)
}

// restore undoes install.
func restore(sig unix.Signal, before action) { _ = sigaction(sig, &before, nil) }

func sigaction(sig unix.Signal, to, from *action) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(from)), 8, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	return nil
}

// isFault says whether a signal can come of what a thread does.
func isFault(sig unix.Signal) bool {
	switch sig {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS:
		return true
	}
	return false
}
