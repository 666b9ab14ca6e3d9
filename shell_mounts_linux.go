package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
)

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
	return []string{"mkdir -p " + inShellRoot(path.Dir(file)), "[ -e " + at + " ] || : >" + at, "mount --bind " + plan.Quote(file) + " " + at,
		"mount -o remount,bind,ro,nosuid,noexec " + at}
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
