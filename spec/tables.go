package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Value is a name of the configuration and the kernel's number for it.
type Value struct {
	Name  string
	Value uint64
}

// Lookup returns the number that a table has for a name.
func Lookup(table []Value, name string) (uint64, bool) {
	for i := range table {
		if table[i].Name == name {
			return table[i].Value, true
		}
	}
	return 0, false
}

// Names returns the names of a table, in its order.
func Names(table []Value) []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return names
}

// Rlimits are the resource limits of process.rlimits and their RLIMIT_ numbers
// (getrlimit(2)).
var Rlimits = []Value{
	{"RLIMIT_CPU", unix.RLIMIT_CPU},
	{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE},
	{"RLIMIT_DATA", unix.RLIMIT_DATA},
	{"RLIMIT_STACK", unix.RLIMIT_STACK},
	{"RLIMIT_CORE", unix.RLIMIT_CORE},
	{"RLIMIT_RSS", unix.RLIMIT_RSS},
	{"RLIMIT_NPROC", unix.RLIMIT_NPROC},
	{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE},
	{"RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK},
	{"RLIMIT_AS", unix.RLIMIT_AS},
	{"RLIMIT_LOCKS", unix.RLIMIT_LOCKS},
	{"RLIMIT_SIGPENDING", unix.RLIMIT_SIGPENDING},
	{"RLIMIT_MSGQUEUE", unix.RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", unix.RLIMIT_NICE},
	{"RLIMIT_RTPRIO", unix.RLIMIT_RTPRIO},
	{"RLIMIT_RTTIME", unix.RLIMIT_RTTIME},
}

// Propagations are the forms of linux.rootfsPropagation as MS_ flags of mount(2).
// The forms that begin with r carry MS_REC.
var Propagations = []Value{
	{"shared", unix.MS_SHARED},
	{"rshared", unix.MS_SHARED | unix.MS_REC},
	{"slave", unix.MS_SLAVE},
	{"rslave", unix.MS_SLAVE | unix.MS_REC},
	{"private", unix.MS_PRIVATE},
	{"rprivate", unix.MS_PRIVATE | unix.MS_REC},
	{"unbindable", unix.MS_UNBINDABLE},
	{"runbindable", unix.MS_UNBINDABLE | unix.MS_REC},
}

// Namespace is a kind of namespace.
type Namespace struct {
	// Type is its name in linux.namespaces.
	Type specs.LinuxNamespaceType
	// Flag is its CLONE_NEW flag, for clone3(2), unshare(2) and setns(2).
	Flag uint64
	// File is the name of its link in /proc/PID/ns.
	File string
}

// Namespaces are the kinds of namespace, in the order in which a process joins
// them: the user namespace first, since it gives the right to join the others,
// and the mount namespace last, since after it the paths of the others are gone.
var Namespaces = []Namespace{
	{specs.UserNamespace, unix.CLONE_NEWUSER, "user"},
	{specs.CgroupNamespace, unix.CLONE_NEWCGROUP, "cgroup"},
	{specs.IPCNamespace, unix.CLONE_NEWIPC, "ipc"},
	{specs.UTSNamespace, unix.CLONE_NEWUTS, "uts"},
	{specs.NetworkNamespace, unix.CLONE_NEWNET, "net"},
	{specs.PIDNamespace, unix.CLONE_NEWPID, "pid"},
	{specs.TimeNamespace, unix.CLONE_NEWTIME, "time"},
	{specs.MountNamespace, unix.CLONE_NEWNS, "mnt"},
}

// LookupNamespace returns the table's entry for a kind of namespace, or nil.
func LookupNamespace(kind specs.LinuxNamespaceType) *Namespace {
	for i := range Namespaces {
		if Namespaces[i].Type == kind {
			return &Namespaces[i]
		}
	}
	return nil
}

// SchedulerPolicies are the policies of process.scheduler and their numbers
// (sched_setattr(2)). SCHED_ISO is a name of the specification whose number the
// kernel only reserves: it answers with EINVAL.
var SchedulerPolicies = []Value{
	{string(specs.SchedOther), unix.SCHED_NORMAL},
	{string(specs.SchedFIFO), unix.SCHED_FIFO},
	{string(specs.SchedRR), unix.SCHED_RR},
	{string(specs.SchedBatch), unix.SCHED_BATCH},
	{string(specs.SchedISO), 4},
	{string(specs.SchedIdle), unix.SCHED_IDLE},
	{string(specs.SchedDeadline), unix.SCHED_DEADLINE},
}

// SchedulerFlags are the flags of process.scheduler as bits of sched_attr.
var SchedulerFlags = []Value{
	{string(specs.SchedFlagResetOnFork), unix.SCHED_FLAG_RESET_ON_FORK},
	{string(specs.SchedFlagReclaim), unix.SCHED_FLAG_RECLAIM},
	{string(specs.SchedFlagDLOverrun), unix.SCHED_FLAG_DL_OVERRUN},
	{string(specs.SchedFlagKeepPolicy), unix.SCHED_FLAG_KEEP_POLICY},
	{string(specs.SchedFlagKeepParams), unix.SCHED_FLAG_KEEP_PARAMS},
	{string(specs.SchedFlagUtilClampMin), unix.SCHED_FLAG_UTIL_CLAMP_MIN},
	{string(specs.SchedFlagUtilClampMax), unix.SCHED_FLAG_UTIL_CLAMP_MAX},
}

// IOPriorityClasses are the classes of process.ioPriority and their numbers
// (ioprio_set(2)), which go above the 13 bits of the priority.
var IOPriorityClasses = []Value{
	{string(specs.IOPRIO_CLASS_RT), 1},
	{string(specs.IOPRIO_CLASS_BE), 2},
	{string(specs.IOPRIO_CLASS_IDLE), 3},
}

// MemoryPolicyModes are the modes of linux.memoryPolicy (set_mempolicy(2)).
// MPOL_WEIGHTED_INTERLEAVE needs Linux 6.9, MPOL_PREFERRED_MANY 5.15.
var MemoryPolicyModes = []Value{
	{string(specs.MpolDefault), unix.MPOL_DEFAULT},
	{string(specs.MpolBind), unix.MPOL_BIND},
	{string(specs.MpolInterleave), unix.MPOL_INTERLEAVE},
	{string(specs.MpolWeightedInterleave), unix.MPOL_WEIGHTED_INTERLEAVE},
	{string(specs.MpolPreferred), unix.MPOL_PREFERRED},
	{string(specs.MpolPreferredMany), unix.MPOL_PREFERRED_MANY},
	{string(specs.MpolLocal), unix.MPOL_LOCAL},
}

// MemoryPolicyFlags are the flags of linux.memoryPolicy, or-ed to the mode.
var MemoryPolicyFlags = []Value{
	{string(specs.MpolFNumaBalancing), unix.MPOL_F_NUMA_BALANCING},
	{string(specs.MpolFRelativeNodes), unix.MPOL_F_RELATIVE_NODES},
	{string(specs.MpolFStaticNodes), unix.MPOL_F_STATIC_NODES},
}

// MountContexts are the mount options that carry a SELinux context (mount(8)).
var MountContexts = []string{"context", "fscontext", "defcontext", "rootcontext"}

// Personalities are the domains of linux.personality (personality(2)).
var Personalities = []Value{
	{string(specs.PerLinux), 0},
	{string(specs.PerLinux32), 8},
}

// Clocks are the clocks that linux.timeOffsets may shift: their names in
// /proc/PID/timens_offsets and their CLOCK_ numbers (time_namespaces(7)).
var Clocks = []Value{
	{"monotonic", unix.CLOCK_MONOTONIC},
	{"boottime", unix.CLOCK_BOOTTIME},
}

// DeviceTypes are the types of linux.devices as S_IF bits of mknod(2). The type u
// is the unbuffered character device of mknod(1), the same as c on Linux.
var DeviceTypes = []Value{
	{"c", unix.S_IFCHR},
	{"b", unix.S_IFBLK},
	{"u", unix.S_IFCHR},
	{"p", unix.S_IFIFO},
}

// The names of a seccomp profile, as the specification lists them. What they
// stand for is the business of the code that compiles the profile.
var (
	// SeccompActions are the actions of a rule or of the whole profile.
	SeccompActions = []string{
		string(specs.ActKill), string(specs.ActKillProcess), string(specs.ActKillThread),
		string(specs.ActTrap), string(specs.ActErrno), string(specs.ActTrace),
		string(specs.ActAllow), string(specs.ActLog), string(specs.ActNotify),
	}
	// SeccompOperators compare an argument of a system call.
	SeccompOperators = []string{
		string(specs.OpNotEqual), string(specs.OpLessThan), string(specs.OpLessEqual),
		string(specs.OpEqualTo), string(specs.OpGreaterEqual), string(specs.OpGreaterThan),
		string(specs.OpMaskedEqual),
	}
	// SeccompFlags are flags of seccomp(2). The first is in the text of the
	// specification but not among its Go constants.
	SeccompFlags = []string{
		"SECCOMP_FILTER_FLAG_TSYNC", string(specs.LinuxSeccompFlagLog),
		string(specs.LinuxSeccompFlagSpecAllow), string(specs.LinuxSeccompFlagWaitKillableRecv),
	}
	// SeccompArches are the architectures whose system calls a profile may cover.
	SeccompArches = []string{
		string(specs.ArchX86), string(specs.ArchX86_64), string(specs.ArchX32),
		string(specs.ArchARM), string(specs.ArchAARCH64),
		string(specs.ArchMIPS), string(specs.ArchMIPS64), string(specs.ArchMIPS64N32),
		string(specs.ArchMIPSEL), string(specs.ArchMIPSEL64), string(specs.ArchMIPSEL64N32),
		string(specs.ArchPPC), string(specs.ArchPPC64), string(specs.ArchPPC64LE),
		string(specs.ArchS390), string(specs.ArchS390X),
		string(specs.ArchPARISC), string(specs.ArchPARISC64),
		string(specs.ArchRISCV64), string(specs.ArchLOONGARCH64),
		string(specs.ArchM68K), string(specs.ArchSH), string(specs.ArchSHEB),
	}
)
