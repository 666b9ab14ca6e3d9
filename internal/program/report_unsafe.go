package program

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	reportSize  = 8192
	messageSize = 2048
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
	pc         uint32 // index of the instruction begun last
	errno      uint32
	state      uint32
	messageLen uint32
	forked     uint32 // pid of the process that opFork made, written by the kernel
	token      byte
	_          [3]byte
	closeFirst uint64 // set by the parent: its end of the socket, which the child closes
	clone      cloneArgs
	peer       [2]uint32
	values     [numValues]uint64
	message    [messageSize]byte
	scratch    [ScratchSize]byte
}

// The page must hold the report; this does not compile otherwise.
const _ = uint(reportSize - unsafe.Sizeof(report{}))

const scratchOffset = int(unsafe.Offsetof(report{}.scratch))

// newReport maps the shared memory.
func newReport() (*report, error) {
	p, err := unix.MmapPtr(-1, 0, nil, reportSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap of the report page: %w", err)
	}
	return (*report)(p), nil
}

// free unmaps the shared memory.
func (r *report) free() { _ = unix.MunmapPtr(unsafe.Pointer(r), reportSize) }

// kernelMessage returns what the kernel said in the fs context, one line a
// message, without the level letter that starts each.
func (r *report) kernelMessage() string {
	n := min(int(r.messageLen), messageSize)
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(string(r.message[:n]), "\n"), "\n") {
		if len(line) > 2 && line[1] == ' ' {
			line = line[2:]
		}
		if line != "" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}
