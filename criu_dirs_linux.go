package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// parentImages checks that the images that a dump builds on are there: what CRIU says of
// others does not name them.
func (r *criuRequest) parentImages() error {
	if r.ParentImage == "" {
		return nil
	}
	if filepath.IsAbs(r.ParentImage) {
		return fmt.Errorf("--parent-path: %s must be relative to that of the images, so that both can be moved", r.ParentImage)
	}
	dir := filepath.Join(r.images, r.ParentImage)
	fd, err := openCriuDir("--parent-path", dir, false, imagesAreWhose)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := trustImages(fd, dir); err != nil {
		return fmt.Errorf("--parent-path: %w", err)
	}
	return nil
}

// open opens the directory of the images; with create it is made, for its owner alone: an image
// has all of the container's memory in it. One that others may write to is refused, and
// without create such images too. The caller is to close what it returns.
func (r *criuRequest) open(create bool) (_ *criuDirs, err error) {
	d := &criuDirs{images: -1, work: -1}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.images, err = openCriuDir("--image-path", r.images, create, imagesAreWhose); err != nil {
		return nil, err
	}
	if !create {
		if err = trustImages(d.images, r.images); err != nil {
			return nil, fmt.Errorf("--image-path: %w", err)
		}
	}
	r.ImagesDir = d.images
	return d, nil
}

// openWork opens that of work files, which is made if it is missing.
func (r *criuRequest) openWork(d *criuDirs) (err error) {
	if r.work == "" {
		return nil
	}
	if d.work, err = openCriuDir("--work-path", r.work, true, "use a directory of root's, with mode 0700"); err != nil {
		return err
	}
	r.WorkDir = d.work
	return nil
}

// criuDirs are open directories of a request. CRIU opens them again through this process.
type criuDirs struct{ images, work int }

func (d *criuDirs) close() {
	for _, fd := range []int{d.images, d.work} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// openCriuDir opens a directory in which nobody but root may write, or tells the remedy.
func openCriuDir(flag, dir string, create bool, remedy string) (int, error) {
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return -1, fmt.Errorf("%s: %w", flag, err)
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", flag, &os.PathError{Op: "open", Path: dir, Err: err})
	}
	if err := trustDir(fd, dir, remedy); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("%s: %w", flag, err)
	}
	return fd, nil
}

// logPath is CRIU's log.
func (r *criuRequest) logPath() string {
	dir := r.work
	if dir == "" {
		dir = r.images
	}
	return filepath.Join(dir, r.LogFile)
}
