package main

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/seccomp"
)

func TestHoldFilter(t *testing.T) {
	profile := func(names ...string) *specs.LinuxSeccomp {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
		for _, name := range names {
			name, condition, _ := strings.Cut(name, "?")
			rule := specs.LinuxSyscall{Names: []string{name}, Action: specs.ActAllow}
			if condition != "" {
				rule.Args = []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}}
			}
			p.Syscalls = append(p.Syscalls, rule)
		}
		return p
	}
	tests := []struct {
		name    string
		was, is *specs.LinuxSeccomp
		call    string
	}{
		{"the same", profile("read", "execve"), profile("read", "execve"), ""},
		{"in another order", profile("read", "execve"), profile("execve", "read"), ""},
		{"stricter", profile("execve"), profile("read", "execve"), ""},
		{"stricter by an argument", profile("execve", "personality?1"), profile("execve", "personality"), ""},
		{"both by an argument", profile("execve", "personality?1", "read"), profile("execve", "personality?1", "read", "write"), ""},
		{"weaker", profile("execve", "keyctl"), profile("execve", "read"), "keyctl"},
		{"weaker but for an argument", profile("execve", "keyctl?1"), profile("execve", "read"), "keyctl"},
		{"weaker by an argument", profile("execve", "personality"), profile("execve", "personality?1"), "personality"},
		{"weaker by default", &specs.LinuxSeccomp{DefaultAction: specs.ActLog, Syscalls: []specs.LinuxSyscall{{Names: []string{"keyctl"}, Action: specs.ActErrno}}},
			&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"bpf", "keyctl"}, Action: specs.ActKill}}}, "bpf"},
		{"none of which is known", nil, profile("execve"), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			filter, err := seccomp.Compile(test.is, seccomp.Native())
			if err != nil {
				t.Fatal(err)
			}
			b := &birth{filter: filter, spec: &specs.Spec{Linux: &specs.Linux{Seccomp: test.is}}}
			err = b.holdFilter(test.was)
			if test.call == "" && err != nil || test.call != "" && (err == nil || !strings.Contains(err.Error(), " lets "+test.call+" of ")) {
				t.Errorf("got %v, want %q", err, test.call)
			}
		})
	}
}
