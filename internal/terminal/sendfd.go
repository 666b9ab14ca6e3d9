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
	if len(name) == 0 || len(name) > 4095 {
		return &os.PathError{Op: "sendmsg", Path: socketPath, Err: errors.New("the name must have 1 to 4095 bytes")}
	}
	sock, err := Dial(socketPath)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	return Send(sock, socketPath, fd, []byte(name))
}

// Dial connects to the stream socket at socketPath, as SendFd does.
func Dial(socketPath string) (int, error) {
	sock, err := connect(socketPath, unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	return sock, nil
}

// Listens says whether somebody listens on the stream socket at socketPath, without
// connecting to it: a datagram socket cannot (EPROTOTYPE), and learns as much.
func Listens(socketPath string) error {
	sock, err := connect(socketPath, unix.SOCK_DGRAM)
	switch {
	case err == nil: // it is one of datagrams
		unix.Close(sock)
		return &os.PathError{Op: "connect", Path: socketPath, Err: unix.EPROTOTYPE}
	case errors.Is(err, unix.EPROTOTYPE):
		return nil
	}
	return err
}

func connect(socketPath string, kind int) (int, error) {
	fail := func(op string, err error) error { return &os.PathError{Op: op, Path: socketPath, Err: err} }
	sock, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fail("socket", err)
	}
	address := socketPath
	if len(address) > maxPath && address[0] != '@' {
		// A descriptor of the socket's inode is a short name for it.
		inode, err := unix.Open(socketPath, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			unix.Close(sock)
			return -1, fail("open", err)
		}
		defer unix.Close(inode)
		address = "/proc/self/fd/" + strconv.Itoa(inode)
	}
	if err := retry(func() error { return unix.Connect(sock, &unix.SockaddrUnix{Name: address}) }); err != nil {
		unix.Close(sock)
		return -1, fail("connect", err)
	}
	return sock, nil
}

// Send sends a descriptor with the bytes of text in one message over a connection.
// socketPath is for errors.
func Send(sock int, socketPath string, fd int, text []byte) error {
	err := retry(func() error {
		n, err := unix.SendmsgN(sock, text, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
		if err == nil && n != len(text) {
			err = errors.New("only a part was sent")
		}
		return err
	})
	if err != nil {
		return &os.PathError{Op: "sendmsg", Path: socketPath, Err: err}
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
