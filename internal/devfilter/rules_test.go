package devfilter

import (
	"math/rand/v2"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// r spells a rule as "+c 1:3 rwm" or "-a *:* rwm".
func r(t testing.TB, text string) specs.LinuxDeviceCgroup {
	t.Helper()
	f := strings.Fields(text[1:])
	major, minor, ok := strings.Cut(f[1], ":")
	if len(f) != 3 || !ok {
		t.Fatalf("bad rule %q", text)
	}
	return specs.LinuxDeviceCgroup{
		Allow: text[0] == '+', Type: f[0], Major: num(t, major), Minor: num(t, minor), Access: f[2],
	}
}

func num(t testing.TB, s string) *int64 {
	t.Helper()
	if s == "*" {
		return nil
	}
	var n int64
	for _, c := range s {
		if c < '0' || c > '9' {
			t.Fatalf("bad number %q", s)
		}
		n = n*10 + int64(c-'0')
	}
	return &n
}

func list(t testing.TB, texts ...string) []specs.LinuxDeviceCgroup {
	t.Helper()
	var rules []specs.LinuxDeviceCgroup
	for _, text := range texts {
		rules = append(rules, r(t, text))
	}
	return rules
}

// decide is the meaning of a list, written down the slow way: each access
// alone, the last rule that matches it.
func decide(rules []specs.LinuxDeviceCgroup, kind string, major, minor int64, access string) bool {
	for _, a := range access {
		allowed := false
		for _, rule := range rules {
			if (rule.Type == "a" || rule.Type == "" || rule.Type == kind) &&
				(rule.Major == nil || *rule.Major == -1 || *rule.Major == major) &&
				(rule.Minor == nil || *rule.Minor == -1 || *rule.Minor == minor) &&
				strings.ContainsRune(rule.Access, a) {
				allowed = rule.Allow
			}
		}
		if !allowed {
			return false
		}
	}
	return true
}

// run interprets a program as the kernel would, and fails on anything that the
// verifier would refuse: an unknown instruction, a jump out of the program, an
// unset register.
func run(t testing.TB, prog []insn, accessKind, major, minor uint32) bool {
	t.Helper()
	var reg [11]uint32
	var set [11]bool
	set[r1] = true
	ctx := map[int16]uint32{0: accessKind, 4: major, 8: minor}
	for pc := 0; pc >= 0 && pc < len(prog); pc++ {
		i := prog[pc]
		dst, src := i.regs&15, i.regs>>4
		switch i.code {
		case opLoad, opLoadHalf:
			if src != r1 || dst == r1 {
				t.Fatalf("%d: load of r%d from r%d", pc, dst, src)
			}
			reg[dst], set[dst] = ctx[i.off], true
			if i.code == opLoadHalf {
				reg[dst] &= 0xffff
			}
		case opMov:
			reg[dst], set[dst] = uint32(i.imm), true
		case opMovReg:
			if !set[src] {
				t.Fatalf("%d: r%d is not set", pc, src)
			}
			reg[dst], set[dst] = reg[src], true
		case opAnd, opShift, opIfEqual, opIfNot:
			if !set[dst] {
				t.Fatalf("%d: r%d is not set", pc, dst)
			}
			switch {
			case i.code == opAnd:
				reg[dst] &= uint32(i.imm)
			case i.code == opShift:
				reg[dst] >>= uint32(i.imm)
			case (reg[dst] == uint32(i.imm)) == (i.code == opIfEqual):
				pc += int(i.off)
			}
		case opExit:
			if !set[r0] || reg[r0] > 1 {
				t.Fatalf("%d: verdict %d", pc, reg[r0])
			}
			return reg[r0] == 1
		default:
			t.Fatalf("%d: unknown instruction %#x", pc, i.code)
		}
	}
	t.Fatal("ran out of the program")
	return false
}

var accesses = []string{"r", "w", "m", "rw", "rm", "wm", "rwm"}

// compare runs the program of a list, and the reference, over every kind,
// every set of accesses, and the numbers of the rules with their neighbours.
func compare(t *testing.T, rules []specs.LinuxDeviceCgroup) {
	t.Helper()
	p, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[int64]bool{0: true, 1: true, 1<<31 - 1: true, 1 << 31: true, 1<<32 - 1: true}
	for _, rule := range rules {
		for _, n := range []*int64{rule.Major, rule.Minor} {
			if n != nil && *n >= 0 {
				numbers[*n] = true
				numbers[*n+1] = true
				numbers[max(*n-1, 0)] = true
			}
		}
	}
	for major := range numbers {
		for minor := range numbers {
			for kind, k := range map[string]uint32{"b": blockKind, "c": charKind} {
				for _, access := range accesses {
					bits := uint32(0)
					for _, a := range access {
						bits |= map[rune]uint32{'r': read, 'w': write, 'm': mknod}[a]
					}
					want := decide(rules, kind, major, minor, access)
					got := run(t, p.insns, bits<<16|k, uint32(major), uint32(minor))
					if got != want {
						t.Fatalf("%s %d:%d %s: program says %v, rules %v", kind, major, minor, access, got, want)
					}
				}
			}
		}
	}
}

func TestProgram(t *testing.T) {
	for name, rules := range map[string][]string{
		"absent list denies":       nil,
		"one allow rule":           {"+c 1:3 rwm"},
		"deny all, then some":      {"-a *:* rwm", "+c 1:3 rwm", "+b 8:* r"},
		"allow all":                {"+a *:* rwm"},
		"allow all but":            {"+a *:* rwm", "-c 1:11 rwm", "-b *:* w"},
		"last one wins":            {"+c 1:3 rwm", "-c 1:3 w"},
		"hole in a pattern":        {"+c 10:* rwm", "-c 10:200 rwm"},
		"hole in a hole":           {"+c 10:* rwm", "-c 10:200 rwm", "+c 10:200 r"},
		"access split over rules":  {"+c 1:3 r", "+c 1:* w", "+c *:3 m"},
		"wildcard, part of access": {"+a *:* m", "-c *:* m"},
		"unreachable before all":   {"+c 1:3 rwm", "-a *:* rwm", "+c 1:5 r"},
		"everything last":          {"+c 1:3 rwm", "-a *:* rwm"},
		"great numbers":            {"+c 4294967294:2147483648 rwm"},
		"type all with numbers":    {"+a 5:1 rw"},
	} {
		t.Run(name, func(t *testing.T) { compare(t, list(t, rules...)) })
	}
	t.Run("defaults", func(t *testing.T) {
		compare(t, append(list(t, "-a *:* rwm"), DefaultRules()...))
	})
}

// random makes a list from few numbers, so that rules overlap.
func random(rng *rand.Rand) []specs.LinuxDeviceCgroup {
	rules := make([]specs.LinuxDeviceCgroup, rng.IntN(8))
	for i := range rules {
		rules[i] = specs.LinuxDeviceCgroup{
			Allow:  rng.IntN(2) == 0,
			Type:   []string{"a", "b", "c", ""}[rng.IntN(4)],
			Access: accesses[rng.IntN(len(accesses))],
		}
		for _, p := range []**int64{&rules[i].Major, &rules[i].Minor} {
			if n := int64(rng.IntN(4)) - 1; n >= 0 {
				*p = &n
			}
		}
	}
	return rules
}

func TestProgramOfRandomRules(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		compare(t, random(rng))
	}
}

