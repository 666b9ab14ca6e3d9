package program

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cloneArgs is struct clone_args of clone3(2) (CLONE_ARGS_SIZE_VER2, Linux 5.7).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls                         uint64
	setTID, setTIDSize, cgroup                    uint64
}

// ForkFlags are the flags of clone(2) by which [Assembler.Fork] makes its process, unless that is to be in
// another cgroup.
const ForkFlags = unix.CLONE_PARENT | unix.CLONE_PARENT_SETTID

// seccompSetModeFilter is SECCOMP_SET_MODE_FILTER of seccomp(2).
const seccompSetModeFilter = 1

// listenerSpins is how often a child looks whether its listener has been taken: for
// some seconds, if nobody comes.
const listenerSpins = 10_000_000_000

// noDescriptor is above all numbers of descriptors.
const noDescriptor = 1<<32 - 1

// fork clones the calling thread and interprets the code in the clone. It
// returns in the parent only, where the kernel has put the pidfd.
//
// All signals are blocked around the clone: a signal handler in the child would be
// Go code. Nothing between the two calls that change the mask can move the
// goroutine to another thread, for it is scheduled only where a function is entered
// that may split its stack.
//
// The child does not get the Go heap, from heap to heapEnd, of which it reads
// nothing (MADV_DONTFORK): neither side then pays for a copy of what the parent
// writes next. The stack lies in there, and stays around this frame, which is within
// two pages above regs, as those of its callees are below: twice as much stays. For
// other forks, of package syscall, all is as before afterwards.
//
// The child inherits the timer slack of the thread, which becomes slack, unless that is 0.
//
// Everything below the clone3 runs without a Go runtime; see the package
// comment for the rules. What they mean here: every variable is declared before
// the fork and is a number or an address that does not point into the stack;
// no slice is indexed (a failed bounds check would enter the runtime), so
// instructions are reached by address; and the only callee is RawSyscall6.
//
//go:noinline
//go:norace
//go:nocheckptr
func fork(pidfd *int32, code unsafe.Pointer, count uintptr, arena uintptr, rep *report, sync, heap, heapEnd, page, slack uintptr) (pid uintptr, err syscall.Errno) {
	var (
		regs   [numRegs]uintptr
		args   [6]uintptr
		in     *instr
		pc     uintptr
		next   uintptr
		i      uintptr
		result uintptr
		value  uintptr
		size   uintptr
		mask   = ^uint64(0)
		ca     = &rep.clone
		mute   uintptr // what opFilter has left: no system call that need not be, or none
	)

	// An address may become a number only here: the caller's frame moves when its
	// stack grows, and this frame's prologue was the last chance to.
	ca.pidfd = uint64(uintptr(unsafe.Pointer(pidfd)))
	value = uintptr(unsafe.Pointer(&regs))&^(page-1) - 4*page
	syscall.RawSyscall6(unix.SYS_MADVISE, heap, heapEnd-heap, unix.MADV_DONTFORK, 0, 0, 0)
	syscall.RawSyscall6(unix.SYS_MADVISE, value, 9*page, unix.MADV_DOFORK, 0, 0, 0)
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&mask)), uintptr(unsafe.Pointer(&mask)), 8, 0, 0)
	if slack != 0 {
		syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, slack, 0, 0, 0, 0)
	}
	pid, _, err = syscall.RawSyscall6(unix.SYS_CLONE3, uintptr(unsafe.Pointer(ca)), unsafe.Sizeof(*ca), 0, 0, 0, 0)
	if err != 0 || pid != 0 {
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&mask)), 0, 8, 0, 0)
		syscall.RawSyscall6(unix.SYS_MADVISE, heap, heapEnd-heap, unix.MADV_DOFORK, 0, 0, 0)
		return pid, err
	}

	// In the child. Its copy of the parent's end of the socket must go, or the
	// child would never see the parent's death.
	syscall.RawSyscall6(unix.SYS_CLOSE, uintptr(rep.closeFirst), 0, 0, 0, 0, 0)
	for {
		// A target out of range cannot come out of the assembler.
		if pc >= count {
			err = unix.EFAULT
			goto fail
		}
		in = (*instr)(unsafe.Add(code, pc*unsafe.Sizeof(instr{})))
		rep.pc = uint32(pc)
		next = pc + 1

		for i = 0; i < 6; i++ {
			value = in.args[i]
			switch in.kinds[i] {
			case kindArena:
				value += arena
			case kindReg:
				value = regs[value%numRegs]
			case kindShared:
				value += uintptr(unsafe.Pointer(rep))
			}
			args[i] = value
		}

		switch in.op {
		case opCall:
			result, _, err = syscall.RawSyscall6(in.nr, args[0], args[1], args[2], args[3], args[4], args[5])
			if err != 0 {
				result = 0
				if err == unix.EAGAIN && in.retries != 0 {
					in.retries--
					continue
				}
				for i = 0; i < uintptr(in.errnos) && i < maxErrnos; i++ {
					if in.errno[i] == uint16(err) {
						next = uintptr(in.to[i])
						err = 0
						break
					}
				}
				if err != 0 {
					goto fail
				}
			}
			if in.dst < numRegs {
				regs[in.dst] = result
			}

		case opJump:
			next = uintptr(in.target)

		case opUnless:
			if args[0] != args[1] {
				next = uintptr(in.target)
			}

		case opLoad32:
			if in.dst < numRegs {
				regs[in.dst] = uintptr(*(*uint32)(unsafe.Add(unsafe.Pointer(rep), args[0]%(reportSize-4)))) & args[1]
			}

		case opSet:
			if in.dst < numRegs {
				regs[in.dst] = args[0]
			}

		case opPublish:
			rep.values[args[0]%numValues] = uint64(args[1])

		case opSync:
			rep.token = byte(args[0])
			value = uintptr(unsafe.Pointer(&rep.token))
			// MSG_NOSIGNAL: a parent that is gone must not kill the child with
			// SIGPIPE before it can say where it was.
			_, _, err = syscall.RawSyscall6(unix.SYS_SENDTO, sync, value, 1, unix.MSG_NOSIGNAL, 0, 0)
			if err != 0 {
				goto orphan
			}
			result, _, err = syscall.RawSyscall6(unix.SYS_READ, sync, value, 1, 0, 0, 0)
			if err != 0 || result != 1 {
				goto orphan
			}

		case opReportTo:
			// Whoever takes it over shall see what becomes of us. A peer that is gone
			// learns nothing, and an agent of a filter is not waited for.
			rep.right = int32(rep.fd)
			_, _, err = syscall.RawSyscall6(unix.SYS_SENDMSG, args[0], uintptr(unsafe.Pointer(&rep.message)), unix.MSG_NOSIGNAL, 0, 0, 0)
			if err != 0 {
				atomic.StoreUint32(&rep.listener.state, listenerRefused)
			}

		case opFork:
			// CLONE_PARENT_SETTID: the kernel leaves the pid in the shared page
			// before the new process runs. Were it this process that wrote the
			// pid, the new one could reach a sync point first. The arguments of
			// the first clone3 serve again; CLONE_PARENT takes the parent's exit
			// signal and allows no other.
			ca.flags = ForkFlags
			ca.pidfd, ca.exitSignal, ca.cgroup = 0, 0, 0
			ca.parentTID = uint64(uintptr(unsafe.Pointer(&rep.forked)))
			if args[1] == noCgroup {
				// clone(2) does as well, and filters let it through that cannot look into
				// the arguments of the other. The third argument is the address on all machines.
				result, _, err = syscall.RawSyscall6(unix.SYS_CLONE, ForkFlags, 0, uintptr(unsafe.Pointer(&rep.forked)), 0, 0, 0)
			} else {
				ca.flags |= unix.CLONE_INTO_CGROUP
				ca.cgroup = uint64(args[1])
				result, _, err = syscall.RawSyscall6(unix.SYS_CLONE3, uintptr(unsafe.Pointer(ca)), unsafe.Sizeof(*ca), 0, 0, 0, 0)
			}
			if err != 0 {
				goto fail
			}
			if result != 0 {
				for {
					syscall.RawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
				}
			}
			rep.values[args[0]%numValues] = uint64(rep.forked)

		case opAside:
			// It is of this process alone: nobody gets a signal at its end, and no pid or
			// pidfd of it leaves here.
			ca.flags, ca.pidfd, ca.parentTID, ca.exitSignal, ca.cgroup = unix.CLONE_FILES, 0, 0, 0, 0
			result, _, err = syscall.RawSyscall6(unix.SYS_CLONE3, uintptr(unsafe.Pointer(ca)), unsafe.Sizeof(*ca), 0, 0, 0, 0)
			if err != 0 {
				goto fail
			}
			if result == 0 {
				syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
				break
			}
			for {
				_, _, err = syscall.RawSyscall6(unix.SYS_WAIT4, result, uintptr(unsafe.Pointer(&rep.aside)), unix.WALL, 0, 0, 0)
				if err != unix.EINTR {
					break
				}
			}
			if err != 0 {
				goto fail
			}
			if rep.aside != 0 {
				goto orphan // it has said why, or died where the page says that it was
			}
			next = uintptr(in.target)

		case opReturn:
			for {
				syscall.RawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
			}

		case opFail:
			err = syscall.Errno(args[0])
			goto fail

		case opCloseOthers:
			// The gaps before, between and behind those that stay.
			for i = args[0]; ; i = value + 1 {
				value = noDescriptor
				if args[1] >= i && args[1] < value {
					value = args[1]
				}
				if uintptr(rep.fd) >= i && uintptr(rep.fd) < value {
					value = uintptr(rep.fd)
				}
				if args[2] == 0 && sync >= i && sync < value {
					value = sync
				}
				if value == noDescriptor {
					break
				}
				if i < value {
					syscall.RawSyscall6(unix.SYS_CLOSE_RANGE, i, value-1, 0, 0, 0, 0)
				}
			}
			_, _, err = syscall.RawSyscall6(unix.SYS_CLOSE_RANGE, i, uintptr(^uint32(0)), 0, 0, 0, 0)
			if err != 0 {
				goto fail
			}

		case opFilter:
			result, _, err = syscall.RawSyscall6(unix.SYS_SECCOMP, seccompSetModeFilter, args[0], args[1], 0, 0, 0)
			if err == 0 && result != 0 && args[2] == 0 {
				err = unix.ESRCH // TSYNC: the number of a thread that could not follow
			}
			if err != 0 {
				goto fail
			}
			mute = 1 + args[3]
			if args[2] != 0 {
				// The descriptor is taken out of this process, or sent, if the filter lets
				// that one call through. To wait by a call for what comes of it could be
				// what the filter has the agent decide about, who does not have the
				// listener yet.
				if in.dst < numRegs {
					regs[in.dst] = result
				}
				rep.listener.fd = uint32(result)
				if args[4] != listenerByOther && atomic.LoadUint32(&rep.listener.state) == listenerNone {
					if args[4] == listenerToParent {
						args[4] = sync
					}
					rep.right = int32(result)
					_, _, err = syscall.RawSyscall6(unix.SYS_SENDMSG, args[4], uintptr(unsafe.Pointer(&rep.message)), unix.MSG_NOSIGNAL, 0, 0, 0)
					if err != 0 {
						goto fail
					}
					rep.listener.sent = 1
				}
				if !atomic.CompareAndSwapUint32(&rep.listener.state, listenerNone, listenerReady) {
					err = unix.ECANCELED
					goto fail
				}
				for i = listenerSpins; ; i-- {
					if atomic.LoadUint32(&rep.listener.state) == listenerTaken {
						break
					}
					if atomic.LoadUint32(&rep.listener.state) == listenerRefused || i == 0 {
						err = unix.ECANCELED
						goto fail
					}
				}
			}

		case opForget:
			for i = 0; i < args[1]; i++ {
				value = 0
				if i < args[3] {
					value = uintptr(*(*byte)(unsafe.Add(code, args[2]-uintptr(code)+i)))
				}
				*(*byte)(unsafe.Add(code, args[0]-uintptr(code)+i)) = byte(value)
			}

		default: // opExit
			rep.state = stateExited
			for {
				syscall.RawSyscall6(unix.SYS_EXIT_GROUP, args[0], 0, 0, 0, 0, 0)
			}
		}
		pc = next
	}

