package spec

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

// full returns the configuration of testdata/full.json, which has every field.
func full(t testing.TB) *specs.Spec {
	t.Helper()
	data, err := os.ReadFile("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse("full.json", data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check compares the faults of a configuration with the lines wanted.
func check(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []string
	if err != nil {
		var faults Faults
		if !errors.As(err, &faults) {
			t.Fatalf("got %T (%v), want Faults", err, err)
		}
		got = strings.Split(faults.Error(), "\n")
	}
	if !reflect.DeepEqual(got, append([]string(nil), want...)) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

type faultCase struct {
	name   string
	change func(s *specs.Spec)
	want   []string
}

// run applies each case to a fresh full configuration, which has no fault, and
// wants those of the case and no other.
func run(t *testing.T, cases []faultCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := full(t)
			tc.change(s)
			check(t, Validate(s), tc.want...)
		})
	}
}

func one(line string) []string { return []string{line} }

func TestFullIsValid(t *testing.T) { check(t, Validate(full(t))) }

// The file with every field is worth its name only if it has them.
func TestFullIsFull(t *testing.T) {
	elsewhere := map[string]bool{
		"Spec.Solaris": true, "Spec.Windows": true, "Spec.VM": true, "Spec.ZOS": true, "Spec.FreeBSD": true,
		"Process.CommandLine": true, "User.Username": true,
		"Scheduler.Priority":     true, // does not go with a deadline
		"LinuxPersonality.Flags": true, // none are defined
	}
	seen := make(map[string]bool)
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				walk(v.MapIndex(key))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				field := v.Type().Name() + "." + v.Type().Field(i).Name
				seen[field] = seen[field] || !v.Field(i).IsZero()
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(full(t)))
	for field, set := range seen {
		if set == elsewhere[field] {
			t.Errorf("%s: set %v, should be %v", field, set, !set)
		}
	}
}

