package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/resctrl"
	"github.com/oci-mini/oci-mini/internal/systemd"
	"github.com/oci-mini/oci-mini/spec"
)

// stepFailure is a step of a Plan that did not succeed.
type stepFailure struct {
	step plan.Step
	err  error
}

// Error begins with the config field, if one asked for the step.
func (f *stepFailure) Error() string {
	what := f.step.Words
	if f.step.Name != "" {
		what = f.step.Name
	}
	what = clip(what)
	if f.step.Field != "" {
		what = fmt.Sprintf("%s (%s)", f.step.Field, what)
	}
	return what + ": " + f.err.Error()
}

func (f *stepFailure) Unwrap() error { return f.err }

// clip keeps an argument of megabytes from filling a terminal: engines read 8 KiB.
func clip(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(text[:most], ""), len(text))
}

// stepError attributes an error to a step of the runtime.
func stepError(s *plan.Step, err error) error { return &stepFailure{*s, err} }

// initError attributes a failure of the Program to its step.
func (b *birth) initError(p *plan.Plan, err error) error {
	step := failedStep(p, err)
	if step == 0 {
		return err
	}
	var f *program.Failure
	if errors.As(err, &f) && f.Killed && f.BySignal && unix.Signal(f.Status) == unix.SIGKILL && b.cgroup != nil {
		if oom, _ := b.cgroup.OOMKilled(); oom {
			err = fmt.Errorf("%w: out of memory: /linux/resources/memory/limit is too low to start the container", err)
		}
	}
	failed := &stepFailure{p.Steps[step], err}
	return advise(failed, programHint(b.viewOfRoot(), b.spec.Process, b.env, failed.step.Field, err))
}

// failedStep is the index of the step of init that an error is about, or 0 if it is about
// none.
func failedStep(p *plan.Plan, err error) int {
	var f *program.Failure
	if !errors.As(err, &f) || f.Step <= p.Clone || f.Step >= len(p.Steps) {
		return 0
	}
	return f.Step
}

// statusError is an error with an exit status of its own.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// faultList is several faults of a config, reported together.
type faultList []error

