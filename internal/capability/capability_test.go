package capability

import (
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTable(t *testing.T) {
	if len(names) != unix.CAP_LAST_CAP+1 {
		t.Errorf("%d names for capabilities 0 to %d", len(names), unix.CAP_LAST_CAP)
	}
	for n, name := range names {
		if !strings.HasPrefix(name, "CAP_") || name != strings.ToUpper(name) {
			t.Errorf("capability %d has the name %q", n, name)
		}
		if mask, unknown := Parse([]string{name}); mask != 1<<n || unknown != nil {
			t.Errorf("Parse(%s) = %#x, %q", name, mask, unknown)
		}
	}
	if got := Names(); !reflect.DeepEqual(got, names[:]) {
		t.Errorf("Names() = %q", got)
	}
	Names()[0] = "changed"
	if names[0] != "CAP_CHOWN" {
		t.Error("Names gives the table away")
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		in      []string
		mask    uint64
		unknown []string
	}{
		{nil, 0, nil},
		{[]string{"CAP_CHOWN", "CAP_KILL", "CAP_CHOWN"}, 1<<0 | 1<<5, nil},
		{[]string{"CAP_CHECKPOINT_RESTORE", "CAP_BPF"}, 1<<40 | 1<<39, nil},
		{[]string{"cap_chown", "CHOWN", "CAP_KILL", "", "CAP_"}, 1 << 5, []string{"cap_chown", "CHOWN", "", "CAP_"}},
	}
	for _, tt := range tests {
		mask, unknown := Parse(tt.in)
		if mask != tt.mask || !reflect.DeepEqual(unknown, tt.unknown) {
			t.Errorf("Parse(%q) = %#x, %q, want %#x, %q", tt.in, mask, unknown, tt.mask, tt.unknown)
		}
		if again, _ := Parse(In(mask)); again != mask {
			t.Errorf("In(%#x) = %q", mask, In(mask))
		}
	}
	if got := In(1<<63 | 1); !reflect.DeepEqual(got, []string{"CAP_CHOWN"}) {
		t.Errorf("In with an unknown bit = %q", got)
	}
}

func TestLast(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		t.Skip(err)
	}
	want, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Last(); got != want || err != nil {
		t.Errorf("Last() = %d, %v, want %d", got, err, want)
	}
}

func TestLastOfOtherKernels(t *testing.T) {
	for _, last := range []int{0, 37, 39, 40, 41, 63} {
		got, err := lastOf(func(n int) error {
			if n > last {
				return unix.EINVAL
			}
			return nil
		})
		if got != last || err != nil {
			t.Errorf("lastOf = %d, %v, want %d", got, err, last)
		}
	}
	for _, errno := range []syscall.Errno{unix.EPERM, unix.EINVAL} {
		_, err := lastOf(func(int) error { return errno })
		if want := "prctl PR_CAPBSET_READ: " + errno.Error(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
