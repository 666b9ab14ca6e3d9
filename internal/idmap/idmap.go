package idmap

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Range maps Size ids from Inside on, as seen in the namespace, to those from
// Outside on, as seen by the process that writes the map.
type Range struct{ Inside, Outside, Size uint32 }

// last is the last id outside.
func (r Range) last() uint64 { return uint64(r.Outside) + uint64(r.Size) - 1 }

// A Kind is one of the two kinds of ids, with what belongs to it.
type Kind struct {
	// Noun is what messages call it, File is the map in /proc/PID.
	Noun, File string
	// Helper writes the map for those who may not, as Table permits.
	Helper, Table string
	own           func() int
}

// The two kinds.
var (
	Users  = Kind{"user", "uid_map", "newuidmap", "/etc/subuid", unix.Geteuid}
	Groups = Kind{"group", "gid_map", "newgidmap", "/etc/subgid", unix.Getegid}
)

// Own says whether a process with this effective id may write the map without any
// privilege: it has one line, for that id.
func Own(ranges []Range, id int) bool {
	return len(ranges) == 1 && ranges[0].Size == 1 && ranges[0].Outside == uint32(id)
}

// Write writes the map of the namespace of a process, whose parent namespace must be
// the caller's.
func (k Kind) Write(pid int, ranges []Range) error {
	var lines strings.Builder
	for _, r := range ranges {
		fmt.Fprintf(&lines, "%d %d %d\n", r.Inside, r.Outside, r.Size)
	}
	return write(pid, k.File, lines.String())
}

// DenyGroups gives up setgroups(2) in the namespace of a process, for good. Otherwise
// a user could leave a group that is there to keep its members out of a file.
func DenyGroups(pid int) error { return write(pid, "setgroups", "deny") }

// write writes a file of a process in one call, as the kernel wants it.
func write(pid int, file, text string) error {
	name := fmt.Sprintf("/proc/%d/%s", pid, file)
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}
