package hostinfo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The oldest kernel that the runtime is made for: there is one way to make a container on it,
// with fsopen, move_mount, mount_setattr, openat2 and clone3 into a cgroup.
const floorMajor, floorMinor = 5, 14

func (h *Host) kernel() Check {
	c := Check{
		Name: "kernel", Status: OK, Required: true, For: "every container",
		Found: fmt.Sprintf("Linux %s, of at least %d.%d", h.Release, floorMajor, floorMinor),
	}
	major, minor, ok := version(h.Release)
	if !ok || major < floorMajor || major == floorMajor && minor < floorMinor {
		c.Status, c.Found = Missing, "Linux "+h.Release
		c.Remedy = fmt.Sprintf("boot Linux %d.%d or later: containers are made with system calls that older ones lack", floorMajor, floorMinor)
	}
	return c
}

// version reads the first two numbers of a release.
func version(release string) (major, minor int, ok bool) {
	first, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	major, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0, false
	}
	minor, err = strconv.Atoi(rest[:end])
	return major, minor, err == nil
}

// namespaceFiles are the links in /proc/PID/ns, by the kernel's option that brings each.
var namespaceFiles = []struct{ file, option string }{
	{"mnt", "CONFIG_NAMESPACES"}, {"pid", "CONFIG_PID_NS"}, {"net", "CONFIG_NET_NS"}, {"ipc", "CONFIG_IPC_NS"},
	{"uts", "CONFIG_UTS_NS"}, {"user", "CONFIG_USER_NS"}, {"cgroup", "CONFIG_CGROUPS"}, {"time", "CONFIG_TIME_NS"},
}

func (h *Host) namespaces() Check {
	c := Check{Name: "namespaces", Status: OK, For: "/linux/namespaces", Required: true}
	var missing, options []string
	for _, n := range namespaceFiles {
		if h.exists("/proc/self/ns/" + n.file) {
			c.Values = append(c.Values, n.file)
			continue
		}
		missing, options = append(missing, n.file), append(options, n.option)
	}
	c.Found = strings.Join(c.Values, ", ")
	if len(missing) > 0 {
		c.Status, c.Found = Limited, c.Found+"; not "+strings.Join(missing, ", ")
		c.Remedy = "a kernel with " + strings.Join(options, ", ")
	}
	if len(c.Values) == 0 {
		c.Status, c.Found, c.Remedy = Missing, "none in /proc/self/ns", "mount a procfs: mount -t proc proc /proc"
	}
	return c
}

// userNamespaces looks at the three switches that distributions have for them.
func (h *Host) userNamespaces() Check {
	c := Check{Name: "user namespaces", Status: OK, Found: "allowed", For: "containers of ordinary users, and those whose root is none of the host's", Required: h.Euid != 0}
	most, _ := h.read("/proc/sys/user/max_user_namespaces")
	clone, _ := h.read("/proc/sys/kernel/unprivileged_userns_clone")
	restricted, _ := h.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
	switch {
	case !h.exists("/proc/self/ns/user"):
		c.Status, c.Found, c.Remedy = Missing, "the kernel has none", "a kernel with CONFIG_USER_NS"
	case most == "0":
		c.Status, c.Found, c.Remedy = Missing, "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=65536"
	case clone == "0":
		c.Status, c.Found, c.Remedy = h.forRootOnly(), "for root only: kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1"
	case restricted == "1":
		c.Status, c.Found = h.forRootOnly(), "for root and programs with an AppArmor profile that allows them: kernel.apparmor_restrict_unprivileged_userns is 1"
		c.Remedy = "an AppArmor profile with userns for oci-mini, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case most != "":
		c.Found = "allowed, at most " + most
	}
	return c
}

// forRootOnly is the status of what root may use and others may not.
func (h *Host) forRootOnly() Status {
	if h.Euid == 0 {
		return Limited
	}
	return Missing
}

// subordinateIDs are the ranges of ids that the user may map (subuid(5)).
func (h *Host) subordinateIDs(file, kind, helper string) Check {
	name := h.user()
	c := Check{Name: file, Status: OK, For: fmt.Sprintf("more than one %s in the containers of %s", kind, name)}
	total, faulty := uint64(0), ""
	text, _ := h.content("/etc/" + file)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.Split(line, ":")
		if who := strings.TrimSpace(fields[0]); who != name && who != strconv.Itoa(h.Euid) {
			continue
		}
		if n := subordinates(fields); n > 0 {
			c.Values = append(c.Values, fields[1]+":"+fields[2])
			total += n
		} else {
			faulty = fmt.Sprintf(": %q is not of the form NAME:FIRST:COUNT", line)
		}
	}
	_, err := h.Look(helper)
	switch {
	case total == 0:
		c.Status, c.Found = Missing, fmt.Sprintf("no range for %s in /etc/%s%s", name, file, faulty)
		c.Remedy = fmt.Sprintf("usermod --add-%ss 100000-165535 %s", file, name)
	case err != nil:
		c.Status, c.Found = Missing, fmt.Sprintf("%d ids, but no %s to map them", total, helper)
		c.Remedy = "install the package that has it: uidmap on Debian, shadow-utils on Fedora"
	default:
		c.Found = fmt.Sprintf("%d ids", total)
	}
	return c
}

// subordinates is how many ids a line of /etc/subuid gives, none if newuidmap does not
// read it: the fields are without spaces, and those behind the third are overlooked.
func subordinates(fields []string) uint64 {
	if len(fields) < 3 || fields[0] != strings.TrimSpace(fields[0]) {
		return 0
	}
	n, err := strconv.ParseUint(fields[2], 0, 63)
	if _, bad := strconv.ParseUint(fields[1], 0, 32); bad != nil || err != nil {
		return 0
	}
	return n
}

