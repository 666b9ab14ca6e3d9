package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
)

// criuFlags are those that checkpoint and restore have both. Their names are runc's and
// crun's; criu(8) has most of them too, and explains them.
var criuFlags = []cli.Flag{
	&cli.StringFlag{Name: "image-path", Usage: "`DIR` of the images", DefaultText: "checkpoint, in the current directory"},
	&cli.StringFlag{Name: "work-path", Usage: "`DIR` for CRIU's log and other work files", DefaultText: "that of the images"},
	&cli.BoolFlag{Name: "tcp-established", Usage: "take connections of TCP along"},
	&cli.BoolFlag{Name: "ext-unix-sk", Usage: "allow UNIX sockets whose other end is outside"},
	&cli.BoolFlag{Name: "shell-job", Usage: "allow a session or a terminal that belongs to somebody outside"},
	&cli.BoolFlag{Name: "file-locks", Usage: "take file locks along"},
	&cli.StringFlag{Name: "manage-cgroups-mode", Usage: "what CRIU does about cgroups: `MODE` ignore, none, props, soft or full", DefaultText: "soft where the container has cgroups of its own making, else ignore"},
	&cli.StringSliceFlag{Name: "empty-ns", Usage: "make the `NAMESPACE` anew, without what was in it: network is always"},
	&cli.BoolFlag{Name: "auto-dedup", Usage: "punch pages out of images that are in a later one too"},
	&cli.BoolFlag{Name: "lazy-pages", Usage: "leave the memory for later: its pages come by userfaultfd when they are used"},
	&cli.StringFlag{Name: "network-lock", Usage: "`METHOD` by which CRIU keeps packets from connections: iptables, nftables or skip", DefaultText: "CRIU's own"},
}

// criuRequest is a checkpoint or a restore as the command line asks for it.
type criuRequest struct {
	criu.Options
	images, work string // directories; work is "" if it is not said
	statusFd     int    // gets a zero byte when pages can be asked for, -1: nobody asks
	preDump      bool
	file         string // the program criu
	settings     string // CRIU's own, in the words of its files
	settingsFile string // where they are from
	seccomp      *specs.LinuxSeccomp
	said         string // the flags that it is told of, for people
}

// criuRequestOf reads the flags; those that a command lacks are zero.
func criuRequestOf(c *cli.Context) (*criuRequest, error) {
	r := &criuRequest{images: c.String("image-path"), work: c.String("work-path"), statusFd: -1, preDump: c.Bool("pre-dump")}
	if r.images == "" {
		r.images = "checkpoint"
	}
	var err error
	if r.images, err = filepath.Abs(r.images); err != nil {
		return nil, err
	}
	r.Options = criu.Options{
		WorkDir: -1, LogLevel: 4, NotifyScripts: true, OrphanPtsMaster: true, EmptyNs: unix.CLONE_NEWNET,
		LeaveRunning: c.Bool("leave-running"), ParentImage: c.String("parent-path"),
		LsmProfile: c.String("lsm-profile"), LsmMountContext: c.String("lsm-mount-context"),
	}
	r.TrackMem = r.ParentImage != ""
	var said []string
	for _, s := range criuSwitches {
		if *s.of(&r.Options) = c.Bool(s.flag); c.Bool(s.flag) {
			said = append(said, "--"+s.flag)
		}
	}
	r.said = strings.Join(said, " ")
	if module, name, _ := strings.Cut(r.LsmProfile, ":"); r.LsmProfile != "" && (module != appArmor && module != seLinux || name == "") {
		return nil, fmt.Errorf("--lsm-profile: %q is not apparmor:PROFILE or selinux:LABEL", r.LsmProfile)
	}
	if r.statusFd, err = statusFd(c); err != nil {
		return nil, err
	}
	for _, name := range c.StringSlice("empty-ns") {
		if name != "network" {
			return nil, fmt.Errorf("--empty-ns: %q: CRIU knows this for network alone", name)
		}
	}
	if r.ManageCgroups, err = choice(c, "manage-cgroups-mode", criu.CgroupModes); err != nil {
		return nil, err
	}
	if r.ManageCgroups != nil && r.ManageCgroups.Name == "strict" {
		return nil, errors.New("--manage-cgroups-mode: strict restores nothing where the container's cgroup is there, which the runtime always makes: full restores what is in it all the same")
	}
	if r.NetworkLock, err = choice(c, "network-lock", criu.NetworkLocks); err != nil {
		return nil, err
	}
	if r.PageServer, err = pageServer(c.String("page-server")); err != nil {
		return nil, err
	}
	return r, r.sensible(c.Command.Name)
}

