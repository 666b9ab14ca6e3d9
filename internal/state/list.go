package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// List returns the records of all containers, sorted by ID, and an error for
// every entry that cannot be used. Files and hidden directories that hold no
// record are none of ours. A root that does not exist is empty.
func (s *Store) List() (records []*Record, bad []error, err error) {
	names, err := s.names()
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		dir, err := s.Load(name)
		switch {
		case err == nil:
			records = append(records, dir.Record)
			dir.Close()
		case errors.Is(err, ErrNotExist):
		case !s.claims(name):
		default:
			bad = append(bad, err)
		}
	}
	return records, bad, nil
}

// IDs returns the IDs of all entries, sorted, also of those that [Store.List] cannot
// use. A root that does not exist is empty.
func (s *Store) IDs() ([]string, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	ids := slices.DeleteFunc(names, func(name string) bool { return ValidID(name) != nil || !s.claims(name) })
	slices.Sort(ids)
	return ids, nil
}

// names lists the root.
func (s *Store) names() ([]string, error) {
	fd, err := s.openRootAs(unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	names, err := readNames(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.root, err)
	}
	return names, nil
}

// claims tells whether something in the root that is no container looks as if
// it should be one: a directory, and if its name begins with a dot (which that
// of a container may) one with a state.json.
func (s *Store) claims(name string) bool {
	path := filepath.Join(s.root, name)
	if fi, err := os.Lstat(path); err != nil || !fi.IsDir() {
		return false
	}
	if name[0] != '.' {
		return true
	}
	_, err := os.Lstat(filepath.Join(path, stateFile))
	return err == nil && !isHidden(name)
}

// Sweep removes the hidden directories that killed runtimes have left behind,
// recognised by their free lock. They hinder nobody, so this is left to commands
// that have time (delete), and create does not list the root for it. The first
// failure is returned, after trying all.
func (s *Store) Sweep() error {
	names, err := s.names()
	if err != nil || !slices.ContainsFunc(names, isHidden) {
		return err
	}
	root, err := s.openRoot()
	if err != nil {
		return err
	}
	defer unix.Close(root)
	var first error
	for _, name := range names {
		if !isHidden(name) {
			continue
		}
		if err := sweep(root, name); err != nil && first == nil {
			first = fmt.Errorf("%s: %w", filepath.Join(s.root, name), err)
		}
	}
	return first
}

func sweep(root int, name string) error {
	fd, err := openDir(root, name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	} else if err != nil {
		return err
	}
	defer unix.Close(fd)
	if trustEntry(fd, name) != nil {
		return nil // not this user's to remove
	}
	if err := flock(fd, 0); errors.Is(err, unix.EWOULDBLOCK) {
		return nil // in use
	} else if err != nil {
		return err
	}
	// Its creator may have given it its real name just now, and be done.
	if same, err := sameDir(root, name, fd); err != nil || !same {
		return err
	}
	return removeHidden(root, name, fd)
}

// removeHidden removes a hidden directory whose lock is held.
func removeHidden(root int, name string, fd int) error {
	if err := removeTree(fd); err != nil {
		return err
	}
	if err := unix.Unlinkat(root, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "unlinkat", Path: name, Err: err}
	}
	return nil
}
