package systemd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oci-mini/oci-mini/internal/dbus"
)

func TestParsePath(t *testing.T) {
	for _, test := range []struct{ path, slice, name, cgroup string }{
		{"", "system.slice", "oci-mini-web.scope", "/system.slice/oci-mini-web.scope"},
		{"machine.slice:libpod:abc", "machine.slice", "libpod-abc.scope", "/machine.slice/libpod-abc.scope"},
		{":libpod:abc", "system.slice", "libpod-abc.scope", "/system.slice/libpod-abc.scope"},
		{"a.slice::abc", "a.slice", "abc.scope", "/a.slice/abc.scope"},
		{"a-b-c.slice:x:y", "a-b-c.slice", "x-y.scope", "/a.slice/a-b.slice/a-b-c.slice/x-y.scope"},
		{"-.slice:x:y", "-.slice", "x-y.scope", "/x-y.scope"},
		{"::pods-web.slice", "pods.slice", "pods-web.slice", "/pods.slice/pods-web.slice"},
		{"pods.slice:x:pods-web.slice", "pods.slice", "pods-web.slice", "/pods.slice/pods-web.slice"},
		{"::web.slice", "-.slice", "web.slice", "/web.slice"},
	} {
		u, err := ParsePath(test.path, "web", "system.slice", "oci-mini")
		if err != nil || u.Slice != test.slice || u.Name != test.name || u.Cgroup() != test.cgroup {
			t.Errorf("%q: got %+v in %s, %v", test.path, u, u.Cgroup(), err)
		}
	}
	if u, err := ParsePath("", "a+b_c.d-e", "user.slice", "oci-mini"); err != nil || u.Name != `oci-mini-a\x2bb_c.d-e.scope` {
		t.Errorf("an id with a plus: got %+v, %v", u, err)
	}
	for path, want := range map[string]string{
		"/a/b":                             "not of the form slice:prefix:name",
		"a.slice:b":                        "not of the form slice:prefix:name",
		"a:b:c":                            "does not end in .slice",
		"a--b.slice:b:c":                   "every part between its dashes",
		"-a.slice:b:c":                     "every part between its dashes",
		".slice:b:c":                       "every part between its dashes",
		"a/b.slice:b:c":                    `has the character "/"`,
		"a.slice:b:c/d":                    `has the character "/"`,
		"a.slice:b:":                       "no name behind its last colon",
		"b.slice:x:a-c.slice":              "lies in a.slice by its name",
		"::" + strings.Repeat("x", 255):    "longer than the 255 bytes",
		"a.slice:" + "b c" + ":" + "d":     `has the character " "`,
		"a.slice:\u00e9:" + "d":            "has the character",
		strings.Repeat("x-", 200) + "x:b:": "does not end in .slice",
	} {
		if u, err := ParsePath(path, "web", "system.slice", "oci-mini"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want %q", path, u, err, want)
		}
	}
}