func TestValidateTop(t *testing.T) {
	run(t, []faultCase{
		{"version missing", func(s *specs.Spec) { s.Version = "" },
			one(`/ociVersion: is required: the version of the runtime specification, such as 1.3.0`)},
		{"version no semver", func(s *specs.Spec) { s.Version = "1.0" },
			one(`/ociVersion: must be a version as of SemVer 2.0.0, such as 1.3.0, is "1.0"`)},
		{"version major 0", func(s *specs.Spec) { s.Version = "0.5.0-dev" },
			one(`/ociVersion: must be a version 1 of the runtime specification, is "0.5.0-dev"`)},
		{"version major 10", func(s *specs.Spec) { s.Version = "10.0.0" },
			one(`/ociVersion: must be a version 1 of the runtime specification, is "10.0.0"`)},
		{"version dev", func(s *specs.Spec) { s.Version = "1.0.2-dev" }, nil},
		{"version to come", func(s *specs.Spec) { s.Version = "1.99.0+build.01" }, nil},
		{"root missing", func(s *specs.Spec) { s.Root = nil }, one(`/root: is required`)},
		{"root empty", func(s *specs.Spec) { s.Root.Path = "" },
			one(`/root/path: is required: the directory that becomes the container's root`)},
		{"root NUL", func(s *specs.Spec) { s.Root.Path = "/a\x00b" },
			one(`/root/path: must not contain a NUL byte, is "/a\x00b"`)},
		{"no process", func(s *specs.Spec) { s.Process = nil }, nil},
		{"no mounts", func(s *specs.Spec) { s.Mounts = nil }, nil},
		{"no linux", func(s *specs.Spec) {
			s.Linux, s.Hostname, s.Domainname, s.Mounts = nil, "", "", nil
		}, nil},
		{"hostname on the host", func(s *specs.Spec) { s.Linux = nil; s.Mounts = nil }, []string{
			`/hostname: needs a uts namespace in /linux/namespaces, or it would be set on the host`,
			`/domainname: needs a uts namespace in /linux/namespaces, or it would be set on the host`}},
		{"hostname long", func(s *specs.Spec) { s.Hostname = strings.Repeat("a", 65) },
			one(`/hostname: must have at most 64 bytes, has 65`)},
		{"hostname just fits", func(s *specs.Spec) { s.Hostname = strings.Repeat("a", 64) }, nil},
		{"hostname NUL", func(s *specs.Spec) { s.Hostname = "a\x00" },
			one(`/hostname: must not contain a NUL byte, is "a\x00"`)},
		{"annotation without a name", func(s *specs.Spec) { s.Annotations[""] = "x" },
			one(`/annotations/: must have a name`)},
		{"mount destination", func(s *specs.Spec) { s.Mounts[1].Destination = "" },
			one(`/mounts/1/destination: must not be empty`)},
		{"mount NULs", func(s *specs.Spec) {
			s.Mounts[1] = specs.Mount{Destination: "\x00", Type: "a\x00", Source: "b\x00", Options: []string{"ro", "c\x00"}}
		}, []string{
			`/mounts/1/destination: must not contain a NUL byte, is "\x00"`,
			`/mounts/1/type: must not contain a NUL byte, is "a\x00"`,
			`/mounts/1/source: must not contain a NUL byte, is "b\x00"`,
			`/mounts/1/options/1: must not contain a NUL byte, is "c\x00"`}},
		{"mount uids alone", func(s *specs.Spec) { s.Mounts[2].GIDMappings = nil },
			one(`/mounts/2/gidMappings: is required along with uidMappings`)},
		{"mount gids alone", func(s *specs.Spec) { s.Mounts[2].UIDMappings = nil },
			one(`/mounts/2/uidMappings: is required along with gidMappings`)},
		{"mount mapping empty", func(s *specs.Spec) { s.Mounts[2].UIDMappings[0].Size = 0 },
			one(`/mounts/2/uidMappings/0/size: must not be 0`)},
		{"hook path relative", func(s *specs.Spec) { s.Hooks.CreateRuntime[0].Path = "bin/x" },
			one(`/hooks/createRuntime/0/path: must be an absolute path, is "bin/x"`)},
		{"hook path missing", func(s *specs.Spec) { s.Hooks.CreateContainer[0].Path = "" },
			one(`/hooks/createContainer/0/path: must be an absolute path, is empty`)},
		{"hook path NUL", func(s *specs.Spec) { s.Hooks.StartContainer[0].Path = "/\x00" },
			one(`/hooks/startContainer/0/path: must not contain a NUL byte, is "/\x00"`)},
		{"hook args", func(s *specs.Spec) { s.Hooks.Prestart[0].Args = []string{"", "\x00"} },
			one(`/hooks/prestart/0/args/1: must not contain a NUL byte, is "\x00"`)},
		{"hook env", func(s *specs.Spec) { s.Hooks.Poststart[0].Env = []string{"A=", "B"} },
			one(`/hooks/poststart/0/env/1: must have the form NAME=VALUE, is "B"`)},
		{"hook timeout zero", func(s *specs.Spec) { s.Hooks.Poststop[0].Timeout = ptr(0) },
			one(`/hooks/poststop/0/timeout: must be greater than zero, is 0`)},
		{"hook timeout negative", func(s *specs.Spec) { s.Hooks.Poststop[0].Timeout = ptr(-1) },
			one(`/hooks/poststop/0/timeout: must be greater than zero, is -1`)},
	})
}

func TestValidateNil(t *testing.T) {
	const want = "the document: must be an object, is null"
	check(t, Validate(nil), want)
	check(t, ValidateProcess(nil), want)
	check(t, ValidateResources(nil), want)
}

