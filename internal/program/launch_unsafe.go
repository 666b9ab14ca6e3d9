package program

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Program is code ready to be launched any number of times.
type Program struct {
	code   []instr
	origin []Origin
	arena  []byte
}

func newProgram(code []instr, origin []Origin, arena []byte, relocs []reloc) *Program {
	p := &Program{code: code, origin: origin, arena: arena}
	// The arena has its final place now: the collector does not move memory.
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(arena))))
	for _, r := range relocs {
		*(*uint64)(unsafe.Pointer(&arena[r.at])) = base + uint64(r.to)
	}
	return p
}

// Len is the number of instructions.
func (p *Program) Len() int { return len(p.code) }

// Origins lists, by index, where the instructions came from.
func (p *Program) Origins() []Origin { return p.origin }

// Options says what clone3(2) makes for the child.
type Options struct {
	// Flags are CLONE_NEW* flags. Neither CLONE_VM nor CLONE_PIDFD may be
	// among them; the latter is always set.
	Flags uint64
	// CgroupFd is the directory of the cgroup v2 to be born in
	// (CLONE_INTO_CGROUP), or -1.
	CgroupFd int
	// Prepare, if set, runs on the OS thread that will clone, just before it
	// does, and Restore on the same thread just after. They serve what a child
	// inherits from the calling thread alone: v1 cgroups, pid namespaces.
	Prepare func() error
	Restore func() error
}

// Child is a launched Program.
type Child struct {
	Pid   int
	Pidfd int // owned by Child until Release

	program *Program
	sync    int
	rep     *report
}

// Launch clones a process and has it interpret the Program. The process is a
// child of the calling one; it sees end-of-file at its next sync point if the
// caller dies.
//
// Errors are those of clone3(2) as *os.SyscallError, and of what Launch itself
// needs; a failure of the Program comes from [Child.Next].
func (p *Program) Launch(opt Options) (_ *Child, err error) {
	rep, err := newReport()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		rep.free()
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[1])
	c := &Child{Pidfd: -1, program: p, sync: pair[0], rep: rep}
	defer func() {
		if err != nil {
			c.Release()
		}
	}()

	var pidfd int32 = -1
	ca := &cloneArgs{
		flags:      opt.Flags | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND,
		pidfd:      uint64(uintptr(unsafe.Pointer(&pidfd))),
		exitSignal: uint64(unix.SIGCHLD),
	}
	if opt.CgroupFd >= 0 {
		ca.flags |= unix.CLONE_INTO_CGROUP
		ca.cgroup = uint64(opt.CgroupFd)
	}
	pid, err := p.clone(ca, rep, pair, opt)
	runtime.KeepAlive(&pidfd)
	if err != nil {
		return nil, err
	}
	c.Pid, c.Pidfd = int(pid), int(pidfd)
	return c, nil
}

// clone blocks every signal on one OS thread, forks there, and restores the mask.
func (p *Program) clone(ca *cloneArgs, rep *report, pair [2]int, opt Options) (pid uintptr, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if opt.Prepare != nil {
		if err := opt.Prepare(); err != nil {
			return 0, err
		}
	}

	rep.closeFirst = uint64(pair[0])
	all, old := ^uint64(0), uint64(0)
	sigmask := func(set, old *uint64) {
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
			uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	}
	sigmask(&all, &old)
	pid, errno := fork(ca, unsafe.Pointer(unsafe.SliceData(p.code)), uintptr(len(p.code)),
		uintptr(unsafe.Pointer(unsafe.SliceData(p.arena))), rep, uintptr(pair[1]))
	sigmask(&old, nil)
	runtime.KeepAlive(p)

	if opt.Restore != nil {
		err = opt.Restore()
	}
	if errno != 0 {
		return 0, os.NewSyscallError("clone3", errno)
	}
	if err != nil {
		// The child exists but its maker's thread is not where it should be:
		// without its parent's answer the child ends at its first sync point.
		_ = unix.Kill(int(pid), unix.SIGKILL)
	}
	return pid, err
}

// Event is what [Child.Next] saw.
type Event struct {
	// Token is the sync point that the child waits at, or zero.
	Token byte
	// Started says that the child executed its last instruction, an execve,
	// with success, or (for a Program that waits for a peer) left the parent's care.
	Started bool
}

