package state

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Dir is the open entry of one container.
type Dir struct {
	// Record is the content of state.json; change it and call [Dir.Save].
	Record *Record
	// Path is the directory, for messages and for the socket's address.
	Path string
	// Fd is the open directory, which carries the lock; close-on-exec.
	Fd int

	store  *Store
	name   string
	locked bool
}

var errUnlocked = errors.New("the lock is not held")

// reload reads state.json.
func (d *Dir) reload() error {
	data, err := readFile(d.Fd, stateFile)
	var rec *Record
	if err == nil {
		rec, err = parse(data, d.name)
	}
	if err != nil {
		var perr *os.PathError
		if errors.As(err, &perr) {
			err = perr.Err
		}
		return broken(d.name, d.Path+"/"+stateFile, err)
	}
	d.Record = rec
	return nil
}

// Save replaces state.json by the Record. Whenever it is interrupted, readers
// find the old one or the new one. The lock must be held.
func (d *Dir) Save() error {
	if err := d.replace(d.Record.render()); err != nil {
		return fmt.Errorf("container %q: save state: %w", d.name, err)
	}
	return nil
}

func (d *Dir) replace(data []byte) error {
	if !d.locked {
		return errUnlocked
	}
	err := writeFile(d.Fd, stateTemp, data, true)
	if errors.Is(err, unix.EEXIST) {
		// Left by a runtime that was killed here; the lock makes it ours.
		if err := unix.Unlinkat(d.Fd, stateTemp, 0); err != nil {
			return &os.PathError{Op: "unlinkat", Path: stateTemp, Err: err}
		}
		err = writeFile(d.Fd, stateTemp, data, true)
	}
	if err != nil {
		return err
	}
	if err := unix.Renameat(d.Fd, stateTemp, d.Fd, stateFile); err != nil {
		unix.Unlinkat(d.Fd, stateTemp, 0)
		return &os.LinkError{Op: "renameat", Old: stateTemp, New: stateFile, Err: err}
	}
	return nil
}

// Config returns the configuration as it was given to [Store.Create]. The error wraps
// [ErrNotExist] if the container was deleted meanwhile.
func (d *Dir) Config() ([]byte, error) {
	data, err := readFile(d.Fd, configFile)
	if errors.Is(err, unix.ENOENT) && d.deleted() {
		return nil, notExist(d.name)
	}
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", d.name, err)
	}
	return data, nil
}

// deleted tells whether the name is no longer that of this directory.
func (d *Dir) deleted() bool {
	root, err := d.store.openRoot()
	if err != nil {
		return errors.Is(err, unix.ENOENT)
	}
	defer unix.Close(root)
	same, err := sameDir(root, d.name, d.Fd)
	return err == nil && !same
}

// Remove deletes the entry with all that is in it. The ID is free as soon as
// the directory was renamed to a hidden name, which is the first thing done; if
// this process is killed after that, the rest is left to [Store.Sweep]. The lock
// must be held, and is until [Dir.Close]; commands that wait for it find that
// the container does not exist. An entry that is gone already is no error.
func (d *Dir) Remove() error {
	if err := d.remove(); err != nil {
		return fmt.Errorf("container %q: remove state: %w", d.name, err)
	}
	return nil
}

func (d *Dir) remove() error {
	if !d.locked {
		return errUnlocked
	}
	root, err := d.store.openRoot()
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	defer unix.Close(root)
	// Should anybody have deleted the directory in spite of the lock, then a
	// new container may have the name.
	if same, err := sameDir(root, d.name, d.Fd); err != nil || !same {
		return err
	}
	hidden, err := hiddenName()
	if err != nil {
		return err
	}
	if err := unix.Renameat(root, d.name, root, hidden); err != nil {
		return &os.LinkError{Op: "renameat", Old: d.name, New: hidden, Err: err}
	}
	if err := removeHidden(root, hidden, d.Fd); err != nil {
		return fmt.Errorf("%s: %w", hidden, err)
	}
	return nil
}

// Close releases the lock, if it is held, and the descriptor. It unlocks
// explicitly, because a forked child may still have a copy of the descriptor.
// A closed Dir may be closed again.
func (d *Dir) Close() error {
	if d.Fd < 0 {
		return nil
	}
	if d.locked {
		_ = unix.Flock(d.Fd, unix.LOCK_UN)
	}
	err := unix.Close(d.Fd)
	d.Fd, d.locked = -1, false
	return os.NewSyscallError("close", err)
}
