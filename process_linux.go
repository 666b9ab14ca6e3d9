package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/userns"
)

// allErrnosOfLookup are the answers to "is there such a program?" that mean no,
// so that the search goes on with the next directory of PATH.
var allErrnosOfLookup = []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ELOOP, unix.ENAMETOOLONG}

// writeProc writes a value to a file below the runtime's own procfs, which the
// container has no part in: nothing can be mounted over it or linked into it
// (RESOLVE_NO_XDEV, CVE-2019-16884, CVE-2025-52881). "self" in it is the
// container's process as the runtime's pid namespace sees it. What is returned is
// the write itself.
func (b *birth) writeProc(a *program.Assembler, file, value string) program.Call {
	f := a.Reg()
	b.openProc(a, f, file, unix.O_WRONLY)
	written := a.Call(program.Discard, unix.SYS_WRITE, f.Arg(), a.String(value), program.Const(len(value))).
		Note("/proc/" + file + " " + strings.TrimSpace(value))
	closeFd(a, f)
	return written
}

// openProc opens a file of the runtime's own procfs.
func (b *birth) openProc(a *program.Assembler, fd program.Reg, file string, flags uint64) {
	how := a.OpenHow(flags|unix.O_CLOEXEC, 0, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_MAGICLINKS)
	a.Call(fd, unix.SYS_OPENAT2, program.Const(b.procFd), a.String(file), how, program.OpenHowSize).Note("/proc/" + file)
}

// needsProc says whether any step writes below /proc.
func (b *birth) needsProc() bool {
	return b.spec.Process != nil && b.spec.Process.OOMScoreAdj != nil ||
		b.spec.Linux != nil && len(b.spec.Linux.Sysctl) > 0 ||
		b.shiftsClocks() || b.hasLabels() || b.entersMounts()
}

// swapBinary puts the runtime's binary, which this process still executes, behind
// a read-only mount: the container's program may be "#!/proc/self/exe"
// (CVE-2019-5736). Whether it is needed depends on the binary, not on the config.
func (b *birth) swapBinary() []plan.Step {
	return []plan.Step{{
		By: plan.Init, Words: "put the runtime's own binary out of the container's reach",
		Reason: "first: nothing of the container may see this process before",
		Shell:  b.remark("no binary of a runtime is in here"),
		Assemble: func(a *program.Assembler) {
			if b.dir != nil {
				// It carries the container's lock, which must not outlive the runtime.
				a.Call(program.Discard, unix.SYS_CLOSE, program.Const(b.dir.Fd)).Note("state directory")
			}
			if b.view != nil {
				b.view.Assemble(a)
			}
			a.Publish(valueSwapped, program.Const(1))
		},
	}}
}

// valueSwapped is the slot in which init publishes that it has swapped its binary.
const valueSwapped = valueRoot + 2

// unseen says that nobody but the runtime can look into init before it answers init's first
// sync point: init is in no namespace in which somebody is already, and nothing of the
// container runs before that answer.
func (b *birth) unseen() bool {
	return !b.joins && b.ns.isNew(unix.CLONE_NEWPID) && !slices.ContainsFunc(b.ns.list, func(ns specs.LinuxNamespace) bool { return ns.Path != "" })
}

// dissolveView dissolves the mount through which init has swapped its binary, while init
// goes on. Done before the clone, or by whichever of the two is at it last, it would be a grace
// period of RCU to wait for.
func (b *birth) dissolveView() []plan.Step {
	if !b.unseen() { // it is dissolved already
		return nil
	}
	return []plan.Step{{
		By: plan.Runtime, Beside: true, Words: "dissolve the mount of the runtime's own binary, while init works",
		Reason: "before the first answer to init: until then nobody else can see it",
		Shell:  b.remark("no binary of a runtime is in here"),
		Do: func() (func() error, error) {
			if b.view.Undissolved() {
				b.child.Await(valueSwapped)
				b.view.Dissolve()
			}
			return nil, nil
		},
	}}
}

// forget takes from the process what its caller gave the runtime: an API key in the
// environment is nobody's in the container, not even for as long as it waits for start.
func (b *birth) forget() plan.Step {
	title := "oci-mini init " + b.id
	if b.joins {
		title = "oci-mini exec " + b.id
	}
	return plan.Step{
		By: plan.Init, Words: "forget the environment and the arguments of the runtime",
		Reason:   "until its execve, whoever may look into this process would find them there",
		Shell:    b.remark("a shell is what it was started as"),
		Assemble: func(a *program.Assembler) { a.Forget(title) },
	}
}

