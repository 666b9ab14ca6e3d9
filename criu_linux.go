package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/spec"
)

// oldestCriu is the version from which on all that is asked of CRIU is there: --lsm-profile
// and --lsm-mount-context are the youngest.
const oldestCriu = 31600

// findCriu finds CRIU and makes sure that it is not too old.
func findCriu() (string, error) {
	file, err := criu.Look()
	if err != nil {
		return "", err
	}
	a, err := criu.Query(file, criu.VersionQuery, criu.Features{})
	if err != nil {
		return "", err
	}
	if a.Version < oldestCriu {
		return "", fmt.Errorf("%s is version %s: %s is the oldest that will do", file, criu.VersionText(a.Version), criu.VersionText(oldestCriu))
	}
	return file, nil
}

// criuFeatures makes sure that kernel and CRIU can do what only some can.
func criuFeatures(file string, want criu.Features) error {
	if want == (criu.Features{}) {
		return nil
	}
	a, err := criu.Query(file, criu.FeatureCheck, want)
	if err != nil {
		return err
	}
	if want.MemTrack && !a.Features.MemTrack {
		return errors.New("--pre-dump: the kernel does not tell which pages were written to (criu check --feature mem_dirty_track)")
	}
	if want.LazyPages && !a.Features.LazyPages {
		return errors.New("--lazy-pages: the kernel lacks what CRIU needs of userfaultfd (criu check --feature uffd-noncoop)")
	}
	return nil
}

// The files that CRIU may read its settings from; the first is this runtime's own, the
// second that of runc, whose containers may have come here.
var criuConfigs = []string{"/etc/criu/oci-mini.conf", "/etc/criu/runc.conf"}

// criuConfig is the file of settings that CRIU is to read after all that the runtime says,
// so that it has the last word; "" for none.
func criuConfig(s *specs.Spec, bundle string) (string, error) {
	if _, said := s.Annotations[annotationCriuConfig]; !said {
		for _, file := range criuConfigs {
			if unix.Access(file, unix.F_OK) == nil {
				return file, nil
			}
		}
		return "", nil
	}
	file := annotatedPath(s, bundle, annotationCriuConfig)
	if file == "" {
		return "", nil
	}
	// CRIU passes over a file that is not there.
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return "", fmt.Errorf("/annotations/%s: %w", annotationCriuConfig, &os.PathError{Op: "stat", Path: file, Err: err})
	}
	return file, nil
}

// uncheckpointable lists what of a config CRIU cannot keep, or what could lead it astray.
func (b *birth) uncheckpointable() []error {
	var faults []error
	fault := func(pointer, format string, args ...any) {
		faults = append(faults, fmt.Errorf(pointer+": "+format, args...))
	}
	if b.host.euid != 0 || !b.host.initial {
		return []error{errNotRoot}
	}
	for _, m := range b.mounts {
		if c := misleading(m.dest); c != "" {
			fault(m.field()+"/destination", "%q has %s: CRIU, which tells mounts apart by their paths, would take a part of it for another's", m.dest, c)
		}
		if m.owners != nil {
			fault(m.field()+"/options", "CRIU keeps no mapping of the owners of files")
		}
		if m.opt.DestNoFollow {
			fault(m.field()+"/options", "dest-nofollow: CRIU mounts on no symbolic link")
		}
	}
	if l := b.spec.Linux; l != nil {
		for i, p := range l.MaskedPaths {
			if c := misleading(p); c != "" {
				fault(fmt.Sprintf("/linux/maskedPaths/%d", i), "%q has %s: CRIU, which tells mounts apart by their paths, would take a part of it for another's", p, c)
			}
		}
		for i, ns := range l.Namespaces {
			if ns.Path != "" && !slices.Contains(joinedByCriu, ns.Type) {
				fault(fmt.Sprintf("/linux/namespaces/%d/path", i), "CRIU cannot put processes into a %s namespace that exists", ns.Type)
			}
		}
	}
	if b.chroots() {
		fault("/linux/namespaces", "CRIU keeps only containers with a mount namespace of their own, which they were pivoted into")
	}
	if b.inUsers() {
		fault("/linux/namespaces", "checkpoint and restore of a container with a user namespace are not supported")
	}
	if b.agent != "" {
		fault("/linux/seccomp/listenerPath", "CRIU cannot keep the connection between a filter and its agent")
	}
	if name := b.spec.Annotations[annotationDelegate]; name != "" {
		fault("/annotations/"+annotationDelegate, "CRIU would root the container's cgroup namespace in the cgroup %s", name)
	}
	if b.opt.overlay != nil {
		fault("--overlay", "its upper layer is in no image")
	}
	return faults
}

// joinedByCriu are the kinds of namespaces that restored processes can be put into: net and
// pid by a descriptor, the others by their path.
var joinedByCriu = []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace}

