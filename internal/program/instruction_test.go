package program

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestInstructions runs a small Program for each instruction and each kind of
// operand, and looks at what it did.
func TestInstructions(t *testing.T) {
	dir := t.TempDir()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	at := func(name string) string { return filepath.Join(dir, name) }
	missing := at("missing")
	open := func(a *Assembler, dst Reg, path string, flags int) Call {
		return a.Call(dst, unix.SYS_OPENAT, Const(unix.AT_FDCWD), a.String(path), Const(flags|unix.O_CLOEXEC), Const(0o600))
	}
	fileHas := func(name, want string) func(*testing.T, outcome) {
		return func(t *testing.T, o outcome) {
			if got, err := os.ReadFile(at(name)); err != nil || string(got) != want {
				t.Errorf("%s has %q (%v), want %q", name, got, err, want)
			}
		}
	}
	if err := os.WriteFile(at("digits"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name   string
		build  func(*Assembler)
		status int
		values map[int]uint64
		tokens string
		errno  unix.Errno // of the failure that must end the Program, if any
		check  func(*testing.T, outcome)
	}{
		{name: "call fills its register", build: func(a *Assembler) {
			r := a.Reg()
			a.Call(r, unix.SYS_GETPID)
			a.Publish(3, r.Arg())
			a.Exit(0)
		}, check: func(t *testing.T, o outcome) {
			if o.Value(3) != uint64(o.Pid) {
				t.Errorf("published pid %d, launched %d", o.Value(3), o.Pid)
			}
		}},
		{name: "discarded result leaves every register", build: func(a *Assembler) {
			var regs []Reg
			for range numRegs {
				regs = append(regs, a.Reg())
			}
			a.Call(Discard, unix.SYS_GETPID)
			changed := a.NewLabel()
			for _, r := range regs {
				a.Unless(r.Arg(), Const(0), changed)
			}
			a.Exit(0)
			a.Bind(changed)
			a.Exit(1)
		}},
		{name: "string", build: func(a *Assembler) {
			fd := a.Reg()
			open(a, fd, at("string"), unix.O_CREAT|unix.O_WRONLY)
			a.Call(Discard, unix.SYS_WRITE, fd.Arg(), a.String("written\n"), Const(8))
			a.Exit(0)
		}, check: fileHas("string", "written\n")},
		{name: "six operands", build: func(a *Assembler) {
			in, out := a.Reg(), a.Reg()
			open(a, in, at("digits"), unix.O_RDONLY)
			open(a, out, at("copy"), unix.O_CREAT|unix.O_WRONLY)
			a.Call(Discard, unix.SYS_COPY_FILE_RANGE, in.Arg(), a.Words(2), out.Arg(), a.Words(1), Const(3), Const(0))
			// The sixth: flags other than 0 are EINVAL.
			skip := a.NewLabel()
			a.Call(Discard, unix.SYS_COPY_FILE_RANGE, in.Arg(), a.Words(2), out.Arg(), a.Words(1), Const(3), Const(1)).On(unix.EINVAL, skip)
			a.Fail(unix.EPROTO, "")
			a.Bind(skip)
			a.Exit(0)
		}, check: fileHas("copy", "\x00234")},
		{name: "constants", build: func(a *Assembler) {
			a.Publish(0, Const(-1))
			a.Publish(1, Const(int32(-2)))
			a.Publish(2, Const(uint32(0xfffffffe)))
			a.Publish(3, Const(uint64(1)<<63))
			a.Publish(4, Const(unix.AT_FDCWD))
			a.Exit(0)
		}, values: map[int]uint64{0: ^uint64(0), 1: ^uint64(1), 2: 0xfffffffe, 3: 1 << 63, 4: ^uint64(99)}},
		{name: "words and pointers", build: func(a *Assembler) {
			fd := a.Reg()
			open(a, fd, at("iovec"), unix.O_CREAT|unix.O_WRONLY)
			iov := a.Words(0, 5, 0, 6)
			a.PointTo(iov, 0, a.String("hello"))
			a.PointTo(iov, 16, a.Bytes([]byte(" world")))
			a.Call(Discard, unix.SYS_WRITEV, fd.Arg(), iov, Const(2))
			a.Exit(0)
		}, check: fileHas("iovec", "hello world")},
		{name: "forget", build: func(a *Assembler) {
			start, _ := callersWords()
			fd := a.Reg()
			open(a, fd, at("forgotten"), unix.O_CREAT|unix.O_WRONLY)
			a.Forget("title")
			a.Call(Discard, unix.SYS_WRITE, fd.Arg(), Const(start), Const(8))
			a.Exit(0)
		}, check: fileHas("forgotten", "title\x00\x00\x00")},
		{name: "open_how", build: func(a *Assembler) {
			dir, fd := a.Reg(), a.Reg()
			open(a, dir, at(""), unix.O_PATH)
			a.Call(fd, unix.SYS_OPENAT2, dir.Arg(), a.String("digits"), a.OpenHow(unix.O_RDONLY, 0, unix.RESOLVE_BENEATH), OpenHowSize)
			a.Call(Discard, unix.SYS_OPENAT2, dir.Arg(), a.String(".."), a.OpenHow(unix.O_RDONLY, 0, unix.RESOLVE_BENEATH), OpenHowSize)
		}, errno: unix.EXDEV},
		{name: "on errno", build: func(a *Assembler) {
			r, l := a.Reg(), a.NewLabel()
			a.Set(r, Const(7))
			open(a, r, missing, unix.O_RDONLY).On(unix.EACCES, l).On(unix.ENOENT, l)
			a.Exit(1)
			a.Bind(l)
			a.Publish(0, r.Arg())
			a.Exit(2)
		}, status: 2, values: map[int]uint64{0: 0}},
		{name: "on another errno", build: func(a *Assembler) {
			l := a.NewLabel()
			open(a, Discard, missing, unix.O_RDONLY).On(unix.EACCES, l)
			a.Bind(l)
			a.Exit(0)
		}, errno: unix.ENOENT},
		{name: "on the last of six errnos", build: func(a *Assembler) {
			wrong, right := a.NewLabel(), a.NewLabel()
			c := a.Call(Discard, unix.SYS_CLOSE, Const(-1))
			for i := range maxErrnos - 1 {
				c.On(unix.Errno(200+i), wrong)
			}
			c.On(unix.EBADF, right)
			a.Bind(wrong)
			a.Exit(1)
			a.Bind(right)
			a.Exit(2)
		}, status: 2},
		{name: "tolerate", build: func(a *Assembler) {
			open(a, Discard, missing, unix.O_RDONLY).Tolerate(unix.EACCES, unix.ENOENT)
			open(a, Discard, missing, unix.O_RDONLY).Tolerate()
		}, errno: unix.ENOENT, check: func(t *testing.T, o outcome) {
			if f := o.failure(t); f.Index != 1 {
				t.Errorf("instruction %d failed, want the second", f.Index)
			}
		}},
		{name: "jump ahead", build: func(a *Assembler) {
			l := a.NewLabel()
			a.Jump(l)
			a.Exit(1)
			a.Bind(l)
			a.Exit(2)
		}, status: 2},
		{name: "jump back, unless", build: func(a *Assembler) {
			fd, n, loop := a.Reg(), a.Reg(), a.NewLabel()
			open(a, fd, at("digits"), unix.O_RDONLY)
			a.Bind(loop)
			a.Call(n, unix.SYS_READ, fd.Arg(), Scratch(0), Const(1))
			a.Unless(n.Arg(), Const(0), loop)
			a.Call(n, unix.SYS_LSEEK, fd.Arg(), Const(0), Const(unix.SEEK_CUR))
			a.Publish(0, n.Arg())
			a.Exit(0)
		}, values: map[int]uint64{0: 10}},
		{name: "load32", build: func(a *Assembler) {
			mode := a.Reg()
			a.Call(Discard, unix.SYS_STATX, constFd(null), a.String(""), Const(unix.AT_EMPTY_PATH), Const(unix.STATX_TYPE), Scratch(64))
			a.Load32(mode, 64+28, unix.S_IFMT) // stx_mode
			a.Publish(0, mode.Arg())
			a.Load32(mode, 64+28, 0)
			a.Publish(1, mode.Arg())
			a.Exit(0)
		}, values: map[int]uint64{0: unix.S_IFCHR, 1: 0}},
		{name: "scratch", build: func(a *Assembler) {
			a.Call(Discard, unix.SYS_CHDIR, a.String(dir))
			a.Call(Discard, unix.SYS_GETCWD, Scratch(0), Const(ScratchSize))
			a.Exit(0)
		}, check: func(t *testing.T, o outcome) {
			if o.scratchString() != dir {
				t.Errorf("scratch has %q, want %q", o.scratchString(), dir)
			}
		}},
		{name: "set", build: func(a *Assembler) {
			r, s := a.Reg(), a.Reg()
			a.Set(r, Const(5))
			a.Set(s, r.Arg())
			a.Set(r, Const(6))
			a.Publish(0, r.Arg())
			a.Publish(1, s.Arg())
			a.Exit(0)
		}, values: map[int]uint64{0: 6, 1: 5}},
		{name: "publish to the first and the last slot", build: func(a *Assembler) {
			a.Publish(0, Const(11))
			a.Publish(numValues-1, Const(12))
			a.Exit(0)
		}, values: map[int]uint64{0: 11, numValues - 1: 12}},
		{name: "sync", build: func(a *Assembler) {
			a.Sync('a')
			a.Sync('b')
			a.Exit(0)
		}, tokens: "ab"},
		{name: "report to", build: func(a *Assembler) {
			a.ReportTo(Const(-1)) // nobody there: the report to the parent must still come
			a.Call(Discard, unix.SYS_CLOSE, Const(-1)).Note("nothing")
		}, errno: unix.EBADF},
		{name: "fork", build: func(a *Assembler) {
			r := a.Reg()
			a.Fork(4, -1)
			a.Call(r, unix.SYS_GETPID)
			a.Publish(0, r.Arg())
			a.Call(r, unix.SYS_GETPPID)
			a.Publish(1, r.Arg())
			a.Exit(9)
		}, status: 9, check: func(t *testing.T, o outcome) {
			if o.Value(4) != uint64(o.Pid) || o.Value(0) != uint64(o.Pid) {
				t.Errorf("fork published %d, the child is %d, the launched one is now %d", o.Value(4), o.Value(0), o.Pid)
			}
			if o.Value(1) != uint64(os.Getpid()) {
				t.Errorf("the parent is %d, want the test, %d", o.Value(1), os.Getpid())
			}
		}},
		{name: "aside and return", build: func(a *Assembler) {
			after := a.NewLabel()
			a.Aside(after)
			a.Publish(0, Const(1))
			a.Return()
			a.Bind(after)
			a.Publish(1, Const(2))
			a.Exit(3)
		}, status: 3, values: map[int]uint64{0: 1, 1: 2}},
		{name: "fail", build: func(a *Assembler) {
			a.Fail(unix.ENOTTY, "on purpose")
		}, errno: unix.ENOTTY},
		{name: "exit", build: func(a *Assembler) { a.Exit(42) }, status: 42},
		{name: "no end", build: func(a *Assembler) { a.Set(a.Reg(), Const(0)) }, errno: unix.ENOEXEC,
			check: func(t *testing.T, o outcome) {
				if f := o.failure(t); f.Index != 1 || f.Note != "end of program" {
					t.Errorf("failure %+v", f)
				}
			}},
	}
	used := map[opcode]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := assemble(t, tt.build)
			for _, in := range p.code {
				used[in.op] = true
			}
			o := follow(t, launch(t, p, 0))
			if tt.errno != 0 {
				if f := o.failure(t); f.Errno != tt.errno || f.Killed || o.status != failureStatus {
					t.Fatalf("%+v, status %d; want errno %v", f, o.status, tt.errno)
				}
			} else {
				o.wantExit(t, tt.status)
			}
			for slot, want := range tt.values {
				if got := o.Value(slot); got != want {
					t.Errorf("value %d is %#x, want %#x", slot, got, want)
				}
			}
			if string(o.tokens) != tt.tokens {
				t.Errorf("tokens %q, want %q", o.tokens, tt.tokens)
			}
			if tt.check != nil {
				tt.check(t, o)
			}
		})
	}
	for op := opCall; op <= opExit; op++ {
		if op == opCloseOthers || op == opFilter {
			continue // they have tests of their own
		}
		if !used[op] && !t.Failed() {
			t.Errorf("no Program has opcode %d", op)
		}
	}
}

