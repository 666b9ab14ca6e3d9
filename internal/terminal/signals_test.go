package terminal

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// catchAll catches all signals until the test ends.
func catchAll(t *testing.T) *Signals {
	t.Helper()
	s, err := Catch()
	if err == nil {
		t.Cleanup(s.Stop)
		err = s.CatchRest()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForward(t *testing.T) {
	s := catchAll(t)
	unix.Kill(os.Getpid(), unix.SIGTERM) // before there is anybody to send it to
	got := make(chan unix.Signal, 128)
	s.Forward(func(sig unix.Signal) { got <- sig })
	if sig := <-got; sig != unix.SIGTERM {
		t.Fatalf("got %v first, want SIGTERM", sig)
	}
	quiet := []unix.Signal{unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGWINCH}
	for _, sig := range quiet { // all of these do nothing by default, or in a Go program
		unix.Kill(os.Getpid(), sig)
	}
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGPROF, 32, 33, 34,
			unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGWINCH:
			continue
		}
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		select {
		case g := <-got:
			if g != sig {
				t.Errorf("sent %v, got %v", sig, g)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%v (%d) was not passed on", sig, sig)
		}
	}
}

func TestRest(t *testing.T) {
	if n := len(rest()); n != 64-12-len(ending) {
		t.Errorf("%d signals, want all 64 but twelve and those of Catch", n)
	}
}

// TestNext: signals are kept in their order, with and without a goroutine that moves them.
func TestNext(t *testing.T) {
	s := catchAll(t)
	if sig := s.Next(); sig != 0 {
		t.Fatalf("%v has come before any was sent", sig)
	}
	pid, me := os.Getpid(), unix.Gettid()
	for _, sig := range []unix.Signal{unix.SIGUSR1, unix.SIGTERM, unix.Signal(50)} {
		if err := unix.Tgkill(pid, me, sig); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		got := s.Next()
		for got == 0 && time.Now().Before(deadline) {
			got = s.Next()
		}
		if got != sig {
			t.Errorf("sent %v, got %v", sig, got)
		}
		s.C() // from the second signal on
	}
}

// TestFaults: what a thread does wrong is still the Go runtime's to report, and a signal
// of the same number that somebody sends is caught.
func TestFaults(t *testing.T) {
	s := catchAll(t)
	for range 3 {
		func() {
			defer func() {
				if err, ok := recover().(runtime.Error); !ok || !strings.Contains(err.Error(), "nil pointer") {
					t.Errorf("recovered %v", err)
				}
			}()
			var nothing *[4]int
			t.Error(nothing[2])
		}()
	}
	if sig := s.Next(); sig != 0 {
		t.Errorf("a fault was caught as %v", sig)
	}
	unix.Kill(os.Getpid(), unix.SIGSEGV)
	select {
	case sig := <-s.C():
		if sig != unix.SIGSEGV {
			t.Errorf("got %v", sig)
		}
	case <-time.After(5 * time.Second):
		t.Error("SIGSEGV was not caught")
	}
}

// TestDeepStack has signals arrive while goroutines use all of their small stacks.
func TestDeepStack(t *testing.T) {
	s := catchAll(t)
	var taken atomic.Int32
	s.Forward(func(unix.Signal) { taken.Add(1) })
	done := make(chan struct{})
	const sent = 2000
	go func() {
		defer close(done)
		for range sent {
			unix.Kill(os.Getpid(), unix.Signal(50))
		}
	}()
	var deep func(n int) int
	deep = func(n int) int {
		if n == 0 {
			return 0
		}
		return deep(n-1) + 1
	}
	for running := true; running; {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { deep(1000) })
		}
		all.Wait()
		select {
		case <-done:
			running = false
		default:
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for taken.Load() < sent && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if n := taken.Load(); n != sent { // real-time signals do not merge
		t.Errorf("%d of %d signals were forwarded", n, sent)
	}
}

func TestReaping(t *testing.T) {
	for _, mode := range []string{"reaper", "waiter"} {
		if out, err := helper(mode).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
}

// TestWaitForwards: Wait goes on with signals that pass through a goroutine.
func TestWaitForwards(t *testing.T) {
	s := catchAll(t)
	cmd := helper("sleep")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	send := func(sig unix.Signal) { unix.Kill(cmd.Process.Pid, sig) }
	s.Forward(send)
	unix.Kill(os.Getpid(), unix.SIGTERM)
	status, err := s.Wait(cmd.Process.Pid, send)
	if err != nil || !status.Signaled() || status.Signal() != unix.SIGTERM {
		t.Errorf("status %#x, %v", status, err)
	}
}
