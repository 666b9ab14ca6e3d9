package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/plan"
)

// shellMake makes the cgroup, and removes it when the script ends.
func (c *cgroups) shellMake() []string {
	lines := []string{
		"clean_up() {",
		"\tfor dir; do",
		"\t\ttries=50",
		"\t\twhile [ -e \"$dir\" ] && [ $((tries -= 1)) -gt 0 ]; do",
		"\t\t\tgrep -vx 0 \"$dir\"/cgroup.procs | xargs -r kill -KILL 2>/dev/null || :",
		"\t\t\tfind \"$dir\" -depth -type d -exec rmdir {} \\; 2>/dev/null || :",
		"\t\t\t[ ! -e \"$dir\" ] || sleep 0.1",
		"\t\tdone",
		"\tdone",
		"}",
		"trap 'clean_up \"$@\"' EXIT",
	}
	for _, d := range c.dirs {
		if above := path.Dir(d.Path); above != d.Hierarchy.Dir {
			lines = append(lines, plan.Command("mkdir", "-p", above))
		}
		lines = append(lines, plan.Command("mkdir", d.Path), "set -- "+plan.Quote(d.Path)+` "$@"`)
	}
	need := cgroup.Controllers(append(slices.Clone(c.before), c.after...))
	for _, d := range c.dirs {
		below := strings.Trim(strings.TrimPrefix(d.Path, d.Hierarchy.Dir), "/")
		levels := strings.Split(below, "/")
		switch {
		case d.Hierarchy.Unified:
			for i := range levels {
				file := plan.Quote(path.Join(d.Hierarchy.Dir, path.Join(levels[:i]...), "cgroup.subtree_control"))
				for _, name := range need {
					lines = append(lines, "grep -qw "+name+" "+file+" || echo +"+name+" >"+file)
				}
				for _, name := range statisticsControllers {
					if slices.Contains(d.Hierarchy.Controllers, name) && !slices.Contains(need, name) {
						lines = append(lines, "{ echo +"+name+" >"+file+"; } 2>/dev/null || :")
					}
				}
			}
		case slices.Contains(d.Hierarchy.Controllers, "cpuset"):
			for i := range levels {
				dir := path.Join(d.Hierarchy.Dir, path.Join(levels[:i+1]...))
				for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
					own := plan.Quote(path.Join(dir, name))
					lines = append(lines, fmt.Sprintf("[ \"$(cat %s)\" ] || cat %s >%s", own, plan.Quote(path.Join(path.Dir(dir), name)), own))
				}
			}
		}
	}
	return lines
}

// shellFile is the file that a write goes to.
func (c *cgroups) shellFile(w cgroup.Write) string {
	for _, d := range c.dirs {
		if d.Hierarchy.Unified == w.Unified && (w.Unified || slices.Contains(d.Hierarchy.Controllers, w.Controller)) {
			return path.Join(d.Path, w.File)
		}
	}
	return w.File
}

func (c *cgroups) shellWrite(w cgroup.Write) string {
	file := plan.Quote(c.shellFile(w))
	line := shellWrite(w.Value, file)
	switch {
	case w.Else != nil:
		return "if [ -e " + file + " ]; then " + line + "; else " + c.shellWrite(*w.Else) + "; fi"
	case w.Optional:
		return "[ ! -e " + file + " ] || " + line
	}
	return line
}

// shellLimit is a write of a limit. Those behind the clone have been made before
// the cgroup was entered, but for the number of processes.
func (c *cgroups) shellLimit(w cgroup.Write) []string {
	switch {
	case !w.AfterJoin && c.scope != nil:
		return []string{plan.Remark("written when the scope was made")}
	case !w.AfterJoin:
		return []string{c.shellWrite(w)}
	case w.Controller == "pids":
		return []string{shellWrite(w.Value, "&4"), "exec 4>&-"}
	}
	return []string{plan.Remark("written before the cgroup was entered: the script's own commands are light")}
}

// shellDeviceFilter sets the devices controller of v1.
func (c *cgroups) shellDeviceFilter() []string {
	if c.deviceFilter != nil {
		return []string{plan.Remark("on cgroup v2 this is a BPF program, which no command of a base system loads: no filter")}
	}
	var lines []string
	for _, w := range c.deviceLines {
		lines = append(lines, c.shellWrite(w))
	}
	return lines
}

