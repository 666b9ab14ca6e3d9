package copyup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// everything has one of each kind.
const everything = `
. ^ 1751 7:8
empty 0000 0:0
file 0644 0:0 hello
mine 0600 1000:1001 of somebody
setuid 6755 12:34 #!
sticky/ 1777 0:0
sticky/deep/ 2750 5:6
sticky/deep/er/ 0555 0:0
sticky/deep/er/file 0444 9:9 read only
sticky/deep/er/up -> ../../../file
dangling -> /no/such/target
pipe p 0622
null c 1:3 0666
loop b 7:0 0660
one 0640 3:4 several names
sticky/two => one
sticky/deep/three => one
pipe2 => pipe
link2 => dangling
first => sticky/deep/er/file
caps 0755 0:0 #!
caps % security.capability=\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00
caps % trusted.thing=value
sticky/deep % trusted.dir=x
dangling % trusted.onlink=y
null % trusted.ondevice=z
. % trusted.onroot=r
sparse @ 1048576 data 8388608 more 20000000 END
hole @ 5000000 END
tail @ 3000000 x
`

// sources are the file systems that trees are copied from.
func sources(t *testing.T, test func(t *testing.T, dir string)) {
	t.Run("disk", func(t *testing.T) { test(t, t.TempDir()) })
	t.Run("tmpfs", func(t *testing.T) { test(t, pathOf(newTmpfs(t))) })
}

func TestTree(t *testing.T) {
	needRoot(t)
	defer syscall.Umask(syscall.Umask(0o077)) // what the copies must not depend on
	sources(t, func(t *testing.T, dir string) {
		build(t, dir, everything)
		src, dst := openDir(t, dir), newTmpfs(t)
		want := describe(t, dir)
		before := countFds(t)
		if err := Tree(src, dst); err != nil {
			t.Fatal(err)
		}
		if after := countFds(t); after != before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
		got := describe(t, pathOf(dst))
		if len(got) != 24 {
			t.Errorf("%d entries", len(got))
		}
		same(t, got, want)
		for _, name := range []string{"sparse", "hole", "tail"} {
			var st unix.Stat_t
			if err := unix.Lstat(pathOf(dst)+name, &st); err != nil || st.Blocks*512 > 64<<10 {
				t.Errorf("%s occupies %d bytes, %v", name, st.Blocks*512, err)
			}
		}
	})
}

