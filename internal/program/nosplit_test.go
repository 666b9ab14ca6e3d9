package program

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// The tests in this file hold the compiled child to the rules of the package
// comment: they disassemble it and follow its calls.

// inspectedMain is a program that contains [fork], and functions that break the
// rules, each in its own way.
const inspectedMain = `package main

import (
	"os"
	"syscall"

	"github.com/oci-mini/oci-mini/internal/program"
)

//go:noinline
func good(x []byte, n int) uintptr {
	pid, _, _ := syscall.RawSyscall6(1, 0, 0, 0, 0, 0, 0)
	for pid != 0 {
		pid, _, _ = syscall.RawSyscall6(2, 0, 0, 0, 0, 0, 0)
	}
	return pid
}

//go:noinline
func bounds(x []byte, n int) uintptr {
	pid, _, _ := syscall.RawSyscall6(1, 0, 0, 0, 0, 0, 0)
	return pid + uintptr(x[n])
}

var kept *[100]byte

//go:noinline
func allocates(x []byte, n int) uintptr {
	pid, _, _ := syscall.RawSyscall6(1, 0, 0, 0, 0, 0, 0)
	if pid == 0 {
		kept = new([100]byte)
	}
	return pid
}

var place struct{ p *byte }

//go:noinline
func pointerStore(x []byte, n int) uintptr {
	pid, _, _ := syscall.RawSyscall6(1, 0, 0, 0, 0, 0, 0)
	place.p = &x[:1][0]
	return pid
}

//go:noinline
func splits(x []byte, n int) uintptr {
	var big [1 << 16]byte
	for i := range big {
		big[i] = byte(n)
	}
	return uintptr(big[n&0xffff])
}

//go:noinline
func splitCallee(x []byte, n int) uintptr {
	pid, _, _ := syscall.RawSyscall6(1, 0, 0, 0, 0, 0, 0)
	return pid + splits(x, n)
}

var pointer = splits

//go:noinline
func indirect(x []byte, n int) uintptr {
	pid, _, _ := syscall.RawSyscall6(1, 0, 0, 0, 0, 0, 0)
	return pid + pointer(x, n)
}

//go:noinline
func entersScheduler(x []byte, n int) uintptr {
	pid, _, _ := syscall.RawSyscall6(1, 0, 0, 0, 0, 0, 0)
	_, _, _ = syscall.Syscall6(1, 0, 0, 0, 0, 0, 0)
	return pid
}

func main() {
	p, _ := program.NewAssembler().Finish()
	_, _ = p.Launch(program.Options{})
	for _, f := range []func([]byte, int) uintptr{good, bounds, allocates, pointerStore, splitCallee, indirect, entersScheduler} {
		f([]byte(os.Args[0]), len(os.Args))
	}
}
`

// buildInspected compiles inspectedMain for a machine and returns the binary. It
// becomes a package of this module by an overlay, because it imports an internal one.
func buildInspected(t *testing.T, goarch string, flags ...string) string {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source, overlay, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "inspected")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(here, "inspected", "main.go"): source,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{source: inspectedMain, overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"build", "-buildvcs=false", "-overlay", overlay, "-o", binary}, flags...)
	cmd := exec.Command(goTool, append(args, "./inspected")...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return binary
}

// instruction is one line of a disassembly.
type instruction struct {
	pc   uint64
	line string // file and line number
	op   string
	args string
	to   []uint64 // where a branch within the function may go
	sym  string   // the function that a call or jump names
}

// inspector follows calls through a binary.
type inspector struct {
	disassemble func(function string) []instruction
	found       []string // violations
	seen        map[string]bool
}

// inspect returns what in the function, and in all it calls, breaks the rules.
func inspect(disassemble func(string) []instruction, function string) []string {
	in := inspector{disassemble: disassemble, seen: map[string]bool{}}
	in.child(function)
	return in.found
}

func (in *inspector) flag(function string, i instruction, why string) {
	in.found = append(in.found, fmt.Sprintf("%s (%s, %#x): %s %s: %s", function, i.line, i.pc, i.op, i.args, why))
}

const rawSyscall = "syscall.RawSyscall6"

