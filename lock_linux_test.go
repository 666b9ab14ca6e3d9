package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/seal"
)

// TestLockLetsGo: the process that locks mounts, which nobody waits for, does not keep the mount
// of the runtime's binary from being dissolved.
func TestLockLetsGo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it clones mounts")
	}
	view, err := seal.OpenView()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(view.Fd())
	defer view.Dissolve()
	b := &birth{view: view, host: &host{rights: rights{mounts: true}}}
	defer b.closeOpened()
	volume := b.tree(tree{file: t.TempDir()})
	if err := b.openTree(volume); err != nil {
		t.Fatal(err)
	}
	if err := b.openMountSockets(); err != nil {
		t.Fatal(err)
	}
	code, err := b.assembleLock(b.trees)
	if err != nil {
		t.Fatal(err)
	}
	child, err := code.Launch(program.Options{Flags: unix.CLONE_NEWNS, CgroupFd: -1})
	if err != nil {
		t.Fatal(err)
	}
	b.aside = append(b.aside, child)
	if _, err := child.Next(); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if n := descriptorsOf(t, os.Getpid(), filepath.Dir(exe)); n != 1 {
		t.Errorf("the runtime has %d descriptors of the mount: this test shows nothing", n)
	}
	if n := descriptorsOf(t, child.Pid, filepath.Dir(exe)); n != 0 {
		t.Errorf("the process aside has %d descriptors of the mount", n)
	}
}

// descriptorsOf counts the descriptors of a process that are a directory.
func descriptorsOf(t *testing.T, pid int, dir string) (n int) {
	t.Helper()
	want, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no descriptors: %v", err)
	}
	for _, file := range files {
		if is, err := os.Stat(file); err == nil && os.SameFile(is, want) {
			n++
		}
	}
	return n
}
