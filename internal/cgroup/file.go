package cgroup

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// openAt opens a file of the cgroup behind dirfd. The name may come from a
// config ("unified", page sizes), so the kernel itself is told to stay below
// the directory; cgroup file systems have no links that we would miss.
func openAt(dirfd int, name string, flags int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags) | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(dirfd, name, &how)
		// EAGAIN: a rename or mount elsewhere made the walk unprovable.
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

func readFile(path string) (string, error) {
	data, err := rawfile.Read(path)
	return string(data), err
}

// readAt returns the whole content of a file.
func readAt(dirfd int, name string) (string, error) {
	fd, err := openAt(dirfd, name, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return readAll(fd)
}

func readAll(fd int) (string, error) {
	data, err := rawfile.ReadFd(fd)
	return string(data), err
}

func readOnce(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// writeAt writes a value with one write(2): cgroup files take each call as one
// complete command.
func writeAt(dirfd int, name, value string) error {
	fd, err := openAt(dirfd, name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		_, err = unix.Write(fd, []byte(value))
		if err != unix.EINTR {
			return err
		}
	}
}

// readKey returns the number behind "key " in a flat keyed file such as
// memory.events; zero when the key is missing.
func readKey(dirfd int, name, key string) (uint64, error) {
	text, err := readAt(dirfd, name)
	if err != nil {
		return 0, err
	}
	return keyed(text, key), nil
}

func keyed(text, key string) uint64 {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && k == key {
			n, _ := strconv.ParseUint(v, 10, 64)
			return n
		}
	}
	return 0
}

// readNumber returns the number in a single value file; "max" is the greatest.
func readNumber(dirfd int, name string) (uint64, error) {
	text, err := readAt(dirfd, name)
	if err != nil {
		return 0, err
	}
	text = strings.TrimSuffix(text, "\n")
	if text == "max" {
		return ^uint64(0), nil
	}
	return strconv.ParseUint(text, 10, 64)
}

// A WriteError is a value that the kernel refused.
type WriteError struct {
	Write
	// Path is the file's absolute path.
	Path string
	// Err is the errno, or an error around it that explains it.
	Err error
}

// Error names the file, the value and the kernel's words. The config field is
// left to the caller, who says it first.
func (e *WriteError) Error() string {
	return e.Path + ": write " + e.Value + ": " + e.Err.Error()
}

// Unwrap returns the errno or what is around it.
func (e *WriteError) Unwrap() error { return e.Err }

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}
