package seccomp

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

// compare holds a compiled profile to the interpreter: every number of every
// architecture, and arguments around those of the rules.
func compare(t *testing.T, p *specs.LinuxSeccomp, native specs.Arch, d *dice) {
	t.Helper()
	compareOn(t, p, native, d, Arches())
}

// compareOn compares calls of some architectures.
func compareOn(t *testing.T, p *specs.LinuxSeccomp, native specs.Arch, d *dice, callers []specs.Arch) {
	t.Helper()
	f, err := Compile(p, native)
	if err != nil && strings.Contains(err.Error(), "under the same conditions") {
		return // TestOverlapsByLibseccomp holds this to libseccomp
	}
	if err != nil {
		t.Fatal(err)
	}
	vm := newMachine(t, f.Program)
	for _, name := range callers {
		on := findArch(name)
		for _, nr := range numbersOf(on) {
			for _, args := range argsFor(p, on.nameOf(nr), d) {
				call := &Data{Number: nr, Arch: on.audit, Args: args}
				got, steps := run(f.Program, call, on.big)
				want := interpret(p, native, call)
				if got != want.Ret {
					t.Fatalf("%s: call %d (%s) with %#x:\nthe program returns %#x\n%s says %#x\nprofile: %.3000s",
						on.name, nr, on.nameOf(nr), args, got, want.Rule, want.Ret, text(p))
				}
				if steps > len(f.Program) {
					t.Fatalf("%s: call %d: %d instructions of %d", on.name, nr, steps, len(f.Program))
				}
				if nr%31 == 0 {
					vm.agrees(t, call, on.big, got)
				}
			}
		}
	}
	vm.agrees(t, &Data{Arch: 0x12345678}, false, badArch)
}

func text(p *specs.LinuxSeccomp) []byte {
	text, _ := json.Marshal(p)
	return text
}

// numbersOf returns all numbers in and around the tables.
func numbersOf(on *arch) (numbers []uint32) {
	base := uint32(0)
	switch on.calls {
	case &callsX32:
		base = x32Bit
	case &callsMips:
		base = 4000
	case &callsMips64:
		base = 5000
	case &callsMips64n32:
		base = 6000
	}
	for nr := base; nr < base+600; nr++ {
		numbers = append(numbers, nr)
	}
	for nr := uint32(armPrivate - 1); nr < armPrivate+9; nr++ {
		numbers = append(numbers, nr)
	}
	return append(numbers, base-1, 1<<16-1, x32Bit-1, x32Bit, x32Bit+1, 1<<31-1, 1<<31, 1<<32-2, 1<<32-1)
}

// A machine executes filters by the library's interpreter of BPF.
type machine struct{ vm *bpf.VM }

func newMachine(t *testing.T, program []bpf.RawInstruction) machine {
	t.Helper()
	code, ok := bpf.Disassemble(program)
	if !ok {
		t.Fatal("the library does not know an instruction")
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	return machine{vm}
}

func (m machine) agrees(t *testing.T, d *Data, big bool, want uint32) {
	t.Helper()
	// It reads words as those of a packet, most significant byte first.
	packet := make([]byte, dataSize)
	for offset := uint32(0); offset < dataSize; offset += 4 {
		binary.BigEndian.PutUint32(packet[offset:], d.word(offset, big))
	}
	got, err := m.vm.Run(packet)
	if err != nil || uint32(got) != want {
		t.Fatalf("the library's machine returns %#x, %v instead of %#x for %+v", got, err, want, d)
	}
}

func TestEnginesProfiles(t *testing.T) {
	for _, test := range engineProfiles {
		t.Run(test.name, func(t *testing.T) {
			compare(t, test.load(t), test.native, &dice{})
		})
	}
}

// TestEveryArch compiles one profile for each architecture as the native one, alone,
// and then for all of them at once.
func TestEveryArch(t *testing.T) {
	p := loadProfile(t, "testdata/operators.json")
	for _, native := range Arches() {
		compareOn(t, p, native, &dice{}, []specs.Arch{native, specs.ArchX86_64, specs.ArchX32})
	}
	p.Architectures = Arches()
	compare(t, p, specs.ArchX86_64, &dice{})
	compare(t, p, specs.ArchS390X, &dice{})
}

func TestRolledProfiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	n := 40
	if testing.Short() {
		n = 10
	}
	for range n {
		d := make(dice, 256)
		for i := range d {
			d[i] = byte(random.Uint32())
		}
		p := d.roll()
		compare(t, p, arches[d.pick(len(arches))].name, &d)
	}
}

func FuzzProfile(f *testing.F) {
	f.Add([]byte("\x04\x03\x00\x02\x05\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		d := dice(bytes)
		p := d.roll()
		native := arches[d.pick(len(arches))].name
		compareOn(t, p, native, &d, append(p.Architectures, native, specs.ArchX32))
	})
}

// TestKernelRemembers has every call that is allowed whatever its arguments are come to
// its answer by the instructions that Linux follows when it looks for such calls
// (seccomp_is_const_allow, kernel/seccomp.c): it then does not run the filter for them.
func TestKernelRemembers(t *testing.T) {
	for _, test := range engineProfiles {
		t.Run(test.name, func(t *testing.T) {
			f, err := Compile(test.load(t), test.native)
			if err != nil {
				t.Fatal(err)
			}
			remembered := 0
			for _, name := range f.Arches {
				on := findArch(name)
				for _, nr := range numbersOf(on) {
					v, err := f.Judge(name, nr, [6]uint64{})
					if err != nil {
						t.Fatal(err)
					}
					if v.Action != specs.ActAllow || len(f.Conditional(name, nr)) > 0 {
						continue
					}
					if !constant(f.Program, &Data{Number: nr, Arch: on.audit}) {
						t.Errorf("%s: the kernel would run the filter for call %d", name, nr)
					}
					remembered++
				}
			}
			t.Logf("%d calls", remembered)
		})
	}
}

// constant follows a program as far as only the number and the architecture matter, and
// says whether that is to an answer.
func constant(code []bpf.RawInstruction, d *Data) bool {
	var a uint32
	for pc := 0; pc < len(code); pc++ {
		i := code[pc]
		switch yes, no := ways(pc, i); i.Op {
		case opRet:
			return true
		case opLoad:
			if i.K != atNumber && i.K != atArch {
				return false
			}
			a = d.word(i.K, false)
		case opAnd:
			a &= i.K
		case opJump:
			pc = yes - 1
		default:
			pc = no - 1
			if i.Op == opJeq && a == i.K || i.Op == opJge && a >= i.K || i.Op == opJgt && a > i.K || i.Op == opJset && a&i.K != 0 {
				pc = yes - 1
			}
		}
	}
	return false
}
