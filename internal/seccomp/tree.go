package seccomp

import "slices"

// A span is a range of call numbers that have the same answer. It ends where the
// next one starts.
type span struct {
	start  uint32
	to     label
	weight int32
}

// spans collects ranges in the order of their numbers, equal neighbours as one.
type spans []span

func (s *spans) add(start uint32, to label, weight int) {
	if n := len(*s); n > 0 && (*s)[n-1].to == to {
		(*s)[n-1].weight += int32(weight)
		return
	}
	*s = append(*s, span{start, to, int32(max(weight, 1))})
}

// A leaf of the search is a span, or three of which the middle one is a single number
// and the others have one answer: then one comparison tells them apart.
type leaf struct {
	first, last int // spans
	weight      int32
}

// leavesOf returns the leaves of spans. What weighs much is not put behind one more
// comparison.
func leavesOf(s []span) []leaf {
	leaves := make([]leaf, 0, len(s))
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i].to == s[i+2].to && s[i+2].start-s[i+1].start == 1 && s[i].weight < weightSome && s[i+2].weight < weightSome {
			leaves = append(leaves, leaf{i, i + 2, s[i].weight + s[i+1].weight + s[i+2].weight})
			i += 2
			continue
		}
		leaves = append(leaves, leaf{i, i, s[i].weight})
	}
	return leaves
}

// depths returns how many comparisons are to lead to each leaf of the tree that has the
// least of them, each leaf taken as often as it weighs (A. Garsia, M. Wachs: A new
// algorithm for minimum cost binary trees, 1977).
func depths(leaves []leaf) []int {
	// The trees that are left to be joined, in an order that is not always that of the
	// numbers. Joined trees stand behind the leaves in above.
	type tree struct {
		weight int32
		at     int
	}
	left := make([]tree, len(leaves), len(leaves)+1)
	above := make([]int, 2*len(leaves)-1)
	for i, l := range leaves {
		left[i] = tree{l.weight, i}
	}
	for next := len(leaves); len(left) > 1; next++ {
		// The leftmost pair that is not heavier than the next one.
		i := 0
		for i+2 < len(left) && left[i].weight > left[i+2].weight {
			i++
		}
		joined := tree{left[i].weight + left[i+1].weight, next}
		above[left[i].at], above[left[i+1].at] = next, next
		left = slices.Delete(left, i, i+2)
		for i > 0 && left[i-1].weight < joined.weight {
			i--
		}
		left = slices.Insert(left, i, joined)
	}
	depth := make([]int, len(above))
	for i := len(above) - 2; i >= 0; i-- {
		depth[i] = depth[above[i]] + 1
	}
	return depth[:len(leaves)]
}

// A search writes the comparisons that find a number's span.
type search struct {
	e      *emitter
	spans  []span
	leaves []leaf
	depths []int
}

// tree writes the search for the span of the number in the accumulator and returns
// where it begins. What is asked for most is found soonest:
//
//	          jge 59
//	        /        \
//	   jge 41        jge 203
//	   /    \        /     \
//	allow  socket  errno  allow
func (e *emitter) tree(s []span) label {
	leaves := leavesOf(s)
	w := search{e, s, leaves, depths(leaves)}
	to, _ := w.below(len(leaves), 0)
	return to
}

// below writes the part of the tree at a depth that ends in front of a leaf, the right
// one first, and returns where it begins and its first leaf.
func (w *search) below(end, depth int) (to label, first int) {
	if w.depths[end-1] == depth {
		l := w.leaves[end-1]
		s := w.spans[l.first:]
		if l.first == l.last {
			return s[0].to, end - 1
		}
		return w.e.branch(opJeq, s[1].start, s[1].to, s[0].to), end - 1
	}
	right, middle := w.below(end, depth+1)
	left, first := w.below(middle, depth+1)
	return w.e.branch(opJge, w.spans[w.leaves[middle].first].start, right, left), first
}
