package executable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
)

// header is what matters of an ELF file's header (elf(5)).
type header struct {
	is64        bool
	order       binary.ByteOrder
	number      uint16 // e_machine
	interpreter string // the dynamic linker, "" if there is none or it is not in sight
}

// parse reads the header of a file that begins with these bytes.
func parse(head []byte) (header, bool) {
	if !bytes.HasPrefix(head, []byte("\x7fELF")) || len(head) < 20 {
		return header{}, false
	}
	h := header{is64: head[4] == 2, order: binary.LittleEndian}
	if head[5] == 2 {
		h.order = binary.BigEndian
	}
	h.number = h.order.Uint16(head[18:])
	h.interpreter = h.findInterpreter(head)
	return h, true
}

// findInterpreter follows the program headers to the one of type PT_INTERP.
func (h header) findInterpreter(head []byte) string {
	const interp = 3 // PT_INTERP
	word := func(at, size uint64) uint64 {
		if at+size > uint64(len(head)) || at > uint64(len(head)) {
			return 0
		}
		if size == 8 {
			return h.order.Uint64(head[at:])
		}
		return uint64(h.order.Uint32(head[at:]))
	}
	// Offsets of e_phoff and the two 16-bit numbers behind e_ehsize, and in a
	// program header, of p_offset and p_filesz.
	size, phoff, phentsize, offset, filesz := uint64(8), uint64(32), uint64(54), uint64(8), uint64(32)
	if !h.is64 {
		size, phoff, phentsize, offset, filesz = 4, 28, 42, 4, 16
	}
	if uint64(len(head)) < phentsize+4 {
		return ""
	}
	entry, count := uint64(h.order.Uint16(head[phentsize:])), uint64(h.order.Uint16(head[phentsize+2:]))
	for at := word(phoff, size); count > 0 && at < uint64(len(head)); at, count = at+entry, count-1 {
		if word(at, 4) != interp {
			continue
		}
		from, length := word(at+offset, size), word(at+filesz, size)
		if from >= uint64(len(head)) || length > uint64(len(head))-from {
			return ""
		}
		name, _, _ := bytes.Cut(head[from:from+length], []byte{0})
		return string(name)
	}
	return ""
}

// machines are the numbers of e_machine in use today.
var machines = [...]struct {
	number uint16
	name   string // as GOARCH has it, where it does
}{
	{3, "386"}, {8, "mips"}, {20, "ppc"}, {21, "ppc64"}, {22, "s390x"}, {40, "arm"},
	{62, "amd64"}, {183, "arm64"}, {243, "riscv64"}, {258, "loong64"},
}

func (h header) machine() string {
	for _, m := range machines {
		if m.number == h.number {
			return m.name
		}
	}
	return fmt.Sprintf("a machine of number %d", h.number)
}

// runsHere says whether the kernel may know the machine: its own, or the 32 bits of it.
func (h header) runsHere() bool {
	switch name := h.machine(); runtime.GOARCH {
	case "amd64":
		return name == "amd64" || name == "386"
	case "arm64":
		return name == "arm64" || name == "arm"
	default:
		return name == runtime.GOARCH
	}
}
