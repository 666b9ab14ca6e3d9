package seccomp

import (
	"golang.org/x/net/bpf"
)

// A span is a range of call numbers that have the same answer. It ends where the
// next one starts.
type span struct {
	start  uint32
	to     label
	weight int
}

// spans collects ranges in the order of their numbers, equal neighbours as one.
type spans []span

func (s *spans) add(start uint32, to label, weight int) {
	if n := len(*s); n > 0 && (*s)[n-1].to == to {
		(*s)[n-1].weight += weight
		return
	}
	*s = append(*s, span{start, to, max(weight, 1)})
}

// tree writes the search for the span of the number in the accumulator and returns
// where it begins. Each comparison halves the weight that is left, as far as the
// borders of the spans allow:
//
//	          jge 59
//	        /        \
//	   jge 41        jge 203
//	   /    \        /     \
//	allow  socket  errno  allow
//
// One number between two spans of one answer needs one comparison instead of two.
func (e *emitter) tree(s []span) label {
	switch {
	case len(s) == 1:
		return s[0].to
	case len(s) == 3 && s[0].to == s[2].to && s[2].start-s[1].start == 1:
		return e.branch(bpf.JumpEqual, s[1].start, s[1].to, s[0].to)
	}
	m := middle(s)
	right := e.tree(s[m:])
	left := e.tree(s[:m])
	return e.branch(bpf.JumpGreaterOrEqual, s[m].start, right, left)
}

// middle returns where the halves of a list weigh about the same.
func middle(s []span) int {
	total := 0
	for i := range s {
		total += s[i].weight
	}
	best, least := 1, total
	left := 0
	for i := 1; i < len(s); i++ {
		left += s[i-1].weight
		if gap := max(left, total-left); gap < least {
			best, least = i, gap
		}
	}
	return best
}
