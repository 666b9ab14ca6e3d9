package seccomp

import (
	"cmp"
	"fmt"
	"slices"
)

// A step is what the order of rules looks at: one half of an argument and how it is
// compared. On architectures of 32 bits there is only the lower one.
type step struct {
	arg   uint8
	half  half
	kind  kind
	op    operator // in the lower half of a range: "< 5" and "<= 5" are two
	value uint32
	mask  uint32
}

// A kind is a group of operators that are tried together.
type kind uint8

const (
	byEquality kind = iota // ==, != and a mask
	byLess                 // <, <=
	byGreater              // >, >=
)

func (o operator) kind() kind {
	switch o {
	case less, lessEqual:
		return byLess
	case greater, greaterEqual:
		return byGreater
	}
	return byEquality
}

// steps appends those of a condition to a list. One that always holds has none.
func (c cond) steps(wide bool, list []step) []step {
	c, always := c.on(wide)
	if always {
		return list
	}
	value, mask := c.value, ^uint64(0)
	upper, lower := equal, equal // != asks the same as ==
	switch {
	case c.op == maskedEqual:
		value, mask = c.two, c.value
		upper, lower = maskedEqual, maskedEqual
	case c.op.kind() != byEquality:
		lower = c.op
	}
	if wide {
		list = append(list, step{c.arg, high, c.op.kind(), upper, uint32(value >> 32), uint32(mask >> 32)})
	}
	return append(list, step{c.arg, low, c.op.kind(), lower, uint32(value), uint32(mask)})
}

// compare tells which of two steps is tried first (less than 0: a), if the order of the
// profile does not have to.
func (a step) compare(b step) int {
	if d := cmp.Compare(b.arg, a.arg); d != 0 {
		return d
	}
	if d := cmp.Compare(a.kind, b.kind); d != 0 {
		return d
	}
	if a.kind == byLess {
		return cmp.Compare(a.value, b.value)
	}
	return cmp.Compare(b.value, a.value)
}

// A ranked is a rule while its place is being found.
type ranked struct {
	rule  int32
	steps []step // those that are left
}

// order sorts the rules of a call as they are tried, which the documentation of the
// package explains. Rules of one answer need not be sorted for a program: no call could
// tell.
func (r *rules) order(list []int32, wide bool) []int32 {
	if !r.exact && !slices.ContainsFunc(list, func(i int32) bool { return r.all[i].ret != r.all[list[0]].ret }) {
		return list
	}
	rank := make([]ranked, len(list))
	for i, at := range list {
		conds := slices.Clone(r.all[at].conds)
		slices.SortFunc(conds, func(a, b cond) int { return cmp.Compare(a.arg, b.arg) })
		rank[i].rule = at
		for _, c := range conds {
			rank[i].steps = c.steps(wide, rank[i].steps)
		}
	}
	sorted := make([]int32, 0, len(list))
	arrange(rank, &sorted)
	return sorted
}

// arrange appends rules that begin alike to a list, in their order: those that end here,
// then group by group of those that go on by the same step.
func arrange(rank []ranked, sorted *[]int32) {
	if len(rank) == 1 {
		*sorted = append(*sorted, rank[0].rule)
		return
	}
	rank = slices.DeleteFunc(rank, func(r ranked) bool {
		if len(r.steps) == 0 {
			*sorted = append(*sorted, r.rule)
		}
		return len(r.steps) == 0
	})
	slices.SortStableFunc(rank, func(a, b ranked) int { return a.steps[0].compare(b.steps[0]) })
	for len(rank) > 0 {
		// The first group: of the rules whose place is the same, those that begin as the
		// one that comes first in the profile.
		first := rank[0].steps[0]
		var group, others []ranked
		for len(rank) > 0 && rank[0].steps[0].compare(first) == 0 {
			if r := rank[0]; r.steps[0] == first {
				group = append(group, ranked{r.rule, r.steps[1:]})
			} else {
				others = append(others, r)
			}
			rank = rank[1:]
		}
		arrange(group, sorted)
		rank = append(others, rank...)
	}
}

// contradiction returns an error if two entries of a profile answer a call differently
// under the same conditions. runc and crun refuse it as well.
func (r *rules) contradiction(call int) error {
	list := r.of(call)
	if len(list) < 2 {
		return nil
	}
	if _, constant := r.constant(call, true); constant {
		return nil
	}
	for i, a := range list {
		for _, b := range list[:i] {
			if x, y := &r.all[a], &r.all[b]; x.ret != y.ret && sameConds(x.conds, y.conds) {
				return fmt.Errorf("/syscalls/%d: answers %s otherwise than entry %d does under the same conditions", x.entry, nameAt(call), y.entry)
			}
		}
	}
	return nil
}

// sameConds says that two lists of conditions, each on another argument, ask the same.
func sameConds(a, b []cond) bool {
	for _, x := range a {
		if x, always := x.on(true); !always && !slices.ContainsFunc(b, func(y cond) bool { y, _ = y.on(true); return x.same(y) }) {
			return false
		}
	}
	for _, x := range b {
		if x, always := x.on(true); !always && !slices.ContainsFunc(a, func(y cond) bool { y, _ = y.on(true); return x.same(y) }) {
			return false
		}
	}
	return true
}

// same says that two conditions are one. Only a mask has a second value.
func (a cond) same(b cond) bool {
	return a.arg == b.arg && a.op == b.op && a.value == b.value && (a.op != maskedEqual || a.two == b.two)
}
