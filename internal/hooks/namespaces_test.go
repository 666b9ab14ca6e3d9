package hooks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// private makes a file that is to be seen in the new mount namespace only.
const private = `mount --make-rprivate / && mount -t tmpfs none /mnt && echo secret >/mnt/private || exit 1
`

// named gives a new UTS namespace a host name, and does nothing in the host's.
func named(t testing.TB) string {
	t.Helper()
	host, err := os.Readlink("/proc/self/ns/uts")
	if err != nil {
		t.Fatal(err)
	}
	return `u=$(readlink /proc/thread-self/ns/uts) && test -n "$u" && test "$u" != '` + host + "' && hostname inside || exit 1\n"
}

// TestNamespaces: a hook in all namespaces of another process, before that has
// changed its root: the paths are the host's.
func TestNamespaces(t *testing.T) {
	needRoot(t)
	flags := uint64(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP)
	pidfd, pid := neighbour(t, &syscall.SysProcAttr{Cloneflags: uintptr(flags)}, named(t)+private)
	r := Runner{In: &Namespaces{Pidfd: pidfd, Flags: flags}, Dir: "/mnt"}
	s := report(t, r, specs.Hook{}, "state")
	if s.Host != "inside" || s.Dir != "/mnt" || s.Stdin != "state" {
		t.Errorf("host name %q, directory %q, input %q", s.Host, s.Dir, s.Stdin)
	}
	if s.Pid <= 1 || s.Pid > 100 || s.Pgid != s.Pid || s.Sid != s.Pid {
		t.Errorf("pid %d, group %d, session %d: want a session in the namespace", s.Pid, s.Pgid, s.Sid)
	}
	if want := []string{"0", "1", "2", "3"}; !slices.Equal(s.Fds, want) {
		t.Errorf("descriptors %q, want %q", s.Fds, want)
	}
	out := outFile(t)
	r.Stdout = out
	// The script lies on the host, and so does its interpreter.
	path := script(t, `cat private; for n in cgroup ipc mnt net uts; do readlink /proc/`+strconv.Itoa(pid)+`/ns/$n; done; echo $0`)
	if err := r.Run(specs.Hook{Path: path}, nil); err != nil {
		t.Fatal(err)
	}
	want := "secret\n"
	for _, n := range []string{"cgroup", "ipc", "mnt", "net", "uts"} {
		ns, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, n))
		if own, _ := os.Readlink("/proc/self/ns/" + n); ns == "" || ns == own {
			t.Fatalf("%s namespace %q is not a new one", n, ns)
		}
		if s.Namespaces[n] != ns {
			t.Errorf("the hook is in %s, want %s", s.Namespaces[n], ns)
		}
		want += ns + "\n"
	}
	want += path + "\n"
	if got := content(t, out); got != want {
		t.Errorf("the script printed\n%swant\n%s", got, want)
	}

	// Nothing of it is seen from here.
	if _, err := os.Stat("/mnt/private"); err == nil {
		t.Error("the private mount is on the host")
	}
	if host, _ := os.Hostname(); host == "inside" {
		t.Error("the host's name has changed")
	}
}

// TestNewRoot: after pivot_root, and after what stands in for it where that is not
// possible, the root is the container's.
func TestNewRoot(t *testing.T) {
	needRoot(t)
	busybox := "/usr/bin/busybox"
	if _, err := os.Stat(busybox); err != nil {
		t.Skip("needs busybox, linked statically, as the program in the new root")
	}
	const build = private + `
mount --bind "$R" "$R" && cd "$R" && mkdir -p bin old tmp && cp ` + "/usr/bin/busybox" + ` bin/ && ln -sf busybox bin/sh &&
printf '#!/bin/sh\nbusybox pwd; busybox ls /; echo $0; echo failed >&2; exit 7\n' >bin/hook && chmod 755 bin/hook || exit 1
`
	for name, enter := range map[string]string{
		"pivot_root": `pivot_root . old && PATH=/bin && busybox umount -l /old && busybox rmdir /old || exit 1
echo ready; exec busybox sleep 60`,
		"move and chroot": `rmdir old; mount --move . / && exec chroot . /bin/busybox sh -c 'echo ready; exec busybox sleep 60'`,
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			flags := uint64(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWPID)
			pidfd, _ := neighbour(t, &syscall.SysProcAttr{Cloneflags: uintptr(flags)}, "R="+root+"\n"+build+enter)
			out := outFile(t)
			r := Runner{Stdout: out, In: &Namespaces{Pidfd: pidfd, Flags: flags}}
			err := r.Run(specs.Hook{Path: "/bin/hook", Env: []string{"PATH=/bin"}}, []byte("{}"))
			if err == nil || err.Error() != "hook /bin/hook: exit status 7: failed" {
				t.Error(err)
			}
			if got := content(t, out); got != "/\nbin\ntmp\n/bin/hook\n" {
				t.Errorf("the hook printed %q", got)
			}
			// A program of the host is not found there.
			err = r.Run(specs.Hook{Path: script(t, "")}, nil)
			if !errors.Is(err, unix.ENOENT) || strings.Contains(err.Error(), "interpreter") {
				t.Error(err)
			}
		})
	}
}

// TestRoot: a process in a chroot that its mount tree knows nothing of.
func TestRoot(t *testing.T) {
	needRoot(t)
	pidfd, pid := neighbour(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}, private+"mount --bind / /mnt && exec chroot /mnt /bin/sh -c 'echo ready; exec sleep 60'")
	root, err := os.OpenFile(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	out := outFile(t)
	r := Runner{Stdout: out, Dir: "/", In: &Namespaces{Pidfd: pidfd, Flags: unix.CLONE_NEWNS, Root: root}}
	path := script(t, "test -e /mnt/private && echo outside; test -e /bin/sh && echo chroot")
	if err := r.Run(specs.Hook{Path: path}, nil); err != nil {
		t.Fatal(err)
	}
	if got := content(t, out); got != "chroot\n" {
		t.Errorf("the hook is %q", got)
	}
}

