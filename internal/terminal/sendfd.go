package terminal

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxPath is the size of sun_path (unix(7)) less the final NUL.
const maxPath = 107

// SendFd hands fd to the one who listens on the stream socket at socketPath:
// one message with name as its bytes and exactly one descriptor (SCM_RIGHTS),
// then the end. It is the protocol of --console-socket (name is that of the
// terminal) and --pidfd-socket. name must have 1 to 4095 bytes.
//
// A path may be longer than a socket address can hold. One that begins with '@'
// is an abstract address, as in Go's net package.
//
// Errors are *os.PathError with the system call and socketPath.
func SendFd(socketPath string, fd int, name string) error {
	fail := func(op string, err error) error { return &os.PathError{Op: op, Path: socketPath, Err: err} }
	if len(name) == 0 || len(name) > 4095 {
		return fail("sendmsg", errors.New("the name must have 1 to 4095 bytes"))
	}
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail("socket", err)
	}
	defer unix.Close(sock)

	address := socketPath
	if len(address) > maxPath && address[0] != '@' {
		// A descriptor of the socket's inode is a short name for it.
		inode, err := unix.Open(socketPath, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fail("open", err)
		}
		defer unix.Close(inode)
		address = "/proc/self/fd/" + strconv.Itoa(inode)
	}
	if err := retry(func() error { return unix.Connect(sock, &unix.SockaddrUnix{Name: address}) }); err != nil {
		return fail("connect", err)
	}
	err = retry(func() error {
		n, err := unix.SendmsgN(sock, []byte(name), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
		if err == nil && n != len(name) {
			err = errors.New("only a part was sent")
		}
		return err
	})
	if err != nil {
		return fail("sendmsg", err)
	}
	return nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
