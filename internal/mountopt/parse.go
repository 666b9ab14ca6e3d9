package mountopt

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Options is what a list of mount options asks for, in the terms of the
// kernel. The order to apply it in:
//
//	new mount:  Super and Data (fsconfig), AttrSet (fsmount), Rec, Propagation
//	bind:       open_tree, Rec, Attr (mount_setattr), IDMap, Propagation
//	remount:    Super and Data (fspick, fsconfig), Rec, Attr, Propagation
//
// Rec comes before Attr because Attr holds what was said later about the top
// mount alone: Parse takes an attribute out of Attr when a later recursive
// option covers it.
type Options struct {
	// AttrSet and AttrClear are MOUNT_ATTR_* for attr_set and attr_clr of
	// mount_setattr(2) on the mount itself. AttrClear holds MOUNT_ATTR__ATIME
	// whenever an access-time mode is chosen, as the system call demands.
	// fsmount(2) takes AttrSet alone: a new mount has nothing to clear.
	//
	// An attribute that no option names is in neither, so that a bind mount
	// keeps what its source has.
	AttrSet, AttrClear uint64
	// RecSet and RecClear are the same with AT_RECURSIVE.
	RecSet, RecClear uint64

	// Super are keys for fsconfig(2) with FSCONFIG_SET_FLAG: flags of the
	// superblock. A new superblock has none, so only a remount lists those that
	// take a flag away ("rw", "async", ...). It is empty for a bind mount, which
	// shares the superblock of its source.
	//
	// "ro" is here besides MOUNT_ATTR_RDONLY in AttrSet, as MS_RDONLY of
	// mount(2) means both: a filesystem on a write-protected device cannot be
	// mounted otherwise. It is not here with CopyUp, because a read-only
	// superblock cannot be filled, and DelayReadOnly takes it out.
	Super []string
	// Data are the filesystem's own options in their order. It is empty for a
	// bind mount.
	Data []Datum

	// Bind tells that the source itself is mounted, Rec with all below it.
	Bind, Rec bool
	// Remount tells that the mount at the destination is changed. With Bind,
	// only the mount's attributes are.
	Remount bool
	// CopyUp tells that a tmpfs starts with a copy of what it hides.
	CopyUp bool

	// Propagation are changes of the propagation type, to be made one after
	// the other: "slave", "shared" is both.
	Propagation []PropagationChange

	// IDMap says whether owners are mapped, and UIDs and GIDs hold the
	// mapping if the option itself carries one ("idmap=uids=...;gids=...").
	IDMap      IDMap
	UIDs, GIDs []IDRange

	// CopySymlink, SrcNoFollow and DestNoFollow tell that a symbolic link as
	// the source is copied or bound itself, and that one as the destination is
	// mounted on, instead of being followed.
	CopySymlink, SrcNoFollow, DestNoFollow bool

	// Ignored are the options that were understood and have no effect here,
	// for `explain`: "silent", "sync" on a bind mount, "dirsync" on a remount.
	Ignored []string
}

// Datum is one option of the filesystem.
type Datum struct {
	// Key and Value are the parts left and right of the first '='.
	Key, Value string
	// Flag tells that there was no '=': FSCONFIG_SET_FLAG, not
	// FSCONFIG_SET_STRING.
	Flag bool
}

// String returns the option as mount(8) would take it.
func (d Datum) String() string {
	if d.Flag {
		return d.Key
	}
	return d.Key + "=" + d.Value
}

// MaxValue is the greatest length in bytes of a Datum's Value that fsconfig(2)
// accepts (fs/fsopen.c: strndup_user with 256, the NUL included). A longer one
// fails with EINVAL and no message; only mount(2) takes it, or for overlayfs
// since kernel 6.8 repeated "lowerdir+".
const MaxValue = 255

// MaxKey is the same for a Key.
const MaxKey = 255

// PropagationChange is one argument for the propagation field of
// mount_setattr(2).
type PropagationChange struct {
	// Type is MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE.
	Type uint64
	// Recursive asks for AT_RECURSIVE.
	Recursive bool
}

