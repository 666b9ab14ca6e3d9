package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// noteFile is in the directory of the images: what of the checkpoint its restore has to know
// besides what CRIU notes itself.
const noteFile = "oci-mini.json"

// note is its content.
type note struct {
	ManageCgroupsMode string `json:"manageCgroupsMode"`
	// Seccomp is the config's, as the images have its filter.
	Seccomp *specs.LinuxSeccomp `json:"seccomp,omitempty"`
}

// writeNote writes it.
func (r *criuRequest) writeNote(images int) error {
	data, err := json.Marshal(note{r.ManageCgroups.Name, r.seccomp})
	if err != nil {
		return err
	}
	return writeImage(images, noteFile, data)
}

// writeImage writes a file beside CRIU's, for its owner alone.
func writeImage(images int, name string, data []byte) error {
	fd, err := unix.Openat(images, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "openat", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// readNote reads it. Of another runtime, which leaves none, cgroups were treated as
// they do if nobody says otherwise.
func readNote(images int) (*note, error) {
	n := &note{ManageCgroupsMode: "soft"}
	data, err := readImage(images, noteFile)
	if err == nil {
		err = json.Unmarshal(data, n)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("--image-path: %w", err)
	}
	return n, nil
}

func readImage(images int, name string) ([]byte, error) {
	fd, err := unix.Openat(images, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	defer unix.Close(fd)
	data, err := rawfile.ReadFd(fd)
	if err != nil {
		err = &os.PathError{Op: "read", Path: name, Err: err}
	}
	return data, err
}
