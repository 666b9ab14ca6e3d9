package process

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// The real-time signals that programs may use, as glibc and musl have them:
// the kernel's first two are taken by the thread library (signal(7)).
const (
	sigRTMin  = unix.Signal(34)
	sigRTMax  = unix.Signal(64)
	nameRTMin = "RTMIN"
	nameRTMax = "RTMAX"
)

// names is the vocabulary: index is the signal, value its names without SIG,
// the usual one first. Numbers as on x86, arm and most others (signal(7)).
var names = [...][]string{
	1: {"HUP"}, 2: {"INT"}, 3: {"QUIT"}, 4: {"ILL"},
	5: {"TRAP"}, 6: {"ABRT", "IOT"}, 7: {"BUS"}, 8: {"FPE"},
	9: {"KILL"}, 10: {"USR1"}, 11: {"SEGV"}, 12: {"USR2"},
	13: {"PIPE"}, 14: {"ALRM"}, 15: {"TERM"}, 16: {"STKFLT"},
	17: {"CHLD", "CLD"}, 18: {"CONT"}, 19: {"STOP"}, 20: {"TSTP"},
	21: {"TTIN"}, 22: {"TTOU"}, 23: {"URG"}, 24: {"XCPU"},
	25: {"XFSZ"}, 26: {"VTALRM"}, 27: {"PROF"}, 28: {"WINCH"},
	29: {"IO", "POLL"}, 30: {"PWR"}, 31: {"SYS"},
}

// ParseSignal reads a signal: a name with or without SIG in any case (KILL,
// SIGKILL, kill), a number from 0 to 64, RTMIN, RTMIN+n, RTMAX or RTMAX-n.
// Signal 0 is none: it only checks for existence.
func ParseSignal(s string) (unix.Signal, error) {
	if n, ok := number(s); ok && n <= int(sigRTMax) {
		return unix.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	for sig, list := range names {
		for _, known := range list {
			if name == known {
				return unix.Signal(sig), nil
			}
		}
	}
	if sig, ok := realTime(name); ok {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}

// realTime reads RTMIN, RTMIN+n, RTMAX, RTMAX-n.
func realTime(name string) (unix.Signal, bool) {
	if rest, ok := strings.CutPrefix(name, nameRTMin); ok {
		n, ok := offset(rest, '+')
		return sigRTMin + unix.Signal(n), ok
	}
	if rest, ok := strings.CutPrefix(name, nameRTMax); ok {
		n, ok := offset(rest, '-')
		return sigRTMax - unix.Signal(n), ok
	}
	return 0, false
}

// offset reads what follows RTMIN or RTMAX: nothing, or the sign and a number
// that does not lead beyond the other.
func offset(s string, sign byte) (int, bool) {
	if s == "" {
		return 0, true
	}
	n, ok := number(s[1:])
	return n, ok && s[0] == sign && n <= int(sigRTMax-sigRTMin)
}

// number reads digits and nothing else, unlike strconv.Atoi.
func number(s string) (int, bool) {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' || n > int(sigRTMax) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != ""
}