// TestRetry counts the tries by the time they take: a read from an empty socket
// with a timeout fails with EAGAIN after it.
func TestRetry(t *testing.T) {
	const wait = 20 * time.Millisecond
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	tv := unix.NsecToTimeval(int64(wait))
	if err := unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	p := assemble(t, func(a *Assembler) {
		l := a.NewLabel()
		a.Call(Discard, unix.SYS_READ, Const(pair[0]), Scratch(0), Const(1)).Retry(3).On(unix.EAGAIN, l)
		a.Exit(1)
		a.Bind(l)
		a.Exit(2)
	})
	for range 2 { // the count is the child's: a second launch starts anew
		begin := time.Now()
		follow(t, launch(t, p, 0)).wantExit(t, 2)
		if took := time.Since(begin); took < 4*wait {
			t.Errorf("four reads of %v took %v", wait, took)
		}
	}
	if _, err := unix.Write(pair[1], []byte{1}); err != nil {
		t.Fatal(err)
	}
	follow(t, launch(t, p, 0)).wantExit(t, 1)
}

// TestExecve checks argv and envp, and how a start looks to the parent.
func TestExecve(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, nr := range []uintptr{unix.SYS_EXECVE, unix.SYS_EXECVEAT} {
		t.Run(SyscallName(nr), func(t *testing.T) {
			r, w := pipe(t)
			c := launch(t, assemble(t, func(a *Assembler) {
				a.Call(Discard, unix.SYS_DUP3, constFd(w), Const(1), Const(0))
				argv := a.Strings([]string{"zero", "", "two words"})
				envp := a.Strings([]string{helperEnv + "=args", "EMPTY="})
				if nr == unix.SYS_EXECVE {
					a.Call(Discard, nr, a.String(self), argv, envp)
				} else {
					a.Call(Discard, nr, Const(unix.AT_FDCWD), a.String(self), argv, envp, Const(0))
				}
			}), 0)
			ev, err := c.Next()
			if err != nil || ev != (Event{Started: true}) {
				t.Fatalf("event %+v, %v", ev, err)
			}
			if status, err := c.Reap(); status != 7 || err != nil {
				t.Errorf("exit status %d, %v; want 7", status, err)
			}
			w.Close()
			var out bytes.Buffer
			_, _ = out.ReadFrom(r)
			want := fmt.Sprintf("%q %q", []string{"zero", "", "two words"}, []string{helperEnv + "=args", "EMPTY="})
			if out.String() != want {
				t.Errorf("the program saw %s, want %s", out.String(), want)
			}
		})
	}
}