// TestV1 checks the lines, and that a model of the kernel's two lists (see
// security/device_cgroup.c) is never looser than the reference.
func TestV1(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []string
		want  []string
		err   string
	}{
		{"absent list denies", nil, []string{"deny a"}, ""},
		{"deny all, then some", []string{"-a *:* rwm", "+c 1:3 rwm", "+b 8:* r"},
			[]string{"deny a", "allow c 1:3 rwm", "allow b 8:* r"}, ""},
		{"allow all", []string{"+a *:* rwm"}, []string{"allow a"}, ""},
		{"allow all but", []string{"+a *:* rwm", "-c 1:11 rw"}, []string{"allow a", "deny c 1:11 rw"}, ""},
		{"merged", []string{"+c 1:3 r", "+c 1:3 w"}, []string{"deny a", "allow c 1:3 rw"}, ""},
		{"part of all is not all", []string{"+a *:* m"}, []string{"deny a", "allow c *:* m", "allow b *:* m"}, ""},
		{"taken back", []string{"+c 1:3 rwm", "+c 1:5 rwm", "-c 1:* w"},
			[]string{"deny a", "allow c 1:3 rm", "allow c 1:5 rm"}, ""},
		{"hole", []string{"+c 10:* rwm", "-c 10:200 rwm"}, nil,
			"/linux/resources/devices/1: cgroup v1 cannot make an exception (c 10:200 rwm) inside of an exception (c 10:* rwm)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines, err := V1(list(t, c.rules...))
			if text(err) != c.err {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			var got []string
			for _, l := range lines {
				got = append(got, strings.TrimPrefix(l.File, "devices.")+" "+l.Value)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// kernelV1 is what the version 1 controller makes of the lines.
func kernelV1(t *testing.T, lines []Line, kind string, major, minor int64, access string) bool {
	allowed := true // the state of a root cgroup
	type ex struct {
		rule   specs.LinuxDeviceCgroup
		access string
	}
	var exceptions []ex
	for _, l := range lines {
		allow := l.File == "devices.allow"
		switch {
		case l.Value == "a":
			allowed, exceptions = allow, nil
		case allow == allowed:
			t.Fatalf("a line that takes back an exception: %v", l)
		default:
			rule := r(t, "+"+l.Value)
			exceptions = append(exceptions, ex{rule, rule.Access})
		}
	}
	for _, e := range exceptions {
		if e.rule.Type != kind || e.rule.Major != nil && *e.rule.Major != major || e.rule.Minor != nil && *e.rule.Minor != minor {
			continue
		}
		switch {
		case allowed && strings.ContainsAny(e.access, access):
			return false // match_exception_partial
		case !allowed && strings.Trim(access, e.access) == "":
			return true // match_exception
		}
	}
	return allowed
}

func TestV1OfRandomRules(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	expressed := 0
	for range 2000 {
		rules := random(rng)
		lines, err := V1(rules)
		if err != nil {
			continue
		}
		expressed++
		for major := int64(0); major < 4; major++ {
			for minor := int64(0); minor < 4; minor++ {
				for _, kind := range []string{"b", "c"} {
					for _, access := range accesses {
						got := kernelV1(t, lines, kind, major, minor, access)
						want := decide(rules, kind, major, minor, access)
						if got != want && (got || len(access) == 1) {
							t.Fatalf("%v\n%v\n%s %d:%d %s: lines say %v, rules %v", rules, lines, kind, major, minor, access, got, want)
						}
					}
				}
			}
		}
	}
	if expressed < 500 {
		t.Errorf("only %d lists could be expressed", expressed)
	}
}

func TestFaults(t *testing.T) {
	big, small := int64(1<<32-1), int64(-2)
	for _, c := range []struct {
		rule specs.LinuxDeviceCgroup
		want string
	}{
		{specs.LinuxDeviceCgroup{Type: "p", Access: "r"}, `/linux/resources/devices/0/type: "p" is not a, b or c`},
		{specs.LinuxDeviceCgroup{Access: ""}, `/linux/resources/devices/0/access: is empty`},
		{specs.LinuxDeviceCgroup{Access: "rx"}, `/linux/resources/devices/0/access: "rx" is not made of r, w and m`},
		{specs.LinuxDeviceCgroup{Major: &big, Access: "r"}, `/linux/resources/devices/0/major: 4294967295 is not a device number`},
		{specs.LinuxDeviceCgroup{Minor: &small, Access: "r"}, `/linux/resources/devices/0/minor: -2 is not a device number`},
	} {
		for name, f := range map[string]func([]specs.LinuxDeviceCgroup) error{
			"Compile": func(r []specs.LinuxDeviceCgroup) error { _, err := Compile(r); return err },
			"V1":      func(r []specs.LinuxDeviceCgroup) error { _, err := V1(r); return err },
		} {
			if err := f([]specs.LinuxDeviceCgroup{c.rule}); text(err) != c.want {
				t.Errorf("%s: error %v, want %q", name, err, c.want)
			}
		}
	}
}

// TestDefaultRules: the devices of the specification, and no others, can be
// opened; every node can be made.
func TestDefaultRules(t *testing.T) {
	rules := append(list(t, "-a *:* rwm"), DefaultRules()...)
	for _, c := range []struct {
		name, kind   string
		major, minor int64
		want         bool
	}{
		{"null", "c", 1, 3, true}, {"zero", "c", 1, 5, true}, {"full", "c", 1, 7, true},
		{"random", "c", 1, 8, true}, {"urandom", "c", 1, 9, true}, {"tty", "c", 5, 0, true},
		{"ptmx", "c", 5, 2, true}, {"pts", "c", 136, 7, true},
		{"kmsg", "c", 1, 11, false}, {"mem", "c", 1, 1, false}, {"tun", "c", 10, 200, false},
		{"sda", "b", 8, 0, false}, {"host console", "c", 5, 1, false},
	} {
		if got := decide(rules, c.kind, c.major, c.minor, "rw"); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if !decide(rules, c.kind, c.major, c.minor, "m") {
			t.Errorf("%s: mknod denied", c.name)
		}
	}
	if _, err := V1(rules); err != nil {
		t.Error(err)
	}
}
