package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/rawfile"
	"github.com/oci-mini/oci-mini/spec"
)

// privileges are the most that a process of a container can have come to by what its config
// gives to the first, however often it has executed something since.
type privileges struct {
	bounding, held, inheritable uint64 // held: in the effective, permitted and ambient set
	filtered, noNew             bool
	limits                      []specs.POSIXRlimit // hard ones nobody without CAP_SYS_RESOURCE raises
	apparmor, selinux           label               // "" text: none is asked for
}

// label is one of a security module, and what has asked for it.
type label struct{ text, field string }

// mostPrivileges are those of the config. Root's execve permits what is in the bounding or the inheritable
// set (capabilities(7)); with no_new_privs no more than was permitted before. Who holds a
// capability may make it inheritable.
func (b *birth) mostPrivileges() privileges {
	c := b.caps
	if c == nil {
		c = &capabilities{}
	}
	most := privileges{bounding: c.bounding, held: c.bounding | c.inheritable, filtered: b.filter != nil}
	p := b.spec.Process
	if p == nil {
		p = &specs.Process{}
	}
	if p.NoNewPrivileges {
		most.noNew = true
		most.held &= c.permitted
	}
	most.inheritable = c.inheritable | most.held
	if most.held&(1<<unix.CAP_SYS_RESOURCE) == 0 {
		most.limits = p.Rlimits
	}
	if b.host.module(appArmor) {
		most.apparmor = label{p.ApparmorProfile, "/process/apparmorProfile"}
	}
	if b.host.module(seLinux) {
		most.selinux = label{p.SelinuxLabel, "/process/selinuxLabel"}
	}
	if b.restored != nil {
		// CRIU gives them this label, whatever they had.
		module, text, _ := strings.Cut(b.restored.LsmProfile, ":")
		switch given := (label{text, "--lsm-profile"}); module {
		case appArmor:
			most.apparmor = given
		case seLinux:
			most.selinux = given
		}
	}
	return most
}

// allow says what of a thread is more than these, or that it is not confined as it should be;
// nil if nothing is. A zombie has nothing that it could use.
func (p privileges) allow(t *thread) error {
	status, err := t.read("status") // proc_pid_status(5)
	if err != nil {
		return err
	}
	value := func(line string) (string, error) {
		_, rest, found := strings.Cut("\n"+status, "\n"+line+":\t")
		text, _, whole := strings.Cut(rest, "\n")
		if !found || !whole {
			return "", fmt.Errorf("the kernel does not tell %s", line)
		}
		return text, nil
	}
	if ended(status) {
		return nil
	}
	for _, set := range []struct {
		line, field string
		most        uint64
	}{
		{"CapBnd", "bounding", p.bounding}, {"CapPrm", "permitted", p.held}, {"CapEff", "effective", p.held},
		{"CapInh", "inheritable", p.inheritable}, {"CapAmb", "ambient", p.held},
	} {
		text, err := value(set.line)
		if err != nil {
			return err
		}
		has, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", set.line, err)
		}
		if more := has &^ set.most; more != 0 {
			names := strings.Join(capability.In(more), ", ")
			if names == "" {
				names = fmt.Sprintf("capabilities %#x", more)
			}
			return fmt.Errorf("/process/capabilities/%s: it has %s, which the config does not give it", set.field, names)
		}
	}
	if err := p.confines(value); err != nil {
		return err
	}
	return errors.Join(p.allowLimits(t), p.allowLabels(t))
}

// allowLimits looks at the hard limits, which somebody without CAP_SYS_RESOURCE can but lower.
func (p privileges) allowLimits(t *thread) error {
	if len(p.limits) == 0 {
		return nil
	}
	text, err := t.read("limits")
	if err != nil {
		return err
	}
	lines := strings.Split(text, "\n")
	for i, l := range p.limits {
		resource, _ := spec.Lookup(spec.Rlimits, l.Type)
		// A line for each kind, by its number, with columns of 26, 21 and 21 (fs/proc/base.c).
		if len(lines) <= int(resource)+1 || len(lines[resource+1]) < 68 {
			return fmt.Errorf("the kernel does not tell %s", l.Type)
		}
		hard := strings.TrimSpace(lines[resource+1][47:68])
		is, err := strconv.ParseUint(hard, 10, 64)
		if hard == "unlimited" {
			is, err = unix.RLIM_INFINITY, nil
		}
		if err != nil {
			return fmt.Errorf("limits: %s: %w", l.Type, err)
		}
		if is > l.Hard {
			return fmt.Errorf("/process/rlimits/%d: its hard limit of %s is %s, the config's is %d", i, l.Type, hard, l.Hard)
		}
	}
	return nil
}

