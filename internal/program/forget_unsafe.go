package program

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Forget emits how the child loses its copy of the arguments and of the environment that
// the calling process was executed with, which anybody could read in /proc/PID/cmdline,
// and whoever may look into the child in /proc/PID/environ and in its memory. From then
// on its command line is title, as far as there is room.
func (a *Assembler) Forget(title string) {
	start, length := callersWords()
	if length == 0 {
		a.fault("the process's own arguments are not where the kernel puts them")
		return
	}
	title = title[:min(len(title), int(length)-1)]
	a.emit(opForget, Discard, noCall, []Arg{Const(start), Const(length), a.String(title), Const(len(title))})
}

// maxWords is more than the kernel takes as arguments and environment of an execve: three
// quarters of 8 MiB (execve(2)).
const maxWords = 8 << 20

// callersWords is where the kernel has put the arguments and, behind them, the environment:
// between the first argument, which Go's strings still point at, and the name of the
// executed file, which is the last string above the stack (AT_EXECFN of getauxval(3);
// create_elf_tables in fs/binfmt_elf.c). The length is 0 if there is no such place.
func callersWords() (start, length uintptr) {
	if len(os.Args) == 0 {
		return 0, 0
	}
	start = uintptr(unsafe.Pointer(unsafe.StringData(os.Args[0])))
	auxv, _ := unix.Auxv()
	for _, aux := range auxv {
		if aux[0] == atExecfn && aux[1] > start && aux[1]-start < maxWords {
			return start, aux[1] - start
		}
	}
	return 0, 0
}

// atExecfn is AT_EXECFN of the kernel's include/uapi/linux/auxvec.h.
const atExecfn = 31