// child checks the function that clones. Before its first system call, which is
// the clone, it is an ordinary Go function.
func (in *inspector) child(function string) {
	code := in.disassemble(function)
	first := -1
	for n, i := range code {
		if i.sym == rawSyscall {
			first = n
			break
		}
	}
	if first < 0 {
		in.found = append(in.found, function+": no system call")
		return
	}
	for n := 0; n < len(code); n++ {
		i := code[n]
		switch {
		case strings.HasPrefix(i.sym, "runtime.morestack"):
			n = in.prologue(function, code, first, n)
		case n > first:
			in.check(function, i)
		}
	}
}

// check looks at an instruction of the child.
func (in *inspector) check(function string, i instruction) {
	switch {
	case !isCall(i.op) && (i.sym == "" || i.sym == function):
	case i.sym == "":
		in.flag(function, i, "nobody knows who is called")
	case strings.HasPrefix(i.sym, "runtime."):
		in.flag(function, i, "the child enters the Go runtime")
	default:
		in.callee(i.sym)
	}
}

// callee checks a function that the child calls: it must be nosplit, and so on.
func (in *inspector) callee(function string) {
	if in.seen[function] {
		return
	}
	in.seen[function] = true
	for _, i := range in.disassemble(function) {
		in.check(function, i)
	}
}

// prologue checks the block with the call of morestack, and returns the index of
// its last instruction: it must end in a jump to the start of the function, and
// only what comes before the first system call may lead to it.
func (in *inspector) prologue(function string, code []instruction, first, call int) int {
	end := call
	for end+1 < len(code) && !isJump(code[end].op) {
		end++
	}
	if code[end].sym != function {
		in.flag(function, code[call], "does not go back to the start of the function")
	}
	begin := call
	for begin > 0 && !isBranch(code[begin-1]) {
		begin--
	}
	if begin > 0 && !isJump(code[begin-1].op) && begin-1 >= first {
		in.flag(function, code[begin-1], "falls through to the stack check")
	}
	reached := false
	for n, i := range code {
		for _, to := range i.to {
			if to < code[begin].pc || to > code[end].pc || n >= begin && n <= end {
				continue
			}
			if n > first {
				in.flag(function, i, "leads to the stack check")
			}
			reached = true
		}
	}
	if !reached && begin > first {
		in.flag(function, code[call], "nothing leads here: the disassembly is not understood")
	}
	return end
}

// isCall says whether an instruction is a call on any of the three machines.
func isCall(op string) bool {
	switch op {
	case "CALL", "BL", "BLR", "JAL", "JALR", "CALLR":
		return true
	}
	return false
}

// isJump says whether what follows the instruction is reached otherwise only.
func isJump(op string) bool { return op == "JMP" || op == "B" || op == "RET" || op == "UNDEF" }

// isBranch says whether the instruction may go on elsewhere than behind it.
func isBranch(i instruction) bool { return isJump(i.op) || isCall(i.op) || len(i.to) > 0 }

var (
	symbolOperand   = regexp.MustCompile(`(\S+)\(SB\)$`)
	absoluteOperand = regexp.MustCompile(`^0x[0-9a-f]+$`)
	relativeOperand = regexp.MustCompile(`(-?\d+)\(PC\)$`)
	branchOp        = regexp.MustCompile(`^(J|B|CB|TB)`)
)

// objdump disassembles functions of the binary.
func objdump(t *testing.T, binary string) func(function string) []instruction {
	return func(function string) []instruction {
		t.Helper()
		out, err := exec.Command("go", "tool", "objdump", "-s", "^"+regexp.QuoteMeta(function)+"$", binary).CombinedOutput()
		if err != nil {
			t.Fatalf("objdump: %v\n%s", err, out)
		}
		code := parseObjdump(t, string(out))
		if len(code) == 0 {
			t.Fatalf("%s is not in the binary", function)
		}
		return code
	}
}

func parseObjdump(t *testing.T, text string) []instruction {
	t.Helper()
	var code []instruction
	for line := range strings.Lines(text) {
		// "  file.go:29	0x4a1480	4c8da424b0fdffff	LEAQ 0xfffffdb0(SP), R12	"
		fields := strings.FieldsFunc(strings.TrimSpace(line), func(r rune) bool { return r == '\t' })
		if len(fields) < 4 {
			continue
		}
		pc, err := strconv.ParseUint(fields[1], 0, 64)
		if err != nil {
			t.Fatalf("objdump said %q", line)
		}
		i := instruction{pc: pc, line: fields[0]}
		i.op, i.args, _ = strings.Cut(strings.TrimSpace(fields[3]), " ")
		if isCall(i.op) || branchOp.MatchString(i.op) {
			if m := symbolOperand.FindStringSubmatch(i.args); m != nil {
				i.sym = m[1]
			} else if absoluteOperand.MatchString(i.args) {
				to, _ := strconv.ParseUint(i.args, 0, 64)
				i.to = []uint64{to}
			} else if m := relativeOperand.FindStringSubmatch(i.args); m != nil {
				n, _ := strconv.ParseInt(m[1], 10, 64)
				// In words of four bytes. RISC-V has instructions of two, which
				// the disassembler rounds away.
				i.to = []uint64{pc + uint64(4*n), pc + uint64(4*n-2), pc + uint64(4*n+2)}
			}
		}
		code = append(code, i)
	}
	return code
}

