package mountopt

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// childEnv tells the test binary that it runs in a mount namespace of its own.
const childEnv = "MOUNTOPT_TEST_CHILD"

// TestKernel runs the tests named Kernel* in a private mount namespace.
func TestKernel(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		t.Skip("this is the child")
	}
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestInNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+t.TempDir())
	// The Go library makes every mount private after this unshare.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) {
		t.Skipf("no mount namespace: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInNamespace") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%d options tried", strings.Count(string(out), "--- PASS: TestInNamespace/"))
}

func TestInNamespace(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		t.Skip("started by TestKernel")
	}
	for _, o := range table {
		t.Run("tmpfs/"+o.Name, func(t *testing.T) { tryTmpfs(t, dir, o) })
		t.Run("bind/"+o.Name, func(t *testing.T) { tryBind(t, dir, o) })
		t.Run("remount/"+o.Name, func(t *testing.T) { tryRemount(t, dir, o) })
	}
	t.Run("limits", func(t *testing.T) { tryLimits(t) })
}

// seen is what the kernel shows for an option (mountinfo): flags of the mount,
// of the superblock, and the propagation field. A '!' means absent.
var seen = map[string]struct{ mount, super, propagation string }{
	"ro": {mount: "ro", super: "ro"}, "rw": {mount: "rw", super: "rw"},
	"nosuid": {mount: "nosuid"}, "suid": {mount: "!nosuid"},
	"nodev": {mount: "nodev"}, "dev": {mount: "!nodev"},
	"noexec": {mount: "noexec"}, "exec": {mount: "!noexec"},
	"nodiratime": {mount: "nodiratime"}, "diratime": {mount: "!nodiratime"},
	"nosymfollow": {mount: "nosymfollow"}, "symfollow": {mount: "!nosymfollow"},
	"noatime": {mount: "noatime"}, "atime": {mount: "relatime"},
	"relatime": {mount: "relatime"}, "strictatime": {mount: "!relatime"},
	"nostrictatime": {mount: "relatime"}, "norelatime": {},
	"sync": {super: "sync"}, "async": {super: "!sync"}, "dirsync": {super: "dirsync"},
	"lazytime": {super: "lazytime"}, "nolazytime": {super: "!lazytime"},
	"mand": {}, "nomand": {super: "!mand"}, // "mand" shows on kernels before 5.15 only
	"private": {propagation: "-"}, "slave": {propagation: "-"}, // a slave of nobody is private
	"shared": {propagation: "shared"}, "unbindable": {propagation: "unbindable"},
}

// want returns the row of seen for an option, with the name of a recursive one
// traced back to its plain form.
func want(o Option) (mount, super, propagation string) {
	name := o.Name
	if o.Recursive {
		name = strings.TrimPrefix(name, "r")
	}
	w := seen[name]
	if o.Recursive {
		w.super = ""
	}
	return w.mount, w.super, w.propagation
}

func tryTmpfs(t *testing.T, dir string, o Option) {
	if o.Kind == Bind || o.Kind == Remount || o.Kind == IDMapped {
		t.Skip("not an option of a new filesystem")
	}
	opts := parse(t, "size=1m", o.Name)
	fd := newTmpfs(t, opts)
	target := attach(t, fd, filepath.Join(dir, "tmpfs-"+o.Name))
	propagate(t, target, opts)
	mount, super, prop := want(o)
	check(t, target, mount, super, prop)
	check(t, target, "", "size=1024k", "")
}

