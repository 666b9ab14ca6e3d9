package main

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// mount is one entry of /mounts with its options understood.
type mount struct {
	specs.Mount
	index int
	said  string // the destination as the config has it: absolute and clean
	dest  string // the same, unless init has followed a link that dangles
	opt   mountopt.Options
	late  bool // made read-only at the end
	// bind only:
	inRootfs string // source below the rootfs, resolved by init, or ""
	sourceFd int
	isDir    bool
	mount    program.Arg // of one that is late or has covers, while it is open
	link     string      // target of a source that is a symbolic link to be copied
	// copyUp is the directory whose content a tmpfs starts with, as the clone
	// that the copy is made in; -1 without.
	copyUp        int
	copiesNothing bool // there is no such directory
	// lentFd is the host's mount that stands in for one of the container's, or -1.
	lentFd int
	owners *owners // how owners are mapped, or nil
	// number is that of a new mount in which devices are going to be made, see rememberMount.
	number *program.Reg
}

func (m *mount) field() string { return fmt.Sprintf("/mounts/%d", m.index) }

// name says what is mounted where.
func (m *mount) name() string {
	switch {
	case m.opt.Remount:
		return m.dest
	case m.opt.Bind:
		return m.Source + " on " + m.dest
	}
	return m.Type + " on " + m.dest
}

// words say it as a command.
func (m *mount) words() string {
	switch {
	case m.opt.Remount:
		return "remount " + m.name()
	case m.opt.Bind:
		return "bind " + m.name()
	}
	return "mount " + m.name()
}

// resolve says how the destination's symbolic links are taken, apart from inRoot. What the
// runtime and the container take for /proc and /sys must be where it seems to be, be it new
// or the host's (CVE-2019-19921, CVE-2023-27561).
func (m *mount) resolve() uint64 {
	if m.Type == "proc" || m.Type == "sysfs" || m.dest == "/proc" || m.dest == "/sys" {
		return unix.RESOLVE_NO_SYMLINKS
	}
	return 0
}

// mountsOf reads all entries and reports every fault at once.
func mountsOf(s *specs.Spec, bundle, rootfs string) ([]*mount, []error) {
	var list []*mount
	var faults []error
	for i, entry := range s.Mounts {
		opt, err := mountopt.Parse(entry.Options)
		m := &mount{Mount: entry, index: i, said: path.Clean("/" + entry.Destination), opt: opt, sourceFd: -1, copyUp: -1, lentFd: -1}
		m.dest = m.said
		if err != nil {
			faults = append(faults, fmt.Errorf("/mounts/%d/options: %w", i, err))
			continue
		}
		if entry.Type == "bind" {
			m.opt.Bind = true // the type says it too (config.md, "mounts")
		}
		if m.opt.Bind && !filepath.IsAbs(m.Source) {
			m.Source = filepath.Join(bundle, m.Source)
		}
		if m.opt.Bind {
			if rel, err := filepath.Rel(rootfs, m.Source); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
				m.inRootfs = path.Clean("/" + rel)
			}
		}
		if err := m.checkProc(); err != nil {
			faults = append(faults, err)
		}
		if m.owners, err = ownersOf(s, m); err != nil {
			faults = append(faults, err)
		}
		list = append(list, m)
	}
	delayReadOnly(s, list)
	return list, faults
}