// misleading says what in a path is not safe to hand to CRIU, or "". Its options have the
// form mnt[PATH]:NAME, so that "]:" ends the path early (CVE-2026-119101, CVE-2026-115520);
// the others it takes for the end of something elsewhere: in lists, in lines, and in
// mountinfo.
func misleading(p string) string {
	switch {
	case strings.Contains(p, "]:"):
		return `"]:"`
	case strings.Contains(p, ","):
		return "a comma"
	case strings.Contains(p, "\n"):
		return "a newline"
	case strings.Contains(p, `\`):
		return "a backslash"
	case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "a control character"
	}
	return ""
}

// externalNamespace is how CRIU calls a namespace that is not in the images, by its kind
// (criu.org/External_net_ns).
func externalNamespace(kind specs.LinuxNamespaceType) string {
	switch kind {
	case specs.NetworkNamespace:
		return "extRootNetNS"
	case specs.PIDNamespace:
		return "extRootPidNS"
	}
	return ""
}

// criuNamespace is CRIU's word for a kind, which is that of /proc/PID/ns.
func criuNamespace(kind specs.LinuxNamespaceType) string {
	if n := spec.LookupNamespace(kind); n != nil {
		return n.File
	}
	return string(kind)
}

// converse asks CRIU and does the runtime's part of what it tells of, until it is done.
func (r *criuRequest) converse(s *criu.Session, kind criu.Kind, heed func() error, do func(*criu.Answer) error) (*criu.Answer, error) {
	if err := s.Begin(); err != nil {
		return nil, err
	}
	if err := s.Ask(kind, &r.Options, criu.Features{}); err != nil {
		return nil, err
	}
	for {
		a, err := s.Next(heed)
		if err != nil {
			return nil, r.explained(kind, err)
		}
		if a.Notice == "" {
			if !a.Success {
				err = errors.New("criu could not do it")
				if a.Message != "" {
					err = errors.New(criu.Clean(a.Message))
				}
				return nil, r.explained(kind, err)
			}
			return a, nil
		}
		err = do(a)
		if a.Fd >= 0 {
			unix.Close(a.Fd)
		}
		if err != nil {
			return nil, err
		}
		if err := s.Go(); err != nil {
			return nil, r.explained(kind, err)
		}
	}
}

// explained adds the last errors of CRIU's log to what is known of a failure, and where the
// whole of it is.
func (r *criuRequest) explained(kind criu.Kind, err error) error {
	lines := criu.LastErrors(r.logPath())
	if len(lines) > 0 {
		err = fmt.Errorf("%s; the whole log is %s", strings.Join(lines, "; "), r.logPath())
	}
	return &criuError{kind, err}
}

// criuError is a failure of CRIU itself.
type criuError struct {
	kind criu.Kind
	err  error
}

func (e *criuError) Error() string { return fmt.Sprintf("criu %s: %v", e.kind, e.err) }
func (e *criuError) Unwrap() error { return e.err }

// statusReady tells whoever waits at --status-fd that the pages can be asked for.
func (r *criuRequest) statusReady() error {
	if r.statusFd < 0 {
		return nil
	}
	_, err := unix.Write(r.statusFd, []byte{0})
	unix.Close(r.statusFd)
	r.statusFd = -1
	return os.NewSyscallError("write --status-fd", err)
}

// descriptorsFile is in the directory of the images: what the container's standard streams
// were, in CRIU's words, so that those of restore can take their places. The name and
// the form are runc's.
const descriptorsFile = "descriptors.json"

// criuHint is advice for what CRIU says, or "".
func criuHint(err error) string {
	var failed *criuError
	text := err.Error()
	switch {
	case errors.Is(err, criu.ErrMissing):
		return "checkpoint and restore are done by CRIU: install the package criu"
	case !errors.As(err, &failed):
		return ""
	case strings.Contains(text, "iptables-restore"):
		return "CRIU calls iptables to lock the network: install it, or give --network-lock nftables or skip"
	case strings.Contains(text, "--shell-job"):
		return "the container has a terminal or session of somebody outside: give --shell-job to checkpoint and to restore"
	case strings.Contains(text, "tcp-established"):
		return "give --tcp-established to checkpoint and to restore"
	case strings.Contains(text, "ext-unix-sk"), strings.Contains(text, "External socket is used"):
		return "give --ext-unix-sk to checkpoint and to restore"
	case strings.Contains(text, "file-locks"), strings.Contains(text, "Some file locks"):
		return "give --file-locks to checkpoint and to restore"
	case strings.Contains(text, "ghost file"):
		return "the setting ghost-limit in the file of org.criu.config is how much of a file without a name CRIU keeps"
	case strings.Contains(text, "vdso"), strings.Contains(text, "kerndat"):
		return "criu check tells whether this kernel and this CRIU suit each other"
	}
	return ""
}
