package spec

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Validate judges the values of a configuration and returns all that is wrong as
// [Faults], or nil. It covers every demand of runtime-spec 1.3 on a Linux
// container that can be decided without looking at the host, and refuses what the
// kernel would refuse or, worse, silently change.
//
// A process is not demanded: only start needs one (runtime-spec, config.md,
// "Process"). Neither are mounts or the linux object.
func Validate(s *specs.Spec) error {
	if s == nil {
		return Faults{{"", "must be an object, is null"}}
	}
	var (
		c   checker
		top *pointer
	)
	c.version(top.field("ociVersion"), s.Version)
	if s.Process != nil {
		at := top.field("process")
		c.process(&at, s.Process)
	}
	c.root(top.field("root"), s.Root)

	joined := namespacesOf(s.Linux)
	c.utsName(top.field("hostname"), s.Hostname, joined)
	c.utsName(top.field("domainname"), s.Domainname, joined)
	at := top.field("mounts")
	for i := range s.Mounts {
		mount := at.item(i)
		c.mount(&mount, &s.Mounts[i], joined)
	}
	if s.Hooks != nil {
		at := top.field("hooks")
		c.hooks(&at, s.Hooks)
	}
	if _, ok := s.Annotations[""]; ok {
		at := top.field("annotations")
		c.bad(at.field(""), "must have a name")
	}
	if s.Linux != nil {
		at := top.field("linux")
		c.linux(&at, s)
	}
	return c.result()
}

// ValidateProcess judges a process by itself, such as that of an exec, as
// [Validate] does. The pointers of its faults start at the process.
func ValidateProcess(p *specs.Process) error {
	if p == nil {
		return Faults{{"", "must be an object, is null"}}
	}
	var c checker
	c.process(nil, p)
	return c.result()
}

// ValidateSeccomp judges a profile by itself, such as that of a container which an
// exec joins, as [Validate] does. The pointers of its faults are those of the document.
func ValidateSeccomp(s *specs.LinuxSeccomp) error {
	var c checker
	linux := (*pointer)(nil).field("linux")
	at := linux.field("seccomp")
	c.seccomp(&at, s)
	return c.result()
}

// ValidateResources judges resources by themselves, such as those of an update,
// as [Validate] does. The pointers of its faults start at the resources.
func ValidateResources(r *specs.LinuxResources) error {
	if r == nil {
		return Faults{{"", "must be an object, is null"}}
	}
	var c checker
	c.resources(nil, r)
	return c.result()
}

// OldestVersion is the first version of the specification that is understood. Its drafts,
// which are 1.0.0-rc1 and so on, had other fields: some of them would be passed over as
// unknown. The latest is specs.Version; what a version behind that adds is unknown.
const OldestVersion = "1.0.0"

func (c *checker) version(at pointer, version string) {
	switch {
	case version == "":
		c.bad(at, "is required: the version of the runtime specification, such as %s", specs.Version)
	case !isSemVer(version):
		c.bad(at, "must be a version as of SemVer 2.0.0, such as %s, is %q", specs.Version, version)
	case !strings.HasPrefix(version, "1."):
		c.bad(at, "must be a version 1 of the runtime specification, is %q", version)
	case strings.HasPrefix(version, OldestVersion+"-"):
		c.bad(at, "must be %s or later, is %q: in a draft of the specification, fields had other names and meanings", OldestVersion, version)
	}
}

// isSemVer tells whether a version has the form of SemVer 2.0.0: three numbers,
// perhaps a pre-release after a minus sign, perhaps a build after a plus sign.
func isSemVer(version string) bool {
	version, build, hasBuild := strings.Cut(version, "+")
	if hasBuild && !areIdentifiers(build, false) {
		return false
	}
	core, pre, hasPre := strings.Cut(version, "-")
	if hasPre && !areIdentifiers(pre, true) {
		return false
	}
	return strings.Count(core, ".") == 2 && !strings.ContainsFunc(core, isNotDigitOrDot) &&
		areIdentifiers(core, true)
}

