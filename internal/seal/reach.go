package seal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// self is the file that this process executes. It is resolved by the kernel
// from the process itself, not by name, so it stays right after the file was
// renamed or replaced.
const self = "/proc/self/exe"

// writeSeals make the content of a memfd final: nobody can write, resize, or
// lift the seals again (fcntl(2), F_ADD_SEALS).
const writeSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Container says what the container to come could bring to bear on the binary.
// The zero value is the most suspicious one.
type Container struct {
	// NoImmutableCap promises that no process of the container can hold
	// CAP_LINUX_IMMUTABLE in the initial user namespace. Only then is the
	// immutable attribute of the file an obstacle.
	NoImmutableCap bool

	// MapsUID tells whether a user id, as this process sees it, is mapped
	// into the container's user namespace. Nil means that this is not known,
	// or that there is no such namespace.
	MapsUID func(uid uint32) bool
}

// OutOfReach tells whether [self] is already impossible to open for writing,
// for c and for whatever it leaves behind, so that no sealed copy is needed.
// The reason says why it is, or why it is not. It is true where the binary
//   - lies on a read-only mount or file system (statfs(2), ST_RDONLY);
//   - is a memfd with all write seals;
//   - is protected by fs-verity, or immutable and c cannot undo that;
//   - belongs to a user whom c cannot become, and nobody but the owner may
//     write to it.
//
// An error means that the question could not be answered; treat it as no.
func OutOfReach(c Container) (ok bool, reason string, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(self, &fs); err != nil {
		return false, "", &os.PathError{Op: "statfs", Path: self, Err: err}
	}
	if fs.Flags&unix.ST_RDONLY != 0 {
		return true, "on a read-only mount", nil
	}
	// F_GET_SEALS needs a descriptor open for reading; only tmpfs has seals,
	// so nothing else is opened.
	if fs.Type == unix.TMPFS_MAGIC && sealed() {
		return true, "sealed memfd", nil
	}

	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, self, 0, unix.STATX_MODE|unix.STATX_UID|unix.STATX_GID, &st); err != nil {
		return false, "", &os.PathError{Op: "statx", Path: self, Err: err}
	}
	if st.Attributes&unix.STATX_ATTR_VERITY != 0 {
		return true, "protected by fs-verity", nil
	}
	if st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 && c.NoImmutableCap {
		return true, "immutable", nil
	}
	return foreign(c, &st)
}

// foreign is the ownership part of [OutOfReach].
func foreign(c Container, st *unix.Statx_t) (bool, string, error) {
	// Everybody but the owner is judged by these two bits alone: with an ACL,
	// the group bits are its mask, so none of its entries grants more.
	if st.Mode&0o022 != 0 {
		return false, "writable for others than its owner", nil
	}
	euid := uint32(unix.Geteuid())
	if c.MapsUID != nil && !c.MapsUID(st.Uid) {
		// A capability in the container's user namespace says nothing about
		// an inode whose owner is not mapped there (capable_wrt_inode_uidgid).
		if euid == 0 || st.Uid != euid {
			return true, "its owner is not mapped into the container", nil
		}
	}
	if st.Uid == euid {
		return false, "owned by the user who runs it", nil
	}
	if st.Uid != 0 && (euid != 0 || st.Uid != overflowUID) {
		// Some other user: a subordinate id may well be that user.
		return false, "owned by a user who may be mapped into the container", nil
	}
	if euid == 0 {
		// Owned by root as seen by a plain user is safe; seen by root it must
		// be an owner outside of our user namespace, not nobody in person.
		inner, err := inUserNS()
		if err != nil {
			return false, "", err
		}
		if !inner {
			return false, "run by root", nil
		}
	}
	// The last word is the kernel's own: it knows of capabilities and modules.
	switch err := unix.Faccessat2(unix.AT_FDCWD, self, unix.W_OK, unix.AT_EACCESS); {
	case err == nil:
		return false, "writable for the user who runs it", nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		return true, "owned by another user and not writable", nil
	case errors.Is(err, unix.ETXTBSY):
		// faccessat2 does not report it today; it would mean that permission
		// was granted and only the running process is in the way.
		return false, "writable for the user who runs it", nil
	default:
		return false, "", &os.PathError{Op: "faccessat2", Path: self, Err: err}
	}
}

// overflowUID is how an unmapped owner looks (user_namespaces(7); the value in
// /proc/sys/kernel/overflowuid is not changed in practice).
const overflowUID = 65534

// inUserNS tells whether this process is in a user namespace other than the
// initial one, which alone maps every id.
func inUserNS() (bool, error) {
	data, err := rawfile.Read("/proc/self/uid_map")
	if err != nil {
		return false, err
	}
	return !mapsAll(string(data)), nil
}

// mapsAll tells whether a uid_map is that of the initial user namespace: one
// extent, of every id but the invalid one.
func mapsAll(uidMap string) bool {
	var fields [4]string
	n := 0
	for i := 0; i < len(uidMap) && n < len(fields); {
		for i < len(uidMap) && (uidMap[i] == ' ' || uidMap[i] == '\n') {
			i++
		}
		start := i
		for i < len(uidMap) && uidMap[i] != ' ' && uidMap[i] != '\n' {
			i++
		}
		if i > start {
			fields[n] = uidMap[start:i]
			n++
		}
	}
	return n == 3 && fields[0] == "0" && fields[2] == "4294967295"
}

// sealed tells whether [self] is a memfd that can never change again. A file
// that may be executed but not read is nothing this package has made.
func sealed() bool {
	fd, err := unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil && seals&writeSeals == writeSeals
}
