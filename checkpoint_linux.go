package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/terminal"
)

// checkpoint writes a container, whose lock is held, to the images.
func (r *criuRequest) checkpoint(dir *state.Dir, signals *terminal.Signals) error {
	switch status, _ := statusOf(dir); status {
	case specs.StateRunning, statusPaused:
	default:
		return fmt.Errorf("cannot checkpoint a container that is %s: it must be running or paused", status)
	}
	b, err := checkpointed(dir)
	if err != nil {
		return err
	}
	pidfd, err := process.ID(dir.Record.Init).Open()
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	if err := r.describe(b, dir.Record); err != nil {
		return err
	}
	if err := r.parentImages(); err != nil {
		return err
	}
	if err := r.find(); err != nil {
		return err
	}
	if err := criuFeatures(r.file, criu.Features{MemTrack: r.preDump || r.TrackMem, LazyPages: r.LazyPages}); err != nil {
		return err
	}
	dirs, err := r.open(true)
	if err != nil {
		return err
	}
	defer dirs.close()
	if err := r.openWork(dirs); err != nil {
		return err
	}
	kind := criu.Dump
	if r.preDump {
		kind = criu.SinglePreDump
	} else if err := errors.Join(r.writeNote(dirs.images), writeDescriptors(dirs.images, dir.Record, &r.Options)); err != nil {
		return err
	}
	if err := r.dump(kind, dir, pidfd, signals); err != nil {
		return err
	}
	if r.preDump || r.LeaveRunning {
		return nil
	}
	// CRIU has killed it. Its parent may have it still to be waited for.
	if err := end(dir.Record); err != nil {
		return err
	}
	return destroy(dir)
}

// dump has CRIU write the processes, which goes by their numbers.
func (r *criuRequest) dump(kind criu.Kind, dir *state.Dir, pidfd int, signals *terminal.Signals) error {
	y := yard{dir: dir.Path}
	if err := r.openCgroupYard(&y); err != nil {
		return err
	}
	defer y.close()
	var keep []int
	settings, err := r.giveSettings()
	if err != nil {
		return err
	}
	if settings >= 0 {
		defer unix.Close(settings)
		keep = append(keep, settings)
	}
	s, err := (&criu.Start{Program: r.file, Options: program.Options{Flags: unix.CLONE_NEWNS, CgroupFd: -1}, Before: y.fill, Keep: keep, Apart: true}).New()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := stillThere(pidfd, dir.Record.Init.Pid); err != nil {
		return err
	}
	var interrupted error
	serves := false // the memory: nothing of CRIU is in the processes any more, and it is waited for without an end
	heed := func() error {
		if sig := signals.Next(); sig != 0 {
			interrupted = errInterrupted{sig}
		}
		if serves {
			return interrupted
		}
		return nil
	}
	_, err = r.converse(s, kind, heed, func(a *criu.Answer) error {
		if interrupted != nil {
			return interrupted
		}
		switch a.Notice {
		case "network-lock": // CRIU has stopped it: what has the number keeps it from here on
			return stillThere(pidfd, dir.Record.Init.Pid)
		case "status-ready":
			serves = true
			return r.statusReady()
		}
		return nil
	})
	if err == nil {
		s.Wait()
	}
	return err
}

// stillThere makes sure that a process has not ended, after which its number may be another's.
func stillThere(pidfd, pid int) error {
	switch dead, err := process.Wait(pidfd, 0); {
	case err != nil:
		return err
	case dead:
		return fmt.Errorf("the container's process %d has ended: %w", pid, unix.ESRCH)
	}
	return nil
}

// checkpointed understands the config of a container for CRIU.
func checkpointed(dir *state.Dir) (*birth, error) {
	rec := dir.Record
	s, err := containerSpec(dir)
	if err != nil {
		return nil, err
	}
	manager := rec.Cgroup.Manager
	switch manager {
	case "":
		manager = "disabled"
	case byUserSystemd:
		manager = bySystemd
	}
	h, err := thisHost(manager, "auto")
	if err != nil {
		return nil, err
	}
	b, err := newBirth(rec.ID, rec.Bundle, rec.Rootfs, s, h, birthOptions{
		pid: rec.Init.Pid, noPivot: rec.NoPivot,
	})
	if err != nil {
		return nil, err
	}
	b.dir = dir
	if faults := b.uncheckpointable(); len(faults) > 0 {
		return nil, faultList(faults)
	}
	return b, nil
}