// TestForkIntoPidNamespace is what Fork is for.
func TestForkIntoPidNamespace(t *testing.T) {
	needRoot(t)
	first := launch(t, assemble(t, func(a *Assembler) { a.Sync(1); a.Exit(0) }), unix.CLONE_NEWPID)
	if ev, err := first.Next(); err != nil || ev.Token != 1 {
		t.Fatal(ev, err)
	}
	second := launch(t, assemble(t, func(a *Assembler) {
		r := a.Reg()
		a.Call(Discard, unix.SYS_SETNS, Const(first.Pidfd), Const(unix.CLONE_NEWPID))
		a.Fork(0, -1)
		a.Call(r, unix.SYS_GETPID)
		a.Publish(1, r.Arg())
		a.Sync(2)
		a.Step(5)
		a.Call(Discard, unix.SYS_CLOSE, Const(-1)).Note("late")
	}), 0)
	forker := second.Pid
	ev, err := second.Next()
	if err != nil || ev.Token != 2 {
		t.Fatal(ev, err)
	}
	if second.Pid == forker || second.Value(0) != uint64(second.Pid) {
		t.Errorf("the child is %d after the fork, %d before it; published %d", second.Pid, forker, second.Value(0))
	}
	if second.Value(1) != 2 {
		t.Errorf("in its pid namespace the process is %d, want 2", second.Value(1))
	}
	if err := unix.Kill(forker, 0); err != unix.ESRCH {
		t.Errorf("the process that forked: %v, want ESRCH", err)
	}
	if err := second.Continue(); err != nil {
		t.Fatal(err)
	}
	o := follow(t, second)
	if f := o.failure(t); f.Errno != unix.EBADF || f.Step != 5 || f.Note != "late" || o.status != failureStatus {
		t.Errorf("%+v, status %d", f, o.status)
	}
	if err := first.Continue(); err != nil {
		t.Fatal(err)
	}
	follow(t, first).wantExit(t, 0)
}

