package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/entry"
)

// a way makes an executable handle (close-on-exec) on a sealed copy of [self].
type way struct {
	name string
	open func() (fd int, err error)
}

// ways in order of preference: the first that the kernel permits is taken.
// They are a function and not a variable so that nothing is set up in
// processes that never need them.
func ways() []way {
	return []way{
		{"mount", func() (int, error) {
			fd, tree, err := openMount(unix.O_PATH)
			if err == nil {
				unix.Close(tree)
			}
			return fd, err
		}},
		{"memfd", openMemfd},
	}
}

// Reexec replaces this process with one that executes a sealed copy of the
// same binary. It returns only on failure, and then nothing has changed. env
// gets [GuardEnv] appended, so the caller must have called [Ensure], or have
// looked for that variable itself, before.
//
// All descriptors without close-on-exec, the process id, the parent and the
// working directory stay; what the Go runtime did to the soft limit of open
// files is undone by [syscall.Exec].
func Reexec(argv, env []string) error {
	return reexec(ways(), argv, env)
}

func reexec(ways []way, argv, env []string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	entry.Restore() // the process to come inherits the thread's
	env = append(env[:len(env):len(env)], GuardEnv+"=1")
	var errs []error
	for _, w := range ways {
		fd, err := w.open()
		if err == nil {
			// By name and not by execveat(2), because only syscall.Exec stops
			// the Go runtime from making threads meanwhile and restores
			// RLIMIT_NOFILE. The name is a magic link: it is not walked.
			path := "/proc/self/fd/" + strconv.Itoa(fd)
			err = &os.PathError{Op: "execve", Path: path, Err: syscall.Exec(path, argv, env)}
			unix.Close(fd)
		}
		errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
	}
	return fmt.Errorf("execute a sealed copy of %s: %w", self, joinLine(errs))
}

// joined is a list of errors on one line, unlike that of errors.Join.
type joined []error

func joinLine(errs []error) error { return joined(errs) }

// Error separates the errors by semicolons.
func (j joined) Error() string {
	s := ""
	for i, err := range j {
		if i > 0 {
			s += "; "
		}
		s += err.Error()
	}
	return s
}

// Unwrap lets errors.Is see every one.
func (j joined) Unwrap() []error { return j }

// openMount opens the binary, with O_PATH or O_RDONLY, through a read-only clone
// of the mount that it lies on, which is attached nowhere. Once the clone's own descriptor,
// tree, is closed everywhere, the clone is dissolved. The process to come and whoever opens its
// /proc/PID/exe go on holding the mount, but it belongs to no namespace any
// more, and the kernel refuses to change, clone, move or bind such a mount
// (is_mounted and check_mnt in fs/namespace.c). Whoever closes it last waits for a grace
// period of RCU.
//
// The root of the clone is the directory and not the binary itself: with the
// root of a mount in hand, CAP_SYS_ADMIN is enough for fspick(2), and so for
// reconfiguring the host's file system below it.
func openMount(how int) (fd, tree int, err error) {
	path, err := os.Readlink(self)
	if err != nil {
		return -1, -1, err
	}
	dir, name := filepath.Split(path)
	tree, err = unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, -1, &os.PathError{Op: "open_tree", Path: dir, Err: err}
	}
	if fd, err = openIn(tree, dir, name, how); err != nil {
		unix.Close(tree)
		return -1, -1, err
	}
	return fd, tree, nil
}

// openIn makes the clone of the binary's directory read-only and opens the binary in it.
func openIn(tree int, dir, name string, how int) (int, error) {
	// No nosuid: it could do nothing here but stop a SELinux transition.
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return -1, &os.PathError{Op: "mount_setattr", Path: dir, Err: err}
	}
	path := dir + name
	fd, err := unix.Openat(tree, name, how|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "openat", Path: path, Err: err}
	}
	if err := sameAsSelf(fd, path); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// sameAsSelf makes sure that a descriptor found by name is on the file that
// this process executes, and not on one that an upgrade put in its place.
func sameAsSelf(fd int, path string) error {
	var want, got unix.Stat_t
	if err := unix.Stat(self, &want); err != nil {
		return &os.PathError{Op: "stat", Path: self, Err: err}
	}
	if err := unix.Fstat(fd, &got); err != nil {
		return &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	if got.Dev != want.Dev || got.Ino != want.Ino {
		return fmt.Errorf("%s is not the running binary any more", path)
	}
	return nil
}

// mfdExec asks for an executable memfd where vm.memfd_noexec makes them
// unexecutable unless told (Linux 6.3); older kernels know no such flag.
const mfdExec = 0x10

// openMemfd copies the binary to memory and seals the copy. It needs no
// privilege, and costs the copy: time, and memory charged to our cgroup until
// the last process that executes it is gone.
func openMemfd() (_ int, err error) {
	src, err := unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: self, Err: err}
	}
	defer unix.Close(src)
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return -1, &os.PathError{Op: "fstat", Path: self, Err: err}
	}

	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("oci-mini", flags|mfdExec)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("oci-mini", flags)
	}
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	// sendfile and not copy_file_range, which refuses to cross file systems
	// of different types (Linux 5.19).
	for left := st.Size; left > 0; {
		n, err := unix.Sendfile(fd, src, nil, int(min(left, 1<<30)))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return -1, &os.PathError{Op: "sendfile", Path: self, Err: err}
		case n == 0:
			return -1, &os.PathError{Op: "sendfile", Path: self, Err: fmt.Errorf("%d bytes missing at the end", left)}
		}
		left -= int64(n)
	}
	// 0511 as an installed binary of which nobody needs to read the copy.
	if err := unix.Fchmod(fd, 0o511); err != nil {
		return -1, os.NewSyscallError("fchmod", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, writeSeals); err != nil {
		return -1, os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
	}
	return fd, nil
}
