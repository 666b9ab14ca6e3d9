package state

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What an entry says is done with the caller's rights: processes are killed by its pid,
// cgroups are entered and removed by its paths, its hooks are executed. So all of it must
// be the caller's own, or root's, and nobody else's to write to; what is another user's may
// be prepared. The check is made on the open descriptor, which is what is used afterwards.
//
// In a user namespace ids are those inside: there the user who made it is root, and who
// has no id in it (overflowuid) is a stranger.

// trustRoot refuses a root directory by which another user could give the caller entries.
// A sticky one (mode 1777, as /tmp is) is good: everybody may make entries there, but not
// replace those of others, and an entry is looked at itself.
func trustRoot(fd int, path string) error {
	st, err := ownedByCaller(fd, path)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_ISVTX != 0 {
		return nil
	}
	return writtenByOwner(st, path, "chmod it to 0700, or to 1777 if it is meant to be shared")
}

// trustEntry refuses the directory of a container that another user could have filled.
func trustEntry(fd int, path string) error {
	st, err := ownedByCaller(fd, path)
	if err != nil {
		return err
	}
	return writtenByOwner(st, path, "it is made with mode 0711")
}

// trustFile is the same for a file in it.
func trustFile(st *unix.Stat_t, name string) error {
	if err := ownedBy(st, name, os.Geteuid()); err != nil {
		return err
	}
	return writtenByOwner(st, name, "it is made with mode 0600")
}

func ownedByCaller(fd int, path string) (*unix.Stat_t, error) {
	st := new(unix.Stat_t)
	if err := unix.Fstat(fd, st); err != nil {
		return nil, &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	return st, ownedBy(st, path, os.Geteuid())
}

func ownedBy(st *unix.Stat_t, path string, caller int) error {
	if int(st.Uid) == caller || st.Uid == 0 {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d, who could have the state in it make user %d do anything: call oci-mini as user %d, or use a state directory (--root) of user %d", path, st.Uid, caller, st.Uid, caller)
}

// writtenByOwner refuses what others may write to. The owner's own group, which has the
// same number where every user has one (and the umask may be 002), is the owner.
func writtenByOwner(st *unix.Stat_t, path, remedy string) error {
	others := uint32(unix.S_IWOTH)
	if st.Gid != st.Uid {
		others |= unix.S_IWGRP
	}
	if st.Mode&others == 0 {
		return nil
	}
	return fmt.Errorf("%s has mode %04o and group %d: others than user %d may write to it, who could have the state in it make user %d do anything: %s", path, st.Mode&0o7777, st.Gid, st.Uid, os.Geteuid(), remedy)
}
