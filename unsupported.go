package main

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// unsupported lists what the config asks for and this version cannot do. To
// start a container without a protection that it was promised would be worse
// than not to start it.
func unsupported(s *specs.Spec) []error {
	var faults []error
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
	return faults
}
