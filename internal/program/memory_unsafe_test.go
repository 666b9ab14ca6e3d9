package program

import (
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
