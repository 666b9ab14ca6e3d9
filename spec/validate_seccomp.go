package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// whyNoNotify says why no agent may decide about write(2), conditions or not, and
// therefore not about all calls either. runc refuses both, so that a profile which has
// one of them would work with some runtimes only.
const whyNoNotify = "a process whose agent is late or gone could not even write that it is, and runc refuses it too"

// seccomp checks a profile. Names of system calls are not judged: one that the
// kernel or this program does not know is ignored, so that a profile serves
// kernels old and new.
func (c *checker) seccomp(at *pointer, s *specs.LinuxSeccomp) {
	c.oneOf(at.field("defaultAction"), string(s.DefaultAction), SeccompActions)
	if s.DefaultAction == specs.ActNotify {
		c.bad(at.field("defaultAction"), "must not be %s: %s", specs.ActNotify, whyNoNotify)
	}
	c.errnoRet(at.field("defaultErrnoRet"), s.DefaultErrnoRet, s.DefaultAction)
	list := at.field("architectures")
	for i, arch := range s.Architectures {
		c.oneOf(list.item(i), string(arch), SeccompArches)
	}
	list = at.field("flags")
	for i, flag := range s.Flags {
		c.oneOf(list.item(i), string(flag), SeccompFlags)
	}
	c.text(at.field("listenerPath"), s.ListenerPath)
	if s.ListenerMetadata != "" && s.ListenerPath == "" {
		c.bad(at.field("listenerMetadata"), "must not be set without listenerPath")
	}
	list = at.field("syscalls")
	for i := range s.Syscalls {
		rule := list.item(i)
		c.seccompRule(&rule, &s.Syscalls[i])
	}
}

func (c *checker) seccompRule(at *pointer, rule *specs.LinuxSyscall) {
	names := at.field("names")
	if len(rule.Names) == 0 {
		c.bad(names, "must have at least one entry")
	}
	for i, name := range rule.Names {
		if name == "" {
			c.bad(names.item(i), "must be the name of a system call, is empty")
		}
	}
	c.oneOf(at.field("action"), string(rule.Action), SeccompActions)
	if rule.Action == specs.ActNotify && slices.Contains(rule.Names, "write") {
		c.bad(at.field("action"), "must not be %s for write: %s", specs.ActNotify, whyNoNotify)
	}
	c.errnoRet(at.field("errnoRet"), rule.ErrnoRet, rule.Action)
	args := at.field("args")
	for i := range rule.Args {
		arg := args.item(i)
		if rule.Args[i].Index > 5 {
			c.bad(arg.field("index"), "must be from 0 to 5, is %d", rule.Args[i].Index)
		}
		c.oneOf(arg.field("op"), string(rule.Args[i].Op), SeccompOperators)
	}
}

// errnoRet checks the number that an action returns: an errno, which the kernel
// caps in silence, or the message for a tracer, which has 16 bits.
func (c *checker) errnoRet(at pointer, value *uint, action specs.LinuxSeccompAction) {
	if value == nil {
		return
	}
	most := uint(4095) // MAX_ERRNO
	switch action {
	case specs.ActErrno:
	case specs.ActTrace:
		most = 1<<16 - 1 // SECCOMP_RET_DATA
	default:
		c.bad(at, "must be set with %s and %s alone, not with %s", specs.ActErrno, specs.ActTrace, action)
		return
	}
	if *value > most {
		c.bad(at, "must be at most %d, is %d", most, *value)
	}
}

// oneOf checks that a value is one of a list of names.
func (c *checker) oneOf(at pointer, value string, allowed []string) {
	if !slices.Contains(allowed, value) {
		c.unknown(at, value, allowed)
	}
}
