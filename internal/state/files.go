package state

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// All access is by descriptor of the directory and one name, and never follows
// a symbolic link. Plain system calls rather than package os, which would try
// to register every file with the poller.

// openDir opens the directory of that name within another.
func openDir(dirfd int, name string) (int, error) {
	fd, err := openat(dirfd, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	return fd, nil
}

func openat(dirfd int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// readFile reads the whole of a file.
func readFile(dirfd int, name string) ([]byte, error) {
	fd, err := openat(dirfd, name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "fstat", Path: name, Err: err}
	}
	if err := trustFile(&st, name); err != nil {
		return nil, err
	}
	// One byte more, so that the end is seen without growing the buffer.
	buf := make([]byte, 0, max(st.Size, 0)+1)
	for {
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return buf, nil
		}
		buf = buf[:len(buf)+n]
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// writeFile makes a new file; if it can't be completed it is not left behind.
func writeFile(dirfd int, name string, data []byte, sync bool) (err error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL
	fd, err := openat(dirfd, name, flags, 0o600)
	if err != nil {
		return &os.PathError{Op: "openat", Path: name, Err: err}
	}
	op := "write"
	for err == nil && len(data) > 0 {
		var n int
		n, err = unix.Write(fd, data)
		if errors.Is(err, unix.EINTR) {
			n, err = 0, nil
		}
		data = data[max(n, 0):]
	}
	if err == nil && sync {
		op, err = "fsync", unix.Fsync(fd)
	}
	// Some file systems report a failed write only now.
	if cerr := unix.Close(fd); err == nil && cerr != nil && !errors.Is(cerr, unix.EINTR) {
		op, err = "close", cerr
	}
	if err != nil {
		unix.Unlinkat(dirfd, name, 0)
		return &os.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// sameDir tells whether the name in dirfd is still that of the open directory.
func sameDir(dirfd int, name string, fd int) (bool, error) {
	var byName, byFd unix.Stat_t
	if err := unix.Fstat(fd, &byFd); err != nil {
		return false, &os.PathError{Op: "fstat", Path: name, Err: err}
	}
	err := unix.Fstatat(dirfd, name, &byName, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, &os.PathError{Op: "fstatat", Path: name, Err: err}
	}
	return byName.Dev == byFd.Dev && byName.Ino == byFd.Ino, nil
}

// readNames lists a directory but for "." and "..", in no order. The descriptor
// is read from its beginning.
func readNames(fd int) ([]string, error) {
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return nil, os.NewSyscallError("lseek", err)
	}
	var names []string
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, os.NewSyscallError("getdents64", err)
		case n <= 0:
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// removeTree empties a directory: links are removed and not followed, and what
// is mounted below is not entered but makes it fail.
func removeTree(fd int) error {
	names, err := readNames(fd)
	if err != nil {
		return err
	}
	var first error
	for _, name := range names {
		if err := removeEntry(fd, name); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func removeEntry(dirfd int, name string) error {
	err := unix.Unlinkat(dirfd, name, 0)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM):
		return &os.PathError{Op: "unlinkat", Path: name, Err: err}
	}
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS,
	}
	sub, err := unix.Openat2(dirfd, name, &how)
	if err != nil {
		return &os.PathError{Op: "openat2", Path: name, Err: err}
	}
	err = removeTree(sub)
	unix.Close(sub)
	if err != nil {
		return err
	}
	if err := unix.Unlinkat(dirfd, name, unix.AT_REMOVEDIR); err != nil {
		return &os.PathError{Op: "unlinkat", Path: name, Err: err}
	}
	return nil
}

// hiddenPrefix starts the names of directories that are not, or no more,
// entries. The tilde keeps them apart from every ID.
const hiddenPrefix = ".~"

func hiddenName() (string, error) {
	var random [10]byte
	for {
		_, err := unix.Getrandom(random[:], 0)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return "", os.NewSyscallError("getrandom", err)
		}
	}
	const digits = "0123456789abcdefghijklmnopqrstuv"
	name := make([]byte, len(random))
	for i, b := range random {
		name[i] = digits[b&31]
	}
	return hiddenPrefix + string(name), nil
}

func isHidden(name string) bool { return strings.HasPrefix(name, hiddenPrefix) }
