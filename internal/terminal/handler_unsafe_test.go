//go:build amd64 || arm64 || riscv64

package terminal

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestStop(t *testing.T) {
	var before, after action
	if err := sigaction(unix.SIGTERM, nil, &before); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := Catch()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CatchRest(); err != nil {
			t.Fatal(err)
		}
		s.Forward(func(unix.Signal) {})
		s.Stop()
		s.Stop()
	}
	if err := sigaction(unix.SIGTERM, nil, &after); err != nil || after != before {
		t.Errorf("the action was %x, and is %x, %v", before, after, err)
	}
}
