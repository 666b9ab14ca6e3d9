package program

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterOf is a filter that answers one call, by its number, in one way and all
// others in another.
func filterOf(nr uintptr, answer, others uint32) []byte {
	var b []byte
	add := func(op uint16, jt, jf uint8, k uint32) {
		b = binary.NativeEndian.AppendUint16(b, op)
		b = append(b, jt, jf)
		b = binary.NativeEndian.AppendUint32(b, k)
	}
	add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, 0)
	add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, uint32(nr))
	add(unix.BPF_RET|unix.BPF_K, 0, 0, answer)
	add(unix.BPF_RET|unix.BPF_K, 0, 0, others)
	return b
}

// noNewPrivileges is what a filter needs without CAP_SYS_ADMIN.
func noNewPrivileges(a *Assembler) {
	a.Call(Discard, unix.SYS_PRCTL, Const(unix.PR_SET_NO_NEW_PRIVS), Const(1), Const(0), Const(0), Const(0))
}

const errnoAnswer = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)

// TestFilter: a filter holds from its instruction on, and a failure behind it is
// reported whatever the filter forbids.
func TestFilter(t *testing.T) {
	t.Run("holds", func(t *testing.T) {
		o := follow(t, launch(t, assemble(t, func(a *Assembler) {
			a.Call(Discard, unix.SYS_GETPPID)
			noNewPrivileges(a)
			a.Filter(Discard, 0, filterOf(unix.SYS_GETPPID, errnoAnswer, unix.SECCOMP_RET_ALLOW), true, ListenerTaken)
			a.Call(Discard, unix.SYS_GETPPID).Note("behind it")
		}), 0))
		if f := o.failure(t); f.Errno != unix.EPERM || f.Note != "behind it" || o.status != failureStatus {
			t.Errorf("%v, status %d", f, o.status)
		}
	})
	for _, answer := range []uint32{errnoAnswer, unix.SECCOMP_RET_KILL_PROCESS, unix.SECCOMP_RET_TRAP} {
		o := follow(t, launch(t, assemble(t, func(a *Assembler) {
			noNewPrivileges(a)
			a.Filter(Discard, 0, filterOf(unix.SYS_EXECVE, unix.SECCOMP_RET_ALLOW, answer), false, ListenerTaken)
			a.Call(Discard, unix.SYS_EXECVE, a.String("/no/such"), Const(0), Const(0)).Note("/no/such")
		}), 0))
		if f := o.failure(t); f.Errno != unix.ENOENT || f.Note != "/no/such" || o.status != 128+int(unix.SIGSEGV) {
			t.Errorf("answer %#x: %v, status %d", answer, f, o.status)
		}
	}
	t.Run("invalid", func(t *testing.T) {
		o := follow(t, launch(t, assemble(t, func(a *Assembler) {
			noNewPrivileges(a)
			a.Filter(Discard, 0, make([]byte, 8), true, ListenerTaken)
		}), 0))
		if f := o.failure(t); f.Errno != unix.EINVAL || SyscallName(f.Nr) != "seccomp" {
			t.Errorf("%v", f)
		}
	})
}

// TestListener traps every call there is, execve and exit_group too: nothing of what
// the child does between its filter and its execve may wait for the agent, who
// is only just getting the listener.
func TestListener(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	c := launch(t, assemble(t, func(a *Assembler) {
		noNewPrivileges(a)
		a.Call(Discard, unix.SYS_DUP3, constFd(w), Const(1), Const(0))
		a.Sync(1)
		a.Filter(Discard, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, filterOf(unix.SYS_EXECVE, unix.SECCOMP_RET_USER_NOTIF, unix.SECCOMP_RET_USER_NOTIF), false, ListenerTaken)
		a.Call(Discard, unix.SYS_EXECVE, a.String(self), a.Strings([]string{self}), a.Strings([]string{helperEnv + "=args"}))
	}), 0)
	w.Close()
	if e, err := c.Next(); err != nil || e.Token != 1 {
		t.Fatalf("%+v, %v", e, err)
	}
	if err := c.Continue(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan map[int32]bool, 1)
	err = c.Listener().Take(c.Pidfd, func(fd int) error {
		own, err := unix.Dup(fd)
		if err == nil {
			go func() { seen <- agent(own) }()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Next()
	if err != nil || !e.Started {
		t.Fatalf("%+v, %v", e, err)
	}
	if out, _ := io.ReadAll(r); len(out) == 0 {
		t.Error("the program did not run")
	}
	if status, err := c.Reap(); err != nil || status != 7 {
		t.Errorf("status %d, %v", status, err)
	}
	calls := <-seen
	for _, nr := range []int32{unix.SYS_EXECVE, unix.SYS_WRITE, unix.SYS_EXIT_GROUP} {
		if !calls[nr] {
			t.Errorf("the agent was not asked about %s", SyscallName(uintptr(nr)))
		}
	}
}

// agent lets every call go on until there are no more processes, and returns which
// there were.
func agent(fd int) map[int32]bool {
	defer unix.Close(fd)
	seen := map[int32]bool{}
	for {
		// struct seccomp_notif and seccomp_notif_resp (seccomp_unotify(2)).
		var request [10]uint64
		var response [3]uint64
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if fds[0].Revents&unix.POLLIN == 0 {
			return seen // nobody is left
		}
		if _, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&request))); e == unix.EINTR {
			continue
		} else if e != 0 {
			continue // it was killed meanwhile
		}
		seen[int32(request[2])] = true
		response[0], response[2] = request[0], 1<<32 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
		_, _, _ = syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&response)))
	}
}

