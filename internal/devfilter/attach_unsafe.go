package devfilter

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attr is union bpf_attr, of which these commands use the first 64 bytes. All
// 64 are always passed, because kernels 6.17 to 7.1 write a field at byte 56 in
// answer to BPF_PROG_QUERY however short the caller said its attribute was.
type attr [8]uint64

// set stores 32 bits at a byte offset.
func (a *attr) set(off uintptr, v uint32) {
	*(*uint32)(unsafe.Add(unsafe.Pointer(a), off)) = v
}

func (a *attr) get(off uintptr) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(a), off))
}

// pointer stores a pointer at a byte offset that is a multiple of 8. The
// collector does not see it there: pin keeps the memory until the call is over.
func (a *attr) pointer(pin *runtime.Pinner, off uintptr, p unsafe.Pointer) {
	pin.Pin(p)
	a[off/8] = uint64(uintptr(p))
}

func bpf(cmd uintptr, name string, a *attr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a))
		switch errno {
		case 0:
			return int(r), nil
		// The verifier gives EAGAIN when a signal comes in while it works.
		case unix.EINTR, unix.EAGAIN:
		default:
			return -1, os.NewSyscallError("bpf "+name, errno)
		}
	}
}

var (
	license  = [...]byte{'A', 'p', 'a', 'c', 'h', 'e', 0}
	progName = [16]byte{'o', 'c', 'i', '_', 'm', 'i', 'n', 'i', '_', 'd', 'e', 'v'}
)

// load gives the program to the kernel and returns a descriptor of it. Its
// memory is charged to the cgroup of the caller (kernel 5.11), so there is no
// locked-memory limit to raise. Needs CAP_BPF and CAP_NET_ADMIN, or
// CAP_SYS_ADMIN, in the initial user namespace.
func (p *Program) load() (int, error) {
	var a attr
	var pin runtime.Pinner
	defer pin.Unpin()
	name := progName
	a.set(0, unix.BPF_PROG_TYPE_CGROUP_DEVICE)
	a.set(4, uint32(len(p.insns)))
	a.pointer(&pin, 8, unsafe.Pointer(&p.insns[0]))
	a.pointer(&pin, 16, unsafe.Pointer(&license[0]))
	*(*[16]byte)(unsafe.Pointer(&a[6])) = name
	fd, err := bpf(unix.BPF_PROG_LOAD, "prog_load", &a)
	if errors.Is(err, unix.E2BIG) {
		return -1, fmt.Errorf("device rules are too many for the kernel's verifier: %w", err)
	}
	return fd, err
}

// maxPrograms is how many programs one cgroup can have (BPF_CGROUP_MAX_PROGS).
const maxPrograms = 64

// attached returns the ids of the device programs of one cgroup.
func attached(cgroup int) ([]uint32, error) {
	ids := make([]uint32, maxPrograms)
	var a attr
	var pin runtime.Pinner
	defer pin.Unpin()
	a.set(0, uint32(cgroup))
	a.set(4, unix.BPF_CGROUP_DEVICE)
	a.pointer(&pin, 16, unsafe.Pointer(&ids[0]))
	a.set(24, uint32(len(ids)))
	if _, err := bpf(unix.BPF_PROG_QUERY, "prog_query", &a); err != nil {
		return nil, err
	}
	return ids[:min(int(a.get(24)), len(ids))], nil
}

func openID(id uint32) (int, error) {
	var a attr
	a.set(0, id)
	return bpf(unix.BPF_PROG_GET_FD_BY_ID, "prog_get_fd_by_id", &a)
}

// attach adds a program to a cgroup, or puts it in the place of another.
func attach(cgroup, prog, replace int) error {
	var a attr
	a.set(0, uint32(cgroup))
	a.set(4, uint32(prog))
	a.set(8, unix.BPF_CGROUP_DEVICE)
	flags := uint32(unix.BPF_F_ALLOW_MULTI)
	if replace >= 0 {
		flags |= unix.BPF_F_REPLACE
		a.set(16, uint32(replace))
	}
	a.set(12, flags)
	_, err := bpf(unix.BPF_PROG_ATTACH, "prog_attach", &a)
	return err
}

func detach(cgroup, prog int) error {
	var a attr
	a.set(0, uint32(cgroup))
	a.set(4, uint32(prog))
	a.set(8, unix.BPF_CGROUP_DEVICE)
	_, err := bpf(unix.BPF_PROG_DETACH, "prog_detach", &a)
	return err
}

// Attach makes the program the only device filter of the version 2 cgroup
// behind a directory descriptor, which may be O_PATH. The kernel keeps it as
// long as the cgroup exists. Filters of cgroups above it stay in force.
//
// There is no moment without a filter: a single older program is replaced in
// one step (BPF_F_REPLACE, kernel 5.6); of several, which only deny more
// together, the new one is added before the others go.
func (p *Program) Attach(cgroup int) error {
	prog, err := p.load()
	if err != nil {
		return err
	}
	defer unix.Close(prog)
	// Somebody else may replace the program between our look and our step.
	for range 20 {
		var ids []uint32
		if ids, err = attached(cgroup); err != nil {
			return err
		}
		err = attachOver(cgroup, prog, ids)
		if !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return err
}

// attachOver attaches the program in the place of those with the given ids. It
// returns ENOENT when they are not the ones that are attached.
func attachOver(cgroup, prog int, ids []uint32) error {
	old := make([]int, 0, len(ids))
	defer func() {
		for _, fd := range old {
			unix.Close(fd)
		}
	}()
	for _, id := range ids {
		fd, err := openID(id)
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			// A security module keeps it from us. It can only deny more.
			continue
		}
		if err != nil {
			return err
		}
		old = append(old, fd)
	}
	if len(old) == 1 && len(ids) == 1 {
		return attach(cgroup, prog, old[0])
	}
	if err := attach(cgroup, prog, -1); err != nil {
		return err
	}
	for _, fd := range old {
		if err := detach(cgroup, fd); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("older device filter: %w", err)
		}
	}
	return nil
}
