// Package trust says whether a file, or a directory, is good for what is done with the
// caller's rights: it must be the caller's own, or root's, and nobody else's to write to.
// What is another user's may be prepared. The check is made on what an open descriptor
// leads to, which is what is used afterwards.
//
// In a user namespace ids are those inside: there the user who made it is root, and who
// has no id in it (overflowuid) is a stranger.
package trust

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Owned says whether a file belongs to the caller or to root.
func Owned(st *unix.Stat_t) bool {
	return st.Uid == 0 || int(st.Uid) == os.Geteuid()
}

// OwnersAlone says whether nobody but its owner may write to a file. The owner's own group,
// which has the same number where every user has one (and the umask may be 002), is the
// owner.
func OwnersAlone(st *unix.Stat_t) bool {
	others := uint32(unix.S_IWOTH)
	if st.Gid != st.Uid {
		others |= unix.S_IWGRP
	}
	return st.Mode&others == 0
}

// Stranger is the error for what is not [Owned]: what could be turned against the caller,
// such as "the state in it", and what is to be done about it.
func Stranger(st *unix.Stat_t, path, what, remedy string) error {
	return fmt.Errorf("%s belongs to user %d, who could have %s make user %d do anything: %s", path, st.Uid, what, os.Geteuid(), remedy)
}

// Shared is the same for what is not its [OwnersAlone].
func Shared(st *unix.Stat_t, path, what, remedy string) error {
	return fmt.Errorf("%s has mode %04o and group %d: others than user %d may write to it, who could have %s make user %d do anything: %s",
		path, st.Mode&0o7777, st.Gid, st.Uid, what, os.Geteuid(), remedy)
}