// allowLabels looks at the labels of security modules. An AppArmor profile's own children
// (PARENT//CHILD) are what it sends its programs to.
func (p privileges) allowLabels(t *thread) error {
	if want := p.apparmor; want.text != "" && want.text != unconfined {
		has, err := t.read("attr/apparmor/current")
		if err != nil {
			return err
		}
		has, _, _ = strings.Cut(strings.TrimRight(has, "\n"), " (")
		if has != want.text && !strings.HasPrefix(has, want.text+"//") {
			return fmt.Errorf("%s: it is confined by the AppArmor profile %s, not by %s", want.field, has, want.text)
		}
	}
	if want := p.selinux; want.text != "" {
		has, err := t.read("attr/current")
		if err != nil {
			return err
		}
		if has = strings.TrimRight(has, "\n\x00"); has != want.text {
			return fmt.Errorf("%s: its SELinux label is %s, not %s", want.field, has, want.text)
		}
	}
	return nil
}

// ended says that the thread of a status is dead, or a zombie.
func ended(status string) bool {
	_, state, _ := strings.Cut(status, "\nState:\t")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

// confines says whether a thread is under what it cannot leave.
func (p privileges) confines(value func(line string) (string, error)) error {
	for _, flag := range []struct {
		must                     bool
		line, value, field, text string
	}{
		{p.filtered, "Seccomp", strconv.Itoa(unix.SECCOMP_MODE_FILTER), "/linux/seccomp", "it is under no filter, as the config has it"},
		{p.noNew, "NoNewPrivs", "1", "/process/noNewPrivileges", "it may gain privileges by execve, which the config forbids"},
	} {
		if !flag.must {
			continue
		}
		if text, err := value(flag.line); err != nil {
			return err
		} else if text != flag.value {
			return fmt.Errorf("%s: %s", flag.field, flag.text)
		}
	}
	return nil
}

// holdPrivileges makes sure that no process of a container has more privileges than the config
// gives it, nor is less confined.
func (b *birth) holdPrivileges(first int) error {
	most := b.mostPrivileges()
	return eachThread(first, func(t *thread) error {
		if err := most.allow(t); err != nil {
			return fmt.Errorf("process %d of the container (thread %d): %w", t.pid, t.tid, err)
		}
		return nil
	})
}

// thread is one of a container's. read reads one of its files in the runtime's own procfs.
type thread struct {
	pid, tid int
	read     func(file string) (string, error)
}

// eachThread does something for all threads of a process and of those that descend from it.
// Those that end meanwhile are passed over, but not the first process.
func eachThread(first int, do func(*thread) error) error {
	proc, err := openOwnProc()
	if err != nil {
		return err
	}
	defer unix.Close(proc)
	todo := []int{first}
	for i := 0; i < len(todo); i++ {
		below, err := threadsOf(proc, todo[i], do)
		switch {
		case i > 0 && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)):
			continue
		case err != nil:
			return err
		}
		for _, pid := range below {
			if !slices.Contains(todo, pid) {
				todo = append(todo, pid)
			}
		}
	}
	return nil
}

// threadsOf does it for one process, and returns its children.
func threadsOf(proc, pid int, do func(*thread) error) ([]int, error) {
	dir := fmt.Sprintf("%d/task", pid)
	fd, err := openInProc(proc, dir, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), dir)
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return nil, err
	}
	var below []int
	for _, name := range names {
		tid, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		t := &thread{pid, tid, func(file string) (string, error) { return readInProc(proc, dir+"/"+name+"/"+file) }}
		var list string
		if err = do(t); err == nil {
			list, err = t.read("children")
		}
		if err == nil {
			for _, child := range strings.Fields(list) {
				n, err := strconv.Atoi(child)
				if err != nil {
					return nil, err
				}
				below = append(below, n)
			}
		}
		if err != nil && (tid == pid || !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ESRCH)) {
			return nil, err
		}
	}
	return below, nil
}

func readInProc(proc int, file string) (string, error) {
	fd, err := openInProc(proc, file, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	data, err := rawfile.ReadFd(fd)
	if err != nil {
		return "", &os.PathError{Op: "read", Path: "/proc/" + file, Err: err}
	}
	return string(data), nil
}
