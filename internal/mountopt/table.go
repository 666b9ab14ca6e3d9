// Package mountopt knows the mount options of config.json: the strings in
// /mounts/N/options.
//
// One table holds every option name that is not left to the
// filesystem. [Parse] reads it to turn a list of strings into what the
// kernel's mount interface (fsconfig(2), mount_setattr(2)) takes; [Names] lists it
// for `features`; [Option.Words] put it into words. No option is handled anywhere else.
//
// The rules are those of mount(8), with one addition where mount(2) has none
// of its own: of two options that contradict each other the later one wins.
//
// The package knows neither containers nor paths, and makes no system call.
package mountopt

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Kind says which part of a mount an option acts on.
type Kind uint8

const (
	// Nothing: the name is accepted and changes nothing.
	Nothing Kind = iota
	// Attr is a property of the mount: MOUNT_ATTR_* of fsmount(2) and
	// mount_setattr(2). `ro` and `rw` act on the superblock as well.
	Attr
	// Atime is a mode of the access-time field of the mount's attributes.
	Atime
	// Super is a flag of the superblock alone: fsconfig(2) with
	// FSCONFIG_SET_FLAG and the option's name as the key.
	Super
	// Propagation is one of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE.
	Propagation
	// Bind makes the mount a bind mount.
	Bind
	// Remount changes a mount that is there.
	Remount
	// CopyUp fills a tmpfs with what it hides.
	CopyUp
	// IDMapped maps the owners of files.
	IDMapped
	// Follow changes how a symbolic link at either end is treated.
	Follow
)

// Level is what runtime-spec (config.md, "Linux mount options") asks of a
// runtime for an option.
type Level uint8

const (
	// Extra options are not in the specification.
	Extra Level = iota
	// May options are optional.
	May
	// Should options are recommended.
	Should
	// Must options are required.
	Must
)

// Option is one row of the table.
type Option struct {
	// Name is the option as it stands in config.json.
	Name string
	// Kind is the part of the mount that the option acts on.
	Kind Kind
	// Level is what the specification asks for.
	Level Level
	// Clear tells that the option takes Flag and SB away instead of setting
	// them.
	Clear bool
	// Recursive tells that the option reaches the mounts below as well.
	Recursive bool
	// Flag is MOUNT_ATTR_* for Attr and Atime, MS_* for Propagation, and one
	// of the follow* values for Follow.
	Flag uint64
	// SB is the superblock's flag (MS_* of mount(2)), or 0.
	SB uint64
	// Words says what the option does, for `explain`.
	Words string
}

// Values of Option.Flag for Kind Follow.
const (
	followCopySymlink = 1 << iota
	followSrcNo
	followDestNo
)

// superRO is the one superblock flag that has a twin among the attributes of
// the mount.
const superRO = unix.MS_RDONLY

const (
	attrRO         = unix.MOUNT_ATTR_RDONLY
	attrNoSUID     = unix.MOUNT_ATTR_NOSUID
	attrNoDev      = unix.MOUNT_ATTR_NODEV
	attrNoExec     = unix.MOUNT_ATTR_NOEXEC
	attrNoDirAtime = unix.MOUNT_ATTR_NODIRATIME
	attrNoSymlinks = unix.MOUNT_ATTR_NOSYMFOLLOW // kernel 5.14
	attrRelatime   = unix.MOUNT_ATTR_RELATIME    // 0: a value of the field, not a bit
	attrNoAtime    = unix.MOUNT_ATTR_NOATIME
	attrStrict     = unix.MOUNT_ATTR_STRICTATIME
)

