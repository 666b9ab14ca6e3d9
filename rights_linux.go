package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/idmap"
)

// rights are what the runtime itself may do. They decide who makes a container's
// parts: the runtime, from outside, or init, once a new user namespace has given it
// what the runtime lacks.
type rights struct {
	// initial: the runtime is in the machine's initial user namespace.
	initial bool
	// users is the inode of its user namespace.
	users uint64
	// mounts: it may clone the mounts that it sees (CAP_SYS_ADMIN over its mount
	// namespace).
	mounts bool
	// namespaces: it may make them without a new user namespace (CAP_SYS_ADMIN).
	namespaces bool
	// userIDs and groupIDs: it may map any of its own ids of that kind into a new user
	// namespace (CAP_SETUID, CAP_SETGID).
	userIDs, groupIDs bool
	// fileCaps: it may map user 0 (CAP_SETFCAP).
	fileCaps bool
	// groups: setgroups(2) is not denied in its user namespace.
	groups bool
	// capabilities are its permitted ones, as bits.
	capabilities uint64
}

// initialUsersInode is the inode of the initial user namespace (PROC_USER_INIT_INO in
// the kernel's include/linux/proc_ns.h; the number is part of its ABI).
const initialUsersInode = 0xEFFFFFFD

// ids says whether the runtime may map any of its own ids of both kinds.
func (r rights) ids() bool { return r.userIDs && r.groupIDs }

// setsGroups says whether setgroups(2) works for the runtime itself.
func (r rights) setsGroups() bool { return r.groupIDs && r.groups }

// ownRights finds out what this process may do.
func ownRights() (rights, error) {
	var users, mounts unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &users); err != nil {
		return rights{}, &os.PathError{Op: "stat", Path: "/proc/self/ns/user", Err: err}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return rights{}, os.NewSyscallError("capget", err)
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	r := rights{
		initial: users.Ino == initialUsersInode, users: users.Ino, mounts: has(unix.CAP_SYS_ADMIN), namespaces: has(unix.CAP_SYS_ADMIN),
		userIDs: has(unix.CAP_SETUID), groupIDs: has(unix.CAP_SETGID), fileCaps: has(unix.CAP_SETFCAP), groups: true,
		capabilities: uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted),
	}
	if r.initial {
		return r, nil
	}
	// In a user namespace that somebody else has made, the mounts may be theirs too.
	if r.mounts {
		fd, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return rights{}, &os.PathError{Op: "open", Path: "/proc/self/ns/mnt", Err: err}
		}
		owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
		unix.Close(fd)
		r.mounts = err == nil && unix.Fstat(owner, &mounts) == nil && mounts.Ino == users.Ino
		if err == nil {
			unix.Close(owner)
		}
	}
	r.groups = !deniesGroups("self")
	return r, nil
}

// deniesGroups says whether setgroups(2) is denied in a process's user namespace.
func deniesGroups(process string) bool {
	text, err := os.ReadFile("/proc/" + process + "/setgroups")
	return err == nil && strings.TrimSpace(string(text)) == "deny"
}

// rootlessMode is --rootless: whether a cgroup that cannot be had may be missing.
// Left to itself it may, unless the runtime is the machine's root.
func rootlessMode(flag string, r rights, euid int) (bool, error) {
	switch flag {
	case "true", "false":
		return flag == "true", nil
	case "auto":
		return euid != 0 || !r.initial, nil
	}
	return false, fmt.Errorf("--rootless: %q is not true, false or auto", flag)
}

// machineStateRoot is where the machine's root has the state of containers.
const machineStateRoot = "/run/oci-mini"

