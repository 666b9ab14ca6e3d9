package state

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRemove(t *testing.T) {
	base := t.TempDir()
	canary := filepath.Join(base, "canary")
	if err := os.MkdirAll(canary+"/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(canary+"/file", []byte("alive"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(filepath.Join(base, "root"))
	other := mustCreate(t, s, "other")
	d := mustCreate(t, s, "web")
	if err := os.MkdirAll(d.Path+"/a/b/c", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"/dirlink", "/a/link", "/a/b/c/link"} {
		if err := os.Symlink(canary, d.Path+link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(canary+"/file", d.Path+"/filelink"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(d.Path+"/"+SocketName, unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	// More than one buffer of names.
	for i := range 400 {
		if err := os.WriteFile(fmt.Sprintf("%s/a/%s%d", d.Path, strings.Repeat("n", 40), i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(); err != nil {
		t.Errorf("second Remove: %v", err)
	}
	expectNames(t, s.root, "other")
	expectNames(t, canary, "file", "sub")
	if data, _ := os.ReadFile(canary + "/file"); string(data) != "alive" {
		t.Errorf("canary: %q", data)
	}
	d.Close()
	mustCreate(t, s, "web")
	if err := other.Save(); err != nil {
		t.Error(err)
	}
}

// Removal does not reach for another container that has the name by now.
func TestRemoveOfReplaced(t *testing.T) {
	s := Open(t.TempDir())
	d := mustCreate(t, s, "web")
	if err := os.RemoveAll(d.Path); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, "web")
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	expectNames(t, s.root, "web")
}

// What is mounted in an entry is not emptied.
func TestRemoveStopsAtMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a mount namespace")
	}
	const inner = "STATE_TEST_MOUNTS"
	if os.Getenv(inner) == "" {
		cmd := exec.Command("unshare", "--mount", "--propagation", "private", os.Args[0], "-test.run=^TestRemoveStopsAtMounts$")
		cmd.Env = append(os.Environ(), inner+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	canary := t.TempDir()
	if err := os.WriteFile(canary+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(t.TempDir())
	d := mustCreate(t, s, "web")
	if err := os.Mkdir(d.Path+"/m", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(canary, d.Path+"/m", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(); err == nil {
		t.Error("Remove did not notice")
	}
	expectNames(t, canary, "file")
	for _, name := range names(t, s.root) {
		unix.Unmount(filepath.Join(s.root, name, "m"), unix.MNT_DETACH)
	}
}