func (l faultList) Error() string {
	lines := make([]string, len(l))
	for i, err := range l {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is look at each.
func (l faultList) Unwrap() []error { return l }

// advised is an error with a hint that its place of origin knew.
type advised struct {
	err    error
	advice string
}

func (a *advised) Error() string { return a.err.Error() }
func (a *advised) Unwrap() error { return a.err }

// advise gives an error a hint, if there is one.
func advise(err error, advice string) error {
	if err == nil || advice == "" {
		return err
	}
	return &advised{err, advice}
}

// message is an error as the user sees it: what failed, and the errno's name if
// the text does not have it yet.
func message(err error) string {
	text := printable(err.Error())
	var errno unix.Errno
	if errors.As(err, &errno) {
		if name := unix.ErrnoName(errno); name != "" && !strings.Contains(text, "("+name+")") {
			text += " (" + name + ")"
		}
	}
	return text
}

// printable escapes what would not show on a terminal, or would have it do something: an error may
// name a file of an image. Lines stay lines.
func printable(text string) string {
	shows := func(r rune) bool { return r == '\n' || strconv.IsPrint(r) }
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !shows(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch quoted := strconv.Quote(text[:size]); {
		case shows(r) && (r != utf8.RuneError || size > 1):
			b.WriteString(text[:size])
		default:
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

// confinedHint is advice where the runtime's own AppArmor profile may stand in the way, or
// "". It goes before what is true of who is not confined.
func confinedHint(text string, errno unix.Errno) string {
	if errno != unix.EACCES && errno != unix.EPERM || !strings.Contains(text, "/proc/") {
		return ""
	}
	profile := ownProfile()
	if profile == "" {
		return ""
	}
	return "the runtime itself is confined by the AppArmor profile " + profile +
		", which may take a file below /proc for one of another name: nested containers need a profile that allows it"
}

// hint is advice for failures whose errno alone misleads, or "".
func hint(err error) string {
	var errno unix.Errno
	errors.As(err, &errno)
	var (
		step    *stepFailure
		failure *program.Failure
	)
	field, text := "", err.Error()
	if errors.As(err, &step) {
		field = step.step.Field
	}
	nr := ^uintptr(0)
	if errors.As(err, &failure) {
		nr = failure.Nr
	}
	if advice := confinedHint(text, errno); advice != "" {
		return advice
	}
	if advice := criuHint(err); advice != "" {
		return advice
	}
	var own *advised
	if errors.As(err, &own) {
		return own.advice
	}
	if i := strings.Index(text, "/hooks/"); i >= 0 { // not only steps run hooks
		if advice := hookHint(text[i:], errno); advice != "" {
			return advice
		}
	}
	if step != nil {
		if advice := attributeHint(&step.step, errno); advice != "" {
			return advice
		}
	}
	switch {
	case errno == unix.EMFILE:
		return "ulimit -n limits how many files the runtime may have open"
	case step != nil && step.step.Name == makeCgroup && (errno == unix.EROFS || errno == unix.EACCES || errno == unix.EPERM):
		return "--cgroup-manager disabled goes without cgroups, limits and a device filter; --rootless=true only where none can be made"
	case errors.Is(err, systemd.ErrNotRunning):
		return "--cgroup-manager cgroupfs does without systemd"
	case strings.Contains(text, wrongType) && strings.Contains(text, "/annotations has "):
		return "each value must be of systemd's own type, such as uint64 50 for CPUWeight: org.freedesktop.systemd1(5) has them"
	case nr == unix.SYS_FSOPEN && errno == unix.ENODEV && !strings.Contains(text, "fsopen none") && !strings.Contains(text, "fsopen bind"):
		return "the kernel has no such file system; /proc/filesystems lists those it has"
	case strings.Contains(text, "mount_setattr idmap of ") && errno == unix.EINVAL:
		return "this file system cannot be id-mapped on this kernel"
	case errno == unix.EINVAL && nr == unix.SYS_FSCONFIG && refusesOwner(step, text):
		return "in a user namespace, only ids that are mapped there can own anything"
	case errno == unix.EPERM && nr == unix.SYS_FSCONFIG && showsNamespace(text):
		return "the namespace that it shows belongs to another user namespace than the container's, which alone may mount it; leave the mount out, or bind that of the host"
	case nr == unix.SYS_SETNS && errno == unix.EPERM && strings.HasPrefix(field, "/linux/namespaces/"):
		return "a namespace can be joined by who is root in the user namespace that it belongs to: join that one too, or have the machine's root do it"
	case nr == unix.SYS_MOUNT_SETATTR && errno == unix.EPERM && strings.HasPrefix(field, "/mounts/"):
		return "a user namespace may not change what the host's mounts are locked to: ro, nosuid, nodev and noexec where they have them, and the kind of access times (mount_namespaces(7))"
	case nr == unix.SYS_FSMOUNT && errno == unix.EPERM && strings.Contains(text, "proc"):
		return "parts of the /proc that the runtime sees are covered, and no user namespace may uncover them with a procfs of its own"
	case nr == unix.SYS_EXECVE && errno == unix.ENOENT:
		return "the file or its interpreter is missing: the one after #! or the dynamic linker"
	case nr == unix.SYS_EXECVE && errno == unix.EACCES && activeModule(seLinux):
		return "where the file's mode lets the user execute it, SELinux does not let its label: dmesg, or ausearch -m avc, says what is denied"
	case nr == unix.SYS_EXECVE && errno == unix.ENOEXEC:
		return "not a program for this machine, or a script without a #! line"
	case strings.Contains(text, "executable file not found"):
		return "the search goes along the PATH in /process/env, inside the container"
	case strings.Contains(text, "copy of ") && (errno == unix.EPERM || errno == unix.EACCES):
		return "the copy keeps the owners, so that a user without privileges can copy what is all their own, or leave tmpcopyup out"
	case errno == unix.EROFS && (field == "/process/cwd" || strings.HasPrefix(field, "/linux/devices/")):
		return "it is missing, and cannot be made on a file system that is read-only: --overlay leaves that as it is"
	case (strings.Contains(text, "--console-socket: connect") || strings.Contains(text, "--pidfd-socket: connect")) && (errno == unix.ENOENT || errno == unix.ECONNREFUSED):
		return "whoever is to receive it must listen at this AF_UNIX socket before"
	case strings.Contains(text, "/state.json: invalid ") || strings.Contains(text, "/state.json: unexpected end") || strings.Contains(text, "/state.json: no such file"):
		return "oci-mini delete --force removes what is left of it, but not a cgroup that only its state could name"
	case field == "/root/path" && errno == unix.ENOENT:
		return "the container's files have to be there; oci-mini spec --host writes a config that borrows the host's"
	case field == "/process/oomScoreAdj" && errno == unix.EACCES:
		return "a value below the caller's needs CAP_SYS_RESOURCE on the host"
	case errors.Is(err, unix.ENOSPC) && nr == unix.SYS_MOVE_MOUNT:
		return "the limit of mounts is /proc/sys/fs/mount-max"
	case errors.Is(err, unix.ENOSPC) && strings.Contains(text, "/cpuset"):
		return "a cpuset takes processes once its cpuset.cpus and cpuset.mems are set"
	case usersForbidden(errno, strings.Contains(text, "clone3") || strings.Contains(text, "unshare user"), os.Geteuid()):
		return usersSwitch(readSwitch)
	case strings.Contains(text, "clone3") && errno == unix.EPERM:
		return "new namespaces other than user need CAP_SYS_ADMIN"
	case strings.Contains(text, "clone3") && errno == unix.ENOSYS:
		return "oci-mini needs Linux 5.14 and a seccomp profile that lets clone3 through"
	case (strings.Contains(text, "clone3") || nr == unix.SYS_CLONE) && errno == unix.EAGAIN:
		return "a limit of processes is reached: ulimit -u, pids.max of the cgroup, kernel.pid_max"
	case field == "/linux/timeOffsets" && errno == unix.ERANGE:
		return "a clock may not begin below 0 nor beyond 146 years; without an offset it shows the host's, see /proc/uptime"
	case nr == unix.SYS_PRLIMIT64 && errno == unix.EPERM:
		return "raising a hard limit needs CAP_SYS_RESOURCE on the host, and RLIMIT_NOFILE ends at /proc/sys/fs/nr_open"
	case strings.HasSuffix(text, "is not active in this kernel"):
		return "/sys/kernel/security/lsm lists the security modules that are; the kernel parameter lsm= chooses them"
	case strings.Contains(text, "/linux/seccomp/listenerPath") && (errno == unix.ENOENT || errno == unix.ECONNREFUSED):
		return "the agent that the profile leaves calls to must listen on this socket before the container is made"
	case field == "/process/apparmorProfile" && errno == unix.ENOENT:
		return "apparmor_parser -r FILE loads a profile; aa-status lists those that are loaded"
	case field == "/process/selinuxLabel" && errno == unix.EINVAL, refusesContext(text):
		return "the loaded policy does not know this context (seinfo lists users, roles and types)"
	case nr == unix.SYS_KEYCTL && errno == unix.EDQUOT:
		return "a user's session keyrings count against /proc/sys/kernel/keys/maxkeys; --no-new-keyring makes none"
	case nr == unix.SYS_CAPSET && errno == unix.EPERM:
		return "what is effective must be permitted too (capabilities(7))"
	}
	if errors.Is(err, resctrl.ErrNotMounted) {
		return "mount -t resctrl resctrl /sys/fs/resctrl, where /proc/filesystems lists resctrl: the processor has RDT or its like then"
	}
	if strings.HasPrefix(field, "/mounts/") {
		return mountHint(nr, errno, text)
	}
	if advice := resourceHint(errno, text); advice != "" {
		return advice
	}
	return netDeviceHint(field, errno)
}

// refusesOwner says whether a mount may have been refused for the owner in its options. A file
// system that knows nothing of fsconfig(2), as devpts of Linux 6.1, gets all of them
// with the command to create it, and does not say which one it is.
func refusesOwner(step *stepFailure, text string) bool {
	if strings.Contains(text, "fsconfig create") && step != nil {
		text = step.step.Detail
		return strings.Contains(text, "gid=") || strings.Contains(text, "uid=")
	}
	return strings.Contains(text, "fsconfig gid=") || strings.Contains(text, "fsconfig uid=")
}

// refusesContext says whether a mount was refused for the label in its options.
func refusesContext(text string) bool {
	return slices.ContainsFunc(spec.MountContexts, func(name string) bool { return strings.Contains(text, "fsconfig "+name+"=") })
}

// showsNamespace says whether a failed mount is one of those that show a namespace, as
// [mount.name] has them.
func showsNamespace(text string) bool {
	for _, fstype := range [...]string{"mqueue", "proc", "sysfs", "cgroup", "cgroup2"} {
		if strings.Contains(text, "("+fstype+" on ") {
			return true
		}
	}
	return false
}

// undoStack holds what must be taken back if a later step fails, only for things
// that outlive the processes: directories, cgroups, the container's process.
type undoStack struct{ steps []func() error }

func (u *undoStack) push(f func() error) { u.steps = append(u.steps, f) }

// errInterrupted is a creation that a signal ended.
type errInterrupted struct{ sig os.Signal }

func (e errInterrupted) Error() string { return fmt.Sprintf("interrupted by signal: %v", e.sig) }

// unwind takes everything back, the latest first, and returns what could not be.
func (u *undoStack) unwind() error {
	var failed []error
	for len(u.steps) > 0 {
		f := u.steps[len(u.steps)-1]
		u.steps = u.steps[:len(u.steps)-1]
		if err := f(); err != nil {
			failed = append(failed, fmt.Errorf("cleaning up: %w", err))
		}
	}
	return errors.Join(failed...)
}

// release keeps everything: the work is done.
func (u *undoStack) release() { u.steps = nil }
