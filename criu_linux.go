package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/spec"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var errNotRoot = errors.New("needs the machine's root: CRIU reads and makes what belongs to the whole machine")

// oldestCriu is the version from which on all that is asked of CRIU is there: --lsm-profile
// and --lsm-mount-context are the youngest.
const oldestCriu = 31600

// oldestSkip is the same for --network-lock skip.
const oldestSkip = 31800

// find finds CRIU and makes sure that it is not too old.
func (r *criuRequest) find() (err error) {
	if r.file, err = criu.Look(); err != nil {
		return err
	}
	a, err := criu.Query(r.file, criu.VersionQuery, criu.Features{})
	switch {
	case err != nil:
		return err
	case a.Version < oldestCriu:
		return fmt.Errorf("%s is version %s: %s is the oldest that will do", r.file, criu.VersionText(a.Version), criu.VersionText(oldestCriu))
	case a.Version < oldestSkip && r.NetworkLock != nil && r.NetworkLock.Name == "skip":
		return fmt.Errorf("--network-lock skip: %s is version %s, and %s the oldest that knows it", r.file, criu.VersionText(a.Version), criu.VersionText(oldestSkip))
	}
	return nil
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

// descriptorsFile is in the directory of the images: what the container's standard streams
// were, in CRIU's words, so that those of restore can take their places. The name and
// the form are runc's.
const descriptorsFile = "descriptors.json"
