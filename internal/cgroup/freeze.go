package cgroup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// freezeLimit bounds the wait for processes to stop. One that sleeps in the
// kernel without a way to be interrupted cannot be frozen.
const freezeLimit = 10 * time.Second

var errFreeze = errors.New("not all processes could be frozen")

// Freeze stops every process of the cgroup and returns when all stand still.
// If they do not within ten seconds, they run again and an error says so.
//
// The version 2 freezer (kernel 5.2) is taken where there is one, on a hybrid
// host too: unlike that of version 1 it lets a frozen process be killed.
func (c *Cgroup) Freeze() error {
	if u := c.unified(); u != nil {
		return u.freezeV2()
	}
	if f := c.v1("freezer"); f != nil {
		return f.freezeV1()
	}
	return fmt.Errorf("cgroup controller freezer: %w", ErrNoHierarchy)
}

// Thaw lets the processes run again. It is no error if they do.
func (c *Cgroup) Thaw() error {
	var errs []error
	if u := c.unified(); u != nil {
		errs = append(errs, u.set("cgroup.freeze", "0"))
	}
	// On a hybrid host somebody else may have used the other freezer.
	if f := c.v1("freezer"); f != nil {
		errs = append(errs, f.set("freezer.state", "THAWED"))
	}
	return errors.Join(errs...)
}

// Frozen tells whether the cgroup itself was told to freeze; one that only
// stands still because an ancestor is frozen is not. A missing cgroup is not.
func (c *Cgroup) Frozen() (bool, error) {
	for _, f := range []struct {
		dir  *openDir
		file string
	}{{c.unified(), "cgroup.freeze"}, {c.v1("freezer"), "freezer.self_freezing"}} {
		if f.dir == nil {
			continue
		}
		text, err := readAt(f.dir.fd, f.file)
		if err == unix.ENOENT || err == unix.ENODEV {
			continue
		}
		if err != nil {
			return false, pathError("read", f.dir.Path+"/"+f.file, err)
		}
		if strings.TrimSpace(text) == "1" {
			return true, nil
		}
	}
	return false, nil
}

// stopped tells whether processes in the directory stand still or are about
// to, for whatever reason.
func (d *openDir) stopped() (bool, error) {
	file := "freezer.state"
	if d.Hierarchy.Unified {
		file = "cgroup.events"
	}
	text, err := readAt(d.fd, file)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, pathError("read", d.Path+"/"+file, err)
	}
	if d.Hierarchy.Unified {
		return keyed(text, "frozen") == 1, nil
	}
	return strings.TrimSpace(text) != "THAWED", nil
}

func (d *openDir) set(file, value string) error {
	err := writeAt(d.fd, file, value)
	if err == nil {
		return nil
	}
	return &WriteError{Write{Unified: d.Hierarchy.Unified, File: file, Value: value}, d.Path + "/" + file, err}
}

func (d *openDir) freezeV2() error {
	// Opened before the write, so that no event is missed.
	fd, err := openAt(d.fd, "cgroup.events", unix.O_RDONLY)
	if err != nil {
		return pathError("openat2", d.Path+"/cgroup.events", err)
	}
	defer unix.Close(fd)
	if err := d.set("cgroup.freeze", "1"); err != nil {
		return err
	}
	for end := time.Now().Add(freezeLimit); ; {
		var text string
		if _, err = unix.Seek(fd, 0, 0); err == nil {
			text, err = readAll(fd)
		}
		if err != nil {
			err = pathError("read", d.Path+"/cgroup.events", err)
			break
		}
		if keyed(text, "frozen") == 1 {
			return nil
		}
		left := time.Until(end)
		if left <= 0 {
			err = fmt.Errorf("%s: %w within %v", d.Path, errFreeze, freezeLimit)
			break
		}
		// A change of the file wakes a poll for POLLPRI (cgroups(7)).
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, int(left.Milliseconds())+1)
	}
	return errors.Join(err, d.set("cgroup.freeze", "0"))
}

// freezeV1 asks again and again: the version 1 freezer does not catch a
// process that is forked while it walks the list, and stays in FREEZING until
// the next write. A pause with everything thawed now and then lets a process
// go on that waits for one that is frozen already.
func (d *openDir) freezeV1() error {
	var err error
	for try, end := 0, time.Now().Add(freezeLimit); ; try++ {
		if err = d.set("freezer.state", "FROZEN"); err != nil {
			break
		}
		var text string
		if text, err = readAt(d.fd, "freezer.state"); err != nil {
			err = pathError("read", d.Path+"/freezer.state", err)
			break
		}
		if strings.TrimSpace(text) == "FROZEN" {
			return nil
		}
		if time.Now().After(end) {
			err = fmt.Errorf("%s: %w within %v", d.Path, errFreeze, freezeLimit)
			break
		}
		switch {
		case try%50 == 49:
			if err := d.set("freezer.state", "THAWED"); err != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		case try > 10:
			time.Sleep(100 * time.Microsecond)
		}
	}
	// Half frozen is worse than running.
	return errors.Join(err, d.set("freezer.state", "THAWED"))
}
