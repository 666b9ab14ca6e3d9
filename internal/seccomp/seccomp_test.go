package seccomp

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/spec"
)

// The names that validation accepts are those that the compiler knows.
func TestVocabularies(t *testing.T) {
	same := func(what string, ours, theirs []string) {
		slices.Sort(ours)
		theirs = slices.Sorted(slices.Values(theirs))
		if !slices.Equal(ours, theirs) {
			t.Errorf("%s:\n%q here,\n%q in package spec", what, ours, theirs)
		}
	}
	same("actions", plain(Actions()), spec.SeccompActions)
	same("operators", plain(Operators()), spec.SeccompOperators)
	same("flags", plain(Flags()), spec.SeccompFlags)
	same("architectures", plain(Arches()), spec.SeccompArches)
}

// TestFeatures decides what engines may write into a profile.
func TestFeatures(t *testing.T) {
	f := Features()
	if !*f.Enabled || len(f.Actions) != 9 || len(f.Operators) != 7 || len(f.Archs) != 23 || len(f.KnownFlags) != 4 || len(f.SupportedFlags) != 4 {
		t.Errorf("%+v", f)
	}
}

func TestTables(t *testing.T) {
	for i := range arches {
		on := &arches[i]
		seen := map[uint32]string{}
		for call := range numNames {
			nr, ok := on.number(call)
			if !ok {
				continue
			}
			name := nameAt(call)
			if seen[nr] != "" {
				t.Errorf("%s: %s and %s are both %d", on.name, name, seen[nr], nr)
			}
			seen[nr] = name
			if got := Name(on.name, nr); got != name {
				t.Errorf("%s: %d is %q, not %q", on.name, nr, got, name)
			}
		}
		// On every architecture, and the newest with one number everywhere.
		for _, name := range []string{"read", "execve", "openat2", "futex_waitv", "cachestat"} {
			if _, ok := Number(on.name, name); !ok {
				t.Errorf("%s lacks %s", on.name, name)
			}
		}
	}
	for _, test := range []struct {
		on   specs.Arch
		name string
		nr   uint32
	}{
		{specs.ArchX86_64, "execveat", 322},
		{specs.ArchX32, "execveat", x32Bit | 545},
		{specs.ArchX32, "read", x32Bit},
		{specs.ArchX86, "socketcall", 102},
		{specs.ArchARM, "set_tls", 0xf0005},
		{specs.ArchMIPS, "read", 4003},
		{specs.ArchMIPS64N32, "listns", 6470},
		{specs.ArchS390, "listns", 470},
	} {
		if nr, ok := Number(test.on, test.name); !ok || nr != test.nr {
			t.Errorf("%s on %s is %d, not %d", test.name, test.on, nr, test.nr)
		}
	}
}

func TestErrors(t *testing.T) {
	one := uint(1)
	huge := uint(4096)
	entry := func(s specs.LinuxSyscall) *specs.LinuxSeccomp {
		s.Names = []string{"read"}
		return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{s}}
	}
	for _, test := range []struct {
		profile *specs.LinuxSeccomp
		text    string
	}{
		{&specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_MAYBE"}, `/linux/seccomp/defaultAction: "SCMP_ACT_MAYBE" is not an action`},
		{&specs.LinuxSeccomp{DefaultAction: specs.ActKill, DefaultErrnoRet: &one}, "/linux/seccomp/defaultErrnoRet: SCMP_ACT_KILL takes no number"},
		{&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"SCMP_ARCH_VAX"}}, `/linux/seccomp/architectures/0: "SCMP_ARCH_VAX" is not an architecture`},
		{&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"X"}}, `/linux/seccomp/flags/0: "X" is not a flag`},
		{entry(specs.LinuxSyscall{Action: specs.ActTrap, ErrnoRet: &one}), "/linux/seccomp/syscalls/0/errnoRet: SCMP_ACT_TRAP takes no number"},
		{entry(specs.LinuxSyscall{Action: specs.ActErrno, ErrnoRet: &huge}), "/linux/seccomp/syscalls/0/errnoRet: 4096: the most is 4095"},
		{entry(specs.LinuxSyscall{Action: specs.ActTrap, Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}}}), "/linux/seccomp/syscalls/0/args/0/index: 6: a call has arguments 0 to 5"},
		{&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: parseRules(t, []string{"1 == 2, 0 & 3 5", "1 == 2", "0 & 3 1, 1 == 2"})},
			"/linux/seccomp/syscalls/2: answers read otherwise than entry 0 does under the same conditions"},
		{entry(specs.LinuxSyscall{Action: specs.ActTrap, Args: []specs.LinuxSeccompArg{{Op: "=="}}}), `/linux/seccomp/syscalls/0/args/0/op: "==" is not an operator`},
	} {
		if _, err := Compile(test.profile, specs.ArchX86_64); err == nil || err.Error() != test.text {
			t.Errorf("got %v\nwant %s", err, test.text)
		}
	}
}

