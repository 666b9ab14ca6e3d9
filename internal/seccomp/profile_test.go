package seccomp

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// loadProfile reads a profile in the form of /linux/seccomp.
func loadProfile(t testing.TB, file string) *specs.LinuxSeccomp {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(text, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// A dice makes choices out of bytes: a fuzzer's, or pseudo-random ones. When they
// are used up, every choice is the first.
type dice []byte

func (d *dice) pick(n int) int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b) % n
}

// Values at which comparisons change their minds, in both halves of an argument.
var edges = []uint64{
	0, 1, 2, 8, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000001, 0x1ffffffff,
	0x200000000, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffffe, 0xffffffffffffffff,
}

// rolledNames are calls for rolled profiles: old, new, multiplexed, on few
// architectures, and unknown.
var rolledNames = []string{
	"read", "write", "clone", "socket", "socketcall", "ipc", "shmget", "send", "accept4", "execveat", "set_tls",
	"personality", "openat2", "listns", "ioctl", "mmap", "no_such_call", "futex", "pread64", "restart_syscall",
}

// roll makes a profile out of choices. It compiles, unless two of its entries contradict
// each other.
func (d *dice) roll() *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{}
	act := func() (specs.LinuxSeccompAction, *uint) {
		a := &actions[d.pick(len(actions))]
		if a.most == 0 || d.pick(2) == 0 {
			return a.name, nil
		}
		number := uint(d.pick(5))
		return a.name, &number
	}
	p.DefaultAction, p.DefaultErrnoRet = act()
	for range d.pick(4) {
		p.Architectures = append(p.Architectures, arches[d.pick(len(arches))].name)
	}
	for range d.pick(12) {
		s := specs.LinuxSyscall{}
		s.Action, s.ErrnoRet = act()
		for range 1 + d.pick(3) {
			s.Names = append(s.Names, rolledNames[d.pick(len(rolledNames))])
		}
		for range d.pick(4) {
			s.Args = append(s.Args, specs.LinuxSeccompArg{
				Index: uint(d.pick(6)), Op: operators[d.pick(len(operators))],
				Value: edges[d.pick(len(edges))], ValueTwo: edges[d.pick(len(edges))],
			})
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}

// argsFor returns arguments for a call: those at which its rules change their
// minds, and one on either side.
func argsFor(p *specs.LinuxSeccomp, name string, d *dice) [][6]uint64 {
	all := [][6]uint64{{}}
	for _, s := range p.Syscalls {
		named := false
		for _, n := range s.Names {
			named = named || n == name || isMultiplexed(n, name)
		}
		if !named {
			continue
		}
		// All conditions met, as far as one value can, and then each one missed.
		var met [6]uint64
		for _, a := range s.Args {
			met[a.Index] = a.Value
			if a.Op == specs.OpMaskedEqual {
				met[a.Index] = a.Value & a.ValueTwo
			}
		}
		all = append(all, met)
		for _, a := range s.Args {
			for _, v := range []uint64{
				a.Value - 1, a.Value, a.Value + 1, a.Value ^ 1<<32, a.ValueTwo, ^a.Value, a.Value&a.ValueTwo | ^a.Value,
				edges[d.pick(len(edges))],
			} {
				args := met
				args[a.Index] = v
				all = append(all, args)
			}
		}
	}
	if name == "socketcall" || name == "ipc" {
		for n := range uint64(26) {
			all = append(all, [6]uint64{n}, [6]uint64{n | 1<<16}, [6]uint64{n | 1<<32})
		}
	}
	return all
}

func isMultiplexed(name, multiplexer string) bool {
	for _, m := range multiplexers {
		for _, call := range m.calls {
			if call == name && m.name == multiplexer {
				return true
			}
		}
	}
	return false
}
