package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/specschema"
	"github.com/oci-mini/oci-mini/spec"
)

// ableHost is a machine that has all that a config may ask for.
func ableHost() *host {
	h := testHost(everyController(cgroup.Unified), "")
	h.module = func(string) bool { return true }
	return h
}

// refusal is why a config is not accepted, or nil: it must be valid, and there must be a
// Plan for it that can be assembled.
func refusal(s *specs.Spec) error {
	if err := spec.Validate(s); err != nil {
		return err
	}
	b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, ableHost(), birthOptions{})
	if err != nil {
		return err
	}
	if b.caps != nil && len(b.caps.unknown) > 0 {
		return fmt.Errorf("unknown capabilities %q", b.caps.unknown)
	}
	_, err = assemble(b.plan())
	return err
}

// schemaEnum are the values that the specification's schema lists for a field.
func schemaEnum(t *testing.T, pointer string) []string {
	t.Helper()
	fields, err := specschema.Config()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if f.Pointer == pointer && len(f.Enum) > 0 {
			return f.Enum
		}
	}
	t.Fatalf("the schema lists no values for %s", pointer)
	return nil
}

// mapUsers gives a config a user namespace.
func mapUsers(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
}

// vocabulary is a list of features, with a config that uses one of its names.
type vocabulary struct {
	name   string
	listed []string
	others []string // names that may be accepted: the schema's, the tables', and one that is none
	use    func(s *specs.Spec, name string)
}

func vocabularies(t *testing.T) []vocabulary {
	l := supported().Linux
	seccomp := l.Seccomp
	rule := func(s *specs.Spec) *specs.LinuxSyscall {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"personality"}, Action: specs.ActErrno}}}
		return &s.Linux.Seccomp.Syscalls[0]
	}
	return []vocabulary{
		{"namespaces", l.Namespaces, schemaEnum(t, "/linux/namespaces/*/type"), func(s *specs.Spec, name string) {
			s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return string(ns.Type) == name })
			if name == string(specs.UserNamespace) {
				mapUsers(s)
				return
			}
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(name)})
		}},
		{"capabilities", l.Capabilities, capability.Names(), func(s *specs.Spec, name string) { s.Process.Capabilities.Bounding = []string{name} }},
		{"mount options", supported().MountOptions, mountopt.Names(), func(s *specs.Spec, name string) {
			if name == "idmap" || name == "ridmap" {
				mapUsers(s)
			}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Source: "/srv", Options: []string{"bind", name}})
		}},
		{"memory policy modes", l.MemoryPolicy.Modes, schemaEnum(t, "/linux/memoryPolicy/mode"), func(s *specs.Spec, name string) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MemoryPolicyModeType(name)}
			if name != string(specs.MpolDefault) && name != string(specs.MpolLocal) {
				s.Linux.MemoryPolicy.Nodes = "0"
			}
		}},
		{"memory policy flags", l.MemoryPolicy.Flags, schemaEnum(t, "/linux/memoryPolicy/flags/*"), func(s *specs.Spec, name string) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MemoryPolicyFlagType(name)}}
		}},
		{"seccomp actions", seccomp.Actions, schemaEnum(t, "/linux/seccomp/defaultAction"), func(s *specs.Spec, name string) {
			rule(s).Action = specs.LinuxSeccompAction(name)
			if name == string(specs.ActNotify) {
				s.Linux.Seccomp.ListenerPath = "/run/agent.sock"
			}
		}},
		{"seccomp operators", seccomp.Operators, schemaEnum(t, "/linux/seccomp/syscalls/*/args/*/op"), func(s *specs.Spec, name string) {
			rule(s).Args = []specs.LinuxSeccompArg{{Index: 0, Value: 8, ValueTwo: 8, Op: specs.LinuxSeccompOperator(name)}}
		}},
		{"seccomp architectures", seccomp.Archs, schemaEnum(t, "/linux/seccomp/architectures/*"), func(s *specs.Spec, name string) {
			rule(s)
			s.Linux.Seccomp.Architectures = []specs.Arch{specs.Arch(name)}
		}},
		{"seccomp flags", seccomp.SupportedFlags, schemaEnum(t, "/linux/seccomp/flags/*"), func(s *specs.Spec, name string) {
			rule(s)
			s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlag(name)}
			if name == string(specs.LinuxSeccompFlagWaitKillableRecv) {
				s.Linux.Seccomp.Syscalls[0].Action, s.Linux.Seccomp.ListenerPath = specs.ActNotify, "/run/agent.sock"
			}
		}},
	}
}

// TestFeaturesListWhatIsAccepted: no name is accepted that is not listed, and none is listed
// that is refused.
func TestFeaturesListWhatIsAccepted(t *testing.T) {
	for _, v := range vocabularies(t) {
		t.Run(v.name, func(t *testing.T) {
			names := append(slices.Clone(v.listed), v.others...)
			if v.name != "mount options" { // the file system may know what the runtime does not
				names = append(names, "NONSENSE")
			}
			slices.Sort(names)
			if twice := slices.Clone(v.listed); len(slices.Compact(slices.Sorted(slices.Values(twice)))) != len(v.listed) {
				t.Errorf("a name is listed twice: %q", v.listed)
			}
			for _, name := range slices.Compact(names) {
				s := spec.Default()
				v.use(s, name)
				why := refusal(s)
				if listed := slices.Contains(v.listed, name); listed != (why == nil) {
					t.Errorf("%s: listed %v, and the config that uses it: %v", name, listed, why)
				}
			}
		})
	}
}

