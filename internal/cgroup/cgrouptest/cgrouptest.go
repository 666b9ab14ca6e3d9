// Package cgrouptest gives tests a host of cgroup version 2, whatever the machine has.
package cgrouptest

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const inNamespace = "OCI_MINI_TEST_V2"

// V2 runs the rest of the calling test in a process of its own, in a private mount
// namespace where the version 2 hierarchy is mounted at /sys/fs/cgroup. It is true there.
// In the calling process it is false, and the test has the result of the other one. The
// test is skipped, with the reason, where that takes root or a mount that cannot be had.
func V2(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount cgroup2")
	}
	if os.Getenv(inNamespace) != "" {
		const dir = "/sys/fs/cgroup"
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			t.Skip("umount:", err)
		}
		if err := unix.Mount("none", dir, "cgroup2", 0, ""); err != nil {
			t.Skip("mount cgroup2:", err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	// Go makes all mounts private after this unshare.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	switch {
	case err != nil:
		t.Error(err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skip("skipped in the namespace")
	case !strings.Contains(string(out), "--- PASS"):
		t.Error("no result")
	}
	return false
}
