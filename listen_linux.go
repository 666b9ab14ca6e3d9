package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

var errNegativeFds = errors.New("--preserve-fds: a number of descriptors cannot be negative")

// listenFds is how many descriptors, from 3 on, the caller passes by the protocol
// of socket activation (sd_listen_fds(3)): those of LISTEN_FDS, if LISTEN_PID says
// that they are meant for this process. Variables meant for another process, one
// that the runtime happens to descend from, are not passed on.
//
// The pid stays the runtime's own when it re-executes itself, and Go has marked
// none of the descriptors close-on-exec: it did not open them.
func listenFds() (int, error) {
	text, set := os.LookupEnv("LISTEN_FDS")
	if !set || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("LISTEN_FDS=%s: not a number of descriptors", text)
	}
	return n, nil
}

// passFds settles which of the caller's descriptors the process gets: first those of
// socket activation, then as many more as preserveFds says. All must be open: behind
// a hole, every later one would have the wrong number.
//
// LISTEN_PID is 1 for the process, which is true of a container's first process in
// a pid namespace of its own. Any other process's pid is not known before it is
// born; it gets 1 all the same, as with other runtimes, and a program that
// compares LISTEN_PID with its own pid will not take the descriptors.
func (o *birthOptions) passFds() error {
	listen, err := listenFds()
	if err != nil {
		return err
	}
	if fd := missingFd(3, listen); fd >= 0 {
		return fmt.Errorf("LISTEN_FDS=%d: descriptor %d is not open", listen, fd)
	}
	if fd := missingFd(3+listen, o.preserveFds); fd >= 0 {
		return fmt.Errorf("--preserve-fds %d: descriptor %d is not open", o.preserveFds, fd)
	}
	if listen > 0 {
		o.preserveFds += listen
		o.env = append(o.env, "LISTEN_FDS="+strconv.Itoa(listen), "LISTEN_PID=1")
	}
	return nil
}

// missingFd returns the first of n descriptors from first on that the caller has
// not left open, or -1. The runtime's own are all close-on-exec.
func missingFd(first, n int) int {
	for fd := first; fd < first+n; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			return fd
		}
	}
	return -1
}
