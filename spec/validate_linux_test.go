package spec

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// without removes namespaces from a configuration.
func without(s *specs.Spec, types ...specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
		return slices.Contains(types, ns.Type)
	})
}

func TestValidateNamespaces(t *testing.T) {
	const types = "user, cgroup, ipc, uts, network, pid, time, mount"
	run(t, []faultCase{
		{"unknown", func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "PID" },
			one(`/linux/namespaces/0/type: must be one of ` + types + `, is "PID"`)},
		{"missing", func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "" },
			one(`/linux/namespaces/0/type: is required: one of ` + types)},
		{"twice", func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "network"})
		}, one(`/linux/namespaces/8/type: must not be given twice, is network as in entry 1`)},
		{"relative", func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "netns" },
			one(`/linux/namespaces/1/path: must be an absolute path, is "netns"`)},
		{"NUL", func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/\x00" },
			one(`/linux/namespaces/1/path: must not contain a NUL byte, is "/\x00"`)},
		{"no uts", func(s *specs.Spec) { without(s, "uts") }, []string{
			`/hostname: needs a uts namespace in /linux/namespaces, or it would be set on the host`,
			`/domainname: needs a uts namespace in /linux/namespaces, or it would be set on the host`,
			`/linux/sysctl/kernel.domainname: needs a namespace of type uts in /linux/namespaces, or it would change the host`}},
		{"no user", func(s *specs.Spec) { without(s, "user") }, []string{
			`/mounts/3/options/1: needs uidMappings and gidMappings, or a user namespace in /linux/namespaces whose mappings it takes`,
			`/linux/uidMappings: needs a user namespace in /linux/namespaces`,
			`/linux/gidMappings: needs a user namespace in /linux/namespaces`,
			`/linux/sysctl/user.max_user_namespaces: needs a namespace of type user in /linux/namespaces, or it would change the host`}},
		{"no ipc", func(s *specs.Spec) { without(s, "ipc") }, []string{
			`/linux/sysctl/fs.mqueue.msg_max: needs a namespace of type ipc in /linux/namespaces, or it would change the host`,
			`/linux/sysctl/kernel.msgmax: needs a namespace of type ipc in /linux/namespaces, or it would change the host`}},
		{"no network", func(s *specs.Spec) { without(s, "network") }, []string{
			`/linux/sysctl/net.ipv4.conf.eth0~1100.forwarding: needs a namespace of type network in /linux/namespaces, or it would change the host`,
			`/linux/sysctl/net.ipv4.ip_forward: needs a namespace of type network in /linux/namespaces, or it would change the host`,
			`/linux/sysctl/net~1ipv4~1conf~1eth0.100~1rp_filter: needs a namespace of type network in /linux/namespaces, or it would change the host`,
			`/linux/netDevices: needs a network namespace in /linux/namespaces`}},
		{"no mount", func(s *specs.Spec) { without(s, "mount") }, []string{
			`/linux/maskedPaths: needs a mount namespace in /linux/namespaces`,
			`/linux/readonlyPaths: needs a mount namespace in /linux/namespaces`}},
		{"no time", func(s *specs.Spec) { without(s, "time") },
			one(`/linux/timeOffsets: needs a time namespace in /linux/namespaces`)},
		{"time joined", func(s *specs.Spec) { s.Linux.Namespaces[7].Path = "/x" },
			one(`/linux/timeOffsets: must be empty, since the time namespace in /linux/namespaces is joined by path`)},
		{"time alone", func(s *specs.Spec) { s.Linux.TimeOffsets = nil }, nil},
		{"clock", func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Nanosecs: 1e9}, "realtime": {}}
		}, []string{
			`/linux/timeOffsets/boottime/nanosecs: must be below 1000000000, is 1000000000`,
			`/linux/timeOffsets/realtime: must be one of monotonic, boottime`}},
		{"user new without ids", func(s *specs.Spec) { s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil }, []string{
			`/linux/uidMappings: is required with a new user namespace in /linux/namespaces`,
			`/linux/gidMappings: is required with a new user namespace in /linux/namespaces`}},
		{"user joined without ids", func(s *specs.Spec) {
			s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
			s.Linux.Namespaces[5].Path = "/proc/1/ns/user"
		}, nil},
		{"user joined with ids", func(s *specs.Spec) { s.Linux.Namespaces[5].Path = "/proc/1/ns/user" }, nil},
	})
}