func isNotDigitOrDot(r rune) bool { return r != '.' && (r < '0' || r > '9') }

// areIdentifiers tells whether a text is made of identifiers with dots between
// them. In a strict one, numbers have no leading zero.
func areIdentifiers(text string, strict bool) bool {
	for id := range strings.SplitSeq(text, ".") {
		number := true
		for _, r := range id {
			switch {
			case r >= '0' && r <= '9':
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '-':
				number = false
			default:
				return false
			}
		}
		if id == "" || strict && number && len(id) > 1 && id[0] == '0' {
			return false
		}
	}
	return true
}

func (c *checker) root(at pointer, root *specs.Root) {
	switch {
	case root == nil:
		c.bad(at, "is required")
	case root.Path == "":
		c.bad(at.field("path"), "is required: the directory that becomes the container's root")
	default:
		c.text(at.field("path"), root.Path)
	}
}

// utsName checks a host or domain name, which the kernel keeps in the uts
// namespace (sethostname(2), setdomainname(2)).
func (c *checker) utsName(at pointer, name string, joined namespaces) {
	if name == "" {
		return
	}
	const most = 64 // __NEW_UTS_LEN
	if len(name) > most {
		c.bad(at, "must have at most %d bytes, has %d", most, len(name))
	}
	c.text(at, name)
	if !joined.has(unix.CLONE_NEWUTS) {
		c.bad(at, "needs a uts namespace in /linux/namespaces, or it would be set on the host")
	}
}

// mount checks one mount. A relative destination is allowed, for old tools, and
// starts from the root (config.md, "Mounts"). What the options mean is not judged
// here: an unknown one belongs to the file system.
func (c *checker) mount(at *pointer, m *specs.Mount, joined namespaces) {
	if m.Destination == "" {
		c.bad(at.field("destination"), "must not be empty")
	}
	c.text(at.field("destination"), m.Destination)
	c.text(at.field("type"), m.Type)
	c.text(at.field("source"), m.Source)
	options := at.field("options")
	c.texts(options, m.Options)

	uids, gids := at.field("uidMappings"), at.field("gidMappings")
	switch {
	case len(m.UIDMappings) > 0 && len(m.GIDMappings) == 0:
		c.bad(gids, "is required along with uidMappings")
	case len(m.GIDMappings) > 0 && len(m.UIDMappings) == 0:
		c.bad(uids, "is required along with gidMappings")
	case len(m.UIDMappings) == 0 && !joined.has(unix.CLONE_NEWUSER):
		for i, option := range m.Options {
			if option == "idmap" || option == "ridmap" {
				c.bad(options.item(i), "needs uidMappings and gidMappings, or a user namespace in /linux/namespaces whose mappings it takes")
			}
		}
	}
	c.mappings(uids, m.UIDMappings)
	c.mappings(gids, m.GIDMappings)
}

func (c *checker) hooks(at *pointer, h *specs.Hooks) {
	//lint:ignore SA1019 deprecated for those who write configurations, not for those who run them
	c.hookList(at.field("prestart"), h.Prestart)
	c.hookList(at.field("createRuntime"), h.CreateRuntime)
	c.hookList(at.field("createContainer"), h.CreateContainer)
	c.hookList(at.field("startContainer"), h.StartContainer)
	c.hookList(at.field("poststart"), h.Poststart)
	c.hookList(at.field("poststop"), h.Poststop)
}

func (c *checker) hookList(list pointer, hooks []specs.Hook) {
	for i := range hooks {
		at, h := list.item(i), &hooks[i]
		c.absolute(at.field("path"), h.Path)
		c.texts(at.field("args"), h.Args)
		c.environ(at.field("env"), h.Env)
		if h.Timeout != nil && *h.Timeout <= 0 {
			c.bad(at.field("timeout"), "must be greater than zero, is %d", *h.Timeout)
		}
	}
}

// sortedKeys returns the names of an object in the order that every Go program
// writes them in.
func sortedKeys[V any](object map[string]V) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
