package program

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Label is a place in a Program that jumps can name before it is known.
type Label int

// Assembler builds a Program. Its methods do not fail: the first fault is kept
// and returned by [Assembler.Finish], so that translation code reads as a plain
// list of what happens.
type Assembler struct {
	code    []instr
	origin  []Origin
	arena   []byte
	strings map[string]Arg
	pointer []reloc
	labels  []int   // label -> instruction, -1 while unbound
	fixups  []fixup // operands that name labels
	free    [numRegs]bool
	step    int
	notes   bool // notes go into the arena, for failures reported to a peer
	forks   bool // there is an opFork already
	mem     *workspace
	err     error
}

// reloc is a word of the arena that must become the address of another place
// in the arena.
type reloc struct{ at, to uintptr }

// fixup is a jump target to fill in: errno slot of the instruction, or its
// target where slot is negative.
type fixup struct {
	code  int
	slot  int
	label Label
}

// usual is room for the instructions of a usual container: growing would touch twice the
// memory, and what is not used is never touched.
const usual = 1024

// NewAssembler returns an empty Program's assembler.
func NewAssembler() *Assembler {
	a := &Assembler{
		origin:  make([]Origin, 0, usual),
		labels:  make([]int, 0, usual/2),
		fixups:  make([]fixup, 0, usual/2),
		strings: make(map[string]Arg, 128),
	}
	a.mem, a.err = newWorkspace()
	a.code, a.arena = a.mem.slices()
	for i := range a.free {
		a.free[i] = true
	}
	return a
}

// Step attributes the instructions that follow to the plan's step with this index.
func (a *Assembler) Step(index int) { a.step = index }

// fault keeps the first fault.
func (a *Assembler) fault(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("program: "+format, args...)
	}
}

// Reg takes a register. It must be given back with [Assembler.Release] once its
// content is not needed any more.
func (a *Assembler) Reg() Reg {
	for i := range a.free {
		if a.free[i] {
			a.free[i] = false
			return Reg(i)
		}
	}
	a.fault("out of registers")
	return 0
}

// Release gives registers back.
func (a *Assembler) Release(regs ...Reg) {
	for _, r := range regs {
		if r < numRegs {
			a.free[r] = true
		}
	}
}

// NewLabel makes a label that is bound later.
func (a *Assembler) NewLabel() Label {
	a.labels = append(a.labels, -1)
	return Label(len(a.labels) - 1)
}

// Bind puts the label before the next instruction.
func (a *Assembler) Bind(l Label) {
	if a.labels[l] >= 0 {
		a.fault("label %d bound twice", l)
	}
	a.labels[l] = len(a.code)
}

// emit appends an instruction.
func (a *Assembler) emit(op opcode, dst Reg, nr uintptr, args []Arg) int {
	in := instr{op: op, dst: dst, nr: nr}
	if len(args) > len(in.args) {
		a.fault("%d operands", len(args))
		args = args[:len(in.args)]
	}
	for i, arg := range args {
		if arg.kind == kindReg && arg.value >= numRegs {
			a.fault("register %d as operand", arg.value)
		}
		in.kinds[i], in.args[i] = arg.kind, arg.value
	}
	a.code = append(a.code, in)
	a.origin = append(a.origin, Origin{Step: a.step, Nr: nr})
	return len(a.code) - 1
}

// Call is an emitted system call that can still be qualified.
type Call struct {
	a  *Assembler
	at int
}

// Call emits a system call whose result goes to dst. Without qualification,
// any error ends the program with a report.
func (a *Assembler) Call(dst Reg, nr uintptr, args ...Arg) Call {
	return Call{a, a.emit(opCall, dst, nr, args)}
}

// On goes on at the label if the call fails with the errno; its destination
// then holds zero.
func (c Call) On(errno unix.Errno, l Label) Call {
	in := &c.a.code[c.at]
	if in.errnos == maxErrnos {
		c.a.fault("more than %d errnos on one call", maxErrnos)
		return c
	}
	in.errno[in.errnos] = uint16(errno)
	c.a.fixups = append(c.a.fixups, fixup{c.at, int(in.errnos), l})
	in.errnos++
	return c
}

