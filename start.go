package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/terminal"
)

// lockTimeout bounds how long a command waits for another one that changes the
// same container.
const lockTimeout = 10 * time.Second

// lock finds a container that nobody else may change meanwhile. Its error is one for a command
// to return. The caller is to close what it returns.
func lock(c *cli.Context, id string) (*state.Dir, error) {
	dir, err := storeOf(c).Lock(id, lockTimeout)
	return dir, failed(c, id, err)
}

var startCommand = &cli.Command{
	Name:      "start",
	Usage:     "let a created container execute its process",
	ArgsUsage: "ID",
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, 1); err != nil {
			return err
		}
		id := c.Args().First()
		return failed(c, id, start(storeOf(c), id))
	},
}

// start tells the waiting process to go on, and learns whether it could
// execute: the connection is closed by a successful execve, and carries the
// failure otherwise.
func start(store *state.Store, id string) error {
	dir, err := store.Lock(id, lockTimeout)
	if err != nil {
		return err
	}
	defer dir.Close()
	notifier, err := startLocked(dir)
	if err != nil {
		return err
	}
	if notifier == nil {
		return nil
	}
	// Others may have to end a container that is never ready.
	init := process.ID(dir.Record.Init)
	err = dir.Close()
	notifier.relay(init, init.Pid)
	return err
}

// startLocked starts a container whose lock is held. The caller is to relay from the
// notifier, if there is one.
func startLocked(dir *state.Dir) (_ *notifier, failed error) {
	switch status, _ := statusOf(dir); status {
	case specs.StateCreated:
	case specs.StateStopped:
		return nil, errors.New("cannot start a container that has stopped")
	case specs.StateCreating:
		return nil, errors.New("cannot start a container that is still being created")
	case statusPaused:
		if waiting(dir) {
			return nil, advise(errors.New("cannot start a container in the paused state"), "oci-mini resume lets it wait for start again")
		}
		fallthrough
	default:
		return nil, errors.New("cannot start an already running container")
	}
	if !dir.Record.HasProcess {
		return nil, errors.New("/process: required to start: the config has no process")
	}
	s, err := hookSpec(dir)
	if err != nil {
		return nil, err
	}
	notifier, err := listenNotify(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if failed != nil && notifier != nil {
			notifier.close()
		}
	}()
	agent := -1
	if path := dir.Record.SeccompAgent; path != "" {
		if agent, err = terminal.Dial(path); err != nil { // the container goes on waiting
			return nil, fmt.Errorf("/linux/seccomp/listenerPath: %w", err)
		}
		defer unix.Close(agent)
	}
	if err := runStartHooks(dir, s); err != nil {
		return nil, withCleanup(err, abort(dir))
	}
	conn, err := dial(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the container's first process: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{1}); err != nil {
		return nil, err
	}
	f, err := letExecute(conn, agent, dir.Record)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the container's first process died before it could execute: %w", err)
	case f != nil:
		// It ends by itself, but start must not return before it has.
		if fd, err := process.ID(dir.Record.Init).Open(); err == nil {
			_, _ = process.Wait(fd, time.Second)
			unix.Close(fd)
		}
		return nil, advise(&stepFailure{plan.Step{Field: "/process/args", Words: "execute"}, f}, startHint(dir, f))
	}
	if err := poststart(dir, s); err != nil {
		return notifier, withCleanup(err, abort(dir))
	}
	return notifier, nil
}

// startHint says what is wrong with the program that start could not have executed, or "".
func startHint(dir *state.Dir, f *program.Failure) string {
	s, err := containerSpec(dir)
	if err != nil || s.Process == nil {
		return ""
	}
	return programHint(bundleView(dir.Record.Rootfs, s.Mounts), s.Process, s.Process.Env, "/process/args", f)
}

// letExecute waits for the process's execve, or its failure. If its filter has a
// listener, that goes to the agent first.
func letExecute(conn *os.File, agent int, r *state.Record) (*program.Failure, error) {
	peer, err := program.Meet(int(conn.Fd()))
	if err != nil {
		return nil, err
	}
	defer peer.Release()
	if agent >= 0 {
		if err := giveListener(peer, agent, r); err != nil {
			return nil, fmt.Errorf("/linux/seccomp/listenerPath: %w", err)
		}
	}
	return peer.Wait()
}

