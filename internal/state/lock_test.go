package state

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLockWaits(t *testing.T) {
	s := Open(t.TempDir())
	d := mustCreate(t, s, "web")
	if _, err := s.Lock("web", 0); !errors.Is(err, ErrBusy) || err.Error() != `container "web" is busy: another command holds its lock` {
		t.Errorf("timeout 0: %v", err)
	}
	begin := time.Now()
	if _, err := s.Lock("web", 30*time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Errorf("timeout 30 ms: %v", err)
	}
	if took := time.Since(begin); took < 30*time.Millisecond || took > time.Second {
		t.Errorf("it took %v", took)
	}
	for _, timeout := range []time.Duration{10 * time.Second, -1} {
		done := make(chan struct{})
		go func(d *Dir) {
			defer close(done)
			time.Sleep(10 * time.Millisecond)
			d.Record.Init.Pid = 99
			if err := d.Save(); err != nil {
				t.Error(err)
			}
			d.Close()
		}(d)
		next, err := s.Lock("web", timeout)
		<-done
		if err != nil {
			t.Fatal(err)
		}
		if next.Record.Init.Pid != 99 {
			t.Error("the record was read before the lock was taken")
		}
		d = next
	}
	d.Close()
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// A copy of the descriptor, as a forked child has it, doesn't keep the lock.
func TestCloseUnlocksCopies(t *testing.T) {
	s := Open(t.TempDir())
	d := mustCreate(t, s, "web")
	dup, err := unix.Dup(d.Fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dup)
	d.Close()
	next, err := s.Lock("web", 0)
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
}

func TestLockOfRemoved(t *testing.T) {
	for _, again := range []bool{false, true} {
		s := Open(t.TempDir())
		d := mustCreate(t, s, "web")
		result := make(chan error)
		go func() {
			d, err := s.Lock("web", 10*time.Second)
			if err == nil {
				d.Close()
			}
			result <- err
		}()
		// Time for the other to open the directory.
		time.Sleep(20 * time.Millisecond)
		if err := d.Remove(); err != nil {
			t.Fatal(err)
		}
		if again {
			mustCreate(t, s, "web")
		}
		d.Close()
		if err := <-result; !errors.Is(err, ErrNotExist) {
			t.Errorf("created again %v: %v", again, err)
		}
	}
}