// TestFeaturesAreEnabled: what features calls enabled is accepted, and the rest refused.
func TestFeaturesAreEnabled(t *testing.T) {
	l := supported().Linux
	for _, c := range []struct {
		name    string
		enabled *bool
		use     func(*specs.Spec)
	}{
		{"seccomp", l.Seccomp.Enabled, func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow} }},
		{"apparmor", l.Apparmor.Enabled, func(s *specs.Spec) { s.Process.ApparmorProfile = "profile" }},
		{"selinux", l.Selinux.Enabled, func(s *specs.Spec) { s.Process.SelinuxLabel = "a:b:c:s0" }},
		{"intelRdt", l.IntelRdt.Enabled, func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "a"} }},
		{"intelRdt.schemata", l.IntelRdt.Schemata, func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{Schemata: []string{"L3:0=f"}} }},
		{"intelRdt.monitoring", l.IntelRdt.Monitoring, func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{EnableMonitoring: true} }},
		{"netDevices", l.NetDevices.Enabled, func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}} }},
		{"mountExtensions.idmap", l.MountExtensions.IDMap.Enabled, func(s *specs.Spec) {
			ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 10}}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Source: "/srv", Options: []string{"bind"}, UIDMappings: ids, GIDMappings: ids})
		}},
		{"cgroup.rdma", l.Cgroup.Rdma, func(s *specs.Spec) {
			s.Linux.Resources.Rdma = map[string]specs.LinuxRdma{"mlx5_1": {HcaHandles: ptr(uint32(3))}}
		}},
	} {
		s := spec.Default()
		c.use(s)
		if c.enabled == nil {
			t.Errorf("features does not tell about %s", c.name)
			continue
		}
		why := refusal(s)
		if *c.enabled != (why == nil) {
			t.Errorf("%s: enabled %v, and the config that uses it: %v", c.name, *c.enabled, why)
		}
	}
}

// TestFeaturesSystemd: the flag is refused as unsupported if and only if features says so. The
// bundle is none, which is found out later.
func TestFeaturesSystemd(t *testing.T) {
	err := newApp().Run([]string{"oci-mini", "--systemd-cgroup", "explain", t.TempDir() + "/"})
	if err == nil {
		t.Fatal("a bundle without a config is explained")
	}
	refused := strings.Contains(err.Error(), "not supported")
	if c := supported().Linux.Cgroup; *c.Systemd == refused {
		t.Errorf("systemd is listed as %v, and the flag: %v", *c.Systemd, err)
	}
}

// TestFeaturesCgroups: each version is accepted.
func TestFeaturesCgroups(t *testing.T) {
	c := supported().Linux.Cgroup
	for mode, listed := range map[cgroup.Mode]*bool{cgroup.Legacy: c.V1, cgroup.Unified: c.V2} {
		h := ableHost()
		h.layout = everyController(mode)
		s := spec.Default()
		s.Linux.Resources.Pids = &specs.LinuxPids{Limit: ptr(int64(7))}
		if _, err := newBirth("web", "/bundle", "/bundle/rootfs", s, h, birthOptions{}); (err == nil) != *listed {
			t.Errorf("%v is listed as %v: %v", mode, *listed, err)
		}
	}
}

// TestFeaturesHooks: the kinds are those of the specification.
func TestFeaturesHooks(t *testing.T) {
	fields, err := specschema.Config()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, f := range fields {
		if kind, ok := strings.CutPrefix(f.Pointer, "/hooks/"); ok && !strings.Contains(kind, "/") {
			kinds = append(kinds, kind)
		}
	}
	if got := slices.Sorted(slices.Values(supported().Hooks)); !slices.Equal(got, kinds) {
		t.Errorf("listed are %q, the specification has %q", got, kinds)
	}
}

// TestFeaturesVersions: the bounds are accepted, and nothing beyond the lower one. A later
// version 1 only adds properties (SemVer 2.0.0), and unknown ones are passed over.
func TestFeaturesVersions(t *testing.T) {
	f := supported()
	for version, good := range map[string]bool{f.OCIVersionMin: true, f.OCIVersionMax: true, "1.0.0+build": true, "1.0.1-dev": true, "1.99.0": true,
		"1.0.0-rc5": false, "1.0.0-0": false, "0.9.9": false, "2.0.0": false, "2.0.0-rc1": false} {
		s := spec.Default()
		s.Version = version
		if err := refusal(s); (err == nil) != good {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// TestFeaturesTellAll: the document is one by the specification's schema, and every member
// that the schema or the specification's Go type has for it is there.
func TestFeaturesTellAll(t *testing.T) {
	document := mustJSON(t, supported())
	faults, err := specschema.Check(specschema.FeaturesSchema, []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
	fields, err := specschema.Fields(specschema.FeaturesSchema)
	if err != nil {
		t.Fatal(err)
	}
	var there any
	if err := json.Unmarshal([]byte(document), &there); err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if !strings.Contains(f.Pointer, "*") && !hasMember(there, f.Pointer) {
			t.Errorf("%s is missing", f.Pointer)
		}
	}
	allSet(t, "", reflect.ValueOf(supported()))
}

// hasMember says whether a document has a member.
func hasMember(document any, pointer string) bool {
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		object, _ := document.(map[string]any)
		var ok bool
		if document, ok = object[name]; !ok {
			return false
		}
	}
	return true
}

// allSet reports the fields of a structure that have no value.
func allSet(t *testing.T, at string, v reflect.Value) {
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		v = v.Elem()
	}
	if v.IsZero() {
		t.Errorf("%s is not set", at)
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			allSet(t, at+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
}
