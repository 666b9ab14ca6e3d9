package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// look tells what this process is: the test's view of itself from within.
func look(c Container) report {
	comm, _ := os.ReadFile("/proc/self/comm")
	ok, reason, err := OutOfReach(c)
	fds, _ := os.ReadDir("/proc/self/fd")
	r := report{
		Comm: strings.TrimSpace(string(comm)), Arg0: os.Args[0], OK: ok, Reason: reason,
		Guarded: os.Getenv(GuardEnv) != "", Pid: os.Getpid(),
	}
	for _, fd := range fds {
		// Only what this package could have left open: a mount, a copy.
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && (strings.Contains(target, filepath.Base(os.Args[0])) || strings.HasPrefix(target, "/memfd:") || target == "/") {
			r.Leaks = append(r.Leaks, target)
		}
	}
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

type report struct {
	Comm, Arg0, Reason, Err string
	OK, Guarded             bool
	Leaks                   []string
	Pid                     int
}

// ensured is the test binary as a runtime would behave. arg selects what is
// known of the container.
func ensured(arg string) {
	var c Container
	switch arg {
	case "immutable":
		c.NoImmutableCap = true
	case "userns":
		c.MapsUID = func(uid uint32) bool { return uid >= 100000 && uid < 165536 }
	case "maps all":
		c.MapsUID = func(uint32) bool { return true }
	case "check":
		json.NewEncoder(os.Stdout).Encode(look(c))
		os.Exit(0)
	}
	noView := func() (*View, error) { return nil, errNoSwap }
	if _, err := ensure(c, noView); err != nil {
		json.NewEncoder(os.Stdout).Encode(report{Err: err.Error(), Reason: fmt.Sprint(errors.Is(err, ErrInReach))})
		os.Exit(0)
	}
	json.NewEncoder(os.Stdout).Encode(look(c))
	os.Exit(0)
}

// openDir returns a directory that other users can reach, unlike t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "seal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func as(uid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
}

// inUser makes the process root of a user namespace in which it is uid outside.
func inUser(uid int, more ...uintptr) *syscall.SysProcAttr {
	flags := uintptr(syscall.CLONE_NEWUSER)
	for _, flag := range more {
		flags |= flag
	}
	return &syscall.SysProcAttr{
		Cloneflags:  flags,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		Credential:  &syscall.Credential{Uid: 0, Gid: 0},
	}
}

func TestEnsure(t *testing.T) {
	needRoot(t)
	if err := unix.Access("/proc/self/exe", unix.W_OK); err == nil {
		t.Log("as expected, the test binary itself is in reach")
	}
	const readOnly, memfd = "on a read-only mount", "sealed memfd"
	foreign := "owned by another user and not writable"
	for _, tc := range []struct {
		name  string
		arg   string
		owner int
		mode  os.FileMode
		attr  *syscall.SysProcAttr
		want  string
	}{
		{name: "root", want: readOnly},
		{name: "root, the container maps another range", arg: "userns", want: "its owner is not mapped into the container"},
		{name: "the same, group-writable", arg: "userns", mode: 0o775, want: readOnly},
		{name: "the same, owner mapped", arg: "userns", owner: 100001, want: readOnly},
		{name: "root, all mapped", arg: "maps all", want: readOnly},
		{name: "root, owned by nobody", owner: 65534, want: readOnly},
		{name: "user, binary of root", attr: as(1000), want: foreign},
		{name: "user, binary of root, writable", mode: 0o757, attr: as(1000), want: memfd},
		{name: "user, own binary", owner: 1000, attr: as(1000), want: memfd},
		{name: "user, own binary, read-only mode", owner: 1000, mode: 0o555, attr: as(1000), want: memfd},
		{name: "user, own binary, unmapped", arg: "userns", owner: 1000, attr: as(1000), want: memfd},
		{name: "user, binary of a subordinate id", owner: 100000, attr: as(1000), want: memfd},
		{name: "user namespace, binary of root", attr: inUser(1000), want: foreign},
		{name: "user namespace, own binary", owner: 1000, attr: inUser(1000), want: memfd},
		{name: "user and mount namespace, own binary", owner: 1000, attr: inUser(1000, syscall.CLONE_NEWNS), want: readOnly},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := copySelf(t, openDir(t))
			if err := os.Chown(path, tc.owner, tc.owner); err != nil {
				t.Fatal(err)
			}
			if tc.mode != 0 {
				if err := os.Chmod(path, tc.mode); err != nil {
					t.Fatal(err)
				}
			}
			v := start(t, path, "ensure:"+tc.arg, tc.attr)
			var r report
			if err := v.out.Decode(&r); err != nil {
				t.Fatal(err)
			}
			if !r.OK || r.Reason != tc.want || r.Err != "" {
				t.Errorf("out of reach: %v (%s) %s, want %s", r.OK, r.Reason, r.Err, tc.want)
			}
			if r.Comm != "oci-mini" || r.Arg0 != path {
				t.Errorf("comm %q, argv[0] %q", r.Comm, r.Arg0)
			}
			if r.Guarded {
				t.Error(GuardEnv + " is still in the environment")
			}
			if len(r.Leaks) != 0 {
				t.Errorf("left open: %q", r.Leaks)
			}
			if r.Pid != v.Process.Pid {
				t.Errorf("pid %d, was %d", r.Pid, v.Process.Pid)
			}
		})
	}
}

