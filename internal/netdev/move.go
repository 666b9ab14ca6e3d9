package netdev

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Route is the way between two network namespaces.
type Route struct {
	from, to     *Socket
	fromNS, toNS int
}

// Between makes the Route from the namespace of one Socket to that of another, which are
// then its own. Close it.
func Between(from, to *Socket) (*Route, error) {
	r := &Route{from: from, to: to, fromNS: -1, toNS: -1}
	var err error
	if r.fromNS, err = from.Namespace(); err == nil {
		r.toNS, err = to.Namespace()
	}
	var a, b unix.Stat_t
	if err == nil {
		err = errors.Join(unix.Fstat(r.fromNS, &a), unix.Fstat(r.toNS, &b))
	}
	if err == nil && a.Dev == b.Dev && a.Ino == b.Ino {
		err = errors.New("the network namespace is the one that the devices are in already")
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close gives the namespaces up. No device can be moved back by it any more.
func (r *Route) Close() {
	for _, ns := range []int{r.fromNS, r.toNS} {
		if ns >= 0 {
			unix.Close(ns)
		}
	}
	r.from.Close()
	r.to.Close()
}

// Moved is a device that has been moved.
type Moved struct {
	// Name is what it is called now.
	Name string

	route     *Route
	was       Link
	index     int
	addresses []Address
}

// transient is what a device is called between two names. It cannot match the pattern
// that gives it the second one, which ends in digits.
const transient = "oci-mini_move"

// Move moves the device of a name, renames it, gives it its addresses back and sets it up.
// The new name may hold one %d, for the first number that is free. The name may not be
// taken: the device stays where it is then. If the error comes later, what is returned
// with it can be moved back.
func (r *Route) Move(name, newName string) (*Moved, error) {
	was, err := r.from.ByName(name)
	if errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("there is no network device %s in the runtime's network namespace: %w", name, unix.ENODEV)
	}
	if err != nil {
		return nil, err
	}
	pattern := strings.Contains(newName, "%")
	if !pattern {
		// The kernel would refuse it after the move, and leave the device there.
		switch _, err := r.to.ByName(newName); {
		case err == nil:
			return nil, fmt.Errorf("the container has a network device %s already: %w", newName, unix.EEXIST)
		case !errors.Is(err, unix.ENODEV):
			return nil, err
		}
	}
	addresses, err := r.from.Addresses(was.Index)
	if err != nil {
		return nil, err
	}
	index, err := r.to.freeIndex(was.Index)
	if err != nil {
		return nil, err
	}
	m := &Moved{Name: newName, route: r, was: was, index: index, addresses: addresses}
	if pattern {
		m.Name = transient
	}
	if err := r.from.send(was.Index, r.toNS, m.Name, index); err != nil {
		// The kernel moves and then renames: it may have failed between the two.
		if _, gone := r.from.ByIndex(was.Index); errors.Is(gone, unix.ENODEV) {
			return m, err
		}
		return nil, err
	}
	if pattern {
		if err := r.to.Rename(index, newName); err != nil {
			return m, err
		}
		now, err := r.to.ByIndex(index)
		if err != nil {
			return m, err
		}
		m.Name = now.Name
	}
	for _, a := range addresses {
		if err := r.to.Add(index, a, was.Name, m.Name); err != nil {
			return m, err
		}
	}
	return m, r.to.Up(index)
}

// Back moves the device back under its old name, gives it its addresses and sets it up if
// it was. Its routes are lost.
func (m *Moved) Back() error {
	index, err := m.route.from.freeIndex(m.was.Index)
	if err == nil {
		err = m.route.to.send(m.index, m.route.fromNS, m.was.Name, index)
	}
	if err != nil {
		return fmt.Errorf("move the network device %s back: %w", m.was.Name, err)
	}
	var faults []error
	for _, a := range m.addresses {
		faults = append(faults, m.route.from.Add(index, a, m.was.Name, m.was.Name))
	}
	if m.was.Up {
		faults = append(faults, m.route.from.Up(index))
	}
	return errors.Join(faults...)
}