// wanted are the controllers that resources of every config use.
var wanted = []string{"cpu", "memory", "pids"}

func (h *Host) cgroups() Check {
	c := Check{Name: "cgroups", Status: OK, For: "/linux/resources, pause, update, events", Values: h.Controllers}
	var missing []string
	for _, name := range wanted {
		if !slices.Contains(h.Controllers, name) {
			missing = append(missing, name)
		}
	}
	c.Found = fmt.Sprintf("%s, with %s", h.CgroupMode, strings.Join(h.Controllers, ", "))
	switch {
	case h.CgroupMode == "none":
		c.Status, c.Found = Missing, "not mounted on /sys/fs/cgroup"
		c.Remedy = "mount -t cgroup2 none /sys/fs/cgroup, or oci-mini --cgroup-manager disabled"
	case len(missing) > 0:
		c.Status, c.Found = Limited, c.Found+"; not "+strings.Join(missing, ", ")
		c.Remedy = "enable the controllers on the kernel's command line (cgroup_enable=) and in cgroup.subtree_control of the cgroups above"
	case h.Euid != 0 && !h.Delegated:
		c.Status, c.Found = Limited, c.Found+"; the user may not make any"
		c.Remedy = "systemd-run --user --scope -p Delegate=yes, or a unit with Delegate=yes"
	case h.CgroupMode != "v2":
		c.Status, c.Remedy = Limited, "version 2 has limits and statistics that version 1 lacks: boot with systemd.unified_cgroup_hierarchy=1"
	}
	return c
}

func (h *Host) systemd() Check {
	c := Check{Name: "systemd", Status: OK, Found: "it runs, and its bus is there", For: "--systemd-cgroup"}
	bus := "/run/dbus/system_bus_socket"
	if h.Euid != 0 {
		bus = h.Env("XDG_RUNTIME_DIR") + "/bus"
	}
	switch {
	case !h.exists("/run/systemd/system"):
		c.Status, c.Found, c.Remedy = Missing, "it is not the init of this machine", "none needed: the cgroupfs manager, which is the default, does without"
	case !h.exists(bus):
		c.Status, c.Found, c.Remedy = Limited, "it runs, but there is no bus at "+bus, "install and start dbus, for a user with a login session (loginctl enable-linger)"
	}
	return c
}

func (h *Host) seccomp() Check {
	c := Check{Name: "seccomp", Status: OK, For: "/linux/seccomp"}
	actions, ok := h.read("/proc/sys/kernel/seccomp/actions_avail")
	if !ok {
		c.Status, c.Found, c.Remedy = Missing, "the kernel has no filters of system calls", "a kernel with CONFIG_SECCOMP_FILTER"
		return c
	}
	c.Values = strings.Fields(actions)
	c.Found = "actions " + strings.Join(c.Values, ", ")
	return c
}

// module looks for a Linux security module.
func (h *Host) module(name, field string) Check {
	c := Check{Name: name, Status: OK, Found: "active", For: field}
	list, listed := h.read("/sys/kernel/security/lsm")
	active := slices.Contains(strings.Split(list, ","), name)
	if !listed {
		// securityfs is not mounted: there are signs of each elsewhere.
		enabled, _ := h.read("/sys/module/apparmor/parameters/enabled")
		active = name == "apparmor" && strings.HasPrefix(enabled, "Y") || name == "selinux" && h.exists("/sys/fs/selinux/enforce")
	}
	if !active {
		c.Status, c.Found = Missing, "not active"
		c.Remedy = fmt.Sprintf("boot with lsm=...,%s where the kernel has it; a config without labels needs none", name)
	}
	return c
}

func (h *Host) keyrings() Check {
	c := Check{Name: "keyrings", Status: OK, Found: "the kernel has them", For: "a session keyring for each container"}
	if !h.exists("/proc/keys") {
		c.Status, c.Found, c.Remedy = Missing, "the kernel has none", "none needed: there are no keys to keep apart"
	}
	return c
}

func (h *Host) overlay() Check {
	c := Check{Name: "overlay", Status: OK, Found: "the kernel has it", For: "--overlay"}
	if !h.fileSystem("overlay") {
		c.Status, c.Found, c.Remedy = Missing, "no overlay file system is loaded", "modprobe overlay"
	}
	return c
}

func (h *Host) numa() Check {
	c := Check{Name: "memory nodes", Status: OK, For: "/linux/memoryPolicy"}
	nodes, ok := h.read("/sys/devices/system/node/online")
	if !ok {
		c.Status, c.Found, c.Remedy = Missing, "the kernel knows no nodes", "a kernel with CONFIG_NUMA"
		return c
	}
	c.Found = "nodes " + nodes
	return c
}

func (h *Host) resctrl() Check {
	c := Check{Name: "resctrl", Status: OK, Found: "mounted", For: "/linux/intelRdt"}
	mounts, _ := h.read("/proc/self/mountinfo")
	switch {
	case strings.Contains(mounts, " - resctrl "):
	case h.fileSystem("resctrl"):
		c.Status, c.Found, c.Remedy = Limited, "the kernel has it, but it is not mounted", "mount -t resctrl resctrl /sys/fs/resctrl"
	default:
		c.Status, c.Found, c.Remedy = Missing, "neither in the kernel nor, perhaps, in the processor", "a processor with RDT or its like, and a kernel with CONFIG_X86_CPU_RESCTRL"
	}
	return c
}

func (h *Host) criu() Check {
	c := Check{Name: "criu", Status: OK, For: "checkpoint and restore"}
	path, err := h.Look("criu")
	if err != nil {
		c.Status, c.Found, c.Remedy = Missing, "not on PATH", "install criu"
		return c
	}
	c.Found = path
	return c
}
