package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// ID names one process for as long as the system runs. The zero ID names none.
type ID struct {
	Pid int `json:"pid"`
	// StartTime is when the process started, in clock ticks since boot:
	// field 22 of /proc/PID/stat (proc_pid_stat(5)). Two processes of the same
	// pid differ in it, unless every other pid was used within one tick. It is
	// counted in the reader's time namespace: compare only what was read in
	// the same.
	StartTime uint64 `json:"startTime"`
}

// Self returns the ID of this process.
func Self() (ID, error) {
	return Find(os.Getpid())
}

// Find returns the ID of the process that has the pid now, be it a zombie. If
// there is none the error wraps [unix.ESRCH].
func Find(pid int) (ID, error) {
	st, err := readStat(pid)
	if err != nil {
		return ID{}, err
	}
	return ID{Pid: pid, StartTime: st.start}, nil
}

// Open returns a pidfd (close-on-exec) of the process. If it is dead, a zombie,
// or its pid is used by another one, the error wraps [unix.ESRCH].
func (id ID) Open() (pidfd int, err error) {
	if id.Pid <= 0 {
		return -1, id.gone("was never started")
	}
	pidfd, err = unix.PidfdOpen(id.Pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return -1, id.gone("has ended")
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		// The number is that of a thread now.
		return -1, id.gone("has ended")
	case err != nil:
		return -1, fmt.Errorf("process %d: %w", id.Pid, os.NewSyscallError("pidfd_open", err))
	}
	// Only now look who it is: the pidfd holds on to whatever process it was
	// opened for, so if that is the wrong one we see it here, and if it is the
	// right one it stays right.
	if err := id.check(); err != nil {
		unix.Close(pidfd)
		return -1, err
	}
	return pidfd, nil
}

// Alive tells whether the process exists and has not ended. Should the kernel
// refuse to say (no more descriptors, say), it counts as alive: what follows
// from a death cannot be undone.
func (id ID) Alive() bool {
	return id.Pid > 0 && !errors.Is(id.check(), unix.ESRCH)
}

// Signal sends sig to the process, or to none: never to one that got the pid
// later. Signal 0 only checks permission (kill(2)). If the process is gone the
// error wraps [unix.ESRCH].
func (id ID) Signal(sig unix.Signal) error {
	pidfd, err := id.Open()
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	if err := unix.PidfdSendSignal(pidfd, sig, nil, 0); err != nil {
		return fmt.Errorf("process %d: %w", id.Pid, os.NewSyscallError("pidfd_send_signal", err))
	}
	return nil
}

// check returns nil if the process with the pid is the one of id, and lives.
func (id ID) check() error {
	st, err := readStat(id.Pid)
	switch {
	case err != nil:
		return err
	case st.start != id.StartTime:
		return id.gone("has ended, another process has its pid")
	case st.dead():
		return id.gone("has ended and was not waited for")
	}
	return nil
}

func (id ID) gone(how string) error {
	return fmt.Errorf("process %d %s: %w", id.Pid, how, unix.ESRCH)
}

// stat is what is read of /proc/PID/stat.
type stat struct {
	state   byte   // field 3
	threads int    // field 20
	start   uint64 // field 22
}

// dead tells whether the process has ended. If only its first thread has, the
// state is that of a zombie as well, but others live on.
func (st stat) dead() bool {
	return st.state == 'X' || st.state == 'Z' && st.threads <= 1
}

// readStat reads /proc/PID/stat with plain system calls: os.Open would try to
// register the file with the poller.
func readStat(pid int) (stat, error) {
	if pid <= 0 {
		return stat{}, ID{Pid: pid}.gone("was never started")
	}
	path := "/proc/" + strconv.Itoa(pid) + "/stat"
	// The line is 52 numbers of up to 20 digits at most; what is wanted comes
	// well within the first half.
	var buf [1024]byte
	n, op := 0, "open"
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		op = "read"
		n, err = readSome(fd, buf[:])
		unix.Close(fd)
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		return stat{}, ID{Pid: pid}.gone("has ended")
	case err != nil:
		return stat{}, &os.PathError{Op: op, Path: path, Err: err}
	}
	st, ok := parseStat(buf[:n])
	if !ok {
		return stat{}, &os.PathError{Op: "parse", Path: path, Err: fmt.Errorf("unexpected content %q", buf[:n])}
	}
	return st, nil
}

func readSome(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

// parseStat reads a line of /proc/PID/stat. The second field, the command in
// parentheses, may hold anything, so counting starts after the last
// parenthesis.
func parseStat(line []byte) (st stat, ok bool) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, false
	}
	rest := line[end+1:]
	for field := 3; ; field++ {
		if len(rest) == 0 || rest[0] != ' ' {
			return stat{}, false
		}
		rest = rest[1:]
		n := bytes.IndexByte(rest, ' ')
		if n < 0 {
			// The line was cut, perhaps within this field.
			return stat{}, false
		}
		var err error
		switch field {
		case 3:
			if n != 1 {
				return stat{}, false
			}
			st.state = rest[0]
		case 20:
			st.threads, err = strconv.Atoi(string(rest[:n]))
		case 22:
			st.start, err = strconv.ParseUint(string(rest[:n]), 10, 64)
			return st, err == nil
		}
		if err != nil {
			return stat{}, false
		}
		rest = rest[n:]
	}
}

// Inner is the number that a process has in its own pid namespace: it is the last on the
// line NSpid of /proc/PID/status (proc_pid_status(5), Linux 4.1).
func Inner(pid int) (int, error) {
	name := "/proc/" + strconv.Itoa(pid) + "/status"
	text, err := rawfile.Read(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(line, "NSpid:"); ok {
			if numbers := strings.Fields(list); len(numbers) > 0 {
				return strconv.Atoi(numbers[len(numbers)-1])
			}
		}
	}
	return 0, fmt.Errorf("%s: no NSpid", name)
}