// Tolerate goes on with the next instruction if the call fails with one of the errnos.
func (c Call) Tolerate(errnos ...unix.Errno) Call {
	next := c.a.NewLabel()
	c.a.labels[next] = c.at + 1
	for _, e := range errnos {
		c.On(e, next)
	}
	return c
}

// Retry makes the call again, up to n times, while it fails with EAGAIN, as
// openat2(2) does when a rename elsewhere kept it from being sure that a `..`
// stayed inside.
func (c Call) Retry(n uint8) Call {
	c.a.code[c.at].retries = n
	return c
}

// Message names the register with the fs context (fsopen(2), fspick(2)) whose
// log explains a failure of this call in the kernel's own words.
func (c Call) Message(fsContext Reg) Call {
	if fsContext >= numRegs {
		c.a.fault("register %d as fs context", fsContext)
		return c
	}
	c.a.code[c.at].message = uint8(fsContext) + 1
	return c
}

// Note says what the call is about, such as the option that it sets.
func (c Call) Note(note string) Call {
	c.a.origin[c.at].Note = note
	if c.a.notes {
		in := &c.a.code[c.at]
		in.note, in.noteLen = c.a.String(note).value, uint32(len(note))
	}
	return c
}

// Jump goes on at the label.
func (a *Assembler) Jump(l Label) {
	a.fixups = append(a.fixups, fixup{a.emit(opJump, Discard, noCall, nil), -1, l})
}

// Unless goes on at the label unless both operands are equal.
func (a *Assembler) Unless(x, y Arg, l Label) {
	a.fixups = append(a.fixups, fixup{a.emit(opUnless, Discard, noCall, []Arg{x, y}), -1, l})
}

// Load32 reads the 32-bit word at this offset into the scratch memory, and-ed
// with the mask.
func (a *Assembler) Load32(dst Reg, offset int, mask uint32) {
	a.emit(opLoad32, dst, noCall, []Arg{Const(Scratch(offset).value), Const(mask)})
}

// Set puts an operand into a register.
func (a *Assembler) Set(dst Reg, v Arg) { a.emit(opSet, dst, noCall, []Arg{v}) }

// Publish shows a value to the parent, which reads it with [Child.Value].
func (a *Assembler) Publish(slot int, v Arg) {
	if slot < 0 || slot >= numValues {
		a.fault("value slot %d", slot)
		return
	}
	a.emit(opPublish, Discard, noCall, []Arg{Const(slot), v})
}

// Sync tells the parent the token and waits until it calls [Child.Continue].
// If the parent is gone, the child exits: nobody is left to use it.
func (a *Assembler) Sync(token byte) { a.emit(opSync, Discard, noCall, []Arg{Const(int(token))}) }

// ReportTo sends the memory that the child shares with its parent to a socket
// (SCM_RIGHTS), where [Meet] takes it: whoever has the other end learns of failures
// as the parent does, and need not be the parent.
func (a *Assembler) ReportTo(socket Arg) {
	a.emit(opReportTo, Discard, noCall, []Arg{socket})
	a.notes = true
}

// Filter installs a seccomp filter (seccomp(2), SECCOMP_SET_MODE_FILTER): flags are
// SECCOMP_FILTER_FLAG_*, filter is an array of struct sock_filter. From there on the
// child makes no system call but those of the instructions that follow, and the one that
// way may ask for: it waits and reports through shared memory. mayExit says that the filter lets the child
// call exit_group; otherwise it ends itself by a fault.
//
// With SECCOMP_FILTER_FLAG_NEW_LISTENER the child waits, without a system call, until
// its listener has been taken ([Listener.Take]); dst then holds its number. way says how
// it gets out: [ListenerTaken], [ListenerToParent], or a socket. To send it is a
// sendmsg(2) behind the filter, with any address as the message and MSG_NOSIGNAL, which
// the filter has to let through.
func (a *Assembler) Filter(dst Reg, flags uint32, filter []byte, mayExit bool, way Arg) {
	prog := a.Words(uint64(len(filter)/sizeofSockFilter), 0) // struct sock_fprog
	a.PointTo(prog, 8, a.Bytes(filter))
	listens, mute := 0, 1
	if flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
		listens = 1
	}
	if mayExit {
		mute = 0
	}
	a.emit(opFilter, dst, unix.SYS_SECCOMP, []Arg{Const(flags), prog, Const(listens), Const(mute), way})
}

