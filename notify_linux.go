package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/state"
)

// The socket at which a container tells that it is ready (sd_notify(3)), in the
// container's state directory, and where the container has that directory. The
// directory is mounted and not the socket, because start makes the socket anew.
const (
	notifyDir   = "notify"
	notifyName  = "notify.sock"
	notifyMount = "/run/notify"
)

// barrierLimit is how long the service manager may take to confirm that it has read
// all messages. It says nothing if it does not know BARRIER=1 (before systemd 246).
const barrierLimit = 30 * time.Second

// notifier passes on that a container is ready, from its socket to the one that the
// environment variable NOTIFY_SOCKET names. A container must not get that one
// itself: what it says there would be believed of the whole service.
type notifier struct {
	host   int // connected to the caller's socket
	socket int // bound to the container's
	dir    *state.Dir
}

// offerNotify gives a container whose caller listens for readiness a place to tell of
// it: a mount and a variable besides those of the config. Without a mount namespace
// there is none.
func (r *request) offerNotify(s *specs.Spec) (bool, error) {
	if os.Getenv("NOTIFY_SOCKET") == "" || s.Process == nil || !namespacesOf(s).private(unix.CLONE_NEWNS) {
		return false, nil
	}
	entry, err := filepath.Abs(r.store.Path(r.id))
	if err != nil {
		return false, err
	}
	s.Mounts = append(s.Mounts, specs.Mount{
		Destination: notifyMount, Type: "bind", Source: filepath.Join(entry, notifyDir),
		Options: []string{"bind", "ro", "nosuid", "noexec", "nodev"},
	})
	r.opt.env = append(r.opt.env, "NOTIFY_SOCKET="+notifyMount+"/"+notifyName)
	return true, nil
}

// makeNotifyDir makes the directory of the socket, which anyone may pass.
func makeNotifyDir(dir *state.Dir) error {
	err := unix.Mkdirat(dir.Fd, notifyDir, 0o755)
	if err == nil {
		err = unix.Fchmodat(dir.Fd, notifyDir, 0o755, 0) // whatever the umask is
	}
	if err != nil {
		return &os.PathError{Op: "mkdirat", Path: filepath.Join(dir.Path, notifyDir), Err: err}
	}
	return nil
}

// listenNotify binds the container's socket, before its process can run, and connects
// to the caller's. It returns nil if there is nobody to tell, or if the container
// was created without a place to tell it.
func listenNotify(dir *state.Dir) (*notifier, error) {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil, nil
	}
	in := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd, notifyDir)
	if err := unix.Access(in, unix.F_OK); err != nil {
		return nil, nil
	}
	n := &notifier{host: -1, socket: -1, dir: dir}
	err := n.connect(address)
	if err != nil {
		err = fmt.Errorf("NOTIFY_SOCKET: %w", err)
	} else {
		err = n.bind(in + "/" + notifyName)
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// connect reaches the caller's socket: a path, or an abstract name behind '@'.
func (n *notifier) connect(address string) (err error) {
	if address[0] != '/' && address[0] != '@' {
		return fmt.Errorf("%s is neither a path nor an abstract address", address)
	}
	if n.host, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	name := address
	if len(name) > 107 && name[0] == '/' {
		// More than a socket address has room for (unix(7)).
		inode, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: address, Err: err}
		}
		defer unix.Close(inode)
		name = fmt.Sprintf("/proc/self/fd/%d", inode)
	}
	if err := unix.Connect(n.host, &unix.SockaddrUnix{Name: name}); err != nil {
		return &os.PathError{Op: "connect", Path: address, Err: err}
	}
	return nil
}

// bind makes the container's socket, which any of its users may write to.
func (n *notifier) bind(file string) (err error) {
	if n.socket, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	_ = unix.Unlink(file) // of a start that was killed; the lock is held
	if err = unix.Bind(n.socket, &unix.SockaddrUnix{Name: file}); err == nil {
		err = unix.Chmod(file, 0o777)
	}
	if err != nil {
		return &os.PathError{Op: "bind", Path: filepath.Join(n.dir.Path, notifyDir, notifyName), Err: err}
	}
	return nil
}

// close gives the sockets up. A container that still writes to its own gets
// ECONNREFUSED, instead of waiting for a reader.
func (n *notifier) close() {
	for _, fd := range []int{n.host, n.socket} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	n.host, n.socket = -1, -1
}

// relay waits until the container is ready or its first process has ended, tells the
// caller's service manager of the former, and closes the notifier. mainPid is what
// the service manager is to watch from then on: the first process if the runtime
// leaves it alone, or else the runtime, whose child alone has its exit status.
//
// The container runs by now, so what fails here is a warning.
func (n *notifier) relay(init process.ID, mainPid int) {
	defer n.close()
	ready, err := n.wait(init)
	if err == nil && ready {
		err = n.tell(mainPid)
	}
	if err != nil {
		log.Warn(fmt.Sprintf("NOTIFY_SOCKET: %v", err))
	}
}

// wait reads the container's messages until one has the line READY=1. Descriptors
// that come with them are dropped, which answers the container's own BARRIER=1.
func (n *notifier) wait(init process.ID) (ready bool, err error) {
	pidfd, err := init.Open()
	if errors.Is(err, unix.ESRCH) {
		pidfd = -1 // poll(2) leaves it out; what it wrote before is still there
	} else if err != nil {
		return false, err
	} else {
		defer unix.Close(pidfd)
	}
	buf := make([]byte, 4096)
	for {
		poll := []unix.PollFd{{Fd: int32(n.socket), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		timeout := -1
		if pidfd < 0 {
			timeout = 0
		}
		if _, err := unix.Poll(poll, timeout); err != nil && err != unix.EINTR {
			return false, os.NewSyscallError("poll", err)
		}
		size, err := unix.Read(n.socket, buf)
		switch {
		case err == nil:
			for line := range strings.SplitSeq(string(buf[:size]), "\n") {
				if line == "READY=1" {
					return true, nil
				}
			}
		case err != unix.EAGAIN && err != unix.EINTR:
			return false, os.NewSyscallError("read", err)
		case poll[1].Revents != 0 || pidfd < 0:
			return false, nil
		}
	}
}

// tell says that the service is ready and which process it is, in one message, and
// waits until it has been read: afterwards the runtime may exit, which ends the
// manager's means to find out whom the message came from (sd_notify_barrier(3)).
func (n *notifier) tell(mainPid int) error {
	if err := unix.Sendto(n.host, []byte("READY=1\nMAINPID="+strconv.Itoa(mainPid)+"\n"), unix.MSG_NOSIGNAL, nil); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[0])
	err := unix.Sendmsg(n.host, []byte("BARRIER=1"), unix.UnixRights(pipe[1]), nil, unix.MSG_NOSIGNAL)
	_ = unix.Close(pipe[1]) // or the end would never come
	if err != nil {
		return os.NewSyscallError("sendmsg", err)
	}
	closed, err := process.Wait(pipe[0], barrierLimit) // it polls, whatever the descriptor is
	if err == nil && !closed {
		err = fmt.Errorf("BARRIER=1 was not answered within %s", barrierLimit)
	}
	return err
}