func TestValidateMappings(t *testing.T) {
	maps := func(m ...specs.LinuxIDMapping) func(s *specs.Spec) {
		return func(s *specs.Spec) { s.Linux.UIDMappings = m }
	}
	many := make([]specs.LinuxIDMapping, 341)
	for i := range many {
		many[i] = specs.LinuxIDMapping{ContainerID: uint32(i), HostID: uint32(i), Size: 1}
	}
	run(t, []faultCase{
		{"empty", maps(specs.LinuxIDMapping{ContainerID: 0, Size: 1}, specs.LinuxIDMapping{ContainerID: 5}),
			one(`/linux/uidMappings/1/size: must not be 0`)},
		{"without root", maps(specs.LinuxIDMapping{ContainerID: 1, HostID: 1000, Size: 1}),
			one(`/linux/uidMappings: must map id 0 of the container, as which the container is set up`)},
		{"container overlap", maps(specs.LinuxIDMapping{ContainerID: 0, HostID: 0, Size: 10}, specs.LinuxIDMapping{ContainerID: 9, HostID: 50, Size: 1}),
			one(`/linux/uidMappings/1/containerID: must not overlap with entry 0`)},
		{"host overlap", maps(specs.LinuxIDMapping{ContainerID: 0, HostID: 5, Size: 10}, specs.LinuxIDMapping{ContainerID: 20, HostID: 0, Size: 6}),
			one(`/linux/uidMappings/1/hostID: must not overlap with entry 0`)},
		{"adjacent", maps(specs.LinuxIDMapping{ContainerID: 0, HostID: 5, Size: 10}, specs.LinuxIDMapping{ContainerID: 10, HostID: 0, Size: 5}), nil},
		{"all ids", maps(specs.LinuxIDMapping{Size: math.MaxUint32}), nil},
		{"past the end", maps(specs.LinuxIDMapping{Size: 1}, specs.LinuxIDMapping{ContainerID: math.MaxUint32, HostID: math.MaxUint32 - 9, Size: 10}), []string{
			`/linux/uidMappings/1/containerID: must leave room for 10 ids below 4294967295, is 4294967295`,
			`/linux/uidMappings/1/hostID: must leave room for 10 ids below 4294967295, is 4294967286`}},
		{"too many", maps(many...), one(`/linux/uidMappings: must have at most 340 entries, has 341`)},
		{"as many as can be", maps(many[:340]...), nil},
	})
}

func TestValidateSysctl(t *testing.T) {
	set := func(name, value string) func(s *specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{name: value} }
	}
	const hosts = ": must not be set: it belongs to no namespace, so it would change the host"
	run(t, []faultCase{
		{"of the host", set("kernel.core_pattern", "x"), one("/linux/sysctl/kernel.core_pattern" + hosts)},
		{"of the host by slash", set("kernel/shmmax2", "x"), one("/linux/sysctl/kernel~1shmmax2" + hosts)},
		{"vm", set("vm.swappiness", "1"), one("/linux/sysctl/vm.swappiness" + hosts)},
		{"bare", set("net", "1"), one("/linux/sysctl/net" + hosts)},
		{"hostname", set("kernel.hostname", "x"),
			one(`/linux/sysctl/kernel.hostname: must not be set: /hostname is the place for it`)},
		{"domainname", set("kernel/domainname", "other"),
			one(`/linux/sysctl/kernel~1domainname: must not contradict /domainname "example.org", is "other"`)},
		{"NUL", set("net.\x00", "x"), one("/linux/sysctl/net.\x00: must not contain a NUL byte, is \"net.\\x00\"")},
		{"empty", set("", "x"), one(`/linux/sysctl/: must be the name of a kernel parameter`)},
		{"upwards", set("net/../kernel/core_pattern", "x"),
			one(`/linux/sysctl/net~1..~1kernel~1core_pattern: must be the name of a kernel parameter`)},
		{"upwards by dots", set("net.//.kernel.core_pattern", "x"),
			one(`/linux/sysctl/net.~1~1.kernel.core_pattern: must be the name of a kernel parameter`)},
		{"absolute", set("/net/x", "x"), one(`/linux/sysctl/~1net~1x: must be the name of a kernel parameter`)},
		{"ipc by slash", set("fs/mqueue/msg_max", "1"), nil},
		{"sem", set("kernel.sem", "1"), nil},
	})
}

