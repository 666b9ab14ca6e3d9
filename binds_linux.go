package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// openSources clones the trees of bind mounts while the host's files can still
// be named. A source inside the rootfs is left to init, see leftToInit.
func (b *birth) openSources() []plan.Step {
	var steps []plan.Step
	for _, m := range b.mounts {
		if b.leavesTmpfs(m) {
			steps = append(steps, plan.Step{
				Field: m.field(), By: plan.Runtime, Words: "open what the tmpfs on " + m.dest + " starts with", Name: m.name(),
				Do: func() (func() error, error) { return nil, b.reserveTmpfs(m) },
			})
		} else if m.opt.CopyUp && m.Type == "tmpfs" {
			steps = append(steps, plan.Step{
				Field: m.field(), By: plan.Runtime, Words: "fill a tmpfs with a copy of " + m.dest, Name: m.name(),
				Do: func() (func() error, error) { return nil, b.fillTmpfs(m) },
			})
		}
		if !m.opt.Bind || m.opt.Remount {
			continue
		}
		if m.leftToInit() {
			if m.owners != nil {
				steps = append(steps, plan.Step{
					Field: m.field() + "/source", By: plan.Runtime, Words: "open the way by which " + m.Source + " comes from init", Name: m.name(),
					Shell: b.remark("a shell sends nothing"),
					Do:    func() (func() error, error) { return nil, b.reserveSource(m) },
				})
			}
			continue
		}
		source := b.tree(tree{of: m, field: m.field() + "/source", file: m.Source, recursive: m.opt.Rec, shared: b.sharesWithHost(m), optional: m.opt.CopySymlink})
		if m.opt.SrcNoFollow {
			source.flags = unix.AT_SYMLINK_NOFOLLOW
		}
		steps = append(steps, plan.Step{
			Field: source.field, By: plan.Runtime, Words: "open the bind source " + m.Source,
			Shell: b.command("test", "-e", m.Source),
			Do: func() (func() error, error) {
				return nil, b.openSource(m, source)
			},
		})
	}
	return steps
}

// leftToInit says whether the source lies inside the rootfs, where an earlier mount may
// have put it: the mounts are made in their order. A link that is to be copied is the
// image's.
func (m *mount) leftToInit() bool { return m.inRootfs != "" && !m.opt.CopySymlink }

// sharesWithHost says whether mounts made in a bind mount are to be seen on the
// host: the mount and the root both ask for it, which is how engines ask for a
// volume whose mounts go both ways.
func (b *birth) sharesWithHost(m *mount) bool {
	l := b.spec.Linux
	return l != nil && strings.HasSuffix(l.RootfsPropagation, "shared") &&
		slices.ContainsFunc(m.opt.Propagation, func(p mountopt.PropagationChange) bool { return p.Type == unix.MS_SHARED })
}

// openSource opens the source of one bind.
func (b *birth) openSource(m *mount, source *tree) error {
	if m.opt.CopySymlink {
		if target, err := os.Readlink(m.Source); err == nil {
			m.link = target
			return nil
		}
	}
	if m.inRootfs != "" {
		// Links of the image stay in the image.
		file, err := openPathBelow(b.rootfs, m.inRootfs)
		if err != nil {
			return err
		}
		defer unix.Close(file)
		source.via = fmt.Sprintf("/proc/self/fd/%d", file)
	}
	if err := b.openTree(source); err != nil {
		return err
	}
	fd := source.fd
	m.sourceFd = fd
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "fstat", Path: m.Source, Err: err}
	}
	m.isDir = st.Mode&unix.S_IFMT == unix.S_IFDIR
	if m.dest != "/proc" {
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return &os.PathError{Op: "fstatfs", Path: m.Source, Err: err}
	}
	if fs.Type != unix.PROC_SUPER_MAGIC {
		return fmt.Errorf("%s cannot be mounted on /proc: only a procfs can", m.Source)
	}
	return nil
}