// hide keeps other processes of the container from tracing this one, through which
// they could reach what it has of the host (CVE-2016-9962). The execve makes it
// traceable again.
func (b *birth) hide() []plan.Step {
	if b.traceable() {
		return nil
	}
	return []plan.Step{{
		By: plan.Init, Words: "forbid being traced",
		Reason:   "until its execve it has the runtime's memory and the host's descriptors, and others may be there or come",
		Shell:    b.remark("a shell cannot (prctl PR_SET_DUMPABLE)"),
		Assemble: userns.Hide,
	}}
}

// closeRest closes what is left of the runtime's descriptors, before the first
// thing that is looked up by a name of the container's as its process does: the
// working directory, the executable. A link to /proc/self/fd/N in the image would
// lead through an open directory to the host's files (CVE-2024-21626).
func (b *birth) closeRest() plan.Step {
	first := 3 + b.opt.preserveFds
	return plan.Step{
		By: plan.Init, Words: fmt.Sprintf("close all descriptors of the runtime, from %d up", first),
		Reason: "before the container's own names are followed: none may lead to the host",
		Shell:  b.remark("a shell has none open"),
		Assemble: func(a *program.Assembler) {
			keep := -1
			if b.opt.wait {
				keep = b.startFd
			}
			a.CloseOthers(first, keep)
		},
	}
}

// session makes the process the leader of a session of its own, so that the
// caller's terminal is not its controlling one.
func (b *birth) session() plan.Step {
	return plan.Step{
		By: plan.Init, Words: "start a new session",
		Shell:    b.remark("not here: the caller's terminal stays, and Ctrl-C with it"),
		Assemble: func(a *program.Assembler) { a.Call(program.Discard, unix.SYS_SETSID) },
	}
}

// workingDirectory enters the cwd. The first try is made with all privileges, as
// the directory may be closed to the container's user; if even they are refused
// (a network file system that squashes root), the user itself tries again.
func (b *birth) workingDirectory() (before, after []plan.Step) {
	p := b.spec.Process
	if p == nil {
		return nil, nil
	}
	entered := program.Discard
	before = []plan.Step{{
		Field: "/process/cwd", By: plan.Init, Words: "change to the directory " + p.Cwd,
		Reason: "before the privileges go: it may be closed to the user",
		Shell:  b.remark("env does it at the end, as the user: until then the tools are in the current directory"),
		Assemble: func(a *program.Assembler) {
			entered = a.Reg()
			a.Set(entered, program.Const(0))
			again := a.NewLabel()
			a.Call(program.Discard, unix.SYS_CHDIR, a.String(p.Cwd)).Note(p.Cwd).On(unix.EACCES, again).On(unix.EPERM, again)
			a.Set(entered, program.Const(1))
			a.Bind(again)
		},
	}}
	after = []plan.Step{{
		Field: "/process/cwd", By: plan.Init, Words: "check that the working directory is inside the container",
		Reason: "a directory outside would be a way to the host's files",
		Shell:  b.remark("a name is looked up inside"),
		Assemble: func(a *program.Assembler) {
			inside, first := a.NewLabel(), a.Reg()
			check := a.NewLabel()
			a.Unless(entered.Arg(), program.Const(1), check)
			a.Jump(inside)
			a.Bind(check)
			a.Call(program.Discard, unix.SYS_CHDIR, a.String(p.Cwd)).Note(p.Cwd)
			a.Bind(inside)
			// The kernel writes "(unreachable)/..." for a directory outside the root.
			a.Call(program.Discard, unix.SYS_GETCWD, program.Scratch(0), program.Const(program.ScratchSize)).Note(p.Cwd)
			a.Load32(first, 0, 0xff)
			ok, bad := a.NewLabel(), a.NewLabel()
			a.Unless(first.Arg(), program.Const('/'), bad)
			a.Jump(ok)
			a.Bind(bad)
			a.Fail(unix.EXDEV, p.Cwd+" is outside the container's root")
			a.Bind(ok)
			a.Release(first, entered)
		},
	}}
	return before, after
}

// candidates lists the files that args[0] may mean, in the order of PATH, as
// execvp(3) tries them: a name with a slash is a path.
func candidates(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var dirs string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			dirs = v
		}
	}
	var list []string
	for dir := range strings.SplitSeq(dirs, ":") {
		if !path.IsAbs(dir) {
			continue // an empty or relative entry means the cwd, which an image may fill
		}
		list = append(list, path.Join(dir, name))
	}
	return list
}

