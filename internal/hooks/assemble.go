package hooks

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/userns"
)

// pidSlot is where the program publishes the pid of its fork.
const pidSlot = 0

// assemble translates the hook to a program.
func (r Runner) assemble(h specs.Hook, s *streams) (*program.Program, error) {
	a := program.NewAssembler()
	call := func(nr uintptr, note string, args ...program.Arg) program.Call {
		return a.Call(program.Discard, nr, args...).Note(note)
	}
	c := program.Const[int]
	if r.In != nil {
		r.In.join(a)
		// Fails for a process that leads its group already, which a new one does not.
		call(unix.SYS_SETSID, "")
	} else {
		call(unix.SYS_SETPGID, "", c(0), c(0))
	}
	if r.Dir != "" {
		call(unix.SYS_CHDIR, r.Dir, a.String(r.Dir))
	}
	if r.In != nil && r.In.Flags&unix.CLONE_NEWUSER != 0 {
		r.In.Users.Root(a)
	}
	for to, from := range s.hooks {
		call(unix.SYS_DUP3, "", c(from), c(to), c(0))
	}
	// All of the runtime's: the hook may come out of an image, where a link to
	// /proc/self/fd/N would lead to what the runtime has open.
	a.CloseOthers(3, -1)
	if l := r.FileLimit; l != nil {
		call(unix.SYS_PRLIMIT64, "RLIMIT_NOFILE", c(0), c(unix.RLIMIT_NOFILE), a.Words(l.Cur, l.Max), c(0))
	}
	// The clone has reset all handlers; what was ignored stays so, as for every
	// program that is executed.
	call(unix.SYS_RT_SIGPROCMASK, "", c(unix.SIG_SETMASK), a.Words(0), c(0), c(8))
	if r.In != nil && r.In.Confine != nil {
		r.In.Confine(a)
	}
	args, env := h.Args, h.Env
	if len(args) == 0 {
		args = []string{h.Path}
	}
	if env == nil {
		env = os.Environ()
	}
	call(unix.SYS_EXECVE, "", a.String(h.Path), a.Strings(args), a.Strings(env))
	return a.Finish()
}

// join emits how a process gets into the namespaces.
func (n *Namespaces) join(a *program.Assembler) {
	c := program.Const[int]
	a.Forget("oci-mini hook")
	if n.Before != nil {
		n.Before(a)
	}
	// Before the first namespace: from then on, others may look at this process.
	// execve(2) sets it back.
	userns.Hide(a)
	setns := func() { a.Call(program.Discard, unix.SYS_SETNS, c(n.Pidfd), program.Const(n.Flags)) }
	switch {
	case n.Flags&unix.CLONE_NEWUSER != 0:
		n.Users.Join(a, setns)
	case n.Flags != 0:
		setns()
	}
	if n.Root != nil {
		a.Call(program.Discard, unix.SYS_FCHDIR, c(int(n.Root.Fd()))).Note("the root")
		a.Call(program.Discard, unix.SYS_CHROOT, a.String("."))
	}
	if n.Flags&unix.CLONE_NEWPID != 0 {
		// Only children are in the namespace that setns gives (pid_namespaces(7)).
		a.Fork(pidSlot, -1)
	}
}
