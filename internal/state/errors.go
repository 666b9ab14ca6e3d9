package state

import (
	"errors"
	"fmt"
	"io/fs"
)

// What the callers branch on, by errors.Is.
var (
	// ErrNotExist means that there is no such container. An error that wraps
	// it wraps [fs.ErrNotExist] as well.
	ErrNotExist = errors.New("container does not exist")
	// ErrExist means that the ID is taken.
	ErrExist = errors.New("container with given ID already exists")
	// ErrBusy means that another command holds the lock.
	ErrBusy = errors.New("container is busy")
	// ErrBroken means that the entry exists, but its state.json is missing or
	// tells nothing. Only [Store.LockUnread] and [Dir.Remove] help.
	ErrBroken = errors.New("container state is unreadable")
)

// entryError is a class of the above with a text that names the container.
type entryError struct {
	text  string
	class []error
}

// Error names the container.
func (e *entryError) Error() string { return e.text }

// Unwrap returns the classes, and the cause if there is one.
func (e *entryError) Unwrap() []error { return e.class }

func notExist(id string) error {
	return &entryError{fmt.Sprintf("container does not exist: %q", id), []error{ErrNotExist, fs.ErrNotExist}}
}

func exist(id string) error {
	return &entryError{fmt.Sprintf("container with given ID already exists: %q", id), []error{ErrExist, fs.ErrExist}}
}

func busy(id string) error {
	return &entryError{fmt.Sprintf("container %q is busy: another command holds its lock", id), []error{ErrBusy}}
}

// broken hides the cause from errors.Is: a missing state.json must not be taken
// for a missing container.
func broken(id, file string, cause error) error {
	return &entryError{fmt.Sprintf("container %q: %s: %v", id, file, cause), []error{ErrBroken}}
}
