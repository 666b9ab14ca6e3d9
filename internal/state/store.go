package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The names within an entry.
const (
	stateFile  = "state.json"
	stateTemp  = "state.json.new"
	configFile = "config.json"
	// SocketName is where a created container waits for start.
	SocketName = "start.sock"
)

// Store is a root directory full of containers. It holds no resources.
type Store struct {
	root string
	err  error // why there is no root
	// sticky is for a root that a cleaner of its parent would empty.
	sticky bool
}

// Open returns the store at root, an absolute path. It does not touch the disk:
// the directory is made by the first [Store.Create].
func Open(root string) *Store { return &Store{root: root} }

// OpenRuntime is [Open] for a root in $XDG_RUNTIME_DIR: it is made sticky, so that cleaners
// leave it alone (XDG Base Directory Specification).
func OpenRuntime(root string) *Store { return &Store{root: root, sticky: true} }

// Unavailable returns a store without a root: whatever needs one fails with err.
func Unavailable(err error) *Store { return &Store{err: err} }

// Path returns the directory that the entry of an ID has, or would have.
func (s *Store) Path(id string) string { return filepath.Join(s.root, id) }

// Create makes the entry of a new container, which appears complete and locked
// by the returned Dir, or not at all. config is the configuration to keep a
// copy of. Errors wrap [ErrExist] if the ID is taken.
func (s *Store) Create(rec *Record, config []byte) (*Dir, error) {
	if err := ValidID(rec.ID); err != nil {
		return nil, err
	}
	root, err := s.makeRoot()
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)

	temp, fd, err := newHidden(root)
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", rec.ID, err)
	}
	err = writeFile(fd, configFile, config, false)
	if err == nil {
		err = writeFile(fd, stateFile, rec.render(), true)
	}
	if err == nil {
		err = rename(root, temp, rec.ID)
	}
	if err != nil {
		// In case of failure here the next Sweep finds it.
		_ = removeTree(fd)
		_ = unix.Unlinkat(root, temp, unix.AT_REMOVEDIR)
		unix.Close(fd)
		if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) {
			return nil, exist(rec.ID)
		}
		return nil, fmt.Errorf("container %q: %w", rec.ID, err)
	}
	return &Dir{Record: rec, Path: filepath.Join(s.root, rec.ID), Fd: fd, store: s, name: rec.ID, locked: true}, nil
}

// rename gives the hidden directory its name, if that is free.
func rename(root int, temp, id string) error {
	err := unix.Renameat2(root, temp, root, id, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) {
		// Some network and FUSE file systems know no flags. Plain rename(2)
		// replaces an empty directory, but an entry is never empty.
		err = unix.Renameat(root, temp, root, id)
	}
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: temp, New: id, Err: err}
	}
	return nil
}

// newHidden makes and locks a hidden directory.
func newHidden(root int) (name string, fd int, err error) {
	// A Sweep that comes between mkdirat and flock takes the directory for an
	// orphan: then there is another name to try.
	for range 16 {
		if name, err = hiddenName(); err != nil {
			return "", -1, err
		}
		if fd, err = newLocked(root, name); err == nil {
			return name, fd, nil
		}
		if !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
	}
	return "", -1, err
}

func newLocked(root int, name string) (int, error) {
	if err := unix.Mkdirat(root, name, 0o711); err != nil {
		return -1, &os.PathError{Op: "mkdirat", Path: name, Err: err}
	}
	fd, err := openDir(root, name)
	if err != nil {
		unix.Unlinkat(root, name, unix.AT_REMOVEDIR)
		return -1, err
	}
	if err = flock(fd, 0); err == nil {
		var same bool
		if same, err = sameDir(root, name, fd); err == nil && !same {
			err = unix.ENOENT
		}
	}
	if err == nil {
		// Whatever the umask is: container processes with a user id of their
		// own pass through here on their way to the socket.
		err = unix.Fchmod(fd, 0o711)
	}
	if err != nil {
		unix.Unlinkat(root, name, unix.AT_REMOVEDIR)
		unix.Close(fd)
		return -1, &os.PathError{Op: "flock", Path: name, Err: err}
	}
	return fd, nil
}

