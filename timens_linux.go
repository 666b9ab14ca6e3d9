package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// shiftsClocks says whether the first process has to make its time namespace itself.
// clone3 puts the child into it at once, and the clocks of a namespace can be shifted
// only while no process is in it (time_namespaces(7)). unshare(2) makes one for the
// children to come; once it is shifted, setns(2) enters it, which a process with one
// thread may do.
func (b *birth) shiftsClocks() bool {
	return !b.joins && b.ns.isNew(unix.CLONE_NEWTIME) && len(b.spec.Linux.TimeOffsets) > 0
}

// newTimeNamespace makes the namespace, with nobody in it yet.
func (b *birth) newTimeNamespace() []plan.Step {
	if !b.shiftsClocks() || b.ns.staged {
		return nil // enterUsers makes all of them
	}
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Init, Words: "unshare the time namespace",
		Reason: "its clocks can be shifted only while no process is in it, and clone3 would put this one there",
		Shell:  b.remark("unshare did it"),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_UNSHARE, program.Const(unix.CLONE_NEWTIME)).Note("CLONE_NEWTIME")
		},
	}}
}

// shiftClocks sets the offsets of the new time namespace. In a user namespace the file
// of a process that cannot be traced is not the process's own, so the runtime writes
// it; it has to be waited for there anyhow.
func (b *birth) shiftClocks() []plan.Step {
	if !b.shiftsClocks() {
		return nil
	}
	const file = "timens_offsets"
	offsets := b.clockOffsets()
	step := plan.Step{
		Field: "/linux/timeOffsets", By: plan.Init, Words: "shift the clocks",
		Detail: strings.ReplaceAll(offsets, "\n", ", "),
		Shell:  b.remark("unshare did it, in whole seconds"),
		Assemble: func(a *program.Assembler) {
			b.writeProc(a, "self/"+file, offsets)
		},
	}
	if b.inUsers() {
		step.By, step.Assemble = plan.Runtime, nil
		step.Do = func() (func() error, error) {
			err := writeOnce(fmt.Sprintf("/proc/%d/%s", b.child.Pid, file), offsets)
			if failed := (*os.PathError)(nil); errors.As(err, &failed) {
				failed.Path += " " + strings.ReplaceAll(offsets, "\n", ", ") // as the Program's failures have it
			}
			return nil, err
		}
	}
	return []plan.Step{step}
}

// clockOffsets are the lines of timens_offsets: a clock, seconds, nanoseconds.
func (b *birth) clockOffsets() string {
	var lines strings.Builder
	for _, clock := range spec.Clocks {
		if o, ok := b.spec.Linux.TimeOffsets[clock.Name]; ok {
			fmt.Fprintf(&lines, "%s %d %d\n", clock.Name, o.Secs, o.Nanosecs)
		}
	}
	return strings.TrimSuffix(lines.String(), "\n")
}

// enterTime enters the new time namespace.
func (b *birth) enterTime() []plan.Step {
	if !b.shiftsClocks() {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Init, Words: "enter the time namespace",
		Reason: "after its clocks are shifted",
		Shell:  b.remark("the second shell is in it"),
		Assemble: func(a *program.Assembler) {
			// The directory is made sure of like every file below /proc; the
			// link in it is the kernel's own, and setns wants the right kind.
			const file = "time_for_children"
			dir, ns := a.Reg(), a.Reg()
			b.openProc(a, dir, "self/ns", unix.O_PATH|unix.O_DIRECTORY)
			a.Call(ns, unix.SYS_OPENAT, dir.Arg(), a.String(file), program.Const(unix.O_RDONLY|unix.O_CLOEXEC)).Note("/proc/self/ns/" + file)
			a.Call(program.Discard, unix.SYS_SETNS, ns.Arg(), program.Const(unix.CLONE_NEWTIME)).Note(file)
			closeFd(a, ns, dir)
		},
	}}
}

// writeOnce writes a value to a file of the kernel's that takes it in one piece.
func writeOnce(file, value string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: file, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return &os.PathError{Op: "write", Path: file, Err: err}
	}
	return nil
}
