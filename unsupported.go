package main

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
)

// unsupported lists what the config asks for and this version cannot do. To
// start a container without a protection that it was promised would be worse
// than not to start it.
func unsupported(s *specs.Spec) []error {
	var faults []error
	refuse := func(pointer string, asked bool) {
		if asked {
			faults = append(faults, fmt.Errorf("%s: not supported yet", pointer))
		}
	}
	if !namespacesOf(s).private(unix.CLONE_NEWNS) {
		need := func(pointer string, asked bool) {
			if asked {
				faults = append(faults, fmt.Errorf("%s: needs a mount namespace: without one it would change the host", pointer))
			}
		}
		need("/mounts", len(s.Mounts) > 0)
		need("/root/readonly", s.Root.Readonly)
		need("/process/terminal", s.Process != nil && s.Process.Terminal)
		need("/linux/devices", s.Linux != nil && len(s.Linux.Devices) > 0)
		need("/linux/rootfsPropagation", s.Linux != nil && s.Linux.RootfsPropagation != "")
	}
	if l := s.Linux; l != nil {
		for i, ns := range l.Namespaces {
			refuse(fmt.Sprintf("/linux/namespaces/%d/path", i), ns.Path != "" && ns.Type == specs.MountNamespace)
		}
		refuse("/linux/seccomp", l.Seccomp != nil)
	}
	return faults
}

// unsupportedMountOptions are understood and still to come.
var unsupportedMountOptions = []struct {
	name  string
	asked func(*mountopt.Options) bool
}{
	{"idmap", func(o *mountopt.Options) bool { return o.IDMap == mountopt.IDMapTop }},
	{"ridmap", func(o *mountopt.Options) bool { return o.IDMap == mountopt.IDMapTree }},
}

// unsupportedMount lists what one mount asks for and cannot get.
func unsupportedMount(m *mount) []error {
	var faults []error
	for _, u := range unsupportedMountOptions {
		if u.asked(&m.opt) {
			faults = append(faults, fmt.Errorf("%s/options: %s: not supported yet", m.field(), u.name))
		}
	}
	if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
		faults = append(faults, fmt.Errorf("%s/uidMappings: not supported yet", m.field()))
	}
	return faults
}

// supportedMountOptions are the names that features may list.
func supportedMountOptions() []string {
	return slices.DeleteFunc(mountopt.Names(), func(name string) bool {
		return slices.ContainsFunc(unsupportedMountOptions, func(u struct {
			name  string
			asked func(*mountopt.Options) bool
		}) bool {
			return u.name == name
		})
	})
}