// TestTooLong has a profile that no merging makes short enough.
func TestTooLong(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	for i := range uint64(3000) {
		number := uint(i % 4000)
		p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{
			Names: []string{"ioctl"}, Action: specs.ActErrno, ErrnoRet: &number,
			Args: []specs.LinuxSeccompArg{{Index: 1, Value: i << 16, Op: specs.OpEqualTo}},
		})
	}
	_, err := Compile(p, specs.ArchX86_64)
	want := "/linux/seccomp: the filter has 6012 instructions with identical ones merged, and the kernel takes 4096"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	// With one answer for all, it is short enough for 2000 rules.
	p.Syscalls = p.Syscalls[:2000]
	for i := range p.Syscalls {
		p.Syscalls[i].ErrnoRet = nil
	}
	if f, err := Compile(p, specs.ArchX86_64); err != nil {
		t.Error(err)
	} else if len(f.Program) > maxInstructions {
		t.Error(len(f.Program))
	}
}

// TestLongOnlyWhileMade has a profile whose program is too long only until what nothing leads
// to is taken out of it: it still covers every architecture.
func TestLongOnlyWhileMade(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: Arches()}
	for i := range uint64(1600) {
		number := uint(i + 1)
		p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{
			Names: []string{"ioctl"}, Action: specs.ActErrno, ErrnoRet: &number,
			Args: []specs.LinuxSeccompArg{{Index: 1, Value: i << 16, Op: specs.OpEqualTo}},
		})
	}
	f, err := Compile(p, specs.ArchX86_64)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Program) > maxInstructions {
		t.Error(len(f.Program))
	}
	for _, on := range arches {
		for _, name := range []string{"execve", "ioctl"} {
			nr, _ := Number(on.name, name)
			call := &Data{Number: nr, Arch: on.audit, Args: [6]uint64{0, 1599 << 16}}
			if got, _ := run(f.Program, call, on.big); got != interpret(p, specs.ArchX86_64, call).Ret {
				t.Errorf("%s: %s returns %#x", on.name, name, got)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	notify := []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActNotify}}
	for _, test := range []struct {
		flags    []specs.LinuxSeccompFlag
		syscalls []specs.LinuxSyscall
		want     string
	}{
		{nil, nil, "SPEC_ALLOW"},
		{[]specs.LinuxSeccompFlag{}, nil, ""},
		{[]specs.LinuxSeccompFlag{flagTSYNC, specs.LinuxSeccompFlagLog}, nil, "TSYNC|LOG"},
		{[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, nil, ""},
		{[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, notify, "WAIT_KILLABLE_RECV|NEW_LISTENER"},
		{[]specs.LinuxSeccompFlag{flagTSYNC}, notify, "TSYNC|NEW_LISTENER|TSYNC_ESRCH"},
	} {
		f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: test.flags, Syscalls: test.syscalls}, specs.ArchX86_64)
		if err != nil {
			t.Fatal(err)
		}
		if got := FlagNames(f.Flags); got != test.want || f.Notifies != (test.syscalls != nil) {
			t.Errorf("%q: flags %s, notifies %v; want %s", test.flags, got, f.Notifies, test.want)
		}
	}
}