// describe tells CRIU what it cannot see by itself, and refuses what would go wrong.
func (r *criuRequest) describe(b *birth, rec *state.Record) (err error) {
	r.LogFile, r.Pid = "dump.log", rec.Init.Pid
	if b.spec.Linux != nil {
		r.seccomp = b.spec.Linux.Seccomp
	}
	if err = r.readSettings(b.spec, b.bundle); err != nil {
		return err
	}
	if err := noHostTerminal(rec); err != nil {
		return err
	}
	seen, err := seeMounts(rec.Init.Pid)
	if err != nil {
		return err
	}
	defer unix.Close(seen.root)
	if err := seen.sameRoot(rec.Rootfs); err != nil {
		return err
	}
	list := b.externals()
	own := make([]string, 0, len(b.mounts))
	for _, m := range b.mounts {
		own = append(own, m.dest)
	}
	for i := range list {
		e := &list[i]
		m, err := seen.place(e)
		if err != nil {
			return err
		}
		if m == nil || e.mask && !seen.isNull(e.at) {
			continue
		}
		if found := seen.below(m, own); e.rec && len(found) > 0 {
			return fmt.Errorf("%s: the host has mounted %s below the source: CRIU would take it for the container's own", e.field, strings.Join(found, ", "))
		}
		r.External = append(r.External, "mnt["+m.at+"]:"+e.name)
	}
	// What restore would refuse would be lost.
	if err := b.protected(seen); err != nil {
		return err
	}
	if err := b.holdPrivileges(rec.Init.Pid); err != nil {
		return err
	}
	for _, ns := range b.ns.list {
		key := externalNamespace(ns.Type)
		if ns.Path == "" || key == "" {
			continue
		}
		var st unix.Stat_t
		file := fmt.Sprintf("/proc/%d/ns/%s", rec.Init.Pid, criuNamespace(ns.Type))
		if err := unix.Stat(file, &st); err != nil {
			return &os.PathError{Op: "stat", Path: file, Err: err}
		}
		r.External = append(r.External, fmt.Sprintf("%s[%d]:%s", criuNamespace(ns.Type), st.Ino, key))
	}
	return r.describeCgroup(rec)
}

// sameRoot refuses a root that is not the rootfs itself: what an overlay of --overlay holds
// is in no image.
func (s *seenMounts) sameRoot(rootfs string) error {
	var now, then unix.Stat_t
	if err := unix.Fstat(s.root, &now); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if err := unix.Stat(rootfs, &then); err != nil {
		return &os.PathError{Op: "stat", Path: rootfs, Err: err}
	}
	if now.Dev != then.Dev || now.Ino != then.Ino {
		return fmt.Errorf("the container's root is not %s but something mounted over it, such as --overlay, which is in no image", rootfs)
	}
	return nil
}

// isNull says whether a path of the container leads to the null device.
func (s *seenMounts) isNull(at string) bool {
	fd, err := unix.Openat2(s.root, at, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot})
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && isNull(&st)
}

// describeCgroup has CRIU stop the container by its freezer, and look after the cgroups that
// it made itself. Its own cgroup restore makes, with the limits of the config.
func (r *criuRequest) describeCgroup(rec *state.Record) error {
	below := false
	for _, d := range freezerDirs(ownDirs(rec)) {
		if unix.Access(d+"/cgroup.freeze", unix.F_OK) == nil || unix.Access(d+"/freezer.state", unix.F_OK) == nil {
			r.FreezeCgroup = d
		}
	}
	for _, d := range ownDirs(rec) {
		entries, err := os.ReadDir(d)
		if err != nil {
			return err
		}
		for _, e := range entries {
			below = below || e.IsDir()
		}
	}
	if r.ManageCgroups != nil {
		return nil
	}
	mode := cgroupsIgnored
	if below {
		mode = "soft"
	}
	var err error
	r.ManageCgroups, err = criu.Choose(criu.CgroupModes, mode)
	return err
}

// noHostTerminal refuses a container with a terminal of the host's among its streams. CRIU writes it,
// with --shell-job and without, and fails when it restores it in a mount namespace that has it not.
func noHostTerminal(rec *state.Record) error {
	for i, key := range rec.Streams {
		if !strings.HasPrefix(key, hostFile) {
			continue
		}
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/fd/%d", rec.Init.Pid, i), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // it is closed
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		now := streamKey(fd, &st)
		unix.Close(fd)
		major := unix.Major(st.Rdev) // devices.txt: TTY, and the slaves of PTYs
		if err == nil && now == key && st.Mode&unix.S_IFMT == unix.S_IFCHR && (major == 4 || major >= 136 && major <= 143) {
			return fmt.Errorf("descriptor %d of the first process is a terminal of the host, which CRIU cannot restore: with /process/terminal, a container has one of its own", i)
		}
	}
	return nil
}

// writeDescriptors notes what the standard streams of the container were when it was made:
// what they are now may be a file that a shell has opened for one command. Those that lead to a
// file of the host's are named to CRIU, which would not know where to look for it.
func writeDescriptors(images int, rec *state.Record, o *criu.Options) error {
	keys := rec.Streams
	if len(keys) != 3 {
		keys = make([]string, 3) // a terminal, which is the container's own
	}
	for i, key := range keys {
		if strings.HasPrefix(key, hostFile) && !slices.Contains(keys[:i], key) {
			o.External = append(o.External, key)
		}
	}
	data, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	return writeImage(images, descriptorsFile, data)
}

// hostFile begins CRIU's word for a file by its mount and inode, pipe that for a pipe.
const (
	hostFile = "file["
	hostPipe = "pipe:["
)

// streamKey is how CRIU calls a file that comes from outside of a container, or "" for one that
// it has other ways for.
func streamKey(fd int, st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		var fs unix.Statfs_t
		if unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.PIPEFS_MAGIC {
			return hostPipe + strconv.FormatUint(st.Ino, 10) + "]"
		}
	case unix.S_IFREG, unix.S_IFCHR:
	default:
		return ""
	}
	var more unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &more) != nil {
		return ""
	}
	return hostFile + strconv.FormatUint(more.Mnt_id, 16) + ":" + strconv.FormatUint(st.Ino, 16) + "]"
}
