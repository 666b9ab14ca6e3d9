package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// Security modules by the names that the kernel gives them
// (/sys/kernel/security/lsm).
const (
	appArmor = "apparmor"
	seLinux  = "selinux"
)

// unconfined is the name of AppArmor's absent profile.
const unconfined = "unconfined"

// Files of a process below /proc that its labels are asked for through
// (Documentation/admin-guide/LSM). A process writes to its own alone, with the
// credentials that it opened the file with.
const (
	// Linux 5.8 gave AppArmor a directory of its own. The files above it belong to
	// whichever module answers first.
	attrAppArmorExec = "self/attr/apparmor/exec"
	attrSELinuxExec  = "self/attr/exec"
	attrSELinuxKey   = "self/attr/keycreate"
)

// activeModule says whether the kernel runs with a security module of this name.
// Where securityfs is not mounted, as inside a container, the module's own traces
// answer.
func activeModule(name string) bool {
	if list, err := os.ReadFile("/sys/kernel/security/lsm"); err == nil {
		return slices.Contains(strings.Split(strings.TrimSpace(string(list)), ","), name)
	}
	switch name {
	case appArmor:
		enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
		return err == nil && strings.HasPrefix(string(enabled), "Y")
	case seLinux:
		_, err := os.Stat("/sys/fs/selinux") // made at boot, if SELinux is on
		return err == nil
	}
	return false
}

// checkLabels refuses labels that nothing in this kernel would enforce: a
// container that runs without the confinement it was promised is worse than
// none. "unconfined" promises nothing.
func (b *birth) checkLabels() []error {
	var faults []error
	need := func(pointer, value, module, title string) {
		if value != "" && !b.host.module(module) {
			faults = append(faults, fmt.Errorf("%s: %s: %s is not active in this kernel", pointer, value, title))
		}
	}
	if p := b.spec.Process; p != nil {
		if p.ApparmorProfile != unconfined {
			need("/process/apparmorProfile", p.ApparmorProfile, appArmor, "AppArmor")
		}
		need("/process/selinuxLabel", p.SelinuxLabel, seLinux, "SELinux")
	}
	if l := b.spec.Linux; l != nil {
		need("/linux/mountLabel", l.MountLabel, seLinux, "SELinux")
		if len(l.MountLabel) > mountopt.MaxValue {
			faults = append(faults, fmt.Errorf("/linux/mountLabel: must be at most %d bytes long, is %d", mountopt.MaxValue, len(l.MountLabel)))
		}
	}
	if _, err := contextOption(b.spec); err != nil {
		faults = append(faults, err)
	}
	return faults
}

// processLabels has the kernel change the labels of the process at its execve.
func (b *birth) processLabels() []plan.Step {
	p := b.spec.Process
	if p == nil {
		return nil
	}
	const reason = "through the host's /proc, which is closed below; it takes effect at the execve"
	var steps []plan.Step
	if name := p.ApparmorProfile; name != "" && b.host.module(appArmor) {
		steps = append(steps, plan.Step{
			Field: "/process/apparmorProfile", By: plan.Init, Words: "confine the process by the AppArmor profile " + name, Reason: reason,
			Shell: b.typed(func() []string { return []string{shellWrite("exec "+name, "/proc/self/attr/apparmor/exec")} }),
			Assemble: func(a *program.Assembler) {
				missing, done := a.NewLabel(), a.NewLabel()
				b.writeProc(a, attrAppArmorExec, "exec "+name).On(unix.ENOENT, missing)
				a.Jump(done)
				a.Bind(missing)
				a.Fail(unix.ENOENT, "the profile "+name+" is not loaded")
				a.Bind(done)
			},
		})
	}
	if label := p.SelinuxLabel; label != "" {
		steps = append(steps, plan.Step{
			Field: "/process/selinuxLabel", By: plan.Init, Words: "give the process the SELinux label " + label, Reason: reason,
			Shell:    b.typed(func() []string { return []string{shellWrite(label, "/proc/self/attr/exec")} }),
			Assemble: func(a *program.Assembler) { b.writeProc(a, attrSELinuxExec, label) },
		})
	}
	return steps
}

// hasLabels says whether the process is to get a label.
func (b *birth) hasLabels() bool {
	p := b.spec.Process
	return p != nil && (p.ApparmorProfile != "" || p.SelinuxLabel != "")
}

// ownProfile is the AppArmor profile that confines the runtime itself, or "".
func ownProfile() string {
	text, err := os.ReadFile("/proc/self/attr/apparmor/current")
	name, _, confined := strings.Cut(strings.TrimRight(string(text), "\n"), " (")
	if err != nil || !confined {
		return ""
	}
	return name
}

// annotationContextType chooses the mount option that carries /linux/mountLabel.
const annotationContextType = "run.oci.mount_context_type"

// contextOption is the name of the mount option that carries the label: the whole
// mount has it, or by the annotation only what mount(8) describes.
func contextOption(s *specs.Spec) (string, error) {
	value, ok := s.Annotations[annotationContextType]
	if !ok {
		return "context", nil
	}
	if !slices.Contains(spec.MountContexts, value) {
		return "", fmt.Errorf("/annotations/%s: must be one of %s, is %q", annotationContextType, strings.Join(spec.MountContexts, ", "), value)
	}
	return value, nil
}

// unlabelled are file systems that take no label as a whole when they are mounted:
// SELinux's policy knows the files of the first four one by one, and those of
// mqueue get theirs once it is mounted.
var unlabelled = []string{"proc", "sysfs", "cgroup", "cgroup2", "mqueue"}

// labelled are the options of a new mount together with the container's label. One
// that the config gives itself is kept.
func (b *birth) labelled(fstype string, opt mountopt.Options) *mountopt.Options {
	l := b.spec.Linux
	if l == nil || l.MountLabel == "" || slices.Contains(unlabelled, fstype) ||
		slices.ContainsFunc(spec.MountContexts, func(name string) bool { return hasDatum(opt.Data, name) }) {
		return &opt
	}
	option, _ := contextOption(b.spec) // checkLabels has refused what is none
	opt.Data = append(opt.Data[:len(opt.Data):len(opt.Data)], mountopt.Datum{Key: option, Value: l.MountLabel})
	return &opt
}

// labelQueues labels the directory of a mount of POSIX message queues; its files
// follow. A policy that keeps no labels there has nothing to protect.
func (b *birth) labelQueues(a *program.Assembler, mnt program.Reg, m *mount) {
	l := b.spec.Linux
	if l == nil || l.MountLabel == "" || m.Type != "mqueue" {
		return
	}
	top := a.Reg()
	a.Call(top, unix.SYS_OPENAT, mnt.Arg(), a.String("."), program.Const(unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)).Note(m.dest)
	a.Call(program.Discard, unix.SYS_FSETXATTR, top.Arg(), a.String("security.selinux"), a.String(l.MountLabel),
		program.Const(len(l.MountLabel)), program.Const(0)).Note("security.selinux of " + m.dest).Tolerate(unix.EOPNOTSUPP)
	closeFd(a, top)
}
