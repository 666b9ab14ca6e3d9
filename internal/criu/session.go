package criu

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// ErrMissing means that the program criu is not there.
var ErrMissing = errors.New("criu: executable file not found in $PATH")

// standardPath is where programs are, for a caller who has no PATH: engines call runtimes
// without one, and CRIU itself needs one for tar and iptables.
const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Look finds the program along PATH, then where programs are.
func Look() (string, error) {
	for dir := range strings.SplitSeq(os.Getenv("PATH")+":"+standardPath, ":") {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		file := dir + "/criu"
		var st unix.Stat_t
		if unix.Stat(file, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", ErrMissing
}

// Session is a CRIU that waits for its request, or works on it. It is a child of this
// process.
type Session struct {
	Child *program.Child
	sock  int
}

// Start is how a Session begins.
type Start struct {
	Program string // path of criu
	program.Options
	// Before are instructions of the new process before it is CRIU; nil: none. Those of
	// After come when the caller has called [Session.Begin].
	Before, After func(a *program.Assembler)
	// Keep are descriptors that CRIU gets under their own numbers.
	Keep []int
	// Apart says that what ends the caller's group, such as a Ctrl-C, does not end CRIU.
	Apart bool
}

// New makes the process that becomes CRIU with [Session.Begin]. The caller is to Close the
// Session.
func (s *Start) New() (_ *Session, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[1])
	a := program.NewAssembler()
	if s.Before != nil {
		s.Before(a)
	}
	a.Sync(1)
	if s.After != nil {
		s.After(a)
	}
	call := func(nr uintptr, note string, args ...program.Arg) { a.Call(program.Discard, nr, args...).Note(note) }
	if s.Apart {
		call(unix.SYS_SETPGID, "", program.Const(0), program.Const(0))
	}
	// What the runtime was given besides is not CRIU's either.
	call(unix.SYS_CLOSE_RANGE, "", program.Const(3), program.Const(uint32(1<<32-1)), program.Const(unix.CLOSE_RANGE_CLOEXEC))
	for _, fd := range append([]int{pair[1]}, s.Keep...) {
		call(unix.SYS_FCNTL, "F_SETFD", program.Const(fd), program.Const(unix.F_SETFD), program.Const(0))
	}
	call(unix.SYS_RT_SIGPROCMASK, "SIG_SETMASK", program.Const(unix.SIG_SETMASK), a.Words(0), program.Const(0), program.Const(8))
	call(unix.SYS_EXECVE, s.Program, a.String(s.Program), a.Strings([]string{"criu", "swrk", strconv.Itoa(pair[1])}), a.Strings(environment()))
	code, err := a.Finish()
	if err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	child, err := code.Launch(s.Options)
	if err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	session := &Session{Child: child, sock: pair[0]}
	if _, err := child.Next(); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// Begin lets the process become CRIU.
func (s *Session) Begin() error {
	if err := s.Child.Continue(); err != nil {
		return err
	}
	_, err := s.Child.Next()
	return err
}

// environment is what CRIU gets of the caller's: where programs are. HOME and CRIU_CONFIG_FILE
// would have it read settings of whoever has called sudo -E, and others libraries or plugins.
func environment() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = standardPath
	}
	return []string{"PATH=" + path}
}

// Ask sends the request.
func (s *Session) Ask(kind Kind, o *Options, want Features) error {
	return s.send(request(kind, o, want))
}

// Go lets a CRIU go on that has told of something ([Answer.Notice]).
func (s *Session) Go() error { return s.send(heard(true)) }

// Deny has it give up, clean up behind it and answer that it has failed, if it heeds that
// ([Answer.Heeds]).
func (s *Session) Deny() error { return s.send(heard(false)) }

func (s *Session) send(m message) error {
	if err := unix.Sendmsg(s.sock, m, nil, nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("criu does not take the request: %w", os.NewSyscallError("sendmsg", err))
	}
	return nil
}

// maxAnswer is far above what CRIU sends: the longest has the first error of its log.
const maxAnswer = 64 << 10

// errEnded is a CRIU that ended without an answer.
var errEnded = errors.New("criu ended without an answer")

// Next waits for what CRIU says next. heed is called from time to time meanwhile; its error
// ends the waiting.
func (s *Session) Next(heed func() error) (*Answer, error) {
	const every = 20 * time.Millisecond
	fds := []unix.PollFd{{Fd: int32(s.sock), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(every.Milliseconds()))
		if err != nil && err != unix.EINTR {
			return nil, os.NewSyscallError("poll", err)
		}
		if n > 0 {
			return s.receive()
		}
		if heed != nil {
			if err := heed(); err != nil {
				return nil, err
			}
		}
	}
}

func (s *Session) receive() (*Answer, error) {
	text, control := make([]byte, maxAnswer), make([]byte, unix.CmsgSpace(4))
	n, oobn, flags, _, err := unix.Recvmsg(s.sock, text, control, unix.MSG_CMSG_CLOEXEC)
	switch {
	case err == unix.ECONNRESET, err == nil && n == 0:
		return nil, fmt.Errorf("%w: %w", errEnded, io.ErrUnexpectedEOF)
	case err != nil:
		return nil, os.NewSyscallError("recvmsg", err)
	}
	fd := -1
	if oobn > 0 {
		if fd, err = program.OnlyRight(control[:oobn]); err != nil {
			return nil, err
		}
	}
	var a *Answer
	if flags&unix.MSG_TRUNC != 0 {
		err = errWire
	} else {
		a, err = decode(text[:n])
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, fmt.Errorf("answer of criu: %w", err)
	}
	a.Fd = fd
	return a, nil
}

// Close ends a CRIU that is still there, and takes its status.
func (s *Session) Close() {
	_ = s.Child.Kill()
	s.Wait()
}

// Wait lets a CRIU come to its end, which follows its last answer, and takes its status.
func (s *Session) Wait() {
	if s.sock < 0 {
		return
	}
	unix.Close(s.sock)
	s.sock = -1
	_, _ = s.Child.Reap()
	s.Child.Release()
}

// Query asks for what needs no container: a version, or features.
func Query(file string, kind Kind, want Features) (*Answer, error) {
	s, err := (&Start{Program: file, Options: program.Options{CgroupFd: -1}}).New()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Begin(); err != nil {
		return nil, err
	}
	if err := s.Ask(kind, nil, want); err != nil {
		return nil, err
	}
	a, err := s.Next(nil)
	if err == nil && !a.Success {
		err = fmt.Errorf("criu: %s failed: %s", kind, Clean(a.Message))
	}
	return a, err
}
