package program

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waitForPC waits until the child has begun the instruction, and a little for
// the kernel to enter it.
func waitForPC(t testing.TB, c *Child, pc uint32) {
	t.Helper()
	for range 5000 {
		if c.rep.pc == pc {
			time.Sleep(5 * time.Millisecond)
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("the child is at instruction %d, want %d", c.rep.pc, pc)
}

// TestFailure checks every field of a failed call's report.
func TestFailure(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	o := run(t, 0, func(a *Assembler) {
		a.Step(3)
		a.Call(Discard, unix.SYS_GETPID).Note("not this")
		a.Step(7)
		a.Call(Discard, unix.SYS_OPENAT, Const(unix.AT_FDCWD), a.String(missing), Const(unix.O_RDONLY), Const(0)).Note(missing)
		a.Step(8)
		a.Exit(0)
	})
	f := o.failure(t)
	want := Failure{Origin: Origin{7, unix.SYS_OPENAT, missing}, Index: 1, Errno: unix.ENOENT}
	if *f != want {
		t.Errorf("%+v, want %+v", *f, want)
	}
	if o.status != failureStatus {
		t.Errorf("status %d", o.status)
	}
	if !errors.Is(o.err, unix.ENOENT) || !errors.Is(o.err, os.ErrNotExist) {
		t.Errorf("%v is not ENOENT", o.err)
	}
	if text := "openat " + missing + ": no such file or directory (ENOENT)"; o.err.Error() != text {
		t.Errorf("%q, want %q", o.err, text)
	}
}

// TestExecveFailure: an execve that fails is a failure, not a start, and one
// that fails with an errno that has a label is neither.
func TestExecveFailure(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	execve := func(a *Assembler, path string) Call {
		return a.Call(Discard, unix.SYS_EXECVE, a.String(path), a.Strings([]string{path}), a.Strings(nil)).Note(path)
	}
	o := run(t, 0, func(a *Assembler) { execve(a, missing) })
	if f := o.failure(t); f.Errno != unix.ENOENT || f.Nr != unix.SYS_EXECVE || f.Note != missing || f.Killed {
		t.Errorf("%+v", f)
	}
	o = run(t, 0, func(a *Assembler) {
		execve(a, missing).Tolerate(unix.ENOENT)
		execve(a, "/").Tolerate(unix.EACCES)
		a.Exit(3)
	})
	o.wantExit(t, 3)
}

// TestKernelMessage has the kernel explain a mount option.
func TestKernelMessage(t *testing.T) {
	needRoot(t)
	tests := []struct {
		name   string
		broken func(a *Assembler, fs Reg)
		errno  unix.Errno
		has    string
	}{
		{"fsconfig", func(a *Assembler, fs Reg) {
			a.Call(Discard, unix.SYS_FSCONFIG, fs.Arg(), Const(unix.FSCONFIG_SET_STRING), a.String("size"), a.String("bogus"), Const(0)).
				Message(fs).Note("size=bogus")
		}, unix.EINVAL, "size"},
		{"another call", func(a *Assembler, fs Reg) {
			// Not fsconfig's own complaint, but what the context has in its log.
			a.Call(Discard, unix.SYS_FSCONFIG, fs.Arg(), Const(unix.FSCONFIG_SET_STRING), a.String("nr_inodes"), a.String("many"), Const(0)).Tolerate(unix.EINVAL)
			a.Call(Discard, unix.SYS_CLOSE, Const(-1)).Message(fs).Note("size=bogus")
		}, unix.EBADF, "nr_inodes"},
		{"no message", func(a *Assembler, fs Reg) {
			a.Call(Discard, unix.SYS_CLOSE, Const(-1)).Message(fs).Note("size=bogus")
		}, unix.EBADF, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := run(t, unix.CLONE_NEWNS, func(a *Assembler) {
				fs := a.Reg()
				a.Call(fs, unix.SYS_FSOPEN, a.String("tmpfs"), Const(unix.FSOPEN_CLOEXEC))
				a.Step(2)
				tt.broken(a, fs)
			})
			f := o.failure(t)
			if f.Errno != tt.errno || f.Step != 2 || f.Note != "size=bogus" {
				t.Errorf("%+v", f)
			}
			if (tt.has == "") != (f.Message == "") || !strings.Contains(f.Message, tt.has) {
				t.Errorf("message %q, want one with %q", f.Message, tt.has)
			}
			if strings.ContainsAny(f.Message, "\n") || strings.HasPrefix(f.Message, "e ") {
				t.Errorf("message %q is raw", f.Message)
			}
			if f.Message != "" && !strings.Contains(f.Error(), " size=bogus: "+f.Message+" (") {
				t.Errorf("error %q lacks the message", f)
			}
		})
	}
}

// TestReportText is what becomes of the log of an fs context, and of a page that
// holds nonsense.
func TestReportText(t *testing.T) {
	long := strings.Repeat("x", messageSize)
	tests := []struct {
		log  string
		n    int
		want string
	}{
		{"e tmpfs: Bad value for 'size'\n", -1, "tmpfs: Bad value for 'size'"},
		{"w first\ne second\n", -1, "first; second"},
		{"e without end", -1, "without end"},
		{"no level\n", -1, "no level"},
		{"\n\n", -1, ""},
		{"", -1, ""},
		{long, 1 << 30, long},
		{"e cut here", 5, "cut"},
	}
	for _, tt := range tests {
		var r report
		copy(r.words[:], tt.log)
		if tt.n < 0 {
			tt.n = len(tt.log)
		}
		r.wordsLen = uint32(tt.n)
		if got := r.kernelMessage(); got != tt.want {
			t.Errorf("%.40q becomes %.40q, want %.40q", tt.log, got, tt.want)
		}
	}
}

// TestKilled ends a child from outside in the middle of a call.
func TestKilled(t *testing.T) {
	r, _ := pipe(t)
	c := launch(t, assemble(t, func(a *Assembler) {
		a.Sync('s')
		a.Step(3)
		a.Call(Discard, unix.SYS_READ, constFd(r), Scratch(0), Const(1)).Note("a pipe that stays empty")
		a.Exit(0)
	}), 0)
	if ev, err := c.Next(); err != nil || ev.Token != 's' {
		t.Fatal(ev, err)
	}
	if err := c.Continue(); err != nil {
		t.Fatal(err)
	}
	waitForPC(t, c, 1)
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	o := follow(t, c)
	want := Failure{Origin: Origin{3, unix.SYS_READ, "a pipe that stays empty"}, Index: 1,
		Killed: true, BySignal: true, Status: 9}
	if f := o.failure(t); *f != want {
		t.Errorf("%+v, want %+v", *f, want)
	}
	if text := "read a pipe that stays empty: the container's first process was killed by signal 9 (SIGKILL)"; o.err.Error() != text {
		t.Errorf("%q, want %q", o.err, text)
	}
	if errors.Unwrap(o.err) != nil {
		t.Error("a killed child has an errno")
	}
	if o.status != 128+9 {
		t.Errorf("status %d", o.status)
	}
}

// TestDies: a child that ends in the middle without a report.
func TestDies(t *testing.T) {
	signal := func(sig int) func(*Assembler) {
		return func(a *Assembler) {
			pid := a.Reg()
			a.Call(Discard, unix.SYS_RT_SIGPROCMASK, Const(unix.SIG_SETMASK), a.Words(0), Const(0), Const(8))
			a.Call(pid, unix.SYS_GETPID)
			a.Step(6)
			a.Call(Discard, unix.SYS_KILL, pid.Arg(), Const(sig)).Note("itself")
			a.Exit(0)
		}
	}
	tests := []struct {
		name     string
		build    func(*Assembler)
		bySignal bool
		status   int
		reaped   int
		text     string
	}{
		{"exit_group", func(a *Assembler) {
			a.Step(6)
			a.Call(Discard, unix.SYS_EXIT_GROUP, Const(7)).Note("too early")
			a.Exit(0)
		}, false, 7, 7, "too early: the container's first process ended with status 7"},
		{"SIGTERM", signal(15), true, 15, 128 + 15, "itself: the container's first process was killed by signal 15 (SIGTERM)"},
		{"core dump", signal(6), true, 6, 128 + 6, "killed by signal 6 (SIGABRT)"},
		{"real-time signal", signal(40), true, 40, 128 + 40, "killed by signal 40"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := run(t, 0, tt.build)
			f := o.failure(t)
			if !f.Killed || f.BySignal != tt.bySignal || f.Status != tt.status || f.Step != 6 || f.Errno != 0 {
				t.Errorf("%+v", f)
			}
			if !strings.HasSuffix(f.Error(), tt.text) {
				t.Errorf("%q, want it to end with %q", f, tt.text)
			}
			if o.status != tt.reaped {
				t.Errorf("reaped status %d, want %d", o.status, tt.reaped)
			}
		})
	}
}

