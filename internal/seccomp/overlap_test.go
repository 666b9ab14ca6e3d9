package seccomp

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A corner is a kind of profile for which libseccomp's program is not what the rules
// say: it gives the answer of a rule that is not met, or misses one that is, or its
// answer depends on the order in which rules were added, where elsewhere it does not.
// Each is about two or three rules of one call. These profiles are held to the
// interpreter alone.
type corner struct {
	name string
	// here says whether a condition a of one rule and b of another make it, which
	// compare the same argument and have the same conditions before. more says whether
	// the rule of a goes on to a later argument.
	here func(a, b specs.LinuxSeccompArg, more bool) bool
	// different says that it takes different answers.
	different bool
	rules     int // that it takes
	// anywhere says that the conditions before may be others.
	anywhere bool
	wide     bool
	// until is the version that mended it, if one did.
	until string
	// The smallest example, a call, and what libseccomp answers to it: the number of a
	// rule, 0 for the default.
	example []string
	call    [6]uint64
	theirs  uint32
}

func upper(a specs.LinuxSeccompArg) uint64 {
	if a.Op == specs.OpMaskedEqual {
		return a.Value & a.ValueTwo >> 32
	}
	return a.Value >> 32
}

func isRange(a specs.LinuxSeccompArg) bool { return interpretKind(a.Op) != 0 }

func isLess(a specs.LinuxSeccompArg) bool { return interpretKind(a.Op) == 1 }

var contrary = map[specs.LinuxSeccompOperator]specs.LinuxSeccompOperator{
	specs.OpEqualTo: specs.OpNotEqual, specs.OpLessThan: specs.OpGreaterEqual, specs.OpLessEqual: specs.OpGreaterThan,
}

var corners = []corner{
	{
		// The lower half is still in the accumulator when the next rule compares the upper.
		name: "less, and another range with another upper half", rules: 2, wide: true,
		here: func(a, b specs.LinuxSeccompArg, _ bool) bool {
			return isLess(a) && isRange(b) && upper(a) != upper(b)
		},
		example: []string{"0 < 5", "0 > 0x100000005"}, call: [6]uint64{10}, theirs: 2,
	},
	{
		// The same, or one chain of comparisons that two rules share.
		name: "a range or an inequality, then a later argument, and another of the first one", rules: 2,
		here: func(a, b specs.LinuxSeccompArg, more bool) bool {
			return more && upper(a) == upper(b) && (isRange(a) && isRange(b) || a.Op == specs.OpNotEqual)
		},
		example: []string{"0 > 5, 1 == 1", "0 > 10, 1 == 2"}, call: [6]uint64{7, 2}, theirs: 2,
	},
	{
		name: "two inequalities with one upper half", rules: 2, wide: true, different: true,
		here: func(a, b specs.LinuxSeccompArg, _ bool) bool {
			return a.Op == specs.OpNotEqual && b.Op == specs.OpNotEqual && upper(a) == upper(b)
		},
		example: []string{"0 != 3", "0 != 5"}, call: [6]uint64{1 << 32}, theirs: 1, // but 2 for 7
	},
	{
		// For an argument with a greater upper half, the answer is that of the last rule
		// whose value is greater than the first one's.
		name: "three ranges", rules: 3, different: true,
		here:    func(a, b specs.LinuxSeccompArg, _ bool) bool { return isRange(a) && isRange(b) },
		example: []string{"0 > 2", "0 > 20", "0 > 10"}, call: [6]uint64{1 << 32}, theirs: 3, // but 2 for 30
	},
	{
		// A comparison and its contrary are one node, and so the first rule looks like a
		// longer form of the second, and is dropped.
		name: "a comparison behind another argument, and its contrary", rules: 2, anywhere: true,
		here: func(a, b specs.LinuxSeccompArg, _ bool) bool {
			return contrary[a.Op] == b.Op && a.Value == b.Value
		},
		example: []string{"0 < 10, 1 == 5 -> 2", "1 != 5 -> 2"}, call: [6]uint64{9, 5}, theirs: 0,
	},
	{
		name: "two lesses with one upper half that is not 0", rules: 2, wide: true, different: true, until: "2.6.1",
		here: func(a, b specs.LinuxSeccompArg, _ bool) bool {
			return isLess(a) && isLess(b) && upper(a) == upper(b) && upper(a) != 0
		},
		example: []string{"0 <= 0x100000005", "0 <= 0x100000001"}, call: [6]uint64{1}, theirs: 1,
	},
}

