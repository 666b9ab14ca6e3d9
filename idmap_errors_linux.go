package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// notMappable says which file system it is whose owners cannot be mapped: the kernel's
// EINVAL does not tell, nor which of several mounts it means. It tries them one by one.
func notMappable(m *mount, users int, cause error) error {
	cause = fmt.Errorf("mount_setattr idmap: %w", cause)
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return cause
	}
	source, err := filepath.EvalSymlinks(m.Source)
	if err != nil {
		return cause
	}
	for _, seen := range mountsAt(string(text), source, m.owners.recursive && m.opt.Rec) {
		fd, err := cloneTree(seen.file, false, 0)
		if err != nil {
			continue
		}
		err = idmapMount(fd, users, false)
		_ = unix.Close(fd)
		switch err {
		case nil:
		case unix.EINVAL:
			return fmt.Errorf("the file system at %s is %s, which cannot be id-mapped: %w", seen.file, seen.fstype, cause)
		case unix.EPERM:
			return fmt.Errorf("the mount at %s (%s) is id-mapped already, or not the runtime's to map: %w", seen.file, seen.fstype, cause)
		}
	}
	return cause
}

// mountSeen is a mount of the runtime's: its type, and a file in it.
type mountSeen struct{ file, fstype string }

// mountsAt lists from mountinfo (proc_pid_mountinfo(5)) the mount that a file lies in and,
// if asked, all that are mounted below it.
func mountsAt(mountinfo, file string, below bool) []mountSeen {
	top := mountSeen{file: file}
	longest := -1
	var list []mountSeen
	for line := range strings.Lines(mountinfo) {
		left, right, _ := strings.Cut(line, " - ")
		fields, types := strings.Fields(left), strings.Fields(right)
		if len(fields) < 5 || len(types) == 0 {
			continue
		}
		at := unescape(fields[4])
		switch {
		case within(file, at):
			if len(at) >= longest { // of several at one place the last is on top
				longest, top.fstype = len(at), types[0]
			}
		case below && within(at, file):
			list = append(list, mountSeen{at, types[0]})
		}
	}
	return append([]mountSeen{top}, list...)
}

// unescape undoes how the kernel writes spaces and the like in mountinfo: \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
