package devfilter

import (
	"fmt"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A Line is one write to a file of the version 1 devices controller.
type Line struct {
	// File is devices.allow or devices.deny.
	File string
	// Value is a rule as the kernel takes it, such as "c 1:3 rwm".
	Value string
}

// exception is what version 1 stores: one device, or one pattern of devices,
// and the accesses for which the default is turned round.
type exception struct {
	kind         int
	major, minor int64
	access       int
}

// V1 translates rules to the writes that bring a cgroup into their state,
// whatever state it inherited: first the default for every device, which drops
// all exceptions, then the exceptions. Between the first write and the last the
// cgroup may allow less than asked, and never more unless all is allowed.
//
// A list that version 1 cannot express is an error: the kernel would take the
// lines and silently not do what they say.
func V1(rules []specs.LinuxDeviceCgroup) ([]Line, error) {
	parsed, err := parse(rules)
	if err != nil {
		return nil, err
	}
	allowed := false
	var list []exception
	for i, r := range parsed {
		if r.everything() {
			allowed, list = r.allow, nil
			continue
		}
		// The kernel's word for both kinds ignores numbers and access.
		kinds := []int{r.kind}
		if r.kind == anyKind {
			kinds = []int{charKind, blockKind}
		}
		for _, kind := range kinds {
			e := exception{kind, r.major, r.minor, r.access}
			if r.allow != allowed {
				list = add(list, e)
				continue
			}
			var bad *exception
			if list, bad = drop(list, e); bad != nil {
				return nil, fmt.Errorf("/linux/resources/devices/%d: cgroup v1 cannot make an exception (%s) inside of an exception (%s)",
					i, e, *bad)
			}
		}
	}
	// The spelling "a" without numbers is what every kernel takes.
	file, other := "devices.deny", "devices.allow"
	if allowed {
		file, other = other, file
	}
	lines := []Line{{file, "a"}}
	for _, e := range list {
		lines = append(lines, Line{other, e.String()})
	}
	return lines, nil
}

// String spells the exception for the kernel.
func (e exception) String() string {
	text := []byte("c ")
	if e.kind == blockKind {
		text[0] = 'b'
	}
	for i, n := range [2]int64{e.major, e.minor} {
		if n == wildcard {
			text = append(text, '*')
		} else {
			text = strconv.AppendInt(text, n, 10)
		}
		text = append(text, ": "[i])
	}
	for _, a := range [3]struct {
		bit  int
		name byte
	}{{read, 'r'}, {write, 'w'}, {mknod, 'm'}} {
		if e.access&a.bit != 0 {
			text = append(text, a.name)
		}
	}
	return string(text)
}

// add merges an exception into the list as the kernel does: one of the same
// devices gains the access.
func add(list []exception, e exception) []exception {
	for i := range list {
		if list[i].kind == e.kind && list[i].major == e.major && list[i].minor == e.minor {
			list[i].access |= e.access
			return list
		}
	}
	return append(list, e)
}

// drop takes an exception back. Those that lie within it lose the access; one
// that reaches further while it overlaps is returned as the obstacle.
func drop(list []exception, e exception) (rest []exception, obstacle *exception) {
	for _, x := range list {
		if x.kind != e.kind || x.access&e.access == 0 || !overlap(x.major, e.major) || !overlap(x.minor, e.minor) {
			rest = append(rest, x)
			continue
		}
		if !within(x.major, e.major) || !within(x.minor, e.minor) {
			return nil, &x
		}
		if x.access &^= e.access; x.access != 0 {
			rest = append(rest, x)
		}
	}
	return rest, nil
}

func overlap(a, b int64) bool { return a == b || a == wildcard || b == wildcard }

// within tells whether every number of a is one of b.
func within(a, b int64) bool { return a == b || b == wildcard }
