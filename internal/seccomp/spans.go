package seccomp

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// A point is a call that the profile has rules for.
type point struct {
	nr     uint32
	to     label
	weight int32
}

// Weights of calls in the search: how often one is made, about. The kernel remembers
// which calls a filter allows whatever their arguments are, and does not run it for
// them (Linux 5.11), but not on all architectures; so the others weigh more than they are
// made. Only calls of the native architecture weigh anything.
const (
	weightLittle = 1   // of a range that the profile does not name, or of a call
	weightArgs   = 16  // of a call that is judged by its arguments
	weightSome   = 8   // of the calls of weightyCalls
	weightMost   = 128 // of the first of them
)

// weightyCalls are those that programs make most: on files, on sockets, to wait, and to
// lock. The first four are made more than all others.
var weightyCalls = [...]string{
	"read", "write", "futex", "openat",
	"close", "fstat", "newfstatat", "statx", "lseek", "ioctl", "fcntl", "readv", "writev", "pread64", "pwrite64",
	"mmap", "munmap", "mprotect", "madvise", "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"recvfrom", "sendto", "recvmsg", "sendmsg", "nanosleep", "clock_nanosleep", "rt_sigprocmask",
	"clone3", "openat2", "faccessat2", "futex_waitv", "futex_wait", "futex_wake",
}

const mostWeighty = 4

// weigh fills in the weights of calls.
func (c *compiler) weigh() {
	for i, name := range weightyCalls {
		if call := nameIndex(name); call >= 0 && i < mostWeighty {
			c.weights[call] = weightMost
		} else if call >= 0 {
			c.weights[call] = weightSome
		}
	}
}

// spansOf adds the spans of an architecture between two numbers. Without weight they
// weigh next to nothing together.
func (c *compiler) spansOf(a *arch, start, end uint64, weighty bool, s *spans) {
	points, newest := c.points(a)
	if !weighty {
		for i := range points {
			points[i].weight = 0
		}
	}
	points = c.byNumber(points)
	e := c.e
	// The background: the default up to the newest call, ENOSYS for newer ones.
	background := []span{{uint32(start), e.ret(c.rules.fallback), weightLittle}}
	if newest >= 0 && refuses(c.rules.fallback) {
		newer := e.ret(a.enosys())
		if a.setup {
			background = []span{{0, newer, weightLittle}, {1, background[0].to, weightLittle}}
		}
		background = append(background, span{uint32(newest) + 1, newer, weightLittle})
		if first, last := a.apart(); first <= last && uint32(newest) < first {
			background = append(background, span{first, background[0].to, weightLittle}, span{last + 1, newer, weightLittle})
		}
	}
	at := start
	fill := func(to uint64) {
		for i, b := range background {
			next := end
			if i+1 < len(background) {
				next = uint64(background[i+1].start)
			}
			if from, until := max(at, uint64(b.start)), min(to, next); from < until {
				s.add(uint32(from), b.to, int(b.weight))
			}
		}
	}
	for _, p := range points {
		fill(uint64(p.nr))
		s.add(p.nr, p.to, int(p.weight))
		at = uint64(p.nr) + 1
	}
	fill(end)
}

// byNumber sorts points. Nearly all calls of an architecture lie close together, so
// each is put to its place at once.
func (c *compiler) byNumber(points []point) []point {
	const near = 1024
	low := ^uint32(0)
	for _, p := range points {
		low = min(low, p.nr)
	}
	var at [near]uint16 // of each number from low on, its point plus 1
	var far []point
	for i, p := range points {
		if p.nr-low < near {
			at[p.nr-low] = uint16(i + 1)
		} else {
			far = append(far, p)
		}
	}
	sorted := c.sorted[:0]
	for _, i := range at {
		if i > 0 {
			sorted = append(sorted, points[i-1])
		}
	}
	slices.SortFunc(far, func(a, b point) int { return cmp.Compare(a.nr, b.nr) })
	c.sorted = append(sorted, far...)
	return c.sorted
}

// points returns the calls of the profile that an architecture has, and the number
// of the newest that it names, or -1.
func (c *compiler) points(a *arch) (points []point, newest int64) {
	newest = -1
	first, last := a.apart()
	points = c.found[:0]
	for call := range numNames {
		if !c.rules.named[call] {
			continue
		}
		nr, ok := a.number(call)
		if !ok {
			continue
		}
		if nr < first || nr > last {
			newest = max(newest, int64(nr))
		}
		if len(c.rules.of(call)) > 0 {
			to, weight := c.judge(a, call)
			points = append(points, point{nr, to, int32(weight)})
		}
	}
	if a.muxed {
		points, newest = c.multiplex(a, points, newest)
	}
	c.found = points
	return points, newest
}

// judge returns where the rules of a call are tried.
func (c *compiler) judge(a *arch, call int) (label, int) {
	ret, constant, list := c.rules.decide(call, a.wide)
	if constant {
		return c.e.ret(ret), weightLittle + int(c.weights[call])
	}
	weight := weightArgs + int(c.weights[call])
	seen := &c.judged[index(a.wide)][index(a.big)]
	if *seen == nil {
		*seen = new([numNames]label)
	}
	if l := (*seen)[call]; l > 0 {
		return l - 1, weight
	}
	inTurn := make([]rule, len(list))
	for i, r := range list {
		inTurn[i] = c.rules.all[r]
	}
	l := newMatcher(c.e, inTurn, c.rules.fallback, a.wide, a.big).from(0, 0, nothing)
	(*seen)[call] = l + 1
	return l, weight
}

// multiplex adds or replaces the points of multiplexers. To name a call that one does
// is to name it.
func (c *compiler) multiplex(a *arch, points []point, newest int64) ([]point, int64) {
	for i := range multiplexers {
		m := &multiplexers[i]
		call := nameIndex(m.name)
		nr, ok := a.number(call)
		if !ok {
			continue
		}
		if c.rules.names(m) {
			newest = max(newest, int64(nr))
		}
		inTurn := c.rules.multiplexed(m, a.wide)
		if inTurn == nil {
			continue // it has its point, or the default
		}
		to := newMatcher(c.e, inTurn, c.rules.fallback, a.wide, a.big).from(0, 0, nothing)
		p := point{nr, to, weightArgs}
		if i := slices.IndexFunc(points, func(p point) bool { return p.nr == nr }); i >= 0 {
			points[i] = p
		} else {
			points = append(points, p)
		}
	}
	return points, newest
}

// refuses says that an answer keeps a call from being made, so that a call which
// the profile cannot know is to be answered as by a kernel that does not know it.
// A tracer is taken to know new calls by itself.
func refuses(ret uint32) bool {
	switch ret & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE:
		return false
	}
	return true
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}
