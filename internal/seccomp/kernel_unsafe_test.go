package seccomp

import (
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestKernelTakesThem loads the programs into the kernel, which checks them too.
func TestKernelTakesThem(t *testing.T) {
	for _, test := range engineProfiles {
		if test.native != Native() {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			f, err := Compile(test.load(t), test.native)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() {
				// The filter stays on the thread, which ends with the goroutine.
				runtime.LockOSThread()
				done <- load(f)
			}()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// load puts the calling thread under a filter and makes a call that it refuses.
func load(f *Filter) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(f.Program)), Filter: (*unix.SockFilter)(unsafe.Pointer(&f.Program[0]))}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(f.Flags), uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	// A number that no kernel has yet.
	if _, _, errno := unix.RawSyscall(9999, 0, 0, 0); errno != unix.ENOSYS {
		return errors.New("call 9999: " + errno.Error())
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SWAPOFF, 0, 0, 0); errno != unix.EPERM {
		return errors.New("swapoff: " + errno.Error())
	}
	return nil
}
