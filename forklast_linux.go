package main

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// A process that forks into the container's pid namespace is seen in there from then on, and whom
// the config gives CAP_SYS_PTRACE may trace it, hidden or not, where the container has no user
// namespace: with what it has of the runtime's capabilities, until it has given them up. So an exec
// forks when it has become the process of the config in all else, and only the execve is left. What
// it does after the filter is installed is then subject to that.

// forksLast says whether it can: the filter has to let the few calls through that are left, without
// asking anybody; and what a fork would undo, or a process may not fork with, cannot be set before.
func (b *birth) forksLast() bool {
	p := b.spec.Process
	if !b.joins || !b.entersPids() || b.inUsers() || p == nil || p.Scheduler != nil || b.countsProcesses() {
		return false
	}
	if b.filter == nil {
		return true
	}
	return !b.filter.Notifies &&
		b.lets(unix.SYS_CLONE, program.ForkFlags, 0, 1<<40) && b.lets(unix.SYS_EXIT_GROUP, 0) && b.lets(unix.SYS_SETSID) &&
		(!b.hasTerminal() || b.lets(unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)) &&
		(b.heldForFilter() == 0 || b.lets(unix.SYS_CAPSET, 1<<40, 1<<40))
}

// countsProcesses says whether a limit of the config may refuse the fork to the process's user, who
// has both processes for a moment.
func (b *birth) countsProcesses() bool {
	const most = 1 << 22 // processes of a machine: PID_MAX_LIMIT
	p := b.spec.Process
	if p.User.UID == 0 && b.host.initial {
		return false // who has no limit
	}
	return slices.ContainsFunc(p.Rlimits, func(l specs.POSIXRlimit) bool { return l.Type == "RLIMIT_NPROC" && l.Soft < most })
}

// dropHeld gives up what the process has kept for the filter.
func (b *birth) dropHeld() []plan.Step {
	if b.heldForFilter() == 0 {
		return nil
	}
	return []plan.Step{{
		Field: "/process/capabilities", By: plan.Init, Words: "give up what was kept to install the filter",
		Reason: "before anybody in the container can see the process",
		Assemble: func(a *program.Assembler) {
			setCapabilities(a, b.caps.effective, b.caps.permitted|b.heldAgainstTracers(), b.caps.inheritable)
		},
	}}
}

// controllingTerminal makes the standard input the controlling terminal of the session.
func (b *birth) controllingTerminal() []plan.Step {
	if !b.hasTerminal() {
		return nil
	}
	return []plan.Step{{
		Field: "/process/terminal", By: plan.Init, Words: "make the pty the controlling terminal",
		Reason:   "only the leader of a session can",
		Assemble: func(a *program.Assembler) { control(a, program.Const(0)) },
	}}
}