// TestForkOrder: the parent hears of the new process through the token alone,
// and must find its pid then, however the two are scheduled.
func TestForkOrder(t *testing.T) {
	p := assemble(t, func(a *Assembler) {
		a.Fork(0, -1)
		a.Sync(1)
		a.Exit(3)
	})
	for range 100 {
		c := launch(t, p, 0)
		forker := c.Pid
		ev, err := c.Next()
		if err != nil || ev.Token != 1 {
			t.Fatal(ev, err)
		}
		if c.Value(0) == 0 || c.Pid == forker {
			t.Fatalf("published %d; pid %d, was %d", c.Value(0), c.Pid, forker)
		}
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
		follow(t, c).wantExit(t, 3)
	}
	noChildren(t)
}

// TestForkReap: Reap and Kill alone, without Next, mean the new process too.
func TestForkReap(t *testing.T) {
	c := launch(t, assemble(t, func(a *Assembler) {
		a.Fork(0, -1)
		a.Call(Discard, unix.SYS_NANOSLEEP, a.Words(0, 20e6), Const(0))
		a.Exit(3)
	}), 0)
	if status, err := c.Reap(); status != 3 || err != nil {
		t.Errorf("status %d, %v; want 3", status, err)
	}

	_, w := pipe(t)
	r, _ := pipe(t)
	c = launch(t, assemble(t, func(a *Assembler) {
		a.Fork(0, -1)
		a.Call(Discard, unix.SYS_WRITE, constFd(w), a.String("x"), Const(1))
		a.Call(Discard, unix.SYS_READ, constFd(r), Scratch(0), Const(1))
	}), 0)
	waitForPC(t, c, 2)
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Reap(); status != 128+9 || err != nil {
		t.Errorf("status %d, %v; want 137", status, err)
	}
	noChildren(t)
}