// criuSwitches are the flags that CRIU itself has and knows what to do about.
var criuSwitches = []struct {
	flag string
	of   func(*criu.Options) *bool
}{
	{"tcp-established", func(o *criu.Options) *bool { return &o.TCPEstablished }},
	{"tcp-skip-in-flight", func(o *criu.Options) *bool { return &o.TCPSkipInFlight }},
	{"tcp-close", func(o *criu.Options) *bool { return &o.TCPClose }},
	{"link-remap", func(o *criu.Options) *bool { return &o.LinkRemap }},
	{"ext-unix-sk", func(o *criu.Options) *bool { return &o.ExtUnixSk }},
	{"shell-job", func(o *criu.Options) *bool { return &o.ShellJob }},
	{"file-locks", func(o *criu.Options) *bool { return &o.FileLocks }},
	{"auto-dedup", func(o *criu.Options) *bool { return &o.AutoDedup }},
	{"lazy-pages", func(o *criu.Options) *bool { return &o.LazyPages }},
}

// sensible refuses flags of a checkpoint that CRIU would pass over as they stand together.
func (r *criuRequest) sensible(command string) error {
	switch {
	case command != "checkpoint":
	case r.LazyPages && r.preDump:
		return errors.New("--lazy-pages: --pre-dump writes the memory")
	case r.LazyPages && r.PageServer == nil:
		return errors.New("--lazy-pages: needs --page-server ADDRESS:PORT, where the memory can be asked for")
	case r.statusFd >= 0 && !r.LazyPages:
		return errors.New("--status-fd: tells when the memory can be asked for, which takes --lazy-pages")
	}
	return nil
}

// statusFd reads the flag of that name, -1 if it is not given.
func statusFd(c *cli.Context) (int, error) {
	if !c.IsSet("status-fd") {
		return -1, nil
	}
	fd := c.Int("status-fd")
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return -1, fmt.Errorf("--status-fd %d: %w", fd, os.NewSyscallError("fcntl F_GETFL", err))
	}
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return -1, fmt.Errorf("--status-fd %d: it cannot be written to", fd)
	}
	return fd, nil
}

// choice reads a flag whose values have names.
func choice(c *cli.Context, flag string, list []criu.Choice) (*criu.Choice, error) {
	name := c.String(flag)
	if name == "" {
		return nil, nil
	}
	chosen, err := criu.Choose(list, name)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return chosen, nil
}

// pageServer reads ADDRESS:PORT.
func pageServer(text string) (*criu.PageServer, error) {
	if text == "" {
		return nil, nil
	}
	// An address of version 6 has colons itself, and stands in brackets.
	at := strings.LastIndexByte(text, ':')
	if at <= 0 {
		return nil, fmt.Errorf("--page-server: %q is not ADDRESS:PORT", text)
	}
	address, port := strings.Trim(text[:at], "[]"), text[at+1:]
	if strings.Trim(address, "0123456789abcdefABCDEF.:") != "" {
		return nil, fmt.Errorf("--page-server: %q is no IP address: CRIU looks up no names", address)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("--page-server: %q is no port", port)
	}
	return &criu.PageServer{Address: address, Port: uint16(n)}, nil
}
