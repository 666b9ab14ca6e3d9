package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/trust"
)

// What is in images is done by CRIU with root's rights: whoever could have written them
// could have anything executed. And where others may write, a link under the name of a log
// has CRIU write elsewhere. So CRIU gets the descriptors of directories that were looked at,
// and in which nobody else can change anything afterwards.

const (
	imagesAreWhose = "images must be root's and nobody else's to write to: use a copy that root has made, if you know who has written them"
	parentLink     = "parent" // CRIU's name for the images that others build on
	mostParents    = 1000     // a chain of --pre-dump that is longer leads in a circle
)

// trustDir refuses a directory in which others may write.
func trustDir(fd int, dir, remedy string) error {
	return trustFd(fd, dir, func(st *unix.Stat_t) error { return trustStat(st, dir, "what is in it", remedy) })
}

func trustFd(fd int, name string, check func(*unix.Stat_t) error) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "fstat", Path: name, Err: err}
	}
	return check(&st)
}

func trustStat(st *unix.Stat_t, name, what, remedy string) error {
	switch {
	case !trust.Owned(st):
		return trust.Stranger(st, name, what, remedy)
	case !trust.OwnersAlone(st):
		return trust.Shared(st, name, what, remedy)
	}
	return nil
}

// trustImages refuses images that another user could have written, or could change, and those
// of the checkpoints before that they build on.
func trustImages(images int, dir string) error {
	at, err := unix.Openat(images, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for range mostParents {
		if err != nil {
			return &os.PathError{Op: "open", Path: dir, Err: err}
		}
		built, err := trustEntries(at, dir)
		if err != nil || !built {
			unix.Close(at)
			return err
		}
		next, parent, err := openParent(at, dir)
		unix.Close(at)
		if err != nil {
			return err
		}
		at, dir = next, parent
	}
	unix.Close(at)
	return fmt.Errorf("%s: the links %q lead in a circle", dir, parentLink)
}

// trustEntries looks at a directory of images and at the files in it, and says whether they build on
// others. Directories in it are not CRIU's.
func trustEntries(fd int, dir string) (built bool, err error) {
	if err := trustDir(fd, dir, imagesAreWhose); err != nil {
		return false, err
	}
	again, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f := os.NewFile(uintptr(again), dir)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		file := filepath.Join(dir, name)
		var st unix.Stat_t
		if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return false, &os.PathError{Op: "fstatat", Path: file, Err: err}
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
		case unix.S_IFLNK:
			if name != parentLink {
				return false, fmt.Errorf("%s is a symbolic link: CRIU makes none but %q, and would follow it", file, parentLink)
			}
			if built = true; !trust.Owned(&st) {
				return false, trust.Stranger(&st, file, "what it leads to", imagesAreWhose)
			}
		default:
			if err := trustStat(&st, file, "what is in it", imagesAreWhose); err != nil {
				return false, err
			}
		}
	}
	return built, nil
}

// openParent opens the images that others build on. CRIU opens them by the link itself, so
// nobody else may be able to change any part of the way.
func openParent(images int, dir string) (int, string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(images, parentLink, buf)
	if err != nil {
		return -1, "", &os.PathError{Op: "readlinkat", Path: filepath.Join(dir, parentLink), Err: err}
	}
	way := string(buf[:n])
	open := func(at int, name string) (int, error) {
		return unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	start, where := ".", dir
	if filepath.IsAbs(way) {
		start, where = "/", "/"
	}
	at, err := open(images, start)
	for _, part := range strings.Split(way, "/") {
		if err != nil {
			break
		}
		if part == "" || part == "." {
			continue
		}
		if err := trustFd(at, where, func(st *unix.Stat_t) error { return trustWay(st, where) }); err != nil {
			unix.Close(at)
			return -1, "", err
		}
		var next int
		where = filepath.Join(where, part)
		next, err = open(at, part)
		unix.Close(at)
		at = next
	}
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return -1, "", fmt.Errorf("%s: %s is no directory, or a link to one: %w", filepath.Join(dir, parentLink), where, err)
	}
	if err != nil {
		return -1, "", fmt.Errorf("%s: %w", filepath.Join(dir, parentLink), &os.PathError{Op: "open", Path: where, Err: err})
	}
	return at, where, nil
}

// trustWay is trustStat for a directory on the way: a sticky one is good, as what others put
// there is looked at itself.
func trustWay(st *unix.Stat_t, where string) error {
	if st.Mode&unix.S_ISVTX != 0 && trust.Owned(st) {
		return nil
	}
	return trustStat(st, where, "what is in it", imagesAreWhose)
}
