package seccomp

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// An action is what a filter answers to a call (seccomp(2)).
type action struct {
	name specs.LinuxSeccompAction
	ret  uint32 // SECCOMP_RET_ number
	// most is the highest number that errnoRet may give: an errno, or the message
	// for a tracer. Where it is 0, the action takes none.
	most uint
}

// The limits of errnoRet. The kernel caps a greater errno in silence.
const (
	maxErrno = 4095                  // MAX_ERRNO
	maxTrace = unix.SECCOMP_RET_DATA // 16 bits
)

// badArch answers calls of an architecture that the filter does not cover.
const badArch = unix.SECCOMP_RET_KILL_THREAD

// actions are the actions of a rule. Where one number has two names, the
// last is the one that is printed.
var actions = [...]action{
	{specs.ActKill, unix.SECCOMP_RET_KILL_THREAD, 0},
	{specs.ActKillProcess, unix.SECCOMP_RET_KILL_PROCESS, 0},
	{specs.ActKillThread, unix.SECCOMP_RET_KILL_THREAD, 0},
	{specs.ActTrap, unix.SECCOMP_RET_TRAP, 0},
	{specs.ActErrno, unix.SECCOMP_RET_ERRNO, maxErrno},
	{specs.ActTrace, unix.SECCOMP_RET_TRACE, maxTrace},
	{specs.ActAllow, unix.SECCOMP_RET_ALLOW, 0},
	{specs.ActLog, unix.SECCOMP_RET_LOG, 0},
	{specs.ActNotify, unix.SECCOMP_RET_USER_NOTIF, 0},
}

// Actions returns the names of the actions.
func Actions() []specs.LinuxSeccompAction {
	names := make([]specs.LinuxSeccompAction, len(actions))
	for i := range actions {
		names[i] = actions[i].name
	}
	return names
}

// answer returns the number that a filter returns for an action. Without errnoRet
// an action that takes one gives EPERM.
//
// The fields are what errors begin with: the names of the two in the config.
func answer(name specs.LinuxSeccompAction, errnoRet *uint, fields [2]string) (uint32, error) {
	for i := range actions {
		a := &actions[i]
		switch {
		case a.name != name:
			continue
		case errnoRet != nil && a.most == 0:
			return 0, fmt.Errorf("/%s: %s takes no number", fields[1], name)
		case errnoRet != nil && *errnoRet > a.most:
			return 0, fmt.Errorf("/%s: %d: the most is %d", fields[1], *errnoRet, a.most)
		case errnoRet != nil:
			return a.ret | uint32(*errnoRet), nil
		case a.most > 0:
			return a.ret | uint32(unix.EPERM), nil
		}
		return a.ret, nil
	}
	return 0, fmt.Errorf("/%s: %q is not an action", fields[0], name)
}

// actionOf returns the action of what a filter returned.
func actionOf(ret uint32) specs.LinuxSeccompAction {
	for i := len(actions) - 1; i >= 0; i-- {
		if actions[i].ret == ret&unix.SECCOMP_RET_ACTION_FULL {
			return actions[i].name
		}
	}
	return specs.ActKillProcess // as the kernel takes a number that it does not know
}

// stricter says that the kernel would take a before b if two filters gave them.
func stricter(a, b uint32) bool {
	return int32(a&unix.SECCOMP_RET_ACTION_FULL) < int32(b&unix.SECCOMP_RET_ACTION_FULL)
}

// An operator compares an argument of a call with a value.
type operator uint8

const (
	equal operator = iota
	notEqual
	less
	lessEqual
	greater
	greaterEqual
	maskedEqual // argument & value == valueTwo & value
)

var operators = [...]specs.LinuxSeccompOperator{
	equal:        specs.OpEqualTo,
	notEqual:     specs.OpNotEqual,
	less:         specs.OpLessThan,
	lessEqual:    specs.OpLessEqual,
	greater:      specs.OpGreaterThan,
	greaterEqual: specs.OpGreaterEqual,
	maskedEqual:  specs.OpMaskedEqual,
}

// Operators returns the names of the operators.
func Operators() []specs.LinuxSeccompOperator { return operators[:] }

// A flag is one of seccomp(2) that a profile may ask for.
type flag struct {
	name specs.LinuxSeccompFlag
	bit  uint32
}

// flagTSYNC is in the text of the specification but not among its Go constants.
const flagTSYNC specs.LinuxSeccompFlag = "SECCOMP_FILTER_FLAG_TSYNC"

var flags = [...]flag{
	{flagTSYNC, unix.SECCOMP_FILTER_FLAG_TSYNC},
	{specs.LinuxSeccompFlagLog, unix.SECCOMP_FILTER_FLAG_LOG},
	{specs.LinuxSeccompFlagSpecAllow, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{specs.LinuxSeccompFlagWaitKillableRecv, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
}

// Flags returns the names of the flags.
func Flags() []specs.LinuxSeccompFlag {
	names := make([]specs.LinuxSeccompFlag, len(flags))
	for i := range flags {
		names[i] = flags[i].name
	}
	return names
}

// flagBits returns the flags for seccomp(2).
//
// Without any in the profile it is SPEC_ALLOW, as with runc and crun: a filter would
// otherwise slow its processes down by a mitigation of speculation on kernels
// before 5.16. An empty list asks for none.
func flagBits(profile *specs.LinuxSeccomp, notifies bool) (bits uint32, err error) {
	if profile.Flags == nil {
		bits = unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	}
next:
	for i, name := range profile.Flags {
		for _, f := range flags {
			if f.name == name {
				bits |= f.bit
				continue next
			}
		}
		return 0, fmt.Errorf("/flags/%d: %q is not a flag", i, name)
	}
	if !notifies {
		// The kernel refuses it where nobody listens.
		return bits &^ unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, nil
	}
	bits |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	if bits&unix.SECCOMP_FILTER_FLAG_TSYNC != 0 {
		// Both would say by the same return value what they mean (Linux 5.7).
		bits |= unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	}
	return bits, nil
}

// FlagNames prints flags of seccomp(2), those that a profile cannot name as well.
func FlagNames(bits uint32) string {
	var names []string
	for _, f := range append(flags[:len(flags):len(flags)],
		flag{"SECCOMP_FILTER_FLAG_NEW_LISTENER", unix.SECCOMP_FILTER_FLAG_NEW_LISTENER},
		flag{"SECCOMP_FILTER_FLAG_TSYNC_ESRCH", unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH}) {
		if bits&f.bit != 0 {
			names = append(names, strings.TrimPrefix(string(f.name), "SECCOMP_FILTER_FLAG_"))
			bits &^= f.bit
		}
	}
	if bits != 0 {
		names = append(names, fmt.Sprintf("%#x", bits))
	}
	return strings.Join(names, "|")
}
