package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDelegated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "delegate")
	if got := Delegated(file); !slices.Equal(got, []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}) {
		t.Errorf("without the file: %q", got)
	}
	if err := os.WriteFile(file, []byte("cgroup.procs\nmemory.reclaim\n../x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Delegated(file); !slices.Equal(got, []string{"cgroup.procs", "memory.reclaim"}) {
		t.Errorf("of the file: %q", got)
	}
}

// TestGive: the directory and the files of the list change hands, what is missing is
// passed over, and no link is followed. A plain directory stands for a cgroup.
func TestGive(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing an owner needs root")
	}
	dir := t.TempDir()
	for _, name := range []string{"cgroup.procs", "memory.max", "elsewhere"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	d, err := open(Dir{Path: dir, Hierarchy: Hierarchy{Dir: dir, Unified: true}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Cgroup{dirs: []openDir{d}}
	defer c.Close()
	if err := c.Give(4242, []string{"cgroup.procs", "cgroup.threads", "link"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{"": 4242, "cgroup.procs": 4242, "memory.max": 0, "elsewhere": 0, "link": 4242} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil {
			t.Fatal(err)
		}
		if st.Uid != want {
			t.Errorf("%q belongs to %d, should to %d", name, st.Uid, want)
		}
	}
}