fail:
	// The kernel's own words: each read of an fs context returns one message
	// ("e tmpfs: Bad value for 'size'\n"), ENODATA when there are no more.
	if in.message != 0 && mute == 0 {
		for size < messageSize-1 {
			result, _, _ = syscall.RawSyscall6(unix.SYS_READ, regs[uintptr(in.message-1)%numRegs],
				uintptr(unsafe.Pointer(&rep.words))+size, messageSize-size, 0, 0, 0)
			if result == 0 || result > messageSize-size {
				break // end, or a negated errno
			}
			size += result
		}
		rep.wordsLen = uint32(size)
	}
	// A peer has no list of the instructions. The arena lies behind the code.
	rep.nr = uint64(in.nr)
	for i = 0; i < uintptr(in.noteLen) && i < noteSize; i++ {
		*(*byte)(unsafe.Add(unsafe.Pointer(&rep.note), i)) = *(*byte)(unsafe.Add(code, arena-uintptr(code)+in.note+i))
	}
	rep.noteLen = uint32(i)
	rep.errno = uint32(err)
	atomic.StoreUint32(&rep.state, stateFailed)
orphan:
	for mute != 2 {
		syscall.RawSyscall6(unix.SYS_EXIT_GROUP, failureStatus, 0, 0, 0, 0, 0)
	}
	// Where the filter does not let a process end, an access to address 0 does. Nothing
	// catches the signal: the clone has reset all handlers.
	for {
		atomic.StoreUint32((*uint32)(unsafe.Add(unsafe.Pointer(rep), uintptr(rep.nowhere))), 0)
	}
}
