package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/seccomp"
	"github.com/oci-mini/oci-mini/internal/terminal"
)

// tokenListener is the sync point in front of a filter whose listener the runtime
// takes while init waits for that without a system call.
const tokenListener = 2

// compileFilter compiles the profile and finds out what would keep it from working.
func (b *birth) compileFilter() []error {
	l := b.spec.Linux
	if l == nil || l.Seccomp == nil {
		return nil
	}
	f, err := seccomp.Compile(l.Seccomp, seccomp.Native())
	if err != nil {
		return []error{err}
	}
	b.filter = f
	var faults []error
	if f.Notifies {
		field := "/linux/seccomp/listenerPath"
		if b.agent = l.Seccomp.ListenerPath; b.agent == "" {
			if b.agent = b.spec.Annotations[annotationAgent]; b.agent != "" {
				field = "/annotations/" + annotationAgent
			}
		}
		switch {
		case b.agent == "":
			faults = append(faults, fmt.Errorf("%s: required with %s: nobody would answer", field, specs.ActNotify))
		case !filepath.IsAbs(b.agent):
			faults = append(faults, fmt.Errorf("%s: must be an absolute path, is %q", field, b.agent))
		}
	}
	faults = append(faults, b.checkLastCall()...)
	return append(faults, b.checkHandOver()...)
}

// sendsListener says whether the process itself sends its listener: a runtime without
// privileges takes nothing out of one that hides (pidfd_getfd(2)), and it has to hide
// from those who are in its pid namespace already, as it has the runtime's memory.
func (b *birth) sendsListener() bool { return !b.host.mounts && !b.traceable() }

// checkHandOver refuses a profile that stands in the way of that: behind the filter, only
// a call that every such filter lets through can be made without waiting for the agent.
func (b *birth) checkHandOver() []error {
	if !b.filter.Notifies || b.spec.Process == nil || !b.sendsListener() {
		return nil
	}
	const why = "without privileges, a process that goes into a pid namespace with others in it sends the filter's listener by this call, behind the filter: allow it, or run the container as root"
	if rules := b.filter.Conditional(seccomp.Native(), unix.SYS_SENDMSG); len(rules) > 0 {
		return []error{fmt.Errorf("%s: judges sendmsg by its arguments: %s", rules[0], why)}
	}
	if b.lets(unix.SYS_SENDMSG, 3, 1<<40, unix.MSG_NOSIGNAL) {
		return nil
	}
	v, err := b.filter.Judge(seccomp.Native(), unix.SYS_SENDMSG, [6]uint64{3, 1 << 40, unix.MSG_NOSIGNAL})
	if err != nil {
		return []error{fmt.Errorf("/linux/seccomp: %w", err)}
	}
	return []error{fmt.Errorf("%s: %s for sendmsg: %s", v.Rule, v.Action, why)}
}

// answer is what the filter does with a call of the runtime's own, behind it.
func (b *birth) answer(nr uintptr, args ...uint64) specs.LinuxSeccompAction {
	var all [6]uint64
	copy(all[:], args)
	return b.filter.Answer(seccomp.Native(), uint32(nr), all).Action
}

// lets says whether the filter lets a call through.
func (b *birth) lets(nr uintptr, args ...uint64) bool {
	action := b.answer(nr, args...)
	return action == specs.ActAllow || action == specs.ActLog
}

// checkLastCall refuses a profile that forbids the one call which the runtime makes
// behind the filter. The agent may be asked about it: by then it has the listener. For
// a hook there is no listener, and such a call fails with ENOSYS.
func (b *birth) checkLastCall() []error {
	if b.spec.Process == nil || b.lets(unix.SYS_EXECVE, 1<<40, 1<<40, 1<<40) {
		return nil
	}
	v, err := b.filter.Judge(seccomp.Native(), unix.SYS_EXECVE, [6]uint64{1 << 40, 1 << 40, 1 << 40})
	switch {
	case err != nil:
		return []error{fmt.Errorf("/linux/seccomp: %w", err)}
	case v.Action != specs.ActNotify:
		return []error{fmt.Errorf("%s: %s for execve: the container's process could not start", v.Rule, v.Action)}
	case len(hooksOf(b.spec, hookStartContainer)) > 0:
		return []error{fmt.Errorf("%s: %s for execve: the hooks of startContainer could not start, as no agent answers for them", v.Rule, v.Action)}
	}
	return nil
}

// heldForFilter are capabilities that the process keeps until its execve, to install
// the filter with: without no_new_privs that takes CAP_SYS_ADMIN (seccomp(2)). What is
// permitted before an execve does not count in what is permitted after it, which comes
// from the inheritable, ambient and bounding sets (capabilities(7)).
func (b *birth) heldForFilter() uint64 {
	if b.filter == nil || b.spec.Process.NoNewPrivileges {
		return 0
	}
	return 1 << unix.CAP_SYS_ADMIN
}