// in says that some rules of one call make the corner.
func (c *corner) in(rules []interpretedRule, wide bool, version string) bool {
	if c.wide && !wide || c.until != "" && !older(version, c.until) {
		return false
	}
	for i, a := range rules {
		for j, b := range rules {
			if i == j || c.different && a.ret == b.ret && c.rules == 2 {
				continue
			}
			for k, x := range a.args {
				if c.anywhere {
					for _, y := range b.args {
						if x.Index == y.Index && c.here(x, y, k+1 < len(a.args)) {
							return true
						}
					}
				} else if k < len(b.args) && x.Index == b.args[k].Index && sameNodes(a.args[:k], b.args[:k]) &&
					c.here(x, b.args[k], k+1 < len(a.args)) && c.enough(rules, k, a) {
					return true
				}
			}
		}
	}
	return false
}

// sameNodes says that libseccomp makes the same comparisons of two lists of conditions.
func sameNodes(a, b []specs.LinuxSeccompArg) bool {
	return slices.EqualFunc(a, b, func(a, b specs.LinuxSeccompArg) bool {
		return a.Index == b.Index && a.Value == b.Value && a.ValueTwo == b.ValueTwo && (a.Op == specs.OpMaskedEqual) == (b.Op == specs.OpMaskedEqual)
	})
}

// enough says that a corner of three rules has them: alike up to the condition k.
func (c *corner) enough(rules []interpretedRule, k int, like interpretedRule) bool {
	n := 0
	answers := map[uint32]bool{}
	for _, r := range rules {
		if k < len(r.args) && r.args[k].Index == like.args[k].Index && sameNodes(r.args[:k], like.args[:k]) && c.here(r.args[k], like.args[k], false) {
			n++
			answers[r.ret] = true
		}
	}
	return c.rules == 2 || n >= c.rules && len(answers) > 1
}

// older compares versions such as 2.5.4; that of a build from its repository is 0.0.0.
func older(version, than string) bool {
	parts := func(s string) (n [3]int) { _, _ = fmt.Sscanf(s, "%d.%d.%d", &n[0], &n[1], &n[2]); return }
	a, b := parts(version), parts(than)
	return a != [3]int{} && slices.Compare(a[:], b[:]) < 0
}

// parseRules reads rules such as "0 < 5, 1 == 2 -> 1", which give ERRNO with the number
// behind the arrow, or else their own.
func parseRules(t *testing.T, texts []string) (list []specs.LinuxSyscall) {
	t.Helper()
	ops := map[string]specs.LinuxSeccompOperator{
		"==": specs.OpEqualTo, "!=": specs.OpNotEqual, "<": specs.OpLessThan, "<=": specs.OpLessEqual,
		">": specs.OpGreaterThan, ">=": specs.OpGreaterEqual, "&": specs.OpMaskedEqual,
	}
	for i, text := range texts {
		conds, arrow, _ := strings.Cut(text, " -> ")
		number := uint(i + 1)
		if arrow != "" {
			if _, err := fmt.Sscan(arrow, &number); err != nil {
				t.Fatal(err)
			}
		}
		s := specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActErrno, ErrnoRet: &number}
		for _, cond := range strings.Split(conds, ", ") {
			var a specs.LinuxSeccompArg
			var op string
			if _, err := fmt.Sscan(cond, &a.Index, &op, &a.Value); err != nil {
				t.Fatal(cond, err)
			}
			if a.Op = ops[op]; op == "&" {
				if _, err := fmt.Sscan(strings.SplitN(cond, " ", 4)[3], &a.ValueTwo); err != nil {
					t.Fatal(cond, err)
				}
			}
			s.Args = append(s.Args, a)
		}
		list = append(list, s)
	}
	return list
}

