package seal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is the victim and the attacker as well.
const roleEnv = "SEAL_TEST_ROLE"

func TestMain(m *testing.M) {
	role, arg, _ := strings.Cut(os.Getenv(roleEnv), ":")
	switch role {
	case "":
		os.Exit(m.Run())
	case "victim":
		victim(arg)
	case "attacker":
		attacker(arg)
	case "victim late":
		if os.Getenv(GuardEnv) == "" {
			io.Copy(io.Discard, os.Stdin)
		}
		ensured(arg)
	case "limit":
		limited(arg)
	case "view":
		viewed()
	case "ensure":
		ensured(arg)
	}
	os.Exit(3)
}

// wayNamed returns the way of that name alone.
func wayNamed(name string) []way {
	for _, w := range ways() {
		if w.name == name {
			return []way{w}
		}
	}
	return nil
}

// victim re-executes itself in the given way ("none": not at all), says so,
// and waits for the end of its input.
func victim(wayName string) {
	if !TakeGuard() && wayName != "none" {
		fmt.Fprintln(os.Stderr, reexec(wayNamed(wayName), os.Args, os.Environ()))
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(look(Container{}))
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// an attack tries to get a writable handle; nil is success of the attacker.
type attack struct {
	name string
	try  func(handle int, link, dir string) error
}

func closing(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

const sysOpenTreeAttr = 467 // Linux 6.15

var clearReadOnly = unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}

var attacks = []attack{
	{"open O_WRONLY", func(_ int, link, _ string) error {
		return closing(unix.Open(link, unix.O_WRONLY|unix.O_CLOEXEC, 0))
	}},
	{"open O_RDWR|O_TRUNC", func(_ int, link, _ string) error {
		return closing(unix.Open(link, unix.O_RDWR|unix.O_TRUNC|unix.O_CLOEXEC, 0))
	}},
	{"truncate", func(_ int, link, _ string) error { return unix.Truncate(link, 1) }},
	{"chmod", func(_ int, link, _ string) error { return unix.Chmod(link, 0o777) }},
	{"setxattr", func(_ int, link, _ string) error { return unix.Setxattr(link, "user.x", []byte("x"), 0) }},
	{"linkat", func(h int, _, dir string) error {
		return unix.Linkat(h, "", unix.AT_FDCWD, filepath.Join(dir, "hard"), unix.AT_EMPTY_PATH)
	}},
	{"linkat by /proc", func(_ int, link, dir string) error {
		return unix.Linkat(unix.AT_FDCWD, link, unix.AT_FDCWD, filepath.Join(dir, "hard2"), unix.AT_SYMLINK_FOLLOW)
	}},
	{"mount_setattr", func(h int, _, _ string) error {
		return unix.MountSetattr(h, "", unix.AT_EMPTY_PATH, &clearReadOnly)
	}},
	{"mount_setattr recursive by /proc", func(_ int, link, _ string) error {
		return unix.MountSetattr(unix.AT_FDCWD, link, unix.AT_RECURSIVE, &clearReadOnly)
	}},
	{"open_tree clone, mount_setattr", func(h int, _, _ string) error {
		return reopen(unix.OpenTree(h, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
	}},
	{"open_tree clone recursive by /proc, mount_setattr", func(_ int, link, _ string) error {
		return reopen(unix.OpenTree(unix.AT_FDCWD, link, unix.AT_RECURSIVE|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
	}},
	{"open_tree without clone, mount_setattr", func(h int, _, _ string) error {
		return reopen(unix.OpenTree(h, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLOEXEC))
	}},
	{"open_tree_attr clone", func(h int, _, _ string) error {
		fd, err := openTreeAttr(h, unix.OPEN_TREE_CLONE)
		return reopen(fd, err)
	}},
	{"open_tree_attr", func(h int, _, _ string) error {
		fd, err := openTreeAttr(h, 0)
		return reopen(fd, err)
	}},
	{"remount bind", func(_ int, link, _ string) error {
		return unix.Mount("none", link, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	}},
	{"remount superblock", func(_ int, link, _ string) error {
		return unix.Mount("none", link, "", unix.MS_REMOUNT, "")
	}},
	{"bind", func(_ int, link, dir string) error {
		target := filepath.Join(dir, "bind")
		os.WriteFile(target, nil, 0o600)
		if err := unix.Mount(link, target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		defer unix.Unmount(target, unix.MNT_DETACH)
		unix.Mount("none", target, "", unix.MS_REMOUNT|unix.MS_BIND, "")
		return closing(unix.Open(target, unix.O_WRONLY|unix.O_CLOEXEC, 0))
	}},
	{"move_mount", func(h int, _, dir string) error {
		target := filepath.Join(dir, "move")
		os.WriteFile(target, nil, 0o600)
		err := unix.MoveMount(h, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
		if err == nil {
			unix.Unmount(target, unix.MNT_DETACH)
		}
		return err
	}},
	{"fspick", func(h int, _, _ string) error {
		// Not a way to write, but one to reconfigure the superblock under the
		// binary (remount the host's file system read-only, say).
		return closing(unix.Fspick(h, "", unix.FSPICK_EMPTY_PATH|unix.FSPICK_CLOEXEC))
	}},
	{"propagation", func(_ int, link, _ string) error {
		return unix.Mount("", link, "", unix.MS_SHARED, "")
	}},
}

// reopen clears the read-only flag of a mount got hold of, and opens its root.
func reopen(fd int, err error) error {
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &clearReadOnly); err != nil {
		return err
	}
	return closing(unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_WRONLY|unix.O_CLOEXEC, 0))
}

// attacker is what a process in a container with CAP_SYS_ADMIN could do. It
// opens /proc/PID/exe, attacks, waits for a line that says that the victim is
// gone, and attacks again.
func attacker(pid string) {
	exe := "/proc/" + pid + "/exe"
	handle, err := unix.Open(exe, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, "open O_PATH:", err)
		os.Exit(1)
	}
	in := bufio.NewReader(os.Stdin)
	for range 2 {
		won := map[string]string{}
		for _, a := range attacks {
			dir, err := os.MkdirTemp(os.Getenv("SEAL_TEST_DIR"), "attack")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			err = a.try(handle, "/proc/self/fd/"+strconv.Itoa(handle), dir)
			won[a.name] = ""
			if err != nil {
				won[a.name] = err.Error()
				if errors.Is(err, unix.ENOSYS) {
					won[a.name] = "not implemented by this kernel"
				}
			}
		}
		json.NewEncoder(os.Stdout).Encode(won)
		if _, err := in.ReadString('\n'); err != nil {
			break
		}
	}
	os.Exit(0)
}

// copySelf puts a copy of the test binary where attacks may succeed on it.
func copySelf(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "oci-mini")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func start(t *testing.T, path, role string, attr *syscall.SysProcAttr) child {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "SEAL_TEST_DIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return child{cmd, in, json.NewDecoder(out)}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
}

// CVE-2019-5736, and every way known to lift the protection against it.
func TestAttacks(t *testing.T) {
	needRoot(t)
	for _, own := range []bool{true, false} {
		t.Run(fmt.Sprintf("own mount namespace %v", own), func(t *testing.T) {
			live, dead := runAttacks(t, "mount", own)
			for name, err := range live {
				t.Logf("%-50s live: %s; dead: %s", name, err, dead[name])
				if err == "" {
					t.Errorf("%s succeeded on the living victim", name)
				}
				if dead[name] == "" {
					t.Errorf("%s succeeded after the victim's death", name)
				}
			}
			// The kernel looks at running programs before it looks at mounts.
			if got := live["open O_WRONLY"]; got != unix.EROFS.Error() && got != unix.ETXTBSY.Error() {
				t.Errorf("open O_WRONLY of the living victim: %s", got)
			}
			if got := dead["open O_WRONLY"]; got != unix.EROFS.Error() {
				t.Errorf("open O_WRONLY after the victim's death: %s", got)
			}
		})
	}
}

// The attacks are real: on a binary that is not sealed they work.
func TestAttacksWorkOnUnsealed(t *testing.T) {
	needRoot(t)
	_, dead := runAttacks(t, "none", false)
	for _, name := range []string{
		"open O_WRONLY", "truncate", "chmod", "linkat", "linkat by /proc", "bind",
		"open_tree clone, mount_setattr",
	} {
		if dead[name] != "" {
			t.Errorf("%s: %s, want success", name, dead[name])
		}
	}
}

// A sealed memfd may be opened, but its content can't be changed, and it isn't
// the host's file in the first place.
func TestMemfdIsACopy(t *testing.T) {
	dir := t.TempDir()
	path := copySelf(t, dir)
	before, _ := os.Stat(path)
	v := start(t, path, "victim:memfd", nil)
	var r report
	if err := v.out.Decode(&r); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/exe", v.Process.Pid), os.O_RDWR, 0)
	if err == nil {
		defer f.Close()
		if _, err = f.Write([]byte("x")); err == nil {
			t.Error("wrote to the memfd")
		}
	}
	t.Log(err)
	v.in.Close()
	v.Wait()
	if after, _ := os.Stat(path); after.ModTime() != before.ModTime() || after.Size() != before.Size() {
		t.Error("the binary has changed")
	}
}

func runAttacks(t *testing.T, wayName string, own bool) (live, dead map[string]string) {
	t.Helper()
	dir := t.TempDir()
	path := copySelf(t, dir)
	v := start(t, path, "victim:"+wayName, nil)
	var r report
	if err := v.out.Decode(&r); err != nil {
		t.Fatalf("the victim did not start: %v", err)
	}
	var attr syscall.SysProcAttr
	if own {
		attr.Unshareflags = syscall.CLONE_NEWNS
	}
	a := start(t, "/proc/self/exe", "attacker:"+strconv.Itoa(v.Process.Pid), &attr)
	if err := a.out.Decode(&live); err != nil {
		t.Fatal(err)
	}
	v.in.Close()
	if err := v.Wait(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(a.in, "gone\n")
	if err := a.out.Decode(&dead); err != nil {
		t.Fatal(err)
	}
	return live, dead
}
