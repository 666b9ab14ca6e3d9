// Package userns emits how a process goes into a user namespace that exists already.
//
// The caller's additional groups are the danger. In a user namespace in which somebody
// without privileges has mapped a group, setgroups(2) is denied for good, to everybody
// (user_namespaces(7)): a process that comes with groups keeps them, and the files of the
// host that they open with them. So they are given up before setns(2), by the rights that
// the caller has outside.
package userns

import (
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// Entry says what becomes of the caller's additional groups on the way into a user
// namespace. The zero Entry drops them before, or fails.
type Entry struct {
	// Keep leaves the process the groups, since somebody asks for that.
	Keep bool
	// Powerless: the caller may not drop groups where it is; it lacks CAP_SETGID, or
	// setgroups(2) is denied there too. They are dropped inside if that can be.
	Powerless bool
}

// Drops says whether the groups are given up before the user namespace is entered.
func (e Entry) Drops() bool { return !e.Keep && !e.Powerless }

// Join emits the drop of the groups, and after it what joins the user namespace.
func (e Entry) Join(a *program.Assembler, setns func()) {
	if e.Drops() {
		dropGroups(a)
	}
	setns()
}

// Root emits how the process becomes user and group 0 of the user namespace it has
// joined; where they are not mapped, its capabilities in there must do. That setgroups(2)
// is denied is no error: the groups are gone by then, or nobody could drop them.
//
// A change of the effective user id makes a process traceable again, or as
// fs.suid_dumpable says (prctl(2), PR_SET_DUMPABLE). Here it ends up not to be.
func (e Entry) Root(a *program.Assembler) {
	if !e.Keep {
		dropGroups(a).Tolerate(unix.EPERM)
	}
	becomeRoot(a)
}

// NewRoot is Root for a user namespace that the caller has made itself, and which the
// process was in before it could drop any groups. They are dropped here, and that this is
// denied is an error: whoever may drop them outside may map groups without giving that up.
func (e Entry) NewRoot(a *program.Assembler) {
	if !e.Keep {
		drop := dropGroups(a)
		if e.Powerless {
			drop.Tolerate(unix.EPERM)
		}
	}
	becomeRoot(a)
}

// dropGroups emits setgroups(2) with no groups.
func dropGroups(a *program.Assembler) program.Call {
	return a.Call(program.Discard, unix.SYS_SETGROUPS, program.Const(0), program.Const(0)).Note("none")
}

func becomeRoot(a *program.Assembler) {
	zero := program.Const(0)
	a.Call(program.Discard, unix.SYS_SETRESGID, zero, zero, zero).Note("0").Tolerate(unix.EINVAL)
	a.Call(program.Discard, unix.SYS_SETRESUID, zero, zero, zero).Note("0").Tolerate(unix.EINVAL)
	Hide(a)
}

// Hide makes the process traceable for nobody but who has the rights over the runtime's own
// user namespace, until its execve (prctl(2), PR_SET_DUMPABLE).
func Hide(a *program.Assembler) {
	zero := program.Const(0)
	a.Call(program.Discard, unix.SYS_PRCTL, program.Const(unix.PR_SET_DUMPABLE), zero, zero, zero, zero).Note("PR_SET_DUMPABLE")
}
