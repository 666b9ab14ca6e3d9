package main

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/netdev"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/seal"
	"github.com/oci-mini/oci-mini/internal/seccomp"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/terminal"
)

// birthOptions are what the command line adds to the config.
type birthOptions struct {
	noPivot       bool
	noNewKeyring  bool
	preserveFds   int      // from 3 on, those of socket activation included
	env           []string // set over the config's
	stateDir      string   // of the container, for others to tell whose it is
	consoleSocket string
	overlay       *overlay // nil: the rootfs itself
	// pid is that of the first process of a container that exists, or 0; rootDir its open
	// root directory, if that is not its mount namespace's.
	pid, rootDir int
	// openRoot opens the root directory of that container, for the caller to close.
	openRoot func() (int, error)
	// firstStays says of an exec that the container's first process has not the capabilities
	// to leave its root directory; see mayLeave.
	firstStays bool
	// wait makes the container wait for `start`, in the state "created".
	wait bool
}

// birth is a container being made. Its first fields decide the Plan; the later
// ones are filled by the Plan's own steps.
type birth struct {
	id     string
	bundle string // absolute
	rootfs string // absolute
	spec   *specs.Spec
	host   *host
	opt    birthOptions

	ns      namespaces
	mounts  []*mount
	caps    *capabilities
	filter  *seccomp.Filter // nil without /linux/seccomp
	agent   string          // socket of whom the filter's listener goes to, or ""
	cgroups *cgroups
	rdt     *rdt
	env     []string
	joins   bool // an exec: the container exists
	// groupsDenied: setgroups(2) is denied where the process is to be. Whether the caller's
	// groups stay is another matter; see keepsGroups.
	groupsDenied bool
	// noCgroup is why the container goes without a cgroup, if it is a user without the
	// right to one who makes it.
	noCgroup error
	// explains fills plan.Step.Shell, which nobody reads elsewhere.
	explains bool

	root           program.Arg   // the container's root directory
	hostTree       *tree         // of a container that is built aside
	built          program.Label // where its first process goes on
	bareProc       []string      // where the host has procfs and sysfs, for leavesHostMounts
	rootfsFd       int           // the clone of the rootfs, as the runtime has it
	procFd, nullFd int
	startFd        int         // listening socket of a container that waits
	startConn      program.Reg // and start's connection to it
	nsFds          []int
	early          map[int]program.Reg    // 1: joined by joinEarly; by index of the namespace
	uids, gids     []specs.LinuxIDMapping // of the user namespace, once they are known
	opened         []int                  // to close once init has its copies
	slave          program.Reg
	consoleSockets [2]int // the runtime's end and init's, over which the pty's master comes
	mountSockets   [2]int // and those over which mounts come that the runtime has work with, see openMountSockets
	agentFd        int    // connection to the agent
	containerFd    int    // pidfd of the container that exec joins
	containerRoot  int    // its root directory, if that is not its mount namespace's
	cgroup         *cgroup.Cgroup
	entered        *cgroup.Cgroup // below that, where the first process is; nil: in it
	threadBack     func() error
	cloneOn        unix.CPUSetDynamic // CPUs for the clone of an exec, nil: any
	affinityBack   unix.CPUSetDynamic // those of the thread that clones
	dir            *state.Dir
	view           *seal.View
	trees          []*tree
	borrowed       []*borrowed
	settled        bool
	hooked         bool // the container has come so far that its hooks run
	signals        *terminal.Signals
	launched       func() error // called once init works
	code           *program.Program
	child          *program.Child
	aside          []*program.Child // processes that have done what they were for
	master         *os.File
	netRoute       *netdev.Route // between the host's network namespace and the container's
	notifier       *notifier     // of a run whose caller listens for readiness
	restored       *restoration  // nil: a new container
}

// newBirth understands the config for a host. It is a pure function of both:
// nothing is opened or made yet. All that it cannot do is reported at once.
func newBirth(id, bundle, rootfs string, s *specs.Spec, h *host, opt birthOptions) (*birth, error) {
	b := &birth{
		id: id, bundle: bundle, rootfs: rootfs, spec: s, host: h, opt: opt,
		ns: namespacesOf(s), procFd: -1, nullFd: -1, startFd: -1,
	}
	b.groupsDenied = b.deniesGroups()
	faults := append(unsupported(s), mapped(s)...)
	var more []error
	b.mounts, more = mountsOf(s, bundle, rootfs)
	faults = append(faults, more...)
	faults = append(faults, b.checkRights()...)
	b.rdt = rdtOf(s, id)
	b.cgroups, more, b.noCgroup = cgroupsOf(s, id, h, &b.opt)
	faults = append(faults, more...)
	if s.Process != nil {
		b.caps = capabilitiesOf(s.Process.Capabilities)
		if !b.ns.private(unix.CLONE_NEWUSER) { // which has them all inside
			b.caps.limit(h.capabilities)
		}
	}
	if err := opt.overlay.check(b); err != nil {
		faults = append(faults, err)
	}
	if err := b.netDevicesNeed(); err != nil {
		faults = append(faults, err)
	}
	if err := b.checkSubCgroup(); err != nil {
		faults = append(faults, err)
	}
	faults = append(faults, b.checkJoinedMounts()...)
	faults = append(faults, b.checkLabels()...)
	faults = append(faults, b.compileFilter()...)
	if b.ownUsers() {
		b.uids, b.gids = s.Linux.UIDMappings, s.Linux.GIDMappings
		faults = append(faults, b.nestMaps()...)
	}
	if len(faults) > 0 {
		return nil, faultList(faults)
	}
	if p := s.Process; p != nil {
		b.env = environment(append(p.Env[:len(p.Env):len(p.Env)], opt.env...), func() string { return h.home(b, p.User.UID) })
	}
	return b, nil
}

