package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/specschema"
	"github.com/oci-mini/oci-mini/spec"
)

// everyField is a config with every field of the specification's schema.
const everyField = "testdata/every-field.json"

// unset are fields whose arrays must be empty: the specification has no value for them.
var unset = []string{"/linux/personality/flags/*"}

// TestEveryFieldIsThere: the config is one by the schema, and a field that is new there must
// be added to it.
func TestEveryFieldIsThere(t *testing.T) {
	data, err := os.ReadFile(everyField)
	if err != nil {
		t.Fatal(err)
	}
	var config any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	faults, err := specschema.Check(specschema.ConfigSchema, data)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Errorf("%s: %s", everyField, f)
	}
	fields, err := specschema.Config()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if !slices.Contains(unset, f.Pointer) && !has(config, strings.Split(f.Pointer[1:], "/")) {
			t.Errorf("%s has no %s", everyField, f.Pointer)
		}
	}
}

// TestDefaultSpecs: the configs that `spec` writes are ones by the schema.
func TestDefaultSpecs(t *testing.T) {
	rootless := spec.Default()
	spec.Rootless(rootless, 1000, 1000)
	for name, s := range map[string]*specs.Spec{"spec": spec.Default(), "spec --rootless": rootless} {
		faults, err := specschema.Check(specschema.ConfigSchema, []byte(mustJSON(t, s)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			t.Errorf("%s: %s", name, f)
		}
	}
}

// has says whether a document has something at a pointer of the schema.
func has(in any, pointer []string) bool {
	if len(pointer) == 0 {
		return true
	}
	switch in := in.(type) {
	case map[string]any:
		if next, ok := in[pointer[0]]; ok {
			return has(next, pointer[1:])
		}
		for _, next := range in {
			if pointer[0] == "*" && has(next, pointer[1:]) {
				return true
			}
		}
	case []any:
		for _, next := range in {
			if pointer[0] == "*" && has(next, pointer[1:]) {
				return true
			}
		}
	}
	return false
}

// everyController is a host with all controllers that a kernel can have.
func everyController(mode cgroup.Mode) *cgroup.Layout {
	if mode == cgroup.Unified {
		return &cgroup.Layout{Mode: mode, Hierarchies: []cgroup.Hierarchy{{
			Dir: "/sys/fs/cgroup", Controllers: []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"}, Unified: true, Own: "/",
		}}}
	}
	l := &cgroup.Layout{Mode: mode}
	for _, name := range []string{"devices", "cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "net_cls", "net_prio", "rdma", "freezer"} {
		l.Hierarchies = append(l.Hierarchies, cgroup.Hierarchy{Dir: "/sys/fs/cgroup/" + name, Controllers: []string{name}, Own: "/"})
	}
	return l
}

// TestEveryFieldRoundTrip: the config with everything is read without loss, it is valid, and
// there is a Plan for it on each kind of cgroup, which can be printed and assembled.
func TestEveryFieldRoundTrip(t *testing.T) {
	data, err := os.ReadFile(everyField)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		mode  cgroup.Mode
		other func(*specs.LinuxResources) // takes away what only the other version has
	}{
		{"v1", cgroup.Legacy, func(r *specs.LinuxResources) { r.Unified, r.CPU.Idle = nil, nil }},
		{"v2", cgroup.Unified, func(r *specs.LinuxResources) {
			r.Memory.Swappiness, r.Memory.DisableOOMKiller, r.Network = nil, nil, nil
			r.CPU.RealtimePeriod, r.CPU.RealtimeRuntime = nil, nil
			r.BlockIO.LeafWeight, r.BlockIO.WeightDevice[0].LeafWeight = nil, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := spec.Parse(everyField, data)
			if err != nil {
				t.Fatal(err)
			}
			var want specs.Spec
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			if got, wanted := mustJSON(t, s), mustJSON(t, &want); got != wanted {
				t.Errorf("read as\n%s\nshould be\n%s", got, wanted)
			}
			if err := spec.Validate(s); err != nil {
				t.Fatalf("not valid: %v", err)
			}
			c.other(s.Linux.Resources)
			withoutDisabled(s)
			h := ableHost()
			h.layout = everyController(c.mode)
			b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, h, birthOptions{})
			if err != nil {
				t.Fatalf("no plan: %v", err)
			}
			p := b.plan()
			if _, err := assemble(p); err != nil {
				t.Fatal(err)
			}
			asked := map[string]bool{}
			for _, step := range p.Steps {
				asked[step.Field] = true
			}
			for _, field := range []string{"/linux/intelRdt", "/linux/netDevices/eth0", "/linux/sysctl/kernel.msgmax", "/hooks/createRuntime/0", "/hostname", "/domainname"} {
				if !asked[field] {
					t.Errorf("no step is for %s", field)
				}
			}
		})
	}
}

// withoutDisabled takes away what features calls disabled; TestFeaturesAreEnabled holds it
// to the truth.
func withoutDisabled(s *specs.Spec) {
	l := supported().Linux
	if !*l.Seccomp.Enabled {
		s.Linux.Seccomp = nil
	}
	for i := range s.Mounts {
		if !*l.MountExtensions.IDMap.Enabled {
			s.Mounts[i].UIDMappings, s.Mounts[i].GIDMappings = nil, nil
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
