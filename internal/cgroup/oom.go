package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// An OOMWatch notices that the out-of-memory killer struck in a cgroup.
type OOMWatch struct {
	fd     int
	events int16
	file   string
	// killed is the counter of version 2 when it was last looked at. Version 1
	// counts events in the eventfd itself.
	killed  uint64
	unified bool
}

// WatchOOM begins to watch. Without a memory controller the error wraps
// [ErrNoHierarchy]. The Cgroup may be closed meanwhile.
//
// On version 1 the kernel adds one to an eventfd (memory.oom_control, in
// Documentation/admin-guide/cgroup-v1/memory.rst); on version 2 a poll for
// POLLPRI on memory.events wakes up, and the oom_kill in it has grown.
func (c *Cgroup) WatchOOM() (*OOMWatch, error) {
	if d := c.v1("memory"); d != nil {
		return watchV1(d)
	}
	d := c.unified()
	if d == nil {
		return nil, fmt.Errorf("cgroup controller memory: %w", ErrNoHierarchy)
	}
	const file = "memory.events"
	fd, err := openAt(d.fd, file, unix.O_RDONLY)
	if err == unix.ENOENT {
		err = fmt.Errorf("cgroup controller memory: %w", ErrNoHierarchy)
	}
	if err != nil {
		return nil, pathError("openat2", d.Path+"/"+file, err)
	}
	w := &OOMWatch{fd: fd, events: unix.POLLPRI, file: d.Path + "/" + file, unified: true}
	if _, err := w.Struck(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func watchV1(d *openDir) (*OOMWatch, error) {
	const file, control = "memory.oom_control", "cgroup.event_control"
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd2", err)
	}
	w := &OOMWatch{fd: fd, events: unix.POLLIN, file: d.Path + "/" + file}
	of, err := openAt(d.fd, file, unix.O_RDONLY)
	if err != nil {
		w.Close()
		return nil, pathError("openat2", w.file, err)
	}
	// The kernel needs the file during the write only.
	defer unix.Close(of)
	value := fmt.Sprintf("%d %d", fd, of)
	if err := writeAt(d.fd, control, value); err != nil {
		w.Close()
		return nil, &WriteError{Write{Controller: "memory", File: control, Value: value}, d.Path + "/" + control, err}
	}
	return w, nil
}

// Poll is what to give to poll(2). When it returns events, call [OOMWatch.Struck].
func (w *OOMWatch) Poll() unix.PollFd {
	return unix.PollFd{Fd: int32(w.fd), Events: w.events}
}

// Struck tells whether the killer has struck since the last call. The error
// wraps [os.ErrNotExist] when the cgroup is gone: then Poll returns events for
// ever, and must not be waited for any more.
func (w *OOMWatch) Struck() (bool, error) {
	if w.unified {
		return w.struckV2()
	}
	var buf [8]byte
	n, err := readOnce(w.fd, buf[:])
	if err == unix.EAGAIN {
		return false, nil
	}
	if err != nil || n != len(buf) {
		return false, pathError("read", "eventfd", err)
	}
	count := binary.NativeEndian.Uint64(buf[:])
	// The removal of the cgroup adds one as well.
	if _, err := os.Lstat(w.file); errors.Is(err, os.ErrNotExist) {
		return count > 1, err
	}
	return true, nil
}

func (w *OOMWatch) struckV2() (bool, error) {
	// Reading from the start also makes the next poll wait for a change.
	_, err := unix.Seek(w.fd, 0, 0)
	var text string
	if err == nil {
		text, err = readAll(w.fd)
	}
	if err == unix.ENODEV {
		err = os.ErrNotExist
	}
	if err != nil {
		return false, pathError("read", w.file, err)
	}
	n := keyed(text, "oom_kill")
	struck := n > w.killed
	w.killed = n
	return struck, nil
}

// Close ends the watch.
func (w *OOMWatch) Close() {
	unix.Close(w.fd)
	w.fd = -1
}
