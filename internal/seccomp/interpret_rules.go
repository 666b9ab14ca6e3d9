package seccomp

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// An interpretedRule is a rule of one call as a reader takes it from the profile: its
// conditions by the index of the argument, without those that always hold, values cut to
// what the architecture compares.
type interpretedRule struct {
	ret   uint32
	entry int
	args  []specs.LinuxSeccompArg
}

// interpretRules returns the rules of a call in the order in which they are tried.
func interpretRules(p *specs.LinuxSeccomp, name string, fallback uint32, wide bool) (rules []interpretedRule) {
	for i, s := range p.Syscalls {
		ret := interpretAction(s.Action, s.ErrnoRet)
		if !slices.Contains(s.Names, name) || ret == fallback {
			continue
		}
		for _, args := range interpretSets(s.Args, wide) {
			rules = append(rules, interpretedRule{ret, i, args})
		}
	}
	unsorted := slices.Clone(rules)
	slices.SortStableFunc(rules, func(a, b interpretedRule) int { return interpretOrder(unsorted, wide, a, b) })
	return rules
}

// interpretSets returns the conditions of an entry: all of them, or each for itself if
// an argument is compared twice.
func interpretSets(args []specs.LinuxSeccompArg, wide bool) (sets [][]specs.LinuxSeccompArg) {
	var left []specs.LinuxSeccompArg
	for _, a := range args {
		if !wide {
			a.Value, a.ValueTwo = a.Value&(1<<32-1), a.ValueTwo&(1<<32-1)
		}
		if a.Op == specs.OpMaskedEqual {
			a.ValueTwo &= a.Value
		} else {
			a.ValueTwo = 0
		}
		if always := a.Op == specs.OpMaskedEqual && a.Value == 0; !always {
			left = append(left, a)
		} else if interpretTwice(args) {
			return [][]specs.LinuxSeccompArg{{}}
		}
	}
	if interpretTwice(args) {
		for i := range left {
			sets = append(sets, left[i:i+1])
		}
		return sets
	}
	slices.SortFunc(left, func(a, b specs.LinuxSeccompArg) int { return int(a.Index) - int(b.Index) })
	return append(sets, left)
}

// interpretTwice says that an argument is compared twice.
func interpretTwice(args []specs.LinuxSeccompArg) bool {
	var seen [6]bool
	for _, a := range args {
		if seen[a.Index] {
			return true
		}
		seen[a.Index] = true
	}
	return false
}

// met says that the arguments of a call meet all conditions.
func (r interpretedRule) met(wide bool, args [6]uint64) bool {
	for _, c := range r.args {
		arg := args[c.Index]
		if !wide {
			arg &= 1<<32 - 1
		}
		var holds bool
		switch c.Op {
		case specs.OpEqualTo:
			holds = arg == c.Value
		case specs.OpNotEqual:
			holds = arg != c.Value
		case specs.OpLessThan:
			holds = arg < c.Value
		case specs.OpLessEqual:
			holds = arg <= c.Value
		case specs.OpGreaterThan:
			holds = arg > c.Value
		case specs.OpGreaterEqual:
			holds = arg >= c.Value
		case specs.OpMaskedEqual:
			holds = arg&c.Value == c.ValueTwo
		}
		if !holds {
			return false
		}
	}
	return true
}

// interpretOrder compares two rules of a call: where the first difference between them
// is, it decides.
func interpretOrder(all []interpretedRule, wide bool, a, b interpretedRule) int {
	halves := 1
	if wide {
		halves = 2
	}
	for i := range 2 * 6 {
		cond, part := i/halves, i%halves
		switch {
		case cond == len(a.args) && cond == len(b.args):
			return a.entry - b.entry
		case cond == len(a.args):
			return -1
		case cond == len(b.args):
			return 1
		}
		x, y := a.args[cond], b.args[cond]
		if x.Index != y.Index {
			return int(y.Index) - int(x.Index)
		}
		if x, y := interpretKind(x.Op), interpretKind(y.Op); x != y {
			return x - y
		}
		v, w := interpretValue(x, wide, part), interpretValue(y, wide, part)
		switch {
		case v == w:
		case (v < w) == (interpretKind(x.Op) == 1):
			return -1
		default:
			return 1
		}
		if !interpretAlike(a, b, wide, i) {
			first := func(r interpretedRule) int {
				return slices.IndexFunc(all, func(other interpretedRule) bool { return interpretAlike(r, other, wide, i) })
			}
			return first(a) - first(b)
		}
	}
	return a.entry - b.entry
}

// interpretKind numbers the operators that are tried together.
func interpretKind(op specs.LinuxSeccompOperator) int {
	switch op {
	case specs.OpLessThan, specs.OpLessEqual:
		return 1
	case specs.OpGreaterThan, specs.OpGreaterEqual:
		return 2
	}
	return 0
}

// interpretValue returns what a half of an argument is compared with: part 0 is the upper
// one where there are two.
func interpretValue(c specs.LinuxSeccompArg, wide bool, part int) uint64 {
	value := c.Value
	if c.Op == specs.OpMaskedEqual {
		value = c.ValueTwo
	}
	if wide && part == 0 {
		return value >> 32
	}
	return value & (1<<32 - 1)
}

// interpretAlike says that two rules ask the same of all halves up to one.
func interpretAlike(a, b interpretedRule, wide bool, upTo int) bool {
	halves := 1
	if wide {
		halves = 2
	}
	for i := range upTo + 1 {
		cond, part := i/halves, i%halves
		if cond >= len(a.args) || cond >= len(b.args) {
			return false
		}
		x, y := a.args[cond], b.args[cond]
		if x.Index != y.Index || interpretKind(x.Op) != interpretKind(y.Op) || interpretValue(x, wide, part) != interpretValue(y, wide, part) {
			return false
		}
		switch {
		case interpretKind(x.Op) != 0:
			if part == halves-1 && x.Op != y.Op {
				return false
			}
		case (x.Op == specs.OpMaskedEqual) != (y.Op == specs.OpMaskedEqual):
			return false
		case x.Op == specs.OpMaskedEqual && wide && part == 0:
			if x.Value>>32 != y.Value>>32 {
				return false
			}
		case x.Op == specs.OpMaskedEqual:
			if x.Value<<32 != y.Value<<32 {
				return false
			}
		}
	}
	return true
}
