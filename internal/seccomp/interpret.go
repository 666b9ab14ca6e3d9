package seccomp

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// interpret reads what a profile says of a call, given that it compiles. It is slow
// and plain, shares nothing with the compiler but the tables, and is what the
// compiled program is tested against.
func interpret(p *specs.LinuxSeccomp, native specs.Arch, d *Data) Verdict {
	fallback := interpretAction(p.DefaultAction, p.DefaultErrnoRet)
	byDefault := Verdict{Ret: fallback, Rule: "/linux/seccomp/defaultAction"}
	on := archOf(d)
	covers := func(name specs.Arch) bool { return name == native || slices.Contains(p.Architectures, name) }
	switch {
	case on != nil && covers(on.name):
	case d.Arch == unix.AUDIT_ARCH_X86_64 && covers(specs.ArchX86_64) && d.Number == 1<<32-1:
		byDefault.Reason = "not a call: a tracer has taken one back"
		return byDefault
	default:
		return Verdict{Ret: badArch, Rule: "/linux/seccomp/architectures", Reason: "calls of this architecture are not covered"}
	}

	if newest := interpretNewest(p, on); newest != "" && refuses(fallback) {
		nr, _ := Number(on.name, newest)
		first, last := on.apart()
		apart := first <= d.Number && d.Number <= last
		if on.setup && d.Number == 0 {
			return Verdict{Ret: on.enosys(), Reason: "stands for a number that the kernel does not know"}
		}
		if d.Number > nr && !apart {
			return Verdict{Ret: on.enosys(), Reason: fmt.Sprintf("newer than %s, the newest call that the profile names", newest)}
		}
	}

	name := on.nameOf(d.Number)
	if name == "" {
		byDefault.Reason = "no call of this number is known"
		return byDefault
	}
	var mux *multiplexer
	for i := range multiplexers {
		if on.muxed && multiplexers[i].name == name {
			mux = &multiplexers[i]
		}
	}
	for _, rule := range interpretRules(p, name, fallback, on.wide) {
		if rule.met(on.wide, d.Args) {
			return Verdict{Ret: rule.ret, Rule: fmt.Sprintf("/linux/seccomp/syscalls/%d", rule.entry)}
		}
	}
	if mux == nil {
		return byDefault
	}
	number := d.Args[0] & mux.mask
	if number >= uint64(len(mux.calls)) || mux.calls[number] == "" {
		return byDefault
	}
	return interpretThrough(p, mux.calls[number], on.wide, byDefault)
}

// interpretThrough says what a call gets that is made through a multiplexer, where
// its own arguments are not seen: the strictest that it may get.
func interpretThrough(p *specs.LinuxSeccomp, name string, wide bool, byDefault Verdict) Verdict {
	v := byDefault
	for i, s := range p.Syscalls {
		ret := interpretAction(s.Action, s.ErrnoRet)
		if !slices.Contains(s.Names, name) || ret == byDefault.Ret {
			continue
		}
		this := Verdict{
			Ret: ret, Rule: fmt.Sprintf("/linux/seccomp/syscalls/%d", i),
			Reason: fmt.Sprintf("as %s, whose arguments are not seen here", name),
		}
		if always := slices.ContainsFunc(interpretSets(s.Args, wide), func(set []specs.LinuxSeccompArg) bool { return len(set) == 0 }); always {
			return this
		}
		if stricter(ret, v.Ret) {
			v = this
		}
	}
	return v
}

// archOf returns the architecture of a call.
func archOf(d *Data) *arch {
	for i := range arches {
		a := &arches[i]
		if a.audit == d.Arch && (a.audit != unix.AUDIT_ARCH_X86_64 || a.x32() == (d.Number >= x32Bit)) {
			return a
		}
	}
	return nil
}

func interpretAction(name specs.LinuxSeccompAction, errnoRet *uint) uint32 {
	i := slices.IndexFunc(actions[:], func(a action) bool { return a.name == name })
	switch {
	case actions[i].most == 0:
		return actions[i].ret
	case errnoRet == nil:
		return actions[i].ret + 1 // EPERM
	}
	return actions[i].ret + uint32(*errnoRet)
}

// interpretNewest returns the newest call of an architecture that a profile names.
func interpretNewest(p *specs.LinuxSeccomp, on *arch) (newest string) {
	highest := int64(-1)
	first, last := on.apart()
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			either := []string{name}
			for _, m := range multiplexers {
				if on.muxed && slices.Contains(m.calls, name) {
					either = append(either, m.name)
				}
			}
			for _, name := range either {
				nr, ok := Number(on.name, name)
				if ok && int64(nr) > highest && (nr < first || nr > last) {
					newest, highest = name, int64(nr)
				}
			}
		}
	}
	return newest
}
