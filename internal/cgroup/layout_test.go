package cgroup

import (
	"os"
	"path"
	"reflect"
	"strings"
	"testing"
)

// dirs answers like mounted, for the given directories below Root and links
// written as "cpu=>cpu,cpuacct".
func dirs(names ...string) lookup {
	return func(dir string, mayBeLink bool) (string, bool) {
		for _, n := range names {
			link, target, is := strings.Cut(n, "=>")
			if Root+"/"+link == dir {
				if is && mayBeLink {
					return path.Join(path.Dir(dir), target), true
				}
				return dir, true
			}
		}
		return "", false
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, self string
		mounted    []string
		want       []Hierarchy
	}{
		{"one controller each", "4:memory:/a/b\n1:cpu:/\n", []string{"memory", "memory/a/b", "cpu"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}, Own: "/a/b"},
			{Dir: "/sys/fs/cgroup/cpu", Controllers: []string{"cpu"}, Own: "/"},
		}},
		{"joined name", "4:cpu,cpuacct:/\n", []string{"cpu,cpuacct", "cpu=>cpu,cpuacct"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}, Own: "/"},
		}},
		{"joined in another order, link followed", "4:cpuacct,cpu:/\n", []string{"cpu,cpuacct", "cpu=>cpu,cpuacct"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpuacct", "cpu"}, Own: "/"},
		}},
		{"only a directory of the first", "4:net_cls,net_prio:/\n", []string{"net_cls"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/net_cls", Controllers: []string{"net_cls", "net_prio"}, Own: "/"},
		}},
		{"named", "1:name=systemd:/user.slice\n", []string{"systemd", "systemd/user.slice"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/systemd", Name: "systemd", Own: "/user.slice"},
		}},
		{"unified beside", "0::/x\n", []string{"unified", "unified/x"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/unified", Unified: true, Own: "/x"},
		}},
		{"not mounted", "4:memory:/\n3:pids:/\n0::/\n", []string{"pids"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/pids", Controllers: []string{"pids"}, Own: "/"},
		}},
		{"own cgroup out of sight", "4:memory:/docker/1\n3:pids:/../x\n", []string{"memory", "pids", "pids/../x"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}, Own: "/"},
			{Dir: "/sys/fs/cgroup/pids", Controllers: []string{"pids"}, Own: "/"},
		}},
		{"colons in the path", "4:memory:/a:b\n", []string{"memory", "memory/a:b"}, []Hierarchy{
			{Dir: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}, Own: "/a:b"},
		}},
		{"rubbish", "\n4\n4:memory\n", []string{"memory"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parse(c.self, dirs(c.mounted...)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestParseUnified(t *testing.T) {
	for self, want := range map[string]string{
		"0::/user.slice/s.scope\n":              "/user.slice/s.scope",
		"1:name=x:/y\n0::/user.slice/s.scope\n": "/user.slice/s.scope",
		"0::/\n":                                "/",
		"0::/gone\n":                            "/",
		"":                                      "/",
	} {
		got := parseUnified(self, dirs("user.slice/s.scope"))
		if len(got) != 1 || got[0].Own != want || got[0].Dir != Root || !got[0].Unified {
			t.Errorf("%q: %+v", self, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("4:cpu,cpuacct:/a\n1:name=systemd:/\n0::/b\n")
	f.Fuzz(func(t *testing.T, self string) {
		for _, h := range parse(self, func(d string, _ bool) (string, bool) { return d, true }) {
			if !strings.HasPrefix(h.Dir, Root+"/") || h.Own == "" && !strings.Contains(self, ":\n") && !strings.HasSuffix(self, ":") {
				t.Errorf("%q: %+v", self, h)
			}
		}
	})
}

func TestDirs(t *testing.T) {
	v1 := Hierarchy{Dir: "/sys/fs/cgroup/memory", Own: "/own/it"}
	root := Hierarchy{Dir: "/sys/fs/cgroup/pids", Own: "/"}
	v2 := Hierarchy{Dir: "/sys/fs/cgroup/unified", Own: "/own/it", Unified: true}
	v2root := Hierarchy{Dir: "/sys/fs/cgroup", Own: "/", Unified: true}
	l := &Layout{Mode: Hybrid, Hierarchies: []Hierarchy{v1, root, v2, v2root}}
	for _, c := range []struct {
		path, id string
		want     string // "" for an error
	}{
		{"/a/b", "id", "memory/a/b pids/a/b unified/a/b ./a/b"},
		{"a/b", "id", "memory/own/it/a/b pids/a/b unified/own/a/b ./a/b"},
		{"", "id", "memory/own/it/id pids/id unified/own/id ./id"},
		{"/a/../../../etc", "id", "memory/etc pids/etc unified/etc ./etc"},
		{"../../x", "id", "memory/own/it/x pids/x unified/own/x ./x"},
		{"a//./b/", "id", "memory/own/it/a/b pids/a/b unified/own/a/b ./a/b"},
		{"/..a/...", "id", "memory/..a/... pids/..a/... unified/..a/... ./..a/..."},
		{"/", "id", ""}, {"/../..", "id", ""}, {"..", "id", ""}, {".", "id", ""}, {"", "", ""}, {"", "..", ""},
	} {
		got, err := l.Dirs(c.path, c.id)
		if c.want == "" {
			if err == nil {
				t.Errorf("%q: %v", c.path, got.Paths())
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.path, err)
			continue
		}
		for i, w := range strings.Fields(c.want) {
			if got[i].Path != path.Join(Root, w) || got[i].Hierarchy.Dir != l.Hierarchies[i].Dir {
				t.Errorf("%q: %s, want %s", c.path, got[i].Path, path.Join(Root, w))
			}
		}
	}
}

func FuzzDirs(f *testing.F) {
	l := &Layout{Hierarchies: []Hierarchy{{Dir: "/m", Own: "/own/it"}}}
	f.Add("../..", "id")
	f.Add("/a/..//b", "id")
	f.Fuzz(func(t *testing.T, p, id string) {
		d, err := l.Dirs(p, id)
		if err != nil {
			return
		}
		base := "/m/own/it/"
		if strings.HasPrefix(p, "/") {
			base = "/m/"
		}
		if !strings.HasPrefix(d[0].Path, base) || strings.Contains(d[0].Path+"/", "/../") {
			t.Errorf("%q: %q", p, d[0].Path)
		}
	})
}

// TestDetect compares with the mount table, which Detect itself never reads.
func TestDetect(t *testing.T) {
	l, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); (f[2] == "cgroup" || f[2] == "cgroup2") && strings.HasPrefix(f[1], Root) {
			want[f[1]] = f[2] == "cgroup2"
		}
	}
	for _, h := range l.Hierarchies {
		if unified, ok := want[h.Dir]; !ok || unified != h.Unified {
			t.Errorf("%+v is not a mount", h)
		}
		delete(want, h.Dir)
	}
	if len(want) != 0 {
		t.Errorf("not found: %v", want)
	}
	t.Logf("%v: %+v", l.Mode, l.Hierarchies)
}

func BenchmarkDetect(b *testing.B) {
	for b.Loop() {
		if _, err := Detect(); err != nil {
			b.Fatal(err)
		}
	}
}