// TestCorners has the smallest example of each corner. What libseccomp says is logged
// where it is not what this version of it was seen to say: a later one may do better.
func TestCorners(t *testing.T) {
	r := newReference(t)
	for _, c := range corners {
		t.Run(c.name, func(t *testing.T) {
			p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: parseRules(t, c.example)}
			rules := interpretRules(p, "read", interpretAction(p.DefaultAction, nil), true)
			if !c.in(rules, true, r.version) && c.until == "" {
				t.Error("the example is not of its kind")
			}
			f, err := Compile(p, specs.ArchX86_64)
			if err != nil {
				t.Fatal(err)
			}
			v, err := f.Judge(specs.ArchX86_64, 0, c.call)
			if err != nil {
				t.Fatal(err)
			}
			if v.Data == c.theirs {
				t.Errorf("%#x gets %d here as well", c.call, v.Data)
			}
			theirs, err := r.compile(p, specs.ArchX86_64, 1)
			if err != nil {
				t.Fatal(err)
			}
			ret, _ := run(theirs, &Data{Arch: findArch(specs.ArchX86_64).audit, Args: c.call}, false)
			if ret&0xffff != c.theirs {
				t.Logf("libseccomp %s answers with %d, not %d", r.version, ret&0xffff, c.theirs)
			}
		})
	}
}

