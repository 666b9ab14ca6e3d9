package spec

import (
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// namespaces is the set of namespaces that a container has for itself or joins:
// those that it does not share with the runtime because nobody said otherwise.
type namespaces struct {
	all    uint64 // CLONE_NEW flags
	byPath uint64 // those of them that are joined by path
}

func namespacesOf(l *specs.Linux) (set namespaces) {
	if l == nil {
		return set
	}
	for i := range l.Namespaces {
		if known := LookupNamespace(l.Namespaces[i].Type); known != nil {
			set.all |= known.Flag
			if l.Namespaces[i].Path != "" {
				set.byPath |= known.Flag
			}
		}
	}
	return set
}

func (n namespaces) has(flag uint64) bool { return n.all&flag != 0 }

func (n namespaces) creates(flag uint64) bool { return n.all&^n.byPath&flag != 0 }

func (n namespaces) joins(flag uint64) bool { return n.byPath&flag != 0 }

// linux checks the linux object, field by field in the order of its type.
func (c *checker) linux(at *pointer, s *specs.Spec) {
	l, joined := s.Linux, namespacesOf(s.Linux)

	c.userMappings(at.field("uidMappings"), l.UIDMappings, joined)
	c.userMappings(at.field("gidMappings"), l.GIDMappings, joined)
	c.sysctls(at.field("sysctl"), s, joined)
	if l.Resources != nil {
		in := at.field("resources")
		c.resources(&in, l.Resources)
	}
	c.cgroupsPath(at.field("cgroupsPath"), l.CgroupsPath)
	c.namespaces(at.field("namespaces"), l.Namespaces)
	c.devices(at.field("devices"), l.Devices)
	c.netDevices(at.field("netDevices"), l.NetDevices, joined)
	if l.Seccomp != nil {
		in := at.field("seccomp")
		c.seccomp(&in, l.Seccomp)
	}
	if l.RootfsPropagation != "" {
		c.known(at.field("rootfsPropagation"), l.RootfsPropagation, Propagations)
	}
	c.hiddenPaths(at.field("maskedPaths"), l.MaskedPaths, joined)
	c.hiddenPaths(at.field("readonlyPaths"), l.ReadonlyPaths, joined)
	c.text(at.field("mountLabel"), l.MountLabel)
	if l.IntelRdt != nil {
		in := at.field("intelRdt")
		c.intelRdt(&in, l.IntelRdt)
	}
	if l.MemoryPolicy != nil {
		in := at.field("memoryPolicy")
		c.memoryPolicy(&in, l.MemoryPolicy)
	}
	if l.Personality != nil {
		in := at.field("personality")
		c.known(in.field("domain"), string(l.Personality.Domain), Personalities)
		if flags := l.Personality.Flags; len(flags) > 0 {
			c.bad(in.field("flags"), "must be empty, since no flag is defined, is %q", flags)
		}
	}
	c.timeOffsets(at.field("timeOffsets"), l.TimeOffsets, joined)
}

// userMappings checks the ids of the user namespace. A namespace that is joined
// has ids of its own; some engines repeat them here all the same, so that they
// can only be compared once the namespace is open.
func (c *checker) userMappings(list pointer, maps []specs.LinuxIDMapping, joined namespaces) {
	if len(maps) == 0 {
		if joined.creates(unix.CLONE_NEWUSER) {
			c.bad(list, "is required with a new user namespace in /linux/namespaces")
		}
		return
	}
	if !joined.has(unix.CLONE_NEWUSER) {
		c.bad(list, "needs a user namespace in /linux/namespaces")
	}
	c.mappings(list, maps)
	for i := range maps {
		if maps[i].ContainerID == 0 && maps[i].Size > 0 {
			return
		}
	}
	c.bad(list, "must map id 0 of the container, as which the container is set up")
}

// MaxMappings is how many lines the map of a user namespace has at most
// (UID_GID_MAP_MAX_EXTENTS, since Linux 4.15).
const MaxMappings = 340

// Overlap says whether two lines of a map have an id inside or one outside in common, which
// the kernel does not take.
func Overlap(m, n specs.LinuxIDMapping) (inside, outside bool) {
	return overlap(m.ContainerID, n.ContainerID, m.Size, n.Size), overlap(m.HostID, n.HostID, m.Size, n.Size)
}

// mappings checks id mappings as the kernel does when they are written
// (user_namespaces(7)), where the answer is a bare EINVAL.
func (c *checker) mappings(list pointer, maps []specs.LinuxIDMapping) {
	if len(maps) > MaxMappings {
		c.bad(list, "must have at most %d entries, has %d", MaxMappings, len(maps))
		return
	}
	for i := range maps {
		at, m := list.item(i), &maps[i]
		if m.Size == 0 {
			c.bad(at.field("size"), "must not be 0")
			continue
		}
		for _, x := range [...]struct {
			name  string
			first uint32
		}{{"containerID", m.ContainerID}, {"hostID", m.HostID}} {
			if uint64(x.first)+uint64(m.Size) > noID {
				c.bad(at.field(x.name), "must leave room for %d ids below %d, is %d", m.Size, uint32(noID), x.first)
			}
		}
		for j := range maps[:i] {
			if inside, _ := Overlap(*m, maps[j]); inside {
				c.bad(at.field("containerID"), "must not overlap with entry %d", j)
				break
			}
		}
		for j := range maps[:i] {
			if _, outside := Overlap(*m, maps[j]); outside {
				c.bad(at.field("hostID"), "must not overlap with entry %d", j)
				break
			}
		}
	}
}

func overlap(a, b, sizeA, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

// cgroupsPath checks the path below the cgroup mounts, or the slice:prefix:name of
// the systemd manager: it may go up, but not out.
func (c *checker) cgroupsPath(at pointer, value string) {
	c.text(at, value)
	if LeadsOut(value) {
		c.bad(at, "must not lead out of the cgroup mount, is %q", value)
	}
}

// LeadsOut says whether a path, taken as one below some directory, goes above that on its
// way, as a/../../b does. A slash in front means the directory.
func LeadsOut(path string) bool { return !filepath.IsLocal("./" + path) }

func (c *checker) namespaces(list pointer, all []specs.LinuxNamespace) {
	for i := range all {
		at, ns := list.item(i), &all[i]
		if LookupNamespace(ns.Type) == nil {
			types := make([]string, len(Namespaces))
			for j := range Namespaces {
				types[j] = string(Namespaces[j].Type)
			}
			c.unknown(at.field("type"), string(ns.Type), types)
		} else {
			for j := range all[:i] {
				if all[j].Type == ns.Type {
					c.bad(at.field("type"), "must not be given twice, is %s as in entry %d", ns.Type, j)
					break
				}
			}
		}
		if ns.Path != "" {
			c.absolute(at.field("path"), ns.Path)
		}
	}
}

// devices checks the device nodes. The same node twice is harmless, and engines
// do ask for it; two different ones at one path contradict each other.
func (c *checker) devices(list pointer, devices []specs.LinuxDevice) {
	for i := range devices {
		at, d := list.item(i), &devices[i]
		c.absolute(at.field("path"), d.Path)
		mode, ok := Lookup(DeviceTypes, d.Type)
		if !ok {
			c.unknown(at.field("type"), d.Type, Names(DeviceTypes))
			continue
		}
		if mode != unix.S_IFIFO {
			c.deviceNumbers(&at, d.Major, d.Minor)
		}
		for j := range devices[:i] {
			other := &devices[j]
			if other.Path != d.Path {
				continue
			}
			otherMode, _ := Lookup(DeviceTypes, other.Type)
			if otherMode != mode || mode != unix.S_IFIFO && (other.Major != d.Major || other.Minor != d.Minor) {
				c.bad(at.field("path"), "must not be a device other than in entry %d, is %s", j, d.Path)
			}
			break
		}
	}
}

// deviceNumbers checks the numbers of a device that has some. They have 12 and 20
// bits in the kernel, and mknod(2) drops what is above. That neither was given
// shows only as 0:0, which no driver answers to.
func (c *checker) deviceNumbers(at *pointer, major, minor int64) {
	if major == 0 && minor == 0 {
		c.bad(at.field("major"), "is required along with minor")
	}
	c.deviceNumber(at.field("major"), major, 1<<12-1)
	c.deviceNumber(at.field("minor"), minor, 1<<20-1)
}

func (c *checker) deviceNumber(at pointer, number, most int64) {
	if number < 0 || number > most {
		c.bad(at, "must be from 0 to %d, is %d", most, number)
	}
}

// netDevices checks the network devices that move into the container.
func (c *checker) netDevices(object pointer, devices map[string]specs.LinuxNetDevice, joined namespaces) {
	if len(devices) == 0 {
		return
	}
	if !joined.has(unix.CLONE_NEWNET) {
		c.bad(object, "needs a network namespace in /linux/namespaces")
	}
	taken := make(map[string]string, len(devices))
	for _, host := range sortedKeys(devices) {
		at := object.field(host)
		c.interfaceName(at, host)
		name, where := devices[host].Name, at.field("name")
		if name == "" {
			name, where = host, at
		} else {
			c.interfaceName(where, name)
			if n := strings.Count(name, "%"); n > 1 || n == 1 && !strings.Contains(name, "%d") {
				c.bad(where, "must have no percent sign but that of one %%d, is %q", name)
			}
		}
		if strings.Contains(name, "%") {
			continue // the kernel picks a number that is free
		}
		if other, ok := taken[name]; ok {
			c.bad(where, "must not be the name that %s gets, is %q", other, name)
			continue
		}
		taken[name] = host
	}
}

// interfaceName checks the name of a network device as dev_valid_name of the
// kernel does.
func (c *checker) interfaceName(at pointer, name string) {
	const most = unix.IFNAMSIZ - 1
	switch {
	case name == "" || name == "." || name == "..":
		c.bad(at, "must be the name of a network device, is %q", name)
	case len(name) > most:
		c.bad(at, "must have at most %d bytes, has %d", most, len(name))
	// The kernel's isspace knows Latin-1, where byte 0xa0 is a space.
	case strings.ContainsAny(name, "/: \t\n\v\f\r\x00") || strings.IndexByte(name, 0xa0) >= 0:
		c.bad(at, "must be the name of a network device, without a slash, colon or space, is %q", name)
	}
}

// hiddenPaths checks masked and read-only paths, which are covered by mounts: in
// the host's mount namespace they would be the host's.
func (c *checker) hiddenPaths(list pointer, paths []string, joined namespaces) {
	if len(paths) > 0 && !joined.has(unix.CLONE_NEWNS) {
		c.bad(list, "needs a mount namespace in /linux/namespaces")
	}
	for i, p := range paths {
		c.absolute(list.item(i), p)
	}
}

// intelRdt checks the names and lines that go to the resctrl file system. A closID
// of / is the file system's root, the default class.
func (c *checker) intelRdt(at *pointer, r *specs.LinuxIntelRdt) {
	if id := r.ClosID; id == "." || id == ".." || id != "/" && strings.Contains(id, "/") {
		c.bad(at.field("closID"), "must be the name of a directory, or / alone, is %q", id)
	}
	c.text(at.field("closID"), r.ClosID)
	lines := at.field("schemata")
	for i, line := range r.Schemata {
		if strings.Contains(line, "\n") {
			c.bad(lines.item(i), "must be one line, is %q", line)
		}
	}
	if mb := r.MemBwSchema; mb != "" && (!strings.HasPrefix(mb, "MB:") || strings.Contains(mb, "\n")) {
		c.bad(at.field("memBwSchema"), "must be one line that begins with MB:, is %q", mb)
	}
}

// memoryPolicy checks what set_mempolicy(2) would answer with a bare EINVAL.
func (c *checker) memoryPolicy(at *pointer, p *specs.LinuxMemoryPolicy) {
	known := c.known(at.field("mode"), string(p.Mode), MemoryPolicyModes)
	n := c.ranges(at.field("nodes"), p.Nodes)
	switch {
	case !known || p.Mode == specs.MpolPreferred:
	case p.Mode == specs.MpolDefault || p.Mode == specs.MpolLocal:
		if n > 0 {
			c.bad(at.field("nodes"), "must be empty with %s, is %q", p.Mode, p.Nodes)
		}
	case p.Nodes == "":
		c.bad(at.field("nodes"), "must name at least one node with %s", p.Mode)
	}
	var flags uint64
	list := at.field("flags")
	for i, flag := range p.Flags {
		c.known(list.item(i), string(flag), MemoryPolicyFlags)
		bit, _ := Lookup(MemoryPolicyFlags, string(flag))
		flags |= bit
	}
	if both := uint64(unix.MPOL_F_STATIC_NODES | unix.MPOL_F_RELATIVE_NODES); flags&both == both {
		c.bad(list, "must not have both %s and %s", specs.MpolFStaticNodes, specs.MpolFRelativeNodes)
	}
}

// timeOffsets checks the clocks of the time namespace (time_namespaces(7)): they
// can be set only before a process is in it, so never when it is joined.
func (c *checker) timeOffsets(object pointer, offsets map[string]specs.LinuxTimeOffset, joined namespaces) {
	if len(offsets) == 0 {
		return
	}
	switch {
	case !joined.has(unix.CLONE_NEWTIME):
		c.bad(object, "needs a time namespace in /linux/namespaces")
	case joined.joins(unix.CLONE_NEWTIME):
		c.bad(object, "must be empty, since the time namespace in /linux/namespaces is joined by path")
	}
	for _, clock := range sortedKeys(offsets) {
		at := object.field(clock)
		if _, ok := Lookup(Clocks, clock); !ok {
			c.bad(at, "must be one of %s", strings.Join(Names(Clocks), ", "))
		}
		if ns := offsets[clock].Nanosecs; ns >= 1e9 {
			c.bad(at.field("nanosecs"), "must be below %d, is %d", int64(1e9), ns)
		}
	}
}