// findExecutable looks for the program along PATH, so that create fails if it
// is absent, and leaves the address of its path in the register.
func (b *birth) findExecutable(found *program.Reg) []plan.Step {
	p := b.spec.Process
	if p == nil {
		return nil
	}
	name := p.Args[0]
	list := candidates(name, b.env)
	return []plan.Step{{
		Field: "/process/args/0", By: plan.Init, Words: "find the program " + name,
		Reason: "as the container's user, so that create fails if start would",
		Shell:  b.remark("env does it at the end"),
		Assemble: func(a *program.Assembler) {
			*found = a.Reg()
			denied := a.Reg()
			a.Set(denied, program.Const(0))
			done := a.NewLabel()
			for _, file := range list {
				next, refused := a.NewLabel(), a.NewLabel()
				call := a.Call(program.Discard, unix.SYS_FACCESSAT2, program.Const(unix.AT_FDCWD), a.String(file),
					program.Const(unix.X_OK), program.Const(unix.AT_EACCESS)).Note(file)
				for _, e := range allErrnosOfLookup {
					if e == unix.EACCES {
						call.On(e, refused)
					} else {
						call.On(e, next)
					}
				}
				a.Set(*found, a.String(file))
				// X_OK holds for directories too; only one of them can be followed by a slash.
				a.Call(program.Discard, unix.SYS_FACCESSAT2, program.Const(unix.AT_FDCWD), a.String(file+"/"),
					program.Const(unix.F_OK), program.Const(0)).Note(file).On(unix.ENOTDIR, done).On(unix.EACCES, done)
				a.Bind(refused)
				a.Set(denied, program.Const(1))
				a.Bind(next)
			}
			missing := a.NewLabel()
			a.Unless(denied.Arg(), program.Const(1), missing)
			a.Fail(unix.EACCES, fmt.Sprintf("exec: %q", name))
			a.Bind(missing)
			a.Fail(unix.ENOENT, notFoundNote(name))
			a.Bind(done)
			a.Release(denied)
		},
	}}
}

// notFoundNote is the text that engines look for to tell a missing program.
func notFoundNote(name string) string {
	if strings.Contains(name, "/") {
		return fmt.Sprintf("exec: %q", name)
	}
	return fmt.Sprintf("exec: %q: executable file not found in $PATH", name)
}

// execute is the end of the Program.
func (b *birth) execute(found *program.Reg) []plan.Step {
	p := b.spec.Process
	if p == nil {
		return nil
	}
	return []plan.Step{{
		Field: "/process/args", By: plan.Init, Words: "execute " + strings.Join(p.Args, " "),
		Shell: b.typed(b.shellExecute),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_EXECVE, found.Arg(), a.Strings(p.Args), a.Strings(b.env)).Note(p.Args[0])
		},
	}}
}

// closeDescriptors marks everything above the preserved descriptors
// close-on-exec: what init has opened since closeRest stays with it.
func (b *birth) closeDescriptors() plan.Step {
	first := 3 + b.opt.preserveFds
	return plan.Step{
		By: plan.Init, Words: fmt.Sprintf("close all descriptors from %d up on execve", first),
		Reason: "no handle of the host's may reach the container",
		Shell:  b.typed(func() []string { return []string{"exec 3<&-", plan.Remark("others are the caller's own")} }),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_CLOSE_RANGE, program.Const(first), program.Const(uint32(1<<32-1)), program.Const(unix.CLOSE_RANGE_CLOEXEC)).
				Note(fmt.Sprintf("from %d", first))
		},
	}
}

// resetSignals gives the container default dispositions and an empty mask.
// clone3 has reset the handlers; what the caller ignores stays ignored through
// that (nohup, some engines), and is reset here. Of those, the Go runtime leaves
// only SIGHUP, SIGINT and the three below real-time signals alone.
func (b *birth) resetSignals() plan.Step {
	return plan.Step{
		By: plan.Init, Words: "reset signal dispositions and unblock all signals",
		Reason: "last: until here no signal may run a handler",
		Shell:  b.remark("a shell sets none here"),
		Assemble: func(a *program.Assembler) {
			zero := a.Words(0, 0, 0, 0)
			for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, 32, 33, 34} {
				a.Call(program.Discard, unix.SYS_RT_SIGACTION, program.Const(int(sig)), zero, program.Const(0), program.Const(8)).Note(fmt.Sprint(int(sig)))
			}
			a.Call(program.Discard, unix.SYS_RT_SIGPROCMASK, program.Const(unix.SIG_SETMASK), zero, program.Const(0), program.Const(8))
		},
	}
}

// environment is the process's environment: the last of several values of a
// variable counts, and HOME is filled in from the container's passwd.
func environment(list []string, home func() string) []string {
	env := make([]string, 0, len(list)+1)
	seen := make(map[string]bool, len(list))
	for _, e := range slices.Backward(list) {
		name, _, _ := strings.Cut(e, "=")
		if !seen[name] {
			seen[name] = true
			env = append(env, e)
		}
	}
	slices.Reverse(env)
	if !seen["HOME"] {
		env = append(env, "HOME="+home())
	}
	return env
}
