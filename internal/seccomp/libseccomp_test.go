package seccomp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

// A reference is a program that builds filters by libseccomp.
type reference struct {
	program string
	version string // libseccomp's
	numbers map[*arch]*[numNames]int
}

// newReference compiles it, so that no package has to be built with cgo.
func newReference(t testing.TB) reference {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to build a filter by libseccomp with")
	}
	r := filepath.Join(t.TempDir(), "libseccomp")
	out, err := exec.Command(compiler, "-O2", "-o", r, "testdata/libseccomp.c", "-lseccomp").CombinedOutput()
	if bytes.Contains(out, []byte("seccomp.h: No such file")) {
		t.Skip("libseccomp-dev is not installed")
	}
	if err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	ref := reference{program: r, numbers: map[*arch]*[numNames]int{}}
	version, err := ref.run("version\n")
	if err != nil {
		t.Fatal(err)
	}
	ref.version = strings.TrimSpace(string(version))
	return ref
}

func (r reference) run(input string, args ...string) ([]byte, error) {
	cmd := exec.Command(r.program, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, errs.Bytes())
	}
	return out.Bytes(), nil
}

// A libseccompProgram is what libseccomp makes of a profile: code, or the errno by which it
// refuses a rule (ETIME: it does not come to an end).
type libseccompProgram struct {
	code  []bpf.RawInstruction
	errno syscall.Errno
}

// programs builds filters, each from the lines up to an "end". The architectures are
// little-endian: programs that libseccomp 2.5.4 made for others, on a little-endian
// machine, seemed to have only some of their words in the other order. Whether they
// are meant to be used so was not run down.
func (r reference) programs(input string) (list []libseccompProgram, err error) {
	out, err := r.run(input)
	if err != nil {
		return nil, err
	}
	order := binary.LittleEndian
	for len(out) >= 4 {
		size := int(int32(order.Uint32(out)))
		out = out[4:]
		if size <= 0 {
			list = append(list, libseccompProgram{errno: syscall.Errno(-size)})
			continue
		}
		var code []bpf.RawInstruction
		for in := out[:size]; len(in) >= 8; in = in[8:] {
			code = append(code, bpf.RawInstruction{Op: order.Uint16(in), Jt: in[2], Jf: in[3], K: order.Uint32(in[4:])})
		}
		list = append(list, libseccompProgram{code: code})
		out = out[size:]
	}
	return list, nil
}

// compile builds the filter of a profile as runc and crun do.
func (r reference) compile(p *specs.LinuxSeccomp, native specs.Arch, optimize int) ([]bpf.RawInstruction, error) {
	list, err := r.programs(libseccompInput(p, native, optimize))
	if err != nil {
		return nil, err
	}
	if len(list) != 1 || list[0].errno != 0 {
		return nil, fmt.Errorf("libseccomp: %v", list)
	}
	return list[0].code, nil
}

// token is the number by which libseccomp knows an architecture.
func token(a *arch) uint32 {
	if a.x32() {
		return a.audit &^ (1 << 31) // without __AUDIT_ARCH_64BIT
	}
	return a.audit
}

// Numbers of enum scmp_compare, in the order of the operators here.
var libseccompOps = [...]int{equal: 4, notEqual: 1, less: 2, lessEqual: 3, greater: 6, greaterEqual: 5, maskedEqual: 7}