// bind mounts a tree that exists already.
func (b *birth) bind(a *program.Assembler, m *mount) {
	at, tree := a.Reg(), program.Const(m.sourceFd)
	if m.link != "" {
		b.copyLink(a, at, m)
		return
	}
	if !m.leftToInit() {
		b.makeTarget(a, at, m, m.isDir)
		if !b.locks(m) {
			setFlags(a, tree, m)
		}
		setPropagation(a, tree, m)
		b.attachBind(a, tree, at, m)
		m.mount = tree
		closeFd(a, at)
		return
	}
	fd := a.Reg()
	if m.owners == nil {
		b.cloneSource(a, fd, m)
	} else {
		a.Set(fd, program.Const(m.sourceFd)) // see mapSource
	}
	setAttributes(a, fd.Arg(), m)
	// Directory or not is known only now: with a slash behind it, only a
	// directory can be opened.
	isFile, made := a.NewLabel(), a.NewLabel()
	probe := a.Reg()
	b.openInRoot(a, probe, m.inRootfs, unix.O_PATH|unix.O_DIRECTORY|m.sourceLinks(), 0).On(unix.ENOTDIR, isFile)
	a.Call(program.Discard, unix.SYS_CLOSE, probe.Arg())
	a.Release(probe)
	b.makeTarget(a, at, m, true)
	a.Jump(made)
	a.Bind(isFile)
	b.makeTarget(a, at, m, false)
	a.Bind(made)
	b.attachBind(a, fd.Arg(), at, m)
	closeFd(a, fd, at)
}

// sourceLinks is O_NOFOLLOW where a link at the source is the source.
func (m *mount) sourceLinks() uint64 {
	if m.opt.SrcNoFollow {
		return unix.O_NOFOLLOW
	}
	return 0
}

// cloneSource has init clone the tree of a source inside the rootfs.
func (b *birth) cloneSource(a *program.Assembler, tree program.Reg, m *mount) {
	src := a.Reg()
	b.openInRoot(a, src, m.inRootfs, unix.O_PATH|m.sourceLinks(), 0)
	flags := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH
	if m.opt.Rec {
		flags |= unix.AT_RECURSIVE
	}
	a.Call(tree, unix.SYS_OPEN_TREE, src.Arg(), a.String(""), program.Const(flags)).Note(m.Source)
	closeFd(a, src)
}

// makeTarget opens a bind's target, and makes it if it is missing. With
// dest-nofollow a symbolic link there is mounted on itself.
func (b *birth) makeTarget(a *program.Assembler, at program.Reg, m *mount, directory bool) {
	var flags uint64
	if m.opt.DestNoFollow {
		flags = unix.O_NOFOLLOW
	}
	b.makeOpen(a, at, m.dest, directory, flags, m.resolve())
	if !m.opt.DestNoFollow {
		b.notProc(a, at, m)
	}
}

// copyLink makes a symbolic link like the one that is the source. What is there
// already stays.
func (b *birth) copyLink(a *program.Assembler, at program.Reg, m *mount) {
	b.makeInRoot(a, at, path.Dir(m.dest), true, 0)
	a.Call(program.Discard, unix.SYS_SYMLINKAT, a.String(m.link), at.Arg(), a.String(path.Base(m.dest))).
		Note(m.dest + " -> " + m.link).Tolerate(unix.EEXIST)
	closeFd(a, at)
}

// attachBind puts a bind on its target. The kernel says EINVAL where only one of
// the two is a directory; what it means is said in its place.
func (b *birth) attachBind(a *program.Assembler, tree program.Arg, at program.Reg, m *mount) {
	refused, isFile, done := a.NewLabel(), a.NewLabel(), a.NewLabel()
	attachAt(a, tree, at).Note(m.dest).On(unix.EINVAL, refused)
	a.Jump(done)
	a.Bind(refused)
	b.openInRoot(a, at, m.dest, unix.O_PATH|unix.O_DIRECTORY, 0).On(unix.ENOTDIR, isFile)
	if m.isDir {
		a.Fail(unix.EINVAL, m.dest)
	} else {
		a.Fail(unix.EISDIR, "the source is a file, but "+m.dest)
	}
	a.Bind(isFile)
	if m.isDir {
		a.Fail(unix.ENOTDIR, "the source is a directory, but "+m.dest)
	} else {
		a.Fail(unix.EINVAL, m.dest)
	}
	a.Bind(done)
	b.overRoot(a, tree, m)
}