// tryBind binds a tree whose two mounts have every attribute if the option
// takes one away, and none otherwise.
func tryBind(t *testing.T, dir string, o Option) {
	if o.Kind == Remount || o.Kind == IDMapped {
		t.Skip("not an option of a new bind mount")
	}
	src := makeTree(t, filepath.Join(dir, "src-"+o.Name), o.Clear)
	opts := parse(t, "rbind", o.Name)
	fd, err := unix.OpenTree(unix.AT_FDCWD, src, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	fatal(t, "open_tree", err)
	setattrs(t, fd, opts)
	target := attach(t, fd, filepath.Join(dir, "bind-"+o.Name))
	propagate(t, target, opts)

	mount, _, prop := want(o)
	check(t, target, mount, "", prop)
	if o.Kind == Propagation && !o.Recursive {
		prop = "-"
	}
	below := mount
	if (o.Kind == Attr || o.Kind == Atime) && !o.Recursive {
		below = "" // the plain form leaves the mount below alone
		if mount != "" && strings.TrimPrefix(mount, "!") != "relatime" {
			below = opposite(mount)
		}
	}
	check(t, filepath.Join(target, "sub"), below, "", prop)
	// The superblock is the source's: nothing may have changed it.
	check(t, target, "", "rw", "")
	check(t, target, "", "!sync", "")
	check(t, target, "", "!lazytime", "")
}

// tryRemount changes a mount that has every superblock flag if the option
// takes one away.
func tryRemount(t *testing.T, dir string, o Option) {
	if o.Kind != Attr && o.Kind != Atime && o.Kind != Super && o.Kind != Nothing {
		t.Skip("not an option of a remount")
	}
	before := parse(t, "size=1m")
	if o.Clear {
		before = parse(t, "size=1m", "ro", "sync", "lazytime", "nosuid", "nodev", "noexec", "nosymfollow", "noatime", "nodiratime")
		if o.Flag == unix.MOUNT_ATTR_STRICTATIME {
			before.AttrSet = before.AttrSet&^unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_STRICTATIME
		}
	}
	target := attach(t, newTmpfs(t, before), filepath.Join(dir, "remount-"+o.Name))

	opts := parse(t, "remount", o.Name)
	if len(opts.Super) > 0 {
		fd, err := unix.Fspick(unix.AT_FDCWD, target, unix.FSPICK_CLOEXEC)
		fatal(t, "fspick", err)
		configure(t, fd, opts)
		fatal(t, "fsconfig reconfigure", unix.FsconfigReconfigure(fd))
		unix.Close(fd)
	}
	fd, err := unix.Open(target, unix.O_PATH|unix.O_CLOEXEC, 0)
	fatal(t, "open", err)
	setattrs(t, fd, opts)
	unix.Close(fd)
	mount, super, _ := want(o)
	if slices.Contains(opts.Ignored, o.Name) {
		super = ""
	}
	check(t, target, mount, super, "")
}

// tryLimits checks MaxValue and MaxKey against the kernel.
func tryLimits(t *testing.T) {
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	fatal(t, "fsopen", err)
	defer unix.Close(fd)
	fatal(t, "fsconfig source with MaxValue", unix.FsconfigSetString(fd, "source", strings.Repeat("x", MaxValue)))
	if err := unix.FsconfigSetString(fd, "size", strings.Repeat("1", MaxValue+1)); err != unix.EINVAL {
		t.Errorf("a value of MaxValue+1 bytes: %v, want EINVAL", err)
	}
}

func parse(t *testing.T, options ...string) Options {
	t.Helper()
	o, err := Parse(options)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func fatal(t *testing.T, op string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
}

func configure(t *testing.T, fd int, o Options) {
	t.Helper()
	for _, key := range o.Super {
		fatal(t, "fsconfig flag "+key, unix.FsconfigSetFlag(fd, key))
	}
	for _, d := range o.Data {
		if d.Flag {
			fatal(t, "fsconfig flag "+d.Key, unix.FsconfigSetFlag(fd, d.Key))
		} else {
			fatal(t, "fsconfig "+d.String(), unix.FsconfigSetString(fd, d.Key, d.Value))
		}
	}
}

func newTmpfs(t *testing.T, o Options) int {
	t.Helper()
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	fatal(t, "fsopen", err)
	defer unix.Close(fd)
	configure(t, fd, o)
	fatal(t, "fsconfig create", unix.FsconfigCreate(fd))
	m, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, int(o.AttrSet))
	fatal(t, "fsmount", err)
	if o.RecSet|o.RecClear != 0 {
		fatal(t, "mount_setattr", unix.MountSetattr(m, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE,
			&unix.MountAttr{Attr_set: o.RecSet, Attr_clr: o.RecClear}))
	}
	return m
}

func setattrs(t *testing.T, fd int, o Options) {
	t.Helper()
	if o.RecSet|o.RecClear != 0 {
		fatal(t, "mount_setattr recursive", unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE,
			&unix.MountAttr{Attr_set: o.RecSet, Attr_clr: o.RecClear}))
	}
	if o.AttrSet|o.AttrClear != 0 {
		fatal(t, "mount_setattr", unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH,
			&unix.MountAttr{Attr_set: o.AttrSet, Attr_clr: o.AttrClear}))
	}
}