// TestDiesAtSync: the child is gone when the parent answers.
func TestDiesAtSync(t *testing.T) {
	c := launch(t, assemble(t, func(a *Assembler) {
		a.Step(2)
		a.Sync('s')
		a.Exit(0)
	}), 0)
	if ev, err := c.Next(); err != nil || ev.Token != 's' {
		t.Fatal(ev, err)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := wait(c.Pidfd, unix.WEXITED|unix.WNOWAIT); err != nil {
		t.Fatal(err)
	}
	text := "the container's first process was killed by signal 9 (SIGKILL)"
	var f *Failure
	if err := c.Continue(); !errors.As(err, &f) || f.Step != 2 || !f.BySignal || f.Status != 9 || f.Error() != text {
		t.Errorf("continue: %v, want %q", err, text)
	}
	if f := follow(t, c).failure(t); f.Step != 2 || !f.BySignal || f.Error() != text {
		t.Errorf("next: %+v", f)
	}
}

// TestDiesUnderAnswer: the answer is sent and never read, so that the socket
// gives ECONNRESET instead of end-of-file.
func TestDiesUnderAnswer(t *testing.T) {
	c := launch(t, assemble(t, func(a *Assembler) {
		a.Sync('s')
		a.Exit(0)
	}), 0)
	if ev, err := c.Next(); err != nil || ev.Token != 's' {
		t.Fatal(ev, err)
	}
	if err := unix.Kill(c.Pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := wait(c.Pidfd, unix.WSTOPPED); err != nil {
		t.Fatal(err)
	}
	if err := c.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if f := follow(t, c).failure(t); !f.BySignal || f.Status != 9 {
		t.Errorf("%+v", f)
	}
}

// TestRelease ends a child at its sync point, and leaves nothing that a late
// call could trip over.
func TestRelease(t *testing.T) {
	fds := countFds(t)
	c, err := assemble(t, func(a *Assembler) { a.Sync('s'); a.Exit(0) }).Launch(Options{CgroupFd: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	c.Release()
	c.Release()
	if got := countFds(t); got != fds {
		t.Errorf("%d descriptors, %d before", got, fds)
	}
	if _, err := c.Next(); err != os.ErrClosed {
		t.Errorf("next: %v", err)
	}
	if err := c.Continue(); err != os.ErrClosed {
		t.Errorf("continue: %v", err)
	}
	if err := c.Kill(); err != os.ErrClosed {
		t.Errorf("kill: %v", err)
	}
	if _, err := c.Reap(); err != os.ErrClosed {
		t.Errorf("reap: %v", err)
	}
	if c.Value(0) != 0 || c.Scratch() != nil {
		t.Error("values outlive the memory they were in")
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(c.Pid, &status, 0, nil); err != nil || status.ExitStatus() != failureStatus {
		t.Errorf("the child ended with %v, %v", status, err)
	}
}

// TestLaunchErrors: nothing stays of a launch that fails, a child least of all.
func TestLaunchErrors(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	broken := errors.New("broken")
	p := assemble(t, func(a *Assembler) { a.Sync(1); a.Exit(0) })
	tests := []struct {
		name string
		opt  Options
		want error
		call string
	}{
		{"shared memory", Options{Flags: unix.CLONE_VM, CgroupFd: -1}, unix.EINVAL, ""},
		{"shared descriptors", Options{Flags: unix.CLONE_FILES, CgroupFd: -1}, unix.EINVAL, ""},
		{"no cgroup", Options{CgroupFd: int(null.Fd())}, unix.EBADF, "clone3"},
		{"prepare", Options{CgroupFd: -1, Prepare: func() error { return broken }}, broken, ""},
		{"restore", Options{CgroupFd: -1, Restore: func() error { return broken }}, broken, ""},
		{"clone and restore", Options{CgroupFd: int(null.Fd()), Restore: func() error { return broken }}, unix.EBADF, ""},
	}
	fds := countFds(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// On a goroutine of its own, because a failed Restore takes the thread.
			done := make(chan error)
			go func() {
				c, err := p.Launch(tt.opt)
				if c != nil {
					t.Errorf("%+v despite %v", c, err)
				}
				done <- err
			}()
			err := <-done
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			var call *os.SyscallError
			if tt.call != "" && (!errors.As(err, &call) || call.Syscall != tt.call) {
				t.Errorf("%v does not name %s", err, tt.call)
			}
		})
	}
	if got := countFds(t); got != fds {
		t.Errorf("%d descriptors, %d before", got, fds)
	}
	noChildren(t)
}

// TestPrepare: what Prepare does to the thread, the child inherits.
func TestPrepare(t *testing.T) {
	var before [16]byte
	name := append([]byte("prepared"), 0)
	var tids []int
	stop := disturb()
	defer stop()
	set := func(b []byte) error {
		tids = append(tids, unix.Gettid())
		for range 10 { // time for another thread to take the goroutine
			time.Sleep(100 * time.Microsecond)
		}
		return prctlName(unix.PR_SET_NAME, b)
	}
	p := assemble(t, func(a *Assembler) {
		a.Call(Discard, unix.SYS_PRCTL, Const(unix.PR_GET_NAME), Scratch(0))
		a.Exit(0)
	})
	c, err := p.Launch(Options{
		CgroupFd: -1,
		Prepare: func() error {
			if err := prctlName(unix.PR_GET_NAME, before[:]); err != nil {
				return err
			}
			return set(name)
		},
		Restore: func() error { return set(before[:]) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	o := follow(t, c)
	o.wantExit(t, 0)
	if o.scratchString() != "prepared" {
		t.Errorf("the child's name is %q", o.scratchString())
	}
	if len(tids) != 2 || tids[0] != tids[1] {
		t.Errorf("threads %v, want one twice", tids)
	}
}

// TestStackMoves: the kernel writes the pidfd where it was told to. A Prepare
// that needs much stack makes the goroutine's move just before the clone.
func TestStackMoves(t *testing.T) {
	var grow func(n int) int
	grow = func(n int) int {
		var frame [1024]byte
		frame[n%len(frame)] = 1
		if n == 0 {
			return 0
		}
		return grow(n-1) + int(frame[n%len(frame)])
	}
	p := assemble(t, func(a *Assembler) { a.Exit(0) })
	for range 20 {
		done := make(chan struct{})
		go func() { // a new goroutine has a small stack
			defer close(done)
			c, err := p.Launch(Options{CgroupFd: -1, Prepare: func() error { grow(200); return nil }})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Release()
			if c.Pidfd < 0 {
				t.Errorf("pidfd %d", c.Pidfd)
				_, _ = unix.Wait4(c.Pid, nil, 0, nil)
				return
			}
			if _, err := c.Reap(); err != nil {
				t.Error(err)
			}
		}()
		<-done
	}
}

// TestFailureWithoutName is the text of failures of control instructions and of
// numbers that have no name.
func TestFailureWithoutName(t *testing.T) {
	tests := []struct {
		f    Failure
		want string
	}{
		{Failure{Origin: Origin{Nr: noCall}, Errno: unix.EIO}, "input/output error (EIO)"},
		{Failure{Origin: Origin{Nr: noCall, Note: "path"}, Errno: unix.EIO}, "path: input/output error (EIO)"},
		{Failure{Origin: Origin{Nr: 9999}, Errno: unix.EIO}, "system call 9999: input/output error (EIO)"},
		{Failure{Origin: Origin{Nr: noCall}, Errno: syscall.Errno(4000)}, "errno 4000"},
		{Failure{Origin: Origin{Nr: noCall}, Killed: true, Status: 3}, "the container's first process ended with status 3"},
	}
	for _, tt := range tests {
		if got := tt.f.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
