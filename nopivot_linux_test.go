package main

import (
	"slices"
	"testing"
)

func TestKernelMounts(t *testing.T) {
	const mountinfo = `22 1 0:21 / /proc rw,relatime shared:5 - proc proc rw
23 1 0:22 / /sys rw,relatime - sysfs sysfs rw
24 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
30 1 0:21 / /srv/a\040b\134c/proc rw - proc none rw
31 1 0:24 / /proc2 rw - tmpfs proc rw
32 1 0:21 / /bundle/rootfs/proc rw - proc proc rw
33 1 0:21 / /bundle/rootfs2/proc rw - proc proc rw
`
	got := kernelMounts(mountinfo, "/bundle/rootfs")
	want := []string{"/bundle/rootfs2/proc", `/srv/a b\c/proc`, "/sys", "/proc"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