// delayReadOnly keeps those new mounts writable in which something has to be made or
// changed, until that is done.
func delayReadOnly(s *specs.Spec, list []*mount) {
	made := []string{"/dev/null"} // stands for all that is made in every /dev
	if s.Process != nil {
		made = append(made, path.Clean("/"+s.Process.Cwd))
	}
	if s.Linux != nil {
		for _, d := range s.Linux.Devices {
			made = append(made, path.Clean("/"+d.Path))
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		m := list[i]
		below := strings.TrimSuffix(m.dest, "/") + "/"
		isNew := !m.opt.Bind && !m.opt.Remount
		needed := slices.ContainsFunc(made, func(file string) bool { return strings.HasPrefix(file, below) })
		// A tmpfs is also given the mode, or the content, of what it hides.
		changed := m.Type == "tmpfs" && (m.opt.CopyUp || !hasDatum(m.opt.Data, "mode"))
		if isNew && (changed || needed && (m.Type == "tmpfs" || m.dest == "/dev")) {
			m.late = m.opt.DelayReadOnly()
		}
		made = append(made, m.dest)
	}
}

// overProc are the files of /proc that something may be mounted over: those that
// engines replace with a container's own figures. Anything else there could make
// the runtime, or a program that trusts /proc, believe what is not so.
var overProc = []string{
	"cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime",
	"sys/crypto/fips_enabled", "sys/kernel/ns_last_pid",
}

// checkProc holds a mount below /proc to what is harmless, and one on /proc itself
// to being a procfs (a bind's source is looked at when it is opened).
func (m *mount) checkProc() error {
	below, ok := strings.CutPrefix(m.dest, "/proc")
	switch {
	case !ok || below != "" && below[0] != '/' || m.opt.Remount:
	case below == "":
		if !m.opt.Bind && m.Type != "proc" {
			return fmt.Errorf("%s: %s cannot be mounted on /proc: only a procfs can", m.field(), m.Type)
		}
	case !slices.Contains(overProc, below[1:]):
		return fmt.Errorf("%s: cannot be mounted on %s because it is inside /proc", m.field(), m.dest)
	}
	return nil
}

// within says whether a path of the container is a directory or lies below it.
func within(file, dir string) bool {
	return file == dir || strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}

// mountAll makes the mounts in the order of the config.
func (b *birth) mountAll() []plan.Step {
	var steps []plan.Step
	for _, m := range b.mounts {
		var assemble func(*program.Assembler)
		switch {
		case m.opt.Remount:
			assemble = func(a *program.Assembler) { b.remount(a, m) }
		case m.opt.Bind:
			assemble = func(a *program.Assembler) { b.bind(a, m) }
		case m.Type == "cgroup" || m.Type == "cgroup2":
			assemble = func(a *program.Assembler) { b.mountCgroup(a, m) }
		default:
			assemble = func(a *program.Assembler) { b.mountNew(a, m) }
		}
		steps = append(steps, b.mapSource(m)...)
		steps = append(steps, plan.Step{Field: m.field(), By: plan.Init, Words: m.words(), Name: m.name(), Detail: strings.Join(m.Options, ", "), Assemble: assemble,
			Shell: b.typed(func() []string { return b.shellMount(m) })})
	}
	return steps
}

// finishMounts makes those mounts read-only that had to be written to.
func (b *birth) finishMounts() []plan.Step {
	var steps []plan.Step
	for _, m := range b.mounts {
		if !m.late {
			continue
		}
		steps = append(steps, plan.Step{
			Field: m.field(), By: plan.Init, Words: "make " + m.dest + " read-only",
			Reason:   "mount points and devices were made in it",
			Shell:    b.typed(func() []string { return []string{"mount -o remount,bind,ro " + inShellRoot(m.dest)} }),
			Assemble: func(a *program.Assembler) { setReadonly(a, m.mount, 0).Note(m.dest) },
		})
	}
	return steps
}

// fsconfig configures an fs context, and lets the kernel's own words explain a
// refusal (fsconfig(2)).
func fsconfig(a *program.Assembler, fs program.Reg, cmd int, key, value string) program.Call {
	k, v, note := program.Const(0), program.Const(0), key
	if key != "" {
		k = a.String(key)
	}
	if cmd == unix.FSCONFIG_SET_STRING {
		v = a.String(value)
		note += "=" + value
	}
	switch cmd {
	case unix.FSCONFIG_CMD_CREATE:
		note = "create"
	case unix.FSCONFIG_CMD_RECONFIGURE:
		note = "reconfigure"
	}
	return a.Call(program.Discard, unix.SYS_FSCONFIG, fs.Arg(), program.Const(cmd), k, v, program.Const(0)).Message(fs).Note(note)
}

// setOptions gives an fs context the superblock's flags and the file system's own
// options, for a new mount or for a remount.
func setOptions(a *program.Assembler, fs program.Reg, opt *mountopt.Options) {
	for _, flag := range opt.Super {
		fsconfig(a, fs, unix.FSCONFIG_SET_FLAG, flag, "")
	}
	for _, d := range opt.Data {
		if d.Flag {
			fsconfig(a, fs, unix.FSCONFIG_SET_FLAG, d.Key, "")
		} else {
			fsconfig(a, fs, unix.FSCONFIG_SET_STRING, d.Key, d.Value)
		}
	}
}

// newMount makes a detached mount of a file system and leaves its descriptor
// in the register. It returns the calls that fail where the right to it is missing.
func newMount(a *program.Assembler, mnt program.Reg, fstype, source string, opt *mountopt.Options) []program.Call {
	fs := a.Reg()
	open := a.Call(fs, unix.SYS_FSOPEN, a.String(fstype), program.Const(unix.FSOPEN_CLOEXEC)).Note(fstype)
	if source != "" {
		fsconfig(a, fs, unix.FSCONFIG_SET_STRING, "source", source)
	}
	setOptions(a, fs, opt)
	create := fsconfig(a, fs, unix.FSCONFIG_CMD_CREATE, "", "")
	mount := a.Call(mnt, unix.SYS_FSMOUNT, fs.Arg(), program.Const(unix.FSMOUNT_CLOEXEC), program.Const(opt.AttrSet)).
		Message(fs).Note(fstype)
	closeFd(a, fs)
	return []program.Call{open, create, mount}
}

// setAttributes applies the attributes and the propagation changes to a detached mount.
func setAttributes(a *program.Assembler, mnt program.Arg, m *mount) {
	setFlags(a, mnt, m)
	setPropagation(a, mnt, m)
}

func setPropagation(a *program.Assembler, mnt program.Arg, m *mount) {
	for _, p := range m.opt.Propagation {
		flags := 0
		if p.Recursive {
			flags = unix.AT_RECURSIVE
		}
		setattr(a, mnt, flags, 0, 0, p.Type, m.dest)
	}
}

// setFlags applies the recursive attributes to a mount, and its own attributes where it is
// a bind or changed later: a new mount has them from fsmount(2).
func setFlags(a *program.Assembler, mnt program.Arg, m *mount) {
	o := &m.opt
	if o.RecSet != 0 || o.RecClear != 0 {
		setattr(a, mnt, unix.AT_RECURSIVE, o.RecSet, o.RecClear, 0, m.dest)
	}
	if (o.Bind || o.Remount) && (o.AttrSet != 0 || o.AttrClear != 0) {
		setattr(a, mnt, 0, o.AttrSet, o.AttrClear, 0, m.dest)
	}
}

// setattr is mount_setattr(2) of an open mount.
func setattr(a *program.Assembler, mnt program.Arg, flags int, set, clear, propagation uint64, note string) {
	a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, mnt, a.String(""), program.Const(unix.AT_EMPTY_PATH|flags),
		a.MountAttr(set, clear, propagation, 0), program.MountAttrSize).Note(note)
}