// IDMap says how far a mapping of owners reaches.
type IDMap uint8

const (
	// NoIDMap leaves owners as they are.
	NoIDMap IDMap = iota
	// IDMapTop maps the mount itself (`idmap`).
	IDMapTop
	// IDMapTree maps the mount and all below it (`ridmap`).
	IDMapTree
)

// Parse reads the options of one mount. What the table does not know is the
// filesystem's and lands in Data; a string that holds several of those, as
// mount(8) would take it ("mode=755,size=64k"), is split at its commas.
//
// Access-time modes exclude each other and the last one wins (mount(2) itself
// would prefer strictatime, then noatime). `atime` and `nostrictatime` choose
// the kernel's default, relatime, unless a mode other than theirs was chosen
// before; `norelatime` only takes back a `relatime`, since the kernel knows no
// further mode that it could mean.
//
// An error names the option. It is one for filesystem options on a bind
// mount, for a malformed "idmap=", and for a NUL byte.
func Parse(options []string) (Options, error) {
	p := parser{}
	for _, s := range options {
		if err := p.option(s); err != nil {
			return Options{}, fmt.Errorf("mount option %q: %w", s, err)
		}
	}
	p.finish()
	if o := &p.Options; o.Bind && len(o.Data) > 0 {
		return Options{}, fmt.Errorf("mount option %q: a bind mount takes no options of a filesystem", o.Data[0].String())
	}
	return p.Options, nil
}

// parser collects what can only be settled when all options are known.
type parser struct {
	Options
	sbSet, sbClear uint64 // MS_* of mount(2)
	atime, rAtime  atimeMode
}

func (p *parser) option(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("holds a NUL byte")
	}
	row, arg, hasArg := find(s), "", false
	if row == nil {
		// Only the id mappings take an argument; any other name with a '='
		// is an option of the filesystem.
		if name, value, ok := strings.Cut(s, "="); ok {
			if r := find(name); r != nil && r.Kind == IDMapped {
				row, arg, hasArg = r, value, true
			}
		}
	}
	if row == nil {
		p.data(s)
		return nil
	}
	switch row.Kind {
	case Nothing:
		if row.Name != "defaults" {
			p.Ignored = append(p.Ignored, row.Name)
		}
	case Attr:
		p.attr(row)
	case Atime:
		if row.Recursive {
			p.rAtime.apply(row)
			if p.rAtime.chosen {
				p.atime = atimeMode{}
			}
		} else {
			p.atime.apply(row)
		}
	case Super:
		assign(&p.sbSet, &p.sbClear, row.SB, row.Clear)
	case Propagation:
		p.Propagation = append(p.Propagation, PropagationChange{row.Flag, row.Recursive})
	case Bind:
		p.Bind, p.Rec = true, p.Rec || row.Recursive
	case Remount:
		p.Remount = true
	case CopyUp:
		p.CopyUp = true
	case IDMapped:
		p.IDMap = IDMapTop
		if row.Recursive {
			p.IDMap = IDMapTree
		}
		if hasArg {
			return p.mapping(arg)
		}
	case Follow:
		p.CopySymlink = p.CopySymlink || row.Flag == followCopySymlink
		p.SrcNoFollow = p.SrcNoFollow || row.Flag == followSrcNo
		p.DestNoFollow = p.DestNoFollow || row.Flag == followDestNo
	}
	return nil
}

// attr handles a row of Kind Attr.
func (p *parser) attr(row *Option) {
	if !row.Recursive {
		assign(&p.AttrSet, &p.AttrClear, row.Flag, row.Clear)
		assign(&p.sbSet, &p.sbClear, row.SB, row.Clear)
		return
	}
	assign(&p.RecSet, &p.RecClear, row.Flag, row.Clear)
	p.AttrSet &^= row.Flag
	p.AttrClear &^= row.Flag
	if row.Flag == attrRO && row.Clear {
		p.sbSet &^= superRO // an earlier `ro` is overruled as a whole
	}
}