func TestOfFile(t *testing.T) {
	for _, test := range []struct {
		unified           bool
		file, value, want string
	}{
		{true, "memory.max", "1048576", "MemoryMax=uint64 1048576"},
		{true, "memory.max", "max", "MemoryMax=uint64 18446744073709551615"},
		{true, "memory.swap.max", "0", "MemorySwapMax=uint64 0"},
		{true, "pids.max", "5\n", "TasksMax=uint64 5"},
		{true, "pids.max", "0", "TasksMax=uint64 1"},
		{false, "pids.max", "max", "TasksMax=uint64 18446744073709551615"},
		{true, "cpu.max", "20000 100000", "CPUQuotaPerSecUSec=uint64 200000 CPUQuotaPeriodUSec=uint64 100000"},
		{true, "cpu.max", "10000 30000", "CPUQuotaPerSecUSec=uint64 340000 CPUQuotaPeriodUSec=uint64 30000"},
		{true, "cpu.max", "max 50000", "CPUQuotaPerSecUSec=uint64 18446744073709551615 CPUQuotaPeriodUSec=uint64 50000"},
		{true, "cpu.max", "5000", "CPUQuotaPerSecUSec=uint64 50000"},
		{true, "cpu.idle", "1", "CPUWeight=uint64 0"},
		{true, "cpu.idle", "0", ""},
		{true, "cpuset.cpus", "0-2,9", "AllowedCPUs=[byte 7, byte 2]"},
		{true, "cpuset.mems", "", "AllowedMemoryNodes=@ay []"},
		{true, "cpuset.cpus", "2-1", ""},
		{true, "io.weight", "default 300", "IOWeight=uint64 300"},
		{true, "io.weight", "8:0 300", ""},
		// What BFQ_WEIGHT of systemd makes the same number of again.
		{true, "io.bfq.weight", "default 321", "IOWeight=uint64 2531"},
		{true, "io.bfq.weight", "1000", "IOWeight=uint64 10000"},
		{true, "io.bfq.weight", "100", "IOWeight=uint64 100"},
		{true, "io.bfq.weight", "10", "IOWeight=uint64 10"},
		{true, "io.bfq.weight", "8:0 300", ""},
		{true, "hugetlb.2MB.max", "0", ""},
		{true, "memory.max", "much", ""},
		{false, "memory.limit_in_bytes", "-1", "MemoryLimit=uint64 18446744073709551615"},
		{false, "cpu.shares", "512", "CPUShares=uint64 512"},
		{false, "memory.max", "1", ""},
	} {
		var got []string
		for _, p := range OfFile(test.unified, test.file, test.value) {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s %q: got %s, want %s", test.file, test.value, got, test.want)
		}
	}
}

func TestForVersion(t *testing.T) {
	idle := Property{"CPUWeight", dbus.Uint64(0)}
	rest := []Property{{"CPUWeight", dbus.Uint64(100)}, {"TasksMax", dbus.Uint64(0)}}
	for version, want := range map[string]int{
		"252.38-1~deb12u1": 3, "257": 3, "v255.4-1-arch": 3, "1000~rc1": 3, "251.9": 2, "249 (249.11-0ubuntu3)": 2, "": 2, "main": 2,
	} {
		if got := ForVersion(append([]Property{idle}, rest...), version); len(got) != want {
			t.Errorf("%s: got %s", version, got)
		}
	}
}

func TestParseProperty(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"CollectMode", "'inactive'", "CollectMode='inactive'"},
		{"TimeoutStopUSec", "uint64 5", "TimeoutStopUSec=uint64 5"},
		{"TimeoutStopSec", "5", "TimeoutStopUSec=uint64 5000000"},
		{"TimeoutStopSec", "uint32 5", "TimeoutStopUSec=uint64 5000000"},
		{"TimeoutStopSec", "1.5", "TimeoutStopUSec=uint64 1500000"},
		{"After", "['a.service']", "After=['a.service']"},
	} {
		p, err := ParseProperty(test.name, test.text)
		if err != nil || p.String() != test.want {
			t.Errorf("%s %s: got %s, %v", test.name, test.text, p, err)
		}
	}
	for _, test := range []struct{ name, text string }{
		{"ab", "1"}, {"Ab1", "1"}, {"lower", "1"}, {"", "1"}, {"Two Words", "1"}, {"Good", "bad"},
		{"TimeoutStopSec", "-1"}, {"TimeoutStopSec", "'x'"}, {"TimeoutStopSec", "1e30"},
	} {
		if p, err := ParseProperty(test.name, test.text); err == nil {
			t.Errorf("%s %s: got %s", test.name, test.text, p)
		}
	}
}

func TestFailureNamesCallAndUnit(t *testing.T) {
	err := failure("StopUnit", "web.scope", fmt.Errorf("wait: %w", dbus.ErrDeadline))
	if want := "StopUnit web.scope: systemd gave no answer within 30s: wait: no answer in time"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
