package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/mountopt"
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
		if ns.Path != "" {
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

// shellAttachRoot makes the root a mount of its own, or an overlay.
func (b *birth) shellAttachRoot() []string {
	o := b.opt.overlay
	if o == nil {
		return []string{`mount --rbind "$root" "$root"`}
	}
	// The current directory still is the image where a tmpfs hides it.
	lines := []string{`cd "$root"`, `mount -t tmpfs -o mode=755 overlay "$root"`, `mkdir "$root"/merged`}
	layers, user := plan.ShellRoot, ""
	if b.userOverlay() {
		user = ",userxattr"
	}
	if o.dir == "" {
		lines = append(lines, `mkdir "$root"/upper "$root"/work`)
	} else {
		layers = plan.Quote(o.dir)
		lines = append(lines, "mkdir -p "+layers+"/upper "+layers+"/work")
	}
	return append(lines,
		fmt.Sprintf("mount -t overlay -o lowerdir=.,upperdir=%s/upper,workdir=%s/work%s overlay \"$root\"/merged", layers, layers, user),
		`root=$root/merged`)
}

// shellOptions sorts a mount's options by the way in which mount(8) takes them.
func (m *mount) shellOptions() (plain, recursive, propagation, left []string) {
	for _, s := range m.Options {
		row, ok := mountopt.Lookup(s)
		switch {
		case !ok:
			plain = append(plain, s)
		case row.Kind == mountopt.Propagation:
			propagation = append(propagation, s)
		case (row.Kind == mountopt.Attr || row.Kind == mountopt.Atime) && row.Recursive:
			recursive = append(recursive, strings.TrimPrefix(s, "r"))
		case row.Kind == mountopt.Attr || row.Kind == mountopt.Atime || row.Kind == mountopt.Super:
			if s != "ro" || !m.late {
				plain = append(plain, s)
			}
		case row.Kind == mountopt.CopyUp || row.Kind == mountopt.IDMapped || row.Kind == mountopt.Follow:
			left = append(left, s)
		}
	}
	return plain, recursive, propagation, left
}

// shellMount makes a mount of the config.
func (b *birth) shellMount(m *mount) []string {
	plain, recursive, propagation, left := m.shellOptions()
	at := inShellRoot(m.dest)
	options := func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return "-o " + plan.Quote(strings.Join(list, ",")) + " "
	}
	var lines []string
	for _, s := range left {
		lines = append(lines, "echo "+plan.Quote("not in this script: the option "+s+" of the mount on "+m.dest)+" >&2")
	}
	switch {
	case m.opt.Remount:
		how := []string{"remount"}
		if m.opt.Bind {
			how = append(how, "bind")
		}
		lines = append(lines, "mount "+options(append(how, plain...))+at)
	case m.opt.Bind:
		source, kind := plan.Quote(m.Source), "--bind"
		if m.inRootfs != "" {
			source = inShellRoot(m.inRootfs)
		}
		if m.opt.Rec {
			kind = "--rbind"
		}
		lines = append(lines,
			"if [ -d "+source+" ]; then mkdir -p "+at+"; else mkdir -p "+inShellRoot(path.Dir(m.dest))+"; [ -e "+at+" ] || : >"+at+"; fi",
			"mount "+kind+" "+source+" "+at,
			// As the runtime: only the container's mounts change, never the host's.
			"mount --make-rslave "+at)
		if len(plain) > 0 {
			lines = append(lines, "mount "+options(append([]string{"remount", "bind"}, plain...))+at)
		}
	case m.Type == "cgroup" || m.Type == "cgroup2":
		lines = append(lines, b.shellMountCgroup(m, plain)...)
	default:
		lines = append(lines, "mkdir -p "+at)
		mode := ""
		if m.Type == "tmpfs" && !hasDatum(m.opt.Data, "mode") {
			mode = "-o mode=$(stat -c %a " + at + ") "
		}
		source := m.Source
		if source == "" {
			source = "none"
		}
		line := "mount -t " + plan.Quote(m.Type) + " " + mode + options(plain) + plan.Quote(source) + " " + at
		if i := b.lends(m); i >= 0 {
			line += " || mount --rbind " + lentMounts[i].dir + " " + at
			if lentMounts[i].attributes&unix.MOUNT_ATTR_RDONLY != 0 {
				line += " && mount -o remount,bind,ro " + at
			}
		}
		lines = append(lines, line)
	}
	if len(recursive) > 0 {
		lines = append(lines,
			"awk -v at="+at+` '$5 == at || index($5, at "/") == 1 { print $5 }' /proc/self/mountinfo | while read -r mounted; do`,
			"\tmount -o "+plan.Quote(strings.Join(append([]string{"remount", "bind"}, recursive...), ","))+` "$(printf %b "$mounted")"`,
			"done")
	}
	for _, p := range propagation {
		lines = append(lines, "mount --make-"+p+" "+at)
	}
	return lines
}

// shellMknod makes a node, or accepts that it is there.
func shellMknod(file, kind string, mode uint32, major, minor int64, uid, gid uint32) []string {
	at := inShellRoot(file)
	line := fmt.Sprintf("[ -e %s ] || mknod -m %o %s %s", at, mode, at, plan.Quote(kind))
	if kind != "p" {
		line += fmt.Sprintf(" %d %d", major, minor)
	}
	lines := []string{"mkdir -p " + inShellRoot(path.Dir(file)), line}
	if uid != 0 || gid != 0 {
		lines = append(lines, fmt.Sprintf("chown -h %d:%d %s", uid, gid, at))
	}
	return lines
}

// shellBindDevice binds a device of the host where a user namespace cannot make it.
func shellBindDevice(file string) []string {
	at := inShellRoot(file)
	return []string{"mkdir -p " + inShellRoot(path.Dir(file)), "[ -e " + at + " ] || : >" + at, "mount --bind " + plan.Quote(file) + " " + at}
}

// shellDefaultDevices makes the devices of every container that are not listed.
func shellDefaultDevices(listed []specs.LinuxDevice) []string {
	lines := []string{"mkdir -p " + inShellRoot("/dev")}
	for _, d := range defaultDevices {
		if file := "/dev/" + d.name; !listsDevice(listed, file) {
			lines = append(lines, shellMknod(file, "c", 0o666, d.major, d.minor, 0, 0)[1:]...)
		}
	}
	return lines
}

func shellLinks() []string {
	var lines []string
	for _, l := range deviceLinks {
		at := inShellRoot("/dev/" + l.name)
		lines = append(lines, fmt.Sprintf("[ -e %s ] || [ -L %s ] || ln -s %s %s", at, at, l.target, at))
	}
	return append(lines, `ln -sf pts/ptmx "$root"/dev/ptmx`)
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