// assign moves flag into one of two sets and out of the other.
func assign(set, unset *uint64, flag uint64, toUnset bool) {
	if toUnset {
		set, unset = unset, set
	}
	*set |= flag
	*unset &^= flag
}

// atimeMode is the access-time field of a mount's attributes: three values
// that exclude each other, one of which is 0.
type atimeMode struct {
	chosen bool
	mode   uint64
}

func (a *atimeMode) apply(row *Option) {
	switch {
	case !row.Clear:
		*a = atimeMode{true, row.Flag}
	case row.Flag == attrRelatime:
		if a.mode == attrRelatime {
			*a = atimeMode{}
		}
	case !a.chosen || a.mode == row.Flag:
		*a = atimeMode{true, attrRelatime}
	}
}

// into adds the mode to a pair of attribute sets.
func (a atimeMode) into(set, unset *uint64) {
	if a.chosen {
		*set |= a.mode
		*unset |= unix.MOUNT_ATTR__ATIME
	}
}

// remountable are the superblock flags that can be changed after creation
// (MS_RMT_MASK, include/uapi/linux/mount.h). mount(2) drops the others from a
// remount without a word; FSCONFIG_CMD_RECONFIGURE fails with EINVAL
// (fs/super.c, reconfigure_super).
const remountable = unix.MS_RDONLY | unix.MS_SYNCHRONOUS | unix.MS_MANDLOCK | unix.MS_LAZYTIME

// finish settles what depends on more than one option.
func (p *parser) finish() {
	p.atime.into(&p.AttrSet, &p.AttrClear)
	p.rAtime.into(&p.RecSet, &p.RecClear)
	if p.CopyUp {
		p.sbSet &^= superRO
	}
	for i := range table {
		row := &table[i]
		if row.SB == 0 || row.Recursive {
			continue
		}
		asked := p.sbSet
		if row.Clear {
			asked = p.sbClear
		}
		switch {
		case asked&row.SB == 0:
		case p.Bind:
			// `ro` and `rw` still act on the mount.
			if row.Kind == Super {
				p.Ignored = append(p.Ignored, row.Name)
			}
		case p.Remount && row.SB&remountable == 0:
			p.Ignored = append(p.Ignored, row.Name)
		case !row.Clear || p.Remount:
			p.Super = append(p.Super, row.Name)
		}
	}
	if p.Bind && p.CopyUp {
		p.CopyUp = false
		p.Ignored = append(p.Ignored, "tmpcopyup")
	}
}

// data adds what s holds of the filesystem's options. A comma separates two
// unless it stands in double quotes (SELinux contexts: context="...:c1,c2") or
// after a backslash (paths of overlayfs). The quotes are dropped, because it is
// the reader of mount(2)'s string that drops them and fsconfig(2) has none.
func (p *parser) data(s string) {
	start, quoted := 0, false
	for i := 0; i <= len(s); i++ {
		if i < len(s) {
			switch s[i] {
			case '"':
				quoted = !quoted
				continue
			case '\\':
				i++
				continue
			}
			if s[i] != ',' || quoted {
				continue
			}
		}
		p.datum(s[start:min(i, len(s))])
		start = i + 1
	}
	if start < len(s) { // the last byte is a backslash
		p.datum(s[start:])
	}
}

func (p *parser) datum(s string) {
	if s == "" {
		return // the kernel skips empty options, too
	}
	key, value, hasValue := strings.Cut(s, "=")
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	p.Data = append(p.Data, Datum{Key: key, Value: value, Flag: !hasValue})
}

// DelayReadOnly takes a request for a read-only mount out of o and reports
// whether there was one. It serves a mount that must be writable while the
// container is built, because mount points or devices are made in it: the
// caller sets MOUNT_ATTR_RDONLY at the end.
func (o *Options) DelayReadOnly() bool {
	if o.AttrSet&unix.MOUNT_ATTR_RDONLY == 0 {
		return false
	}
	o.AttrSet &^= unix.MOUNT_ATTR_RDONLY
	for i, key := range o.Super {
		if key == "ro" {
			o.Super = append(o.Super[:i:i], o.Super[i+1:]...)
			break
		}
	}
	return true
}
