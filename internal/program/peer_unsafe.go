package program

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is the view of a launched Program that [Assembler.ReportTo] gives to a
// process that need not be its parent.
type Peer struct {
	rep  *report
	conn int
}

// Meet receives what a Program sends by [Assembler.ReportTo]. The connection stays the
// caller's. An end of it before anything came is io.ErrUnexpectedEOF.
func Meet(conn int) (*Peer, error) {
	var (
		token [1]byte
		oob   = make([]byte, unix.CmsgSpace(4))
		n     int
		oobn  int
		err   error
	)
	for {
		n, oobn, _, _, err = unix.Recvmsg(conn, token[:], oob, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	switch {
	case err != nil:
		return nil, os.NewSyscallError("recvmsg", err)
	case n == 0:
		return nil, io.ErrUnexpectedEOF
	}
	fd, err := OnlyRight(oob[:oobn])
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	rep, err := mapReport(fd)
	if err != nil {
		return nil, err
	}
	return &Peer{rep, conn}, nil
}

// OnlyRight is the descriptor of a message that carries one, by its control data (unix(7),
// SCM_RIGHTS). Another number of them is an error.
func OnlyRight(oob []byte) (int, error) {
	fds, err := Rights(oob, 1)
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// Rights are the descriptors of a message that carries so many. None stays open if it carries
// others than those.
func Rights(oob []byte, count int) ([]int, error) {
	errNone := errors.New("the container's first process sent no descriptor")
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil, errNone
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != count {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		return nil, errNone
	}
	return fds, nil
}

// mapReport maps the memory of a Program of another process.
func mapReport(fd int) (*report, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 || st.Size != reportSize {
		return nil, errors.New("the container's first process sent a file that is not its report")
	}
	p, err := unix.MmapPtr(fd, 0, nil, reportSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap of the report page: %w", err)
	}
	return (*report)(p), nil
}

// Listener is that of the Program's filter.
func (p *Peer) Listener() *Listener { return &Listener{rep: p.rep, conn: p.conn} }

// Wait waits for the Program's end: an execve closes its end of the connection. A
// failure has the call and its note but neither step nor index.
func (p *Peer) Wait() (*Failure, error) {
	var b [1]byte
	for {
		n, err := unix.Read(p.conn, b[:])
		switch {
		case err == unix.EINTR || n > 0:
			continue
		case err != nil:
			return nil, os.NewSyscallError("read", err)
		}
		break
	}
	if p.rep.state != stateFailed {
		return nil, nil
	}
	note := p.rep.note[:min(int(p.rep.noteLen), noteSize)]
	return &Failure{
		Origin: Origin{Nr: uintptr(p.rep.nr), Note: string(note)},
		Errno:  syscall.Errno(p.rep.errno), Message: p.rep.kernelMessage(),
	}, nil
}

// Release lets go of the memory.
func (p *Peer) Release() { _ = unix.MunmapPtr(unsafe.Pointer(p.rep), reportSize) }
