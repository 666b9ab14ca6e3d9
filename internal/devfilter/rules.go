package devfilter

import (
	"fmt"
	"math"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Kinds of access, with the values of BPF_DEVCG_ACC_* in linux/bpf.h.
const (
	mknod = 1 << iota
	read
	write
	all = mknod | read | write
)

// Kinds of device, with the values of BPF_DEVCG_DEV_* in linux/bpf.h, and a
// zero for both kinds.
const (
	anyKind   = 0
	blockKind = 1
	charKind  = 2
)

// wildcard is a major or minor number that matches every number.
const wildcard = -1

// A rule is a checked specs.LinuxDeviceCgroup.
type rule struct {
	allow        bool
	kind         int
	major, minor int64
	access       int
}

// everything tells a rule that matches every request.
func (r *rule) everything() bool {
	return r.kind == anyKind && r.major == wildcard && r.minor == wildcard && r.access == all
}

// parse checks rules. An error names the field by its JSON pointer, as the
// rules stand in /linux/resources/devices.
func parse(rules []specs.LinuxDeviceCgroup) ([]rule, error) {
	out := make([]rule, len(rules))
	for i := range rules {
		in, r := &rules[i], &out[i]
		field := "/linux/resources/devices/" + strconv.Itoa(i)
		r.allow = in.Allow
		switch in.Type {
		case "", "a":
			r.kind = anyKind
		case "b":
			r.kind = blockKind
		case "c":
			r.kind = charKind
		default:
			return nil, fmt.Errorf("%s/type: %q is not a, b or c", field, in.Type)
		}
		var ok bool
		if r.major, ok = number(in.Major); !ok {
			return nil, fmt.Errorf("%s/major: %d is not a device number", field, *in.Major)
		}
		if r.minor, ok = number(in.Minor); !ok {
			return nil, fmt.Errorf("%s/minor: %d is not a device number", field, *in.Minor)
		}
		for _, c := range in.Access {
			switch c {
			case 'r':
				r.access |= read
			case 'w':
				r.access |= write
			case 'm':
				r.access |= mknod
			default:
				return nil, fmt.Errorf("%s/access: %q is not made of r, w and m", field, in.Access)
			}
		}
		if r.access == 0 {
			return nil, fmt.Errorf("%s/access: is empty", field)
		}
	}
	return out, nil
}

// number returns a device number, or wildcard for a missing one and for -1,
// which engines send for it. The greatest is not used: on version 1 the kernel
// takes it for the wildcard.
func number(n *int64) (int64, bool) {
	if n == nil {
		return wildcard, true
	}
	return *n, *n >= wildcard && *n < math.MaxUint32
}

// defaults are the devices that a container has whether or not its config
// lists them, with the access that goes with them.
var defaults = [...]struct {
	kind         string
	major, minor int64
	access       string
}{
	// Any node may be made: to make one opens nothing. Package managers and
	// image builds do it, and so does the runtime for linux.devices.
	{"c", wildcard, wildcard, "m"},
	{"b", wildcard, wildcard, "m"},
	{"c", 1, 3, "rwm"},          // /dev/null
	{"c", 1, 5, "rwm"},          // /dev/zero
	{"c", 1, 7, "rwm"},          // /dev/full
	{"c", 1, 8, "rwm"},          // /dev/random
	{"c", 1, 9, "rwm"},          // /dev/urandom
	{"c", 5, 0, "rwm"},          // /dev/tty
	{"c", 5, 2, "rwm"},          // /dev/ptmx
	{"c", 136, wildcard, "rwm"}, // /dev/pts/*, and /dev/console, which is one of them
}

// DefaultRules returns the rules for the devices that the specification says
// every container must have (config-linux.md, "Default Devices"), to be put
// behind those of the config, whose first rule mostly denies everything.
//
// They go no further than that list but for mknod, which is allowed for every
// device. In particular /dev/net/tun, which no specification asks for and
// other runtimes allow, is left to the config.
func DefaultRules() []specs.LinuxDeviceCgroup {
	rules := make([]specs.LinuxDeviceCgroup, len(defaults))
	for i := range defaults {
		d := &defaults[i]
		rules[i] = specs.LinuxDeviceCgroup{Allow: true, Type: d.kind, Access: d.access}
		if d.major != wildcard {
			rules[i].Major = &d.major
		}
		if d.minor != wildcard {
			rules[i].Minor = &d.minor
		}
	}
	return rules
}