// forkSymbol is the linker's name of [fork].
const forkSymbol = "github.com/oci-mini/oci-mini/internal/program.fork"

// TestChildNeedsNoRuntime holds the child to the rules on all machines. It is about
// optimised code: with -gcflags=-N the compiler keeps the bounds checks that it
// else proves needless, calls of runtime.panicBounds that are never made.
func TestChildNeedsNoRuntime(t *testing.T) {
	for _, goarch := range []string{"amd64", "arm64", "riscv64"} {
		t.Run(goarch, func(t *testing.T) {
			if testing.Short() && goarch != runtime.GOARCH {
				t.Skip("-short: this machine's own code only")
			}
			disassemble := objdump(t, buildInspected(t, goarch))
			for _, violation := range inspect(disassemble, forkSymbol) {
				t.Error(violation)
			}
			// The same inspector must see what is wrong with these.
			for function, want := range map[string]string{
				"good":            "",
				"bounds":          "runtime.panic",
				"allocates":       "runtime.newobject",
				"pointerStore":    "runtime.gcWriteBarrier",
				"splitCallee":     "main.splits",
				"indirect":        "nobody knows who is called",
				"entersScheduler": "entersyscall",
			} {
				found := strings.Join(inspect(disassemble, "main."+function), "\n")
				if (want == "") != (found == "") || !strings.Contains(found, want) {
					t.Errorf("%s: found %q, want %q", function, found, want)
				}
			}
		})
	}
}

// TestInspectorPrologue: the stack check is seen when something behind the clone
// leads to it, which no compiler does.
func TestInspectorPrologue(t *testing.T) {
	const (
		head  = "  f.go:1\t0x10\t00\tJBE 0x50\t\n" + "  f.go:1\t0x18\t00\tCALL syscall.RawSyscall6(SB)\t\n"
		check = "  f.go:1\t0x50\t00\tMOVQ AX, 0x8(SP)\t\n" + "  f.go:1\t0x58\t00\tCALL runtime.morestack_noctxt.abi0(SB)\t\n" +
			"  f.go:1\t0x60\t00\tMOVQ 0x8(SP), AX\t\n"
		again = "  f.go:1\t0x68\t00\tJMP f(SB)\t\n"
	)
	tests := []struct{ name, text, want string }{
		{"as compiled", head + "  f.go:2\t0x20\t00\tJMP 0x18\t\n" + check + again, ""},
		{"branch to the check", head + "  f.go:2\t0x20\t00\tJNE 0x50\t\n  f.go:2\t0x28\t00\tRET\t\n" + check + again, "leads to the stack check"},
		{"branch into the check", head + "  f.go:2\t0x20\t00\tJMP 0x58\t\n" + check + again, "leads to the stack check"},
		{"relative branch", head + "  f.go:2\t0x20\t00\tBNE 12(PC)\t\n  f.go:2\t0x28\t00\tRET\t\n" + check + again, "leads to the stack check"},
		{"fall into the check", head + "  f.go:2\t0x20\t00\tJNE 0x10\t\n" + check + again, "falls through to the stack check"},
		{"straight into the check", head + check + again, "falls through to the stack check"},
		{"check goes on", head + "  f.go:2\t0x20\t00\tJMP 0x18\t\n" + check + "  f.go:1\t0x68\t00\tJMP 0x20\t\n", "does not go back"},
		{"no clone", "  f.go:1\t0x10\t00\tRET\t\n", "no system call"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := inspect(func(function string) []instruction {
				if function != "f" {
					return nil
				}
				return parseObjdump(t, tt.text)
			}, "f")
			if text := strings.Join(found, "\n"); (tt.want == "") != (text == "") || !strings.Contains(text, tt.want) {
				t.Errorf("found %q, want %q", text, tt.want)
			}
		})
	}
}
