package program

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAside: what the process aside opens stays, what else it does is its own.
func TestAside(t *testing.T) {
	dir := t.TempDir()
	const kept = 200 // the number that it leaves its file at
	o := run(t, 0, func(a *Assembler) {
		a.Call(Discard, unix.SYS_UMASK, Const(0o77))
		r, after := a.Reg(), a.NewLabel()
		a.Call(r, unix.SYS_GETPID)
		a.Publish(0, r.Arg())
		a.Aside(after)
		a.Call(r, unix.SYS_GETPID)
		a.Publish(1, r.Arg())
		a.Call(r, unix.SYS_GETPPID)
		a.Publish(2, r.Arg())
		a.Sync('a')
		a.Call(Discard, unix.SYS_UMASK, Const(0))
		a.Call(Discard, unix.SYS_CHDIR, a.String(dir))
		a.Call(r, unix.SYS_OPENAT, Const(unix.AT_FDCWD), a.String("aside"), Const(unix.O_CREAT|unix.O_WRONLY), Const(0o666))
		a.Call(Discard, unix.SYS_DUP3, r.Arg(), Const(kept), Const(unix.O_CLOEXEC))
		a.Return()
		a.Bind(after)
		a.Publish(3, r.Arg())
		a.Call(Discard, unix.SYS_OPENAT, Const(kept), a.String(""), Const(unix.O_RDONLY), Const(0)).Tolerate(unix.ENOENT, unix.ENOTDIR)
		a.Call(Discard, unix.SYS_WRITE, Const(kept), a.String("x"), Const(1))
		a.Call(r, unix.SYS_UMASK, Const(0))
		a.Publish(4, r.Arg())
		a.Call(Discard, unix.SYS_OPENAT, Const(unix.AT_FDCWD), a.String("aside"), Const(unix.O_RDONLY), Const(0)).Tolerate(unix.ENOENT)
		a.Sync('b')
		a.Exit(5)
	})
	o.wantExit(t, 5)
	if string(o.tokens) != "ab" {
		t.Errorf("tokens %q", o.tokens)
	}
	if o.Value(0) != uint64(o.Pid) || o.Value(1) == o.Value(0) || o.Value(2) != o.Value(0) {
		t.Errorf("the process is %d, aside is %d, whose parent is %d", o.Value(0), o.Value(1), o.Value(2))
	}
	if o.Value(3) != o.Value(0) {
		t.Errorf("the register is %d afterwards, was %d", o.Value(3), o.Value(0))
	}
	if o.Value(4) != 0o77 {
		t.Errorf("the umask is %#o", o.Value(4))
	}
	text, err := os.ReadFile(filepath.Join(dir, "aside"))
	if err != nil || string(text) != "x" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if st, err := os.Stat(filepath.Join(dir, "aside")); err != nil || st.Mode().Perm() != 0o666 {
		t.Errorf("the file's mode is %v, %v", st.Mode(), err)
	}
	noChildren(t)
}

// TestAsideFails: a failure aside is the Program's, and so is a death.
func TestAsideFails(t *testing.T) {
	o := run(t, 0, func(a *Assembler) {
		after := a.NewLabel()
		a.Aside(after)
		a.Step(4)
		a.Call(Discard, unix.SYS_CLOSE, Const(-1)).Note("aside")
		a.Return()
		a.Bind(after)
		a.Exit(0)
	})
	if f := o.failure(t); f.Errno != unix.EBADF || f.Step != 4 || f.Note != "aside" || f.Killed || o.status != failureStatus {
		t.Errorf("%+v, status %d", f, o.status)
	}

	r, _ := pipe(t)
	c := launch(t, assemble(t, func(a *Assembler) {
		pid, after := a.Reg(), a.NewLabel()
		a.Aside(after)
		a.Call(pid, unix.SYS_GETPID)
		a.Publish(0, pid.Arg())
		a.Step(6)
		a.Call(Discard, unix.SYS_READ, constFd(r), Scratch(0), Const(1)).Note("pipe")
		a.Return()
		a.Bind(after)
		a.Exit(0)
	}), 0)
	waitForPC(t, c, 3)
	if err := unix.Kill(int(c.Value(0)), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	o = follow(t, c)
	if f := o.failure(t); !f.Killed || !f.BySignal || f.Status != 9 || f.Step != 6 {
		t.Errorf("%+v, status %d", f, o.status)
	}
	noChildren(t)
}

// TestAsideOrphan: it ends with the process that made it.
func TestAsideOrphan(t *testing.T) {
	r, _ := pipe(t)
	c := launch(t, assemble(t, func(a *Assembler) {
		pid, after := a.Reg(), a.NewLabel()
		a.Aside(after)
		a.Call(pid, unix.SYS_GETPID)
		a.Publish(0, pid.Arg())
		a.Call(Discard, unix.SYS_READ, constFd(r), Scratch(0), Const(1)).Note("pipe")
		a.Return()
		a.Bind(after)
		a.Exit(0)
	}), 0)
	waitForPC(t, c, 3)
	aside, err := unix.PidfdOpen(int(c.Value(0)), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(aside)
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	fds := []unix.PollFd{{Fd: int32(aside), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int((10 * time.Second).Milliseconds()))
	for err == unix.EINTR { // SIGCHLD, of the child
		n, err = unix.Poll(fds, int((10 * time.Second).Milliseconds()))
	}
	if n != 1 || err != nil {
		t.Errorf("it lives on: %d, %v", n, err)
	}
	if status, err := c.Reap(); status != 128+9 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}