func TestSysctlFile(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":               "net/ipv4/ip_forward",
		"net/ipv4/conf/eth0.100/forwarding": "net/ipv4/conf/eth0.100/forwarding",
		"net.ipv4.conf.eth0/100.forwarding": "net/ipv4/conf/eth0.100/forwarding",
		"kernel":                            "kernel",
		"":                                  "",
	} {
		if got := SysctlFile(name); got != want {
			t.Errorf("SysctlFile(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestValidateLinux(t *testing.T) {
	run(t, []faultCase{
		{"cgroup NUL", func(s *specs.Spec) { s.Linux.CgroupsPath = "/a\x00" },
			one(`/linux/cgroupsPath: must not contain a NUL byte, is "/a\x00"`)},
		{"cgroup out", func(s *specs.Spec) { s.Linux.CgroupsPath = "/a/../../b" },
			one(`/linux/cgroupsPath: must not lead out of the cgroup mount, is "/a/../../b"`)},
		{"cgroup out at once", func(s *specs.Spec) { s.Linux.CgroupsPath = ".." },
			one(`/linux/cgroupsPath: must not lead out of the cgroup mount, is ".."`)},
		{"cgroup of systemd", func(s *specs.Spec) { s.Linux.CgroupsPath = "system.slice:docker:1234" }, nil},

		{"device type", func(s *specs.Spec) { s.Linux.Devices[2].Type = "d" },
			one(`/linux/devices/2/type: must be one of c, b, u, p, is "d"`)},
		{"device type missing", func(s *specs.Spec) { s.Linux.Devices[2].Type = "" },
			one(`/linux/devices/2/type: is required: one of c, b, u, p`)},
		{"device path", func(s *specs.Spec) { s.Linux.Devices[2].Path = "dev/sda" },
			one(`/linux/devices/2/path: must be an absolute path, is "dev/sda"`)},
		{"device numbers missing", func(s *specs.Spec) { s.Linux.Devices[2].Major = 0 },
			one(`/linux/devices/2/major: is required along with minor`)},
		{"device numbers wrong", func(s *specs.Spec) { s.Linux.Devices[2].Major, s.Linux.Devices[2].Minor = 4096, -1 }, []string{
			`/linux/devices/2/major: must be from 0 to 4095, is 4096`,
			`/linux/devices/2/minor: must be from 0 to 1048575, is -1`}},
		{"device contradicted", func(s *specs.Spec) { s.Linux.Devices[1].Minor = 230 },
			one(`/linux/devices/1/path: must not be a device other than in entry 0, is /dev/fuse`)},
		{"device contradicted by type", func(s *specs.Spec) { s.Linux.Devices[3].Path = "/dev/sda" },
			one(`/linux/devices/3/path: must not be a device other than in entry 2, is /dev/sda`)},

		{"network names", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{
				"":                 {},
				"..":               {},
				"a/b":              {Name: "c d"},
				"abcdefghijklmnop": {Name: "abcdefghijklmno"},
				"e0":               {Name: "a:b"},
				"e1":               {Name: "x%s"},
				"e2":               {Name: "%d%d"},
				"e3":               {Name: "\xc3\xa0"},
				"e4":               {Name: "a\x00"},
			}
		}, []string{
			`/linux/netDevices/: must be the name of a network device, is ""`,
			`/linux/netDevices/..: must be the name of a network device, is ".."`,
			`/linux/netDevices/a~1b: must be the name of a network device, without a slash, colon or space, is "a/b"`,
			`/linux/netDevices/a~1b/name: must be the name of a network device, without a slash, colon or space, is "c d"`,
			`/linux/netDevices/abcdefghijklmnop: must have at most 15 bytes, has 16`,
			`/linux/netDevices/e0/name: must be the name of a network device, without a slash, colon or space, is "a:b"`,
			`/linux/netDevices/e1/name: must have no percent sign but that of one %d, is "x%s"`,
			`/linux/netDevices/e2/name: must have no percent sign but that of one %d, is "%d%d"`,
			`/linux/netDevices/e3/name: must be the name of a network device, without a slash, colon or space, is "à"`,
			`/linux/netDevices/e4/name: must be the name of a network device, without a slash, colon or space, is "a\x00"`}},
		{"network names clash", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"a": {Name: "b"}, "b": {}, "c": {Name: "x%d"}, "d": {Name: "x%d"}}
		}, one(`/linux/netDevices/b: must not be the name that a gets, is "b"`)},

		{"propagation", func(s *specs.Spec) { s.Linux.RootfsPropagation = "sharred" },
			one(`/linux/rootfsPropagation: must be one of shared, rshared, slave, rslave, private, rprivate, unbindable, runbindable, is "sharred"`)},
		{"hidden paths", func(s *specs.Spec) {
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/a", "b"}, []string{"", "/\x00"}
		}, []string{
			`/linux/maskedPaths/1: must be an absolute path, is "b"`,
			`/linux/readonlyPaths/0: must be an absolute path, is empty`,
			`/linux/readonlyPaths/1: must not contain a NUL byte, is "/\x00"`}},
		{"label", func(s *specs.Spec) { s.Linux.MountLabel = "\x00" },
			one(`/linux/mountLabel: must not contain a NUL byte, is "\x00"`)},

		{"rdt path", func(s *specs.Spec) { s.Linux.IntelRdt.ClosID = "a/b" },
			one(`/linux/intelRdt/closID: must be the name of a directory, or / alone, is "a/b"`)},
		{"rdt up", func(s *specs.Spec) { s.Linux.IntelRdt.ClosID = ".." },
			one(`/linux/intelRdt/closID: must be the name of a directory, or / alone, is ".."`)},
		{"rdt here", func(s *specs.Spec) { s.Linux.IntelRdt.ClosID = "." },
			one(`/linux/intelRdt/closID: must be the name of a directory, or / alone, is "."`)},
		{"rdt root", func(s *specs.Spec) { s.Linux.IntelRdt.ClosID = "/" }, nil},
		{"rdt own", func(s *specs.Spec) { s.Linux.IntelRdt.ClosID = "" }, nil},
		{"rdt NUL", func(s *specs.Spec) { s.Linux.IntelRdt.ClosID = "\x00" },
			one(`/linux/intelRdt/closID: must not contain a NUL byte, is "\x00"`)},
		{"rdt lines", func(s *specs.Spec) {
			s.Linux.IntelRdt.Schemata[1], s.Linux.IntelRdt.MemBwSchema = "MB:0=1\nMB:1=2", "L3:0=1"
		}, []string{
			`/linux/intelRdt/schemata/1: must be one line, is "MB:0=1\nMB:1=2"`,
			`/linux/intelRdt/memBwSchema: must be one line that begins with MB:, is "L3:0=1"`}},

		{"policy mode", func(s *specs.Spec) { s.Linux.MemoryPolicy.Mode = "BIND" },
			one(`/linux/memoryPolicy/mode: must be one of MPOL_DEFAULT, MPOL_BIND, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE, MPOL_PREFERRED, MPOL_PREFERRED_MANY, MPOL_LOCAL, is "BIND"`)},
		{"policy without nodes", func(s *specs.Spec) { s.Linux.MemoryPolicy.Nodes = "" },
			one(`/linux/memoryPolicy/nodes: must name at least one node with MPOL_INTERLEAVE`)},
		{"policy with nodes", func(s *specs.Spec) { s.Linux.MemoryPolicy.Mode = "MPOL_LOCAL" },
			one(`/linux/memoryPolicy/nodes: must be empty with MPOL_LOCAL, is "0-1"`)},
		{"policy with bad nodes", func(s *specs.Spec) { s.Linux.MemoryPolicy.Nodes = "," },
			one(`/linux/memoryPolicy/nodes: must be a list such as 0-3,7: "," names nothing`)},
		{"policy preferred", func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_PREFERRED"} }, nil},
		{"policy flag", func(s *specs.Spec) { s.Linux.MemoryPolicy.Flags[0] = "X" },
			one(`/linux/memoryPolicy/flags/0: must be one of MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES, is "X"`)},
		{"policy flags", func(s *specs.Spec) {
			s.Linux.MemoryPolicy.Flags = []specs.MemoryPolicyFlagType{"MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"}
		}, one(`/linux/memoryPolicy/flags: must not have both MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES`)},

		{"personality", func(s *specs.Spec) { s.Linux.Personality.Domain = "linux" },
			one(`/linux/personality/domain: must be one of LINUX, LINUX32, is "linux"`)},
		{"personality flags", func(s *specs.Spec) {
			s.Linux.Personality.Flags = []specs.LinuxPersonalityFlag{"ADDR_NO_RANDOMIZE"}
		}, one(`/linux/personality/flags: must be empty, since no flag is defined, is ["ADDR_NO_RANDOMIZE"]`)},
	})
}

