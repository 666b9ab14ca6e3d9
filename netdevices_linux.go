package main

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/netdev"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/spec"
)

// netDevice is an entry of /linux/netDevices.
type netDevice struct {
	host, name string // name may be a pattern such as eth%d
}

// netDevicesOf lists the devices in the order in which they move: those with a name of
// their own come before those for which the kernel finds one that is left.
func (b *birth) netDevicesOf() []netDevice {
	if b.spec.Linux == nil || b.joins {
		return nil
	}
	var list []netDevice
	for host, d := range b.spec.Linux.NetDevices {
		name := d.Name
		if name == "" {
			name = host
		}
		list = append(list, netDevice{host, name})
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if pa, pb := strings.Contains(a.name, "%"), strings.Contains(b.name, "%"); pa != pb {
			return pb
		}
		return a.host < b.host
	})
	return list
}

// moveNetDevices takes network devices from the host into the container.
func (b *birth) moveNetDevices() []plan.Step {
	var steps []plan.Step
	for i, d := range b.netDevicesOf() {
		words := "move the network device " + d.host + " into the container"
		if d.name != d.host {
			words += " as " + d.name
		}
		s := plan.Step{
			Field: "/linux/netDevices/" + spec.Escape(d.host), By: plan.Runtime, Words: words,
			Detail: "with its permanent addresses of global scope; it is set up",
			Do:     func() (func() error, error) { return b.moveNetDevice(d) },
		}
		if i == 0 {
			s.Reason = "after the hooks that may make it, and before those that run in the container's namespaces"
		}
		steps = append(steps, s)
	}
	return steps
}

// moveNetDevice moves one device. If the container does not come to be, it comes back.
// The end of the container is none of our business: with the last process of a network
// namespace the kernel gives physical devices back and removes virtual ones.
func (b *birth) moveNetDevice(d netDevice) (undo func() error, err error) {
	if b.netRoute == nil {
		if b.netRoute, err = netRoute(b.child.Pidfd); err != nil {
			return nil, err
		}
	}
	moved, err := b.netRoute.Move(d.host, d.name)
	if moved != nil {
		undo = moved.Back
	}
	return undo, err
}

// netRoute is the way from the runtime's network namespace to that of a process.
func netRoute(pidfd int) (*netdev.Route, error) {
	from, err := netdev.Here()
	if err != nil {
		return nil, err
	}
	to, err := netdev.Of(pidfd)
	if err != nil {
		from.Close()
		return nil, err
	}
	return netdev.Between(from, to)
}

// closeNetRoute lets go of the container's network namespace, which would otherwise
// outlive the container.
func (b *birth) closeNetRoute() {
	if b.netRoute != nil {
		b.netRoute.Close()
		b.netRoute = nil
	}
}

// netDevicesNeed refuses what cannot succeed: a device leaves a network namespace by the
// hand of one who administers it.
func (b *birth) netDevicesNeed() error {
	if len(b.netDevicesOf()) > 0 && b.host.euid != 0 {
		return errors.New("/linux/netDevices: needs root: a rootless runtime may not move devices out of the host's network namespace")
	}
	return nil
}

// netDeviceHint is advice for a device that does not move, or "".
func netDeviceHint(field string, errno unix.Errno) string {
	if !strings.HasPrefix(field, "/linux/netDevices/") {
		return ""
	}
	switch errno {
	case unix.EEXIST:
		return fmt.Sprintf("%s/name gives it another name; one that ends in %%d gets a number that is free", field)
	case unix.EPERM:
		return "moving a device needs CAP_NET_ADMIN over the network namespaces that it leaves and enters"
	case unix.EINVAL:
		return "some devices belong to their network namespace and cannot leave it: ip -details link show, netns-immutable"
	}
	return ""
}
