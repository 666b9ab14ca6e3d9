package main

import (
	"fmt"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/terminal"
)

// hasTerminal says whether the process gets a pty.
func (b *birth) hasTerminal() bool { return b.spec.Process != nil && b.spec.Process.Terminal }

// openConsoleSocket makes the way by which the pty's master comes back. The runtime
// could also take it out of the process (pidfd_getfd(2)), but for one that hides from
// its own user, and an unprivileged runtime is no more than that.
func (b *birth) openConsoleSocket() []plan.Step {
	if !b.hasTerminal() {
		return nil
	}
	return []plan.Step{{
		Field: "/process/terminal", By: plan.Runtime, Words: "make a socket for the pty's master",
		Shell: b.remark("there is none"),
		Do: func() (func() error, error) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, os.NewSyscallError("socketpair", err)
			}
			b.consoleSockets = pair
			b.opened = append(b.opened, pair[0], pair[1])
			return nil, nil
		},
	}}
}

// sendMaster sends the pty's master to the runtime (unix(7), SCM_RIGHTS). The message
// is made before the fork, so the master must have a number that is known by
// then: it takes that of the runtime's end, which init has no use for.
func (b *birth) sendMaster(a *program.Assembler, master program.Reg) {
	mine, theirs := b.consoleSockets[0], b.consoleSockets[1]
	a.Call(program.Discard, unix.SYS_DUP3, master.Arg(), program.Const(mine), program.Const(unix.O_CLOEXEC)).Note("pty")
	a.Call(program.Discard, unix.SYS_SENDMSG, program.Const(theirs), rightsMessage(a, mine), program.Const(unix.MSG_NOSIGNAL)).Note("pty")
	a.Call(program.Discard, unix.SYS_CLOSE, program.Const(mine))
	a.Call(program.Discard, unix.SYS_CLOSE, program.Const(theirs))
}

// rightsMessage is a struct msghdr (recvmsg(2)) of one byte and descriptors.
func rightsMessage(a *program.Assembler, fds ...int) program.Arg {
	control := unix.UnixRights(fds...)
	iov := a.Words(0, 1) // iov_base, iov_len
	a.PointTo(iov, 0, a.Bytes([]byte{0}))
	// msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags
	header := a.Words(0, 0, 0, 1, 0, uint64(len(control)), 0)
	a.PointTo(header, 16, iov)
	a.PointTo(header, 32, a.Bytes(control))
	return header
}

// takeMaster receives what sendMaster has sent.
func (b *birth) takeMaster() (*os.File, error) {
	fd, err := receiveFd(b.consoleSockets[0], "the pty's master")
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "pty"), nil
}

