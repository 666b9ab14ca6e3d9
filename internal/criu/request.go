package criu

import (
	"fmt"
	"strings"
)

// Kind is what a request asks for (criu_req_type).
type Kind int

// The kinds that are used here.
const (
	Dump          Kind = 1
	Restore       Kind = 2
	notify        Kind = 6
	FeatureCheck  Kind = 9
	VersionQuery  Kind = 10
	SinglePreDump Kind = 13
)

// String names a kind for errors.
func (k Kind) String() string {
	switch k {
	case Dump:
		return "dump"
	case Restore:
		return "restore"
	case FeatureCheck:
		return "feature check"
	case VersionQuery:
		return "version"
	case SinglePreDump:
		return "pre-dump"
	}
	return fmt.Sprintf("request %d", int(k))
}

// InheritedFd is a descriptor of CRIU's own that a restored process gets in the place of
// one that it had when it was dumped.
type InheritedFd struct {
	Key string
	Fd  int
}

// JoinedNamespace is a namespace that restored processes enter.
type JoinedNamespace struct{ Kind, File string }

// CgroupRoot says below which cgroup of a hierarchy those of the images are made again.
type CgroupRoot struct{ Controller, Path string }

// Options are those of a dump or a restore (criu_opts), under the names that criu(8) has
// for them. What is zero is not said.
type Options struct {
	ImagesDir, WorkDir int // descriptors of this process; WorkDir -1: the images'
	Pid                int // of the process to dump
	LogFile            string
	LogLevel           int
	ConfigFile         string // read last: it has the last word

	LeaveRunning, ExtUnixSk, TCPEstablished, EvasiveDevices, ShellJob, FileLocks bool
	NotifyScripts, TrackMem, AutoDedup, LinkRemap, RstSibling                    bool
	TCPSkipInFlight, LazyPages, OrphanPtsMaster, TCPClose                        bool

	PageServer        *PageServer
	Root, ParentImage string
	CgroupRoots       []CgroupRoot
	InheritFds        []InheritedFd
	ManageCgroups     *Choice // nil: not said
	External          []string
	EmptyNs           uint64 // CLONE_NEW*
	JoinNs            []JoinedNamespace
	FreezeCgroup      string
	CgroupYard        string // where the hierarchies are mounted; "": CRIU mounts them itself
	LsmProfile        string
	LsmMountContext   string
	NetworkLock       *Choice // nil: not said
}

// PageServer is where the memory of a dump goes, or is waited for.
type PageServer struct {
	Address string
	Port    uint16
}

// Choice is a value that has a name in CRIU's options and a number in its requests.
type Choice struct {
	Name   string
	Number int64
}

// CgroupModes are how CRIU can treat cgroups (--manage-cgroups-mode; criu_cg_mode).
var CgroupModes = []Choice{{"ignore", 0}, {"none", 1}, {"props", 2}, {"soft", 3}, {"full", 4}, {"strict", 5}}

// NetworkLocks are by what CRIU can keep packets from the connections of a container that
// is dumped (--network-lock; criu_network_lock_method).
var NetworkLocks = []Choice{{"iptables", 1}, {"nftables", 2}, {"skip", 3}}

// Choose finds a value by its name.
func Choose(list []Choice, name string) (*Choice, error) {
	var names []string
	for i := range list {
		if list[i].Name == name {
			return &list[i], nil
		}
		names = append(names, list[i].Name)
	}
	return nil, fmt.Errorf("%q is none of %s", name, strings.Join(names, ", "))
}

// encode writes the options. The numbers are those of criu_opts.
func (o *Options) encode() message {
	var m message
	m.number(1, int64(o.ImagesDir))
	if o.Pid != 0 {
		m.number(2, int64(o.Pid))
	}
	m.flag(3, o.LeaveRunning)
	m.flag(4, o.ExtUnixSk)
	m.flag(5, o.TCPEstablished)
	m.flag(6, o.EvasiveDevices)
	m.flag(7, o.ShellJob)
	m.flag(8, o.FileLocks)
	m.number(9, int64(o.LogLevel))
	m.text(10, o.LogFile)
	if s := o.PageServer; s != nil {
		var server message
		server.text(1, s.Address)
		server.number(2, int64(s.Port))
		m.sub(11, server)
	}
	m.flag(12, o.NotifyScripts)
	m.text(13, o.Root)
	m.text(14, o.ParentImage)
	m.flag(15, o.TrackMem)
	m.flag(16, o.AutoDedup)
	if o.WorkDir >= 0 {
		m.number(17, int64(o.WorkDir))
	}
	m.flag(18, o.LinkRemap)
	for _, root := range o.CgroupRoots {
		var r message
		r.text(1, root.Controller)
		r.sub(2, message(root.Path))
		m.sub(25, r)
	}
	m.flag(26, o.RstSibling)
	for _, fd := range o.InheritFds {
		var f message
		f.text(1, fd.Key)
		f.number(2, int64(fd.Fd))
		m.sub(27, f)
	}
	if o.ManageCgroups != nil {
		m.number(34, o.ManageCgroups.Number)
	}
	m.texts(37, o.External)
	if o.EmptyNs != 0 {
		m.number(38, int64(o.EmptyNs))
	}
	for _, ns := range o.JoinNs {
		var n message
		n.text(1, ns.Kind)
		n.text(2, ns.File)
		m.sub(39, n)
	}
	m.text(44, o.FreezeCgroup)
	m.flag(46, o.TCPSkipInFlight)
	m.flag(48, o.LazyPages)
	m.flag(50, o.OrphanPtsMaster)
	m.text(51, o.ConfigFile)
	m.flag(52, o.TCPClose)
	m.text(53, o.LsmProfile)
	m.text(60, o.CgroupYard)
	m.text(63, o.LsmMountContext)
	if o.NetworkLock != nil {
		m.number(64, o.NetworkLock.Number)
	}
	return m
}

// Features are those that a machine may lack (criu_features).
type Features struct{ MemTrack, LazyPages bool }

// request encodes a criu_req.
func request(kind Kind, o *Options, want Features) message {
	var m message
	m.number(1, int64(kind))
	if kind == FeatureCheck {
		var f message
		f.flag(1, want.MemTrack)
		f.flag(2, want.LazyPages)
		m.sub(5, f)
	}
	if o != nil {
		m.sub(2, o.encode())
	}
	return m
}

// heard encodes a criu_req that says what has come of a notice.
func heard(success bool) message {
	var m message
	m.number(1, int64(notify))
	m.flag(3, success)
	return m
}
