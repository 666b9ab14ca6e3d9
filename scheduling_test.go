package main

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/spec"
)

func TestBitMask(t *testing.T) {
	for _, c := range []struct {
		list string
		want []uint64
	}{
		{"", nil},
		{"0", []uint64{1}},
		{"0-3,7", []uint64{0x8f}},
		{"63,64", []uint64{1 << 63, 1}},
		{"130", []uint64{0, 0, 4}},
		{" 1 , 1-2,", []uint64{6}},
	} {
		if got := bitMask(c.list); !slices.Equal(got, c.want) {
			t.Errorf("bitMask(%q) is %#x, want %#x", c.list, got, c.want)
		}
	}
}

func TestSchedAttr(t *testing.T) {
	got := schedAttr(&specs.Scheduler{
		Policy: specs.SchedDeadline, Runtime: 1, Deadline: 2, Period: 3,
		Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork, specs.SchedFlagReclaim},
	})
	if want := (unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_DEADLINE, Flags: 3, Runtime: 1, Deadline: 2, Period: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := schedAttr(&specs.Scheduler{Policy: specs.SchedFIFO, Priority: 9, Nice: -3}); got.Priority != 9 || got.Nice != -3 || got.Policy != unix.SCHED_FIFO {
		t.Errorf("%+v", got)
	}
}

// TestSchedulingHints: each errno that misleads has advice, and no other step gets it.
func TestSchedulingHints(t *testing.T) {
	scheduled := func(s specs.Scheduler) plan.Step {
		return plan.Step{Field: "/process/scheduler", Words: "schedule by " + schedulerWords(&s)}
	}
	memory := plan.Step{Field: "/linux/memoryPolicy", Words: "take memory by MPOL_BIND of the nodes 9"}
	for _, c := range []struct {
		step  plan.Step
		errno unix.Errno
		want  bool
	}{
		{scheduled(specs.Scheduler{Policy: specs.SchedISO}), unix.EINVAL, true},
		{scheduled(specs.Scheduler{Policy: specs.SchedDeadline}), unix.EINVAL, true},
		{scheduled(specs.Scheduler{Policy: specs.SchedDeadline}), unix.EPERM, true},
		{scheduled(specs.Scheduler{Policy: specs.SchedDeadline}), unix.EBUSY, true},
		{scheduled(specs.Scheduler{Policy: specs.SchedRR}), unix.EPERM, true},
		{scheduled(specs.Scheduler{Policy: specs.SchedOther, Nice: -1}), unix.EPERM, true},
		{scheduled(specs.Scheduler{Policy: specs.SchedOther, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagUtilClampMin}}), unix.EOPNOTSUPP, true},
		{scheduled(specs.Scheduler{Policy: specs.SchedOther}), unix.EINVAL, false},
		{plan.Step{Field: "/process/ioPriority"}, unix.EPERM, true},
		{memory, unix.ENOSYS, true},
		{memory, unix.EINVAL, true},
		{memory, unix.EPERM, false},
		{plan.Step{Field: "/process/execCPUAffinity/final"}, unix.EINVAL, true},
		{plan.Step{Field: "/linux/personality/domain"}, unix.EINVAL, true},
		{plan.Step{Field: "/linux/sysctl/net.core.somaxconn"}, unix.ENOENT, true},
		{plan.Step{Field: "/process/user"}, unix.EPERM, false},
	} {
		if got := attributeHint(&c.step, c.errno); (got != "") != c.want {
			t.Errorf("%s %q, %v: the hint is %q", c.step.Field, c.step.Words, c.errno, got)
		}
	}
	for _, p := range spec.Names(spec.SchedulerPolicies) {
		if words := schedulerWords(&specs.Scheduler{Policy: specs.LinuxSchedulerPolicy(p)}); words == "" {
			t.Errorf("no words for %s", p)
		}
	}
}
