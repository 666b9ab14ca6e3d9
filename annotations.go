package main

import (
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// The annotations that change what the runtime does; all others are handed on in the
// state and mean nothing here (docs/annotations.md). The names are crun's.
const (
	annotationHookStdout    = "run.oci.hooks.stdout"         // file that hooks write to
	annotationHookStderr    = "run.oci.hooks.stderr"         // the same for errors
	annotationKeepGroups    = "run.oci.keep_original_groups" // the caller's groups instead of the config's
	annotationPidfdReceiver = "run.oci.pidfd_receiver"       // socket that gets the first process's pidfd
	annotationAgent         = "run.oci.seccomp.receiver"     // socket of the seccomp agent
	annotationDelegate      = "run.oci.delegate-cgroup"      // cgroup below the container's that its process gets
	annotationCriuConfig    = "org.criu.config"              // file of settings for CRIU
)

// honouredAnnotations are all of them, for features: who lets others write
// annotations must know which reach the host.
var honouredAnnotations = []string{
	annotationContextType, annotationHookStderr, annotationHookStdout, annotationKeepGroups, annotationPidfdReceiver,
	annotationAgent, annotationDelegate, annotationCriuConfig,
	systemdProperty,
}

// annotatedPath is the file that an annotation names, relative ones from the bundle,
// or "".
func annotatedPath(s *specs.Spec, bundle, annotation string) string {
	name := s.Annotations[annotation]
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(bundle, name)
}