// sizeofSockFilter is the size of struct sock_filter in bytes.
const sizeofSockFilter = 8

// Fork goes on in a new child whose parent is this process's parent
// (CLONE_PARENT), publishes its pid in the slot, and ends this process. It is
// how a process enters a pid namespace that it joined with setns(2). The
// [Child] follows: from its next event on, its Pid and Pidfd are the new ones.
//
// cgroup is the directory of the cgroup v2 that the child is born in, or -1 for
// this process's: so only one process of a Program ever counts there.
//
// A Program forks once. The first process of a pid namespace can't (EINVAL).
func (a *Assembler) Fork(slot, cgroup int) {
	if slot < 0 || slot >= numValues {
		a.fault("value slot %d", slot)
		return
	}
	if a.forks {
		a.fault("second fork")
	}
	a.forks = true
	call := uintptr(unix.SYS_CLONE3)
	if cgroup == -1 {
		call = unix.SYS_CLONE
	}
	a.emit(opFork, Discard, call, []Arg{Const(slot), Const(cgroup)})
}

// Aside goes on in a child of this process that shares its descriptors, but neither its
// memory nor its namespaces, root directory and umask (CLONE_FILES of clone3(2)), while this
// process waits. Once the child has come to [Assembler.Return], this one goes on at the
// label: what the child has opened is open, and its registers are as they were. The child
// uses the sync socket as its parent would, and its failure is the Program's.
//
// It is for what takes namespaces that this process must not enter, as there would be no way back.
func (a *Assembler) Aside(after Label) {
	a.fixups = append(a.fixups, fixup{a.emit(opAside, Discard, unix.SYS_CLONE3, nil), -1, after})
}

// Return ends the process that [Assembler.Aside] has made.
func (a *Assembler) Return() { a.emit(opReturn, Discard, noCall, nil) }

// Fail ends the program with this errno.
func (a *Assembler) Fail(errno unix.Errno, note string) {
	Call{a, a.emit(opFail, Discard, noCall, []Arg{Const(int(errno))})}.Note(note)
}

// CloseOthers closes every descriptor from first up, but for keep (-1 for none),
// the sync socket, and that of the shared memory if it is to be sent
// ([Assembler.ReportTo]); both are close-on-exec. It comes before anything that is
// looked up by a name of the container's: a link to /proc/self/fd/N would
// otherwise reach what the runtime has open (CVE-2024-21626).
func (a *Assembler) CloseOthers(first, keep int) {
	a.emit(opCloseOthers, Discard, noCall, []Arg{Const(first), Const(keep), Const(0)})
}

// Part is CloseOthers that closes the sync socket too: the parent sees the end of
// it, and no sync point can follow.
func (a *Assembler) Part(first, keep int) {
	a.emit(opCloseOthers, Discard, noCall, []Arg{Const(first), Const(keep), Const(1)})
}

// Exit ends the process without an error.
func (a *Assembler) Exit(status int) { a.emit(opExit, Discard, noCall, []Arg{Const(status)}) }

// Finish resolves labels and addresses and returns the Program.
func (a *Assembler) Finish() (*Program, error) {
	if a.err != nil {
		return nil, a.err
	}
	for _, f := range a.fixups {
		to := a.labels[f.label]
		if to < 0 {
			return nil, fmt.Errorf("program: label %d is never bound", f.label)
		}
		if f.slot < 0 {
			a.code[f.code].target = uint32(to)
		} else {
			a.code[f.code].to[f.slot] = uint32(to)
		}
	}
	// The end of the array is reached only by a Program that forgot to end.
	a.emit(opFail, Discard, noCall, []Arg{Const(int(unix.ENOEXEC))})
	a.origin[len(a.origin)-1].Note = "end of program"
	p, err := newProgram(a.mem, a.code, a.origin, a.arena, a.pointer)
	if err == nil {
		p.reports = a.notes
	}
	return p, err
}