// Next waits for the child's next sync point, for its execve, or for its end.
// A Program that failed yields a *[Failure].
func (c *Child) Next() (Event, error) {
	for {
		fds := []unix.PollFd{
			{Fd: int32(c.sync), Events: unix.POLLIN},
			{Fd: int32(c.Pidfd), Events: unix.POLLIN},
		}
		if _, err := unix.Ppoll(fds, nil, nil); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return Event{}, os.NewSyscallError("ppoll", err)
		}
		if fds[0].Revents == 0 {
			return Event{}, c.failure()
		}
		var token [1]byte
		n, err := unix.Read(c.sync, token[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case n == 1:
			return Event{Token: token[0]}, nil
		default:
			// End of file, or ECONNRESET if our answer was never read: the
			// child gave up its end by execve, by closing it, or by dying.
			if c.rep.state == stateRunning && c.atExec() {
				return Event{Started: true}, nil
			}
			return Event{}, c.failure()
		}
	}
}

// atExec says whether the instruction that the child began last is an execve. A
// child that is killed in the middle of it counts as started: nobody can tell.
func (c *Child) atExec() bool {
	pc := int(c.rep.pc)
	return pc < len(c.program.code) && c.program.code[pc].op == opCall &&
		(c.program.code[pc].nr == unix.SYS_EXECVE || c.program.code[pc].nr == unix.SYS_EXECVEAT)
}

// failure waits for the child's death and says where it happened.
func (c *Child) failure() error {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PIDFD, c.Pidfd, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	f := &Failure{Errno: syscall.Errno(c.rep.errno), Message: c.rep.kernelMessage()}
	if pc := int(c.rep.pc); pc < len(c.program.origin) {
		f.Origin, f.Index = c.program.origin[pc], pc
	}
	if c.rep.state != stateFailed {
		f.Killed = true
		f.Errno = 0
		// siginfo's union: after pid and uid (28 bytes from its start on 64-bit
		// machines with signo, errno, code and padding) comes si_status.
		f.Status = int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), 24)))
		f.BySignal = info.Code == cldKilled || info.Code == cldDumped
	}
	return f
}

// Codes of siginfo for SIGCHLD (sigaction(2)).
const (
	cldKilled = 2
	cldDumped = 3
)

// Continue lets the child go on from its sync point.
func (c *Child) Continue() error {
	err := unix.Sendto(c.sync, []byte{1}, unix.MSG_NOSIGNAL, nil)
	return os.NewSyscallError("sendto", err)
}

// Value is what the child published last in this slot. It comes from the
// child's memory: check it before use.
func (c *Child) Value(slot int) uint64 { return c.rep.values[slot] }

// Scratch copies the child's scratch memory.
func (c *Child) Scratch() []byte { return append([]byte(nil), c.rep.scratch[:]...) }

// Kill ends the child at once.
func (c *Child) Kill() error { return unix.PidfdSendSignal(c.Pidfd, unix.SIGKILL, nil, 0) }

// Reap waits for the child's end and removes the zombie. It returns the exit
// status, or 128 plus the number of the signal that killed it.
func (c *Child) Reap() (int, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PIDFD, c.Pidfd, &info, unix.WEXITED, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, os.NewSyscallError("waitid", err)
		}
		status := int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), 24)))
		if info.Code == cldKilled || info.Code == cldDumped {
			status += 128
		}
		return status, nil
	}
}

// Release closes the parent's side. A child at a sync point, or before one,
// sees it and ends; a child that was started is not affected.
func (c *Child) Release() {
	if c.sync >= 0 {
		_ = unix.Close(c.sync)
		c.sync = -1
	}
	if c.Pidfd >= 0 {
		_ = unix.Close(c.Pidfd)
		c.Pidfd = -1
	}
	if c.rep != nil {
		c.rep.free()
		c.rep = nil
	}
}

// Failure is a Program that did not reach its end.
type Failure struct {
	Origin
	Index    int           // of the instruction
	Errno    syscall.Errno // of the call, zero if the child was killed
	Message  string        // the kernel's own words, if it had any
	Killed   bool          // the child died in the middle
	BySignal bool          // by signal Status, else it exited with Status
	Status   int
}

// Error says what the failed call was; the caller adds the step's words.
func (f *Failure) Error() string {
	what := SyscallName(f.Nr)
	if f.Note != "" {
		if what != "" {
			what += " "
		}
		what += f.Note
	}
	switch {
	case f.Killed && f.BySignal:
		return fmt.Sprintf("%s: the container's first process was killed by signal %d (%s)", what, f.Status, unix.SignalName(unix.Signal(f.Status)))
	case f.Killed:
		return fmt.Sprintf("%s: the container's first process ended with status %d", what, f.Status)
	case f.Message != "":
		return fmt.Sprintf("%s: %s (%s)", what, f.Message, unix.ErrnoName(f.Errno))
	}
	return fmt.Sprintf("%s: %s (%s)", what, f.Errno.Error(), unix.ErrnoName(f.Errno))
}

// Unwrap returns the errno, so that errors.Is works on it.
func (f *Failure) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return f.Errno
}
