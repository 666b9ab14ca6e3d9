package program

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// States of a listener.
const (
	listenerNone    = iota
	listenerReady   // the child waits for it to be taken
	listenerTaken   // set by the other side, the child goes on
	listenerRefused // set by the other side, the child fails
)

// listener is where a child shows the listener of its seccomp filter.
type listener struct {
	state uint32
	fd    uint32 // the child's number
	sent  uint32 // 1: it came over the socket
	_     uint32
}

// Listener hands over the descriptor by which the calls that a filter does not decide
// itself are decided (seccomp_unotify(2)).
type Listener struct {
	// Stop, if set, is asked now and then: an error ends the waiting.
	Stop func() error

	rep  *report
	conn int // the socket over which a child that hides sends it
}

// How a listener gets out of the child, for [Assembler.Filter]. Any other operand is the
// socket that it is sent over, of which the other side has the other end.
var (
	// ListenerTaken leaves it to the other side (pidfd_getfd(2)), which takes the right to
	// trace the child.
	ListenerTaken = Const(uintptr(listenerByOther))
	// ListenerToParent sends it over the socket of the sync points.
	ListenerToParent = Const(uintptr(listenerToParent))
)

// Operands that are no descriptors.
const (
	listenerByOther  = noDescriptor
	listenerToParent = noDescriptor - 1
)

// listenerPoll is how often the other side looks for the child's listener. It comes
// some ten microseconds after the sync point in front of the filter.
const listenerPoll = 20 * time.Microsecond

// Take waits for the child to have its filter, and gives its listener to the
// function, as a descriptor of this process. The child goes on if the function
// succeeds, and fails otherwise. pidfd is the child's.
//
// os.ErrProcessDone means that the child ended before.
func (l *Listener) Take(pidfd int, give func(fd int) error) error {
	state := &l.rep.listener.state
	for atomic.LoadUint32(state) != listenerReady {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		} else if n > 0 {
			return os.ErrProcessDone
		}
		if l.Stop != nil {
			if err := l.Stop(); err != nil {
				return err
			}
		}
		time.Sleep(listenerPoll)
	}
	err := l.give(pidfd, give)
	if err != nil {
		atomic.StoreUint32(state, listenerRefused)
		return err
	}
	atomic.StoreUint32(state, listenerTaken)
	return nil
}

func (l *Listener) give(pidfd int, give func(fd int) error) error {
	if l.rep.listener.sent != 0 {
		return l.receive(give)
	}
	number := l.rep.listener.fd
	if number > 1<<20 {
		return errors.New("the container's first process has no listener")
	}
	fd, err := unix.PidfdGetfd(pidfd, int(number), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_getfd", err)
	}
	defer unix.Close(fd)
	return give(fd)
}

// receive is give for a listener that the child has sent.
func (l *Listener) receive(give func(fd int) error) error {
	var token [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(l.conn, token[:], oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("recvmsg", err)
	}
	fd, err := OnlyRight(oob[:n])
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return give(fd)
}
