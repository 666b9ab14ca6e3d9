package resctrl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultMount is where the file system is mounted by convention.
const DefaultMount = "/sys/fs/resctrl"

// Root is the top of a mounted resctrl file system.
type Root struct {
	Path string
	// Mkdir and Rmdir make and remove a group; nil is the system call of that name. In the
	// real file system the kernel fills the directory that mkdir makes, and empties
	// the one that rmdir removes; a tree of ordinary files has to do so itself.
	Mkdir, Rmdir func(path string) error
}

// ErrNotMounted is a system without a resctrl file system, or with one that nobody has mounted.
var ErrNotMounted = errors.New("no resctrl file system is mounted")

// Find looks for the file system where it is by convention, and in the table of mounts
// if it is not there.
func Find() (*Root, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(DefaultMount, &st); err == nil && st.Type == unix.RDTGROUP_SUPER_MAGIC {
		return &Root{Path: DefaultMount}, nil
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	if path, ok := mountOf(string(mounts)); ok {
		return &Root{Path: path}, nil
	}
	return nil, ErrNotMounted
}

// mountOf finds the first resctrl file system in the text of a mountinfo (proc(5)).
func mountOf(mountinfo string) (path string, ok bool) {
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		if !found || !strings.HasPrefix(after, "resctrl ") {
			continue
		}
		if fields := strings.Fields(before); len(fields) >= 5 {
			return unescape(fields[4]), true
		}
	}
	return "", false
}

// unescape reads the octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func (r *Root) mkdir(path string) error {
	if r.Mkdir != nil {
		return r.Mkdir(path)
	}
	if err := unix.Mkdir(path, 0o755); err != nil {
		return &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

func (r *Root) rmdir(path string) error {
	if r.Rmdir != nil {
		return r.Rmdir(path)
	}
	if err := unix.Rmdir(path); err != nil {
		return &os.PathError{Op: "rmdir", Path: path, Err: err}
	}
	return nil
}

// write writes a text to a file of the file system in one call, as the kernel wants it.
// What it has to say about a failure is added.
func (r *Root) write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return r.explained(errors.Join(err, f.Close()))
}

// explained adds the kernel's words about the last command to the error of that command.
func (r *Root) explained(err error) error {
	if err == nil {
		return nil
	}
	words, rerr := os.ReadFile(filepath.Join(r.Path, "info", "last_cmd_status"))
	if text := strings.TrimSpace(string(words)); rerr == nil && text != "" && text != "ok" {
		return fmt.Errorf("%w: %s", err, strings.ReplaceAll(text, "\n", "; "))
	}
	return err
}

// Remove removes a group. One that is gone already is no error.
func (r *Root) Remove(path string) error {
	if err := r.rmdir(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r.explained(err)
	}
	return nil
}

// RemoveUnused removes a group unless there are tasks in it.
func (r *Root) RemoveUnused(path string) error {
	tasks, err := os.ReadFile(filepath.Join(path, "tasks"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case strings.TrimSpace(string(tasks)) != "":
		return nil
	}
	return r.Remove(path)
}
