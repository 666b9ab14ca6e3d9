package program

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// workspace is the memory of a Program, outside the Go heap: the assembler writes
// where the child will read, and what it does not use is never touched. It is
// unmapped when nobody holds it any more.
type workspace struct {
	base    unsafe.Pointer
	size    uintptr
	cleanup runtime.Cleanup
}

// How much is reserved for the instructions and for the arena: several times what
// large configurations need. A Program that outgrows its part is moved.
const (
	codeReserve  = 4096 * unsafe.Sizeof(instr{})
	arenaReserve = 1 << 20
)

func newWorkspace() (*workspace, error) { return mapWorkspace(codeReserve + arenaReserve) }

func mapWorkspace(size uintptr) (*workspace, error) {
	base, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("program: %w", os.NewSyscallError("mmap", err))
	}
	w := &workspace{base: base, size: size}
	w.cleanup = runtime.AddCleanup(w, func(m workspace) { _ = unix.MunmapPtr(m.base, m.size) }, *w)
	return w, nil
}

// Free gives back the memory of the Program, of which no [Child] may be used any more but
// those that are released. The collector would do so too, when it runs.
func (p *Program) Free() {
	if p == nil || p.mem == nil {
		return
	}
	p.mem.cleanup.Stop()
	_ = unix.MunmapPtr(p.mem.base, p.mem.size)
	*p = Program{}
}

// slices are empty, with the room that is reserved. A workspace that could not be
// had has none, and append finds other memory.
func (w *workspace) slices() (code []instr, arena []byte) {
	if w == nil {
		return nil, nil
	}
	return unsafe.Slice((*instr)(w.base), codeReserve/unsafe.Sizeof(instr{}))[:0],
		unsafe.Slice((*byte)(unsafe.Add(w.base, codeReserve)), arenaReserve)[:0]
}

// newProgram makes a Program of what was written into the workspace, and moves it
// to a larger one if a part has outgrown its room.
func newProgram(w *workspace, code []instr, origin []Origin, arena []byte, relocs []reloc) (*Program, error) {
	if uintptr(cap(code))*unsafe.Sizeof(instr{}) != codeReserve || cap(arena) != arenaReserve {
		codeSize := uintptr(len(code)) * unsafe.Sizeof(instr{})
		var err error
		if w, err = mapWorkspace(codeSize + uintptr(len(arena))); err != nil {
			return nil, err
		}
		code = append(unsafe.Slice((*instr)(w.base), len(code))[:0], code...)
		arena = append(unsafe.Slice((*byte)(unsafe.Add(w.base, codeSize)), len(arena))[:0], arena...)
	}
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(arena))))
	for _, r := range relocs {
		binary.NativeEndian.PutUint64(arena[r.at:], start+uint64(r.to))
	}
	return &Program{code: code, origin: origin, arena: arena, mem: w}, nil
}
