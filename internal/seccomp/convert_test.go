package seccomp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// An engineForm is a default profile in the form that podman and docker share. It
// serves every architecture, kernel and set of capabilities; the engine writes what
// remains of it for a container to /linux/seccomp.
type engineForm struct {
	DefaultAction   specs.LinuxSeccompAction `json:"defaultAction"`
	DefaultErrnoRet *uint                    `json:"defaultErrnoRet"`
	ArchMap         []struct {
		Arch     specs.Arch   `json:"architecture"`
		SubArchs []specs.Arch `json:"subArchitectures"`
	} `json:"archMap"`
	Syscalls []struct {
		specs.LinuxSyscall
		Name     string           `json:"name"`
		Includes *engineCondition `json:"includes"`
		Excludes *engineCondition `json:"excludes"`
	} `json:"syscalls"`
}

// An engineCondition is met by an architecture that it names, by all capabilities
// that it names, and from a kernel on.
type engineCondition struct {
	Arches    []string `json:"arches"`
	Caps      []string `json:"caps"`
	MinKernel string   `json:"minKernel"`
}

// A target is what an engine asks the conditions of a profile about.
type target struct {
	native specs.Arch
	caps   []string // that the container may have: its bounding set
	kernel [2]int   // version and patch level
}

// engineArch are Go's names of architectures, which the conditions use.
var engineArch = map[specs.Arch]string{
	specs.ArchX86_64: "amd64", specs.ArchAARCH64: "arm64", specs.ArchS390X: "s390x",
}

// convert makes of an engine's profile the one for a target.
func convert(text []byte, to target) (*specs.LinuxSeccomp, error) {
	var from engineForm
	if err := json.Unmarshal(text, &from); err != nil {
		return nil, err
	}
	arch := engineArch[to.native]
	if arch == "" {
		return nil, fmt.Errorf("no engine's name for %s", to.native)
	}
	p := &specs.LinuxSeccomp{DefaultAction: from.DefaultAction, DefaultErrnoRet: from.DefaultErrnoRet}
	for _, a := range from.ArchMap {
		if a.Arch == to.native {
			p.Architectures = append([]specs.Arch{a.Arch}, a.SubArchs...)
			break
		}
	}
	for _, s := range from.Syscalls {
		kept, err := s.Includes.holds(arch, to)
		if err != nil {
			return nil, err
		}
		dropped, err := s.Excludes.concerns(arch, to)
		if err != nil {
			return nil, err
		}
		if !kept || dropped {
			continue
		}
		if s.Name != "" {
			s.Names = append(s.Names, s.Name)
		}
		p.Syscalls = append(p.Syscalls, s.LinuxSyscall)
	}
	return p, nil
}

// holds says that a rule with this condition to include it is for the target: all
// parts of the condition are met.
func (c *engineCondition) holds(arch string, to target) (bool, error) {
	if c == nil {
		return true, nil
	}
	if len(c.Arches) > 0 && !slices.Contains(c.Arches, arch) {
		return false, nil
	}
	for _, name := range c.Caps {
		if !slices.Contains(to.caps, name) {
			return false, nil
		}
	}
	return to.since(c.MinKernel, true)
}

// concerns says that a condition excludes the rule: any part of it is met.
func (c *engineCondition) concerns(arch string, to target) (bool, error) {
	if c == nil {
		return false, nil
	}
	if slices.Contains(c.Arches, arch) {
		return true, nil
	}
	for _, name := range c.Caps {
		if slices.Contains(to.caps, name) {
			return true, nil
		}
	}
	return to.since(c.MinKernel, false)
}

// since says that the target's kernel is one of a version, such as 4.8, or newer.
func (to target) since(version string, ifNone bool) (bool, error) {
	if version == "" {
		return ifNone, nil
	}
	var v [2]int
	if _, err := fmt.Sscanf(version, "%d.%d", &v[0], &v[1]); err != nil {
		return false, fmt.Errorf("minKernel %q: %w", version, err)
	}
	return slices.Compare(to.kernel[:], v[:]) >= 0, nil
}

// TestConvert has one rule for each sentence about conditions.
func TestConvert(t *testing.T) {
	text := `{
		"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
		"archMap": [
			{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
			{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
		"syscalls": [
			{"name": "always"},
			{"names": ["here"], "includes": {"arches": ["amd64", "x32"]}},
			{"names": ["not-elsewhere"], "includes": {"arches": ["arm64"]}},
			{"names": ["not-excluded-here"], "excludes": {"arches": ["amd64"]}},
			{"names": ["elsewhere-excluded"], "excludes": {"arches": ["s390x"]}},
			{"names": ["both"], "includes": {"caps": ["CAP_KILL", "CAP_CHOWN"]}},
			{"names": ["not-one-of-two"], "includes": {"caps": ["CAP_KILL", "CAP_BPF"]}},
			{"names": ["not-excluded-by-one"], "excludes": {"caps": ["CAP_KILL", "CAP_BPF"]}},
			{"names": ["without"], "excludes": {"caps": ["CAP_BPF"]}},
			{"names": ["since"], "includes": {"minKernel": "5.10"}},
			{"names": ["older"], "includes": {"minKernel": "4.19"}},
			{"names": ["not-yet"], "includes": {"minKernel": "5.11"}},
			{"names": ["not-any-more"], "excludes": {"minKernel": "4.8"}},
			{"names": ["not-with-one-part"], "includes": {"minKernel": "5.0", "caps": ["CAP_BPF"]}}]}`
	p, err := convert([]byte(text), target{specs.ArchX86_64, []string{"CAP_CHOWN", "CAP_KILL"}, [2]int{5, 10}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range p.Syscalls {
		names = append(names, s.Names...)
	}
	if got, want := strings.Join(names, " "), "always here elsewhere-excluded both without since older"; got != want {
		t.Errorf("rules %q, not %q", got, want)
	}
	if !slices.Equal(p.Architectures, []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}) {
		t.Errorf("architectures %q", p.Architectures)
	}
	if p.DefaultAction != specs.ActErrno || p.DefaultErrnoRet == nil || *p.DefaultErrnoRet != 38 {
		t.Errorf("default %s, %v", p.DefaultAction, p.DefaultErrnoRet)
	}
}
