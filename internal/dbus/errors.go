package dbus

import (
	"errors"
	"fmt"
)

// ErrDeadline means that the other side did not answer in time.
var ErrDeadline = errors.New("no answer in time")

// errClosed is the end of the connection where an answer was due.
var errClosed = errors.New("the connection was closed")

// An Error is the answer of a method that failed.
type Error struct {
	// Name is such as org.freedesktop.DBus.Error.AccessDenied.
	Name string
	// Text is for people; it may be empty.
	Text string
}

// Error gives the text, and the name where that is all there is.
func (e *Error) Error() string {
	if e.Text == "" {
		return e.Name
	}
	return fmt.Sprintf("%s (%s)", e.Text, e.Name)
}

// Is tells whether an error is the D-Bus error of that name.
func Is(err error, name string) bool {
	var e *Error
	return errors.As(err, &e) && e.Name == name
}
