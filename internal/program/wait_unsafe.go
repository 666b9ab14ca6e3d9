package program

import (
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Child is a launched Program. Its methods are for one goroutine at a time, but
// for [Child.Kill], which may be called beside any but [Child.Release]. After
// that, values are zero and methods return [os.ErrClosed].
type Child struct {
	Pid   int
	Pidfd int // owned by Child until Release

	mu      sync.Mutex // held while Pid and Pidfd change
	program *Program
	sync    int
	rep     *report
}

// Event is what [Child.Next] saw.
type Event struct {
	// Token is the sync point that the child waits at, or zero.
	Token byte
	// Started says that the child executed its last instruction, an execve,
	// with success.
	Started bool
	// Exited says that the child ended with [Assembler.Exit]; [Child.Reap]
	// returns the status.
	Exited bool
}

// Next waits for the child's next sync point, for its execve, or for its end.
// A Program that failed, or a child that died, yields a *[Failure].
//
// After Started or Exited, Next says the same again.
func (c *Child) Next() (Event, error) {
	event, _, err := c.next(nil)
	return event, err
}

// Poll is [Child.Next] for a caller that has to look elsewhere from time to time:
// happened is false if there was nothing before the timeout.
func (c *Child) Poll(timeout time.Duration) (event Event, happened bool, err error) {
	limit := unix.NsecToTimespec(timeout.Nanoseconds())
	return c.next(&limit)
}

func (c *Child) next(timeout *unix.Timespec) (event Event, happened bool, err error) {
	for {
		pidfd, err := c.follow()
		if err != nil {
			return Event{}, false, err
		}
		fds := []unix.PollFd{
			{Fd: int32(c.sync), Events: unix.POLLIN},
			{Fd: int32(pidfd), Events: unix.POLLIN},
		}
		if n, err := unix.Ppoll(fds, timeout, nil); err == unix.EINTR {
			continue
		} else if err != nil {
			return Event{}, false, os.NewSyscallError("ppoll", err)
		} else if n == 0 {
			return Event{}, false, nil
		}
		if now, err := c.follow(); err != nil {
			return Event{}, false, err
		} else if fds[0].Revents == 0 && now != pidfd {
			continue // it was the end of the process that forked
		}
		// A dying process closes its descriptors before its pidfd tells, so that
		// silence on the socket means that another process has the child's end.
		if fds[0].Revents == 0 {
			event, err = c.end()
			return event, true, err
		}
		var token [1]byte
		switch n, err := unix.Read(c.sync, token[:]); {
		case err == unix.EINTR:
		case n == 1:
			return Event{Token: token[0]}, true, nil
		case err != nil && err != unix.ECONNRESET: // the latter: it died before it read our answer
			return Event{}, false, os.NewSyscallError("read", err)
		default:
			event, err = c.end()
			return event, true, err
		}
	}
}

// end says what end-of-file on the socket means: the child gave up its end by
// execve, or by ending.
func (c *Child) end() (Event, error) {
	in := c.current()
	switch {
	case c.rep.state == stateExited:
		return Event{Exited: true}, nil
	case c.rep.state == stateRunning && in != nil && in.op == opCall &&
		(in.nr == unix.SYS_EXECVE || in.nr == unix.SYS_EXECVEAT):
		// A child that is killed in the middle of the call counts as started:
		// nobody can tell.
		return Event{Started: true}, nil
	}
	return Event{}, c.failure()
}

// current is the instruction that the child began last, or nil.
func (c *Child) current() *instr {
	if pc := int(c.rep.pc); pc < len(c.program.code) {
		return &c.program.code[pc]
	}
	return nil
}

// follow makes the process that [Assembler.Fork] made the child, and reaps the
// one that forked, which does nothing any more. It returns the child's pidfd.
func (c *Child) follow() (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rep == nil {
		return -1, os.ErrClosed
	}
	pid := int(c.rep.forked)
	if pid == 0 || pid == c.Pid {
		return c.Pidfd, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, os.NewSyscallError("pidfd_open", err)
	}
	// The number comes out of the child's memory: only a child of ours will do,
	// whose pid cannot have been used again, since nobody has reaped it.
	if _, err := wait(fd, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	_ = unix.PidfdSendSignal(c.Pidfd, unix.SIGKILL, nil, 0)
	_, err = wait(c.Pidfd, unix.WEXITED)
	_ = unix.Close(c.Pidfd)
	c.Pid, c.Pidfd = pid, fd
	return fd, err
}

// failure waits for the child's death and says where it happened.
func (c *Child) failure() error {
	info, err := wait(c.Pidfd, unix.WEXITED|unix.WNOWAIT)
	if err != nil {
		return err
	}
	f := &Failure{Errno: syscall.Errno(c.rep.errno), Message: c.rep.kernelMessage()}
	if pc := int(c.rep.pc); pc < len(c.program.origin) {
		f.Origin, f.Index = c.program.origin[pc], pc
	}
	if c.rep.state != stateFailed {
		f.Killed = true
		f.Errno = 0
		f.Status, f.BySignal = int(info.status), info.bySignal()
		if aside := syscall.WaitStatus(c.rep.aside); aside.Signaled() {
			f.Status, f.BySignal = int(aside.Signal()), true
		}
	}
	return f
}

// Continue lets the child go on from its sync point. If it died there, the
// error is a *[Failure].
func (c *Child) Continue() error {
	if c.rep == nil {
		return os.ErrClosed
	}
	err := unix.Sendto(c.sync, []byte{1}, unix.MSG_NOSIGNAL, nil)
	if err == unix.EPIPE || err == unix.ECONNRESET {
		// Only where the end of the socket means the end of the process: to wait
		// for that of a container would take long.
		if in := c.current(); in != nil && in.op == opSync {
			return c.failure()
		}
	}
	return os.NewSyscallError("sendto", err)
}

// Value is what the child published last in this slot. It comes from the
// child's memory: check it before use.
func (c *Child) Value(slot int) uint64 {
	if c.rep == nil {
		return 0
	}
	return c.rep.values[slot]
}

// Await waits until the child has published in the slot something that is not zero, or is at
// a sync point, or has ended. It looks every 100 µs: the child says nothing meanwhile.
func (c *Child) Await(slot int) {
	pause := unix.NsecToTimespec(100_000)
	for c.rep != nil && c.rep.values[slot] == 0 {
		poll := []unix.PollFd{{Fd: int32(c.sync), Events: unix.POLLIN}}
		if n, err := unix.Ppoll(poll, &pause, nil); n > 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}

// Scratch copies the child's scratch memory.
func (c *Child) Scratch() []byte {
	if c.rep == nil {
		return nil
	}
	return append([]byte(nil), c.rep.scratch[:]...)
}

// Listener is that of the child's filter.
func (c *Child) Listener() *Listener { return &Listener{rep: c.rep, conn: c.sync} }

// Kill ends the child at once.
func (c *Child) Kill() error {
	pidfd, err := c.follow()
	if err != nil {
		return err
	}
	return os.NewSyscallError("pidfd_send_signal", unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0))
}

// Reap waits for the child's end and removes the zombie. It returns the exit
// status, or 128 plus the number of the signal that killed it.
func (c *Child) Reap() (int, error) {
	for {
		pidfd, err := c.follow()
		if err != nil {
			return 0, err
		}
		_, err = wait(pidfd, unix.WEXITED|unix.WNOWAIT)
		if now, ferr := c.follow(); ferr != nil {
			return 0, ferr
		} else if now != pidfd {
			continue // it ended because it forked
		}
		if err != nil {
			return 0, err
		}
		info, err := wait(pidfd, unix.WEXITED)
		if err != nil {
			return 0, err
		}
		status := int(info.status)
		if info.bySignal() {
			status += 128
		}
		return status, nil
	}
}

// Release closes the parent's side. A child at a sync point, or before one,
// sees it and ends; a child that was started is not affected. The zombie of an
// ended child is [Child.Reap]'s business, before this.
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

// waitInfo is siginfo_t as waitid(2) fills it for a child, on 64-bit machines:
// the union begins at byte 16 with pid and uid, and si_status is at byte 24.
type waitInfo struct {
	signo, errno, code int32
	_                  int32
	pid, uid, status   int32
	_                  [25]int32
}

// Both must be siginfo_t; this does not compile otherwise.
const _ = -uint(unsafe.Sizeof(waitInfo{}) ^ unsafe.Sizeof(unix.Siginfo{}))

// bySignal says whether status is the number of a signal (CLD_KILLED,
// CLD_DUMPED), not an exit status.
func (i *waitInfo) bySignal() bool { return i.code == 2 || i.code == 3 }

// wait is waitid(2) on a pidfd, again if interrupted.
func wait(pidfd, options int) (info waitInfo, err error) {
	for {
		err = unix.Waitid(unix.P_PIDFD, pidfd, (*unix.Siginfo)(unsafe.Pointer(&info)), options, nil)
		if err != unix.EINTR {
			return info, os.NewSyscallError("waitid", err)
		}
	}
}
