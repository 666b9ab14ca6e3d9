package seccomp

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A rule answers a call whose arguments meet all conditions.
type rule struct {
	ret   uint32
	conds []cond
	entry int // of the profile's syscalls
}

// A cond is a condition on an argument.
type cond struct {
	arg   uint8
	op    operator
	value uint64 // the mask of maskedEqual
	two   uint64 // what maskedEqual compares with
}

// on returns the condition as an architecture compares it. always says that it
// holds for all arguments: a mask without bits.
func (c cond) on(wide bool) (on cond, always bool) {
	if !wide {
		c.value, c.two = uint64(uint32(c.value)), uint64(uint32(c.two))
	}
	if c.op == maskedEqual {
		c.two &= c.value
		return c, c.value == 0
	}
	return c, false
}

// unconditional says that the rule answers every call.
func (r *rule) unconditional(wide bool) bool {
	for _, c := range r.conds {
		if _, always := c.on(wide); !always {
			return false
		}
	}
	return true
}

// rules are what a profile says, by call.
type rules struct {
	fallback uint32 // the default action
	all      []rule
	// Of the calls, by the place of their names in the table: the rules of call i
	// are all[byCall[first[i]:first[i+1]]], in the order of the profile.
	byCall []int32
	first  [numNames + 1]int32
	named  [numNames]bool // by any rule, even by one that says what the default does
	// unknown are names that no architecture has.
	unknown  []string
	notifies bool
	exact    bool // sort even the rules of a call that all have one answer
}

func (r *rules) of(call int) []int32 { return r.byCall[r.first[call]:r.first[call+1]] }

// read understands a profile.
func read(profile *specs.LinuxSeccomp) (*rules, error) {
	r := &rules{notifies: profile.DefaultAction == specs.ActNotify}
	var err error
	if r.fallback, err = answer(profile.DefaultAction, profile.DefaultErrnoRet, [2]string{"defaultAction", "defaultErrnoRet"}); err != nil {
		return nil, err
	}
	names := 0
	for i := range profile.Syscalls {
		names += len(profile.Syscalls[i].Names)
	}
	// Which rule has which call, in the order of the profile.
	type pair struct{ call, rule int32 }
	pairs := make([]pair, 0, names)
	r.all = make([]rule, 0, len(profile.Syscalls))
	for i := range profile.Syscalls {
		s := &profile.Syscalls[i]
		from := len(r.all)
		if err := r.add(s, i); err != nil {
			return nil, err
		}
		for _, name := range s.Names {
			call := nameIndex(name)
			if call < 0 {
				if !slices.Contains(r.unknown, name) {
					r.unknown = append(r.unknown, name)
				}
				continue
			}
			r.named[call] = true
			for rule := from; rule < len(r.all); rule++ {
				pairs = append(pairs, pair{int32(call), int32(rule)})
				r.first[call+1]++
			}
		}
	}
	for i := range numNames {
		r.first[i+1] += r.first[i]
	}
	r.byCall = make([]int32, len(pairs))
	next := r.first
	for _, p := range pairs {
		r.byCall[next[p.call]] = p.rule
		next[p.call]++
	}
	for call := range numNames {
		if err := r.contradiction(call); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// add adds the rules of an entry of the profile: none if it says what the default
// does, several if an argument occurs twice.
func (r *rules) add(s *specs.LinuxSyscall, entry int) error {
	ret, err := answer(s.Action, s.ErrnoRet, [2]string{"action", "errnoRet"})
	if err != nil {
		return fmt.Errorf("/syscalls/%d%w", entry, err)
	}
	conds := make([]cond, 0, len(s.Args))
	seen, twice := 0, false
	for i := range s.Args {
		a := &s.Args[i]
		op := slices.Index(operators[:], a.Op)
		switch {
		case op < 0:
			return fmt.Errorf("/syscalls/%d/args/%d/op: %q is not an operator", entry, i, a.Op)
		case a.Index > 5:
			return fmt.Errorf("/syscalls/%d/args/%d/index: %d: a call has arguments 0 to 5", entry, i, a.Index)
		}
		conds = append(conds, cond{uint8(a.Index), operator(op), a.Value, a.ValueTwo})
		twice = twice || seen&(1<<a.Index) != 0
		seen |= 1 << a.Index
	}
	if ret == r.fallback {
		return nil
	}
	r.notifies = r.notifies || s.Action == specs.ActNotify
	if !twice {
		r.all = append(r.all, rule{ret, conds, entry})
		return nil
	}
	for i := range conds {
		r.all = append(r.all, rule{ret, conds[i : i+1], entry})
	}
	return nil
}

// decide returns what the rules of a call come to: the one answer that they give
// whatever the arguments are, or the rules in the order in which they are tried.
func (r *rules) decide(call int, wide bool) (ret uint32, constant bool, inTurn []int32) {
	if ret, constant = r.constant(call, wide); constant {
		return ret, true, nil
	}
	return 0, false, r.order(r.of(call), wide)
}

// constant returns the one answer that a call gets whatever its arguments are.
func (r *rules) constant(call int, wide bool) (ret uint32, ok bool) {
	list := r.of(call)
	for _, i := range list {
		if r.all[i].unconditional(wide) {
			return r.all[i].ret, true
		}
	}
	return r.fallback, len(list) == 0
}

// strictest returns the strictest answer that a call may get: what its form through
// a multiplexer gets, since a filter cannot see the arguments there.
func (r *rules) strictest(call int, wide bool) uint32 {
	ret, constant, list := r.decide(call, wide)
	if constant {
		return ret
	}
	ret = r.fallback
	for _, i := range list {
		if stricter(r.all[i].ret, ret) {
			ret = r.all[i].ret
		}
	}
	return ret
}
