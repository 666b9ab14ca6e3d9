package main

import (
	"bytes"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/spec"
)

// restoreCase is a birth of images, and what they say of it.
func restoreCase(t *testing.T, mode string) (*birth, *restoration) {
	t.Helper()
	s := spec.Default()
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.IPCNamespace })
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.IPCNamespace, Path: "/run/ipc"})
	s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(30))}}
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv/data", Options: []string{"rbind", "ro"}})
	s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/hook"}}, Poststart: []specs.Hook{{Path: "/bin/later"}}}
	b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, testHost(unified, ""), birthOptions{consoleSocket: "/run/console"})
	if err != nil {
		t.Fatal(err)
	}
	r := &criuRequest{images: "/images", said: "--tcp-established", settingsFile: "/etc/criu/oci-mini.conf"}
	if r.ManageCgroups, err = criu.Choose(criu.CgroupModes, mode); err != nil {
		t.Fatal(err)
	}
	return b, &restoration{criuRequest: r, streams: []string{"pipe:[1]", "pipe:[2]", "pipe:[2]"}}
}

func TestRestorePlan(t *testing.T) {
	for _, mode := range []string{cgroupsIgnored, "soft"} {
		b, r := restoreCase(t, mode)
		var got bytes.Buffer
		if err := b.restorePlan(r).Text(&got); err != nil {
			t.Fatal(err)
		}
		compareGolden(t, "restore-"+mode+".txt", got.Bytes())
	}
}

// TestRestorePlanEnds: nothing of the runtime's follows the last step of CRIU's, which it
// does not tell of, and what it tells of has a name.
func TestRestorePlanEnds(t *testing.T) {
	b, r := restoreCase(t, cgroupsIgnored)
	p := b.restorePlan(r)
	last := len(p.Steps) - 1
	for i, s := range p.Steps {
		switch {
		case s.By == plan.Init, s.By == plan.Criu && (s.Name == "") != (i == last), s.By == plan.Runtime && (s.Do == nil || i == last):
			t.Errorf("step %d: %+v", i, s)
		}
	}
}
