package hooks

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// streams are the descriptors between runtime and hook.
type streams struct {
	hooks [3]int // the hook's 0, 1 and 2, all above 2
	owned []int  // those of them that were opened here
	state int    // writing end of standard input, or -1
	rest  []byte // of the state document, still to be written
	errs  int    // reading end of standard error, or -1
	tail  tail
}

// openStreams opens the hook's standard streams.
func (r Runner) openStreams(state []byte) (_ *streams, err error) {
	s := &streams{state: -1, errs: -1}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	in, err := s.pipe()
	if err != nil {
		return nil, err
	}
	s.hooks[0], s.state = s.own(in[0]), in[1]
	if s.hooks[1], err = s.output(r.Stdout); err != nil {
		return nil, err
	}
	if r.Stderr != nil {
		s.hooks[2], err = s.output(r.Stderr)
	} else {
		var out [2]int
		if out, err = s.pipe(); err == nil {
			s.hooks[2], s.errs = s.own(out[1]), out[0]
		}
	}
	if err != nil {
		return nil, err
	}
	for _, fd := range []int{s.state, s.errs} {
		if fd >= 0 {
			if err := unix.SetNonblock(fd, true); err != nil {
				return nil, os.NewSyscallError("fcntl", err)
			}
		}
	}
	// A document that fits into the pipe is there, with its end, before the hook is.
	s.rest = state
	return s, s.write()
}

// pipe is pipe2(2).
func (s *streams) pipe() (p [2]int, err error) {
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p, os.NewSyscallError("pipe2", err)
}

// own has fd closed by closeHooks.
func (s *streams) own(fd int) int {
	s.owned = append(s.owned, fd)
	return fd
}

// output is a descriptor above 2 of the file, or of /dev/null: while the program
// moves the three into place, it must not overwrite one that it still needs.
func (s *streams) output(f *os.File) (int, error) {
	if f == nil {
		fd, err := openNull()
		if err != nil {
			return -1, err
		}
		return s.own(fd), nil
	}
	fd := int(f.Fd())
	if fd > 2 {
		return fd, nil
	}
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return s.own(fd), nil
}

// openNull opens /dev/null, through a read-only mount where that can be had: the
// node is the host's, and a hook out of an image must not change its mode or owner.
// Writing to a device takes no writable mount.
func openNull() (int, error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, os.DevNull, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err == nil {
		defer unix.Close(tree)
		err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	name := os.DevNull
	if err == nil {
		name = fmt.Sprintf("/proc/self/fd/%d", tree)
	}
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	return fd, nil
}

// write gives the hook as much of the state document as fits into the pipe, and the
// end-of-file behind it. A hook that does not read is none of our business.
func (s *streams) write() error {
	for len(s.rest) > 0 {
		n, err := unix.Write(s.state, s.rest)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return nil
		case err == unix.EPIPE:
			s.rest = nil
		case err != nil:
			return os.NewSyscallError("write", err)
		default:
			s.rest = s.rest[n:]
		}
	}
	closeFd(&s.state)
	return nil
}

// read takes what the hook wrote to standard error, at most max bytes of it, and
// keeps the end.
func (s *streams) read(max int) error {
	var buf [4096]byte
	for max > 0 && s.errs >= 0 {
		n, err := unix.Read(s.errs, buf[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return nil
		case err == nil && n == 0:
			err = io.EOF
			fallthrough
		case err != nil:
			closeFd(&s.errs)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return os.NewSyscallError("read", err)
		default:
			s.tail.add(buf[:n])
			max -= n
		}
	}
	return nil
}

// closeHooks closes the hook's ends, once it has them.
func (s *streams) closeHooks() {
	for _, fd := range s.owned {
		_ = unix.Close(fd)
	}
	s.owned = nil
}

func (s *streams) close() {
	s.closeHooks()
	closeFd(&s.state)
	closeFd(&s.errs)
}

// closeFd closes a descriptor that may be closed already.
func closeFd(fd *int) {
	if *fd >= 0 {
		_ = unix.Close(*fd)
		*fd = -1
	}
}
