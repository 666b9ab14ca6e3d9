package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseSignal(t *testing.T) {
	for s, want := range map[string]unix.Signal{
		"KILL": 9, "SIGKILL": 9, "kill": 9, "sigkill": 9, "SigTerm": 15, "9": 9, "09": 9,
		"0": 0, "64": 64, "32": 32, "1": 1,
		"RTMIN": 34, "SIGRTMIN": 34, "rtmin+0": 34, "RTMIN+1": 35, "SIGRTMIN+30": 64,
		"RTMAX": 64, "RTMAX-0": 64, "sigrtmax-1": 63, "RTMAX-30": 34,
		"IOT": 6, "ABRT": 6, "POLL": 29, "IO": 29, "CLD": 17, "CHLD": 17, "SYS": 31, "PWR": 30,
	} {
		if got, err := ParseSignal(s); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "SIG", "65", "-1", "+9", " 9", "9 ", "0x9", "9.0", "99999999999999999999", "18446744073709551625",
		"FOO", "SIGSIGKILL", "SIG9", "KILL\x00", "KILL ", "EXIT",
		"RTMIN+", "RTMIN-1", "RTMIN+31", "RTMIN+-1", "RTMIN1", "RTMIN++1", "RTMIN+1x",
		"RTMAX-", "RTMAX+1", "RTMAX-31", "RTMAX-99999999999999999999", "RT",
	} {
		got, err := ParseSignal(s)
		if err == nil {
			t.Errorf("%q: %d, want an error", s, got)
		} else if want := "unknown signal " + strconv.Quote(s); err.Error() != want {
			t.Errorf("%q: %v, want %s", s, err, want)
		}
	}
}

// signalName is the name of a signal: SIGKILL, SIGRTMIN+1, or the number of one that has
// none. Those of real time are counted from the nearer end, as kill -l does.
func signalName(sig unix.Signal) string {
	switch {
	case sig > 0 && int(sig) < len(names):
		return "SIG" + names[sig][0]
	case sig >= sigRTMin && sig <= sigRTMin+15:
		return fmt.Sprintf("SIG%s+%d", nameRTMin, sig-sigRTMin)
	case sig > sigRTMin && sig <= sigRTMax:
		return fmt.Sprintf("SIG%s-%d", nameRTMax, sigRTMax-sig)
	}
	return strconv.Itoa(int(sig))
}

// TestParseSignalNames: every signal is known by its name and number, and by what x/sys
// calls it.
func TestParseSignalNames(t *testing.T) {
	for sig := unix.Signal(0); sig <= 64; sig++ {
		name := signalName(sig)
		if got, err := ParseSignal(name); err != nil || got != sig {
			t.Errorf("%s: %d, %v, want %d", name, got, err, sig)
		}
		for _, s := range []string{strings.ToLower(name), strings.TrimPrefix(name, "SIG"), strconv.Itoa(int(sig))} {
			if got, err := ParseSignal(s); err != nil || got != sig {
				t.Errorf("%s: %d, %v, want %d", s, got, err, sig)
			}
		}
		if theirs := unix.SignalName(sig); theirs != "" {
			if got, err := ParseSignal(theirs); err != nil || got != sig {
				t.Errorf("%s: %d, %v, want %d", theirs, got, err, sig)
			}
		}
	}
}

func FuzzParseSignal(f *testing.F) {
	for _, s := range []string{"KILL", "RTMIN+3", "64", "rtmax-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sig, err := ParseSignal(s)
		if err != nil {
			return
		}
		if sig < 0 || sig > 64 {
			t.Errorf("%q: %d is out of range", s, sig)
		}
		if again, err := ParseSignal(signalName(sig)); err != nil || again != sig {
			t.Errorf("%q: %d does not come back: %d, %v", s, sig, again, err)
		}
	})
}

func BenchmarkAlive(b *testing.B) {
	id, err := Find(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		id.Alive()
	}
}
