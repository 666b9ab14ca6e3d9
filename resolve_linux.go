package main

import (
	"path"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// inRoot keeps a path resolution below the container's root: absolute symlinks
// and `..` end there, and no magic link of a procfs leads out (openat2(2)).
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// eagainTries bounds how often a resolution is tried again that met a
// concurrent rename. An attacker may keep renaming; then it fails.
const eagainTries = 128

// openInRoot opens a path of the container from init. The path is resolved once;
// everything that follows works on the descriptor.
func (b *birth) openInRoot(a *program.Assembler, fd program.Reg, file string, flags, resolve uint64) program.Call {
	how := a.OpenHow(flags|unix.O_CLOEXEC, 0, inRoot|resolve)
	return a.Call(fd, unix.SYS_OPENAT2, b.root, a.String(file), how, program.OpenHowSize).
		Note(file).Retry(eagainTries)
}

// makeInRoot opens the path with O_PATH and makes what is missing of it: the
// directories above it, and the last component as a directory or an empty file.
// A component is made in a directory that is already open, so that no symlink is
// followed while making it (CVE-2019-18837, CVE-2024-45310).
func (b *birth) makeInRoot(a *program.Assembler, fd program.Reg, file string, directory bool, resolve uint64) {
	b.makeOpen(a, fd, file, directory, 0, resolve)
}

// makeOpen is makeInRoot with more open flags.
func (b *birth) makeOpen(a *program.Assembler, fd program.Reg, file string, directory bool, flags, resolve uint64) {
	missing, done := a.NewLabel(), a.NewLabel()
	b.openInRoot(a, fd, file, unix.O_PATH|flags, resolve).On(unix.ENOENT, missing)
	a.Jump(done)
	a.Bind(missing)

	dir := a.Reg()
	b.openInRoot(a, dir, "/", unix.O_PATH|unix.O_DIRECTORY, 0)
	parts := splitPath(file)
	for i, name := range parts {
		last := i == len(parts)-1
		at := "/" + path.Join(parts[:i+1]...)
		if last && !directory {
			f := a.Reg()
			a.Call(f, unix.SYS_OPENAT, dir.Arg(), a.String(name),
				program.Const(unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC), program.Const(0o644)).Note("create " + at)
			closeFd(a, f)
		} else {
			a.Call(program.Discard, unix.SYS_MKDIRAT, dir.Arg(), a.String(name), program.Const(0o755)).Note(at).Tolerate(unix.EEXIST)
		}
		if last {
			a.Call(program.Discard, unix.SYS_CLOSE, dir.Arg())
			b.openInRoot(a, fd, at, unix.O_PATH|flags, resolve)
			break
		}
		next := a.Reg()
		b.openInRoot(a, next, at, unix.O_PATH|unix.O_DIRECTORY, 0)
		a.Call(program.Discard, unix.SYS_CLOSE, dir.Arg())
		a.Set(dir, next.Arg())
		a.Release(next)
	}
	a.Release(dir)
	a.Bind(done)
}

// splitPath returns the components of a path that is absolute or taken as such.
func splitPath(p string) []string {
	var parts []string
	p = path.Clean("/" + p)
	for p != "/" {
		dir, name := path.Split(p)
		parts = append([]string{name}, parts...)
		p = path.Clean(dir)
	}
	return parts
}

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// followDangling returns the path that a symbolic link without a target stands
// for, so that init can make it: mkdirat(2) refuses the link's name, and the
// target is taken as seen from the root. Any other path is returned as it is.
// This is a convenience, no check: init resolves what is returned inside the root.
func followDangling(root int, file string) string {
	open := func(p string, flags uint64) (int, error) {
		return unix.Openat2(root, p, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: inRoot})
	}
	for range maxLinks {
		fd, err := open(file, 0)
		if err == nil {
			unix.Close(fd)
		}
		if err != unix.ENOENT {
			return file
		}
		next, parts := "", splitPath(file)
		for i := range parts {
			prefix := "/" + path.Join(parts[:i+1]...)
			fd, err := open(prefix, unix.O_NOFOLLOW)
			if err != nil {
				return file // from here on nothing exists, or nothing can be known
			}
			target := make([]byte, unix.PathMax)
			n, err := unix.Readlinkat(fd, "", target)
			unix.Close(fd)
			if err != nil {
				continue // not a link
			}
			if exists, err := open(prefix, 0); err == nil {
				unix.Close(exists)
				continue // a link that leads somewhere
			}
			next = string(target[:n])
			if !path.IsAbs(next) {
				next = path.Join(path.Dir(prefix), next)
			}
			next = path.Join("/", next, path.Join(parts[i+1:]...))
			break
		}
		if next == "" {
			return file
		}
		file = next
	}
	return file
}