// receiveFd receives a message as rightsMessage makes it; what it is has a name for the
// error.
func receiveFd(socket int, what string) (int, error) {
	fds, err := receiveFds(socket, 1, what)
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// receiveFds is receiveFd for that many descriptors in one message.
func receiveFds(socket, count int, what string) ([]int, error) {
	control := make([]byte, unix.CmsgSpace(4*count))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	fds, err := program.Rights(control[:n], count)
	if err != nil {
		return nil, fmt.Errorf("%s did not come along: %w", what, unix.EBADMSG)
	}
	return fds, nil
}

// console makes the pty. It comes from the container's own devpts, and its slave
// is opened through the master (TIOCGPTPEER, Linux 4.13), never by a name that an
// image or another process could have replaced (CVE-2025-52565).
//
// A first process's pty is also the container's /dev/console.
func (b *birth) console(first bool) []plan.Step {
	if !b.hasTerminal() {
		return nil
	}
	p := b.spec.Process
	master := program.Discard
	words := "open a pty of the container's devpts"
	if first {
		words += " and bind it on /dev/console"
	}
	steps := []plan.Step{{
		Field: "/process/terminal", By: plan.Init, Words: words,
		Shell: b.remark("a shell cannot: the caller's terminal is used"),
		Assemble: func(a *program.Assembler) {
			master, b.slave = a.Reg(), a.Reg()
			b.openInRoot(a, master, "/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
			a.Call(program.Discard, unix.SYS_IOCTL, master.Arg(), program.Const(unix.TIOCSPTLCK), a.Words(0)).Note("TIOCSPTLCK")
			if s := p.ConsoleSize; s != nil {
				// struct winsize has 16 bits for rows, for columns, and for two
				// unused pixel counts.
				size := uint64(min(s.Height, math.MaxUint16)) | uint64(min(s.Width, math.MaxUint16))<<16
				a.Call(program.Discard, unix.SYS_IOCTL, master.Arg(), program.Const(unix.TIOCSWINSZ), a.Words(size)).Note("TIOCSWINSZ")
			}
			a.Call(b.slave, unix.SYS_IOCTL, master.Arg(), program.Const(unix.TIOCGPTPEER), program.Const(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).Note("TIOCGPTPEER")
			a.Call(program.Discard, unix.SYS_FCHOWN, b.slave.Arg(), program.Const(p.User.UID), program.Const(uint32(1<<32-1))).Note("pty")

			if first {
				at, tree := a.Reg(), a.Reg()
				b.makeInRoot(a, at, "/dev/console", false, unix.RESOLVE_NO_SYMLINKS)
				a.Call(tree, unix.SYS_OPEN_TREE, b.slave.Arg(), a.String(""),
					program.Const(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)).Note("pty")
				attachAt(a, tree.Arg(), at).Note("/dev/console")
				closeFd(a, tree, at)
			}
			b.sendMaster(a, master)
			if first && b.mountsByPath() >= 0 {
				// For streamsOfConsole, under a number that is free again.
				a.Call(program.Discard, unix.SYS_DUP3, b.slave.Arg(), program.Const(b.consoleSockets[0]), program.Const(unix.O_CLOEXEC)).Note("pty")
				closeFd(a, b.slave, master)
			}
		},
	}, {
		Field: "/process/terminal", By: plan.Runtime, Words: "take the pty's master",
		Shell: b.remark("there is none"),
		Do: func() (func() error, error) {
			master, err := b.takeMaster()
			if err != nil {
				return nil, err
			}
			b.master = master
			if b.opt.consoleSocket == "" { // the master stays here
				return nil, terminal.SuitNewlines(master, os.Stdout)
			}
			return nil, b.sendConsole()
		},
	}}
	if first && b.mountsByPath() >= 0 {
		return steps // see streamsOfConsole
	}
	return append(steps, b.takeTerminal(func(a *program.Assembler) {
		if b.forksLast() { // see controllingTerminal
			becomeStreams(a, b.slave.Arg())
		} else {
			useTerminal(a, b.slave.Arg())
		}
		closeFd(a, b.slave, master)
	}))
}

// takeTerminal is the step that makes the pty what the process reads and writes.
func (b *birth) takeTerminal(assemble func(*program.Assembler)) plan.Step {
	return plan.Step{
		Field: "/process/terminal", By: plan.Init, Words: b.terminalWords(),
		Shell: b.remark("the caller's streams are kept"), Assemble: assemble,
	}
}

func (b *birth) terminalWords() string {
	if b.forksLast() {
		return "make the pty the standard streams"
	}
	return "make the pty the controlling terminal and the standard streams"
}

// useTerminal makes an open terminal the session's and the standard streams.
func useTerminal(a *program.Assembler, slave program.Arg) {
	control(a, slave)
	becomeStreams(a, slave)
}

// control makes a terminal the controlling one of the session that the process leads.
func control(a *program.Assembler, slave program.Arg) {
	a.Call(program.Discard, unix.SYS_IOCTL, slave, program.Const(unix.TIOCSCTTY), program.Const(0)).Note("TIOCSCTTY")
}

// becomeStreams makes it the standard streams.
func becomeStreams(a *program.Assembler, slave program.Arg) {
	for fd := range 3 {
		a.Call(program.Discard, unix.SYS_DUP3, slave, program.Const(fd), program.Const(0)).Note("standard stream")
	}
}

// standardStreams hands the caller's streams to the container's user, so that
// it may open /dev/stdout and the like. /dev/null is everybody's and stays as it
// is; what may not be changed is left.
func (b *birth) standardStreams() []plan.Step {
	if b.hasTerminal() || b.spec.Process == nil || b.inUsers() {
		return nil // see ownStreams
	}
	uid := b.spec.Process.User.UID
	var owned []int
	for fd := range 3 {
		owner, ok := b.host.streamOwner[fd]
		if ok && owner != uid {
			owned = append(owned, fd)
		}
	}
	if len(owned) == 0 {
		return nil
	}
	return []plan.Step{{
		Field: "/process/user/uid", By: plan.Init, Words: "give the standard streams to the user",
		Shell: b.typed(func() []string { return shellOwnStreams(owned, uid) }),
		Assemble: func(a *program.Assembler) {
			for _, fd := range owned {
				a.Call(program.Discard, unix.SYS_FCHOWN, program.Const(fd), program.Const(uid), program.Const(uint32(1<<32-1))).
					Note("standard stream").Tolerate(unix.EINVAL, unix.EPERM, unix.EROFS, unix.EBADF)
			}
		},
	}}
}

// ownStreams is standardStreams for a user namespace, whose root has no right to what is
// not its own: the runtime gives the streams away, to the id that the user has outside.
func (b *birth) ownStreams() []plan.Step {
	if b.hasTerminal() || b.spec.Process == nil || !b.inUsers() || len(b.host.streamOwner) == 0 {
		return nil
	}
	return []plan.Step{{
		Field: "/process/user/uid", By: plan.Runtime, Words: "give the standard streams to the user",
		Reason: "the user namespace gives no right to them",
		Shell:  b.remark("they stay the caller's"),
		Do: func() (func() error, error) {
			uid, ok := outside(b.spec.Process.User.UID, b.uids)
			for fd, owner := range b.host.streamOwner {
				if !ok || owner == uid {
					continue
				}
				err := unix.Fchown(fd, int(uid), -1)
				if err != nil && !slices.Contains(streamErrnos, err) {
					return nil, fmt.Errorf("fchown of descriptor %d to %d: %w", fd, uid, err)
				}
			}
			return nil, nil
		},
	}}
}

// streamErrnos are refusals to change a stream's owner, which then keeps it.
var streamErrnos = []error{unix.EINVAL, unix.EPERM, unix.EROFS, unix.EBADF}
