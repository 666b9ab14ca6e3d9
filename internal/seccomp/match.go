package seccomp

// Offsets in struct seccomp_data (linux/seccomp.h).
const (
	atNumber = 0
	atArch   = 4
	atArgs   = 16
	dataSize = 64
)

// A matcher writes the instructions that try the rules of one call.
//
//	r0: arg0 == 8       load arg0.high
//	    else r1         jeq 0         -> r0b, r1'
//	                r0b load arg0.low
//	                    jeq 8         -> answer, r1''
//	r1: arg0 == 9   r1' ...
//
// A rule is written for each thing that may be known where it is entered: r1'
// knows that the high half is not 0, so it is the default at once, and r1” that
// the low half is loaded. Only the next condition on the same argument keeps what
// is known, so a rule has few such variants.
type matcher struct {
	e        *emitter
	rules    []rule
	fallback uint32
	wide     bool
	big      bool
	done     map[state]label
}

// A state is a condition to be tested, and what is known by then.
type state struct {
	rule, cond int
	known      known
}

// known is what the path to an instruction has found out of an argument.
type known struct {
	arg    int8 // -1: nothing is known
	loaded half // in the accumulator
	// Of the high half: nothing, that it is a number, or that it is not.
	high half2
	is   uint32
}

type half uint8

const (
	neither half = iota
	low
	high
)

type half2 uint8

const (
	unknown half2 = iota
	isNumber
	isNot
)

var nothing = known{arg: -1}

// newMatcher returns a matcher of rules, on architectures of one kind.
func newMatcher(e *emitter, rules []rule, fallback uint32, wide, big bool) *matcher {
	return &matcher{e: e, rules: rules, fallback: fallback, wide: wide, big: big, done: make(map[state]label)}
}

// from returns where a condition of a rule is tested; a rule whose conditions have
// all been met gives its answer, and behind the last rule is the default.
func (m *matcher) from(rule, cond int, k known) label {
	if rule == len(m.rules) {
		return m.e.ret(m.fallback)
	}
	r := &m.rules[rule]
	if cond == len(r.conds) {
		return m.e.ret(r.ret)
	}
	c, always := r.conds[cond].on(m.wide)
	if always {
		return m.from(rule, cond+1, k)
	}
	if k.arg != int8(c.arg) {
		k = nothing
	}
	s := state{rule, cond, k}
	if l, ok := m.done[s]; ok {
		return l
	}
	k.arg = int8(c.arg)
	l := m.compare(c, k,
		func(k known) label { return m.from(rule, cond+1, k) },
		func(k known) label { return m.from(rule+1, 0, k) })
	m.done[s] = l
	return l
}

// A way is where to go on, given what is known.
type way func(known) label

// compare writes a comparison of an argument as those of its halves.
func (m *matcher) compare(c cond, k known, yes, no way) label {
	switch c.op {
	case notEqual:
		c.op = equal
		return m.compare(c, k, no, yes)
	case less:
		c.op = greaterEqual
		return m.compare(c, k, no, yes)
	case lessEqual:
		c.op = greater
		return m.compare(c, k, no, yes)
	}
	lower := func(k known) label {
		v := uint32(c.value)
		switch c.op {
		case equal:
			return m.test(k, low, opJeq, v, yes, no)
		case greater:
			return m.test(k, low, opJgt, v, yes, no)
		case greaterEqual:
			return m.test(k, low, opJge, v, yes, no)
		}
		return m.masked(k, low, v, uint32(c.two), yes, no)
	}
	if !m.wide {
		return lower(k)
	}
	v := uint32(c.value >> 32)
	if c.op == maskedEqual {
		return m.masked(k, high, v, uint32(c.two>>32), lower, no)
	}
	same := func(k known) label {
		if k.high == unknown {
			k.high, k.is = isNumber, v
		}
		return lower(k)
	}
	switch {
	case k.high == isNumber && k.is == v:
		return lower(k)
	case k.high == isNumber && c.op != equal && k.is > v:
		return yes(k)
	case k.high == isNumber:
		return no(k)
	case c.op == equal && k.high == isNot && k.is == v:
		return no(k)
	case c.op == equal:
		return m.test(k, high, opJeq, v, same, func(k known) label {
			if k.high == unknown {
				k.high, k.is = isNot, v
			}
			return no(k)
		})
	}
	return m.test(k, high, opJgt, v, yes, func(k known) label {
		return m.test(k, high, opJeq, v, same, no)
	})
}

// test loads a half of the argument, unless it is loaded, and goes one of two ways.
func (m *matcher) test(k known, h half, op uint16, v uint32, yes, no way) label {
	loaded := k.loaded == h
	k.loaded = h
	l := m.branch(op, v, yes(k), no(k))
	if loaded {
		return l
	}
	return m.load(k, h, l)
}

// masked tests that the bits of a mask have a value.
func (m *matcher) masked(k known, h half, mask, value uint32, yes, no way) label {
	switch {
	case mask == 0:
		return yes(k)
	case mask == 1<<32-1:
		return m.test(k, h, opJeq, value, yes, no)
	case value == 0:
		return m.test(k, h, opJset, mask, no, yes)
	case value == mask && mask&(mask-1) == 0:
		return m.test(k, h, opJset, mask, yes, no)
	}
	loaded := k.loaded == h
	k.loaded = neither
	l := m.branch(opJeq, value, yes(k), no(k))
	l = m.e.once(node{opAnd, mask, l, l}, func() label { return m.e.and(mask, l) })
	if loaded {
		return l
	}
	return m.load(k, h, l)
}

func (m *matcher) branch(op uint16, v uint32, yes, no label) label {
	return m.e.once(node{op, v, yes, no}, func() label { return m.e.branch(op, v, yes, no) })
}

func (m *matcher) load(k known, h half, next label) label {
	offset := atArgs + 8*uint32(k.arg)
	if (h == high) != m.big {
		offset += 4
	}
	return m.e.once(node{opLoad, offset, next, next}, func() label { return m.e.load(offset, next) })
}
