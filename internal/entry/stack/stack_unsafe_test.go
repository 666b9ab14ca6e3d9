package stack

import (
	"os"
	"testing"
	"unsafe"
)

// moved says whether main's stack was moved by a call that takes most of it: TestMain is
// called by main.
var moved bool

func TestMain(m *testing.M) {
	var local byte
	before := uintptr(unsafe.Pointer(&local))
	deep(1)
	moved = uintptr(unsafe.Pointer(&local)) != before
	os.Exit(m.Run())
}

//go:noinline
func deep(at int) byte {
	var frame [Size - 8<<10]byte
	frame[at] = 1
	return frame[len(frame)-1-at]
}

func TestStack(t *testing.T) {
	if moved {
		t.Errorf("main's stack had to grow for %d bytes", Size-8<<10)
	}
	done := make(chan bool)
	go func() { // one that has not grown yet: the test can tell
		var local byte
		before := uintptr(unsafe.Pointer(&local))
		deep(1)
		done <- uintptr(unsafe.Pointer(&local)) != before
	}()
	if !<-done {
		t.Error("a new goroutine's stack did not have to grow")
	}
}
