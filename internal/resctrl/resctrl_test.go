package resctrl_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/resctrl/resctrltest"
)

func TestMakeWritesInOrder(t *testing.T) {
	r := resctrltest.New(t)
	g := r.Group("web", "")
	made, err := g.Make([]string{"L3:0=7f0;1=1f", "MB:0=20;1=70", "L2:0=1"})
	if err != nil || !made {
		t.Fatalf("made %v: %v", made, err)
	}
	if got := resctrltest.Read(t, r.Path, "web", "schemata"); got != "L3:0=7f0;1=1f\nMB:0=20;1=70\nL2:0=1\n" {
		t.Errorf("the schemata are %q", got)
	}
	if resctrltest.Read(t, r.Path, "schemata") != resctrltest.Schemata {
		t.Error("the default group has changed")
	}
}

// TestMakeWithoutLines: nothing is written to any schemata.
func TestMakeWithoutLines(t *testing.T) {
	r := resctrltest.New(t)
	if made, err := r.Group("web", "").Make(nil); err != nil || !made {
		t.Fatalf("made %v: %v", made, err)
	}
	if got := resctrltest.Read(t, r.Path, "web", "schemata"); got != resctrltest.Schemata {
		t.Errorf("the schemata are %q", got)
	}
}

// TestExisting: a group that exists is compared, by value and not by spelling, and is
// never written to.
func TestExisting(t *testing.T) {
	for _, c := range []struct {
		lines []string
		fault string
	}{
		{nil, ""},
		{[]string{"L3:0=7ff;1=7ff"}, ""},
		{[]string{"L3:1=007FF"}, ""},
		{[]string{"MB:1=100; 0= 100"}, ""},
		{[]string{"MB:0=95"}, ""}, // the kernel rounds up to steps of ten
		{[]string{"L3:0=7ff;1=7ff\nMB:0=100"}, ""},
		{[]string{"L3:0=7fe"}, "it has L3:0=7ff;1=7ff, and L3:0=7fe is asked for"},
		{[]string{"MB:0=85"}, "MB:0=85 is asked for"},
		{[]string{"L3:2=7ff"}, "L3:2=7ff is asked for"},
		{[]string{"L3:0=7ff", "L2:0=f"}, "it has no line for L2"},
		{[]string{"nonsense"}, "not of the form"},
		{[]string{"L3:0"}, "not of the form"},
	} {
		r := resctrltest.New(t)
		if err := r.Mkdir(filepath.Join(r.Path, "shared")); err != nil {
			t.Fatal(err)
		}
		g := r.Group("shared", "")
		made, err := g.Make(c.lines)
		if made || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: made %v, %v", c.lines, made, err)
		}
		if cerr := g.Check(c.lines); (cerr == nil) != (err == nil) {
			t.Errorf("%q: Check says %v, Make %v", c.lines, cerr, err)
		}
		if got := resctrltest.Read(t, r.Path, "shared", "schemata"); got != resctrltest.Schemata {
			t.Errorf("%q: the schemata are %q", c.lines, got)
		}
	}
}

func TestCheckMissing(t *testing.T) {
	r := resctrltest.New(t)
	if err := r.Group("none", "").Check(nil); err == nil || !strings.Contains(err.Error(), "there is no resctrl group") {
		t.Errorf("a missing group: %v", err)
	}
	// A directory of the kernel's own is no group.
	if made, err := r.Group("info", "").Make([]string{"L3:0=f"}); err == nil || made || !strings.Contains(err.Error(), "is not a resctrl group") {
		t.Errorf("the directory info: %v, %v", made, err)
	}
	if err := r.Group("/", "").Check([]string{"L3:0=7ff"}); err != nil {
		t.Errorf("the default group: %v", err)
	}
}

func TestMonitor(t *testing.T) {
	r := resctrltest.New(t)
	g := r.Group("/", "web")
	if want := filepath.Join(r.Path, "mon_groups", "web"); g.Monitor != want {
		t.Errorf("the group is %s, should be %s", g.Monitor, want)
	}
	if err := g.MakeMonitor(); err != nil {
		t.Fatal(err)
	}
	if err := g.MakeMonitor(); !errors.Is(err, unix.EEXIST) {
		t.Errorf("a second one: %v", err)
	}
	if err := g.Join(4242); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{g.Path, g.Monitor} {
		if got := resctrltest.Read(t, dir, "tasks"); got != "4242" {
			t.Errorf("%s has the tasks %q", dir, got)
		}
	}
}

// TestKernelsWords: a failure carries what the kernel says about it.
func TestKernelsWords(t *testing.T) {
	r := resctrltest.New(t)
	resctrltest.Write(t, r.Path, map[string]string{"info/last_cmd_status": "Non-hex character in mask q\n"})
	r.Mkdir = func(string) error { return unix.EINVAL }
	_, err := r.Group("web", "").Make([]string{"L3:0=q"})
	if !errors.Is(err, unix.EINVAL) || !strings.HasSuffix(err.Error(), "Non-hex character in mask q") {
		t.Errorf("the error is %v", err)
	}
}

func TestRemove(t *testing.T) {
	r := resctrltest.New(t)
	g := r.Group("web", "")
	if _, err := g.Make(nil); err != nil {
		t.Fatal(err)
	}
	if err := g.Join(4242); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveUnused(g.Path); err != nil || !g.Exists() {
		t.Errorf("a group with a task: %v, exists %v", err, g.Exists())
	}
	for range 2 {
		if err := r.Remove(g.Path); err != nil || g.Exists() {
			t.Errorf("remove: %v, exists %v", err, g.Exists())
		}
	}
	if err := r.RemoveUnused(g.Path); err != nil {
		t.Errorf("an unused group that is gone: %v", err)
	}
}

// TestStats holds the statistics to the form that engines read.
func TestStats(t *testing.T) {
	r := resctrltest.New(t)
	g := r.Group("web", "web")
	if _, err := g.Make([]string{"L3:0=f;1=f", "MB:0=20;1=70"}); err != nil {
		t.Fatal(err)
	}
	if err := g.MakeMonitor(); err != nil {
		t.Fatal(err)
	}
	s, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"l3_cache_info":{"cbm_mask":"7ff","min_cbm_bits":1,"num_closids":16},"l3_cache_schema_root":"L3:0=7ff;1=7ff","l3_cache_schema":"L3:0=f;1=f",` +
		`"mem_bw_info":{"bandwidth_gran":10,"delay_linear":1,"min_bandwidth":10,"num_closids":8},"mem_bw_schema_root":"MB:0=100;1=100","mem_bw_schema":"MB:0=20;1=70",` +
		`"schemata":["L3:0=f;1=f","MB:0=20;1=70"],"mbm_stats":[{"mbm_total_bytes":1000,"mbm_local_bytes":0},{"mbm_total_bytes":2000,"mbm_local_bytes":0}],` +
		`"cmt_stats":[{"llc_occupancy":100},{"llc_occupancy":200}]}`
	if string(got) != want {
		t.Errorf("the statistics are\n%s\nshould be\n%s", got, want)
	}
	// A machine that can do none of it.
	if err := os.RemoveAll(filepath.Join(r.Path, "info")); err != nil {
		t.Fatal(err)
	}
	if s, err = g.Stats(); err != nil || s.L3CacheInfo != nil || s.MemBwInfo != nil || s.MBMStats != nil || len(s.Schemata) != 2 {
		t.Errorf("without info: %+v, %v", s, err)
	}
}