// TestMeaning has the sentences of the package's documentation one by one.
func TestMeaning(t *testing.T) {
	number := func(n uint) *uint { return &n }
	errno := func(n uint, names ...string) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: names, Action: specs.ActErrno, ErrnoRet: number(n)}
	}
	when := func(s specs.LinuxSyscall, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		s.Args = args
		return s
	}
	is := func(index uint, value uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: index, Value: value, Op: specs.OpEqualTo}
	}
	allow := func(names ...string) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: names, Action: specs.ActAllow}
	}
	const ok, eperm = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	e := func(n uint32) uint32 { return unix.SECCOMP_RET_ERRNO | n }
	for _, test := range []struct {
		what  string
		rules []specs.LinuxSyscall
		on    specs.Arch
		call  string
		args  [6]uint64
		want  uint32
	}{
		{"the default", nil, "", "read", [6]uint64{}, eperm},
		{"an entry that says what the default does is left out",
			[]specs.LinuxSyscall{errno(1, "mmap"), when(allow("mmap"), is(0, 1))}, "", "mmap", [6]uint64{1}, ok},
		{"an entry without conditions decides, wherever it stands",
			[]specs.LinuxSyscall{when(errno(5, "mmap"), is(0, 1)), allow("mmap")}, "", "mmap", [6]uint64{1}, ok},
		{"the first of several",
			[]specs.LinuxSyscall{errno(7, "mmap"), allow("mmap")}, "", "mmap", [6]uint64{}, e(7)},
		{"the one with the higher argument",
			[]specs.LinuxSyscall{when(errno(7, "mmap"), is(0, 1)), when(allow("mmap"), is(1, 2))}, "", "mmap", [6]uint64{1, 2}, ok},
		{"equality before less", parseRules(t, []string{"0 <= 8 -> 9", "0 == 8"}), "", "read", [6]uint64{8}, e(2)},
		{"inequality among equality, by its value", parseRules(t, []string{"0 == 3 -> 9", "0 != 8"}), "", "read", [6]uint64{3}, e(2)},
		{"less before greater", parseRules(t, []string{"0 >= 8 -> 9", "0 <= 8"}), "", "read", [6]uint64{8}, e(2)},
		{"the smaller of two lesses", parseRules(t, []string{"0 < 9 -> 9", "0 < 8"}), "", "read", [6]uint64{7}, e(2)},
		{"the greater of two greaters", parseRules(t, []string{"0 > 8 -> 9", "0 > 9"}), "", "read", [6]uint64{10}, e(2)},
		{"the upper half decides", parseRules(t, []string{"0 < 0x200000001 -> 9", "0 < 0x100000005"}), "", "read", [6]uint64{0}, e(2)},
		{"the first of two masks with one value", parseRules(t, []string{"0 & 1 1 -> 9", "0 & 3 1"}), "", "read", [6]uint64{1}, e(9)},
		{"a mask and a value without upper half: the first", parseRules(t, []string{"0 & 1 1 -> 9", "0 == 7"}), "", "read", [6]uint64{7}, e(9)},
		{"a value with an upper half before a mask without", parseRules(t, []string{"0 & 1 1 -> 9", "0 == 0x100000001"}), "", "read", [6]uint64{1<<32 | 1}, e(2)},
		{"32 bits have no upper half", parseRules(t, []string{"0 & 1 1 -> 9", "0 == 7"}), specs.ArchX86, "read", [6]uint64{7}, e(2)},
		{"what begins like the first goes with it", parseRules(t, []string{"0 & 1 1 -> 9", "0 == 7", "0 & 3 3"}), "", "read", [6]uint64{7}, e(3)},
		{"the shorter one", parseRules(t, []string{"0 == 1, 1 == 2 -> 9", "0 == 1"}), "", "read", [6]uint64{1, 2}, e(2)},
		{"the second condition", parseRules(t, []string{"0 == 1, 1 == 2 -> 9", "0 == 1, 2 == 3"}), "", "read", [6]uint64{1, 2, 3}, e(2)},
		{"all conditions",
			[]specs.LinuxSyscall{when(errno(7, "mmap"), is(0, 1), is(1, 2))}, "", "mmap", [6]uint64{1, 3}, eperm},
		{"one argument twice: either",
			[]specs.LinuxSyscall{when(allow("mmap"), is(0, 1), is(0, 2))}, "", "mmap", [6]uint64{2}, ok},
		{"64 bits", []specs.LinuxSyscall{when(allow("mmap"), is(0, 1))}, "", "mmap", [6]uint64{1 | 1<<32}, eperm},
		{"32 bits on i386", []specs.LinuxSyscall{when(allow("mmap"), is(0, 1|1<<40))}, specs.ArchX86, "mmap", [6]uint64{1}, ok},
		{"no sign", []specs.LinuxSyscall{when(allow("mmap"), specs.LinuxSeccompArg{Value: 1, Op: specs.OpGreaterThan})}, "", "mmap", [6]uint64{1 << 63}, ok},
		{"valueTwo beyond the mask", []specs.LinuxSyscall{when(allow("mmap"), specs.LinuxSeccompArg{Value: 1, ValueTwo: 3, Op: specs.OpMaskedEqual})}, "", "mmap", [6]uint64{5}, ok},
		{"not covered", []specs.LinuxSyscall{allow("read")}, specs.ArchARM, "read", [6]uint64{}, unix.SECCOMP_RET_KILL_THREAD},
		{"an unknown name", []specs.LinuxSyscall{allow("frobnicate", "read")}, "", "read", [6]uint64{}, ok},
		{"newer than the newest", []specs.LinuxSyscall{allow("openat2")}, "", "faccessat2", [6]uint64{}, e(38)},
		{"older than the newest", []specs.LinuxSyscall{allow("openat2")}, "", "close_range", [6]uint64{}, eperm},
		{"a refused call is named", []specs.LinuxSyscall{allow("read"), errno(1, "futex_waitv")}, "", "faccessat2", [6]uint64{}, eperm},
		{"newer on MIPS", []specs.LinuxSyscall{allow("read")}, specs.ArchMIPS, "openat2", [6]uint64{}, e(89)},
		{"apart on x32", []specs.LinuxSyscall{allow("read")}, specs.ArchX32, "execveat", [6]uint64{}, eperm},
		{"apart on ARM: the default", []specs.LinuxSyscall{allow("read")}, specs.ArchARM, "set_tls", [6]uint64{}, unix.SECCOMP_RET_KILL_THREAD},
		{"naming what is apart makes nothing newer", []specs.LinuxSyscall{allow("read", "execveat")}, specs.ArchX32, "openat2", [6]uint64{}, e(38)},
		{"through socketcall", []specs.LinuxSyscall{allow("socket")}, specs.ArchX86, "socketcall", [6]uint64{1}, ok},
		{"unseen arguments", []specs.LinuxSyscall{when(allow("socket"), is(0, 1)), allow("openat2")}, specs.ArchX86, "socketcall", [6]uint64{1, 1}, eperm},
		{"the multiplexer itself", []specs.LinuxSyscall{errno(9, "socket"), allow("socketcall")}, specs.ArchX86, "socketcall", [6]uint64{1}, ok},
		{"to name send is to name socketcall", []specs.LinuxSyscall{allow("send")}, specs.ArchX86, "socketcall", [6]uint64{1}, eperm},
		{"versions of ipc", []specs.LinuxSyscall{errno(9, "shmget"), allow("openat2")}, specs.ArchX86, "ipc", [6]uint64{23 | 1<<16}, e(9)},
	} {
		p := &specs.LinuxSeccomp{
			DefaultAction: specs.ActErrno, Syscalls: test.rules,
			Architectures: []specs.Arch{specs.ArchX86, specs.ArchX32, specs.ArchMIPS},
		}
		f, err := Compile(p, specs.ArchX86_64)
		if err != nil {
			t.Fatal(err)
		}
		on := test.on
		if on == "" {
			on = specs.ArchX86_64
		}
		nr, known := Number(on, test.call)
		if !known {
			t.Fatalf("%s is unknown", test.call)
		}
		v, err := f.Judge(on, nr, test.args)
		if err != nil || v.Ret != test.want {
			t.Errorf("%s: %s%v is answered with %#x by %q (%v), want %#x", test.what, test.call, test.args, v.Ret, v.Rule, err, test.want)
		}
	}
}

