package copyup

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a tmpfs and makes files of other users")
	}
}

// newTmpfs is a tmpfs that is mounted nowhere.
func newTmpfs(t testing.TB, options ...string) int {
	t.Helper()
	ctx, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ctx)
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		if err := unix.FsconfigSetString(ctx, key, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// pathOf names what a descriptor is open at.
func pathOf(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) + "/" }

// openDir opens a directory as the caller of Tree does.
func openDir(t testing.TB, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// build makes a tree out of lines:
//
//	dir/ MODE UID:GID            directory
//	file MODE UID:GID TEXT       regular file
//	name -> TARGET               symbolic link
//	name => OTHER                hard link to OTHER
//	name p MODE                  pipe
//	name c MAJOR:MINOR MODE      character device (b: block device)
//	name s                       socket
//	name @ OFFSET TEXT ...       file with holes, of texts at these offsets
//	name % ATTR=VALUE            extended attribute
//	name ^ MODE UID:GID          change mode and owner, also of `.`
func build(t testing.TB, root string, tree string) {
	t.Helper()
	for line := range strings.SplitSeq(tree, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if err := buildLine(root, f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	// Times that are no coincidence.
	n := 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		n++
		ts := []unix.Timespec{{Sec: int64(1e9 + n), Nsec: 111}, {Sec: int64(2e8 + n), Nsec: 222}}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func buildLine(root string, f []string) error {
	path := root + "/" + f[0] // also of `.`, where root is a magic link
	attributes := func(mode, owner string) error {
		m, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			return err
		}
		var uid, gid int
		if _, err := fmt.Sscanf(owner, "%d:%d", &uid, &gid); err != nil {
			return err
		}
		if err := os.Lchown(path, uid, gid); err != nil {
			return err
		}
		return unix.Chmod(path, uint32(m))
	}
	switch {
	case strings.HasSuffix(f[0], "/"):
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		return attributes(f[1], f[2])
	case f[1] == "->":
		return os.Symlink(f[2], path)
	case f[1] == "=>":
		return os.Link(filepath.Join(root, f[2]), path)
	case f[1] == "p":
		if err := unix.Mkfifo(path, 0o600); err != nil {
			return err
		}
		return attributes(f[2], "0:0")
	case f[1] == "c" || f[1] == "b":
		var major, minor uint32
		fmt.Sscanf(f[2], "%d:%d", &major, &minor)
		kind := map[string]uint32{"c": unix.S_IFCHR, "b": unix.S_IFBLK}[f[1]]
		if err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(major, minor))); err != nil {
			return err
		}
		return attributes(f[3], "0:0")
	case f[1] == "s":
		return unix.Mknod(path, unix.S_IFSOCK|0o600, 0)
	case f[1] == "@":
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		for i := 2; i+1 < len(f); i += 2 {
			at, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				return err
			}
			if f[i+1] == "END" {
				err = file.Truncate(at)
			} else {
				_, err = file.WriteAt([]byte(f[i+1]), at)
			}
			if err != nil {
				return err
			}
		}
		return nil
	case f[1] == "%":
		name, value, _ := strings.Cut(f[2], "=")
		raw, err := strconv.Unquote(`"` + value + `"`)
		if err != nil {
			return err
		}
		return unix.Lsetxattr(path, name, []byte(raw), 0)
	case f[1] == "^":
		return attributes(f[2], f[3])
	}
	if err := os.WriteFile(path, []byte(strings.Join(f[3:], " ")), 0o600); err != nil {
		return err
	}
	return attributes(f[1], f[2])
}

// describe lists a tree with all that a copy has to keep, one line an entry.
func describe(t testing.TB, root string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("%q %o %d:%d", name, st.Mode, st.Uid, st.Gid)
		// What walks through a tree changes the times of access of its directories and links.
		if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFDIR && kind != unix.S_IFLNK {
			line += fmt.Sprintf(" atime %d.%d", st.Atim.Sec, st.Atim.Nsec)
		}
		line += fmt.Sprintf(" mtime %d.%d", st.Mtim.Sec, st.Mtim.Nsec)
		if st.Rdev != 0 {
			line += fmt.Sprintf(" device %#x", st.Rdev)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			sum, err := sumOf(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" size %d %x", st.Size, sum)
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		if st.Nlink > 1 && !d.IsDir() {
			if other := first[st.Ino]; other != "" {
				line += " => " + other
			} else {
				first[st.Ino] = name
			}
			line += fmt.Sprintf(" links %d", st.Nlink)
		}
		attrs, err := attributesOf(path)
		if err != nil {
			return err
		}
		lines = append(lines, line+attrs)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// sumOf reads a file without a change of its time of access.
func sumOf(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOATIME, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := f.WriteTo(h); err != nil {
		return nil, err
	}
	return h.Sum(nil)[:6], nil
}

func attributesOf(path string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return "", err
	}
	var attrs []string
	for _, name := range bytes.Split(buf[:n], []byte{0}) {
		if len(name) == 0 {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, string(name), value)
		if err != nil {
			return "", err
		}
		attrs = append(attrs, fmt.Sprintf(" %s=%.40q/%d", name, value[:n], n))
	}
	sort.Strings(attrs)
	return strings.Join(attrs, ""), nil
}

// same compares two descriptions.
func same(t testing.TB, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "(nothing)", "(nothing)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("copy     %s\noriginal %s", g, w)
			return
		}
	}
}

// until is a time from now on, for loops that race.
func until(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().Before(end) }
}

func countFds(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