// shellGive gives a cgroup to a user.
func shellGive(uid int, dir string) []string {
	dir = plan.Quote(dir)
	return []string{
		fmt.Sprintf("chown %d %s", uid, dir),
		"for file in $(cat " + cgroup.DelegateFile + " || echo cgroup.procs cgroup.subtree_control cgroup.threads); do",
		fmt.Sprintf("\t[ ! -e %s/\"$file\" ] || chown %d %s/\"$file\"", dir, uid, dir),
		"done",
	}
}

// shellOpenSub makes the cgroup below the container's while the script has the host's
// rights, and keeps the way into it open.
func (b *birth) shellOpenSub() []string {
	name := b.subCgroup()
	if name == "" {
		return nil
	}
	dir := path.Join(b.cgroups.dirs[0].Path, name)
	lines := []string{plan.Command("mkdir", "-p", dir)}
	if uid := b.cgroupOwner(); uid != b.host.euid {
		lines = append(lines, shellGive(uid, dir)...)
	}
	return append(lines, "exec 5>"+plan.Quote(dir+"/cgroup.procs"))
}

// shellEnterSub goes there. Passing on controllers takes a cgroup without processes, and
// rights that a user namespace takes away.
func (b *birth) shellEnterSub(name string) []string {
	lines := []string{"echo 0 >&5", "exec 5>&-"}
	at := b.cgroups.dirs[0].Path
	for level := range strings.SplitSeq(name, "/") {
		dir := plan.Quote(at)
		lines = append(lines, fmt.Sprintf("for name in $(cat %s/cgroup.controllers); do { echo +$name >%[1]s/cgroup.subtree_control; } 2>/dev/null || :; done", dir))
		at = path.Join(at, level)
	}
	return lines
}

// shellMountCgroup does what mountCgroup does.
func (b *birth) shellMountCgroup(m *mount, plain []string) []string {
	at := inShellRoot(m.dest)
	own := b.ns.private(unix.CLONE_NEWCGROUP)
	one := func(fstype, dir string, data []string, at string) string {
		if fstype == "" || !own && dir != "" {
			line := "mount --bind " + plan.Quote(dir) + " " + at
			if len(plain) > 0 {
				line += "\nmount -o " + plan.Quote(strings.Join(append([]string{"remount", "bind"}, plain...), ",")) + " " + at
			}
			return line
		}
		line := "mount -t " + fstype
		if list := append(slices.Clone(plain), data...); len(list) > 0 {
			line += " -o " + plan.Quote(strings.Join(list, ","))
		}
		return line + " cgroup " + at
	}
	lines := []string{"mkdir -p " + at}
	if b.cgroups == nil {
		return append(lines, one("cgroup2", b.callersCgroups(), nil, at))
	}
	if b.cgroups.mode == cgroup.Unified {
		dir := b.cgroups.dirs[0].Path
		if callers := b.callersCgroups(); callers != "" {
			dir = callers
		}
		line := one("cgroup2", dir, nil, at)
		if own && b.inUsers() {
			lines = append(lines, plan.Remark("mount(8) refuses the same file system a second time, where a bind of /sys has brought it"))
			line += " 2>/dev/null || {\n\t" + strings.ReplaceAll(one("", dir, nil, at), "\n", "\n\t") + "\n}"
		}
		return append(lines, line)
	}
	lines = append(lines, "mount -t tmpfs -o mode=755 cgroup "+at)
	for _, d := range b.cgroups.dirs {
		name := path.Base(d.Hierarchy.Dir)
		in := inShellRoot(path.Join(m.dest, name))
		fstype, data := "cgroup", d.Hierarchy.Controllers
		switch {
		case d.Hierarchy.Unified:
			fstype, data = "cgroup2", nil
		case d.Hierarchy.Name != "" && len(data) == 0:
			data = []string{"none", "name=" + d.Hierarchy.Name}
		}
		lines = append(lines, "mkdir "+in, one(fstype, d.Path, data, in))
		if strings.Contains(name, ",") {
			for _, c := range d.Hierarchy.Controllers {
				lines = append(lines, "ln -s "+plan.Quote(name)+" "+inShellRoot(path.Join(m.dest, c)))
			}
		}
	}
	if slices.Contains(plain, "ro") {
		lines = append(lines, "mount -o remount,bind,ro "+at)
	}
	return lines
}
