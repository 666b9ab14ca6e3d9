package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/userns"
	"github.com/oci-mini/oci-mini/spec"
)

// limits sets the rlimits but for RLIMIT_NOFILE, which comes last: init opens
// descriptors until its execve.
func (b *birth) limits() []plan.Step {
	return b.rlimits(func(kind string) bool { return kind != "RLIMIT_NOFILE" })
}

// limitFiles sets RLIMIT_NOFILE, if only to what the caller had: the Go runtime has
// raised it for itself.
func (b *birth) limitFiles() []plan.Step {
	steps := b.rlimits(func(kind string) bool { return kind == "RLIMIT_NOFILE" })
	if b.spec.Process == nil || len(steps) > 0 {
		return steps
	}
	files := b.host.fileLimit
	return []plan.Step{{
		By: plan.Init, Words: "give RLIMIT_NOFILE the caller's value back", Reason: "the runtime raised it for itself",
		Shell: b.remark("it is the caller's"),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_PRLIMIT64, program.Const(0), program.Const(unix.RLIMIT_NOFILE),
				a.Words(files.Cur, files.Max), program.Const(0)).Note("RLIMIT_NOFILE")
		},
	}}
}

// rlimits are the limits of the config whose kind is asked for.
func (b *birth) rlimits(wanted func(kind string) bool) []plan.Step {
	p := b.spec.Process
	if p == nil {
		return nil
	}
	var steps []plan.Step
	for i, l := range p.Rlimits {
		if !wanted(l.Type) {
			continue
		}
		resource, _ := spec.Lookup(spec.Rlimits, l.Type)
		steps = append(steps, plan.Step{
			Field: fmt.Sprintf("/process/rlimits/%d", i), By: plan.Init,
			Words: fmt.Sprintf("limit %s to %d, at most %d", l.Type, l.Soft, l.Hard),
			Shell: b.typed(func() []string { return shellRlimit(l) }),
			Assemble: func(a *program.Assembler) {
				a.Call(program.Discard, unix.SYS_PRLIMIT64, program.Const(0), program.Const(resource),
					a.Words(l.Soft, l.Hard), program.Const(0)).Note(fmt.Sprintf("%s %d:%d", l.Type, l.Soft, l.Hard))
			},
		})
	}
	return steps
}

// oomScore sets how likely the kernel is to kill the process when memory runs out.
func (b *birth) oomScore() []plan.Step {
	p := b.spec.Process
	if p == nil || p.OOMScoreAdj == nil {
		return nil
	}
	value := fmt.Sprint(*p.OOMScoreAdj)
	return []plan.Step{{
		Field: "/process/oomScoreAdj", By: plan.Init, Words: "set oom_score_adj to " + value,
		Reason: "while the process still owns its files in the host's /proc, and before others see it",
		Shell:  b.typed(func() []string { return []string{shellWrite(value, "/proc/self/oom_score_adj")} }),
		Assemble: func(a *program.Assembler) {
			b.writeProc(a, "self/oom_score_adj", value)
		},
	}}
}

