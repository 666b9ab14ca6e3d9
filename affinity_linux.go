package main

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// maxCPUs is the most that kernels are built for (NR_CPUS).
const maxCPUs = 8192

// initialAffinity has the thread that clones an exec's process run on the CPUs of
// execCPUAffinity.initial (config.md, "Linux Process"): the process inherits them,
// and whatever it costs to come into the container's cgroup is paid there.
func (b *birth) initialAffinity() []plan.Step {
	p := b.spec.Process
	if !b.joins || p == nil || p.ExecCPUAffinity == nil || p.ExecCPUAffinity.Initial == "" {
		return nil
	}
	list := p.ExecCPUAffinity.Initial
	return []plan.Step{{
		Field: "/process/execCPUAffinity/initial", By: plan.Runtime, Words: "clone on the CPUs " + list,
		Reason: "the process has them from its first moment, before its cgroup decides",
		Do: func() (func() error, error) {
			set := unix.NewCPUSet(maxCPUs)
			for word, bits := range bitMask(list) {
				for bit := range 64 {
					if bits&(1<<bit) != 0 {
						set.Set(64*word + bit)
					}
				}
			}
			b.cloneOn = set
			// That none of them can be had is better known here than in the clone.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			old, err := swapAffinity(set)
			if err == nil {
				_, err = swapAffinity(old)
			}
			return nil, err
		},
	}}
}

// swapAffinity has the calling thread run on a set of CPUs, and returns those that
// it had.
func swapAffinity(set unix.CPUSetDynamic) (old unix.CPUSetDynamic, err error) {
	old = unix.NewCPUSet(maxCPUs)
	if err := unix.SchedGetaffinityDynamic(0, old); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	return old, os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinityDynamic(0, set))
}

// prepareThread makes the thread that is about to clone one whose child is born on
// the right CPUs and in the container's v1 cgroups; restoreThread undoes it.
func (b *birth) prepareThread() error {
	if b.cloneOn != nil {
		var err error
		if b.affinityBack, err = swapAffinity(b.cloneOn); err != nil {
			return err
		}
	}
	err := b.enterCgroup()
	if err != nil && b.affinityBack != nil {
		_, _ = swapAffinity(b.affinityBack)
	}
	return err
}

func (b *birth) restoreThread() error {
	if err := b.leaveCgroup(); err != nil {
		return err
	}
	if b.affinityBack == nil {
		return nil
	}
	_, err := swapAffinity(b.affinityBack)
	return err
}

// affinity says on which CPUs the process runs once it is in its cgroup: those of
// execCPUAffinity.final for an exec, else all that the cgroup has. The latter has to
// be said: since Linux 6.2 an affinity that the caller was given (CPUAffinity= of its
// unit, taskset) stays with what it starts, through any change of the cpuset.
func (b *birth) affinity() []plan.Step {
	p := b.spec.Process
	if p == nil {
		return nil
	}
	s := plan.Step{By: plan.Init, Words: "use all CPUs of the cgroup", Reason: "or the caller's affinity would stay",
		Shell: b.remark("the caller's affinity stays (taskset)")}
	mask := make([]uint64, maxCPUs/64)
	for i := range mask {
		mask[i] = ^uint64(0)
	}
	tolerated := []unix.Errno{unix.EINVAL, unix.EPERM} // nothing is promised
	if a := p.ExecCPUAffinity; b.joins && a != nil && a.Initial+a.Final != "" {
		if a.Final == "" {
			return nil // what initial came to in the cgroup
		}
		s.Field, s.Words, s.Reason = "/process/execCPUAffinity/final", "use the CPUs "+a.Final, "in the cgroup, whose cpuset limits them"
		mask, tolerated = bitMask(a.Final), nil
	} else if b.cgroups == nil && !(b.joins && len(ownDirs(b.dir.Record)) > 0) {
		return nil
	}
	s.Assemble = func(a *program.Assembler) {
		a.Call(program.Discard, unix.SYS_SCHED_SETAFFINITY, program.Const(0), program.Const(8*len(mask)), a.Words(mask...)).
			Note(s.Words).Tolerate(tolerated...)
	}
	return []plan.Step{s}
}