// TestOverview has every known call once, and those with conditions apart.
func TestOverview(t *testing.T) {
	for _, test := range engineProfiles {
		t.Run(test.name, func(t *testing.T) {
			f, err := Compile(test.load(t), test.native)
			if err != nil {
				t.Fatal(err)
			}
			for _, on := range f.Arches {
				overviewHasAll(t, f, on)
			}
		})
	}
}

// TestConditional has the rules of a call in their order, even if they have one answer.
func TestConditional(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: parseRules(t, []string{"0 <= 8 -> 2", "0 == 8 -> 2", "1 == 5, 0 == 8 -> 2"})}
	f, err := Compile(p, specs.ArchX86_64)
	if err != nil {
		t.Fatal(err)
	}
	v, err := f.Judge(specs.ArchX86_64, 0, [6]uint64{8, 5})
	if want := "/linux/seccomp/syscalls/1"; err != nil || v.Rule != want {
		t.Errorf("%s decides (%v), want %s", v.Rule, err, want)
	}
	want := []string{"/linux/seccomp/syscalls/1", "/linux/seccomp/syscalls/2", "/linux/seccomp/syscalls/0"}
	if got := f.Conditional(specs.ArchX86_64, 0); !slices.Equal(got, want) {
		t.Errorf("in the order %q, want %q", got, want)
	}
}

