package program

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	reportSize  = 8192
	messageSize = 2048
	noteSize    = 1024
	numValues   = 16

	// ScratchSize is the size of the memory behind [Scratch] in bytes:
	// PATH_MAX, so that getcwd(2) cannot overflow it.
	ScratchSize = 4096

	stateRunning = 0
	stateFailed  = 1
	stateExited  = 2 // by opExit

	// failureStatus is the child's exit status after a failure that it could
	// report in the shared page, which says more.
	failureStatus = 1
)

// report is what the child leaves in the memory it shares with its parent.
type report struct {
	pc       uint32 // index of the instruction begun last
	errno    uint32
	state    uint32
	wordsLen uint32
	forked   uint32 // pid of the process that opFork made, written by the kernel
	token    byte
	_        [3]byte
	nr       uint64 // of the failed call
	noteLen  uint32
	// fd is the memory's own descriptor, and closeFirst the parent's end of the
	// socket, which the child closes. Both are set by the parent.
	fd         uint32
	closeFirst uint64
	// nowhere is how far address 0 is from here: the compiler would drop an access
	// that it can see to be one. Set by the parent.
	nowhere  uint64
	listener listener
	clone    cloneArgs
	// message is a struct msghdr (sendmsg(2)) that carries one byte and fd, whose
	// number comes last; set by the parent.
	message message
	iovec   [2]uint64
	control unix.Cmsghdr
	right   int32
	_       int32
	values  [numValues]uint64
	note    [noteSize]byte
	words   [messageSize]byte // the kernel's
	scratch [ScratchSize]byte
	aside   int32 // wait status of the process that opAside made, written by the kernel
}

// message is a struct msghdr with addresses as numbers: the child's memory has
// the same ones, and no pointer of the Go heap may be in it.
type message struct {
	name, nameLen       uint64
	iov, iovLen         uint64
	control, controlLen uint64
	flags               uint64
}

// The page must hold the report; this does not compile otherwise.
const _ = uint(reportSize - unsafe.Sizeof(report{}))

const scratchOffset = int(unsafe.Offsetof(report{}.scratch))

// newReport maps the shared memory. That of a Program that reports to a peer is a
// file, so that the peer can have it.
func newReport(file bool) (*report, error) {
	fd, flags := -1, unix.MAP_SHARED|unix.MAP_ANONYMOUS
	if file {
		var err error
		if fd, err = sealedFile(); err != nil {
			return nil, err
		}
		flags = unix.MAP_SHARED
	}
	p, err := unix.MmapPtr(fd, 0, nil, reportSize, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("mmap of the report page: %w", err)
	}
	r := (*report)(p)
	r.fd, r.nowhere = uint32(fd), -uint64(uintptr(p))
	address := func(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }
	r.iovec = [2]uint64{address(unsafe.Pointer(&r.token)), 1}
	r.message = message{
		iov: address(unsafe.Pointer(&r.iovec)), iovLen: 1,
		control: address(unsafe.Pointer(&r.control)), controlLen: uint64(unix.CmsgSpace(4)),
	}
	r.control.Level, r.control.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	r.control.SetLen(unix.CmsgLen(4))
	return r, nil
}

// sealedFile makes memory that keeps its size: whoever maps it can rely on that.
func sealedFile() (int, error) {
	fd, err := unix.MemfdCreate("oci-mini-report", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if err = os.NewSyscallError("ftruncate", unix.Ftruncate(fd, reportSize)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
		err = os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// free unmaps the shared memory.
func (r *report) free() {
	_ = unix.MunmapPtr(unsafe.Pointer(r), reportSize)
}

// kernelMessage returns what the kernel said in the fs context, one line a
// message, without the level letter that starts each.
func (r *report) kernelMessage() string {
	n := min(int(r.wordsLen), messageSize)
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(string(r.words[:n]), "\n"), "\n") {
		if len(line) > 2 && line[1] == ' ' {
			line = line[2:]
		}
		if line != "" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}
