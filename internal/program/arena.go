package program

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"
)

// What the instructions point at: strings, arrays of them, and the kernel's argument
// structures, all in the Program's arena.

// String places s with its closing NUL into the arena and returns its address.
// Equal strings share their place. A NUL inside s is a fault: the kernel would
// see less than was asked for.
func (a *Assembler) String(s string) Arg {
	if arg, ok := a.strings[s]; ok {
		return arg
	}
	if strings.IndexByte(s, 0) >= 0 {
		a.fault("string %q has a NUL byte", s)
	}
	arg := Arg{kindArena, uintptr(len(a.arena))}
	a.arena = append(a.arena, s...)
	a.arena = append(a.arena, 0)
	a.strings[s] = arg
	return arg
}

// Bytes places b into the arena, aligned to a machine word, and returns its address.
func (a *Assembler) Bytes(b []byte) Arg {
	for len(a.arena)%8 != 0 {
		a.arena = append(a.arena, 0)
	}
	arg := Arg{kindArena, uintptr(len(a.arena))}
	a.arena = append(a.arena, b...)
	return arg
}

// Words places 64-bit words, in the machine's byte order, into the arena. Most
// of the kernel's argument structures (open_how, mount_attr) are such words.
func (a *Assembler) Words(words ...uint64) Arg {
	b := make([]byte, 0, 8*len(words))
	for _, w := range words {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return a.Bytes(b)
}

// Strings places a NULL-terminated array of addresses of strings into the
// arena, the form of argv and envp, and returns its address.
func (a *Assembler) Strings(list []string) Arg {
	args := make([]Arg, len(list))
	for i, s := range list {
		args[i] = a.String(s)
	}
	table := a.Words(make([]uint64, len(list)+1)...)
	for i, arg := range args {
		a.pointer = append(a.pointer, reloc{table.value + uintptr(8*i), arg.value})
	}
	return table
}

// PointTo makes the word at offset bytes into the structure the address of target.
func (a *Assembler) PointTo(structure Arg, offset int, target Arg) {
	at := structure.value + uintptr(offset)
	if structure.kind != kindArena || target.kind != kindArena {
		a.fault("pointer between places that are not in the arena")
		return
	}
	if offset < 0 || at+8 > uintptr(len(a.arena)) {
		a.fault("pointer at offset %d, past the end of the structure", offset)
		return
	}
	a.pointer = append(a.pointer, reloc{at, target.value})
}

// OpenHow is a struct open_how for openat2(2).
func (a *Assembler) OpenHow(flags, mode, resolve uint64) Arg {
	return a.Words(flags, mode, resolve)
}

// OpenHowSize is the size of struct open_how in bytes.
var OpenHowSize = Const(unix.SizeofOpenHow)

// MountAttr is a struct mount_attr for mount_setattr(2).
func (a *Assembler) MountAttr(set, clear, propagation, usernsFd uint64) Arg {
	return a.Words(set, clear, propagation, usernsFd)
}

// MountAttrSize is the size of struct mount_attr in bytes.
var MountAttrSize = Const(32)