func TestValidateResources(t *testing.T) {
	run(t, []faultCase{
		{"device rules", func(s *specs.Spec) {
			s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{
				{Type: "u", Access: "r"},
				{Type: "a", Access: "rwx"},
				{Type: "c", Major: ptr(int64(-2)), Minor: ptr(int64(-3)), Access: "m"},
				{},
			}
		}, []string{
			`/linux/resources/devices/0/type: must be one of a, b, c, is "u"`,
			`/linux/resources/devices/1/access: must be made of r, w and m, is "rwx"`,
			`/linux/resources/devices/2/major: must be at least -1, which stands for all, is -2`,
			`/linux/resources/devices/2/minor: must be at least -1, which stands for all, is -3`,
			`/linux/resources/devices/3/access: is required: some of r, w and m`}},
		{"memory", func(s *specs.Spec) {
			s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(-2)), Reservation: ptr(int64(-2)), Swap: ptr(int64(-2)), Swappiness: ptr(uint64(101))}
		}, []string{
			`/linux/resources/memory/limit: must not be negative, unless -1 for unlimited, is -2`,
			`/linux/resources/memory/reservation: must not be negative, unless -1 for unlimited, is -2`,
			`/linux/resources/memory/swap: must not be negative, unless -1 for unlimited, is -2`,
			`/linux/resources/memory/swappiness: must be from 0 to 100, is 101`}},
		{"swap", func(s *specs.Spec) { s.Linux.Resources.Memory.Swap = ptr(int64(1)) },
			one(`/linux/resources/memory/swap: must be at least the memory limit 536870912, since it is memory and swap together, is 1`)},
		{"swap zero", func(s *specs.Spec) { s.Linux.Resources.Memory.Swap = ptr(int64(0)) }, nil},
		{"swap unlimited", func(s *specs.Spec) { s.Linux.Resources.Memory.Swap = ptr(int64(-1)) }, nil},
		{"limit unlimited", func(s *specs.Spec) { s.Linux.Resources.Memory.Limit = ptr(int64(-1)) }, nil},
		{"cpu", func(s *specs.Spec) {
			s.Linux.Resources.CPU = &specs.LinuxCPU{Quota: ptr(int64(10)), Burst: ptr(uint64(11)), Cpus: "a", Mems: "1-", Idle: ptr(int64(2))}
		}, []string{
			`/linux/resources/cpu/burst: must be at most the quota 10, is 11`,
			`/linux/resources/cpu/cpus: must be a list such as 0-3,7: "a" is not a number`,
			`/linux/resources/cpu/mems: must be a list such as 0-3,7: "" is not a number`,
			`/linux/resources/cpu/idle: must be 0 or 1, is 2`}},
		{"cpu without a quota", func(s *specs.Spec) {
			s.Linux.Resources.CPU = &specs.LinuxCPU{Quota: ptr(int64(-1)), Burst: ptr(uint64(11))}
		}, nil},
		{"pids", func(s *specs.Spec) { s.Linux.Resources.Pids.Limit = ptr(int64(-2)) },
			one(`/linux/resources/pids/limit: must not be negative, unless -1 for unlimited, is -2`)},
		{"pids unlimited", func(s *specs.Spec) { s.Linux.Resources.Pids.Limit = ptr(int64(-1)) }, nil},
		{"weight device", func(s *specs.Spec) {
			s.Linux.Resources.BlockIO.WeightDevice = []specs.LinuxWeightDevice{{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: -1}}}
		}, []string{
			`/linux/resources/blockIO/weightDevice/0/major: must be from 0 to 4095, is -1`,
			`/linux/resources/blockIO/weightDevice/0: must have weight or leafWeight`}},
		{"throttle devices", func(s *specs.Spec) {
			b := s.Linux.Resources.BlockIO
			b.ThrottleReadBpsDevice[0].Major = -1
			b.ThrottleWriteBpsDevice[0].Minor = -2
			b.ThrottleReadIOPSDevice[0].Major = -3
			b.ThrottleWriteIOPSDevice[0].Minor = -4
		}, []string{
			`/linux/resources/blockIO/throttleReadBpsDevice/0/major: must be from 0 to 4095, is -1`,
			`/linux/resources/blockIO/throttleWriteBpsDevice/0/minor: must be from 0 to 1048575, is -2`,
			`/linux/resources/blockIO/throttleReadIOPSDevice/0/major: must be from 0 to 4095, is -3`,
			`/linux/resources/blockIO/throttleWriteIOPSDevice/0/minor: must be from 0 to 1048575, is -4`}},
		{"huge pages", func(s *specs.Spec) { s.Linux.Resources.HugepageLimits[0].Pagesize = "64kB" },
			one(`/linux/resources/hugepageLimits/0/pageSize: must be a number of KB, MB or GB, such as 2MB, is "64kB"`)},
		{"priorities", func(s *specs.Spec) { s.Linux.Resources.Network.Priorities[0].Name = "" },
			one(`/linux/resources/network/priorities/0/name: must be the name of a network device, is ""`)},
		{"rdma", func(s *specs.Spec) { s.Linux.Resources.Rdma["mlx5_1"] = specs.LinuxRdma{} },
			one(`/linux/resources/rdma/mlx5_1: must have hcaHandles or hcaObjects`)},
		{"unified", func(s *specs.Spec) {
			s.Linux.Resources.Unified = map[string]string{"": "", "../cgroup.procs": "", "..": "", "memory.max": "max"}
		}, []string{
			`/linux/resources/unified/: must be the name of a file in the cgroup, such as memory.high`,
			`/linux/resources/unified/..: must be the name of a file in the cgroup, such as memory.high`,
			`/linux/resources/unified/..~1cgroup.procs: must be the name of a file in the cgroup, such as memory.high`}},
	})
}

