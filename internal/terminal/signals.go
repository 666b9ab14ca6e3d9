package terminal

import (
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Signals holds the signals sent to the runtime that are meant for the process
// it runs.
type Signals struct {
	c     chan os.Signal
	ready chan struct{} // closed when all signals are caught
	stop  chan struct{}
	once  sync.Once
}

// Catch begins to catch signals, to be passed on by Forward. It is called
// before the process is made; what arrives until Forward is kept, up to 128
// signals. Caught are all but
//
//   - SIGKILL and SIGSTOP, which cannot be;
//   - SIGCHLD and SIGPIPE, which tell of the runtime's own children and files,
//     and SIGURG, with which the Go scheduler interrupts threads;
//   - SIGTTIN and SIGTTOU, which stop a runtime that uses the terminal from the
//     background. Caught, they would be raised again at once, without end, as
//     the kernel restarts the read or ioctl that they interrupt;
//   - SIGPROF, which the Go runtime keeps for its profiler, and 32 to 34, which
//     it leaves to C libraries;
//   - those in except: SIGWINCH, when a [Session] handles it.
//
// Every signal costs os/signal two switches of threads, about 15 µs, so all of
// them cost about 1 ms. Catch waits for those that a person, a service manager
// or a closing terminal send (SIGHUP, SIGINT, SIGQUIT, SIGTERM), about 0.15 ms,
// and catches the others while the caller goes on. Forward waits for them. Until
// then they do to the runtime what they would have done a moment earlier,
// before Catch.
func Catch(except ...unix.Signal) *Signals {
	s := &Signals{
		c:     make(chan os.Signal, 128),
		ready: make(chan struct{}),
		stop:  make(chan struct{}),
	}
	first, rest := caught(except)
	if len(first) > 0 { // Notify without signals means all
		signal.Notify(s.c, first...)
	}
	go func() {
		defer close(s.ready)
		// In small parts, because Notify holds a lock that Stop and another
		// Notify (that of a Session) wait for.
		for part := range slices.Chunk(rest, 4) {
			select {
			case <-s.stop:
				return
			default:
				signal.Notify(s.c, part...)
			}
		}
	}()
	return s
}

// caught returns the signals to catch: those to wait for, and the others.
func caught(except []unix.Signal) (first, rest []os.Signal) {
	rest = make([]os.Signal, 0, 64)
	for n := unix.Signal(1); n <= 64; n++ {
		if slices.Contains(except, n) {
			continue
		}
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGPIPE, unix.SIGURG,
			unix.SIGTTIN, unix.SIGTTOU, unix.SIGPROF, 32, 33, 34:
		case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM:
			first = append(first, n)
		default:
			rest = append(rest, n)
		}
	}
	return first, rest
}

// C gives the signals caught so far to a caller that does not forward them yet:
// during the creation of a container, a signal means to give up.
func (s *Signals) C() <-chan os.Signal { return s.c }

// Forward calls send for every signal caught before and from now on, in the
// order of arrival, on a goroutine of its own. It returns when all signals are
// caught; so the process is to be set going after it. Errors are send's own
// business, and so is a signal after the end of the process, when there is
// nobody to send it to and the runtime should give up whatever it is doing.
func (s *Signals) Forward(send func(unix.Signal)) {
	<-s.ready
	go func() {
		for {
			select {
			case sig := <-s.c:
				send(sig.(unix.Signal))
			case <-s.stop:
				return
			}
		}
	}()
}

// Stop ends forwarding and gives all signals their former effect. It costs as
// much as catching them, so a runtime that is about to exit leaves it out.
func (s *Signals) Stop() {
	s.once.Do(func() {
		close(s.stop)
		<-s.ready
		signal.Stop(s.c)
	})
}
