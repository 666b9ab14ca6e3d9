package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/dbus"
	"github.com/oci-mini/oci-mini/internal/systemd"
)

// deviceProperties says as properties what the lines for the devices controller of v1
// say: systemd writes that controller's files for every unit, and would allow all
// devices when it applies the unit's settings again. On v2 it has a filter of its own for
// units with such properties alone, and ours needs none.
//
// The lines begin by denying all; what is allowed then must be a device, all of a major
// number, or all of a kind, and nothing may be denied again.
func deviceProperties(lines []cgroup.Write) ([]systemd.Property, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	var allow []dbus.Value
	denied := false
	for _, l := range lines {
		kind, rest, _ := strings.Cut(l.Value, " ")
		numbers, access, _ := strings.Cut(rest, " ")
		major, minor, _ := strings.Cut(numbers, ":")
		name := map[string]string{"c": "char", "b": "block"}[kind]
		switch {
		case l.File == "devices.deny" && kind == "a":
			denied, allow = true, nil
			continue
		case l.File != "devices.allow" || name == "" || major == "*" && minor != "*" || !denied:
			return nil, fmt.Errorf("systemd cannot keep the rule %q of %s on cgroup v1: %w", l.Value, l.File, errors.ErrUnsupported)
		case minor == "*":
			name += "-" + major
		default:
			name = "/dev/" + name + "/" + numbers
		}
		allow = append(allow, dbus.Struct(dbus.String(name), dbus.String(access)))
	}
	return []systemd.Property{
		{Name: "DevicePolicy", Value: dbus.String("strict")},
		{Name: "DeviceAllow", Value: dbus.Array("(ss)", allow...)},
	}, nil
}
