package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/entry"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/seal"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/terminal"
	"github.com/oci-mini/oci-mini/spec"
)

// birthFlags are shared by create and run.
var birthFlags = []cli.Flag{
	&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` of the bundle", DefaultText: "current directory"},
	&cli.StringFlag{Name: "config", Aliases: []string{"f"}, Usage: "read this `FILE` instead of the bundle's config.json"},
	&cli.StringFlag{Name: "console-socket", Usage: "send the pty's master to this AF_UNIX `SOCKET`"},
	&cli.StringFlag{Name: "pidfd-socket", Usage: "send the first process's pidfd to this AF_UNIX `SOCKET`"},
	&cli.StringFlag{Name: "pid-file", Usage: "write the first process's pid to this `FILE`"},
	&cli.GenericFlag{Name: "overlay", Value: &overlayFlag{}, Usage: "leave the rootfs as it is: changes go to a tmpfs, or are kept in `DIR` (--overlay=DIR)"},
	&cli.BoolFlag{Name: "no-pivot", Usage: "change the root without pivot_root, for an initramfs"},
	&cli.BoolFlag{Name: "no-new-keyring", Usage: "keep the caller's session keyring"},
	&cli.IntFlag{Name: "preserve-fds", Usage: "pass `N` more descriptors, from 3 on"},
}

var createCommand = &cli.Command{
	Name:      "create",
	Usage:     "make a container that waits for start",
	ArgsUsage: "[BUNDLE/] ID",
	Flags: append([]cli.Flag{
		&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "accepted for callers that send it: create never waits"},
		&cli.BoolFlag{Name: "no-subreaper", Hidden: true, Usage: "accepted for crun's callers: create is none"},
	}, birthFlags...),
	Action: func(c *cli.Context) error {
		r, err := requestOf(c)
		if err != nil {
			return failed(c, "", err)
		}
		r.opt.wait, r.detach = true, true
		made, err := r.create()
		if err != nil {
			return failed(c, r.id, err)
		}
		return failed(c, r.id, made.finish(r))
	},
}

// request is a container to be made, as the command line asks for it.
type request struct {
	store         *state.Store
	id            string
	bundle        string
	config        string
	pidFile       string
	pidfdSocket   string
	cgroupManager string
	rootless      string
	detach        bool
	opt           birthOptions
	named         bool         // the bundle is, by an argument or --bundle
	restore       *criuRequest // nil: a new container
}

var errNoID = errors.New("needs a container id, or a bundle such as ./bundle/")

// requestOf reads the flags of create and run.
func requestOf(c *cli.Context) (*request, error) {
	if err := arguments(c, 0, 2); err != nil {
		return nil, err
	}
	if c.NArg() == 0 && c.Command.Name != "explain" {
		// With --bundle too: the specification wants an error where no id is given.
		return nil, errNoID
	}
	r := &request{store: storeOf(c), config: c.String("config"), pidFile: c.String("pid-file"), pidfdSocket: c.String("pidfd-socket"), cgroupManager: c.String("cgroup-manager"), rootless: c.String("rootless")}
	bundle := c.String("bundle")
	r.named = bundle != "" || c.NArg() != 1 || isBundle(c.Args().First())
	var err error
	if r.bundle, r.id, err = bundleAndID(c.Args().Slice(), bundle); err != nil {
		return nil, err
	}
	if c.Bool("systemd-cgroup") {
		r.cgroupManager = bySystemd
	}
	if m := r.cgroupManager; m != byCgroupfs && m != bySystemd && m != "disabled" {
		return nil, fmt.Errorf("--cgroup-manager: %q is not cgroupfs, systemd or disabled", m)
	}
	r.opt = birthOptions{
		noPivot: c.Bool("no-pivot"), noNewKeyring: c.Bool("no-new-keyring"),
		stateDir: r.store.Path(r.id), preserveFds: c.Int("preserve-fds"), consoleSocket: c.String("console-socket"),
	}
	if f, ok := c.Generic("overlay").(*overlayFlag); ok && f.set {
		if r.opt.overlay, err = newOverlay(f.dir); err != nil {
			return nil, fmt.Errorf("--overlay: %w", err)
		}
	}
	if r.opt.preserveFds < 0 {
		return nil, errNegativeFds
	}
	return r, nil
}

// isBundle says whether an argument is a bundle, as a word without a slash is an id.
func isBundle(arg string) bool { return strings.Contains(arg, "/") || arg == "." || arg == ".." }

// bundleAndID tells the two arguments apart: an id cannot hold a slash, so an
// argument with one, or ".", is a bundle, and the directory's name is the id
// unless another argument gives one.
func bundleAndID(args []string, bundle string) (dir, id string, err error) {
	switch {
	case len(args) > 0 && isBundle(args[0]):
		if bundle != "" {
			return "", "", fmt.Errorf("%s and --bundle %s both name a bundle", args[0], bundle)
		}
		bundle, args = args[0], args[1:]
	}
	if len(args) > 1 {
		return "", "", advise(fmt.Errorf("too many arguments: %s", strings.Join(args, " ")), "the bundle comes first, and has a slash: BUNDLE/ ID")
	}
	if bundle == "" {
		bundle = "."
	}
	if dir, err = filepath.Abs(bundle); err != nil {
		return "", "", err
	}
	if len(args) == 1 {
		return dir, args[0], state.ValidID(args[0])
	}
	id = filepath.Base(dir)
	return dir, id, advise(state.ValidID(id), "the id is the directory's name unless an argument behind the bundle gives one")
}

// load reads and checks the bundle's config, and says where the rootfs is.
func (r *request) load() (s *specs.Spec, raw []byte, rootfs string, err error) {
	s, raw, err = spec.Load(r.bundle, r.config)
	if err != nil {
		advice := ""
		if r.config == "" {
			advice = loadHint(err, r.bundle, r.id, r.named)
		}
		return nil, nil, "", advise(err, advice)
	}
	if err := spec.Validate(s); err != nil {
		return nil, nil, "", advise(err, unreadHint(raw))
	}
	rootfs = s.Root.Path
	if !filepath.IsAbs(rootfs) {
		rootfs = filepath.Join(r.bundle, rootfs)
	}
	return s, raw, rootfs, nil
}

// made is a container that exists.
type made struct {
	*birth
	dir  *state.Dir
	undo *undoStack
}

// create makes the container, up to its first process waiting or running.
func (r *request) create() (_ *made, err error) {
	// Before anything is open: a container must not get a handle on the
	// host's binary that it could write to.
	view, err := seal.Prepare(seal.Container{})
	if err != nil {
		return nil, err
	}
	s, raw, rootfs, err := r.load()
	if err != nil {
		return nil, err
	}
	// Not before: a config may be a pipe that nobody writes to, and Ctrl-C ends that.
	signals, err := terminal.Catch()
	if err != nil {
		return nil, err
	}
	if err := checkTerminal(s, r.detach, r.opt.consoleSocket); err != nil {
		return nil, err
	}
	if s.Process == nil && !r.opt.wait {
		return nil, advise(errors.New("/process: required to run: the config has no process"), unreadHint(raw))
	}
	if err := r.opt.passFds(); err != nil {
		return nil, err
	}
	notifies := false
	if r.restore == nil { // a restored process has long told that it is ready
		if notifies, err = r.offerNotify(s); err != nil {
			return nil, err
		}
	}
	h, err := thisHost(r.cgroupManager, r.rootless)
	if err != nil {
		return nil, err
	}
	b, err := newBirth(r.id, r.bundle, rootfs, s, h, r.opt)
	if err != nil {
		return nil, err
	}

	if b.view = view; view != nil {
		b.opened = append(b.opened, view.Fd())
		if r.restore != nil || !b.unseen() {
			view.Dissolve()
		}
	}
	b.warn(r.detach)
	if r.restore != nil {
		if b.restored, err = b.prepareRestore(r.restore); err != nil {
			return nil, err
		}
		if err := b.restored.ready(); err != nil {
			b.restored.dirs.close()
			return nil, err
		}
	}

	b.signals = signals
	if !r.detach {
		b.launched = signals.CatchRest
	}
	undo := &undoStack{}
	defer func() {
		if err != nil {
			err = withCleanup(err, undo.unwind())
		}
	}()
	undo.push(func() error { // undone last: the container is gone then
		if b.hooked {
			b.poststop()
		}
		return nil
	})
	if err := b.findRdt(); err != nil {
		return nil, err
	}
	dir, err := r.store.Create(b.record(), raw)
	if err != nil {
		return nil, err
	}
	b.dir = dir
	undo.push(func() error { return errors.Join(dir.Remove(), dir.Close()) })
	if b.restored != nil {
		if err := b.restore(b.restored, undo); err != nil {
			return nil, err
		}
		return &made{b, dir, undo}, nil
	}
	if notifies {
		if err := makeNotifyDir(dir); err != nil {
			return nil, err
		}
	}
	if r.opt.wait {
		if b.startFd, err = listenForStart(dir); err != nil {
			return nil, err
		}
		b.opened = append(b.opened, b.startFd)
	} else if b.notifier, err = listenNotify(dir); err != nil {
		return nil, err
	}
	if err := b.carryOut(b.plan(), undo); err != nil {
		return nil, err
	}
	return &made{b, dir, undo}, nil
}

// withCleanup keeps the error of the failure in front of those of the cleaning up.
func withCleanup(err, cleanup error) error {
	if cleanup == nil {
		return err
	}
	return fmt.Errorf("%w; %w", err, cleanup)
}

// finish tells the caller which process it is, the pid file last, and lets go of
// the container.
func (m *made) finish(r *request) error {
	m.hooked = true // its poststop hooks run, whatever comes now
	err := m.announce(r.pidFile, pidfdReceiver{"--pidfd-socket", r.pidfdSocket, "standard"},
		pidfdReceiver{"annotation " + annotationPidfdReceiver, annotatedPath(m.spec, m.bundle, annotationPidfdReceiver), "standard"})
	if err != nil {
		return withCleanup(err, m.undo.unwind())
	}
	if !m.opt.wait && m.restored == nil { // it was started long ago
		if err := poststart(m.dir, m.spec); err != nil {
			return withCleanup(err, m.undo.unwind())
		}
	}
	m.undo.release()
	m.closeNetRoute()
	m.child.Release()
	m.code.Free()
	init := process.ID(m.dir.Record.Init)
	// The lock goes first: others may have to end a container that is never ready.
	err = m.dir.Close()
	switch {
	case m.notifier == nil:
	case r.detach:
		m.signals.Stop() // nobody is left to heed them
		m.notifier.relay(init, init.Pid)
	default:
		entry.AddProcessors(1)
		go m.notifier.relay(init, os.Getpid())
	}
	return err
}

// checkTerminal refuses combinations of terminal and socket that make no sense.
func checkTerminal(s *specs.Spec, detach bool, consoleSocket string) error {
	terminal := s.Process != nil && s.Process.Terminal
	switch socket := consoleSocket != ""; {
	case socket && !terminal:
		return errors.New("--console-socket: /process/terminal is false, so there is no console to send")
	case terminal && detach && !socket:
		return advise(errors.New("/process/terminal: a process that is detached needs --console-socket"),
			`a process does without a terminal by "terminal": false in its config, and no --tty`)
	case socket && !detach:
		return errors.New("--console-socket: only for a process that is detached: in the foreground, the terminal is the caller's")
	}
	return nil
}

// record is the state before the first side effect: it names all that is to come.
func (b *birth) record() *state.Record {
	rec := &state.Record{
		ID: b.id, Bundle: b.bundle, Rootfs: b.rootfs, Created: time.Now().UTC(), Owner: uint32(b.host.euid),
		OCIVersion: specs.Version, Annotations: b.spec.Annotations, Phase: state.Creating, HasProcess: b.spec.Process != nil,
		Terminal: b.hasTerminal(), OwnPids: b.ns.isNew(unix.CLONE_NEWPID), NoPivot: b.chroots() || b.mountsByPath() >= 0,
		OldKeyring: b.opt.noNewKeyring, SeccompAgent: b.agent, NoHooks: b.spec.Hooks == nil,
	}
	if b.agent != "" {
		rec.SeccompMetadata = b.spec.Linux.Seccomp.ListenerMetadata
	}
	if b.cgroups != nil {
		rec.Cgroup.Manager = byCgroupfs
		if s := b.cgroups.scope; s != nil {
			rec.Cgroup.Manager, rec.Cgroup.Unit = bySystemd, s.Name
			if s.user {
				rec.Cgroup.Manager = byUserSystemd
			}
		}
		for _, dir := range b.cgroups.dirs.Paths() {
			// What exists already may be somebody else's: delete must not clear
			// it out after a runtime that died before it knew (see settle).
			if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
				rec.Cgroup.Dirs = append(rec.Cgroup.Dirs, dir)
			}
		}
	}
	if !rec.Terminal {
		rec.Streams = b.host.streams
	}
	rec.Rdt = b.rdt.record()
	if self, err := process.Self(); err == nil {
		rec.Creator = state.Process(self)
	}
	return rec
}

// writePidFile writes the pid in decimal digits without a newline, which is how
// engines read it, to a hidden name first: whoever waits for the file sees all of it.
func writePidFile(file string, pid int) error {
	tmp := filepath.Join(filepath.Dir(file), fmt.Sprintf(".%s.%d", filepath.Base(file), os.Getpid()))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_TRUNC, 0o666)
	if err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	_, err = fmt.Fprint(f, pid)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, file)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("--pid-file: %w", err)
	}
	return nil
}
