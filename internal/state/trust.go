package state

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/trust"
)

// What an entry says is done with the caller's rights: processes are killed by its pid,
// cgroups are entered and removed by its paths, its hooks are executed. So all of it must
// be good for that; package trust says what is.
const subject = "the state in it"

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
	if err := owned(st, name); err != nil {
		return err
	}
	return writtenByOwner(st, name, "it is made with mode 0600")
}

func ownedByCaller(fd int, path string) (*unix.Stat_t, error) {
	st := new(unix.Stat_t)
	if err := unix.Fstat(fd, st); err != nil {
		return nil, &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	return st, owned(st, path)
}

func owned(st *unix.Stat_t, path string) error {
	if trust.Owned(st) {
		return nil
	}
	return trust.Stranger(st, path, subject, fmt.Sprintf("call oci-mini as user %d, or use a state directory (--root) of user %d", st.Uid, os.Geteuid()))
}

// writtenByOwner refuses what others may write to.
func writtenByOwner(st *unix.Stat_t, path, remedy string) error {
	if trust.OwnersAlone(st) {
		return nil
	}
	return trust.Shared(st, path, subject, remedy)
}