func TestPageSize(t *testing.T) {
	for size, want := range map[string]bool{
		"2MB": true, "64KB": true, "1GB": true, "1048576KB": true,
		"": false, "MB": false, "02MB": false, "0MB": false, "2": false, "2M": false, "2B": false,
		"2mb": false, "2 MB": false, "2MBMB": false, "-2MB": false, "2.5MB": false, "2MB ": false,
	} {
		if got := isPageSize(size); got != want {
			t.Errorf("isPageSize(%q) = %v", size, got)
		}
	}
}

func TestValidateSeccomp(t *testing.T) {
	actions, arches := strings.Join(SeccompActions, ", "), strings.Join(SeccompArches, ", ")
	rule := func(change func(r *specs.LinuxSyscall)) func(s *specs.Spec) {
		return func(s *specs.Spec) { change(&s.Linux.Seccomp.Syscalls[3]) }
	}
	run(t, []faultCase{
		{"empty", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} },
			one(`/linux/seccomp/defaultAction: is required: one of ` + actions)},
		{"default action", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "ALLOW"} },
			one(`/linux/seccomp/defaultAction: must be one of ` + actions + `, is "ALLOW"`)},
		{"default errno", func(s *specs.Spec) { s.Linux.Seccomp.DefaultAction = specs.ActKill },
			one(`/linux/seccomp/defaultErrnoRet: must be set with SCMP_ACT_ERRNO and SCMP_ACT_TRACE alone, not with SCMP_ACT_KILL`)},
		{"default errno high", func(s *specs.Spec) { s.Linux.Seccomp.DefaultErrnoRet = ptr(uint(4096)) },
			one(`/linux/seccomp/defaultErrnoRet: must be at most 4095, is 4096`)},
		{"architecture", func(s *specs.Spec) { s.Linux.Seccomp.Architectures[1] = "amd64" },
			one(`/linux/seccomp/architectures/1: must be one of ` + arches + `, is "amd64"`)},
		{"flag", func(s *specs.Spec) { s.Linux.Seccomp.Flags[0] = "LOG" },
			one(`/linux/seccomp/flags/0: must be one of SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, is "LOG"`)},
		{"metadata", func(s *specs.Spec) { s.Linux.Seccomp.ListenerPath = "" },
			one(`/linux/seccomp/listenerMetadata: must not be set without listenerPath`)},
		{"listener NUL", func(s *specs.Spec) { s.Linux.Seccomp.ListenerPath = "/\x00" },
			one(`/linux/seccomp/listenerPath: must not contain a NUL byte, is "/\x00"`)},
		{"no names", rule(func(r *specs.LinuxSyscall) { r.Names = nil }),
			one(`/linux/seccomp/syscalls/3/names: must have at least one entry`)},
		{"empty name", rule(func(r *specs.LinuxSyscall) { r.Names = []string{"x", ""} }),
			one(`/linux/seccomp/syscalls/3/names/1: must be the name of a system call, is empty`)},
		{"action", rule(func(r *specs.LinuxSyscall) { r.Action = "x" }),
			one(`/linux/seccomp/syscalls/3/action: must be one of ` + actions + `, is "x"`)},
		{"errno", rule(func(r *specs.LinuxSyscall) { r.ErrnoRet = ptr(uint(1)) }),
			one(`/linux/seccomp/syscalls/3/errnoRet: must be set with SCMP_ACT_ERRNO and SCMP_ACT_TRACE alone, not with SCMP_ACT_ALLOW`)},
		{"default to the agent", func(s *specs.Spec) {
			s.Linux.Seccomp.DefaultAction, s.Linux.Seccomp.DefaultErrnoRet = specs.ActNotify, nil
		},
			one(`/linux/seccomp/defaultAction: must not be SCMP_ACT_NOTIFY: a process whose agent is late or gone could not even write that it is, and runc refuses it too`)},
		{"write to the agent", rule(func(r *specs.LinuxSyscall) { r.Action, r.Names = specs.ActNotify, []string{"writev", "write"} }),
			one(`/linux/seccomp/syscalls/3/action: must not be SCMP_ACT_NOTIFY for write: a process whose agent is late or gone could not even write that it is, and runc refuses it too`)},
		{"others to the agent", rule(func(r *specs.LinuxSyscall) {
			r.Action, r.Names = specs.ActNotify, []string{"read", "writev", "pwrite64"}
		}), nil},
		{"trace high", rule(func(r *specs.LinuxSyscall) { r.Action, r.ErrnoRet = specs.ActTrace, ptr(uint(65536)) }),
			one(`/linux/seccomp/syscalls/3/errnoRet: must be at most 65535, is 65536`)},
		{"args", rule(func(r *specs.LinuxSyscall) { r.Args[0].Index, r.Args[0].Op = 6, "EQ" }), []string{
			`/linux/seccomp/syscalls/3/args/0/index: must be from 0 to 5, is 6`,
			`/linux/seccomp/syscalls/3/args/0/op: must be one of SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_EQ, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ, is "EQ"`}},
	})
}

func TestLeadsOut(t *testing.T) {
	for path, want := range map[string]bool{
		"": false, "/": false, ".": false, "a/b": false, "/a/../b": false, "a/..": false, "a//./b/../..": false,
		"..": true, "/..": true, "../a": true, "a/../..": true, "a/../../b/c": true, "./../a": true, "//a/.././..": true,
		"...": false, "..a": false, "a/..b": false,
	} {
		if got := LeadsOut(path); got != want {
			t.Errorf("LeadsOut(%q) = %v, want %v", path, got, want)
		}
	}
}
