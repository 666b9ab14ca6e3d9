package seal

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// openTreeAttr is open_tree_attr(2): open a mount and change its flags at once.
func openTreeAttr(dirfd int, flags uint) (int, error) {
	empty, err := unix.BytePtrFromString("")
	if err != nil {
		return -1, err
	}
	attr := clearReadOnly
	fd, _, errno := unix.Syscall6(sysOpenTreeAttr, uintptr(dirfd), uintptr(unsafe.Pointer(empty)),
		uintptr(flags|unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLOEXEC), uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