// mountNew makes a new mount of any file system.
func (b *birth) mountNew(a *program.Assembler, m *mount) {
	at, mnt, mode := a.Reg(), a.Reg(), a.Reg()
	inherit := m.Type == "tmpfs" && m.copyUp < 0 && !hasDatum(m.opt.Data, "mode")
	if inherit {
		b.modeOf(a, mode, m.dest)
	}
	b.makeInRoot(a, at, m.dest, true, m.resolve())
	b.notProc(a, at, m)
	if m.copyUp >= 0 {
		m.mount = program.Const(m.copyUp)
		setAttributes(a, m.mount, m)
		mapOwnersOfNew(a, m.mount, m)
		attachAt(a, program.Const(m.copyUp), at).Note(m.dest)
		b.rememberMount(a, program.Const(m.copyUp), m)
		b.overRoot(a, program.Const(m.copyUp), m)
		closeFd(a, at)
		a.Release(mnt, mode)
		return
	}
	b.mountOrLend(a, mnt, m)
	b.labelQueues(a, mnt, m)
	if inherit {
		// A tmpfs is 1777 by itself; one over an existing directory keeps its mode.
		top := a.Reg()
		a.Call(top, unix.SYS_OPENAT, mnt.Arg(), a.String("."), program.Const(unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)).Note(m.dest)
		a.Call(program.Discard, unix.SYS_FCHMOD, top.Arg(), mode.Arg()).Note(m.dest)
		closeFd(a, top)
	}
	setAttributes(a, mnt.Arg(), m)
	mapOwnersOfNew(a, mnt.Arg(), m)
	attachAt(a, mnt.Arg(), at).Note(m.dest)
	b.rememberMount(a, mnt.Arg(), m)
	b.overRoot(a, mnt.Arg(), m)
	if m.late || b.hasCovers(m) {
		m.mount = mnt.Arg() // stays open until it becomes read-only, or is covered
		closeFd(a, at)
	} else {
		closeFd(a, mnt, at)
	}
	a.Release(mode)
}