// table is in the order of mount(8): what a person looks for together stands
// together. Names sorts.
var table = []Option{
	{Name: "defaults", Kind: Nothing, Level: Must, Words: "the kernel's defaults"},

	// The mount's own attributes. MS_RDONLY of mount(2) makes both the new
	// superblock and the mount read-only (fs/namespace.c, path_mount); the
	// others never reach the superblock.
	{Name: "ro", Kind: Attr, Level: Must, Flag: attrRO, SB: superRO, Words: "read-only"},
	{Name: "rw", Kind: Attr, Level: Must, Clear: true, Flag: attrRO, SB: superRO, Words: "writable"},
	{Name: "nosuid", Kind: Attr, Level: Must, Flag: attrNoSUID, Words: "set-user-id and file capabilities are ignored"},
	{Name: "suid", Kind: Attr, Level: Must, Clear: true, Flag: attrNoSUID, Words: "set-user-id and file capabilities work"},
	{Name: "nodev", Kind: Attr, Level: Must, Flag: attrNoDev, Words: "device files cannot be opened"},
	{Name: "dev", Kind: Attr, Level: Must, Clear: true, Flag: attrNoDev, Words: "device files work"},
	{Name: "noexec", Kind: Attr, Level: Must, Flag: attrNoExec, Words: "programs cannot be executed"},
	{Name: "exec", Kind: Attr, Level: Must, Clear: true, Flag: attrNoExec, Words: "programs can be executed"},
	{Name: "nodiratime", Kind: Attr, Level: Must, Flag: attrNoDirAtime, Words: "access times of directories are not updated"},
	{Name: "diratime", Kind: Attr, Level: Must, Clear: true, Flag: attrNoDirAtime, Words: "access times of directories are updated as those of files"},
	{Name: "nosymfollow", Kind: Attr, Level: Should, Flag: attrNoSymlinks, Words: "symbolic links are not followed"},
	{Name: "symfollow", Kind: Attr, Level: Should, Clear: true, Flag: attrNoSymlinks, Words: "symbolic links are followed"},

	{Name: "noatime", Kind: Atime, Level: Must, Flag: attrNoAtime, Words: "access times are not updated"},
	{Name: "atime", Kind: Atime, Level: Must, Clear: true, Flag: attrNoAtime, Words: "access times are updated as the kernel does by default"},
	{Name: "relatime", Kind: Atime, Level: Must, Flag: attrRelatime, Words: "access times are updated once after a change, or once a day"},
	{Name: "norelatime", Kind: Atime, Level: Must, Clear: true, Flag: attrRelatime, Words: "relatime is not asked for"},
	{Name: "strictatime", Kind: Atime, Level: Must, Flag: attrStrict, Words: "access times are updated at every access"},
	{Name: "nostrictatime", Kind: Atime, Level: Must, Clear: true, Flag: attrStrict, Words: "access times are updated as the kernel does by default"},

	// The superblock's flags: fs/fs_context.c knows these names as keys
	// for every filesystem. A bind mount has the superblock of its source, so
	// mount(2) with MS_BIND ignores them (do_loopback), and so does Parse.
	{Name: "sync", Kind: Super, Level: Must, SB: unix.MS_SYNCHRONOUS, Words: "writes wait for the storage"},
	{Name: "async", Kind: Super, Level: Must, Clear: true, SB: unix.MS_SYNCHRONOUS, Words: "writes do not wait for the storage"},
	{Name: "dirsync", Kind: Super, Level: Must, SB: unix.MS_DIRSYNC, Words: "changes of directories wait for the storage"},
	{Name: "lazytime", Kind: Super, Level: Must, SB: unix.MS_LAZYTIME, Words: "time stamps are kept in memory for a while"},
	{Name: "nolazytime", Kind: Super, Level: Must, Clear: true, SB: unix.MS_LAZYTIME, Words: "time stamps are written at once"},
	// Kernel 5.15 removed mandatory locks and warns in its log when asked.
	{Name: "mand", Kind: Super, Level: May, SB: unix.MS_MANDLOCK, Words: "mandatory locks (none since kernel 5.15)"},
	{Name: "nomand", Kind: Super, Level: May, Clear: true, SB: unix.MS_MANDLOCK, Words: "no mandatory locks"},

	// Names without a counterpart in the file-descriptor interface.
	//
	// silent only keeps a filesystem's complaints out of the kernel log during
	// mount(2); fsconfig has no such key (and took "silent" for its opposite
	// in early versions), and sends complaints to the caller instead.
	{Name: "silent", Kind: Nothing, Level: Must, Words: "no effect: complaints go to the runtime, not to the kernel log"},
	{Name: "loud", Kind: Nothing, Level: Must, Words: "no effect: complaints go to the runtime, not to the kernel log"},
	// The VFS has no key for SB_I_VERSION either, and every filesystem with
	// a change counter turns it on by itself: btrfs, xfs (v5), tmpfs, and ext4
	// since kernel 6.1. Passing "iversion" to the filesystem would fail on all
	// of them but ext4.
	{Name: "iversion", Kind: Nothing, Level: Must, Words: "no effect: filesystems with a change counter turn it on themselves"},
	{Name: "noiversion", Kind: Nothing, Level: Must, Words: "no effect: filesystems with a change counter turn it on themselves"},

	{Name: "bind", Kind: Bind, Level: Must, Words: "the source itself appears at the destination"},
	{Name: "rbind", Kind: Bind, Level: Must, Recursive: true, Words: "the source and all mounts below it appear at the destination"},
	{Name: "remount", Kind: Remount, Level: Must, Words: "change the mount that is at the destination"},

	{Name: "private", Kind: Propagation, Level: Must, Flag: unix.MS_PRIVATE, Words: "mounts neither come in nor go out"},
	{Name: "rprivate", Kind: Propagation, Level: Must, Recursive: true, Flag: unix.MS_PRIVATE, Words: "mounts neither come in nor go out, here and below"},
	{Name: "shared", Kind: Propagation, Level: Must, Flag: unix.MS_SHARED, Words: "mounts come in and go out"},
	{Name: "rshared", Kind: Propagation, Level: Must, Recursive: true, Flag: unix.MS_SHARED, Words: "mounts come in and go out, here and below"},
	{Name: "slave", Kind: Propagation, Level: Must, Flag: unix.MS_SLAVE, Words: "mounts come in"},
	{Name: "rslave", Kind: Propagation, Level: Must, Recursive: true, Flag: unix.MS_SLAVE, Words: "mounts come in, here and below"},
	{Name: "unbindable", Kind: Propagation, Level: Must, Flag: unix.MS_UNBINDABLE, Words: "private, and cannot be bound elsewhere"},
	{Name: "runbindable", Kind: Propagation, Level: Must, Recursive: true, Flag: unix.MS_UNBINDABLE, Words: "private, and cannot be bound elsewhere, here and below"},

	// mount_setattr(AT_RECURSIVE): kernel 5.12, nosymfollow 5.14. The
	// specification lists rdev and forgot rnodev.
	{Name: "rro", Kind: Attr, Level: Should, Recursive: true, Flag: attrRO, Words: "read-only, here and below"},
	{Name: "rrw", Kind: Attr, Level: Should, Recursive: true, Clear: true, Flag: attrRO, Words: "writable, here and below"},
	{Name: "rnosuid", Kind: Attr, Level: Should, Recursive: true, Flag: attrNoSUID, Words: "set-user-id and file capabilities are ignored, here and below"},
	{Name: "rsuid", Kind: Attr, Level: Should, Recursive: true, Clear: true, Flag: attrNoSUID, Words: "set-user-id and file capabilities work, here and below"},
	{Name: "rnodev", Kind: Attr, Level: Extra, Recursive: true, Flag: attrNoDev, Words: "device files cannot be opened, here and below"},
	{Name: "rdev", Kind: Attr, Level: Should, Recursive: true, Clear: true, Flag: attrNoDev, Words: "device files work, here and below"},
	{Name: "rnoexec", Kind: Attr, Level: Should, Recursive: true, Flag: attrNoExec, Words: "programs cannot be executed, here and below"},
	{Name: "rexec", Kind: Attr, Level: Should, Recursive: true, Clear: true, Flag: attrNoExec, Words: "programs can be executed, here and below"},
	{Name: "rnodiratime", Kind: Attr, Level: Should, Recursive: true, Flag: attrNoDirAtime, Words: "access times of directories are not updated, here and below"},
	{Name: "rdiratime", Kind: Attr, Level: Should, Recursive: true, Clear: true, Flag: attrNoDirAtime, Words: "access times of directories are updated as those of files, here and below"},
	{Name: "rnosymfollow", Kind: Attr, Level: Should, Recursive: true, Flag: attrNoSymlinks, Words: "symbolic links are not followed, here and below"},
	{Name: "rsymfollow", Kind: Attr, Level: Should, Recursive: true, Clear: true, Flag: attrNoSymlinks, Words: "symbolic links are followed, here and below"},
	{Name: "rnoatime", Kind: Atime, Level: Should, Recursive: true, Flag: attrNoAtime, Words: "access times are not updated, here and below"},
	{Name: "ratime", Kind: Atime, Level: Should, Recursive: true, Clear: true, Flag: attrNoAtime, Words: "access times are updated as the kernel does by default, here and below"},
	{Name: "rrelatime", Kind: Atime, Level: Should, Recursive: true, Flag: attrRelatime, Words: "access times are updated once after a change, or once a day, here and below"},
	{Name: "rnorelatime", Kind: Atime, Level: Should, Recursive: true, Clear: true, Flag: attrRelatime, Words: "rrelatime is not asked for"},
	{Name: "rstrictatime", Kind: Atime, Level: Should, Recursive: true, Flag: attrStrict, Words: "access times are updated at every access, here and below"},
	{Name: "rnostrictatime", Kind: Atime, Level: Should, Recursive: true, Clear: true, Flag: attrStrict, Words: "access times are updated as the kernel does by default, here and below"},

	{Name: "tmpcopyup", Kind: CopyUp, Level: May, Words: "the tmpfs starts with a copy of the directory it hides"},
	{Name: "idmap", Kind: IDMapped, Level: Should, Words: "owners of files are mapped"},
	{Name: "ridmap", Kind: IDMapped, Level: Should, Recursive: true, Words: "owners of files are mapped, here and below"},

	{Name: "copy-symlink", Kind: Follow, Flag: followCopySymlink, Words: "a source that is a symbolic link is copied, not followed"},
	{Name: "src-nofollow", Kind: Follow, Flag: followSrcNo, Words: "a source that is a symbolic link is bound itself"},
	{Name: "dest-nofollow", Kind: Follow, Flag: followDestNo, Words: "a destination that is a symbolic link is mounted on itself"},
}

// Names returns the name of every option in alphabetical order, for
// `mountOptions` of `features` (runtime-spec features.md).
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	slices.Sort(names)
	return names
}

// Lookup returns the row for name. ok is false for anything that is left to
// the filesystem.
func Lookup(name string) (o Option, ok bool) {
	if row := find(name); row != nil {
		return *row, true
	}
	return Option{}, false
}

func find(name string) *Option {
	for i := range table {
		if table[i].Name == name {
			return &table[i]
		}
	}
	return nil
}
