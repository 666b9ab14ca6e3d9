package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/executable"
	"github.com/oci-mini/oci-mini/internal/program"
)

// rootView is a root file system as it can be looked at once a program could not be executed
// in it: from outside, without the container's mounts, or through a process inside.
type rootView struct {
	root   string        // of the bundle
	mounts []specs.Mount // not to be seen there
	open   func() (int, error)
}

// programHint says what is wrong with the program of a process that could not be found or
// executed, or "". The step is known by its field.
func programHint(in rootView, p *specs.Process, env []string, field string, err error) string {
	var f *program.Failure
	if p == nil || len(p.Args) == 0 || !errors.As(err, &f) || f.Killed {
		return ""
	}
	name := p.Args[0]
	switch {
	case field == "/process/args" && f.Nr == unix.SYS_EXECVE:
		if f.Errno == unix.E2BIG {
			return "one argument or variable may have 128 KiB, and all together a quarter of the stack's limit, RLIMIT_STACK (execve(2))"
		}
		return in.why(name, p.Cwd, env, f.Errno)
	case field != "/process/args/0":
	case f.Errno == unix.EACCES:
		if reason := in.why(name, p.Cwd, env, f.Errno); reason != "" {
			return reason
		}
		if uid := p.User.UID; uid != 0 {
			return fmt.Sprintf("user %d, of /process/user, has to be allowed to execute it, and to enter each directory on the way", uid)
		}
	case f.Errno == unix.ENOENT && strings.Contains(name, "/"):
		return "the path is one inside the container, whose root file system is " + in.root
	case f.Errno == unix.ENOENT && len(candidates(name, env)) == 0:
		return "/process/env has no PATH with an absolute directory"
	}
	return ""
}

// why looks at the files that the program may be, and at what is wrong with the first
// that there is.
func (t rootView) why(name, cwd string, env []string, errno unix.Errno) string {
	root, err := t.open()
	if err != nil {
		return ""
	}
	defer unix.Close(root)
	var over []string // where something is mounted
	for _, m := range t.mounts {
		over = append(over, executable.Resolve(root, path.Clean("/"+m.Destination)))
	}
	mountOf := func(file string) int { // the index of the one on top
		for i := len(over) - 1; i >= 0; i-- {
			if within(file, over[i]) {
				return i
			}
		}
		return -1
	}
	covered := func(file string) bool { return mountOf(file) >= 0 }
	for _, file := range candidates(name, env) {
		if !path.IsAbs(file) {
			file = path.Join("/", cwd, file)
		}
		if i := mountOf(executable.Resolve(root, file)); i >= 0 { // it may be there that the program was found
			if errno == unix.EACCES && slices.Contains(t.mounts[i].Options, "noexec") {
				return fmt.Sprintf("/mounts/%d is noexec", i)
			}
			return ""
		}
		if reason := executable.Why(root, file, errno, covered); reason != "" {
			return reason
		}
	}
	return ""
}

// bundleView is a root file system as the bundle has it.
func bundleView(root string, mounts []specs.Mount) rootView {
	return rootView{root, mounts, func() (int, error) {
		return unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}}
}

// viewOfRoot is the root in which the process of a birth was to be executed.
func (b *birth) viewOfRoot() rootView {
	if b.joins && b.opt.openRoot != nil {
		return rootView{root: b.rootfs, open: b.opt.openRoot}
	}
	return bundleView(b.rootfs, b.spec.Mounts)
}