// TestUserAttributes: they are copied where tmpfs takes them, and left out where not.
func TestUserAttributes(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	build(t, dir, "file 0444 0:0 x\nsub/ 0755 0:0")
	if err := unix.Lsetxattr(dir+"/file", "user.small", []byte("1"), 0); err != nil {
		t.Skipf("needs a file system with user attributes: %v", err)
	}
	if err := unix.Lsetxattr(dir+"/sub", "user.big", bytes.Repeat([]byte{7}, 2000), 0); err != nil {
		t.Fatal(err)
	}
	dst, want := newTmpfs(t), describe(t, dir)
	takes := unix.Fsetxattr(openRead(t, dst), "user.probe", nil, 0)
	if err := Tree(openDir(t, dir), dst); err != nil {
		t.Fatal(err)
	}
	if takes == nil {
		unix.Fremovexattr(openRead(t, dst), "user.probe")
		same(t, describe(t, pathOf(dst)), want)
	}

	// A file system that takes none.
	pseudo, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pseudo.Close()
	file, err := os.Open(dir + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := &copier{}
	if err := c.copyXattrs(byFd(int(file.Fd())), byFd(int(pseudo.Fd())), "file"); err != nil {
		t.Error(err)
	}
	if err := unix.Lsetxattr(dir+"/file", "trusted.x", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	err = c.copyXattrs(byFd(int(file.Fd())), byFd(int(pseudo.Fd())), "file")
	if !errors.Is(err, unix.EOPNOTSUPP) || err.Error() != `setxattr "trusted.x" file: operation not supported` {
		t.Error(err)
	}
}

func openRead(t *testing.T, dir int) int {
	t.Helper()
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestACL: a default ACL of a directory does not spread to its copied entries.
func TestACL(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	build(t, dir, "d/ 0750 1:2\nd/f 0604 0:0 x")
	// user::rwx user:5:rwx group::--- mask::rwx other::---, as version 2 of posix_acl_xattr.h.
	acl := "\x02\x00\x00\x00" + "\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\x05\x00\x00\x00" +
		"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
	for _, name := range []string{"system.posix_acl_default", "system.posix_acl_access"} {
		if err := unix.Lsetxattr(dir+"/d", name, []byte(acl), 0); err != nil {
			t.Skipf("needs a file system with ACLs: %v", err)
		}
	}
	dst, want := newTmpfs(t), describe(t, dir)
	if err := unix.Fsetxattr(openRead(t, newTmpfs(t)), "system.posix_acl_access", []byte(acl), 0); err != nil {
		t.Skipf("needs a tmpfs with ACLs: %v", err)
	}
	if err := Tree(openDir(t, dir), dst); err != nil {
		t.Fatal(err)
	}
	same(t, describe(t, pathOf(dst)), want)
}

// TestLeftOut: sockets, and what is mounted.
func TestLeftOut(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	build(t, dir, "sock s\nkept 0644 0:0 x\nsub/ 0755 0:0\nsub/below 0644 0:0 hidden\nfile 0600 0:0 hidden")
	runtime.LockOSThread() // never unlocked: the thread and its mounts go with the test
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir+"/sub", "tmpfs", 0, "mode=0711,uid=5,gid=6"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir+"/sub", unix.MNT_DETACH)
	build(t, dir+"/sub", "secret 0644 0:0 mounted")
	if err := unix.Mount("/etc/passwd", dir+"/file", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir+"/file", unix.MNT_DETACH)
	dst := newTmpfs(t)
	if err := Tree(openDir(t, dir), dst); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range describe(t, pathOf(dst)) {
		name, rest, _ := strings.Cut(line, " mtime")
		name, _, _ = strings.Cut(name, " atime")
		if _, size, ok := strings.Cut(rest, " size "); ok {
			name += " size " + strings.Fields(size)[0]
		}
		got = append(got, name)
	}
	want := []string{`"file" 100644 0:0 size 0`, `"kept" 100644 0:0 size 1`, `"sub" 40711 5:6`}
	if !slices.Equal(got[1:], want) {
		t.Errorf("%q\nwant %q", got[1:], want)
	}
}

// TestExisting: names that are there already stay.
func TestExisting(t *testing.T) {
	needRoot(t)
	dir, dst := t.TempDir(), newTmpfs(t)
	build(t, dir, "a 0644 0:0 new\nd/ 0755 0:0\nd/x 0644 0:0 x\nl -> new\nz 0600 0:0 z")
	build(t, pathOf(dst), "a 0600 0:0 old\nd 0600 0:0 no directory\nl -> old")
	if err := Tree(openDir(t, dir), dst); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "old", "d": "no directory", "z": "z"} {
		if got, err := os.ReadFile(pathOf(dst) + name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
}

// TestManyNames: a directory of several reads of the kernel's list, and a big file.
func TestManyNames(t *testing.T) {
	needRoot(t)
	sources(t, func(t *testing.T, dir string) {
		for i := range 1000 {
			if err := os.WriteFile(fmt.Sprintf("%s/%d-%s", dir, i, strings.Repeat("x", 200)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(dir+"/big", bytes.Repeat([]byte("0123456789abcde\n"), 10<<16), 0o600); err != nil {
			t.Fatal(err)
		}
		dst := newTmpfs(t)
		want := describe(t, dir)
		if err := Tree(openDir(t, dir), dst); err != nil {
			t.Fatal(err)
		}
		same(t, describe(t, pathOf(dst)), want)
	})
}

// TestCopyCalls: each way to copy gives the same.
func TestCopyCalls(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcde\n"), 70000)
	from := filepath.Join(t.TempDir(), "from")
	if err := os.WriteFile(from, want, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for name, f := range map[string]func(c *copier, dst int, at, end int64) (string, error){
		"extent": func(c *copier, dst int, at, end int64) (string, error) { return c.extent(int(src.Fd()), dst, at, end) },
		"without ranges": func(c *copier, dst int, at, end int64) (string, error) {
			c.noRange = true
			return c.extent(int(src.Fd()), dst, at, end)
		},
		"read and write": func(c *copier, dst int, at, end int64) (string, error) {
			unix.Seek(dst, at, 0)
			return c.readWrite(int(src.Fd()), dst, at, end)
		},
	} {
		dst, err := os.Create(filepath.Join(t.TempDir(), "to"))
		if err != nil {
			t.Fatal(err)
		}
		defer dst.Close()
		// The second part ends behind the file, which is shorter than it was said to be.
		c := &copier{}
		for _, part := range [][2]int64{{0, 5000}, {5000, int64(len(want)) + 100000}} {
			if op, err := f(c, int(dst.Fd()), part[0], part[1]); err != nil {
				t.Errorf("%s: %s: %v", name, op, err)
			}
		}
		if got, _ := os.ReadFile(dst.Name()); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
	}
}

// TestDepth: deep trees end with an error, not with the stack or the descriptors.
func TestDepth(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		depth int
		ok    bool
	}{{maxDepth - 1, true}, {maxDepth, false}, {maxDepth + 2000, false}} {
		root := newTmpfs(t)
		dir, err := unix.Openat(root, ".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range tt.depth {
			if err := unix.Mkdirat(dir, "deep", 0o755); err != nil {
				t.Fatal(err)
			}
			next, err := unix.Openat(dir, "deep", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(dir)
			dir = next
		}
		unix.Close(dir)
		before := countFds(t)
		err = Tree(root, newTmpfs(t))
		if after := countFds(t); after != before+1 { // the new tmpfs
			t.Errorf("%d descriptors before, %d after", before, after)
		}
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, unix.ELOOP) {
			t.Errorf("depth %d: %v", tt.depth, err)
		}
		if !tt.ok && len(err.Error()) > 600 {
			t.Errorf("a message of %d bytes", len(err.Error()))
		}
	}
}

// TestErrors: the path and the call are named.
func TestErrors(t *testing.T) {
	needRoot(t)
	full := newTmpfs(t, "size=4096")
	big := t.TempDir()
	build(t, big, "sub/ 0755 0:0\nsub/big 0600 0:0 "+strings.Repeat("x", 100000))
	err := Tree(openDir(t, big), full)
	if !errors.Is(err, unix.ENOSPC) || !strings.HasSuffix(err.Error(), " sub/big: no space left on device") {
		t.Error(err)
	}
	var path *os.PathError
	if !errors.As(err, &path) {
		t.Errorf("%T is no *os.PathError", err)
	}
	odd := t.TempDir()
	build(t, odd, "a\x1b\"b 0600 0:0 "+strings.Repeat("x", 100000))
	if err = Tree(openDir(t, odd), full); err == nil || !strings.Contains(err.Error(), ` "a\x1b\"b": no space`) {
		t.Error(err)
	}
	if err := Tree(-1, full); !errors.Is(err, unix.EBADF) {
		t.Error(err)
	}
	if err := Tree(openDir(t, odd), -1); !errors.Is(err, unix.EBADF) || err.Error() != "openat of the copy .: bad file descriptor" {
		t.Error(err)
	}
}

// TestDeviceNotPermitted: the error names the device.
func TestDeviceNotPermitted(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	build(t, dir, "dev/ 0755 0:0\ndev/zero c 1:5 0666")
	src, dst := openDir(t, dir), newTmpfs(t)
	// CAP_MKNOD is the thread's.
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		if err := unix.Capget(&hdr, &caps[0]); err != nil {
			done <- err
			return
		}
		caps[0].Effective &^= 1 << unix.CAP_MKNOD
		if err := unix.Capset(&hdr, &caps[0]); err != nil {
			done <- err
			return
		}
		done <- Tree(src, dst)
	}()
	err := <-done
	if !errors.Is(err, unix.EPERM) || err.Error() != "mknodat dev/zero: character device 1:5: operation not permitted" {
		t.Error(err)
	}
}

// BenchmarkTree copies a small /etc: 20 directories of 10 files each.
func BenchmarkTree(b *testing.B) {
	needRoot(b)
	dir := b.TempDir()
	for i := range 20 {
		sub := fmt.Sprintf("%s/%d", dir, i)
		if err := os.Mkdir(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 10 {
			if err := os.WriteFile(fmt.Sprintf("%s/%d", sub, j), make([]byte, 1000), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	src := openDir(b, dir)
	for b.Loop() {
		if err := Tree(src, newTmpfs(b)); err != nil {
			b.Fatal(err)
		}
	}
}