// modeOf leaves the mode of a directory in the register, or that of a fresh tmpfs
// where there is none.
func (b *birth) modeOf(a *program.Assembler, mode program.Reg, dir string) {
	missing := a.NewLabel()
	at := a.Reg()
	a.Set(mode, program.Const(0o1777))
	b.openInRoot(a, at, dir, unix.O_PATH, 0).On(unix.ENOENT, missing)
	a.Call(program.Discard, unix.SYS_STATX, at.Arg(), a.String(""), program.Const(unix.AT_EMPTY_PATH),
		program.Const(unix.STATX_MODE), program.Scratch(0)).Note(dir)
	// stx_mode is the low half of the word at offset 28 (statx(2)).
	a.Load32(mode, 28, 0o7777)
	closeFd(a, at)
	a.Bind(missing)
}

// procMagic is the low word of PROC_SUPER_MAGIC, where struct statfs has its type.
const procMagic = unix.PROC_SUPER_MAGIC

// notProc refuses a target that a link in the image has led into a procfs: the
// config's own words were checked, and do not say so (CVE-2019-16884).
func (b *birth) notProc(a *program.Assembler, at program.Reg, m *mount) {
	if within(m.said, "/proc") {
		return // checkProc has judged it
	}
	ok, kind := a.NewLabel(), a.Reg()
	a.Call(program.Discard, unix.SYS_FSTATFS, at.Arg(), program.Scratch(0)).Note(m.dest)
	a.Load32(kind, 0, 1<<32-1)
	a.Unless(kind.Arg(), program.Const(procMagic), ok)
	a.Fail(unix.EPERM, m.dest+" leads into a procfs")
	a.Bind(ok)
	a.Release(kind)
}

func hasDatum(data []mountopt.Datum, key string) bool {
	for _, d := range data {
		if d.Key == key {
			return true
		}
	}
	return false
}

// overRoot makes a mount that covers the container's root the root: the descriptor
// from which all paths are resolved leads below it otherwise.
func (b *birth) overRoot(a *program.Assembler, mnt program.Arg, m *mount) {
	if m.dest == "/" {
		a.Call(program.Discard, unix.SYS_DUP3, mnt, b.root, program.Const(unix.O_CLOEXEC)).Note("/")
	}
}

// remount changes the mount that is at the destination: with "bind" only its
// attributes, else also its superblock's options.
func (b *birth) remount(a *program.Assembler, m *mount) {
	at := a.Reg()
	b.openInRoot(a, at, m.dest, unix.O_PATH, 0)
	if !m.opt.Bind && len(m.opt.Super)+len(m.opt.Data) > 0 {
		fs := a.Reg()
		a.Call(fs, unix.SYS_FSPICK, at.Arg(), a.String(""), program.Const(unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH)).Note(m.dest)
		setOptions(a, fs, &m.opt)
		fsconfig(a, fs, unix.FSCONFIG_CMD_RECONFIGURE, "", "")
		closeFd(a, fs)
	}
	setAttributes(a, at.Arg(), m)
	closeFd(a, at)
}
