//go:build amd64 || arm64 || riscv64

package entry

import (
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// entry is the process's first code. It is no function to be called.
func entry()

var _ = entry // only the linker's -E names it

// environment is the address of the caller's environment: addresses of strings, up to a zero.
// Nil if the process began elsewhere.
var environment unsafe.Pointer

// restoreEnvironment has package os know the caller's GOMAXPROCS, which it has dropped as the
// second of that name.
func restoreEnvironment() {
	if environment == nil {
		return
	}
	for at := environment; ; at = unsafe.Add(at, unsafe.Sizeof(at)) {
		variable := *(**byte)(at)
		if variable == nil {
			_ = os.Unsetenv(processors)
			return
		}
		if value, found := strings.CutPrefix(unix.BytePtrToString(variable), processors+"="); found {
			_ = os.Setenv(processors, value)
			return
		}
	}
}
