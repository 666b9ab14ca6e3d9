package devfilter

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// An insn is one eBPF instruction, as struct bpf_insn of linux/bpf.h on a
// little-endian machine.
type insn struct {
	code uint8
	regs uint8 // destination in the low half, source in the high half
	off  int16
	imm  int32
}

// Registers: r0 is the verdict, r1 the context, which stays where it is.
const (
	r0 = iota
	r1
	scratch
	want
)

// Offsets in struct bpf_cgroup_dev_ctx: kind and access share the first word.
const (
	atKind  = 0
	atMajor = 4
	atMinor = 8
)

// The few instructions that a filter needs (Documentation/bpf/standardization).
const (
	opLoad     = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
	opLoadHalf = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_H
	opMov      = unix.BPF_ALU | unix.BPF_MOV | unix.BPF_K
	opMovReg   = unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X
	opAnd      = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opShift    = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K
	opIfEqual  = unix.BPF_JMP32 | unix.BPF_JEQ | unix.BPF_K
	opIfNot    = unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_K
	opExit     = unix.BPF_JMP | unix.BPF_EXIT
)

// compile makes the program. It keeps the accesses that are still undecided in
// a register and goes through the rules from the last to the first, so that the
// first match is the one that counts: an allowing rule takes its accesses away,
// and if none is left the request passes; a denying rule ends it if any of its
// accesses is still wanted. At the end, what is left is denied.
//
// Each rule jumps to the next one only, so the 16 bits of a jump are enough for
// a list of any length, and rules before one that matches everything are left
// out: the verifier refuses code that cannot be reached.
//
// Every rule loads its numbers anew. Kept in a register, the verifier would
// remember for the rest of the program that it was equal once, and walk the
// rest again for each such memory: work that grows with the square of the list.
func compile(rules []rule) []insn {
	// At most eleven instructions a rule, two to begin and two to end.
	prog := make([]insn, 0, 4+11*len(rules))
	prog = append(prog,
		insn{opLoad, r1<<4 | want, atKind, 0},
		insn{opShift, want, 0, 16})
	for i := len(rules) - 1; i >= 0; i-- {
		r := &rules[i]
		if r.everything() {
			return append(prog, verdict(r.allow)...)
		}
		start := len(prog)
		if r.kind != anyKind {
			prog = append(prog,
				insn{opLoadHalf, r1<<4 | scratch, atKind, 0},
				insn{opIfNot, scratch, 0, int32(r.kind)})
		}
		if r.major != wildcard {
			prog = append(prog,
				insn{opLoad, r1<<4 | scratch, atMajor, 0},
				insn{opIfNot, scratch, 0, int32(uint32(r.major))})
		}
		if r.minor != wildcard {
			prog = append(prog, insn{opLoad, r1<<4 | scratch, atMinor, 0})
			// Neighbours that differ in the minor number alone are one rule with
			// several: at any but the last of them, the effect comes next.
			others := 0
			for i-others > 0 && r.differsInMinor(&rules[i-others-1]) && others < maxMinors {
				others++
			}
			for n := others; n > 0; n-- {
				minor := rules[i-n].minor
				prog = append(prog, insn{opIfEqual, scratch, int16(n), int32(uint32(minor))})
			}
			prog = append(prog, insn{opIfNot, scratch, 0, int32(uint32(r.minor))})
			i -= others
		}
		if r.allow {
			prog = append(prog,
				insn{opAnd, want, 0, int32(^r.access)},
				insn{opIfNot, want, 0, 0})
		} else {
			prog = append(prog,
				insn{opMovReg, want<<4 | scratch, 0, 0},
				insn{opAnd, scratch, 0, int32(r.access)},
				insn{opIfEqual, scratch, 0, 0})
		}
		prog = append(prog, verdict(r.allow)...)
		for j := start; j < len(prog); j++ {
			// What has no target yet goes to the next rule.
			if op := prog[j].code; (op == opIfNot || op == opIfEqual) && prog[j].off == 0 {
				prog[j].off = int16(len(prog) - j - 1)
			}
		}
	}
	return append(prog, verdict(false)...)
}

// maxMinors bounds how many rules become one: jumps have 16 bits.
const maxMinors = 4096

// differsInMinor tells whether two rules say the same of two devices of one driver.
func (r *rule) differsInMinor(other *rule) bool {
	return other.allow == r.allow && other.kind == r.kind && other.major == r.major &&
		other.access == r.access && other.minor != wildcard
}

// verdict ends the program: 1 allows, 0 is EPERM.
func verdict(allow bool) []insn {
	v := int32(0)
	if allow {
		v = 1
	}
	return []insn{{opMov, r0, 0, v}, {opExit, 0, 0, 0}}
}

// A Program is a compiled filter, not yet known to the kernel.
type Program struct{ insns []insn }

// Compile checks the rules and compiles them. An error names the field.
func Compile(rules []specs.LinuxDeviceCgroup) (*Program, error) {
	parsed, err := parse(rules)
	if err != nil {
		return nil, err
	}
	return &Program{compile(parsed)}, nil
}