// socketPath names start.sock through the open directory: a socket's address has
// room for 107 bytes only (unix(7)).
func socketPath(dir *state.Dir) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd, state.SocketName)
}

// dial connects to a container that waits for start. Package net would cost more
// at start-up than all of this command.
func dial(dir *state.Dir) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := filepath.Join(dir.Path, state.SocketName)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socketPath(dir)}); err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "connect", Path: file, Err: err}
	}
	return os.NewFile(uintptr(fd), file), nil
}

// listenForStart makes the socket that a created container waits at.
func listenForStart(dir *state.Dir) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	file := filepath.Join(dir.Path, state.SocketName)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: socketPath(dir)}); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "bind", Path: file, Err: err}
	}
	if err := unix.Listen(fd, 1); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "listen", Path: file, Err: err}
	}
	return fd, nil
}

// waiting says whether a first process still waits at its socket, without
// disturbing it: connecting a datagram socket to a stream socket fails with
// EPROTOTYPE while there is somebody who holds it, and with ECONNREFUSED once
// start or death has closed it (net/unix/af_unix.c, unix_find_bsd).
func waiting(dir *state.Dir) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: socketPath(dir)})
	return errors.Is(err, unix.EPROTOTYPE)
}

// waitForStart is the created state: the process lets go of every descriptor
// but its socket's, and waits for start for as long as it takes.
func (b *birth) waitForStart() plan.Step {
	return plan.Step{
		By: plan.Init, Words: "wait for start",
		Shell: b.remark("a script goes on at once"),
		Assemble: func(a *program.Assembler) {
			socket := b.startFd
			a.Part(3+b.opt.preserveFds, socket)

			again, connected := a.NewLabel(), a.NewLabel()
			conn, n := a.Reg(), a.Reg()
			b.startConn = conn // the filter's listener may have to be sent over it
			a.Bind(again)
			a.Call(conn, unix.SYS_ACCEPT4, program.Const(socket), program.Const(0), program.Const(0), program.Const(unix.SOCK_CLOEXEC)).
				Note("start.sock").On(unix.EINTR, again).On(unix.ECONNABORTED, again)
			a.Call(n, unix.SYS_READ, conn.Arg(), program.Scratch(0), program.Const(1)).Note("start.sock").Tolerate(unix.EINTR, unix.ECONNRESET)
			// A start that was killed before it said go: wait for the next one.
			hungUp := a.NewLabel()
			a.Unless(n.Arg(), program.Const(1), hungUp)
			a.Jump(connected)
			a.Bind(hungUp)
			a.Call(program.Discard, unix.SYS_CLOSE, conn.Arg())
			a.Jump(again)
			a.Bind(connected)
			// When start sees the end of the connection, the socket must be gone, or the
			// next start takes the container for one that waits. The execve closes both,
			// but what it closes first the kernel may well let go of last.
			a.Call(program.Discard, unix.SYS_CLOSE, program.Const(socket)).Note("start.sock")
			a.ReportTo(conn.Arg())
			a.Release(n)
		},
	}
}

// settle writes the state once the first process is all that it will be: the
// process's pid must be on disk before it can run, or wait, without the runtime.
func (b *birth) settle() plan.Step {
	words := "record the container as created"
	if !b.opt.wait {
		words = "record the container as running"
	}
	return plan.Step{
		By: plan.Runtime, Words: words,
		Reason: "last: if the runtime dies before, the first process sees it and ends",
		Shell:  b.remark("a script keeps no record; the cgroup has the pid"),
		Do: func() (func() error, error) {
			b.settled = true
			id, err := process.Find(b.child.Pid)
			if err != nil {
				return nil, err
			}
			b.dir.Record.Init, b.dir.Record.Phase = state.Process(id), state.Ready
			b.dir.Record.RootMount = b.rootMount()
			if b.cgroups != nil {
				b.dir.Record.Cgroup.Dirs = b.cgroups.dirs.Paths()
				b.dir.Record.Cgroup.Inodes = inodes(b.dir.Record.Cgroup.Dirs)
			}
			if b.rdt != nil {
				b.dir.Record.Rdt.Remove = b.rdt.settled()
			}
			return nil, b.dir.Save()
		},
	}
}
