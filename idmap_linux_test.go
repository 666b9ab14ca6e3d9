package main

import (
	"reflect"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestThrough(t *testing.T) {
	m := func(c, h, n uint32) specs.LinuxIDMapping {
		return specs.LinuxIDMapping{ContainerID: c, HostID: h, Size: n}
	}
	container := []specs.LinuxIDMapping{m(10, 500, 5), m(0, 0, 1), m(1, 2, 9)}
	for _, c := range []struct {
		ranges, want []specs.LinuxIDMapping
	}{
		{[]specs.LinuxIDMapping{m(1, 3, 7)}, []specs.LinuxIDMapping{m(1, 4, 7)}},
		{[]specs.LinuxIDMapping{m(100, 0, 12)}, []specs.LinuxIDMapping{m(100, 0, 1), m(101, 2, 9), m(110, 500, 2)}},
		{[]specs.LinuxIDMapping{m(0, 14, 2)}, nil},
		{[]specs.LinuxIDMapping{m(0, 20, 1)}, nil},
	} {
		got, err := through(c.ranges, container)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%v gives %v, %v, should be %v", c.ranges, got, err, c.want)
		}
	}
}

func TestMountsAt(t *testing.T) {
	const table = `22 1 0:21 / / rw - ext4 /dev/vda rw
23 22 0:22 / /a\040b rw,nosuid shared:1 - tmpfs tmpfs rw
24 23 0:23 / /a\040b/proc rw - proc proc rw
25 22 0:24 / /a\040bc rw - fuse.x x rw
26 22 0:25 / /a\040b rw - 9p share rw
`
	for _, c := range []struct {
		file  string
		below bool
		want  []mountSeen
	}{
		{"/etc", true, []mountSeen{{"/etc", "ext4"}}},
		{"/", false, []mountSeen{{"/", "ext4"}}},
		{"/a b", true, []mountSeen{{"/a b", "9p"}, {"/a b/proc", "proc"}}},
		{"/a b/x", true, []mountSeen{{"/a b/x", "9p"}}},
		{"/a b", false, []mountSeen{{"/a b", "9p"}}},
	} {
		if got := mountsAt(table, c.file, c.below); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, should be %v", c.file, got, c.want)
		}
	}
}
