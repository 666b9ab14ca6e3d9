package main

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/seccomp"
	"github.com/oci-mini/oci-mini/spec"
)

var featuresCommand = &cli.Command{
	Name:  "features",
	Usage: "print what this runtime supports, as JSON (features.md of the specification)",
	Action: func(c *cli.Context) error {
		if err := arguments(c, 0, 0); err != nil {
			return err
		}
		return failed(c, "", writeJSON(c.App.Writer, supported()))
	},
}

// supported is generated from the tables that parse: a name is listed if and
// only if it is accepted.
func supported() features.Features {
	yes := true
	var kinds []string
	for _, n := range spec.Namespaces {
		kinds = append(kinds, string(n.Type))
	}
	return features.Features{
		OCIVersionMin: spec.OldestVersion,
		OCIVersionMax: specs.Version,
		Hooks:         hookKinds(),
		MountOptions:  mountopt.Names(),
		Linux: &features.Linux{
			Namespaces:      kinds,
			Capabilities:    capability.Names(),
			Cgroup:          &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
			Seccomp:         seccomp.Features(),
			Apparmor:        &features.Apparmor{Enabled: &yes},
			Selinux:         &features.Selinux{Enabled: &yes},
			IntelRdt:        &features.IntelRdt{Enabled: &yes, Schemata: &yes, Monitoring: &yes},
			MemoryPolicy:    &features.MemoryPolicy{Modes: spec.Names(spec.MemoryPolicyModes), Flags: spec.Names(spec.MemoryPolicyFlags)},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      &features.NetDevices{Enabled: &yes},
		},
		PotentiallyUnsafeConfigAnnotations: honouredAnnotations,
		Annotations: map[string]string{
			"io.github.oci-mini.version": version,
			"io.github.oci-mini.commit":  commit,
			// What engines ask runc's features for.
			"org.opencontainers.runc.checkpoint.enabled": "true",
		},
	}
}