// TestListenerRefused: a listener that cannot be handed over fails the child.
func TestListenerRefused(t *testing.T) {
	c := launch(t, assemble(t, func(a *Assembler) {
		noNewPrivileges(a)
		a.Filter(Discard, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, filterOf(unix.SYS_EXECVE, unix.SECCOMP_RET_USER_NOTIF, unix.SECCOMP_RET_USER_NOTIF), false, ListenerTaken)
		a.Exit(0)
	}), 0)
	gone := errors.New("the agent is gone")
	if err := c.Listener().Take(c.Pidfd, func(int) error { return gone }); err != gone {
		t.Errorf("%v", err)
	}
	if f := follow(t, c).failure(t); f.Errno != unix.ECANCELED {
		t.Errorf("%v", f)
	}
}

// TestListenerSent: behind a filter that leaves it one call, a child sends its listener;
// without that call it fails, and says why.
func TestListenerSent(t *testing.T) {
	sends := func(answer uint32) *Child {
		return launch(t, assemble(t, func(a *Assembler) {
			noNewPrivileges(a)
			a.Call(Discard, unix.SYS_PRCTL, Const(unix.PR_SET_DUMPABLE), Const(0), Const(0), Const(0), Const(0))
			a.Filter(Discard, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, filterOf(unix.SYS_SENDMSG, answer, unix.SECCOMP_RET_USER_NOTIF), false, ListenerToParent)
			a.Call(Discard, unix.SYS_EXECVE, a.String("/no/such"), Const(0), Const(0))
		}), 0)
	}
	t.Run("sent", func(t *testing.T) {
		c := sends(unix.SECCOMP_RET_ALLOW)
		var name string
		seen := make(chan map[int32]bool, 1)
		err := c.Listener().Take(-1, func(fd int) (err error) {
			if name, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err != nil {
				return err
			}
			own, err := unix.Dup(fd)
			if err == nil {
				go func() { seen <- agent(own) }()
			}
			return err
		})
		if err != nil || name != "anon_inode:seccomp notify" {
			t.Fatalf("%q, %v", name, err)
		}
		if f := follow(t, c).failure(t); f.Errno != unix.ENOENT {
			t.Errorf("%v", f)
		}
		if calls := <-seen; !calls[unix.SYS_EXECVE] || calls[unix.SYS_SENDMSG] {
			t.Errorf("the agent was asked about %v", calls)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		c := sends(errnoAnswer)
		if err := c.Listener().Take(c.Pidfd, func(int) error { return nil }); err != os.ErrProcessDone {
			t.Errorf("%v", err)
		}
		if f := follow(t, c).failure(t); f.Errno != unix.EPERM || SyscallName(f.Nr) != "seccomp" {
			t.Errorf("%v", f)
		}
	})
}

// TestListenerOfDead: a child that ends before its filter is not waited for.
func TestListenerOfDead(t *testing.T) {
	c := launch(t, assemble(t, func(a *Assembler) { a.Fail(unix.EIO, "before") }), 0)
	done := make(chan error, 1)
	go func() { done <- c.Listener().Take(c.Pidfd, func(int) error { return nil }) }()
	select {
	case err := <-done:
		if err != os.ErrProcessDone {
			t.Errorf("%v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting")
	}
	follow(t, c)
}
