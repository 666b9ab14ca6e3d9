package cgroup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// removeLimit bounds the wait for dying processes: the kernel may have much of
// their memory to write out or to give back.
const removeLimit = 10 * time.Second

// patience is how many times in a row a process must be seen alive, over a
// tenth of a second in all: between the moment when it takes its SIGKILL and
// that when it begins to exit, nothing tells a killed process from another.
const patience = 13

// Remove removes the directories and whatever is below them; missing ones are
// done already. Processes that are dying are waited for, at most ten seconds;
// one that is alive is an error much sooner, which wraps [ErrNotEmpty].
func (c *Cgroup) Remove() error {
	end := time.Now().Add(removeLimit)
	var errs []error
	for i := range c.dirs {
		d := &c.dirs[i]
		errs = append(errs, d.remove(end, func() error { return unix.Rmdir(d.Path) }))
	}
	return errors.Join(errs...)
}

// remove removes what is below the directory, and by rmdir itself.
func (d *openDir) remove(end time.Time, rmdir func() error) error {
	seen := 0
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		err := rmdir()
		switch err {
		case nil, unix.ENOENT:
			return nil
		case unix.EINTR:
			continue
		case unix.EBUSY, unix.ENOTEMPTY:
		case unix.EROFS:
			// A read-only file system says so before it looks.
			var st unix.Stat_t
			if unix.Lstat(d.Path, &st) == unix.ENOENT {
				return nil
			}
			return pathError("rmdir", d.Path, err)
		default:
			return pathError("rmdir", d.Path, err)
		}
		if err := d.removeChildren(end); err != nil {
			return err
		}
		pids, perr := d.pids(false)
		if perr != nil {
			return perr
		}
		if i := slices.IndexFunc(pids, alive); i < 0 {
			seen = 0
		} else if seen++; seen > patience {
			return fmt.Errorf("rmdir %s: %w: process %d is alive: %w", d.Path, ErrNotEmpty, pids[i], err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("rmdir %s: still busy after %v: %w", d.Path, removeLimit, err)
		}
		time.Sleep(wait)
	}
}

// removeChildren goes by descriptor and one name at a time: whoever may make cgroups below theirs can
// make them deeper than a path is long (PATH_MAX).
func (d *openDir) removeChildren(end time.Time) error {
	names, err := d.children()
	if err != nil {
		return err
	}
	for _, name := range names {
		child := openDir{Dir{d.Hierarchy, d.Path + "/" + name}, -1}
		child.fd, err = openAt(d.fd, name, unix.O_PATH|unix.O_DIRECTORY)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return pathError("openat2", child.Path, err)
		}
		err = child.remove(end, func() error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) })
		unix.Close(child.fd)
		if err != nil {
			return err
		}
	}
	return nil
}

// alive tells whether a process neither exits nor has a SIGKILL to come to.
// One that cannot be looked at is gone.
func alive(pid int) bool {
	stat, err := readFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	// proc_pid_stat(5): the name may hold anything, so count behind its last
	// parenthesis, where field 3 is the first. Field 9 has the flags.
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 7 || f[0] == "Z" || f[0] == "X" {
		return false
	}
	const exiting = 0x4 // PF_EXITING, include/linux/sched.h
	if flags, _ := strconv.ParseUint(f[6], 10, 64); flags&exiting != 0 {
		return false
	}
	status, err := readFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		if name != "SigPnd" && name != "ShdPnd" {
			continue
		}
		mask, _ := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if mask>>(unix.SIGKILL-1)&1 == 1 {
			return false
		}
	}
	return true
}
