package program

import (
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cStrings reads back what [Assembler.Strings] left in the arena.
func cStrings(p *Program, table Arg) []string {
	var list []string
	for i := uintptr(0); ; i++ {
		word := *(**byte)(unsafe.Pointer(&p.arena[table.value+8*i]))
		if word == nil {
			return list
		}
		list = append(list, unix.BytePtrToString(word))
	}
}

// prctlName is prctl(2) with the address of a thread's name.
func prctlName(option int, name []byte) error {
	return unix.Prctl(option, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
}

// TestFree: the memory of a Program is gone at once.
func TestFree(t *testing.T) {
	p := assemble(t, func(a *Assembler) { a.Exit(0) })
	base := uintptr(p.mem.base)
	mapped := func() syscall.Errno {
		var pages [1]byte
		_, _, errno := unix.RawSyscall(unix.SYS_MINCORE, base, 1, uintptr(unsafe.Pointer(&pages)))
		return errno
	}
	if errno := mapped(); errno != 0 {
		t.Fatalf("mincore: %v", errno)
	}
	c := launch(t, p, 0)
	if e, err := c.Next(); err != nil || !e.Exited {
		t.Fatalf("event %+v, %v", e, err)
	}
	if _, err := c.Reap(); err != nil {
		t.Fatal(err)
	}
	c.Release()
	p.Free()
	p.Free()
	if errno := mapped(); errno != unix.ENOMEM {
		t.Errorf("mincore: %v, want ENOMEM", errno)
	}
	var none *Program
	none.Free()
}
