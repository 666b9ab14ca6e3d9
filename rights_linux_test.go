package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/spec"
)

func TestUsersSwitch(t *testing.T) {
	for _, tc := range []struct {
		set  map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"user.max_user_namespaces": "63000", "kernel.unprivileged_userns_clone": "1", "kernel.apparmor_restrict_unprivileged_userns": "0"}, ""},
		{map[string]string{"user.max_user_namespaces": "0"}, "user.max_user_namespaces is 0"},
		{map[string]string{"user.max_user_namespaces": "63000", "kernel.unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone is 0; as root, set it to 1"},
		{map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}, "kernel.apparmor_restrict_unprivileged_userns is 1"},
	} {
		got := usersSwitch(func(name string) string { return tc.set[name] })
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%v: %q, want %q in it", tc.set, got, tc.want)
		}
	}
}

func TestRootlessMode(t *testing.T) {
	for _, tc := range []struct {
		flag    string
		euid    int
		initial bool
		want    bool
	}{
		{"auto", 0, true, false}, {"auto", 1000, true, true}, {"auto", 0, false, true},
		{"true", 0, true, true}, {"false", 1000, true, false},
	} {
		got, err := rootlessMode(tc.flag, rights{initial: tc.initial}, tc.euid)
		if err != nil || got != tc.want {
			t.Errorf("--rootless=%s, uid %d, initial %v: %v, %v", tc.flag, tc.euid, tc.initial, got, err)
		}
	}
	if _, err := rootlessMode("maybe", rights{}, 0); err == nil {
		t.Error("--rootless=maybe is taken")
	}
}

// rootlessConfig is what spec --rootless writes.
func rootlessConfig() *specs.Spec {
	s := spec.Default()
	spec.Rootless(s, 1000, 1000)
	return s
}

func TestRootlessBirth(t *testing.T) {
	refused := func(edit func(*specs.Spec), want ...string) {
		t.Helper()
		s := rootlessConfig()
		edit(s)
		_, err := newBirth("c", "/bundle", "/bundle/rootfs", s, userHost(unified, ""), birthOptions{})
		if err == nil {
			t.Fatalf("accepted; want %q", want)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v\nlacks %q", err, w)
			}
		}
	}
	b, err := newBirth("c", "/bundle", "/bundle/rootfs", rootlessConfig(), userHost(unified, ""), birthOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if b.cgroups != nil || !errors.Is(b.noCgroup, unix.EACCES) {
		t.Errorf("cgroups %v, refused %v", b.cgroups, b.noCgroup)
	}
	refused(func(s *specs.Spec) {
		s.Linux.Namespaces, s.Linux.UIDMappings, s.Linux.GIDMappings = s.Linux.Namespaces[:1], nil, nil
	}, "/linux/namespaces: without a user namespace", "spec --rootless")
	refused(func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(1 << 20))}, Pids: &specs.LinuxPids{Limit: ptr(int64(3))}}
	}, "/linux/resources/memory/limit: no limit can be set: permission denied", "/linux/resources/pids/limit: no limit can be set")
	refused(func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{0} }, "/process/user/additionalGids: groups cannot be set", "/etc/subgid")

	// Device rules are no limit: the kernel lets a user make no device at all.
	s := rootlessConfig()
	s.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	if _, err := newBirth("c", "/bundle", "/bundle/rootfs", s, userHost(unified, ""), birthOptions{}); err != nil {
		t.Error(err)
	}
}

// TestCallersGroups: the caller's groups stay where the config asks for them, or nobody can
// drop them; whoever may drops them before a user namespace that exists is entered.
func TestCallersGroups(t *testing.T) {
	own := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}
	for _, tc := range []struct {
		name         string
		edit         func(*rights) // of root
		path, asked  bool
		drops, keeps bool
	}{
		{name: "root", drops: true},
		{name: "root, by path", path: true, drops: true},
		{name: "root, asked", asked: true, keeps: true},
		{name: "root, by path, asked", path: true, asked: true, keeps: true},
		{name: "CAP_SETGID alone", edit: func(r *rights) { r.userIDs = false }, drops: true},
		{name: "CAP_SETGID alone, by path", edit: func(r *rights) { r.userIDs = false }, path: true, drops: true},
		{name: "CAP_SETUID alone", edit: func(r *rights) { r.groupIDs = false }, keeps: true},
		{name: "CAP_SETUID alone, by path", edit: func(r *rights) { r.groupIDs = false }, path: true},
		{name: "denied to the runtime", edit: func(r *rights) { r.groups = false }, keeps: true},
		{name: "denied to the runtime, by path", edit: func(r *rights) { r.groups = false }, path: true, keeps: true},
		{name: "a user", edit: func(r *rights) { *r = rights{initial: true, groups: true} }, keeps: true},
	} {
		h := testHost(nil, "")
		h.euid, h.egid = 1000, 1000
		if tc.edit != nil {
			tc.edit(&h.rights)
		}
		s := rootlessConfig()
		s.Linux.UIDMappings, s.Linux.GIDMappings = own, own
		if tc.path {
			s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
			for i := range s.Linux.Namespaces {
				if ns := &s.Linux.Namespaces[i]; ns.Type == specs.UserNamespace {
					ns.Path = "/proc/1234/ns/user"
				}
			}
		}
		if tc.asked {
			s.Annotations = map[string]string{annotationKeepGroups: "1"}
		}
		b, err := newBirth("c", "/bundle", "/bundle/rootfs", s, h, birthOptions{})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if drops, keeps := b.userEntry().Drops(), b.keepsGroups(); drops != tc.drops || keeps != tc.keeps || b.joinsUsers() != tc.path {
			t.Errorf("%s: drops %v, keeps %v, joins %v; want %v, %v, %v", tc.name, drops, keeps, b.joinsUsers(), tc.drops, tc.keeps, tc.path)
		}
	}
}