// makeRoot opens the root, and makes it if it is missing.
func (s *Store) makeRoot() (int, error) {
	fd, err := s.openRoot()
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	// Only the root itself is private: others may use its parents.
	if err := os.MkdirAll(filepath.Dir(s.root), 0o755); err != nil {
		return -1, err
	}
	mode := os.FileMode(0o700)
	if s.sticky {
		mode |= os.ModeSticky
	}
	if err := os.Mkdir(s.root, mode); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	return s.openRoot()
}

// openRoot opens the root for looking up names, following links: it is the
// caller's choice. Whose it must be, [trustRoot] says.
func (s *Store) openRoot() (int, error) { return s.openRootAs(unix.O_PATH) }

func (s *Store) openRootAs(flag int) (int, error) {
	if s.err != nil {
		return -1, s.err
	}
	fd, err := unix.Open(s.root, flag|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: s.root, Err: err}
	}
	if err := trustRoot(fd, s.root); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openEntry opens the root and the directory of a container. Close both.
func (s *Store) openEntry(id string) (root, fd int, err error) {
	if err := ValidID(id); err != nil {
		return -1, -1, err
	}
	root, err = s.openRoot()
	if errors.Is(err, unix.ENOENT) {
		return -1, -1, notExist(id)
	} else if err != nil {
		return -1, -1, err
	}
	fd, err = openDir(root, id)
	if err == nil {
		if err = trustEntry(fd, s.Path(id)); err == nil {
			return root, fd, nil
		}
		unix.Close(fd)
		err = fmt.Errorf("container %q: %w", id, err)
	} else if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENAMETOOLONG) {
		err = notExist(id)
	}
	unix.Close(root)
	return -1, -1, err
}

// Load reads the entry of a container without a lock: the record is complete,
// but may be old by the time it is looked at. The Dir is good for reading only;
// close it. Errors wrap [ErrNotExist] or [ErrBroken].
func (s *Store) Load(id string) (*Dir, error) {
	for {
		root, fd, err := s.openEntry(id)
		if err != nil {
			return nil, err
		}
		dir := &Dir{Path: filepath.Join(s.root, id), Fd: fd, store: s, name: id}
		err = dir.reload()
		if err == nil {
			unix.Close(root)
			return dir, nil
		}
		// Was it taken away under our hands? Then see what there is now.
		same, serr := sameDir(root, id, fd)
		unix.Close(root)
		unix.Close(fd)
		if same || serr != nil {
			return nil, err
		}
	}
}

// Lock takes the lock of a container and reads its entry, which then stays as
// it is until [Dir.Close]. It waits at most timeout for another command to
// finish; 0 tries once, a negative timeout waits for ever. Errors wrap
// [ErrBusy], [ErrNotExist] (also if the container was deleted meanwhile), or
// [ErrBroken].
func (s *Store) Lock(id string, timeout time.Duration) (*Dir, error) {
	dir, err := s.LockUnread(id, timeout)
	if err != nil {
		return nil, err
	}
	if err := dir.reload(); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// LockUnread is [Store.Lock] without reading the record, which is nil: for the
// forced removal of an entry that is [ErrBroken].
func (s *Store) LockUnread(id string, timeout time.Duration) (*Dir, error) {
	root, fd, err := s.openEntry(id)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	same := false
	if err = flock(fd, timeout); err == nil {
		// Whoever held the lock may have been delete.
		same, err = sameDir(root, id, fd)
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = busy(id)
	case err != nil:
		err = fmt.Errorf("container %q: lock: %w", id, err)
	case !same:
		err = notExist(id)
	default:
		return &Dir{Path: filepath.Join(s.root, id), Fd: fd, store: s, name: id, locked: true}, nil
	}
	unix.Close(fd)
	return nil, err
}

// flock takes the exclusive lock, or returns EWOULDBLOCK after timeout.
func flock(fd int, timeout time.Duration) error {
	var end time.Time
	if timeout > 0 {
		end = time.Now().Add(timeout)
	}
	// flock(2) without LOCK_NB knows no timeout but a signal. Most commands
	// hold the lock for a few milliseconds.
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || timeout == 0 {
			return os.NewSyscallError("flock", err)
		}
		if timeout > 0 {
			left := time.Until(end)
			if left <= 0 {
				return os.NewSyscallError("flock", err)
			}
			pause = min(pause, left)
		}
		time.Sleep(pause)
	}
}
