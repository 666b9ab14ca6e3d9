package program

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// ReadPeerFailure reads what a Program writes after [Assembler.ReportTo]: nothing
// at all (nil) if it reached its execve, which closes the descriptor, or the
// failure, with the call and its note but without step and index.
func ReadPeerFailure(r io.Reader) (*Failure, error) {
	b, err := io.ReadAll(io.LimitReader(r, 8+4096))
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) < 8 {
		return nil, fmt.Errorf("the container's first process sent %d bytes of a report: %w", len(b), io.ErrUnexpectedEOF)
	}
	f := &Failure{Errno: syscall.Errno(binary.NativeEndian.Uint32(b))}
	// The number travels in 32 bits; sign extension gives noCall back.
	f.Nr, f.Note = uintptr(int(int32(binary.NativeEndian.Uint32(b[4:])))), string(b[8:])
	if f.Errno == 0 {
		return nil, errors.New("the container's first process reported a failure without an errno")
	}
	return f, nil
}