// TestForkRefused: what cannot fork names the call that was made. The first process of a pid
// namespace can have no sibling there.
func TestForkRefused(t *testing.T) {
	needRoot(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for want, cgroup := range map[string]int{"clone: invalid argument (EINVAL)": -1, "clone3: invalid argument (EINVAL)": int(null.Fd())} {
		f := run(t, unix.CLONE_NEWPID, func(a *Assembler) { a.Fork(0, cgroup) }).failure(t)
		if f.Error() != want {
			t.Errorf("%v, want %s", f, want)
		}
	}
}

// TestMountAttr makes a detached mount read-only.
func TestMountAttr(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	o := run(t, unix.CLONE_NEWNS, func(a *Assembler) {
		tree := a.Reg()
		a.Call(tree, unix.SYS_OPEN_TREE, Const(unix.AT_FDCWD), a.String(dir), Const(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
		a.Call(Discard, unix.SYS_MOUNT_SETATTR, tree.Arg(), a.String(""), Const(unix.AT_EMPTY_PATH),
			a.MountAttr(unix.MOUNT_ATTR_RDONLY, 0, 0, 0), MountAttrSize)
		a.Call(Discard, unix.SYS_MKDIRAT, tree.Arg(), a.String("x"), Const(0o700)).Note("x")
	})
	if f := o.failure(t); f.Errno != unix.EROFS || f.Nr != unix.SYS_MKDIRAT {
		t.Errorf("%v, want EROFS from mkdirat", f)
	}
}
