package seccomp

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A Filter is a compiled profile.
type Filter struct {
	// Program is what the kernel runs.
	Program []bpf.RawInstruction
	// Flags are those of seccomp(2) (SECCOMP_FILTER_FLAG_): the profile's own, and
	// NEW_LISTENER if the filter notifies.
	Flags uint32
	// Notifies says that a call may be passed to a listener.
	Notifies bool
	// Arches are the architectures whose calls the filter judges: those of the
	// profile and the native one. A call of another kills its thread.
	Arches []specs.Arch
	// Unknown are the names of the profile that are no system call of any
	// architecture. They are ignored.
	Unknown []string

	profile *specs.LinuxSeccomp
	native  specs.Arch
}

// Compile compiles a profile for processes of a native architecture, which comes
// first in the program. An error names the field by its JSON pointer.
func Compile(profile *specs.LinuxSeccomp, native specs.Arch) (*Filter, error) {
	f, err := compile(profile, native)
	if err != nil {
		return nil, fmt.Errorf("/linux/seccomp%w", err)
	}
	return f, nil
}

func compile(profile *specs.LinuxSeccomp, native specs.Arch) (*Filter, error) {
	covered, err := coveredArches(profile, native)
	if err != nil {
		return nil, err
	}
	r, err := read(profile)
	if err != nil {
		return nil, err
	}
	f := &Filter{Notifies: r.notifies, Unknown: r.unknown, profile: profile, native: native}
	for _, a := range covered {
		f.Arches = append(f.Arches, a.name)
	}
	if f.Flags, err = flagBits(profile, r.notifies); err != nil {
		return nil, err
	}
	c := &compiler{
		e: newEmitter(), rules: r,
		found: make([]point, 0, numNames), sorted: make([]point, 0, numNames), spans: make(spans, 0, 256),
	}
	c.weigh()
	f.Program, err = c.program(covered)
	if err != nil {
		return nil, fmt.Errorf(": %w", err)
	}
	return f, nil
}

// coveredArches returns the native architecture and then those of the profile.
func coveredArches(profile *specs.LinuxSeccomp, native specs.Arch) ([]*arch, error) {
	first := findArch(native)
	if first == nil {
		return nil, fmt.Errorf(": %q is not an architecture", native)
	}
	covered := []*arch{first}
	for i, name := range profile.Architectures {
		a := findArch(name)
		if a == nil {
			return nil, fmt.Errorf("/architectures/%d: %q is not an architecture", i, name)
		}
		if !slices.Contains(covered, a) {
			covered = append(covered, a)
		}
	}
	return covered, nil
}

// A compiler writes the program of a profile.
type compiler struct {
	e     *emitter
	rules *rules
	// judged is where the rules of each call are tried, for each kind of
	// architecture: wide or not, big or not. 0 is not known yet, others are one more.
	judged  [2][2]*[numNames]label
	weights [numNames]uint8
	// Memory for the work on one architecture.
	found, sorted []point
	spans         spans
}

// program writes
//
//	load arch
//	jeq native -> load number, search
//	jeq other  -> load number, search
//	kill
//
// The search of the native architecture comes first, constant answers last. Whether all that
// is too long is known only at the end, without what nothing leads to.
func (c *compiler) program(covered []*arch) ([]bpf.RawInstruction, error) {
	e := c.e
	next := e.ret(badArch)
	e.ret(c.rules.fallback)
	type section struct {
		audit uint32
		at    label
	}
	sections := make([]section, 0, len(covered)) // the native one last
	for i := len(covered) - 1; i >= 0; i-- {
		if audit := covered[i].audit; !slices.ContainsFunc(covered[:i], func(a *arch) bool { return a.audit == audit }) {
			sections = append(sections, section{audit, e.load(atNumber, e.tree(c.numbers(covered, audit)))})
		}
	}
	for _, s := range sections {
		next = e.branch(opJeq, s.audit, s.at, next)
	}
	return e.program(e.load(atArch, next))
}

// numbers returns the spans of all numbers that the architectures with an
// AUDIT_ARCH_ number have: one, or amd64 and x32.
func (c *compiler) numbers(covered []*arch, audit uint32) spans {
	s := c.spans[:0]
	var low, high *arch
	for _, a := range covered {
		switch {
		case a.audit != audit:
		case a.x32():
			high = a
		default:
			low = a
		}
	}
	bad := c.e.ret(badArch)
	end := uint64(1) << 32
	if audit == unix.AUDIT_ARCH_X86_64 {
		end = x32Bit
	}
	if low != nil {
		c.spansOf(low, 0, end, low == covered[0], &s)
	} else {
		s.add(0, bad, 1)
	}
	switch {
	case high != nil:
		c.spansOf(high, x32Bit, 1<<32, high == covered[0], &s)
	case audit == unix.AUDIT_ARCH_X86_64:
		s.add(x32Bit, bad, 1)
		// -1 is the number of a call that a tracer has taken back.
		s.add(1<<32-1, c.e.ret(c.rules.fallback), 1)
	}
	c.spans = s
	return s
}
