package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// granting is an Access to these files alone; the directories of exist are there.
func granting(exist []string, files ...string) Access {
	return func(file string) error {
		switch {
		case slices.Contains(files, file):
			return nil
		case slices.Contains(exist, file):
			return &os.PathError{Op: "access", Path: file, Err: unix.EACCES}
		}
		return &os.PathError{Op: "access", Path: file, Err: unix.ENOENT}
	}
}

// slice is a session of systemd's: the user manager's subtree belongs to the user.
var slice = []string{
	"/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup/user.slice/cgroup.procs",
	"/sys/fs/cgroup/user.slice/me", "/sys/fs/cgroup/user.slice/me/cgroup.procs",
	"/sys/fs/cgroup/user.slice/me/shell", "/sys/fs/cgroup/user.slice/me/shell/cgroup.procs",
}

func TestDelegatedToUser(t *testing.T) {
	const me, shell = "/sys/fs/cgroup/user.slice/me", "/sys/fs/cgroup/user.slice/me/shell"
	for _, tc := range []struct {
		name, path, own string
		may             []string
		want            string // the directory, or "" where it cannot be had
		refused         string
	}{
		{"subtree above the own cgroup", "", "/user.slice/me/shell", []string{me, me + "/cgroup.procs", shell, shell + "/cgroup.procs"}, me + "/c", ""},
		{"own cgroup alone", "", "/user.slice/me", []string{me, me + "/cgroup.procs"}, me + "/c", ""},
		{"relative path", "pods/c", "/user.slice/me/shell", []string{me, me + "/cgroup.procs"}, me + "/pods/c", ""},
		{"absolute path", "/user.slice/me/x", "/user.slice/me/shell", []string{me, me + "/cgroup.procs"}, me + "/x", ""},
		{"nothing", "", "/user.slice/me/shell", nil, "", me},
		{"absolute path elsewhere", "/x", "/user.slice/me/shell", []string{me, me + "/cgroup.procs"}, "", "/sys/fs/cgroup"},
		{"a directory, but no way into it", "", "/user.slice/me/shell", []string{me}, "", me + "/cgroup.procs"},
		{"a subtree that the caller is outside of", "/user.slice/me/x", "/user.slice/login", []string{me, me + "/cgroup.procs"}, "", "/sys/fs/cgroup/user.slice/cgroup.procs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &Layout{Mode: Unified, Hierarchies: []Hierarchy{{Dir: Root, Unified: true, Own: tc.own}}}
			access := granting(slice, tc.may...)
			l.Delegated(access)
			dirs, err := l.Dirs(tc.path, "c")
			if err != nil {
				t.Fatal(err)
			}
			err = dirs.Permitted(access)
			if tc.want != "" {
				if err != nil || dirs[0].Path != tc.want {
					t.Errorf("%s, %v; want %s", dirs[0].Path, err, tc.want)
				}
				return
			}
			var refused *fs.PathError
			if !errors.As(err, &refused) || refused.Path != tc.refused {
				t.Errorf("%v; want a refusal at %s", err, tc.refused)
			}
		})
	}
}

func TestPermittedLegacy(t *testing.T) {
	l := &Layout{Mode: Legacy, Hierarchies: []Hierarchy{{Dir: Root + "/pids", Controllers: []string{"pids"}, Own: "/me"}}}
	dirs, err := l.Dirs("", "c")
	if err != nil {
		t.Fatal(err)
	}
	exist := []string{Root + "/pids", Root + "/pids/tasks", Root + "/pids/me", Root + "/pids/me/tasks"}
	if err := dirs.Permitted(granting(exist)); err == nil {
		t.Error("permitted without any right")
	}
	if err := dirs.Permitted(granting(exist, Root+"/pids/me")); err == nil {
		t.Error("permitted although the thread could not come back")
	}
	if err := dirs.Permitted(granting(exist, Root+"/pids/me", Root+"/pids/me/tasks")); err != nil {
		t.Error(err)
	}
}

func TestUndelegated(t *testing.T) {
	has := map[string][]string{
		"/sys/fs/cgroup": {"memory", "pids", "io"}, "/sys/fs/cgroup/users": {"memory", "pids"}, "/sys/fs/cgroup/users/me": {"memory", "pids"},
		"/sys/fs/cgroup/users/me/own": {"pids"},
	}
	access := func(file string) error {
		dir := filepath.Dir(file)
		if _, ok := has[dir]; !ok {
			return &os.PathError{Op: "access", Path: file, Err: unix.ENOENT}
		}
		if dir == "/sys/fs/cgroup" || dir == "/sys/fs/cgroup/users" {
			return &os.PathError{Op: "access", Path: file, Err: unix.EACCES}
		}
		return nil
	}
	h := Hierarchy{Dir: "/sys/fs/cgroup", Unified: true, Own: "/users/me/own", Controllers: has["/sys/fs/cgroup"]}
	for _, tc := range []struct {
		path, controller string
		inside           bool
		want             string
	}{
		{"/users/me/box", "memory", false, ""},
		{"/users/me/deep/er/box", "memory", false, ""},
		{"/users/me/box", "cpu", false, ""}, // nobody has it: that is another fault
		{"/users/me/box", "io", false, "the controller io is not delegated to /sys/fs/cgroup/users/me: root has to write +io to /sys/fs/cgroup/cgroup.subtree_control, then to /sys/fs/cgroup/users/cgroup.subtree_control, or systemd to be told by Delegate=io in the unit of the user's service manager"},
		{"/users/me/own/box", "memory", true, "/sys/fs/cgroup/users/me/own has processes, the runtime's own among them, and so cannot pass on the controller memory: start the runtime in a cgroup below it"},
	} {
		h.Inside = tc.inside
		d := Dirs{{Hierarchy: Hierarchy{Dir: "/sys/fs/cgroup/cpu", Controllers: []string{"memory"}}}, {Hierarchy: h, Path: "/sys/fs/cgroup" + tc.path}}
		if got := d.Undelegated(tc.controller, access, func(dir string) []string { return has[dir] }); got != tc.want {
			t.Errorf("%s in %s: %q, should be %q", tc.controller, tc.path, got, tc.want)
		}
	}
}