func libseccompInput(p *specs.LinuxSeccomp, native specs.Arch, optimize int) string {
	var b strings.Builder
	fallback := interpretAction(p.DefaultAction, p.DefaultErrnoRet)
	fmt.Fprintf(&b, "default %x\noptimize %d\n", fallback, optimize)
	for _, name := range append([]specs.Arch{native}, p.Architectures...) {
		fmt.Fprintf(&b, "arch %x\n", token(findArch(name)))
	}
	for _, s := range p.Syscalls {
		ret := interpretAction(s.Action, s.ErrnoRet)
		if ret == fallback {
			continue
		}
		for _, name := range s.Names {
			sets := [][]specs.LinuxSeccompArg{s.Args}
			if interpretTwice(s.Args) {
				sets = nil
				for i := range s.Args {
					sets = append(sets, s.Args[i:i+1])
				}
			}
			for _, set := range sets {
				fmt.Fprintf(&b, "rule %x %s %d", ret, name, len(set))
				for _, a := range set {
					op := slices.Index(operators[:], a.Op)
					fmt.Fprintf(&b, " %d %d %x %x", a.Index, libseccompOps[op], a.Value, a.ValueTwo)
				}
				b.WriteString("\n")
			}
		}
	}
	b.WriteString("end\n")
	return b.String()
}

// numbersOn asks libseccomp for the numbers of all names of the tables on an
// architecture; a negative one is none.
func (r reference) numbersOn(t *testing.T, on *arch) *[numNames]int {
	t.Helper()
	if known := r.numbers[on]; known != nil {
		return known
	}
	numbers := new([numNames]int)
	r.numbers[on] = numbers
	var b strings.Builder
	for call := range numNames {
		fmt.Fprintf(&b, "resolve %x %s\n", token(on), nameAt(call))
	}
	out, err := r.run(b.String())
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Fields(string(out)) {
		if numbers[i], err = strconv.Atoi(line); err != nil {
			t.Fatal(err)
		}
	}
	return numbers
}

// TestTablesOfLibseccomp compares all numbers that both know.
func TestTablesOfLibseccomp(t *testing.T) {
	r := newReference(t)
	for i := range arches {
		on, both := &arches[i], 0
		for call, theirs := range r.numbersOn(t, on) {
			ours, ok := on.number(call)
			switch {
			case theirs < 0:
			case !ok:
				t.Errorf("%s lacks %s, which is %d", on.name, nameAt(call), theirs)
			case ours != uint32(theirs):
				t.Errorf("%s: %s is %d here and %d in libseccomp", on.name, nameAt(call), ours, theirs)
			default:
				both++
			}
		}
		t.Logf("%s: %d numbers are the same", on.name, both)
	}
}

// versus compares a program with that of libseccomp, for every number of the
// architectures of a profile and arguments around those of the rules. It returns how
// many calls it compared.
func (r reference) versus(t *testing.T, p *specs.LinuxSeccomp, native specs.Arch, theirs []bpf.RawInstruction) (compared int) {
	t.Helper()
	f, err := Compile(p, native)
	if err != nil {
		t.Fatal(err)
	}
	fallback := interpretAction(p.DefaultAction, p.DefaultErrnoRet)
	for _, name := range f.Arches {
		on := findArch(name)
		known := map[uint32]bool{}
		for call, nr := range r.numbersOn(t, on) {
			if ours, ok := on.number(call); ok && nr >= 0 {
				known[ours] = true
			}
		}
		for _, nr := range numbersOf(on) {
			name := on.nameOf(nr)
			if name != "" && !known[nr] {
				continue // newer than this libseccomp, so it ignores rules for it
			}
			if on.muxed && (name == "socketcall" || name == "ipc") && !namesOnlyItself(p, name) {
				continue // different on purpose: see doc.go
			}
			for _, args := range argsFor(p, name, &dice{}) {
				if !on.wide {
					for i := range args {
						args[i] &= 1<<32 - 1
					}
				}
				call := &Data{Number: nr, Arch: on.audit, Args: args}
				got, _ := run(f.Program, call, on.big)
				want, _ := run(theirs, call, on.big)
				if want == fallback && got == on.enosys() && interpret(p, native, call).Rule == "" {
					continue // a call that is newer than the profile
				}
				if got != want {
					t.Fatalf("%s: %s (%d) with %#x: %#x, and %#x by libseccomp\nprofile: %.2000s", on.name, name, nr, args, got, want, text(p))
				}
				compared++
			}
		}
	}
	return compared
}

