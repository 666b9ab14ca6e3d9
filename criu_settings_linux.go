package main

import (
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// The files that CRIU may read its settings from; the first is this runtime's own, the
// second that of runc, whose containers may have come here.
var criuConfigs = []string{"/etc/criu/oci-mini.conf", "/etc/criu/runc.conf"}

// criuConfig is the file of settings that CRIU is to read after all that the runtime says,
// so that it has the last word; "" for none. field is the config's, or "".
func criuConfig(s *specs.Spec, bundle string) (file, field string) {
	if _, said := s.Annotations[annotationCriuConfig]; said {
		return annotatedPath(s, bundle, annotationCriuConfig), "/annotations/" + annotationCriuConfig
	}
	for _, file := range criuConfigs {
		if unix.Access(file, unix.F_OK) == nil {
			return file, ""
		}
	}
	return "", ""
}

// readSettings reads what CRIU is to read itself, from memory of the runtime's: the file could be
// another by then, and CRIU passes over one that is not there.
func (r *criuRequest) readSettings(s *specs.Spec, bundle string) error {
	if p := r.PageServer; p != nil && r.LazyPages {
		// Of a request it takes the port alone, and would serve the memory at all addresses.
		r.settings = "address " + p.Address + "\n"
	}
	file, field := criuConfig(s, bundle)
	if file == "" {
		return nil
	}
	text, err := trustedText(file, "the settings in it", "CRIU obeys them as root, so they must be root's and nobody else's to write to")
	if err != nil && field != "" {
		err = fmt.Errorf("%s: %w", field, err)
	}
	r.settingsFile, r.settings = file, r.settings+text
	return err
}

// trustedText reads a file that nobody but root may write to.
func trustedText(file, what, remedy string) (string, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: file, Err: err}
	}
	defer unix.Close(fd)
	if err := trustFd(fd, file, func(st *unix.Stat_t) error { return trustStat(st, file, what, remedy) }); err != nil {
		return "", err
	}
	text, err := rawfile.ReadFd(fd)
	if err != nil {
		return "", &os.PathError{Op: "read", Path: file, Err: err}
	}
	return string(text), nil
}

// giveSettings makes them a file for CRIU, which is to keep the descriptor; -1 if there are none.
// The caller is to close it.
func (r *criuRequest) giveSettings() (int, error) {
	if r.settings == "" {
		return -1, nil
	}
	fd, err := unix.MemfdCreate("criu.conf", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if _, err := unix.Write(fd, []byte(r.settings)); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("write", err)
	}
	r.ConfigFile = fmt.Sprintf("/proc/self/fd/%d", fd)
	return fd, nil
}