// privileges gives up everything the process is not to have. Their order is the
// kernel's: the bounding set and the groups need the capabilities that go with
// the change of the user id, ambient ones need the permitted and inheritable
// sets to be in place.
func (b *birth) privileges() []plan.Step {
	p := b.spec.Process
	if p == nil {
		return nil
	}
	var steps []plan.Step
	add := func(field, words, reason string, assemble func(*program.Assembler)) {
		steps = append(steps, plan.Step{Field: field, By: plan.Init, Words: words, Reason: reason, Assemble: assemble,
			Shell: b.typed(func() []string { return b.shellPrivileges(field) })})
	}
	prctl := func(a *program.Assembler, note string, args ...program.Arg) program.Call {
		// The kernel refuses some prctl calls whose unused arguments are not zero.
		for len(args) < 5 {
			args = append(args, program.Const(0))
		}
		return a.Call(program.Discard, unix.SYS_PRCTL, args...).Note(note)
	}

	caps := b.caps
	add("/process/capabilities/bounding", fmt.Sprintf("drop all but %d capabilities from the bounding set", bits.OnesCount64(caps.bounding)),
		"dropping needs CAP_SETPCAP, which goes with the rest", func(a *program.Assembler) {
			for c := 0; c <= b.host.lastCap; c++ {
				if caps.bounding&(1<<c) == 0 {
					prctl(a, "PR_CAPBSET_DROP", program.Const(unix.PR_CAPBSET_DROP), program.Const(c))
				}
			}
		})

	uid, gid := p.User.UID, p.User.GID
	// The kernel sorts them too, but keeps what comes twice.
	additional := slices.Compact(slices.Sorted(slices.Values(p.User.AdditionalGids)))
	groups := make([]byte, 0, 4*len(additional))
	for _, g := range additional {
		groups = binary.NativeEndian.AppendUint32(groups, g)
	}
	others := fmt.Sprintf("with %d additional groups", len(additional))
	if b.keepsGroups() {
		others = "with the caller's additional groups"
	}
	add("/process/user", fmt.Sprintf("become user %d, group %d, %s", uid, gid, others), "",
		func(a *program.Assembler) {
			prctl(a, "PR_SET_KEEPCAPS", program.Const(unix.PR_SET_KEEPCAPS), program.Const(1))
			if !b.keepsGroups() {
				set := a.Call(program.Discard, unix.SYS_SETGROUPS, program.Const(len(additional)), a.Bytes(groups)).
					Note(fmt.Sprint(additional))
				if len(additional) == 0 && b.joinsUsers() {
					set.Tolerate(unix.EPERM) // denied in there; see userns.Entry
				}
			}
			g, u := program.Const(gid), program.Const(uid)
			a.Call(program.Discard, unix.SYS_SETRESGID, g, g, g).Note(fmt.Sprint(gid))
			a.Call(program.Discard, unix.SYS_SETRESUID, u, u, u).Note(fmt.Sprint(uid))
			if b.traceable() {
				show(a)
			} else {
				userns.Hide(a) // fs.suid_dumpable may have said otherwise
			}
		})

	add("/process/capabilities", "set the effective, permitted, inheritable and ambient capabilities",
		"after the user: a change of the user id clears them", func(a *program.Assembler) {
			setCapabilities(a, caps.effective, caps.permitted|b.heldForFilter()|b.heldAgainstTracers(), caps.inheritable)
			prctl(a, "PR_CAP_AMBIENT_CLEAR_ALL", program.Const(unix.PR_CAP_AMBIENT), program.Const(unix.PR_CAP_AMBIENT_CLEAR_ALL))
			for c := 0; c <= b.host.lastCap; c++ {
				// An ambient capability must be permitted and inheritable;
				// one that is not was warned about and stays out.
				if caps.raised()&(1<<c) != 0 {
					prctl(a, "PR_CAP_AMBIENT_RAISE", program.Const(unix.PR_CAP_AMBIENT), program.Const(unix.PR_CAP_AMBIENT_RAISE), program.Const(c))
				}
			}
		})
	if p.NoNewPrivileges {
		add("/process/noNewPrivileges", "forbid gaining privileges by execve", "", func(a *program.Assembler) {
			prctl(a, "PR_SET_NO_NEW_PRIVS", program.Const(unix.PR_SET_NO_NEW_PRIVS), program.Const(1))
		})
	}
	return steps
}

// heldAgainstTracers are capabilities that a process which does not hide keeps until its
// execve. Who has its user but lacks one of its permitted capabilities may neither trace it
// nor look into it (cap_ptrace_access_check in the kernel's security/commoncap.c), so that
// what is executed in a container before start can't: the process has not installed the
// container's filter yet, and what it has of its confinement is less than theirs. Only
// CAP_SYS_PTRACE in the process's user namespace does, which its owner outside has, and in
// the container whom the config gives it. What is permitted before an execve does not count
// after it; see heldForFilter.
func (b *birth) heldAgainstTracers() uint64 {
	const held = 1 << unix.CAP_SYS_PTRACE
	if !b.traceable() || b.caps.bounding&held != 0 {
		return 0
	}
	if !b.inUsers() {
		return held & b.host.capabilities
	}
	return held
}