// A process that was re-executed and is still in reach fails: no loop.
func TestGuardStopsLoop(t *testing.T) {
	needRoot(t)
	cmd := exec.Command(copySelf(t, t.TempDir()))
	cmd.Env = append(os.Environ(), roleEnv+"=ensure", GuardEnv+"=1")
	out, err := cmd.Output()
	var r report
	if err := errors.Join(err, json.Unmarshal(out, &r)); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	want := ErrInReach.Error() + ": /proc/self/exe: owned by the user who runs it"
	if r.Err != want || r.Reason != "true" {
		t.Errorf("got %q, want %q", r.Err, want)
	}
}

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

func TestImmutable(t *testing.T) {
	needRoot(t)
	path := copySelf(t, t.TempDir())
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	set := func(flags int) error {
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		t.Skipf("no inode flags here: %v", err)
	}
	if err := set(flags | immutableFlag); err != nil {
		t.Skipf("cannot set the immutable flag: %v", err)
	}
	defer set(flags)
	for arg, want := range map[string]string{"immutable": "immutable", "": "on a read-only mount"} {
		v := start(t, path, "ensure:"+arg, nil)
		var r report
		if err := v.out.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Reason != want {
			t.Errorf("%q: %s, want %s", arg, r.Reason, want)
		}
	}
}

// A binary deleted or replaced while it runs has no name left to clone by.
func TestReplacedBinary(t *testing.T) {
	needRoot(t)
	for _, replace := range []bool{false, true} {
		path := copySelf(t, t.TempDir())
		v := start(t, path, "victim late:", nil)
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		if replace {
			// A file of the name that the kernel reports for the old one.
			if err := os.WriteFile(path+".old2", []byte("#!/bin/false\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".old2", path+".old"); err != nil {
				t.Fatal(err)
			}
		}
		v.in.Close()
		var r report
		if err := v.out.Decode(&r); err != nil {
			t.Fatal(err)
		}
		want := "on a read-only mount"
		if replace {
			want = "sealed memfd"
		}
		if r.Reason != want {
			t.Errorf("replaced %v: %s, want %s", replace, r.Reason, want)
		}
	}
}

// The Go runtime raises the soft limit of open files; it must not leak through.
func TestKeepsLimits(t *testing.T) {
	needRoot(t)
	for _, way := range []string{"none", "mount", "memfd"} {
		path := copySelf(t, t.TempDir())
		cmd := exec.Command("/bin/sh", "-c", "ulimit -S -n 77; exec "+path)
		cmd.Env = append(os.Environ(), roleEnv+"=limit:"+way)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "77" {
			t.Errorf("%s: soft limit %q, want 77 (%v)", way, out, err)
		}
	}
}

// limited re-executes in the given way and prints what a program that it
// executes in turn gets as its soft limit of open files.
func limited(wayName string) {
	if !TakeGuard() && wayName != "none" {
		fmt.Fprintln(os.Stderr, reexec(wayNamed(wayName), os.Args, os.Environ()))
		os.Exit(1)
	}
	out, err := exec.Command("/bin/sh", "-c", "ulimit -S -n").CombinedOutput()
	if err != nil {
		out = []byte(err.Error())
	}
	os.Stdout.Write(out)
	os.Exit(0)
}

func TestReexecError(t *testing.T) {
	bad := errors.New("no way")
	err := reexec([]way{{"one", func() (int, error) { return -1, bad }}, {"two", func() (int, error) { return -1, unix.EPERM }}}, nil, nil)
	const want = "execute a sealed copy of /proc/self/exe: one: no way; two: operation not permitted"
	if err == nil || err.Error() != want || !errors.Is(err, bad) || !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMapsAll(t *testing.T) {
	for _, tc := range []struct {
		uidMap string
		want   bool
	}{
		{"         0          0 4294967295\n", true},
		{"         0       1000          1\n", false},
		{"         0       1000          1\n         1     100000      65536\n", false},
		{"         0     100000 4294867295\n", false},
		{"", false},
	} {
		if got := mapsAll(tc.uidMap); got != tc.want {
			t.Errorf("%q: %v", tc.uidMap, got)
		}
	}
}

func TestSealedCopyKeepsName(t *testing.T) {
	needRoot(t)
	for _, way := range []string{"mount", "memfd"} {
		path := copySelf(t, t.TempDir())
		v := start(t, path, "victim:"+way, nil)
		var r report
		if err := v.out.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Comm != filepath.Base(path) || r.Arg0 != path || len(r.Leaks) != 0 {
			t.Errorf("%s: %+v", way, r)
		}
	}
}