func overviewHasAll(t *testing.T, f *Filter, on specs.Arch) {
	t.Helper()
	groups, err := f.Overview(on)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, g := range groups {
		calls += len(g.Calls)
	}
	known := 0
	for call := range numNames {
		if _, ok := findArch(on).number(call); ok {
			known++
		}
	}
	if calls != known {
		t.Errorf("%s: %d calls of %d", on, calls, known)
	}
	if g := groups[0]; !g.ByArguments || !slices.Contains(g.Calls, "personality") || slices.Contains(g.Calls, "read") {
		t.Errorf("%s: by their arguments: %q", on, g.Calls)
	}
}

// TestCheck has programs that must not reach the kernel.
func TestCheck(t *testing.T) {
	ret := bpf.RawInstruction{Op: opRet}
	for _, test := range []struct {
		code []bpf.RawInstruction
		text string
	}{
		{[]bpf.RawInstruction{ret}, ""},
		{[]bpf.RawInstruction{{Op: opLoad}}, "instruction 0 of the filter leads out of it"},
		{[]bpf.RawInstruction{{Op: opLoad, K: 2}, ret}, "instruction 0 of the filter reads at 2"},
		{[]bpf.RawInstruction{{Op: opLoad, K: 64}, ret}, "instruction 0 of the filter reads at 64"},
		{[]bpf.RawInstruction{{Op: opJeq, Jf: 1}, ret}, "instruction 0 of the filter leads out of it"},
		{[]bpf.RawInstruction{{Op: opJump, K: 1}, ret, ret}, "instruction 1 of the filter cannot be reached"},
		{[]bpf.RawInstruction{{Op: 0xff}, ret}, "instruction 0 of the filter is unknown: 0xff"},
	} {
		err := check(test.code)
		if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%v: got %v, want %s", test.code, err, test.text)
		}
	}
}

// TestNames looks all names up, and some that are none.
func TestNames(t *testing.T) {
	for i := range numNames {
		if at := nameIndex(nameAt(i)); at != i {
			t.Errorf("%s is at %d, not at %d", nameAt(i), at, i)
		}
		for _, other := range []string{nameAt(i) + "x", nameAt(i)[1:], "x" + nameAt(i)} {
			if at := nameIndex(other); at >= 0 && nameAt(at) != other {
				t.Errorf("%s is taken for %s", other, nameAt(at))
			}
		}
	}
}
