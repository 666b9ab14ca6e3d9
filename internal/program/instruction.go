package program

// Reg names one of the child's registers. They start at zero, hold one machine
// word each, and are filled by the result of a call.
type Reg uint8

const (
	numRegs = 64

	// Discard as the destination of a call drops its result.
	Discard Reg = 0xff
)

// opcode says what the interpreter does with an instruction.
type opcode uint8

const (
	opCall        opcode = iota // make a system call
	opJump                      // go on at target
	opUnless                    // go on at target unless args[0] == args[1]
	opLoad32                    // dst = the 32-bit word at offset args[0] of the shared page, and-ed with args[1]
	opSet                       // dst = args[0]
	opPublish                   // value slot args[0] = args[1]
	opSync                      // tell the parent token args[0], wait for its answer
	opReportTo                  // send the shared memory's descriptor to socket args[0]
	opFork                      // go on in a child with CLONE_PARENT, in cgroup args[1]; publish its pid in slot args[0]
	opAside                     // go on in a child that has the same descriptors; when it has returned, at target in this process
	opReturn                    // end the process that opAside made
	opFail                      // fail with errno args[0]
	opCloseOthers               // close all descriptors from args[0] up but args[1], the shared memory's, and unless args[2] the sync socket
	opFilter                    // install the seccomp filter args[1] with flags args[0], see [Assembler.Filter]; args[2]: it has a listener; args[3]: exit_group is forbidden; args[4]: the socket to send the listener over
	opForget                    // clear args[1] bytes at args[0], the first args[3] of which become those at args[2]
	opExit                      // exit with status args[0]
)

// Kinds of operand.
const (
	kindConst  uint8 = iota // the value itself
	kindArena               // offset into the arena
	kindReg                 // register number
	kindShared              // offset into the shared page
)

// Arg is an operand of an instruction.
type Arg struct {
	kind  uint8
	value uintptr
}

// Const is a constant operand. Negative numbers, such as AT_FDCWD, are
// sign-extended as the kernel expects.
func Const[T ~int | ~int32 | ~int64 | ~uint32 | ~uint64 | ~uintptr](v T) Arg {
	return Arg{kindConst, uintptr(v)}
}

// Arg makes the register's content an operand.
func (r Reg) Arg() Arg { return Arg{kindReg, uintptr(r)} }

// Scratch is the address of memory in the shared page where a call may leave
// its output (statx, getcwd), offset bytes after its start. The memory is
// [ScratchSize] bytes long.
func Scratch(offset int) Arg {
	if offset < 0 || offset >= ScratchSize {
		panic("program: scratch offset out of range")
	}
	return Arg{kindShared, uintptr(scratchOffset + offset)}
}

// noCgroup is the operand of opFork that leaves the new process in this one's cgroup.
const noCgroup = ^uintptr(0)

// noCall is the system call number of an instruction that makes no call: zero
// is read(2) on amd64.
const noCall = ^uintptr(0)

// maxErrnos is how many errnos one call can give a target.
const maxErrnos = 6

// instr is the form in which the child reads an instruction. Its layout has no
// pointers, so that the array of them is plain memory.
type instr struct {
	op      opcode
	dst     Reg
	message uint8 // register with the fs context whose message explains a failure, plus one
	errnos  uint8 // how many of errno and to are in use
	retries uint8 // how often EAGAIN is tried again; the child counts it down
	kinds   [6]uint8
	errno   [maxErrnos]uint16 // errnos that do not fail the program
	to      [maxErrnos]uint32 // and where each goes on
	target  uint32            // of opJump and opUnless
	noteLen uint32            // of the note at arena offset note, for a peer (opReportTo)
	note    uintptr
	nr      uintptr
	args    [6]uintptr
}

// Origin tells which step an instruction came from and what it does. It stays
// with the parent, which owns all text.
type Origin struct {
	Step int     // index of the plan's step
	Nr   uintptr // system call number; control instructions have none
	Note string  // the call's object, such as `size=1m`, or ""
}
