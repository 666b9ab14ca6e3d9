package program

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// allSignals is what a mask with everything blocked reads as: SIGKILL and SIGSTOP
// cannot be.
const allSignals = ^uint64(1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1))

func signalSet(t *testing.T, status, field string) uint64 {
	t.Helper()
	set, err := strconv.ParseUint(statusField(t, status, field), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// noisyParent gives the test process handlers and ignored signals, as a runtime
// under nohup(1) with signal forwarding has them.
func noisyParent(t *testing.T) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGUSR1, unix.SIGTERM, unix.SIGWINCH)
	signal.Ignore(unix.SIGHUP)
	t.Cleanup(func() {
		signal.Stop(ch)
		signal.Reset(unix.SIGHUP)
	})
}

// TestSignalsInChild reads the state between clone and execve, which the child
// reads itself: no handler is left, everything is blocked.
func TestSignalsInChild(t *testing.T) {
	noisyParent(t)
	o := run(t, 0, func(a *Assembler) {
		fd := a.Reg()
		a.Call(fd, unix.SYS_OPENAT, Const(unix.AT_FDCWD), a.String("/proc/self/status"), Const(unix.O_RDONLY), Const(0))
		a.Call(Discard, unix.SYS_READ, fd.Arg(), Scratch(0), Const(ScratchSize))
		a.Exit(0)
	})
	o.wantExit(t, 0)
	if got := signalSet(t, o.scratchString(), "SigBlk"); got != allSignals {
		t.Errorf("blocked %#x, want %#x", got, allSignals)
	}
	if got := signalSet(t, o.scratchString(), "SigCgt"); got != 0 {
		t.Errorf("caught %#x: a handler is Go code", got)
	}
}

// TestSignalsInProgram reads the state after execve.
func TestSignalsInProgram(t *testing.T) {
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Skip("needs cat")
	}
	noisyParent(t)
	const usr2 = 1 << (unix.SIGUSR2 - 1)
	tests := []struct {
		name    string
		build   func(*Assembler)
		blocked uint64
		ignores bool // still has SIGHUP ignored
	}{
		// CLONE_CLEAR_SIGHAND leaves ignored signals alone, and so does execve.
		{"mask", func(a *Assembler) {
			a.Call(Discard, unix.SYS_RT_SIGPROCMASK, Const(unix.SIG_SETMASK), a.Words(usr2), Const(0), Const(8))
		}, usr2, true},
		{"mask and dispositions", func(a *Assembler) {
			dfl := a.Words(0, 0, 0, 0) // struct sigaction of the kernel
			for sig := 1; sig <= 64; sig++ {
				if sig != int(unix.SIGKILL) && sig != int(unix.SIGSTOP) {
					a.Call(Discard, unix.SYS_RT_SIGACTION, Const(sig), dfl, Const(0), Const(8))
				}
			}
			a.Call(Discard, unix.SYS_RT_SIGPROCMASK, Const(unix.SIG_SETMASK), a.Words(0), Const(0), Const(8))
		}, 0, false},
		{"nothing", func(*Assembler) {}, allSignals, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w := pipe(t)
			o := run(t, 0, func(a *Assembler) {
				tt.build(a)
				a.Call(Discard, unix.SYS_DUP3, constFd(w), Const(1), Const(0))
				a.Call(Discard, unix.SYS_EXECVE, a.String(cat), a.Strings([]string{"cat", "/proc/self/status"}), a.Strings(nil))
			})
			if !o.event.Started || o.status != 0 {
				t.Fatalf("%+v, %v, status %d", o.event, o.err, o.status)
			}
			w.Close()
			out, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := signalSet(t, string(out), "SigBlk"); got != tt.blocked {
				t.Errorf("blocked %#x, want %#x", got, tt.blocked)
			}
			if got := signalSet(t, string(out), "SigCgt"); got != 0 {
				t.Errorf("caught %#x", got)
			}
			ignored := signalSet(t, string(out), "SigIgn")
			if hup := uint64(1) << (unix.SIGHUP - 1); (ignored&hup != 0) != tt.ignores {
				t.Errorf("ignored %#x", ignored)
			}
			if !tt.ignores && ignored != 0 {
				t.Errorf("ignored %#x, want none", ignored)
			}
		})
	}
}

// TestParentMask: the thread that clones has its own mask afterwards.
func TestParentMask(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mask := func() uint64 {
		status, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", unix.Gettid()))
		if err != nil {
			t.Fatal(err)
		}
		return signalSet(t, string(status), "SigBlk")
	}
	before := mask()
	run(t, 0, func(a *Assembler) { a.Exit(0) }).wantExit(t, 0)
	if after := mask(); after != before {
		t.Errorf("mask %#x, before %#x", after, before)
	}
	if before == allSignals {
		t.Error("everything was blocked before: nothing is tested")
	}
}
