package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

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
	&cli.StringFlag{Name: "manage-cgroups-mode", Usage: "what CRIU does about cgroups: `MODE` ignore, none, props, soft, full or strict", DefaultText: "soft where the container has cgroups of its own making, else ignore"},
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
		TCPEstablished: c.Bool("tcp-established"), TCPSkipInFlight: c.Bool("tcp-skip-in-flight"), TCPClose: c.Bool("tcp-close"),
		LinkRemap: c.Bool("link-remap"), ExtUnixSk: c.Bool("ext-unix-sk"), ShellJob: c.Bool("shell-job"),
		FileLocks: c.Bool("file-locks"), AutoDedup: c.Bool("auto-dedup"), LazyPages: c.Bool("lazy-pages"),
		LsmProfile: c.String("lsm-profile"), LsmMountContext: c.String("lsm-mount-context"),
	}
	r.TrackMem = r.ParentImage != ""
	if c.IsSet("status-fd") {
		r.statusFd = c.Int("status-fd")
		flags, err := unix.FcntlInt(uintptr(r.statusFd), unix.F_GETFL, 0)
		if err != nil {
			return nil, fmt.Errorf("--status-fd %d: %w", r.statusFd, os.NewSyscallError("fcntl F_GETFL", err))
		}
		if flags&unix.O_ACCMODE == unix.O_RDONLY {
			return nil, fmt.Errorf("--status-fd %d: it cannot be written to", r.statusFd)
		}
	}
	for _, name := range c.StringSlice("empty-ns") {
		if name != "network" {
			return nil, fmt.Errorf("--empty-ns: %q: CRIU knows this for network alone", name)
		}
	}
	if r.ManageCgroups, err = choice(c, "manage-cgroups-mode", criu.CgroupModes); err != nil {
		return nil, err
	}
	if r.NetworkLock, err = choice(c, "network-lock", criu.NetworkLocks); err != nil {
		return nil, err
	}
	r.PageServer, err = pageServer(c.String("page-server"))
	return r, err
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
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("--page-server: %q is no port", port)
	}
	return &criu.PageServer{Address: address, Port: uint16(n)}, nil
}

// parentImages checks that the images that a dump builds on are there: what CRIU says of
// others does not name them.
func (r *criuRequest) parentImages() error {
	if r.ParentImage == "" {
		return nil
	}
	if filepath.IsAbs(r.ParentImage) {
		return fmt.Errorf("--parent-path: %s must be relative to that of the images, so that both can be moved", r.ParentImage)
	}
	dir := filepath.Join(r.images, r.ParentImage)
	fd, err := openCriuDir("--parent-path", dir, false, imagesAreWhose)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := trustImages(fd, dir); err != nil {
		return fmt.Errorf("--parent-path: %w", err)
	}
	return nil
}

// open opens the directories; with create they are made, for their owner alone: an image
// has all of the container's memory in it. Those that others may write to are refused, and
// without create the images too. The caller is to close what it returns.
func (r *criuRequest) open(create bool) (_ *criuDirs, err error) {
	d := &criuDirs{images: -1, work: -1}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.images, err = openCriuDir("--image-path", r.images, create, imagesAreWhose); err != nil {
		return nil, err
	}
	if !create {
		if err = trustImages(d.images, r.images); err != nil {
			return nil, fmt.Errorf("--image-path: %w", err)
		}
	}
	r.ImagesDir = d.images
	if r.work == "" {
		return d, nil
	}
	if d.work, err = openCriuDir("--work-path", r.work, true, "use a directory of root's, with mode 0700"); err != nil {
		return nil, err
	}
	r.WorkDir = d.work
	return d, nil
}

// criuDirs are open directories of a request. CRIU opens them again through this process.
type criuDirs struct{ images, work int }

func (d *criuDirs) close() {
	for _, fd := range []int{d.images, d.work} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// openCriuDir opens a directory in which nobody but root may write, or tells the remedy.
func openCriuDir(flag, dir string, create bool, remedy string) (int, error) {
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return -1, fmt.Errorf("%s: %w", flag, err)
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", flag, &os.PathError{Op: "open", Path: dir, Err: err})
	}
	if err := trustDir(fd, dir, remedy); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("%s: %w", flag, err)
	}
	return fd, nil
}

// logPath is CRIU's log.
func (r *criuRequest) logPath() string {
	dir := r.work
	if dir == "" {
		dir = r.images
	}
	return filepath.Join(dir, r.LogFile)
}

var errNotRoot = errors.New("needs the machine's root: CRIU reads and makes what belongs to the whole machine")