// rollOverlap makes a profile of rules for one call that overlap, most of them as people
// write them: equality and masks more than ranges, small values more than such as have
// an upper half.
func rollOverlap(random *rand.Rand) *specs.LinuxSeccomp {
	values := []uint64{0, 1, 2, 3, 5, 8, 10, 20, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff}
	wideValues := []uint64{1 << 32, 1<<32 | 1, 1<<32 | 5, 1<<32 | 0xffffffff, 2 << 32, 2<<32 | 10, 1 << 63, 1<<64 - 1}
	masks := []uint64{1, 2, 3, 0xff, 0xffff, 0xffffffff, 1 << 32, 7<<32 | 1, 1<<64 - 1}
	pick := func(list []uint64) uint64 { return list[random.IntN(len(list))] }
	value := func() uint64 {
		if random.IntN(8) == 0 {
			return pick(wideValues)
		}
		return pick(values)
	}
	ops := []specs.LinuxSeccompOperator{
		specs.OpEqualTo, specs.OpEqualTo, specs.OpEqualTo, specs.OpEqualTo, specs.OpEqualTo,
		specs.OpMaskedEqual, specs.OpMaskedEqual, specs.OpMaskedEqual,
		specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpGreaterThan, specs.OpGreaterEqual,
	}
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	args := 1 + random.IntN(3)
	answers := 2 + random.IntN(4)
	for range 2 + random.IntN(4) {
		number := uint(1 + random.IntN(answers))
		s := specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActErrno, ErrnoRet: &number}
		indexes := random.Perm(args)[:1+random.IntN(args)]
		for _, index := range indexes {
			a := specs.LinuxSeccompArg{Index: uint(index), Op: ops[random.IntN(len(ops))], Value: value()}
			if index < slices.Max(indexes) && random.IntN(3) > 0 {
				a.Op = ops[random.IntN(8)] // equality or a mask
			}
			if a.Op == specs.OpMaskedEqual {
				a.Value, a.ValueTwo = pick(masks), value()
			}
			s.Args = append(s.Args, a)
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}

// overlapArgs returns arguments around the values of the rules, in all combinations up
// to a number.
func overlapArgs(p *specs.LinuxSeccomp, random *rand.Rand) (list [][6]uint64) {
	var values [6][]uint64
	for i := range values {
		values[i] = []uint64{0, 1<<64 - 1}
	}
	for _, s := range p.Syscalls {
		for _, a := range s.Args {
			values[a.Index] = append(values[a.Index], a.Value, a.Value-1, a.Value+1, a.Value^1<<32, a.Value+1<<33,
				a.ValueTwo, a.Value&a.ValueTwo, a.ValueTwo|^a.Value)
		}
	}
	for range 400 {
		var args [6]uint64
		for i := range args {
			args[i] = values[i][random.IntN(len(values[i]))]
		}
		list = append(list, args)
	}
	return list
}

// TestOverlapsByLibseccomp holds rules of one call that overlap, with different answers,
// to libseccomp, for an architecture of 64 bits and one of 32, and for both forms of its
// program. Left out are the corners, and what libseccomp refuses.
func TestOverlapsByLibseccomp(t *testing.T) {
	r := newReference(t)
	for _, native := range []specs.Arch{specs.ArchX86_64, specs.ArchX86} {
		t.Run(string(native), func(t *testing.T) { r.overlaps(t, native, 400) })
	}
}

func (r reference) overlaps(t *testing.T, native specs.Arch, n int) {
	random := rand.New(rand.NewPCG(11, 12))
	on := findArch(native)
	nr, _ := Number(native, "read")
	var profiles []*specs.LinuxSeccomp
	var corner []string // that each is in
	var input strings.Builder
	left := map[string]int{}
	for range n {
		p := rollOverlap(random)
		profiles, corner = append(profiles, p), append(corner, "")
		rules := interpretRules(p, "read", interpretAction(p.DefaultAction, nil), on.wide)
		for j := range corners {
			if corners[j].in(rules, on.wide, r.version) {
				corner[len(corner)-1] = corners[j].name
				left[corners[j].name]++
				break
			}
		}
		if corner[len(corner)-1] == "" {
			input.WriteString(libseccompInput(p, native, 1) + libseccompInput(p, native, 2))
		}
	}
	programs, err := r.programs(input.String())
	if err != nil {
		t.Fatal(err)
	}
	compared, contradictions := 0, 0
	for i, p := range profiles {
		var theirs []libseccompProgram
		if corner[i] == "" {
			theirs, programs = programs[:2], programs[2:]
		}
		f, err := Compile(p, native)
		if err != nil {
			// The reverse does not hold: see doc.go.
			if contradictions++; on.wide && theirs != nil && theirs[0].errno != syscall.EEXIST {
				t.Fatalf("%v; libseccomp: %v\nprofile: %s", err, theirs[0].errno, text(p))
			}
			continue
		}
		if theirs != nil && theirs[0].errno == syscall.EEXIST {
			left["refused by libseccomp"]++
			theirs = nil
		} else if theirs != nil && theirs[0].errno != 0 {
			t.Fatalf("libseccomp: %v\nprofile: %s", theirs[0].errno, text(p))
		}
		for _, args := range overlapArgs(p, random) {
			call := &Data{Number: nr, Arch: on.audit, Args: args}
			if !on.wide {
				for k := range call.Args {
					call.Args[k] &= 1<<32 - 1
				}
			}
			got, _ := run(f.Program, call, on.big)
			if want := interpret(p, native, call); got != want.Ret {
				t.Fatalf("%#x: the program returns %#x and %s says %#x\nprofile: %s", args, got, want.Rule, want.Ret, text(p))
			}
			for form := range theirs {
				if want, _ := run(theirs[form].code, call, on.big); got != want {
					t.Fatalf("%#x: %#x, and %#x by libseccomp with OPTIMIZE=%d\nprofile: %s", args, got, want, form+1, text(p))
				}
			}
			compared += len(theirs)
		}
	}
	leftOut := 0
	for _, why := range slices.Sorted(maps.Keys(left)) {
		t.Logf("%4d left out: %s", left[why], why)
		leftOut += left[why]
	}
	t.Logf("%d profiles, %d contradictions; %d calls compared with libseccomp %s", n, contradictions, compared, r.version)
	if leftOut > n/5 {
		t.Errorf("%d profiles of %d are left out", leftOut, n)
	}
}
