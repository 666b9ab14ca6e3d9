package seal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// View is the running binary seen through a read-only mount that is attached
// nowhere. A forked child can make it the file that it executes, without
// executing it again ([View.Assemble]).
type View struct {
	fd       int
	tree     int // of the mount, until it is dissolved; then -1
	segments []segment
	layout   []byte // struct prctl_mm_map
}

// segment is a part of the binary as it is mapped: whole pages.
type segment struct {
	address, length, offset uint64
	writable                bool
	protection              int
}

// sizeofMap is the size of struct prctl_mm_map (PR_SET_MM_MAP, prctl(2)).
const sizeofMap = 12*8 + 2*4

// Of elf(5).
const (
	etExec    = 2
	ptLoad    = 1
	pfExecute = 1
	pfWrite   = 2
)

// errNoSwap means that the kernel cannot change the executable file of a process.
var errNoSwap = errors.New("the kernel has no PR_SET_MM_MAP")

// OpenView opens the view and finds out how the process is laid out. It needs
// CAP_SYS_ADMIN over the mount namespace, and a kernel with
// CONFIG_CHECKPOINT_RESTORE; that a child may use PR_SET_MM_MAP with
// CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE is so since Linux 5.9.
func OpenView() (*View, error) {
	var size uint32
	if err := mapSize(&size); err != nil || size != sizeofMap {
		return nil, errNoSwap
	}
	fd, tree, err := openMount(unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	v := &View{fd: fd, tree: tree}
	if err := v.read(); err != nil {
		unix.Close(tree)
		unix.Close(fd)
		return nil, err
	}
	return v, nil
}

// Dissolve dissolves the mount: until then it is in a namespace of its own, and who
// reaches it and has CAP_SYS_ADMIN can make it writable. It takes a grace period of RCU,
// half a millisecond, unless a child has not closed its copy yet, which then waits instead; see
// [View.Assemble].
func (v *View) Dissolve() {
	if v.Undissolved() {
		_ = unix.Close(v.tree)
		v.tree = -1
	}
}

// Fd is the view's descriptor, for the caller to close once its children are made.
func (v *View) Fd() int { return v.fd }

// read finds the segments in the ELF header and the other numbers that
// PR_SET_MM_MAP wants in /proc/self/stat (proc_pid_stat(5)).
func (v *View) read() error {
	head := make([]byte, 4096) // the Go linker puts the program headers at the start
	n, err := unix.Pread(v.fd, head, 0)
	if err != nil {
		return &os.PathError{Op: "pread64", Path: self, Err: err}
	}
	head = head[:n]
	// Elf64_Ehdr and Elf64_Phdr of elf(5); package debug/elf would bring
	// decompressors along.
	le := binary.LittleEndian
	if len(head) < 64 || string(head[:6]) != "\x7fELF\x02\x01" || le.Uint16(head[54:]) != 56 {
		return fmt.Errorf("%s: not a 64-bit little-endian ELF file", self)
	}
	if le.Uint16(head[16:]) != etExec {
		// With -buildmode=pie, a dynamic linker has written to pages that are read-only since.
		return fmt.Errorf("%s: not at a fixed address", self)
	}
	page := uint64(os.Getpagesize())
	at := le.Uint64(head[32:])
	for range le.Uint16(head[56:]) {
		if at+56 > uint64(len(head)) {
			return fmt.Errorf("%s: the program headers are not at the start", self)
		}
		p := head[at:]
		at += 56
		offset, address, length := le.Uint64(p[8:]), le.Uint64(p[16:]), le.Uint64(p[32:])
		if le.Uint32(p) != ptLoad || length == 0 {
			continue
		}
		slack := address % page
		s := segment{
			address: address - slack, offset: offset - slack, length: (length + slack + page - 1) &^ (page - 1),
			writable: le.Uint32(p[4:])&pfWrite != 0, protection: unix.PROT_READ,
		}
		if le.Uint32(p[4:])&pfExecute != 0 {
			s.protection |= unix.PROT_EXEC
		}
		v.segments = append(v.segments, s)
	}
	return v.readLayout()
}

// readLayout fills struct prctl_mm_map with what is so already: only the
// executable file is to change.
func (v *View) readLayout() error {
	stat, err := rawfile.Read("/proc/self/stat")
	if err != nil {
		return err
	}
	// The command's name may hold anything; fields count from after it, and
	// the first of them is field 3.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	field := func(n int) uint64 {
		if n-3 >= len(fields) {
			return 0
		}
		value, _ := strconv.ParseUint(string(fields[n-3]), 10, 64)
		return value
	}
	words := []uint64{
		field(26), field(27), // start_code, end_code
		field(45), field(46), // start_data, end_data
		field(47), programBreak(), // start_brk, brk
		field(28),            // start_stack
		field(48), field(49), // arg_start, arg_end
		field(50), field(51), // env_start, env_end
		0, // auxv: stays
	}
	for i, w := range words[:11] {
		if w == 0 {
			return fmt.Errorf("/proc/self/stat: no number %d of the memory map", i)
		}
	}
	for _, w := range words {
		v.layout = binary.NativeEndian.AppendUint64(v.layout, w)
	}
	v.layout = binary.NativeEndian.AppendUint32(v.layout, 0)
	v.layout = binary.NativeEndian.AppendUint32(v.layout, uint32(v.fd))
	return nil
}

// Undissolved says whether there is anything for [View.Dissolve] to do.
func (v *View) Undissolved() bool { return v != nil && v.tree >= 0 }

// LetGo closes a child's copy of the mount's descriptor, unless the mount is dissolved already.
// It is dissolved when all that have been cloned meanwhile are past that, and [View.Dissolve] is.
func (v *View) LetGo(a *program.Assembler) {
	if v.Undissolved() {
		a.Call(program.Discard, unix.SYS_CLOSE, program.Const(v.tree)).Note("the mount of the runtime's binary")
	}
}

// Assemble makes the child execute the view's file. Every mapping of the binary
// is replaced by the same part of the same file, seen through the read-only
// mount: not a byte of the code changes, but the process holds on to another
// mount. Once nothing maps the old file the kernel lets PR_SET_MM_MAP name the
// new one, and /proc/PID/exe leads to where nobody can write.
//
// What was written to the data segment is dropped: it belongs to the Go runtime,
// which the child does not have.
//
// It begins with [View.LetGo].
func (v *View) Assemble(a *program.Assembler) {
	v.LetGo(a)
	for _, s := range v.segments {
		flags, fd, offset := unix.MAP_FIXED|unix.MAP_PRIVATE, v.fd, s.offset
		if s.writable {
			s.protection |= unix.PROT_WRITE
			flags, fd, offset = flags|unix.MAP_ANONYMOUS, -1, 0
		}
		a.Call(program.Discard, unix.SYS_MMAP, program.Const(s.address), program.Const(s.length),
			program.Const(s.protection), program.Const(flags), program.Const(fd), program.Const(offset)).Note("the runtime's binary")
	}
	a.Call(program.Discard, unix.SYS_PRCTL, program.Const(unix.PR_SET_MM), program.Const(unix.PR_SET_MM_MAP),
		a.Bytes(v.layout), program.Const(sizeofMap), program.Const(0)).Note("PR_SET_MM_MAP exe_fd")
	a.Call(program.Discard, unix.SYS_CLOSE, program.Const(v.fd))
}
