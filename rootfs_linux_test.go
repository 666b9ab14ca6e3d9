package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestIsProc: the root of a procfs is one; a part of it, that would be bound in its place,
// and another file system are not.
func TestIsProc(t *testing.T) {
	for dir, want := range map[string]bool{"/proc": true, "/proc/self": false, "/proc/sys": false, "/dev": false} {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := isProc(fd); (err == nil) != want {
			t.Errorf("%s: %v", dir, err)
		}
		unix.Close(fd)
	}
}
