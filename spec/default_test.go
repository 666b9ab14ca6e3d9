package spec

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func destinations(s *specs.Spec) (list []string) {
	for _, m := range s.Mounts {
		list = append(list, m.Destination)
	}
	return list
}

func types(s *specs.Spec) (list []specs.LinuxNamespaceType) {
	for _, ns := range s.Linux.Namespaces {
		list = append(list, ns.Type)
	}
	return list
}

func TestDefault(t *testing.T) {
	s := Default()
	check(t, Validate(s))
	if want := []specs.LinuxNamespaceType{"pid", "network", "ipc", "uts", "mount", "cgroup"}; !slices.Equal(types(s), want) {
		t.Errorf("namespaces %v", types(s))
	}
	if want := []string{"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"}; !slices.Equal(destinations(s), want) {
		t.Errorf("mounts %v", destinations(s))
	}
	caps := []string{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"}
	if want := (specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}); !reflect.DeepEqual(*s.Process.Capabilities, want) {
		t.Errorf("capabilities %+v", s.Process.Capabilities)
	}
	if !s.Process.Terminal || !s.Process.NoNewPrivileges || !s.Root.Readonly || s.Hostname != "oci-mini" ||
		s.Root.Path != "rootfs" || !slices.Equal(s.Process.Args, []string{"sh"}) {
		t.Errorf("%+v", s)
	}
	if rules := s.Linux.Resources.Devices; len(rules) != 1 || rules[0].Allow || rules[0].Access != "rwm" || rules[0].Type != "" {
		t.Errorf("device rules %+v", rules)
	}
	// Each call makes a configuration of its own, down to the last list.
	s.Process.Capabilities.Bounding[0] = "CAP_SYS_ADMIN"
	s.Mounts[1].Options[0] = "suid"
	if d := Default(); d.Process.Capabilities.Bounding[0] != caps[0] || d.Mounts[1].Options[0] != "nosuid" ||
		s.Process.Capabilities.Effective[0] != caps[0] {
		t.Error("two configurations share a list")
	}
}

func TestRootless(t *testing.T) {
	s := Default()
	Rootless(s, 1000, 100)
	check(t, Validate(s))
	if want := []specs.LinuxNamespaceType{"pid", "ipc", "uts", "mount", "cgroup", "user"}; !slices.Equal(types(s), want) {
		t.Errorf("namespaces %v", types(s))
	}
	if want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}; !slices.Equal(s.Linux.UIDMappings, want) {
		t.Errorf("uids %v", s.Linux.UIDMappings)
	}
	if want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100, Size: 1}}; !slices.Equal(s.Linux.GIDMappings, want) {
		t.Errorf("gids %v", s.Linux.GIDMappings)
	}
	if s.Linux.Resources != nil {
		t.Errorf("resources %+v", s.Linux.Resources)
	}
	if want := (specs.Mount{Destination: "/sys", Type: "none", Source: "/sys",
		Options: []string{"rbind", "nosuid", "noexec", "nodev", "rro"}}); !reflect.DeepEqual(s.Mounts[5], want) {
		t.Errorf("sysfs %+v", s.Mounts[5])
	}
	if want := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}; !slices.Equal(s.Mounts[2].Options, want) {
		t.Errorf("devpts %v", s.Mounts[2].Options)
	}
	first := *s
	Rootless(s, 1000, 100)
	if !reflect.DeepEqual(*s, first) {
		t.Error("a second time changes it")
	}
	bare := &specs.Spec{Version: "1.0.0", Root: &specs.Root{Path: "x"}}
	Rootless(bare, 1, 1)
	check(t, Validate(bare))
}

func TestHost(t *testing.T) {
	s := Default()
	Host(s, []string{"/usr", "/etc", "/bin", "/lib64"}, "screen")
	check(t, Validate(s))
	want := []string{"/usr", "/etc", "/bin", "/lib64", "/tmp", "/root", "/run", "/var"}
	if got := destinations(s); !slices.Equal(got, append(want, destinations(Default())...)) {
		t.Errorf("mounts %v", got)
	}
	for _, m := range s.Mounts[:4] {
		if m.Source != m.Destination || !slices.Contains(m.Options, "rro") || !slices.Contains(m.Options, "rbind") {
			t.Errorf("not a read-only bind of itself: %+v", m)
		}
	}
	if m := s.Mounts[4]; m.Type != "tmpfs" || !slices.Contains(m.Options, "mode=1777") {
		t.Errorf("tmp %+v", m)
	}
	if !s.Root.Readonly || s.Root.Path != "rootfs" {
		t.Errorf("root %+v", s.Root)
	}
	if env := s.Process.Env; len(env) != 2 || env[1] != "TERM=screen" || !strings.HasPrefix(env[0], "PATH=") {
		t.Errorf("env %v", env)
	}

	s = Default()
	Host(s, nil, "")
	Rootless(s, 1, 1)
	check(t, Validate(s))
	if !slices.Contains(s.Process.Env, "TERM=xterm") {
		t.Errorf("env %v", s.Process.Env)
	}
	bare := &specs.Spec{Version: "1.0.0"}
	Host(bare, HostDirs, "x")
	check(t, Validate(bare))
}

func TestWrite(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o027))
	file := filepath.Join(t.TempDir(), "config.json")
	s := Default()
	s.Process.Args = []string{"sh", "-c", "a && b > <c>"}
	if err := Write(file, s); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !strings.HasPrefix(text, "{\n\t\"ociVersion\": \"1.3.0\",\n") || !strings.HasSuffix(text, "\n}\n") ||
		!strings.Contains(text, `"a && b > <c>"`) {
		t.Errorf("wrong form:\n%s", text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	back, err := Parse(file, data)
	if err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("comes back as %+v, %v", back, err)
	}

	err = Write(file, Default())
	if want := file + " exists: remove it first"; err == nil || err.Error() != want || !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want %s", err, want)
	}
	if again, _ := os.ReadFile(file); string(again) != text {
		t.Error("overwritten")
	}
	if err := os.Symlink("nowhere", file+".link"); err != nil {
		t.Fatal(err)
	}
	if err := Write(file+".link", s); !errors.Is(err, fs.ErrExist) {
		t.Errorf("through a dangling link: %v", err)
	}
	if err := Write(filepath.Join(file, "x"), s); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestWriteCleansUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := limit
	small.Cur = 16
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Skip("the file size cannot be limited:", err)
	}
	err := Write(file, Default())
	if err2 := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err2 != nil {
		t.Fatal(err2)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v, want EFBIG", err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a part of the file is left: %v", err)
	}
}

// The default written by Write and read by Load has no null and no empty lists
// that would look like a decision.
func TestDefaultText(t *testing.T) {
	data, err := json.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"null", "[]", `""`} {
		if strings.Contains(string(data), bad) {
			t.Errorf("has %s: %s", bad, data)
		}
	}
}
