package seccomp

import "slices"

// A multiplexer is a system call that does what others do, chosen by its first
// argument (socketcall(2), ipc(2)).
type multiplexer struct {
	name string
	// mask has the bits of the first argument that choose. The others are cut off,
	// or hold the version of an ABI.
	mask  uint64
	calls []string // at their numbers
}

// multiplexers of the architectures that have them (include/uapi/linux/net.h,
// ipc.h).
var multiplexers = [...]multiplexer{
	{"socketcall", 1<<32 - 1, []string{
		1: "socket", 2: "bind", 3: "connect", 4: "listen", 5: "accept", 6: "getsockname", 7: "getpeername",
		8: "socketpair", 9: "send", 10: "recv", 11: "sendto", 12: "recvfrom", 13: "shutdown", 14: "setsockopt",
		15: "getsockopt", 16: "sendmsg", 17: "recvmsg", 18: "accept4", 19: "recvmmsg", 20: "sendmmsg",
	}},
	{"ipc", 1<<16 - 1, []string{
		1: "semop", 2: "semget", 3: "semctl", 4: "semtimedop", 11: "msgsnd", 12: "msgrcv", 13: "msgget",
		14: "msgctl", 21: "shmat", 22: "shmdt", 23: "shmget", 24: "shmctl",
	}},
}

// names says that the profile names a call that a multiplexer does.
func (r *rules) names(m *multiplexer) bool {
	return slices.ContainsFunc(m.calls, func(name string) bool {
		call := nameIndex(name)
		return call >= 0 && r.named[call]
	})
}

// multiplexed returns the rules of a multiplexer on an architecture: its own, and
// then one for each call that it does and the profile has rules for. None are
// returned if it has one answer for all: the default, or what the profile says of
// the multiplexer itself.
func (r *rules) multiplexed(m *multiplexer, wide bool) (inTurn []rule) {
	self := nameIndex(m.name)
	_, constant, list := r.decide(self, wide)
	if constant && len(r.of(self)) > 0 {
		return nil
	}
	for _, i := range list {
		inTurn = append(inTurn, r.all[i])
	}
	for nr, name := range m.calls {
		call := nameIndex(name)
		if call < 0 || len(r.of(call)) == 0 {
			continue
		}
		if ret := r.strictest(call, wide); ret != r.fallback {
			entry := r.all[r.of(call)[0]].entry
			inTurn = append(inTurn, rule{ret, []cond{{0, maskedEqual, m.mask, uint64(nr)}}, entry})
		}
	}
	return inTurn
}
