package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// scheduling is what decides when and where the process runs, reads and gets its
// memory. The kernel keeps all of it over execve(2).
func (b *birth) scheduling() []plan.Step {
	steps := append(b.affinity(), b.scheduler()...)
	steps = append(steps, b.ioPriority()...)
	return append(steps, b.memoryPolicy()...)
}

// byHost gives a step that needs capabilities of the host to who has them: in a
// user namespace, that is no longer the first process but the runtime, if it is root.
// The system call nr takes a pid, 0 for the caller's own; note is what it sets.
func (b *birth) byHost(s plan.Step, nr uintptr, note string, args func(*program.Assembler, program.Arg) []program.Arg, do func(pid int) error) plan.Step {
	s.By, s.Reason = plan.Init, "before the privileges go, and after the last fork: a deadline forbids one"
	s.Assemble = func(a *program.Assembler) {
		a.Call(program.Discard, nr, args(a, program.Const(0))...).Note(note)
	}
	if b.ns.private(unix.CLONE_NEWUSER) && b.host.euid == 0 {
		s.By, s.Reason, s.Assemble = plan.Runtime, "in its user namespace the process has no capability of the host's", nil
		s.Do = func() (func() error, error) {
			if err := do(b.child.Pid); err != nil {
				return nil, fmt.Errorf("%s %s: %w", program.SyscallName(nr), note, err)
			}
			return nil, nil
		}
	}
	return s
}

// schedAttr is /process/scheduler as sched_setattr(2) takes it. The configuration
// has no values for the flags that clamp the utilization: those are 0.
func schedAttr(s *specs.Scheduler) unix.SchedAttr {
	policy, _ := spec.Lookup(spec.SchedulerPolicies, string(s.Policy))
	attr := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: uint32(policy), Nice: s.Nice, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	for _, name := range s.Flags {
		flag, _ := spec.Lookup(spec.SchedulerFlags, string(name))
		attr.Flags |= flag
	}
	return attr
}

// schedulerWords says what a scheduler gives the process, times in nanoseconds.
func schedulerWords(s *specs.Scheduler) string {
	words := string(s.Policy)
	switch s.Policy {
	case specs.SchedFIFO, specs.SchedRR:
		words += fmt.Sprintf(" with priority %d", s.Priority)
	case specs.SchedDeadline:
		words += fmt.Sprintf(": %d ns of CPU within %d ns", s.Runtime, s.Deadline)
		if s.Period != 0 {
			words += fmt.Sprintf(" every %d ns", s.Period)
		}
	case specs.SchedOther, specs.SchedBatch:
		words += fmt.Sprintf(" with nice %d", s.Nice)
	}
	for i, flag := range s.Flags {
		words += []string{", ", " and "}[min(i, 1)] + string(flag)
	}
	return words
}

// scheduler sets the scheduling policy (sched_setattr(2)).
func (b *birth) scheduler() []plan.Step {
	if b.spec.Process == nil || b.spec.Process.Scheduler == nil {
		return nil
	}
	s := b.spec.Process.Scheduler
	attr := schedAttr(s)
	words := schedulerWords(s)
	return []plan.Step{b.byHost(plan.Step{
		Field: "/process/scheduler", Words: "schedule by " + words, Name: "scheduler",
		Shell: b.typed(func() []string { return shellScheduler(s) }),
	}, unix.SYS_SCHED_SETATTR, words, func(a *program.Assembler, self program.Arg) []program.Arg {
		return []program.Arg{self, schedAttrBytes(a, &attr), program.Const(0)}
	}, func(pid int) error { return unix.SchedSetAttr(pid, &attr, 0) })}
}

// schedAttrBytes places struct sched_attr into the Program's memory.
func schedAttrBytes(a *program.Assembler, attr *unix.SchedAttr) program.Arg {
	var (
		b   []byte
		u32 = func(v uint32) { b = binary.NativeEndian.AppendUint32(b, v) }
		u64 = func(v uint64) { b = binary.NativeEndian.AppendUint64(b, v) }
	)
	u32(attr.Size)
	u32(attr.Policy)
	u64(attr.Flags)
	u32(uint32(attr.Nice))
	u32(attr.Priority)
	u64(attr.Runtime)
	u64(attr.Deadline)
	u64(attr.Period)
	u32(attr.Util_min)
	u32(attr.Util_max)
	return a.Bytes(b)
}

// ioprio_set(2) has no names in package unix.
const (
	ioprioWhoProcess = 1
	ioprioClassShift = 13
)

// ioPriority sets the class and the priority for block devices (ioprio_set(2)).
func (b *birth) ioPriority() []plan.Step {
	if b.spec.Process == nil || b.spec.Process.IOPriority == nil {
		return nil
	}
	p := b.spec.Process.IOPriority
	class, _ := spec.Lookup(spec.IOPriorityClasses, string(p.Class))
	value := int(class)<<ioprioClassShift | p.Priority
	words := fmt.Sprintf("%s with priority %d", p.Class, p.Priority)
	return []plan.Step{b.byHost(plan.Step{
		Field: "/process/ioPriority", Words: "do block I/O by " + words, Name: "I/O priority",
		Shell: b.typed(func() []string { return []string{fmt.Sprintf("host ionice -c %d -n %d -p $$", class, p.Priority)} }),
	}, unix.SYS_IOPRIO_SET, words, func(_ *program.Assembler, self program.Arg) []program.Arg {
		return []program.Arg{program.Const(ioprioWhoProcess), self, program.Const(value)}
	}, func(pid int) error {
		if _, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(pid), uintptr(value)); errno != 0 {
			return errno
		}
		return nil
	})}
}

