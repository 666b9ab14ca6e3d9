package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/seccomp"
)

const plainStatus = `Name:	sh
State:	T (stopped)
CapInh:	0000000000000001
CapPrm:	0000000000000003
CapEff:	0000000000000003
CapBnd:	0000000000000003
CapAmb:	0000000000000001
NoNewPrivs:	1
Seccomp:	2
Seccomp_filters:	1
`

func TestAllow(t *testing.T) {
	most := privileges{bounding: 3, held: 3, inheritable: 3, filtered: true, noNew: true}
	tests := []struct{ name, old, now, want string }{
		{"as the config has it", "", "", ""},
		{"less", "CapEff:	0000000000000003", "CapEff:	0000000000000000", ""},
		{"a zombie has CRIU's", "State:	T (stopped)\nCapInh:	0000000000000001\nCapPrm:	0000000000000003", "State:	Z (zombie)\nCapInh:	0000000000000001\nCapPrm:	ffffffffffffffff", ""},
		{"bounding", "CapBnd:	0000000000000003", "CapBnd:	0000000000200003", "/process/capabilities/bounding: it has CAP_SYS_ADMIN, which the config does not give it"},
		{"permitted", "CapPrm:	0000000000000003", "CapPrm:	0000000000200007", "/process/capabilities/permitted: it has CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN"},
		{"effective", "CapEff:	0000000000000003", "CapEff:	0000000000000007", "/process/capabilities/effective: it has CAP_DAC_READ_SEARCH"},
		{"inheritable", "CapInh:	0000000000000001", "CapInh:	0000000000000004", "/process/capabilities/inheritable: it has CAP_DAC_READ_SEARCH"},
		{"ambient", "CapAmb:	0000000000000001", "CapAmb:	8000000000000001", "/process/capabilities/ambient: it has capabilities 0x8000000000000000"},
		{"no filter", "Seccomp:	2", "Seccomp:	0", "/linux/seccomp: it is under no filter"},
		{"another mode", "Seccomp:	2", "Seccomp:	1", "/linux/seccomp: it is under no filter"},
		{"no_new_privs", "NoNewPrivs:	1", "NoNewPrivs:	0", "/process/noNewPrivileges: it may gain privileges by execve"},
		{"a kernel that says nothing", "CapAmb:	0000000000000001\n", "", "the kernel does not tell CapAmb"},
		{"no number", "CapBnd:	0000000000000003", "CapBnd:	x", `CapBnd: strconv.ParseUint: parsing "x"`},
		{"a name that lies", "Name:	sh", `Name:	\nCapBnd:	ffffffffffffffff`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := most.allow(strings.Replace(plainStatus, test.old, test.now, 1))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	if err := (privileges{bounding: 3, held: 3, inheritable: 3}).allow(strings.NewReplacer("NoNewPrivs:	1", "NoNewPrivs:	0", "Seccomp:	2", "Seccomp:	0").Replace(plainStatus)); err != nil {
		t.Errorf("neither is asked for: %v", err)
	}
}

func TestMostPrivileges(t *testing.T) {
	tests := []struct {
		name string
		b    birth
		want privileges
	}{
		{"no process", birth{spec: &specs.Spec{}}, privileges{}},
		{"root's execve", birth{spec: &specs.Spec{Process: &specs.Process{}}, caps: &capabilities{bounding: 7, permitted: 1, inheritable: 8}, filter: &seccomp.Filter{}},
			privileges{bounding: 7, held: 15, inheritable: 15, filtered: true}},
		{"no_new_privs", birth{spec: &specs.Spec{Process: &specs.Process{NoNewPrivileges: true}}, caps: &capabilities{bounding: 7, permitted: 1, inheritable: 8}},
			privileges{bounding: 7, held: 1, inheritable: 9, noNew: true}},
	}
	for _, test := range tests {
		if got := test.b.mostPrivileges(); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

// TestEachThread: the processes that a process has started are looked at as well.
func TestEachThread(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 600 & sleep 600 & echo; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = out.Read(make([]byte, 1))
	seen := map[int]bool{}
	err = eachThread(cmd.Process.Pid, func(pid, tid int, status string) error {
		if pid != tid || !strings.Contains(status, "\nCapBnd:\t") {
			t.Errorf("process %d, thread %d: %q", pid, tid, status)
		}
		seen[pid] = true
		return nil
	})
	killTree(cmd.Process.Pid)
	_ = cmd.Wait() // its children were killed
	if err != nil || len(seen) != 3 || !seen[cmd.Process.Pid] {
		t.Errorf("got %v, %v: want three processes", seen, err)
	}
	if err := eachThread(cmd.Process.Pid, func(int, int, string) error { return nil }); !errors.Is(err, unix.ENOENT) {
		t.Errorf("of a process that is gone: %v", err)
	}
	threads := 0
	if err := eachThread(os.Getpid(), func(int, int, string) error { threads++; return nil }); err != nil || threads < 2 {
		t.Errorf("of this program: %d threads, %v", threads, err)
	}
}

func TestStillThere(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := process.Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := id.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := stillThere(pidfd, id.Pid); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := stillThere(pidfd, id.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("of a process that has ended: %v", err)
	}
}
