package seccomp

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The instructions of a filter (linux/filter.h).
const (
	opLoad = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opRet  = unix.BPF_RET | unix.BPF_K
	opAnd  = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opJump = unix.BPF_JMP | unix.BPF_JA
	opJeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opJgt  = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	opJge  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	opJset = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
)

// check proves of a program that whatever it is given it ends with an answer, that
// it reads nothing but seccomp_data, and that no instruction is there in vain.
func check(code []bpf.RawInstruction) error {
	reached := make([]bool, len(code))
	reached[0] = true
	for i, c := range code {
		if !reached[i] {
			return fmt.Errorf("instruction %d of the filter cannot be reached", i)
		}
		switch c.Op {
		case opRet:
			continue
		case opAnd, opJump, opJeq, opJgt, opJge, opJset:
		case opLoad:
			if c.K%4 != 0 || c.K >= dataSize {
				return fmt.Errorf("instruction %d of the filter reads at %d", i, c.K)
			}
		default:
			return fmt.Errorf("instruction %d of the filter is unknown: %#x", i, c.Op)
		}
		yes, no := ways(i, c)
		if yes >= len(code) || no >= len(code) {
			return fmt.Errorf("instruction %d of the filter leads out of it", i)
		}
		reached[yes], reached[no] = true, true
	}
	return nil
}

// ways returns the two places to which an instruction may go on, by their indexes.
func ways(i int, c bpf.RawInstruction) (yes, no int) {
	switch c.Op {
	case opJump:
		return i + 1 + int(c.K), i + 1 + int(c.K)
	case opJeq, opJgt, opJge, opJset:
		return i + 1 + int(c.Jt), i + 1 + int(c.Jf)
	}
	return i + 1, i + 1
}