// memoryPolicy says from which NUMA nodes the process gets memory
// (set_mempolicy(2)). It is the thread's own and kept over fork and execve.
func (b *birth) memoryPolicy() []plan.Step {
	if b.spec.Process == nil || b.spec.Linux == nil || b.spec.Linux.MemoryPolicy == nil {
		return nil
	}
	p := b.spec.Linux.MemoryPolicy
	mode, _ := spec.Lookup(spec.MemoryPolicyModes, string(p.Mode))
	words := string(p.Mode)
	if p.Nodes != "" {
		words += " of the nodes " + p.Nodes
	}
	for i, name := range p.Flags {
		flag, _ := spec.Lookup(spec.MemoryPolicyFlags, string(name))
		mode |= flag
		words += []string{", ", " and "}[min(i, 1)] + string(name)
	}
	return []plan.Step{{
		Field: "/linux/memoryPolicy", By: plan.Init, Words: "take memory by " + words, Name: "memory policy",
		Reason: "in the cgroup, whose cpuset limits the nodes",
		Shell:  b.typed(func() []string { return shellMissing("take memory by " + words + " (numactl)") }),
		Assemble: func(a *program.Assembler) {
			nodes, bits := program.Const(0), 0
			if mask := bitMask(p.Nodes); mask != nil {
				// The kernel reads one bit less than it is told (get_nodes in mm/mempolicy.c).
				nodes, bits = a.Words(mask...), 64*len(mask)+1
			}
			a.Call(program.Discard, unix.SYS_SET_MEMPOLICY, program.Const(mode), nodes, program.Const(bits)).Note(words)
		},
	}}
}

// bitMask is a list such as 0-3,7 as the kernel takes sets of processors and nodes:
// machine words, the lowest number first. The empty list is nil.
func bitMask(list string) []uint64 {
	ranges, _ := spec.ParseRanges(list) // validated
	var mask []uint64
	for _, r := range ranges {
		for n := r.First; n <= r.Last; n++ {
			for len(mask) <= n/64 {
				mask = append(mask, 0)
			}
			mask[n/64] |= 1 << (n % 64)
		}
	}
	return mask
}

// attributeHint is advice for what a process was refused, by the field, or "".
func attributeHint(step *plan.Step, errno unix.Errno) string {
	if strings.HasPrefix(step.Field, "/linux/sysctl/") {
		return sysctlHint(errno)
	}
	deadline := strings.Contains(step.Words, string(specs.SchedDeadline))
	switch step.Field {
	case "/process/scheduler":
		switch {
		case strings.Contains(step.Words, string(specs.SchedISO)) && errno == unix.EINVAL:
			return "SCHED_ISO is a name that Linux reserves: no kernel of its releases has the policy"
		case deadline && errno == unix.EINVAL:
			return "the period, or the deadline if there is none, must lie between /proc/sys/kernel/sched_deadline_period_min_us and ..._max_us"
		case deadline && errno == unix.EPERM:
			return "SCHED_DEADLINE needs CAP_SYS_NICE on the host, and a process that may run on every CPU of its cpuset's root domain"
		case deadline && errno == unix.EBUSY:
			return "the CPUs have no bandwidth left: all deadlines and real-time processes share sched_rt_runtime_us of each sched_rt_period_us in /proc/sys/kernel"
		case errno == unix.EPERM && (strings.Contains(step.Words, string(specs.SchedFIFO)) || strings.Contains(step.Words, string(specs.SchedRR))):
			return "real time needs CAP_SYS_NICE on the host and, where the kernel schedules by groups, a budget: /linux/resources/cpu/realtimeRuntime"
		case errno == unix.EPERM:
			return "a nice value below the caller's needs CAP_SYS_NICE on the host"
		case errno == unix.EOPNOTSUPP && strings.Contains(step.Words, "UTIL_CLAMP"):
			return "the kernel is built without CONFIG_UCLAMP_TASK"
		}
	case "/process/ioPriority":
		if errno == unix.EPERM {
			return "IOPRIO_CLASS_RT needs CAP_SYS_NICE or CAP_SYS_ADMIN on the host"
		}
	case "/linux/memoryPolicy":
		switch {
		case errno == unix.ENOSYS:
			return "the kernel is built without CONFIG_NUMA"
		case errno == unix.EINVAL && strings.Contains(step.Words, string(specs.MpolFNumaBalancing)):
			return "MPOL_F_NUMA_BALANCING goes with MPOL_BIND and, in newer kernels, MPOL_PREFERRED_MANY; the nodes must be online"
		case errno == unix.EINVAL:
			return "the nodes must be online (/sys/devices/system/node/online) and in the container's cpuset.mems; MPOL_WEIGHTED_INTERLEAVE needs Linux 6.9, MPOL_PREFERRED_MANY 5.15"
		}
	case "/linux/personality/domain":
		if errno == unix.EINVAL {
			return "LINUX32 is for 32-bit programs, and this processor runs none"
		}
	case "/process/execCPUAffinity/initial", "/process/execCPUAffinity/final":
		if errno == unix.EINVAL {
			return "at least one of the CPUs must be online and in the cpuset of the process's cgroup"
		}
	}
	return ""
}
