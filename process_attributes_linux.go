package main

import (
	"fmt"
	"sort"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// defaultUmask is what a process has that the config gives no umask.
const defaultUmask = 0o022

// umask undoes the umask of zero under which the container was built.
func (b *birth) umask() []plan.Step {
	p := b.spec.Process
	if p == nil {
		return nil
	}
	mask, field := uint32(defaultUmask), ""
	if p.User.Umask != nil {
		mask, field = *p.User.Umask, "/process/user/umask"
	}
	return []plan.Step{{
		Field: field, By: plan.Init, Words: fmt.Sprintf("set the umask to %04o", mask),
		Shell: b.command("umask", fmt.Sprintf("%04o", mask)),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_UMASK, program.Const(mask))
		},
	}}
}

// sysctls sets kernel parameters of the container's namespaces, in the order of
// their names: a JSON object has none.
func (b *birth) sysctls() []plan.Step {
	if b.spec.Linux == nil {
		return nil
	}
	var steps []plan.Step
	for key, value := range b.spec.Linux.Sysctl {
		file := "sys/" + spec.SysctlFile(key)
		steps = append(steps, plan.Step{
			Field: "/linux/sysctl/" + spec.Escape(key),
			By:    plan.Init, Words: fmt.Sprintf("set %s to %s", key, value),
			Shell: b.typed(func() []string { return shellSysctl(key, value) }),
			Assemble: func(a *program.Assembler) {
				if file == "sys/kernel/domainname" {
					// The file is for the host's root alone, also in a user namespace.
					a.Call(program.Discard, unix.SYS_SETDOMAINNAME, a.String(value), program.Const(len(value))).Note(value)
					return
				}
				b.writeProc(a, file, value)
			},
		})
	}
	sort.Slice(steps, func(i, j int) bool { return steps[i].Field < steps[j].Field })
	return steps
}

// personality sets the execution domain, which uname(2) shows (personality(2)).
func (b *birth) personality() []plan.Step {
	if b.spec.Linux == nil || b.spec.Linux.Personality == nil {
		return nil
	}
	domain := string(b.spec.Linux.Personality.Domain)
	value, _ := spec.Lookup(spec.Personalities, domain)
	return []plan.Step{{
		Field: "/linux/personality/domain", By: plan.Init, Words: "set the execution domain to " + domain,
		Shell: b.typed(func() []string { return shellPersonality(domain) }),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_PERSONALITY, program.Const(value)).Note(domain)
		},
	}}
}

// makeWorkingDirectory makes the cwd where the image lacks it.
func (b *birth) makeWorkingDirectory() []plan.Step {
	p := b.spec.Process
	if p == nil || p.Cwd == "/" {
		return nil
	}
	return []plan.Step{{
		Field: "/process/cwd", By: plan.Init, Words: "make the working directory " + p.Cwd + " if it is missing",
		Reason: "before anything is read-only",
		Shell:  b.typed(func() []string { return []string{"mkdir -p " + inShellRoot(p.Cwd)} }),
		Assemble: func(a *program.Assembler) {
			at := a.Reg()
			b.makeInRoot(a, at, p.Cwd, true, 0)
			closeFd(a, at)
		},
	}}
}

// keyring gives the process a session keyring of its own, so that it does not share
// keys with the caller (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING). It has no name:
// by a name, others with the same user id could have made it first, or join it. A
// kernel without keys has nothing to share.
func (b *birth) keyring() []plan.Step {
	p := b.spec.Process
	if b.opt.noNewKeyring || p == nil {
		return nil
	}
	field, detail := "", ""
	if p.SelinuxLabel != "" {
		field, detail = "/process/selinuxLabel", "labelled "+p.SelinuxLabel
	}
	return []plan.Step{{
		Field: field, By: plan.Init, Words: "join a new session keyring", Detail: detail, Reason: "the caller's keys are not the container's",
		Shell: b.remark("no command of a base system does it (keyctl session)"),
		Assemble: func(a *program.Assembler) {
			if p.SelinuxLabel != "" {
				b.writeProc(a, attrSELinuxKey, p.SelinuxLabel)
			}
			a.Call(program.Discard, unix.SYS_KEYCTL, program.Const(unix.KEYCTL_JOIN_SESSION_KEYRING), program.Const(0)).
				Note("new session keyring").Tolerate(unix.ENOSYS)
			if p.SelinuxLabel != "" {
				// A line end stands for none: keys that the program makes are its own matter.
				b.writeProc(a, attrSELinuxKey, "\n")
			}
		},
	}}
}

// sysctlHint is advice for a kernel parameter that could not be set, or "".
func sysctlHint(errno unix.Errno) string {
	switch errno {
	case unix.ENOENT:
		return "the kernel has no such parameter in this namespace, or only with a module that is not loaded"
	case unix.EINVAL, unix.ERANGE:
		return "the parameter does not take this value"
	case unix.EACCES, unix.EPERM:
		return "the kernel keeps this parameter for the host's root, also where a user namespace has it for itself"
	}
	return ""
}
