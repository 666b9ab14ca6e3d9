package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
)

// restoration is a container being made of images, besides what a birth is.
type restoration struct {
	*criuRequest
	dirs    *criuDirs
	streams []string // what the standard streams were, in CRIU's words
	yard    yard
	session *criu.Session
	masters []int  // of the container's ptys
	root    uint64 // number of the mount that the container's root is
}

// prepareRestore refuses what cannot be restored. It makes nothing. The caller is to close dirs.
func (b *birth) prepareRestore(r *criuRequest) (*restoration, error) {
	if faults := b.uncheckpointable(); len(faults) > 0 {
		return nil, faultList(faults)
	}
	if err := b.noLinks(); err != nil {
		return nil, err
	}
	r.LogFile = "restore.log"
	r.EvasiveDevices, r.RstSibling = true, true
	t := &restoration{criuRequest: r}
	var err error
	if err = r.readSettings(b.spec, b.bundle); err != nil {
		return nil, err
	}
	if t.dirs, err = r.open(false); err != nil {
		return nil, err
	}
	if err = t.read(); err == nil {
		err = b.holdFilter(t.seccomp)
	}
	if err != nil {
		t.dirs.close()
		return nil, err
	}
	return t, nil
}

// ready makes the directory that CRIU works in, and makes sure that there is a CRIU.
func (t *restoration) ready() error {
	if err := t.openWork(t.dirs); err != nil {
		return err
	}
	if err := t.find(); err != nil {
		return err
	}
	return criuFeatures(t.file, criu.Features{LazyPages: t.LazyPages})
}

// read reads what the checkpoint left for its restore.
func (t *restoration) read() error {
	data, err := readImage(t.dirs.images, descriptorsFile)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("--image-path: there is no checkpoint in %s: %w", t.images, err)
	}
	if err == nil {
		err = json.Unmarshal(data, &t.streams)
	}
	if err != nil {
		return fmt.Errorf("--image-path: %s: %w", t.images, err)
	}
	n, err := readNote(t.dirs.images)
	if err != nil {
		return err
	}
	t.seccomp = n.Seccomp
	if t.ManageCgroups == nil {
		t.ManageCgroups, err = criu.Choose(criu.CgroupModes, n.ManageCgroupsMode)
	}
	return err
}