// stateRoot is the directory of the containers' state where --root names none. The
// machine's root has /run/oci-mini; everybody else has a directory of their own.
func stateRoot() (string, error) {
	euid := os.Geteuid()
	// Root of a user namespace may be the root of a system container, whose /run is
	// its own; or a user in disguise, whose /run is the host's.
	if euid == 0 && (initialUsers() || cgroup.Writable("/run") == nil) {
		return machineStateRoot, nil
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		if !strings.HasPrefix(dir, "/") {
			return "", fmt.Errorf("XDG_RUNTIME_DIR: %q is not an absolute path", dir)
		}
		return dir + "/oci-mini", nil
	}
	dir := fmt.Sprintf("/run/user/%d", euid)
	if cgroup.Writable(dir) == nil {
		return dir + "/oci-mini", nil
	}
	return "", fmt.Errorf("no directory for the state of containers: XDG_RUNTIME_DIR is not set and %s is not there to be written to; set it to a directory of your own (mode 0700), or name one with --root", dir)
}

// initialUsers says whether the runtime is in the initial user namespace. If even
// that cannot be found out it is taken to be: the first step that needs /proc says so.
func initialUsers() bool {
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &st) != nil || st.Ino == initialUsersInode
}

// checkRights refuses what the runtime has no right to and no way around.
func (b *birth) checkRights() []error {
	var faults []error
	if !b.host.namespaces && !b.ns.private(unix.CLONE_NEWUSER) {
		faults = append(faults, errors.New("/linux/namespaces: without a user namespace in it, only root can run this config; `oci-mini spec --rootless` writes one for other users"))
	}
	for _, m := range b.mounts {
		if m.owners != nil && !b.host.mounts {
			faults = append(faults, fmt.Errorf("%s/options: only root can map the owners of a mount: the right to it is one over its file system (mount_setattr(2))", m.field()))
		}
	}
	p := b.spec.Process
	if p != nil && len(p.User.AdditionalGids) > 0 && b.groupsDenied && !b.wantsGroups() {
		faults = append(faults, errors.New("/process/user/additionalGids: groups cannot be set where a user without privileges maps one group alone (user_namespaces(7)): map a range of groups as well, which needs newgidmap and a line in /etc/subgid, or ask for none"))
	}
	return faults
}

// deniesGroups says whether setgroups(2) is denied where the process is to be: it always is
// where an unprivileged process has written the group map, and in all user namespaces
// below. In one that is joined by path, that is found out later; see checkJoinedUsers.
func (b *birth) deniesGroups() bool {
	switch {
	case !b.host.groups:
		return true
	case b.opt.pid != 0:
		// Only the user namespace that is joined is asked: the process may be in one that
		// it has made itself.
		return b.inUsers() && deniesGroups(strconv.Itoa(b.opt.pid))
	}
	return b.ownUsers() && b.mapper(idmap.Groups, b.spec.Linux.GIDMappings) == mapOwn
}

// sayWarning tells of something that a process goes without. The log takes it; a person
// who waits for the process, and has no log, reads it on the standard error, where engines
// would take it for an answer.
func sayWarning(detached bool, text string) {
	text = printable(text)
	log.Warn(text)
	if log == nil && !detached {
		fmt.Fprintf(os.Stderr, "oci-mini: warning: %s\n", text)
	}
}

// warn tells of what the container goes without.
func (b *birth) warn(detached bool) {
	say := func(text string) { sayWarning(detached, text) }
	if b.noCgroup != nil {
		say(fmt.Sprintf("the container has no cgroup, so that it cannot be limited or paused: %v", b.noCgroup))
	}
	if (b.delegates() || b.subCgroup() != "") && b.usersByPath() < 0 && b.keepsCgroup() {
		say(fmt.Sprintf("the container's cgroup stays the caller's, so that user %d inside cannot divide it: only root can give it to another", b.spec.Process.User.UID))
	}
	b.caps.warn(say)
	if b.filter != nil && len(b.filter.Unknown) > 0 {
		log.Debug(fmt.Sprintf("/linux/seccomp/syscalls: ignored, as no architecture has such a call: %s", strings.Join(b.filter.Unknown, ", ")))
	}
}