// Parts that are judged by themselves have pointers of their own.
func TestValidateParts(t *testing.T) {
	check(t, ValidateProcess(&specs.Process{Args: []string{"sh"}, Cwd: "x"}),
		`/cwd: must be an absolute path, is "x"`)
	check(t, ValidateProcess(&specs.Process{Args: []string{"sh"}, Cwd: "/"}))
	check(t, ValidateResources(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(-2))}}),
		`/pids/limit: must not be negative, unless -1 for unlimited, is -2`)
	check(t, ValidateResources(&specs.LinuxResources{}))
}

// All faults are told at once, and those of the document's start first.
func TestValidateAll(t *testing.T) {
	check(t, Validate(&specs.Spec{
		Version: "one",
		Process: &specs.Process{
			Env:     []string{"=x", "A=b", "Z"},
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILES", Soft: 2, Hard: 1}},
		},
		Hostname: "h",
		Mounts:   []specs.Mount{{}},
		Hooks:    &specs.Hooks{Poststop: []specs.Hook{{Path: "x"}}},
		Linux: &specs.Linux{
			Namespaces:  []specs.LinuxNamespace{{Type: "pid"}, {Type: "net"}},
			MaskedPaths: []string{"proc"},
		},
	}),
		`/ociVersion: must be a version as of SemVer 2.0.0, such as 1.3.0, is "one"`,
		`/process/args: must have at least one entry: the program to run`,
		`/process/env/0: must have a name before the equals sign, is "=x"`,
		`/process/env/2: must have the form NAME=VALUE, is "Z"`,
		`/process/cwd: must be an absolute path, is empty`,
		`/process/rlimits/0/type: must be one of RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME, is "RLIMIT_NOFILES"`,
		`/process/rlimits/0/soft: must be at most the hard limit 1, is 2`,
		`/root: is required`,
		`/hostname: needs a uts namespace in /linux/namespaces, or it would be set on the host`,
		`/mounts/0/destination: must not be empty`,
		`/hooks/poststop/0/path: must be an absolute path, is "x"`,
		`/linux/namespaces/1/type: must be one of user, cgroup, ipc, uts, network, pid, time, mount, is "net"`,
		`/linux/maskedPaths: needs a mount namespace in /linux/namespaces`,
		`/linux/maskedPaths/0: must be an absolute path, is "proc"`,
	)
}

func TestSemVer(t *testing.T) {
	for version, want := range map[string]bool{
		"1.0.0": true, "1.0.2-dev": true, "1.0.0-rc.1": true, "1.0.0-0a.b-c": true,
		"1.0.0+001": true, "1.0.0-a+b.c": true, "10.20.30": true, "1.0.0--": true, "1.0.0+a-b": true,
		"": false, "1": false, "1.0": false, "1.0.0.0": false, "01.0.0": false, "1.00.0": false,
		"1.0.0-": false, "1.0.0+": false, "1.0.0-01": false, "1.0.0-a..b": false, "v1.0.0": false,
		"1.0.x": false, "1.0.0-ä": false, "1.0.0 ": false, "1..0": false, "-1.0.0": false, "1.0.0+a+b": false,
	} {
		if got := isSemVer(version); got != want {
			t.Errorf("isSemVer(%q) = %v", version, got)
		}
	}
}

func TestPointerEscapes(t *testing.T) {
	var top *pointer
	a := top.field("a/b~c")
	b := a.item(12)
	c := b.field("~1")
	if got, want := c.String(), "/a~1b~0c/12/~01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Checking a sound configuration is cheap: it allocates next to nothing.
func TestValidateAllocations(t *testing.T) {
	s := Default()
	if n := testing.AllocsPerRun(100, func() {
		if err := Validate(s); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a default configuration", n)
	}
}

func BenchmarkValidate(b *testing.B) {
	s := full(b)
	for b.Loop() {
		if err := Validate(s); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleFaults() {
	err := Validate(&specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"sh"}, Cwd: "x"},
	})
	fmt.Println(err)
	// Output: /process/cwd: must be an absolute path, is "x"
}
