package seal

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapSize asks the kernel for the size of its struct prctl_mm_map.
func mapSize(size *uint32) error {
	return unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, uintptr(unsafe.Pointer(size)), 0, 0)
}

// programBreak is the end of the heap of brk(2), which Go does not use.
func programBreak() uint64 {
	brk, _, _ := syscall.RawSyscall(unix.SYS_BRK, 0, 0, 0)
	return uint64(brk)
}
