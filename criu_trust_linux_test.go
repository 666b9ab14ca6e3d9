package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTrustImages: images, and those that they build on, in all ways in which another user
// could have a part in them.
func TestTrustImages(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("gives files to another user")
	}
	const stranger = 54321
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name  string
		spoil func(top string)
		want  string // in the error, "" for none
	}{
		{"as they are made", func(string) {}, ""},
		{"others may read", func(top string) { must(os.Chmod(top+"/images", 0o755)) }, ""},
		{"no parent", func(top string) { must(os.Remove(top + "/images/parent")) }, ""},
		{"a directory that CRIU does not read", func(top string) {
			must(os.Mkdir(top+"/images/other", 0o777))
			must(os.Chown(top+"/images/other", stranger, stranger))
		}, ""},
		{"the way leads over /tmp", func(top string) { must(os.Chmod(top, 0o777|os.ModeSticky)) }, ""},
		{"an absolute parent", func(top string) {
			must(os.Remove(top + "/images/parent"))
			must(os.Symlink(top+"/before", top+"/images/parent"))
		}, ""},

		{"another's directory", func(top string) { must(os.Chown(top+"/images", stranger, 0)) },
			"images belongs to user 54321, who could have what is in it make user 0 do anything: images must be root's"},
		{"a directory for all", func(top string) { must(os.Chmod(top+"/images", 0o777|os.ModeSticky)) }, "images has mode 1777 and group 0: others than user 0 may write to it"},
		{"a directory for a group", func(top string) {
			must(os.Chown(top+"/images", 0, stranger))
			must(os.Chmod(top+"/images", 0o770))
		}, "images has mode 0770 and group 54321"},
		{"another's file", func(top string) { must(os.Chown(top+"/images/core-1.img", stranger, 0)) }, "images/core-1.img belongs to user 54321"},
		{"a file for all", func(top string) { must(os.Chmod(top+"/images/core-1.img", 0o666)) }, "images/core-1.img has mode 0666"},
		{"a link", func(top string) { must(os.Symlink("/etc/passwd", top+"/images/pages-1.img")) }, "images/pages-1.img is a symbolic link"},
		{"another's link", func(top string) { must(os.Lchown(top+"/images/parent", stranger, 0)) }, "images/parent belongs to user 54321, who could have what it leads to"},
		{"another's parent", func(top string) { must(os.Chown(top+"/before", stranger, 0)) }, "before belongs to user 54321"},
		{"a file of the parent for all", func(top string) { must(os.Chmod(top+"/before/pages-1.img", 0o602)) }, "before/pages-1.img has mode 0602"},
		{"the way leads through another's", func(top string) { must(os.Chown(top, stranger, 0)) }, " belongs to user 54321"},
		{"the way leads where all may write", func(top string) { must(os.Chmod(top, 0o777)) }, " has mode 0777"},
		{"the way leads over another link", func(top string) {
			must(os.Rename(top+"/before", top+"/real"))
			must(os.Symlink("real", top+"/before"))
		}, "before is no directory, or a link to one"},
		{"a circle", func(top string) { must(os.Symlink("../images", top+"/before/parent")) }, "lead in a circle"},
		{"nothing there", func(top string) { must(os.RemoveAll(top + "/before")) }, "before: no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			top := t.TempDir()
			for _, file := range []string{"images/core-1.img", "images/descriptors.json", "before/pages-1.img"} {
				must(os.MkdirAll(filepath.Dir(top+"/"+file), 0o700))
				must(os.WriteFile(top+"/"+file, nil, 0o600))
			}
			must(os.Symlink("../before", top+"/images/parent"))
			test.spoil(top)
			fd, err := unix.Open(top+"/images", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			must(err)
			defer unix.Close(fd)
			err = trustImages(fd, top+"/images")
			if test.want == "" {
				must(err)
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}