// attach puts the detached mount fd on a new directory, closes it, and has it
// unmounted when the test ends.
func attach(t *testing.T, fd int, target string) string {
	t.Helper()
	defer unix.Close(fd)
	fatal(t, "mkdir", os.MkdirAll(target, 0o755))
	fatal(t, "move_mount", unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH))
	t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
	return target
}

func propagate(t *testing.T, target string, o Options) {
	t.Helper()
	for _, p := range o.Propagation {
		flags := uint(0)
		if p.Recursive {
			flags = unix.AT_RECURSIVE
		}
		fatal(t, "mount_setattr propagation", unix.MountSetattr(unix.AT_FDCWD, target, flags,
			&unix.MountAttr{Propagation: p.Type}))
	}
}

// makeTree mounts a tmpfs with another one on its directory "sub".
func makeTree(t *testing.T, dir string, all bool) string {
	t.Helper()
	attach(t, newTmpfs(t, Options{}), dir)
	sub := filepath.Join(dir, "sub")
	attach(t, newTmpfs(t, Options{}), sub)
	if all {
		o := parse(t, "rro", "rnosuid", "rnodev", "rnoexec", "rnosymfollow", "rnodiratime", "rnoatime")
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		fatal(t, "open", err)
		defer unix.Close(fd)
		setattrs(t, fd, o)
	}
	return dir
}

func opposite(word string) string {
	if plain, absent := strings.CutPrefix(word, "!"); absent {
		return plain
	}
	switch word {
	case "ro":
		return "rw"
	case "rw":
		return "ro"
	}
	return "!" + word
}

// check compares the mount at target with what an option should look like.
// "relatime" for the access-time default is the kernel's own word.
func check(t *testing.T, target, mount, super, propagation string) {
	t.Helper()
	m, s, p, err := mountinfo(target)
	if err != nil {
		t.Fatal(err)
	}
	has := func(list, word string) bool {
		plain, absent := strings.CutPrefix(word, "!")
		return slices.Contains(strings.Split(list, ","), plain) != absent
	}
	if mount != "" && !has(m, mount) {
		t.Errorf("%s: mount options %q, want %q", target, m, mount)
	}
	if super != "" && !has(s, super) {
		t.Errorf("%s: superblock options %q, want %q", target, s, super)
	}
	switch {
	case propagation == "-" && p != "":
		t.Errorf("%s: propagation %q, want none", target, p)
	case propagation != "" && propagation != "-" && !strings.HasPrefix(p, propagation):
		t.Errorf("%s: propagation %q, want %q", target, p, propagation)
	}
	// statvfs(2) must tell the same about the mount.
	var st unix.Statfs_t
	if err := unix.Statfs(target, &st); err != nil {
		t.Fatal(err)
	}
	for word, bit := range map[string]int64{"ro": unix.ST_RDONLY, "nosuid": unix.ST_NOSUID, "nodev": unix.ST_NODEV,
		"noexec": unix.ST_NOEXEC, "noatime": unix.ST_NOATIME, "nodiratime": unix.ST_NODIRATIME} {
		if mount == word && int64(st.Flags)&bit == 0 || mount == "!"+word && int64(st.Flags)&bit != 0 {
			t.Errorf("%s: statfs flags %#x, want %q", target, st.Flags, mount)
		}
	}
}

// mountinfo returns the options of the uppermost mount on target, those of its
// superblock, and the optional fields (proc_pid_mountinfo(5)).
func mountinfo(target string) (mount, super, propagation string, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return
	}
	defer f.Close()
	err = fmt.Errorf("%s is not mounted", target)
	for s := bufio.NewScanner(f); s.Scan(); {
		before, after, _ := strings.Cut(s.Text(), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if b[4] == target {
			mount, propagation, super, err = b[5], strings.Join(b[6:], " "), a[len(a)-1], nil
		}
	}
	return
}
