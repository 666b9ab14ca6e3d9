// Package rawfile reads files with plain system calls. Package os tries to register
// every file with Go's poller and starts that for the first one: three descriptors and
// ten system calls that a command of a few milliseconds has no use for.
package rawfile

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Read returns the content of a file, as os.ReadFile does. Errors are *os.PathError.
func Read(path string) ([]byte, error) { return ReadSmall(path, math.MaxInt) }

// ReadSmall is Read for a file that somebody names, which may have no end: more than so
// many bytes are [unix.EFBIG].
func ReadSmall(path string, most int) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	data, err := read(fd, most)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return data, nil
}

// ReadFd returns what is left to be read of an open file. The error is an errno.
//
// Most files read here are a line or two: they come through the stack, so that each takes
// no more memory than it has content.
func ReadFd(fd int) ([]byte, error) { return read(fd, math.MaxInt) }

func read(fd, most int) ([]byte, error) {
	var buf [4096]byte
	data := []byte{}
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, buf[:]) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return data, nil
		}
		if n > most-len(data) {
			return nil, unix.EFBIG
		}
		data = append(data, buf[:n]...)
	}
}

// retry makes a call again as long as signals interrupt it.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
