package terminal

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestForward(t *testing.T) {
	s := Catch()
	s.CatchUsual()
	s.CatchRest()
	defer s.Stop()
	s.Wait()
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
	if n := len(rest()); n != 64-12-len(usual)-4 {
		t.Errorf("%d signals, want all 64 but twelve, the usual ones and the four of Catch", n)
	}
}

func TestStop(t *testing.T) {
	s := Catch()
	s.CatchUsual()
	s.Stop() // possibly before all are caught, and without Forward
	s.Stop()
	s = Catch()
	s.Forward(func(unix.Signal) {})
	s.Stop()
}

func TestReaping(t *testing.T) {
	out, err := helper("reaper").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
