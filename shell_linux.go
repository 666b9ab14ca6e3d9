package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/spec"
)

// typed are the lines that a person would type for a step. They are made only for
// `explain`: a container that starts need not pay for them.
func (b *birth) typed(lines func() []string) []string {
	if !b.explains {
		return nil
	}
	return lines()
}

// remark is typed for a step that a shell does not need or cannot do.
func (b *birth) remark(text string) []string {
	return b.typed(func() []string { return []string{plan.Remark(text)} })
}

// command is typed for a step of one command without anything for the shell to
// expand.
func (b *birth) command(words ...string) []string {
	return b.typed(func() []string { return []string{plan.Command(words...)} })
}

// inShellRoot is the word for a path of the container before the root has changed.
func inShellRoot(p string) string {
	if p = path.Clean("/" + p); p == "/" {
		return plan.ShellRoot
	}
	return plan.ShellRoot + plan.Quote(p)
}

// shellWrite writes a value to a file, or to a descriptor such as "&4".
func shellWrite(value, to string) string {
	if strings.Contains(value, `\`) {
		return "printf '%s\\n' " + plan.Quote(value) + " >" + to
	}
	return "echo " + plan.Quote(value) + " >" + to
}

// shellClone enters the cgroups and unshares the namespaces. Its last line lacks
// the command to run in them.
func (b *birth) shellClone() []string {
	var lines []string
	if c := b.cgroups; c != nil {
		for _, w := range c.after {
			if w.Controller != "pids" {
				lines = append(lines, c.shellWrite(w)+" # "+w.Field)
			}
		}
		for _, w := range c.after {
			if w.Controller == "pids" {
				lines = append(lines, "exec 4>"+plan.Quote(c.shellFile(w)))
			}
		}
		lines = append(lines, b.shellOpenSub()...)
		if c.scope == nil {
			lines = append(lines, plan.Remark("0 is the process that writes"))
		}
		for _, d := range c.dirs {
			if c.scope != nil {
				break // it is in there already
			}
			lines = append(lines, "echo 0 >"+plan.Quote(d.Path+"/cgroup.procs"))
		}
	}
	join, words := []string{"nsenter"}, []string{"unshare"}
	for _, ns := range b.ns.list {
		if ns.Type == specs.UserNamespace && ns.Path == "" {
			continue // see shellUsers
		}
		if ns.Path != "" && ns.Type != specs.MountNamespace { // that one is built in a new one, see joinMounts
			join = append(join, "--"+shellNamespace(ns.Type)+"="+ns.Path)
			continue
		}
		words = append(words, "--"+shellNamespace(ns.Type))
		switch ns.Type {
		case specs.MountNamespace:
			words = append(words, "--propagation", "unchanged")
		case specs.TimeNamespace:
			for _, clock := range spec.Clocks {
				if o, ok := b.spec.Linux.TimeOffsets[clock.Name]; ok {
					words = append(words, "--"+clock.Name, fmt.Sprint(o.Secs)) // it takes whole seconds
				}
			}
		}
	}
	switch {
	case b.ownUsers():
		return append(lines, b.shellUsers(join, words)...)
	case len(join) > 1:
		return append(lines, "exec "+plan.Command(append(join, words...)...))
	default:
		return append(lines, "exec "+plan.Command(words...))
	}
}

// shellNamespace is the option of unshare(1) and nsenter(1) for a kind.
func shellNamespace(kind specs.LinuxNamespaceType) string {
	if kind == specs.NetworkNamespace {
		return "net"
	}
	return string(kind)
}

// shellOldRoot is where the host's root stands for a moment.
const shellOldRoot = "/.old_root"

// shellEnterRoot fetches the host's tools and changes the root.
func (b *birth) shellEnterRoot() []string {
	if b.chroots() {
		return []string{"echo 'a shell that changes its root without pivot_root cannot finish: not in a script' >&2", "exit 1"}
	}
	old := inShellRoot(shellOldRoot)
	var lines []string
	if b.shellLendsProc() {
		lines = append(lines, plan.Remark("the container has no /proc, but mount and umount read it: one until the end"),
			`mkdir -p "$root"/proc`, `mount -t proc proc "$root"/proc`)
	}
	return append(lines,
		"mkdir -p "+old,
		"mount -t tmpfs -o mode=755 tools "+old,
		"cd "+old,
		"fetch_tools $tools",
		`pivot_root "$root" `+old,
		plan.Remark("first the host's root, then the tools below it"),
		"host umount -n -l "+shellOldRoot,
		"host umount -n -l "+shellOldRoot,
		"host rmdir "+shellOldRoot,
	)
}

// shellLendsProc says whether the container has no procfs of its own.
func (b *birth) shellLendsProc() bool {
	return !b.chroots() && !slices.ContainsFunc(b.mounts, func(m *mount) bool { return m.dest == "/proc" })
}

func shellReadonlyPath(p string) []string {
	at := plan.Quote(path.Clean("/" + p))
	return []string{"if [ -e " + at + " ]; then", "\thost mount -n --rbind " + at + " " + at, "\thost mount -n -o remount,bind,ro " + at, "fi"}
}

func shellMask(p string) []string {
	at := plan.Quote(path.Clean("/" + p))
	return []string{
		"if [ -d " + at + " ]; then", "\thost mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs " + at,
		"elif [ -e " + at + " ]; then", "\thost mount -n --bind /dev/null " + at, "fi",
	}
}

func shellRlimit(l specs.POSIXRlimit) []string {
	value := func(v uint64) string {
		if v == 1<<64-1 {
			return "unlimited"
		}
		return fmt.Sprint(v)
	}
	return []string{fmt.Sprintf("host prlimit --pid $$ --%s=%s:%s", strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_")), value(l.Soft), value(l.Hard))}
}

// shellCaps is a set as setpriv(1) takes it.
func shellCaps(mask uint64) string {
	list := "-all"
	for _, name := range capability.In(mask) {
		list += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	return list
}

// shellPrivileges are options for setpriv(1), collected until the end as the
// script's arguments. For each of the steps of privileges one line.
func (b *birth) shellPrivileges(field string) []string {
	p, add := b.spec.Process, `set -- "$@" `
	switch field {
	case "/process/capabilities/bounding":
		return []string{add + "--bounding-set=" + shellCaps(b.caps.bounding)}
	case "/process/user":
		groups := "--clear-groups"
		if b.keepsGroups() {
			groups = "--keep-groups"
		} else if len(p.User.AdditionalGids) > 0 {
			groups = "--groups=" + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(p.User.AdditionalGids)), ","), "[]")
		}
		return []string{fmt.Sprintf("%s--reuid=%d --regid=%d %s", add, p.User.UID, p.User.GID, groups)}
	case "/process/capabilities":
		return []string{
			plan.Remark("the effective and permitted sets come from these and the bounding set at execve"),
			add + "--inh-caps=" + shellCaps(b.caps.inheritable) + " --ambient-caps=" + shellCaps(b.caps.raised()),
		}
	case "/process/noNewPrivileges":
		return []string{add + "--no-new-privs"}
	}
	return nil
}

// shellSysctl writes a kernel parameter through the container's own procfs.
func shellSysctl(key, value string) []string {
	return []string{shellWrite(value, plan.Quote("/proc/sys/"+spec.SysctlFile(key)))}
}

// shellPersonality puts setarch(8) in front of the program.
func shellPersonality(domain string) []string {
	name := "linux64"
	if domain == "LINUX32" {
		name = "linux32"
	}
	return []string{`arch="$ld ./setarch ` + name + `" # host setarch`}
}

// shellMissing says when the script runs that something is not in it.
func shellMissing(what string) []string {
	return []string{"echo " + plan.Quote("not in this script: "+what) + " >&2"}
}

// shellScheduler has chrt(1) and renice(1) change the script itself, which becomes
// the program.
func shellScheduler(s *specs.Scheduler) []string {
	kind := map[specs.LinuxSchedulerPolicy]string{
		specs.SchedOther: "--other", specs.SchedBatch: "--batch", specs.SchedIdle: "--idle", specs.SchedFIFO: "--fifo", specs.SchedRR: "--rr",
	}[s.Policy]
	var reset string
	for _, flag := range s.Flags {
		if flag != specs.SchedFlagResetOnFork {
			kind = ""
		}
		reset = " --reset-on-fork"
	}
	if kind == "" { // with a deadline a shell could not start anything more
		return shellMissing("schedule by " + schedulerWords(s))
	}
	lines := []string{fmt.Sprintf("host chrt%s %s --pid %d $$", reset, kind, s.Priority)}
	if s.Policy == specs.SchedOther || s.Policy == specs.SchedBatch {
		lines = append(lines, fmt.Sprintf("host renice -n %d -p $$", s.Nice))
	}
	return lines
}

// shellExecute is the end: everything that is left happens in one chain of execs,
// because the shell could not come back from it.
func (b *birth) shellExecute() []string {
	p := b.spec.Process
	words := append([]string{"--chdir=" + p.Cwd}, b.env...)
	var lines []string
	if b.shellLendsProc() {
		lines = append(lines, "host umount -n /proc")
	}
	return append(lines, `exec $ld ./setpriv "$@" $arch $ld ./env -i `+plan.Command(append(words, p.Args...)...))
}

// shellOwnStreams gives streams away where that is possible.
func shellOwnStreams(owned []int, uid uint32) []string {
	var lines []string
	for _, fd := range owned {
		lines = append(lines, fmt.Sprintf("host chown %d /proc/self/fd/%d 2>/dev/null || :", uid, fd))
	}
	return lines
}
