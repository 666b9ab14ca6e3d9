package netdev

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Error is a request that the kernel refused.
type Error struct {
	Op    string     // the request
	Words string     // the kernel's own, or ""
	Errno unix.Errno // why
}

func (e *Error) Error() string {
	if e.Words != "" {
		return fmt.Sprintf("%s: %s: %v", e.Op, e.Words, e.Errno)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Errno)
}

func (e *Error) Unwrap() error { return e.Errno }

// Socket is a connection to the rtnetlink of one network namespace.
type Socket struct {
	fd  int
	seq uint32
}

// Here opens a Socket in the namespace of the calling thread.
func Here() (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket AF_NETLINK", err)
	}
	s := &Socket{fd: fd}
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			s.Close()
			return nil, os.NewSyscallError("setsockopt SOL_NETLINK", err)
		}
	}
	return s, nil
}

// Of opens a Socket in the network namespace of a process, given by its pidfd. A
// thread goes there for as long as it takes, and comes back.
func Of(pidfd int) (*Socket, error) {
	type result struct {
		socket *Socket
		err    error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		s, back, err := visit(pidfd)
		if back {
			runtime.UnlockOSThread()
		} // else the thread is in a foreign namespace: it ends with the goroutine
		done <- result{s, err}
	}()
	r := <-done
	return r.socket, r.err
}

// visit opens the Socket on the calling thread and says whether the thread is back in
// the namespace that it came from.
func visit(pidfd int) (s *Socket, back bool, err error) {
	here, err := Here()
	if err != nil {
		return nil, true, err
	}
	defer here.Close()
	own, err := here.Namespace()
	if err != nil {
		return nil, true, err
	}
	defer unix.Close(own)
	if err := unix.Setns(pidfd, unix.CLONE_NEWNET); err != nil {
		return nil, true, os.NewSyscallError("setns CLONE_NEWNET", err)
	}
	s, err = Here()
	if back := unix.Setns(own, unix.CLONE_NEWNET); back != nil {
		if s != nil {
			s.Close()
		}
		return nil, false, os.NewSyscallError("setns CLONE_NEWNET, back", back)
	}
	return s, true, err
}

// Close closes the socket, and lets the namespace go.
func (s *Socket) Close() error { return unix.Close(s.fd) }

// Namespace opens the network namespace of the socket, for a device to be moved to.
func (s *Socket) Namespace() (int, error) {
	fd, err := unix.IoctlRetInt(s.fd, unix.SIOCGSKNS)
	if err != nil {
		return -1, os.NewSyscallError("ioctl SIOCGSKNS", err)
	}
	unix.CloseOnExec(fd)
	return fd, nil
}

// do sends a request and waits for its acknowledgement. op names it in an error.
func (s *Socket) do(op string, m []byte) error {
	native.PutUint16(m[6:], native.Uint16(m[6:])|unix.NLM_F_ACK)
	_, err := s.ask(op, m)
	return err
}

// ask sends a request and returns the messages of its answer, up to the
// acknowledgement, to the end of a dump, or to the one message that answers it.
func (s *Socket) ask(op string, m []byte) ([]message, error) {
	s.seq++
	m = finish(m, s.seq)
	if err := unix.Sendto(s.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, &os.SyscallError{Syscall: op + ": sendto", Err: err}
	}
	flags := native.Uint16(m[6:])
	acked, dump := flags&unix.NLM_F_ACK != 0, flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	var answer []message
	for {
		list, err := s.receive()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		for _, got := range list {
			switch {
			case got.seq != s.seq:
			case got.flags&unix.NLM_F_DUMP_INTR != 0:
				return nil, &Error{op, "the table changed meanwhile", unix.EINTR}
			case got.kind == unix.NLMSG_ERROR:
				errno, words, err := got.failure()
				if err != nil {
					return nil, fmt.Errorf("%s: %w", op, err)
				}
				if errno != 0 {
					return nil, &Error{op, words, errno}
				}
				return answer, nil
			case got.kind == unix.NLMSG_DONE:
				return answer, nil
			default:
				answer = append(answer, got)
				if !acked && !dump {
					return answer, nil
				}
			}
		}
	}
}

// receive reads the messages that are next in line, whatever their size.
func (s *Socket) receive() ([]message, error) {
	for {
		n, _, err := unix.Recvfrom(s.fd, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		b := make([]byte, n)
		if n, _, err = unix.Recvfrom(s.fd, b, 0); err == nil {
			return parse(b[:n])
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, os.NewSyscallError("recvfrom", err)
		}
	}
}
