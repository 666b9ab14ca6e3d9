package copyup

import (
	"fmt"
	"golang.org/x/sys/unix"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// swaps exchanges pairs of names as fast as it can.
func swaps(t *testing.T, dir string, pairs [][2]string) (stop func() int) {
	t.Helper()
	quit, count := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			for _, p := range pairs {
				if unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, p[0]), unix.AT_FDCWD, filepath.Join(dir, p[1]), unix.RENAME_EXCHANGE) == nil {
					n++
				}
			}
			select {
			case <-quit:
				count <- n
				return
			default:
			}
		}
	}()
	return func() int { close(quit); return <-count }
}

const canary = "canary: content that lies outside of the source"

// TestRace: an attacker exchanges directories and files with links to what lies
// outside. A copy by path names falls for it, which shows that the attack works.
func TestRace(t *testing.T) {
	needRoot(t)
	outside := t.TempDir()
	build(t, outside, "secret 0600 0:0 "+canary+"\nsub/ 0700 0:0\nsub/secret 0600 0:0 "+canary)
	sources(t, func(t *testing.T, dir string) {
		build(t, dir, `d/ 0755 0:0
d/secret 0644 0:0 inside
d/sub/ 0755 0:0
d/sub/secret 0644 0:0 inside
d/ld -> `+outside+`/sub
d/lf -> `+outside+`/secret
x -> `+outside+`
f 0644 0:0 inside
lf -> `+outside+`/secret
other/ 0700 0:0
other/file 0644 0:0 inside
pipe p 0600`)
		stop := swaps(t, dir, [][2]string{{"d", "x"}, {"f", "lf"}, {"d/sub", "d/ld"}, {"d/secret", "d/lf"}, {"other", "pipe"}, {"other/file", "f"}})
		naive := 0
		for more := until(10 * time.Second); more() && naive == 0; {
			naive += naiveCopy(dir)
		}
		if naive == 0 {
			t.Error("the attack does not work, not even on a copy by path names")
		}
		copies, entries := 0, 0
		for more := until(1500 * time.Millisecond); more(); copies++ {
			dst := newTmpfs(t)
			if err := Tree(openDir(t, dir), dst); err != nil {
				t.Error(err)
				break
			}
			err := filepath.Walk(pathOf(dst), func(path string, info os.FileInfo, err error) error {
				if err != nil {
					return err
				}
				entries++
				if info.Mode().IsRegular() {
					if b, err := os.ReadFile(path); err != nil || string(b) != "inside" {
						return fmt.Errorf("%s holds %q, %v", path, b, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
				break
			}
			unix.Close(dst)
		}
		t.Logf("%d copies of %d entries, %d exchanges", copies, entries, stop())
		if copies < 10 {
			t.Errorf("%d copies only", copies)
		}
	})
}

// naiveCopy counts the canaries that a copy by path names would contain.
func naiveCopy(dir string) (found int) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch info, err := os.Lstat(path); {
		case err != nil:
		case info.IsDir():
			found += naiveCopy(path)
		case info.Mode().IsRegular():
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			var buf [100]byte
			if n, _ := unix.Read(fd, buf[:]); n > 0 && string(buf[:n]) == canary {
				found++
			}
			unix.Close(fd)
		}
	}
	return found
}

// TestVanishing: what goes and comes while the copy is made is no error.
func TestVanishing(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	build(t, dir, "keep 0644 0:0 inside")
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			base := fmt.Sprintf("%s/%d", dir, i%7)
			os.WriteFile(base+"f", []byte("x"), 0o600)
			os.Mkdir(base+"d", 0o700)
			os.Link(base+"f", base+"d/l")
			os.Link(base+"f", base+"g")
			os.RemoveAll(base + "d")
			os.Remove(base + "f")
			os.Remove(base + "g")
			select {
			case <-quit:
				return
			default:
			}
		}
	}()
	for more := until(time.Second); more(); {
		dst := newTmpfs(t)
		if err := Tree(openDir(t, dir), dst); err != nil {
			t.Error(err)
			break
		}
		if b, err := os.ReadFile(pathOf(dst) + "keep"); err != nil || string(b) != "inside" {
			t.Errorf("%q, %v", b, err)
		}
		unix.Close(dst)
	}
	close(quit)
	<-done
}
