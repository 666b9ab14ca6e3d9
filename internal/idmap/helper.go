package idmap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/entry"
)

// helperDirs are where distributions have the helpers. They come before the caller's
// PATH, which a login shell may have filled with anything.
var helperDirs = []string{"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin", "/usr/local/sbin"}

// ErrRefused is wrapped by every error of a helper that ran and refused.
var ErrRefused = errors.New("refused")

// Help has the map of a process written by the helper. An error says what is missing
// on the machine, and the line that would have to be where.
func (k Kind) Help(pid int, ranges []Range) error {
	helper, err := k.find(append(append([]string(nil), helperDirs...), filepath.SplitList(os.Getenv("PATH"))...))
	if err != nil {
		return err
	}
	args := []string{k.Helper, strconv.Itoa(pid)}
	for _, r := range ranges {
		for _, n := range []uint32{r.Inside, r.Outside, r.Size} {
			args = append(args, strconv.FormatUint(uint64(n), 10))
		}
	}
	said, err := run(helper, args)
	if err == nil {
		return nil
	}
	if why := powerless(helper); why != "" {
		return fmt.Errorf("%s: %w", why, unix.EPERM)
	}
	table, terr := os.ReadFile(k.Table)
	if terr != nil && !errors.Is(terr, os.ErrNotExist) {
		terr = nil // unreadable is not missing: the helper's words must do
	} else if reason := k.explain(string(table), ranges); reason != nil {
		return reason
	}
	return fmt.Errorf("%s %w: %s", k.Helper, ErrRefused, said)
}

// find looks for the helper.
func (k Kind) find(dirs []string) (string, error) {
	for _, dir := range dirs {
		file := filepath.Join(dir, k.Helper)
		if filepath.IsAbs(file) && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: to map other ids than one's own, a user needs it (package uidmap, or shadow-utils): %w", k.Helper, unix.ENOENT)
}

// run executes a helper to its end and returns what it said.
func run(file string, args []string) (said string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		w.Close()
		return "", err
	}
	defer null.Close()
	p, err := entry.StartProcess(file, args, &os.ProcAttr{Files: []*os.File{null, w, w}, Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}})
	w.Close()
	if err != nil {
		return "", err
	}
	text, _ := io.ReadAll(io.LimitReader(r, 4096))
	state, err := p.Wait()
	if err == nil && !state.Success() {
		err = errors.New(state.String())
	}
	said = strings.Join(strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' }), "; ")
	if said == "" && err != nil {
		said = err.Error()
	}
	return said, err
}

// powerless says why executing the file gives no rights, and what would change that, or
// "". It takes the setuid bit of root or file capabilities (capabilities(7)), a file system
// and a process for which they count (execve(2)), and an owner who is somebody here.
func powerless(file string) string {
	var st unix.Stat_t
	if unix.Stat(file, &st) != nil {
		return ""
	}
	if _, err := unix.Getxattr(file, "security.capability", nil); err != nil && st.Mode&unix.S_ISUID == 0 {
		return fmt.Sprintf("%s has neither the setuid bit nor file capabilities: as root, chmod u+s %s", file, file)
	}
	var fs unix.Statfs_t
	if unix.Statfs(file, &fs) == nil && fs.Flags&unix.ST_NOSUID != 0 {
		return fmt.Sprintf("%s is on a file system that is mounted nosuid: as root, mount it without", file)
	}
	if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && on == 1 {
		return fmt.Sprintf("%s has no effect for a process that may gain no privileges (no_new_privs): start oci-mini outside of what set that, such as NoNewPrivileges= of a systemd unit", file)
	}
	if overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid"); err == nil && strconv.FormatUint(uint64(st.Uid), 10) == strings.TrimSpace(string(overflow)) {
		return fmt.Sprintf("%s belongs to nobody who is mapped in the user namespace that this is: start oci-mini outside of it", file)
	}
	return ""
}
