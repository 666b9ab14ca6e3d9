package main

import (
	"errors"
	"testing"

	"github.com/oci-mini/oci-mini/internal/cgroup"
)

func TestDeviceProperties(t *testing.T) {
	line := func(file, value string) cgroup.Write { return cgroup.Write{File: "devices." + file, Value: value} }
	got, err := deviceProperties([]cgroup.Write{
		line("deny", "a"), line("allow", "c *:* m"), line("allow", "c 1:3 rwm"), line("allow", "b 8:* r"),
	})
	if want := "DeviceAllow=[('char-*', 'm'), ('/dev/char/1:3', 'rwm'), ('block-8', 'r')]"; err != nil || len(got) != 2 || got[1].String() != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
	for _, bad := range [][]cgroup.Write{
		{line("allow", "a")},
		{line("allow", "c 1:3 rwm")},
		{line("deny", "a"), line("allow", "c *:3 rwm")},
		{line("deny", "a"), line("allow", "c 1:* rwm"), line("deny", "c 1:3 w")},
	} {
		if got, err := deviceProperties(bad); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%v: got %v, %v", bad, got, err)
		}
	}
}