// setCapabilities sets the three sets that capset(2) sets.
func setCapabilities(a *program.Assembler, effective, permitted, inheritable uint64) {
	header := a.Bytes(binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, unix.LINUX_CAPABILITY_VERSION_3), 0))
	var data []byte
	for shift := 0; shift < 64; shift += 32 {
		for _, set := range []uint64{effective, permitted, inheritable} {
			data = binary.NativeEndian.AppendUint32(data, uint32(set>>shift))
		}
	}
	a.Call(program.Discard, unix.SYS_CAPSET, header, a.Bytes(data)).
		Note(fmt.Sprintf("effective %#x permitted %#x inheritable %#x", effective, permitted, inheritable))
}

// keepsGroups says whether the process keeps the caller's additional groups in place
// of those of the config: since that asks for it, or because nobody can drop them, neither
// outside, for want of rights, nor inside, where setgroups(2) is denied.
func (b *birth) keepsGroups() bool {
	return b.wantsGroups() || b.groupsDenied && b.userEntry().Powerless
}

// wantsGroups says whether the config asks for the caller's groups: they may give an
// unprivileged user access to files through groups that it could not map. As for crun, any
// value but 0 means so.
func (b *birth) wantsGroups() bool {
	value, given := b.spec.Annotations[annotationKeepGroups]
	return given && value != "0"
}

// capabilitiesOf translates the five sets. Without any in the config they are empty:
// what the caller may do is nothing that a config without a word on it could mean. Names that the kernel does not know
// are left out: they cannot be had, and the specification asks for a warning only.
func capabilitiesOf(c *specs.LinuxCapabilities) *capabilities {
	var s capabilities
	if c == nil {
		return &s
	}
	for _, set := range []struct {
		names []string
		mask  *uint64
	}{
		{c.Bounding, &s.bounding}, {c.Effective, &s.effective}, {c.Inheritable, &s.inheritable},
		{c.Permitted, &s.permitted}, {c.Ambient, &s.ambient},
	} {
		mask, unknown := capability.Parse(set.names)
		*set.mask = mask
		s.unknown = append(s.unknown, unknown...)
	}
	return &s
}

// capabilities are the five sets as bit masks.
type capabilities struct {
	bounding, effective, inheritable, permitted, ambient uint64

	unknown []string
	// withheld were asked for, and the runtime has none to give.
	withheld uint64
}

// limit takes away what a process that has these cannot give itself (capset(2)). The
// bounding set may keep them: it grants nothing.
func (c *capabilities) limit(have uint64) {
	c.withheld = (c.effective | c.inheritable | c.permitted) &^ have
	c.effective &= have
	c.inheritable &= have
	c.permitted &= have
}

// raised are the ambient capabilities that the kernel can raise: those that are permitted and
// inheritable too (capabilities(7)).
func (c *capabilities) raised() uint64 { return c.ambient & c.permitted & c.inheritable }

// warn tells of what the process asked for and goes without, by say.
func (c *capabilities) warn(say func(string)) {
	if c == nil {
		return
	}
	if len(c.unknown) > 0 {
		slices.Sort(c.unknown) // each may be in several sets
		c.unknown = slices.Compact(c.unknown)
		text := strings.Join(c.unknown, ", ")
		if prefixed := "CAP_" + strings.ToUpper(c.unknown[0]); slices.Contains(capability.Names(), prefixed) {
			text += " (names are like " + prefixed + ")"
		}
		say("/process/capabilities: ignored, as the kernel has no such capability: " + text)
	}
	if withheld := capability.In(c.withheld); len(withheld) > 0 {
		say("/process/capabilities: not granted, as the runtime does not have it itself: " + strings.Join(withheld, ", "))
	}
	if missed := capability.In(c.ambient &^ c.raised() &^ c.withheld); len(missed) > 0 {
		say("/process/capabilities/ambient: not raised, as it takes the permitted and the inheritable set too: " + strings.Join(missed, ", "))
	}
}
