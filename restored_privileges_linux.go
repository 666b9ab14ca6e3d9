package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// privileges are the most that a process of a container can have come to by what its config
// gives to the first, however often it has executed something since.
type privileges struct {
	bounding, held, inheritable uint64 // held: in the effective, permitted and ambient set
	filtered, noNew             bool
}

// mostPrivileges are those of the config. Root's execve permits what is in the bounding or the inheritable
// set (capabilities(7)); with no_new_privs no more than was permitted before. Who holds a
// capability may make it inheritable.
func (b *birth) mostPrivileges() privileges {
	c := b.caps
	if c == nil {
		c = &capabilities{}
	}
	most := privileges{bounding: c.bounding, held: c.bounding | c.inheritable, filtered: b.filter != nil}
	if p := b.spec.Process; p != nil && p.NoNewPrivileges {
		most.noNew = true
		most.held &= c.permitted
	}
	most.inheritable = c.inheritable | most.held
	return most
}

// allow says what of a thread's status (proc_pid_status(5)) is more than these, or that it is
// not confined as it should be; nil if nothing is. A zombie has nothing that it could use.
func (p privileges) allow(status string) error {
	value := func(line string) (string, error) {
		_, rest, found := strings.Cut("\n"+status, "\n"+line+":\t")
		text, _, whole := strings.Cut(rest, "\n")
		if !found || !whole {
			return "", fmt.Errorf("the kernel does not tell %s", line)
		}
		return text, nil
	}
	state, err := value("State")
	if err != nil {
		return err
	}
	if strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
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
	return eachThread(first, func(pid, tid int, status string) error {
		if err := most.allow(status); err != nil {
			return fmt.Errorf("process %d of the container (thread %d): %w", pid, tid, err)
		}
		return nil
	})
}

// eachThread reads the status of all threads of a process and of those that descend from it,
// from the runtime's own procfs. Those that end meanwhile are passed over, but not the first process.
func eachThread(first int, do func(pid, tid int, status string) error) error {
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
func threadsOf(proc, pid int, do func(pid, tid int, status string) error) ([]int, error) {
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
		status, err := readInProc(proc, dir+"/"+name+"/status")
		if err == nil {
			if err := do(pid, tid, status); err != nil {
				return nil, err
			}
			var list string
			list, err = readInProc(proc, dir+"/"+name+"/children")
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