// plan is the order of a container's birth.
func (b *birth) plan() *plan.Plan {
	p := &plan.Plan{Caller: b.shellCaller(), Steps: make([]plan.Step, 0, 96)}

	// The runtime opens and makes what only it can.
	p.Add(b.reachAgent()...)
	p.Add(b.makeCgroup()...)
	p.Add(b.makeRdt()...)
	p.Add(b.openNamespaces()...)
	p.Add(b.checkOwner()...)
	p.Add(b.openRoot()...)
	p.Add(b.openHostTree()...)
	p.Add(b.openSources()...)
	p.Add(b.mapOwners(true)...)
	p.Add(b.openLent()...)
	p.Add(b.openMasks()...)
	p.Add(b.borrowDevices()...)
	p.Add(b.openHostProc()...)
	p.Add(b.openConsoleSocket()...)
	p.Add(b.findBareProc()...)
	p.Add(b.lockTrees()...)
	p.AddClone(b.clone())
	p.Add(b.filterBeside()...)
	p.Add(b.dissolveView()...)

	// The first process builds its surroundings.
	p.Add(b.swapBinary()...)
	p.Add(b.forget())
	p.Add(b.oomScore()...)
	p.Add(b.hide()...)
	p.Add(b.joinEarly()...)
	p.Add(b.joinMountsFirst()...)
	p.Add(b.enterUsers()...)
	p.Add(b.newTimeNamespace()...)
	p.Add(b.startUnit()...)
	p.Add(b.mapUsers()...)
	p.Add(b.checkJoinedUsers()...)
	p.Add(b.shiftClocks()...)
	p.Add(b.ownStreams()...)
	p.Add(b.delegateCgroup(false)...)
	p.Add(b.adoptTrees()...)
	p.Add(b.mapOwners(false)...)
	p.Add(b.becomeRoot()...)
	p.Add(b.fillLate()...)
	p.Add(b.enterTime()...)
	p.Add(b.enterPids()...)
	p.Add(b.joinNamespaces()...)
	p.Add(b.newCgroupNamespace()...)
	p.Add(b.enterSubCgroup()...)
	p.Add(b.session())
	p.Add(b.keyring()...)
	p.Add(b.buildAside()...)
	p.Add(b.attachRoot()...)
	p.Add(b.mountAll()...)
	p.Add(b.devices()...)
	p.Add(b.console(true)...)
	p.Add(b.finishMounts()...)
	p.Add(b.makeWorkingDirectory()...)
	p.Add(b.runtimeHooks()...)
	p.Add(b.moveNetDevices()...)
	p.Add(b.joinRdt()...)
	p.Add(b.containerHooks()...)
	p.Add(b.detachBareProc()...)
	p.Add(b.enterRoot()...)
	p.Add(b.identity()...)
	p.Add(b.sysctls()...)
	p.Add(b.cover()...)
	p.Add(b.joinMounts()...)

	// Then it becomes the process of the config.
	p.Add(b.processLabels()...)
	found := b.becomeProcess(p)
	p.Add(b.closeDescriptors())
	p.Add(b.resetSignals())
	p.Add(b.limitCgroup()...)
	p.Add(b.tellLent()...)
	p.Add(b.settle())
	if b.opt.wait {
		p.Add(b.waitForStart())
	} else {
		p.Add(b.startHooks()...)
	}
	p.Add(b.limitFiles()...)
	p.Add(b.installFilter()...)
	p.Add(b.execute(found)...)
	return p
}

// becomeProcess adds what makes a process in its surroundings the one of the
// config, up to knowing its executable. It is the same for a container's first
// process and for those of exec.
func (b *birth) becomeProcess(p *plan.Plan) (found *program.Reg) {
	found = new(program.Reg)
	p.Add(b.scheduling()...)
	p.Add(b.limits()...)
	p.Add(b.personality()...)
	p.Add(b.ownNull()...)
	p.Add(b.standardStreams()...)
	p.Add(b.closeRest())
	before, after := b.workingDirectory()
	p.Add(before...)
	p.Add(b.privileges()...)
	p.Add(after...)
	p.Add(b.findExecutable(found)...)
	p.Add(b.umask()...)
	return found
}

// clone is the step that creates the first process.
func (b *birth) clone() plan.Step {
	where := ""
	if b.cgroups.unified() {
		where = ", born in its cgroup"
	}
	reason := "the cgroup namespace is missing here: it must be made inside the cgroup"
	if b.ns.staged {
		reason = "it enters the user namespace later, and makes the others in there"
	}
	return plan.Step{
		Field: "/linux/namespaces", By: plan.Runtime,
		Words:  "clone the first process; " + b.ns.words() + where,
		Reason: reason,
		Shell:  b.typed(b.shellClone),
	}
}
