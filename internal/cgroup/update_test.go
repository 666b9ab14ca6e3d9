package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// fake is a Cgroup of ordinary files, which take every value and keep what a
// shorter one does not cover.
func fake(t *testing.T, h Hierarchy, files map[string]string) *Cgroup {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := open(Dir{Hierarchy: h, Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	c := &Cgroup{dirs: []openDir{d}}
	t.Cleanup(c.Close)
	return c
}

var (
	fakeV1 = Hierarchy{Controllers: []string{"blkio", "cpu", "cpuacct", "cpuset", "hugetlb", "memory", "pids"}}
	fakeV2 = Hierarchy{Unified: true}
)

func TestUpdateRollback(t *testing.T) {
	before := map[string]string{"a": "old a", "b": "old b", "c": "old c", "else": "old e"}
	c := fake(t, fakeV2, before)
	dir := c.dirs[0].Path
	write := func(file, value string) Write {
		return Write{Field: "/f/" + file, Controller: "cgroup", Unified: true, File: file, Value: value}
	}
	other := write("else", "new e")
	missing := write("missing", "1")
	missing.Optional = true
	with := write("none", "1")
	with.Else = &other

	// Its hierarchy is not there.
	refuses := Write{Field: "/f/refuses", Controller: "rdma", File: "refuses", Value: "1"}
	good := []Write{write("a", "new a"), write("b", "new b"), with, missing, write("a", "NEW A")}
	_, err := c.Update(append(slices.Clone(good), refuses, write("c", "new c")))
	var refused *WriteError
	if !errors.As(err, &refused) || refused.File != "refuses" || !errors.Is(err, ErrNoHierarchy) {
		t.Errorf("error %v", err)
	}
	if err == nil || !strings.HasSuffix(err.Error(), "; nothing was changed") {
		t.Errorf("the error does not tell what became of the others: %v", err)
	}
	for file, want := range before {
		if got := content(t, dir, file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}

	back, err := c.Update(good)
	if err != nil {
		t.Error(err)
	}
	for file, want := range map[string]string{"a": "NEW A", "b": "new b", "c": "old c", "else": "new e"} {
		if got := content(t, dir, file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}

	// Somebody else changes files that are held.
	again, err := c.Hold([]Write{write("a", ""), with, missing})
	if err != nil {
		t.Error(err)
	}
	for _, file := range []string{"a", "c", "else"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("THEIR"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := again(); err != nil {
		t.Error(err)
	}
	for file, want := range map[string]string{"a": "NEW A", "c": "THEIR", "else": "new e"} {
		if got := content(t, dir, file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "c"), []byte(before["c"]), 0o600); err != nil {
		t.Fatal(err)
	}

	// The caller's next step fails.
	reason := errors.New("systemd says no")
	if err := back(reason); !errors.Is(err, reason) || err.Error() != "systemd says no; nothing was changed" {
		t.Errorf("error %v", err)
	}
	for file, want := range before {
		if got := content(t, dir, file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

// What cannot be put back is told.
func TestV1PutBackFails(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	d := c.v1("cpu")
	if d == nil {
		t.Skip("no cpu controller")
	}
	shares := content(t, d.Path, "cpu.shares")
	if err := writeAt(d.fd, "cpu.shares", "333"); err != nil {
		t.Fatal(err)
	}
	err := putBack([]former{
		{dir: d, write: Write{File: "cpu.shares"}, text: shares + "\n"},
		{dir: d, write: Write{File: "cpu.cfs_period_us"}, text: "nonsense\n"},
		{dir: d, write: Write{File: "missing"}, text: "1\n"},
	})
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "could not be put back: "+d.Path+"/cpu.cfs_period_us: write nonsense") {
		t.Error("error:", err)
	}
	if got := content(t, d.Path, "cpu.shares"); got != shares {
		t.Errorf("cpu.shares: %s, want %s", got, shares)
	}
}

func TestFormerValues(t *testing.T) {
	for _, test := range []struct {
		file, written, text string
		want                []string
	}{
		{"memory.limit_in_bytes", "1", "9223372036854771712\n", []string{"9223372036854771712"}},
		{"memory.max", "1", "max\n", []string{"max"}},
		{"cpu.max", "50000 100000", "max 100000\n", []string{"max 100000"}},
		{"cpu.max", "50000", "max 100000\n", []string{"max 100000"}},
		{"cpuset.cpus", "0", "\n", []string{"\n"}},
		{"cpuset.cpus", "0", "", []string{"\n"}},
		{"memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", []string{"0"}},
		{"blkio.throttle.read_bps_device", "8:0 1", "8:16 5\n8:0 1048576\n", []string{"8:0 1048576"}},
		{"blkio.throttle.read_bps_device", "8:1 1", "8:16 5\n", []string{"8:1 0"}},
		{"io.max", "8:0 rbps=1", "8:0 rbps=max wbps=9 riops=max wiops=max\n", []string{"8:0 rbps=max wbps=9 riops=max wiops=max"}},
		{"io.max", "8:0 rbps=1", "", []string{"8:0 rbps=max wbps=max riops=max wiops=max"}},
		{"io.weight", "150", "default 100\n8:0 200\n", []string{"default 100", "8:0 200"}},
		{"io.weight", "default 150", "default 100\n8:0 200\n", []string{"default 100"}},
		{"io.weight", "8:16 150", "default 100\n8:0 200\n", []string{"8:16 default"}},
		{"rdma.max", "mlx4_0 hca_handle=2", "mlx4_0 hca_handle=max hca_object=max\n", []string{"mlx4_0 hca_handle=max hca_object=max"}},
		{"net_prio.ifpriomap", "eth0 5", "lo 0\neth0 1\n", []string{"eth0 1"}},
	} {
		f := former{write: Write{File: test.file, Value: test.written}, text: test.text}
		if got := f.values(); !slices.Equal(got, test.want) {
			t.Errorf("%s after %q: %q, want %q", test.file, test.written, got, test.want)
		}
	}
}

// The kernel's own refusal, with pages that it cannot reclaim.
func TestV1UpdateRollback(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	if c.v1("memory") == nil || c.v1("cpu") == nil {
		t.Skip("no cpu or memory controller")
	}
	// Born there, so that its memory is charged there. Some of it is the
	// kernel's own for a process, which not even swap can take.
	restore := enter(t, c)
	start(t, nil)
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
	files := map[string]*openDir{
		"cpu.shares": c.v1("cpu"), "cpu.cfs_quota_us": c.v1("cpu"), "cpu.cfs_period_us": c.v1("cpu"),
		"memory.limit_in_bytes": c.v1("memory"), "memory.memsw.limit_in_bytes": c.v1("memory"),
	}
	read := func() map[string]string {
		m := map[string]string{}
		for file, d := range files {
			m[file] = content(t, d.Path, file)
		}
		return m
	}
	resources := func(shares uint64, quota int64, period uint64, limit, swap int64) []Write {
		w, err := Writes(l, &specs.LinuxResources{
			CPU:    &specs.LinuxCPU{Shares: &shares, Quota: &quota, Period: &period},
			Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap},
		})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	const mb = 1 << 20
	if _, err := c.Update(resources(500, 40000, 80000, 64*mb, 64*mb)); err != nil {
		t.Fatal(err)
	}
	before := read()
	if before["cpu.shares"] != "500" || before["memory.memsw.limit_in_bytes"] != "67108864" {
		t.Fatalf("not written: %v", before)
	}
	// Raised, in the order that the kernel takes, and back when something
	// later is refused.
	bad := Write{Field: "/x", Controller: "cpu", File: "cpu.shares", Value: "nonsense"}
	_, err := c.Update(append(resources(600, 50000, 90000, 128*mb, 256*mb), bad))
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "cpu.shares") || !strings.HasSuffix(err.Error(), "nothing was changed") {
		t.Error("error:", err)
	}
	if after := read(); !equal(after, before) {
		t.Errorf("after a refused write: %v, before: %v", after, before)
	}
	// A limit that a process is above.
	_, err = c.Update(resources(700, 60000, 100000, 4096, 64*mb))
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "memory limit to 4096 (current usage: ") {
		t.Error("limit below usage:", err)
	}
	if after := read(); !equal(after, before) {
		t.Errorf("after EBUSY: %v, before: %v", after, before)
	}
	// Above the sum, which is not given.
	limit := int64(1024 * mb)
	w, _ := Writes(l, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}})
	if _, err := c.Update(w); err == nil || !strings.Contains(err.Error(), "memory and swap together are limited to 67108864") {
		t.Error("limit above the sum:", err)
	}
	if limit, err := c.MemoryLimit(); err != nil || limit != 64*mb {
		t.Error("MemoryLimit:", limit, err)
	}
}

func equal(a, b map[string]string) bool {
	for k := range a {
		if a[k] != b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestCPUQuota(t *testing.T) {
	for text, want := range map[string]int64{"max 100000\n": -1, "50000 100000\n": 50000} {
		if got, err := fake(t, fakeV2, map[string]string{"cpu.max": text}).CPUQuota(); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if _, err := fake(t, fakeV2, nil).CPUQuota(); !errors.Is(err, os.ErrNotExist) {
		t.Error("without a controller:", err)
	}
}
