package terminal

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// copyOut copies from the pseudo terminal to out until the process has ended
// and its output is drained.
func (s *Session) copyOut() {
	defer s.release()
	defer close(s.drained)
	buf := make([]byte, 32<<10)
	late := 0 // bytes read after the end
	for {
		phase := s.phase.Load()
		if phase == closed || late > afterEnd {
			return
		}
		n, err := unix.Read(s.masterFd, buf)
		switch {
		case n > 0:
			if phase == ended {
				late += n
			}
			if s.err = writeAll(s.outFd, buf[:n]); s.err != nil {
				// The process's terminal is gone for the one who looked at it.
				s.hangUp()
				return
			}
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if phase == ended {
				// The wake-up is spent; what bounds the wait is its time.
				ready, _ := wait(s.masterFd, unix.POLLIN, -1, time.Duration(s.limit.Load()))
				if !ready {
					return
				}
				continue
			}
			wait(s.masterFd, unix.POLLIN, s.wake, -1)
		case phase == running:
			// EIO: nobody has the other side open at present. poll(2) would
			// report that again and again, so leave master out of it.
			wait(-1, 0, s.wake, reopen)
		default:
			return
		}
	}
}

// copyIn copies from in to the pseudo terminal until the process has ended. It
// reads only what is there, so it never takes a byte that was typed for the
// caller's shell after the end.
func (s *Session) copyIn() {
	defer s.release()
	buf := make([]byte, 32<<10)
	last := byte('\n')
	for {
		if _, woken := wait(s.inFd, unix.POLLIN, s.wake, -1); woken {
			return
		}
		n, err := unix.Read(s.inFd, buf)
		switch {
		case n > 0:
			last = buf[n-1]
			if !s.feed(buf[:n]) {
				return
			}
		case err == unix.EINTR || err == unix.EAGAIN:
		case err == nil:
			s.endOfFile(last)
			return
		default:
			return
		}
	}
}

// feed writes b to the pseudo terminal and reports whether the session goes on.
// Without a reader on the other side b is dropped.
func (s *Session) feed(b []byte) bool {
	for len(b) > 0 {
		n, err := unix.Write(s.masterFd, b)
		switch {
		case n > 0:
			b = b[n:]
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if _, woken := wait(s.masterFd, unix.POLLOUT, s.wake, -1); woken {
				return false
			}
		default:
			return s.phase.Load() == running
		}
	}
	return true
}

// endOfFile types the end-of-file character (termios(3), VEOF), now and again until the
// session ends: a pseudo terminal has no other end of input, and a process reads an end
// that was typed in canonical mode once only. It may have been another process, or it
// changes the mode before it reads, as shells do that edit their line; then it gets a zero
// byte in its place. After an unfinished line it takes two, as at a keyboard.
func (s *Session) endOfFile(last byte) {
	for pause := firstEnd; ; pause = min(2*pause, lastEnd) {
		// For the master side the kernel answers with the modes of the other.
		t, err := unix.IoctlGetTermios(s.masterFd, unix.TCGETS)
		if err != nil {
			return
		}
		if end := t.Cc[unix.VEOF]; end != 0 {
			typed := []byte{end}
			if last != '\n' && t.Lflag&unix.ICANON != 0 {
				typed = append(typed, end)
			}
			last = '\n'
			if !s.feed(typed) {
				return
			}
		}
		if _, woken := wait(-1, 0, s.wake, pause); woken {
			return
		}
	}
}

// The end of input is typed again after the first pause, and each further one is twice as
// long up to the last: who reads it soon gets it soon, and who never does is left alone.
const (
	firstEnd = 50 * time.Millisecond
	lastEnd  = time.Minute
)

// writeAll writes b to fd, which may be in either mode. Writing by system call
// keeps a broken pipe an error: os.File would raise SIGPIPE on descriptors 1
// and 2, and the terminal would stay raw.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case n > 0:
			b = b[n:]
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			wait(fd, unix.POLLOUT, -1, -1)
		case err != nil:
			return os.NewSyscallError("write", err)
		}
	}
	return nil
}

// wait waits until fd is ready for events (or hung up), wake is readable, or
// limit is over; a negative limit means for ever, a negative descriptor that it
// is not waited for. It may return without any of that.
func wait(fd int, events int16, wake int, limit time.Duration) (ready, woken bool) {
	timeout := -1
	if limit >= 0 {
		timeout = int((limit + time.Millisecond - 1) / time.Millisecond)
	}
	p := [2]unix.PollFd{{Fd: int32(fd), Events: events}, {Fd: int32(wake), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(p[:], timeout)
		if err == unix.EINTR {
			continue
		}
		return p[0].Revents != 0, p[1].Revents != 0
	}
}
