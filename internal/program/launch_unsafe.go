package program

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/entry"
)

// Program is code ready to be launched any number of times.
//
// Its instructions and its arena lie in a mapping of their own: the child does not
// have the Go heap.
type Program struct {
	code   []instr
	origin []Origin
	arena  []byte
	mem    *workspace // which the slices lie in
	// reports is whether there is an opReportTo.
	reports bool
}

// heapChunk is the unit in which the Go runtime reserves address space for its heap
// on 64-bit Linux, and its alignment (heapArenaBytes in runtime/malloc.go). Holes in
// it do no harm: madvise(2) passes over them.
const heapChunk = 64 << 20

// heapWindow is the part of the address space that holds the Go heap of a
// short-lived process: the chunk of an object made just now. Go 1.26 begins the heap
// anywhere in a chunk (mheap.grow). If that is near the chunk's end, the heap lies in
// two of them, and the child gets the part in the other one: it reads nothing of it,
// but the parent pays for copies.
func heapWindow() (start, end uintptr) {
	start = uintptr(unsafe.Pointer(new([64]byte))) &^ (heapChunk - 1)
	return start, start + heapChunk
}

// Len is the number of instructions.
func (p *Program) Len() int { return len(p.code) }

// Origins lists, by index, where the instructions came from.
func (p *Program) Origins() []Origin { return p.origin }

// Options says what clone3(2) makes for the child.
type Options struct {
	// Flags are CLONE_NEW* flags. Launch refuses all others: most would make the
	// child share what it is about to change (memory, descriptors) with the caller.
	Flags uint64
	// CgroupFd is the directory of the cgroup v2 to be born in
	// (CLONE_INTO_CGROUP), or -1.
	CgroupFd int
	// Prepare, if set, runs on the OS thread that will clone, just before it
	// does, and Restore on the same thread just after. They serve what a child
	// inherits from the calling thread alone: v1 cgroups. A
	// Prepare that fails has undone what it did. If Restore fails, the child
	// is ended, and the goroutine stays bound to the thread, which nobody else
	// may use any more.
	Prepare func() error
	Restore func() error
}

// namespaceFlags are the flags that [Options] may ask for.
const namespaceFlags = unix.CLONE_NEWCGROUP | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWNS |
	unix.CLONE_NEWPID | unix.CLONE_NEWTIME | unix.CLONE_NEWUSER | unix.CLONE_NEWUTS

// Launch clones a process and has it interpret the Program. The process is a
// child of the calling one; it sees end-of-file at its next sync point if the
// caller dies.
//
// Errors are those of clone3(2) as *os.SyscallError, and of what Launch itself
// needs; a failure of the Program comes from [Child.Next].
func (p *Program) Launch(opt Options) (*Child, error) {
	if bad := opt.Flags &^ namespaceFlags; bad != 0 {
		return nil, fmt.Errorf("program: clone flags %#x are not namespaces: %w", bad, unix.EINVAL)
	}
	rep, err := newReport(p.reports)
	if err != nil {
		return nil, err
	}
	if rep.fd != noDescriptor {
		defer unix.Close(int(rep.fd)) // the child has its own
	}
	c := &Child{Pidfd: -1, program: p, sync: -1, rep: rep}
	if err := c.launch(opt); err != nil {
		if c.Pid != 0 {
			_ = c.Kill()
			_, _ = c.Reap()
		}
		c.Release()
		return nil, err
	}
	return c, nil
}

// launch fills the Child. An error with Pid set means that there is a process.
func (c *Child) launch(opt Options) error {
	// The lock keeps the child of one launch from inheriting the child's end of
	// another's socket pair, which would hide the end of that child; two children
	// could even hold each other's parent ends and never see the parent die. It is
	// the lock of package syscall's own forks, which must not come while the heap is
	// kept from being copied.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	c.sync = pair[0]
	defer unix.Close(pair[1])

	ca := &c.rep.clone // the child uses it again, and has no heap
	*ca = cloneArgs{
		flags:      opt.Flags | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND,
		exitSignal: uint64(unix.SIGCHLD),
	}
	if opt.CgroupFd >= 0 {
		ca.flags |= unix.CLONE_INTO_CGROUP
		ca.cgroup = uint64(opt.CgroupFd)
	}

	if opt.Prepare == nil && opt.Restore == nil {
		return c.clone(pair)
	}
	runtime.LockOSThread()
	if opt.Prepare != nil {
		if err := opt.Prepare(); err != nil {
			runtime.UnlockOSThread()
			return err
		}
	}
	err = c.clone(pair)
	if opt.Restore != nil {
		if rerr := opt.Restore(); rerr != nil {
			if err != nil {
				return fmt.Errorf("%w, then: %w", err, rerr)
			}
			return rerr
		}
	}
	runtime.UnlockOSThread()
	return err
}

func (c *Child) clone(pair [2]int) error {
	var pidfd int32 = -1
	p := c.program
	c.rep.closeFirst = uint64(pair[0])
	heap, heapEnd := heapWindow()
	pid, errno := fork(&pidfd, unsafe.Pointer(unsafe.SliceData(p.code)), uintptr(len(p.code)),
		uintptr(unsafe.Pointer(unsafe.SliceData(p.arena))), c.rep, uintptr(pair[1]), heap, heapEnd, uintptr(os.Getpagesize()), entry.Slack())
	runtime.KeepAlive(p)
	if errno != 0 {
		return os.NewSyscallError("clone3", errno)
	}
	c.Pid, c.Pidfd = int(pid), int(pidfd)
	return nil
}