// TestUserNamespace: root of the namespace, in a bundle that this root may not reach.
func TestUserNamespace(t *testing.T) {
	needRoot(t)
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
	flags := uint64(unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID)
	pidfd, pid := neighbour(t, &syscall.SysProcAttr{Cloneflags: uintptr(flags), UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{}}, "")
	bundle := filepath.Join(t.TempDir(), "closed", "bundle")
	if err := os.MkdirAll(bundle, 0o700); err != nil {
		t.Fatal(err)
	}
	out := outFile(t)
	r := Runner{Stdout: out, Dir: bundle, In: &Namespaces{Pidfd: pidfd, Flags: flags}}
	h := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "id -u; id -g; id -G; readlink /proc/" + strconv.Itoa(pid) + "/ns/user /proc/thread-self/ns/user; grep CapEff /proc/self/status | tr -d '\t'"}}
	if err := r.Run(h, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(content(t, out))
	ns, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
	if len(lines) < 3 || lines[0] != "0" || lines[1] != "0" || lines[2] != "0" || !slices.Contains(lines, ns) {
		t.Errorf("the hook printed %q, want root of %s without other groups", lines, ns)
	}
	if last := lines[len(lines)-1]; strings.HasSuffix(last, "0000000000000000") {
		t.Errorf("%s in its user namespace", last)
	}
	// On the host it is nobody: not root, at least.
	err := r.Run(specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "echo x >/etc/oci-mini-hook-test"}}, nil)
	if err == nil || !strings.Contains(err.Error(), "Permission denied") {
		t.Error(err)
	}
}

// TestConfine: what the caller appends runs last, in the hook's process.
func TestConfine(t *testing.T) {
	needRoot(t)
	pidfd, _ := neighbour(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUTS}, "")
	in := &Namespaces{Pidfd: pidfd, Flags: unix.CLONE_NEWUTS, Confine: func(a *program.Assembler) {
		c := program.Const[int]
		a.Call(program.Discard, unix.SYS_PRCTL, c(unix.PR_SET_NO_NEW_PRIVS), c(1), c(0), c(0), c(0))
		a.Call(program.Discard, unix.SYS_SETRESGID, c(1234), c(1234), c(1234))
		a.Call(program.Discard, unix.SYS_SETRESUID, c(1234), c(1234), c(1234))
	}}
	out := outFile(t)
	h := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "id -u; id -g; grep NoNewPrivs /proc/self/status"}}
	if err := (Runner{In: in, Stdout: out}).Run(h, nil); err != nil {
		t.Fatal(err)
	}
	if got := content(t, out); got != "1234\n1234\nNoNewPrivs:\t1\n" {
		t.Errorf("the hook printed %q", got)
	}
}

// TestNamespacesTimeout: the group is killed by the numbers of this pid namespace.
func TestNamespacesTimeout(t *testing.T) {
	needRoot(t)
	flags := uint64(unix.CLONE_NEWNS | unix.CLONE_NEWPID)
	pidfd, pid := neighbour(t, &syscall.SysProcAttr{Cloneflags: uintptr(flags)}, "mount --make-rprivate / && mount -t proc proc /proc")
	path := script(t, "sleep 59 &\nwait")
	r := Runner{In: &Namespaces{Pidfd: pidfd, Flags: flags}}
	var err error
	within(t, 3*time.Second, func() { err = r.Run(specs.Hook{Path: path, Timeout: seconds(1)}, nil) })
	if err == nil || err.Error() != "hook "+path+": killed after 1s (timeout)" {
		t.Error(err)
	}
	out := outFile(t)
	r.Stdout = out
	h := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do grep -l ^sleep.59 /proc/[0-9]*/cmdline && sleep 0.1 || break; done; cat /proc/1/comm"}}
	if err := r.Run(h, nil); err != nil {
		t.Fatal(err)
	}
	if got := content(t, out); got != "sleep\n" {
		t.Errorf("%q: want the first process alone, alive", got)
	}
	if unix.Kill(pid, 0) != nil {
		t.Error("the container is dead")
	}
}

// TestNamespacesErrors: the failed call is named.
func TestNamespacesErrors(t *testing.T) {
	needRoot(t)
	pidfd, _ := neighbour(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}, "")
	dead, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dead)
	all := uint64(unix.CLONE_NEWNS | unix.CLONE_NEWPID)
	tests := []struct {
		name string
		r    Runner
		want string
		is   error
	}{
		{"own user namespace", Runner{In: &Namespaces{Pidfd: dead, Flags: unix.CLONE_NEWUSER}}, "setns: invalid argument (EINVAL)", unix.EINVAL},
		{"no pidfd", Runner{In: &Namespaces{Pidfd: -1, Flags: all}}, "setns: bad file descriptor (EBADF)", unix.EBADF},
		{"directory", Runner{Dir: "/missing", In: &Namespaces{Pidfd: pidfd, Flags: all}}, "chdir /missing: no such file or directory (ENOENT)", unix.ENOENT},
		{"program", Runner{In: &Namespaces{Pidfd: pidfd, Flags: all}}, "execve: no such file or directory (ENOENT)", unix.ENOENT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := countFds(t)
			err := tt.r.Run(specs.Hook{Path: "/missing/hook"}, nil)
			if err == nil || err.Error() != "hook /missing/hook: "+tt.want || !errors.Is(err, tt.is) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if after := countFds(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}