// namesOnlyItself says that a profile's rules for a multiplexer are its own alone, or
// without condition.
func namesOnlyItself(p *specs.LinuxSeccomp, multiplexer string) bool {
	for _, s := range p.Syscalls {
		if slices.Contains(s.Names, multiplexer) && len(s.Args) == 0 {
			return true
		}
	}
	return false
}

func TestEnginesProfilesByLibseccomp(t *testing.T) {
	r := newReference(t)
	for _, test := range engineProfiles {
		if findArch(test.native).big {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			p := test.load(t)
			theirs, err := r.compile(p, test.native, 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d calls, %d instructions by libseccomp", r.versus(t, p, test.native, theirs), len(theirs))
		})
	}
}

// TestRolledProfilesByLibseccomp has profiles in which a call has at most one entry
// with conditions, each on another argument, beside those without; several of one call
// are the matter of [TestOverlapsByLibseccomp].
func TestRolledProfilesByLibseccomp(t *testing.T) {
	r := newReference(t)
	random := rand.New(rand.NewPCG(3, 4))
	compared := 0
	for range 150 {
		d := make(dice, 256)
		for i := range d {
			d[i] = byte(random.Uint32())
		}
		p := d.roll()
		p.Architectures = nil
		on := &arches[d.pick(len(arches))]
		switch {
		case on.big, on.muxed, on.x32(), on.name == specs.ArchLOONGARCH64, on.name == specs.ArchSH:
			// Not to be had from every libseccomp, or not alone; multiplexed calls
			// are another matter.
			on = findArch(specs.ArchX86_64)
		}
		conditional := map[string]bool{}
		for i := range p.Syscalls {
			s := &p.Syscalls[i]
			var seen [6]bool
			s.Args = slices.DeleteFunc(s.Args, func(a specs.LinuxSeccompArg) bool {
				twice := seen[a.Index]
				seen[a.Index] = true
				return twice
			})
			if len(s.Args) > 0 {
				s.Names = slices.DeleteFunc(s.Names, func(name string) bool {
					twice := conditional[name]
					conditional[name] = true
					return twice
				})
			}
		}
		theirs, err := r.compile(p, on.name, 1)
		if err != nil {
			t.Fatalf("%v\nprofile: %.2000s", err, text(p))
		}
		compared += r.versus(t, p, on.name, theirs)
	}
	t.Logf("%d calls compared", compared)
}

// BenchmarkLibseccomp measures what BenchmarkCompile and BenchmarkInstructions do.
func BenchmarkLibseccomp(b *testing.B) {
	r := newReference(b)
	for _, test := range engineProfiles {
		if findArch(test.native).big {
			continue
		}
		for _, optimize := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/optimize=%d", test.name, optimize), func(b *testing.B) {
				for b.Loop() {
				}
				r.measure(b, test.load(b), test.native, optimize)
			})
		}
	}
}

// measure reports what libseccomp's program of a profile costs.
func (r reference) measure(b *testing.B, p *specs.LinuxSeccomp, native specs.Arch, optimize int) {
	f, err := Compile(p, native)
	if err != nil {
		b.Fatal(err)
	}
	out, err := r.run(libseccompInput(p, native, optimize), "20")
	if err != nil {
		b.Fatal(err)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(ns, "ns/op")
	theirs, err := r.compile(p, native, optimize)
	if err != nil {
		b.Fatal(err)
	}
	on, sum := findArch(native), 0
	for _, call := range hotCalls(f) {
		_, steps := run(theirs, &Data{Number: call.nr, Arch: on.audit}, on.big)
		b.ReportMetric(float64(steps), call.name+"-insns")
		sum += steps
	}
	b.ReportMetric(float64(sum)/5, "mean-insns")
	b.ReportMetric(float64(len(theirs)), "length")
}
