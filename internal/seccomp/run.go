package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Data is what the kernel gives a filter (struct seccomp_data of linux/seccomp.h),
// without the instruction pointer.
type Data struct {
	Number uint32
	Arch   uint32 // AUDIT_ARCH_ number
	Args   [6]uint64
}

// word returns the 32 bits at an offset, as a kernel of an architecture lays the
// structure out.
func (d *Data) word(offset uint32, big bool) uint32 {
	switch {
	case offset == atNumber:
		return d.Number
	case offset == atArch:
		return d.Arch
	case offset < atArgs:
		return 0
	}
	arg := d.Args[(offset-atArgs)/8]
	if (offset%8 == 4) != big {
		return uint32(arg >> 32)
	}
	return uint32(arg)
}

// run executes a program as the kernel would, and counts the instructions. The
// program has passed [check].
func run(code []bpf.RawInstruction, d *Data, big bool) (ret uint32, steps int) {
	var a uint32
	for pc := 0; pc < len(code); pc++ {
		i := &code[pc]
		steps++
		taken := false
		switch i.Op {
		case opRet:
			return i.K, steps
		case opLoad:
			a = d.word(i.K, big)
			continue
		case opAnd:
			a &= i.K
			continue
		case opJump:
			pc += int(i.K)
			continue
		case opJeq:
			taken = a == i.K
		case opJgt:
			taken = a > i.K
		case opJge:
			taken = a >= i.K
		case opJset:
			taken = a&i.K != 0
		}
		if taken {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	return unix.SECCOMP_RET_KILL_PROCESS, steps
}