// reachAgent connects to the agent before anything is made; a container that waits
// has start do that, and only looks whether somebody listens.
func (b *birth) reachAgent() []plan.Step {
	if b.agent == "" {
		return nil
	}
	words := "connect to the seccomp agent at " + b.agent
	if b.opt.wait {
		words = "look for the seccomp agent at " + b.agent
	}
	return []plan.Step{{
		Field: "/linux/seccomp/listenerPath", By: plan.Runtime, Words: words,
		Reason: "without it the calls that the profile leaves to it would wait for ever",
		Shell:  b.remark("no command of a base system does it"),
		Do: func() (func() error, error) {
			if err := knowsFlags(b.filter.Flags); err != nil {
				return nil, err
			}
			if b.opt.wait {
				return nil, terminal.Listens(b.agent)
			}
			var err error
			if b.agentFd, err = terminal.Dial(b.agent); err == nil {
				b.opened = append(b.opened, b.agentFd)
			}
			return nil, err
		},
	}}
}

// knowsFlags asks the kernel for the one flag that is younger than the oldest
// supported kernel (Linux 5.19), by a filter at no address.
func knowsFlags(flags uint32) error {
	if flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV == 0 {
		return nil
	}
	const setModeFilter = 1 // SECCOMP_SET_MODE_FILTER
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, setModeFilter, uintptr(flags), 0); errno == unix.EINVAL {
		return errors.New("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: not known by this kernel, which must be Linux 5.19 or newer")
	}
	return nil
}

// installFilter is the last step before the execve, which is the only system call
// behind it, but for one that sends the listener; see sendsListener. Whatever else the
// profile forbids, or leaves to the agent, is none of the runtime's concern.
func (b *birth) installFilter() []plan.Step {
	f := b.filter
	if f == nil || b.spec.Process == nil {
		return nil
	}
	steps := []plan.Step{{
		Field: "/linux/seccomp", By: plan.Init,
		Words:  fmt.Sprintf("install the seccomp filter of %d instructions", len(f.Program)),
		Detail: seccomp.FlagNames(f.Flags),
		Reason: "last: only the execve is subject to it",
		Shell:  b.remark("no command of a base system does it"),
		Assemble: func(a *program.Assembler) {
			if f.Notifies && !b.opt.wait {
				a.Sync(tokenListener)
			}
			listener := a.Reg()
			way := program.ListenerTaken
			switch {
			case !b.sendsListener():
			case b.opt.wait:
				way = b.startConn.Arg()
			default:
				way = program.ListenerToParent
			}
			b.assembleFilter(a, listener, f.Flags, way)
			if f.Notifies && b.lets(unix.SYS_CLOSE, 3) {
				// So that calls fail if the agent dies before it has answered.
				a.Call(program.Discard, unix.SYS_CLOSE, listener.Arg()).Note("listener")
			}
			a.Release(listener)
		},
	}}
	if f.Notifies {
		words := "send the filter's listener to the agent"
		if b.opt.wait {
			words = "start sends the filter's listener to the agent"
		}
		steps = append(steps, plan.Step{
			Field: "/linux/seccomp/listenerPath", By: plan.Runtime, Beside: true, Words: words,
			Reason: "init waits for it without a system call, which might be one that the agent decides about",
			Shell:  b.remark("there is none"),
			Do:     func() (func() error, error) { return nil, b.giveListener() },
		})
	}
	return steps
}

// assembleFilter installs the filter with these flags; way is how its listener, if it has
// one, gets out of the process.
func (b *birth) assembleFilter(a *program.Assembler, dst program.Reg, flags uint32, way program.Arg) {
	if held := b.heldForFilter(); held != 0 {
		setCapabilities(a, b.caps.effective|held, b.caps.permitted|held|b.heldAgainstTracers(), b.caps.inheritable)
	}
	code := make([]byte, 0, 8*len(b.filter.Program))
	for _, in := range b.filter.Program {
		code = binary.NativeEndian.AppendUint16(code, in.Op)
		code = append(code, in.Jt, in.Jf)
		code = binary.NativeEndian.AppendUint32(code, in.K)
	}
	mayExit := b.lets(unix.SYS_EXIT_GROUP, 1) || b.answer(unix.SYS_EXIT_GROUP, 1) == specs.ActKillProcess
	a.Filter(dst, flags, code, mayExit, way)
}

// confineByFilter gives a hook the filter of the container's process. No agent listens
// for it: calls that one would decide about fail with ENOSYS.
func (b *birth) confineByFilter(a *program.Assembler) {
	if b.filter == nil || b.spec.Process == nil {
		return
	}
	const listening = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	b.assembleFilter(a, program.Discard, b.filter.Flags&^listening, program.ListenerTaken)
}

// giveListener takes the listener out of the process and sends it to the agent.
func (b *birth) giveListener() error {
	status := specs.StateCreating
	if b.joins {
		status = specs.StateRunning
	}
	document := processState{b.dir.Record, b.spec.Linux.Seccomp.ListenerMetadata, b.child.Pid, status}
	listener := b.child.Listener()
	listener.Stop = b.interrupted
	err := listener.Take(b.child.Pidfd, func(fd int) error { return document.send(b.agentFd, b.agent, fd) })
	if err == os.ErrProcessDone {
		return nil // what ended it is reported by itself
	}
	return err
}
