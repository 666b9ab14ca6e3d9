package main

import (
	"errors"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
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

// threadWith is a thread that has these files.
func threadWith(files map[string]string) *thread {
	return &thread{read: func(file string) (string, error) {
		text, found := files[file]
		if !found {
			return "", unix.ENOENT
		}
		return text, nil
	}}
}

// plainLimits are two lines of those that the kernel writes.
const plainLimits = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             1024                 2048                 bytes     
`

func TestAllowLimitsAndLabels(t *testing.T) {
	files := map[string]string{"status": plainStatus, "limits": plainLimits, "attr/apparmor/current": "web (enforce)\n", "attr/current": "u:r:container_t:s0:c1,c2\x00"}
	tests := []struct {
		name string
		most privileges
		want string
	}{
		{"as high", privileges{limits: []specs.POSIXRlimit{{Type: "RLIMIT_FSIZE", Hard: 2048}, {Type: "RLIMIT_CPU", Hard: unix.RLIM_INFINITY}}}, ""},
		{"lower", privileges{limits: []specs.POSIXRlimit{{Type: "RLIMIT_FSIZE", Hard: 4096}}}, ""},
		{"higher", privileges{limits: []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Hard: unix.RLIM_INFINITY}, {Type: "RLIMIT_FSIZE", Hard: 2047}}},
			"/process/rlimits/1: its hard limit of RLIMIT_FSIZE is 2048, the config's is 2047"},
		{"unlimited", privileges{limits: []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Hard: 3}}}, "/process/rlimits/0: its hard limit of RLIMIT_CPU is unlimited, the config's is 3"},
		{"not told", privileges{limits: []specs.POSIXRlimit{{Type: "RLIMIT_DATA", Hard: 3}}}, "the kernel does not tell RLIMIT_DATA"},
		{"the profile", privileges{apparmor: label{"web", "/process/apparmorProfile"}}, ""},
		{"nothing", privileges{apparmor: label{"unconfined", "/process/apparmorProfile"}}, ""},
		{"another profile", privileges{apparmor: label{"we", "/process/apparmorProfile"}}, "/process/apparmorProfile: it is confined by the AppArmor profile web, not by we"},
		{"the label", privileges{selinux: label{"u:r:container_t:s0:c1,c2", "--lsm-profile"}}, ""},
		{"another label", privileges{selinux: label{"u:r:container_t:s0:c1,c3", "--lsm-profile"}}, "--lsm-profile: its SELinux label is u:r:container_t:s0:c1,c2, not u:r:container_t:s0:c1,c3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.most.bounding, test.most.held, test.most.inheritable = 3, 3, 3
			err := test.most.allow(threadWith(files))
			if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	files["attr/apparmor/current"] = "web//child (enforce)\n"
	if err := (privileges{bounding: 3, held: 3, inheritable: 3, apparmor: label{"web", ""}}).allow(threadWith(files)); err != nil {
		t.Errorf("a child of the profile: %v", err)
	}
}

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
			err := most.allow(threadWith(map[string]string{"status": strings.Replace(plainStatus, test.old, test.now, 1)}))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	if err := (privileges{bounding: 3, held: 3, inheritable: 3}).allow(threadWith(map[string]string{
		"status": strings.NewReplacer("NoNewPrivs:	1", "NoNewPrivs:	0", "Seccomp:	2", "Seccomp:	0").Replace(plainStatus)})); err != nil {
		t.Errorf("neither is asked for: %v", err)
	}
}

func TestMostPrivileges(t *testing.T) {
	tests := []struct {
		name string
		b    birth
		want privileges
	}{
		{"no process", birth{spec: &specs.Spec{}}, privileges{apparmor: label{"", "/process/apparmorProfile"}, selinux: label{"", "/process/selinuxLabel"}}},
		{"root's execve", birth{spec: &specs.Spec{Process: &specs.Process{}}, caps: &capabilities{bounding: 7, permitted: 1, inheritable: 8}, filter: &seccomp.Filter{}},
			privileges{bounding: 7, held: 15, inheritable: 15, filtered: true, apparmor: label{"", "/process/apparmorProfile"}, selinux: label{"", "/process/selinuxLabel"}}},
		{"no_new_privs", birth{spec: &specs.Spec{Process: &specs.Process{NoNewPrivileges: true}}, caps: &capabilities{bounding: 7, permitted: 1, inheritable: 8}},
			privileges{bounding: 7, held: 1, inheritable: 9, noNew: true, apparmor: label{"", "/process/apparmorProfile"}, selinux: label{"", "/process/selinuxLabel"}}},
		{"limits and labels", birth{caps: &capabilities{}, spec: &specs.Spec{Process: &specs.Process{
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Hard: 3}}, ApparmorProfile: "web", SelinuxLabel: "u:r:t:s0"}}},
			privileges{limits: []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Hard: 3}}, apparmor: label{"web", "/process/apparmorProfile"}, selinux: label{"u:r:t:s0", "/process/selinuxLabel"}}},
		{"who may raise them, with a profile by flag", birth{caps: &capabilities{bounding: 1 << unix.CAP_SYS_RESOURCE}, spec: &specs.Spec{Process: &specs.Process{
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Hard: 3}}, ApparmorProfile: "web"}},
			restored: &restoration{criuRequest: &criuRequest{Options: criu.Options{LsmProfile: "apparmor:other"}}}},
			privileges{bounding: 1 << unix.CAP_SYS_RESOURCE, held: 1 << unix.CAP_SYS_RESOURCE, inheritable: 1 << unix.CAP_SYS_RESOURCE,
				apparmor: label{"other", "--lsm-profile"}, selinux: label{"", "/process/selinuxLabel"}}},
	}
	for _, test := range tests {
		test.b.host = testHost(unified, "")
		if got := test.b.mostPrivileges(); !reflect.DeepEqual(got, test.want) {
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
	err = eachThread(cmd.Process.Pid, func(th *thread) error {
		status, err := th.read("status")
		if pid, tid := th.pid, th.tid; err != nil || pid != tid || !strings.Contains(status, "\nCapBnd:\t") {
			t.Errorf("process %d, thread %d: %q, %v", pid, tid, status, err)
		}
		seen[th.pid] = true
		return nil
	})
	killTree(cmd.Process.Pid)
	_ = cmd.Wait() // its children were killed
	if err != nil || len(seen) != 3 || !seen[cmd.Process.Pid] {
		t.Errorf("got %v, %v: want three processes", seen, err)
	}
	if err := eachThread(cmd.Process.Pid, func(*thread) error { return nil }); !errors.Is(err, unix.ENOENT) {
		t.Errorf("of a process that is gone: %v", err)
	}
	threads := 0
	if err := eachThread(os.Getpid(), func(*thread) error { threads++; return nil }); err != nil || threads < 2 {
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
